/**
 * Creates a torrent from files on disk, without a session.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { ShoalError } from "../base/errors.ts";
import { HASH_BYTES } from "../base/merkle.ts";
import {
  choosePieceLength,
  compareTreePaths,
  encodeTorrent,
  MIN_CREATED_PIECE,
  type TorrentParts,
} from "../metainfo/encode_torrent.ts";
import {
  MAX_PIECE_LENGTH,
  MAX_TORRENT_SIZE,
  type Metainfo,
  parseMetainfo,
  type TorrentVersion,
} from "../metainfo/mod.ts";
import { MAX_V2_PIECES } from "../metainfo/parse.ts";
import { compileGlob } from "../metainfo/select.ts";
import { DIGEST_BYTES } from "../platform/piece_digests.ts";
import type { Platform } from "../platform/platform.ts";
import {
  type FileScan,
  hashFiles,
  hashTrees,
  type LinkOut,
  scanFiles,
  type ScannedFile,
  type SourceFile,
} from "../storage/mod.ts";

export type { LinkOut, SourceFile };

/** Content that {@linkcode createTorrent} is about to hash. */
export interface FoundContent {
  /** Name of the torrent. */
  readonly name: string;
  /** Name of the file or folder that a client which downloads the torrent will write. */
  readonly safeName: string;
  /** Length of all files together in bytes. */
  readonly size: number;
  /** Number of files. */
  readonly files: number;
  /** Symbolic links that lead out of the folder. What they lead to becomes part of the torrent. */
  readonly linksOut: readonly LinkOut[];
}

/** Options for {@linkcode createTorrent}. */
export interface CreateOptions extends
  Pick<
    TorrentParts,
    "trackers" | "webSeeds" | "private" | "comment" | "source" | "createdBy" | "createdAt"
  > {
  /** System services: clock, files and hashing. */
  readonly platform: Pick<Platform, "now" | "files" | "digest" | "startFileHashers" | "startTreeHashers">;
  /** Version of the torrent: v1 (BEP 3), v2 (BEP 52), or both in one. Default: `"v1"`. */
  readonly version?: TorrentVersion | undefined;
  /** Name of the torrent; the name of the file or folder when absent. */
  readonly name?: string | undefined;
  /** Piece length in bytes, a power of two of at least 16 KiB; chosen by the total size when absent. */
  readonly pieceLength?: number | undefined;
  /**
   * Globs of files and folders to leave out of a folder. A glob without a slash is matched against the name of a file
   * or folder at any depth, a glob with a slash against its path below the folder.
   */
  readonly exclude?: readonly string[] | undefined;
  /** Called with what will be hashed. Hashing waits for the returned promise, and doesn't start if it rejects. */
  onFound?(found: FoundContent): Promise<void> | void;
  /** Called with the hashing progress, at most ten times a second: as a fraction from 0 to 1, and in bytes. */
  onProgress?(fraction: number, bytes: number): void;
  /** Aborts the creation. */
  readonly signal?: AbortSignal | undefined;
}

/** A torrent made by {@linkcode createTorrent}. */
export interface CreatedTorrent {
  /** Content of the torrent file. */
  readonly bytes: Bytes;
  /** The same torrent, parsed. */
  readonly meta: Metainfo;
  /** Paths below the folder of entries that were left out, because they are pipes, sockets or devices. */
  readonly skipped: readonly string[];
  /** Files that the torrent was made of, in the torrent's order, as they were before hashing. */
  readonly files: readonly SourceFile[];
}

/**
 * Creates a torrent from a file or folder. The same files and options always give the same bytes: files are sorted by the
 * bytes of their paths, or in v2 and hybrid torrents by the bytes of one name after the other, and the creation time is
 * included only if given. Symbolic links are followed.
 *
 * @param path Path of the file or folder.
 * @param options See {@linkcode CreateOptions}.
 * @returns The torrent.
 * @throws {ShoalError} Of kind `storage` if a file can't be read or changes while it is hashed, of kind `usage` if the
 * options don't fit the files.
 * @throws The signal's reason, when it is aborted.
 *
 * @example
 * ```ts
 * const trackers = [["http://t.test/announce"]];
 * const { bytes, meta } = await createTorrent("photos", { platform: denoPlatform, trackers });
 * await Deno.writeFile(`${meta.name}.torrent`, bytes);
 * ```
 */
export async function createTorrent(path: string, options: CreateOptions): Promise<CreatedTorrent> {
  const { platform, signal } = options;
  const found = await scanFiles(path, { files: platform.files, isLeftOut: leftOut(options.exclude ?? []), signal });
  const size = found.files.reduce((sum, { length }) => sum + length, 0);
  if (size === 0) {
    const why = found.files.length === 0 ? "there are no files" : "its files are all empty";
    throw new ShoalError("usage", { what: "cannot make a torrent", where: path, why });
  }
  const name = options.name ?? nameOf(path, found);
  const pieceLength = options.pieceLength ?? choosePieceLength(size);
  const version = options.version ?? "v1";
  const files = version === "v1" ? found.files : found.files.toSorted((a, b) => compareTreePaths(a.path, b.path));
  checkPieceLength(pieceLength, { size, path, files, version });
  const encoded = (hashes: Pick<TorrentParts, "pieces" | "trees">): Bytes => {
    const content = found.isFolder ? files : size;
    return encodeTorrent({ ...options, ...hashes, name, pieceLength, content, executable: files[0]!.executable });
  };
  // Bad names and sizes are reported here, before hours are spent on hashing.
  const draft = parse(encoded(madeUp({ version, files, size, pieceLength })), path);
  await options.onFound?.({ name, safeName: draft.name, size, files: files.length, linksOut: found.linksOut });
  const onProgress = (fraction: number, bytes: number): void => options.onProgress?.(fraction, bytes);
  const hashing = { platform, pieceLength, onProgress, signal };
  const bytes = encoded(
    version === "v1" ? { pieces: await hashFiles(files, hashing) } : await both(version, files, hashing),
  );
  return { bytes, meta: parse(bytes, path), skipped: found.skipped, files };
}

async function both(
  version: "v2" | "hybrid",
  files: readonly ScannedFile[],
  hashing: Omit<Parameters<typeof hashTrees>[1], "isHybrid">,
): Promise<Pick<TorrentParts, "pieces" | "trees">> {
  const isHybrid = version === "hybrid";
  const { trees, pieces } = await hashTrees(files, { ...hashing, isHybrid });
  return { trees, pieces: isHybrid ? pieces : null };
}

/** What a torrent is made of, as far as its size is concerned. */
interface Shape {
  readonly version: TorrentVersion;
  readonly files: readonly ScannedFile[];
  /** Bytes of all files together. */
  readonly size: number;
}

/** Returns hashes for a torrent that is as valid as it will be with the right ones. Piece layers may be missing. */
function madeUp(shape: Shape & { readonly pieceLength: number }): Pick<TorrentParts, "pieces" | "trees"> {
  const pieces = shape.version === "v2" ? null : new Uint8Array(piecesOf(shape) * DIGEST_BYTES);
  if (shape.version === "v1") return { pieces };
  const tree = { root: new Uint8Array(HASH_BYTES).fill(1), layer: new Uint8Array(0) };
  return { pieces, trees: shape.files.map(({ length }) => length > 0 ? tree : null) };
}

/** Returns the number of pieces. In v2 and hybrid torrents each file begins with a new one. */
function piecesOf({ version, files, size, pieceLength }: Shape & { readonly pieceLength: number }): number {
  if (version === "v1") return Math.ceil(size / pieceLength);
  return files.reduce((sum, { length }) => sum + Math.ceil(length / pieceLength), 0);
}

/** Parses the created torrent the way that a client which downloads it does. */
function parse(bytes: Bytes, path: string): Metainfo {
  if (bytes.length > MAX_TORRENT_SIZE) {
    throw new ShoalError("usage", {
      what: "cannot make a torrent",
      where: path,
      why: `it would have ${bytes.length} bytes, at most ${MAX_TORRENT_SIZE} (64 MiB) are accepted`,
      hint: "longer pieces make it smaller",
    });
  }
  return parseMetainfo(bytes, { source: path, portable: false });
}

/**
 * Returns the last name of the path as the user wrote it, even if that is a link. If the path has none, as `.`, returns
 * the last name of the folder it resolves to.
 */
function nameOf(path: string, { root }: FileScan): string {
  const isWindows = /^(?:[a-z]:|\\\\)/i.test(root); // elsewhere a backslash is an ordinary character
  const last = (text: string): string => {
    return (isWindows ? text.replaceAll("\\", "/") : text).replace(/\/+$/, "").split("/").at(-1)!;
  };
  const name = /^\.{0,2}$/.test(last(path)) ? last(root) : last(path);
  if (name !== "" && !(isWindows && name.endsWith(":"))) return name;
  throw new ShoalError("usage", {
    what: "cannot make a torrent",
    where: path,
    why: "it has no name",
    hint: "give one with --name",
  });
}

function checkPieceLength(length: number, shape: Shape & { readonly path: string }): void {
  const { size, path, version } = shape;
  const isPower = Number.isSafeInteger(length) && Number.isInteger(Math.log2(length));
  const refuse = (why: string): never => {
    throw new ShoalError("usage", { what: "cannot make a torrent", where: path, why });
  };
  if (!isPower || length < MIN_CREATED_PIECE || length > MAX_PIECE_LENGTH) {
    refuse(`pieces have a power of two from 16 KiB to 512 MiB, not ${length} bytes`);
  }
  // More digests than this would not fit into a torrent file, and perhaps not into memory.
  const count = piecesOf({ ...shape, pieceLength: length });
  const each = (version === "v2" ? 0 : DIGEST_BYTES) + (version === "v1" ? 0 : HASH_BYTES);
  if (count * each > MAX_TORRENT_SIZE || (version === "v2" && count > MAX_V2_PIECES)) {
    refuse(`pieces of ${length} bytes would be too many for ${size} bytes; choose longer ones`);
  }
}

/** Returns a predicate for paths below the folder that are left out. */
function leftOut(globs: readonly string[]): (path: readonly string[]) => boolean {
  const patterns = globs.map((glob) => {
    const trimmed = glob.replace(/(?<=.)\/$/, "");
    return { isPath: trimmed.includes("/"), regExp: compileGlob(trimmed.replace(/^\.?\//, ""), `--exclude ${glob}`) };
  });
  return (path) => patterns.some(({ isPath, regExp }) => regExp.test(isPath ? path.join("/") : path.at(-1)!));
}
