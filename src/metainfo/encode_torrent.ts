/**
 * Encodes torrent files (BEP 3, BEP 12, BEP 19, BEP 27).
 *
 * @module
 */

import { type Bytes, concatBytes, toHex, utf8 } from "../base/bytes.ts";
import { type Encodable, encode } from "../bencode/mod.ts";
import type { MetainfoFile } from "./metainfo.ts";

/** Minimum piece length in bytes, chosen or requested by the user: one block. */
export const MIN_CREATED_PIECE = 16 * 1024;
/** Maximum piece length chosen in bytes, since a peer has to hold whole pieces in memory. */
const MAX_CHOSEN_PIECE = 16 * 1024 * 1024;
/** Number of pieces above which longer pieces are chosen. It keeps a torrent file below about 40 KiB. */
const CHOSEN_PIECES = 2048;

/** Hashes of a file of a v2 torrent (BEP 52). */
export interface TreeParts {
  /** Root of the file's Merkle tree, 32 bytes. */
  readonly root: Uint8Array;
  /** Hashes of its pieces, 32 bytes each; empty for a file of one piece. */
  readonly layer: Uint8Array;
}

/** A file of a folder. */
export interface ContentFile {
  /** Path below the folder. */
  readonly path: readonly string[];
  /** Length in bytes. */
  readonly length: number;
  /** Whether the file is executable; see {@linkcode TorrentParts.executable}. */
  readonly executable?: boolean | undefined;
}

/** Contents of a torrent file. */
export interface TorrentParts {
  /** Name of the file or folder. */
  readonly name: string;
  /** Length of a piece in bytes. */
  readonly pieceLength: number;
  /** SHA-1 digests of all pieces, concatenated; `null` for a v2-only torrent. */
  readonly pieces: Uint8Array | null;
  /**
   * Trees of the files of a v2 or hybrid torrent (BEP 52), each `null` if the file is empty. The files of a folder have to
   * be in the order of the tree. Absent for a v1 torrent.
   */
  readonly trees?: readonly (TreeParts | null)[] | undefined;
  /** Length of a single file in bytes, or the files of a folder in order. */
  readonly content: number | readonly ContentFile[];
  /**
   * Whether a single file is executable. Only v2 and hybrid torrents say so, as those of libtorrent: v1 torrents have the
   * info-hash that mktorrent gives them.
   */
  readonly executable?: boolean | undefined;
  /** Tiers of announce URLs. */
  readonly trackers?: readonly (readonly string[])[] | undefined;
  /** URLs of web seeds. */
  readonly webSeeds?: readonly string[] | undefined;
  /** Whether peers may come only from trackers (BEP 27). */
  readonly private?: boolean | undefined;
  /** Comment. */
  readonly comment?: string | undefined;
  /** Tracker or site for which the torrent is made. Changes the info-hash. */
  readonly source?: string | undefined;
  /** Program that creates the torrent. */
  readonly createdBy?: string | undefined;
  /** Creation date in seconds since 1970. */
  readonly createdAt?: number | undefined;
}

/**
 * Encodes a torrent file. The same parts always yield the same bytes. The v1 half of a hybrid has padding behind each file
 * of several that does not end with a piece, as libtorrent writes it.
 */
export function encodeTorrent(parts: TorrentParts): Bytes {
  const { content, trackers = [], webSeeds = [] } = parts;
  const urls = trackers.flat();
  const isHybrid = parts.trees !== undefined && parts.pieces !== null;
  const listed = typeof content === "number"
    ? { length: content, attr: isHybrid ? attrOf(parts) : undefined }
    : { files: (isHybrid ? withPadding(content, parts.pieceLength) : content).map(fileEntry) };
  const info: Encodable = {
    ...(parts.pieces && listed),
    ...(parts.trees && { "file tree": treeOf(parts, parts.trees), "meta version": 2 }),
    name: parts.name,
    "piece length": parts.pieceLength,
    pieces: parts.pieces ?? undefined,
    private: parts.private ? 1 : undefined,
    source: parts.source,
  };
  return encode({
    announce: urls[0],
    "announce-list": urls.length > 1 ? trackers : undefined,
    comment: parts.comment,
    "created by": parts.createdBy,
    "creation date": parts.createdAt,
    info,
    "piece layers": parts.trees && layersOf(parts.trees.filter((tree) => tree !== null)),
    "url-list": webSeeds.length > 1 ? webSeeds : webSeeds[0],
  });
}

/** An entry of a list of files. */
interface FileEntry {
  readonly path: readonly string[];
  readonly length: number;
  readonly attr?: string | undefined;
}

/** Returns the attributes of a file (BEP 47). */
function attrOf({ executable }: Pick<ContentFile, "executable">): string | undefined {
  return executable ? "x" : undefined;
}

function fileEntry({ path, length, attr }: FileEntry): Encodable {
  return { attr, length, path };
}

/** Adds padding (BEP 47) behind each file of several that does not end with a piece. */
function withPadding(content: readonly ContentFile[], pieceLength: number): readonly FileEntry[] {
  const files = content.map((file): FileEntry => ({ path: file.path, length: file.length, attr: attrOf(file) }));
  if (files.length === 1) return files;
  return files.flatMap((file) => {
    const over = file.length % pieceLength;
    const length = pieceLength - over;
    return over === 0 ? [file] : [file, { path: [".pad", String(length)], length, attr: "p" }];
  });
}

/** A folder of a tree, or a file, which has only the key `""`. A map, since names may be any text. */
type TreeNode = Map<string, Encodable>;

function treeOf({ name, content, executable }: TorrentParts, trees: readonly (TreeParts | null)[]): TreeNode {
  const files = typeof content === "number" ? [{ path: [name], length: content, executable }] : content;
  const root: TreeNode = new Map();
  for (const [i, file] of files.entries()) {
    const { path, length } = file;
    let folder = root;
    for (const part of path) {
      const next = (folder.get(part) ?? new Map()) as TreeNode;
      folder.set(part, next);
      folder = next;
    }
    folder.set("", { attr: attrOf(file), length, "pieces root": trees[i]?.root });
  }
  return root;
}

/**
 * Compares paths so that files are in the order of a file tree: by the bytes of one name after the other.
 *
 * @returns A number below 0 if `a` comes first.
 */
export function compareTreePaths(a: readonly string[], b: readonly string[]): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    if (a[i] === b[i]) continue;
    const [one, other] = [utf8(a[i]!), utf8(b[i]!)];
    for (let at = 0; at < Math.min(one.length, other.length); at++) {
      if (one[at] !== other[at]) return one[at]! - other[at]!;
    }
    return one.length - other.length;
  }
  return a.length - b.length;
}

/**
 * Chooses a piece length between 16 KiB and 16 MiB, for about 1,000 to 2,000 pieces where possible.
 *
 * @returns Piece length in bytes, a power of two.
 */
export function choosePieceLength(total: number): number {
  let length = MIN_CREATED_PIECE;
  while (length < MAX_CHOSEN_PIECE && total > length * CHOSEN_PIECES) length *= 2;
  return length;
}

/** Contents of a torrent file with a single file. */
export interface SingleFileParts {
  /** Name of the file. */
  readonly name: string;
  /** Length of the file in bytes. */
  readonly length: number;
  /** Length of a piece in bytes. */
  readonly pieceLength: number;
  /** SHA-1 digest of each piece, in order. */
  readonly digests: readonly Uint8Array[];
  /** Announce URL. */
  readonly announce: string;
}

/** Encodes a v1 torrent file with a single file. */
export function encodeSingleFile(parts: SingleFileParts): Bytes {
  const { name, length: content, pieceLength, digests, announce } = parts;
  return encodeTorrent({ name, content, pieceLength, pieces: concatBytes(digests), trackers: [[announce]] });
}

/** Contents of a torrent file outside the info dictionary. */
export interface TorrentFileParts {
  /** Tiers of announce URLs (BEP 12). */
  readonly trackers: readonly (readonly string[])[];
  /** URLs of web seeds (BEP 19). */
  readonly webSeeds: readonly string[];
  /** Files, whose piece layers are written (BEP 52). */
  readonly files?: readonly Pick<MetainfoFile, "root" | "layer">[];
}

/**
 * Encodes a torrent file around an existing info dictionary. The info dictionary is copied byte for byte, since its
 * hash identifies the torrent.
 *
 * @param info The bencoded info dictionary.
 */
export function torrentFile(info: Uint8Array, { trackers, webSeeds, files = [] }: TorrentFileParts): Bytes {
  const before = encode({
    ...(trackers.length > 0 && { announce: trackers[0]![0]!, "announce-list": trackers }),
  });
  const layers = layersOf(files);
  const after = encode({
    ...(layers.size > 0 && { "piece layers": layers }),
    ...(webSeeds.length > 0 && { "url-list": webSeeds }),
  });
  // Keys of a dictionary are sorted: "info" comes between "announce-list" and "piece layers".
  return concatBytes([before.subarray(0, -1), utf8("4:info"), info, after.subarray(1)]);
}

/** Returns the piece layers by root. Files with the same content have one layer. */
function layersOf(
  files: readonly { readonly root?: Uint8Array | undefined; readonly layer?: Uint8Array | undefined }[],
): Map<Uint8Array, Uint8Array> {
  const layers = new Map<string, [Uint8Array, Uint8Array]>();
  for (const { root, layer } of files) if (root && layer && layer.length > 0) layers.set(toHex(root), [root, layer]);
  return new Map(layers.values());
}
