/**
 * Creates a torrent from files on disk, without a session.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { ShoalError } from "../base/errors.ts";
import { choosePieceLength, encodeTorrent, MIN_CREATED_PIECE, type TorrentParts } from "../metainfo/encode_torrent.ts";
import { MAX_PIECE_LENGTH, MAX_TORRENT_SIZE, type Metainfo, parseMetainfo } from "../metainfo/mod.ts";
import { compileGlob } from "../metainfo/select.ts";
import { DIGEST_BYTES } from "../platform/piece_digests.ts";
import type { Platform } from "../platform/platform.ts";
import { type FileScan, hashFiles, type LinkOut, scanFiles, type SourceFile } from "../storage/mod.ts";

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
  readonly platform: Pick<Platform, "now" | "files" | "digest" | "startFileHashers">;
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
 * Creates a v1 torrent (BEP 3) from a file or folder. The same files and options always give the same bytes: files are
 * sorted by the bytes of their paths, and the creation time is included only if given. Symbolic links are followed.
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
  checkPieceLength(pieceLength, { size, path });
  const encoded = (pieces: Uint8Array): Bytes => {
    const content = found.isFolder ? found.files : size;
    return encodeTorrent({ ...options, name, pieceLength, pieces, content });
  };
  // Bad names and sizes are reported here, before hours are spent on hashing.
  const draft = parse(encoded(new Uint8Array(Math.ceil(size / pieceLength) * DIGEST_BYTES)), path);
  const { files, linksOut } = found;
  await options.onFound?.({ name, safeName: draft.name, size, files: files.length, linksOut });
  const onProgress = (fraction: number, bytes: number): void => options.onProgress?.(fraction, bytes);
  const bytes = encoded(await hashFiles(found.files, { platform, pieceLength, onProgress, signal }));
  return { bytes, meta: parse(bytes, path), skipped: found.skipped, files: found.files };
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

function checkPieceLength(length: number, { size, path }: { readonly size: number; readonly path: string }): void {
  const isPower = Number.isSafeInteger(length) && Number.isInteger(Math.log2(length));
  const refuse = (why: string): never => {
    throw new ShoalError("usage", { what: "cannot make a torrent", where: path, why });
  };
  if (!isPower || length < MIN_CREATED_PIECE || length > MAX_PIECE_LENGTH) {
    refuse(`pieces have a power of two from 16 KiB to 512 MiB, not ${length} bytes`);
  }
  // More digests than this would not fit into a torrent file, and perhaps not into memory.
  if (Math.ceil(size / length) * DIGEST_BYTES > MAX_TORRENT_SIZE) {
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
