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

/** Contents of a torrent file. */
export interface TorrentParts {
  /** Name of the file or folder. */
  readonly name: string;
  /** Length of a piece in bytes. */
  readonly pieceLength: number;
  /** SHA-1 digests of all pieces, concatenated. */
  readonly pieces: Uint8Array;
  /** Length of a single file in bytes, or the files of a folder in order. */
  readonly content: number | readonly { readonly path: readonly string[]; readonly length: number }[];
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

/** Encodes a v1 torrent file. The same parts always yield the same bytes. */
export function encodeTorrent(parts: TorrentParts): Bytes {
  const { content, trackers = [], webSeeds = [] } = parts;
  const urls = trackers.flat();
  const info: Encodable = {
    ...(typeof content === "number" ? { length: content } : { files: content.map(fileEntry) }),
    name: parts.name,
    "piece length": parts.pieceLength,
    pieces: parts.pieces,
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
    "url-list": webSeeds.length > 1 ? webSeeds : webSeeds[0],
  });
}

function fileEntry({ path, length }: { readonly path: readonly string[]; readonly length: number }): Encodable {
  return { length, path };
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
function layersOf(files: readonly Pick<MetainfoFile, "root" | "layer">[]): Map<Uint8Array, Bytes> {
  const layers = new Map<string, [Uint8Array, Bytes]>();
  for (const { root, layer } of files) if (root && layer) layers.set(toHex(root), [root, layer]);
  return new Map(layers.values());
}
