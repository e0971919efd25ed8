/**
 * Making a torrent of files on disk, without a session.
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
import { type FileScan, hashFiles, scanFiles } from "../storage/mod.ts";

/** Settings of {@linkcode createTorrent}. */
export interface CreateOptions extends
  Pick<
    TorrentParts,
    "trackers" | "webSeeds" | "private" | "comment" | "source" | "createdBy" | "createdAt"
  > {
  /** The outside. */
  readonly platform: Pick<Platform, "now" | "files" | "digest" | "startFileHashers">;
  /** What to call it; as the file or the folder when absent. */
  readonly name?: string | undefined;
  /** Bytes of a piece, a power of two from 16 KiB on; chosen by the size of all files when absent. */
  readonly pieceLength?: number | undefined;
  /**
   * What to leave out of a folder. A glob without a slash is held against names of files and folders, wherever they are; one
   * with a slash against paths below the folder.
   */
  readonly exclude?: readonly string[] | undefined;
  /** Told what will be hashed; that begins when it is done. What it throws ends everything. `safeName` is the name as
   * those will have it who download it. */
  onFound?(
    found: { readonly name: string; readonly safeName: string; readonly size: number; readonly files: number },
  ): Promise<void> | void;
  /** Told how far the hashing has come, ten times a second at most: 0 to 1, and in bytes. */
  onProgress?(fraction: number, bytes: number): void;
  /** Ends it. */
  readonly signal?: AbortSignal | undefined;
}

/** A torrent that was made. */
export interface CreatedTorrent {
  /** The torrent file. */
  readonly bytes: Bytes;
  /** The same, parsed. */
  readonly meta: Metainfo;
  /** Paths below the folder of what was left out because it is neither file nor folder: pipes, sockets, devices. */
  readonly skipped: readonly string[];
  /** What it was made of, in the order of the torrent's files, as it was before it was hashed. */
  readonly files: readonly SourceFile[];
}

/** A file that a torrent was made of. */
export interface SourceFile {
  /** Where it was read from: an absolute path, no part of which is a symbolic link. */
  readonly source: string;
  /** Bytes. */
  readonly length: number;
  /** Last modification, milliseconds since 1970. */
  readonly modified: number;
  /** Which file it is; `null` when not known. */
  readonly id: string | null;
}

/**
 * Makes a v1 torrent (BEP 3) of a file or a folder. The same files and options always give the same bytes: files are sorted
 * by the bytes of their paths, and the time is in it only when it is given. Symbolic links are followed.
 *
 * @param path The file or the folder.
 * @param options What goes into it, and with what to make it.
 * @returns The torrent.
 * @throws {ShoalError} Of kind `storage` if a file can't be read or changes meanwhile, of kind `usage` if the options don't fit
 * the files.
 * @throws The signal's reason, when it is aborted.
 *
 * @example
 * ```ts
 * const { bytes, meta } = await createTorrent("photos", { platform: denoPlatform, trackers: [["http://t.test/announce"]] });
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
  // Whatever is wrong with names or sizes shows before hours are spent on hashing.
  const draft = parse(encoded(new Uint8Array(Math.ceil(size / pieceLength) * DIGEST_BYTES)), path);
  await options.onFound?.({ name, safeName: draft.name, size, files: found.files.length });
  const onProgress = (fraction: number, bytes: number): void => options.onProgress?.(fraction, bytes);
  const bytes = encoded(await hashFiles(found.files, { platform, pieceLength, onProgress, signal }));
  return { bytes, meta: parse(bytes, path), skipped: found.skipped, files: found.files };
}

/** As the one who reads it will see it. */
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

/** The last name of the path as it was written, which may be that of a link; what it stands for when it names nothing. */
function nameOf(path: string, { root }: FileScan): string {
  const isWindows = /^(?:[a-z]:|\\\\)/i.test(root); // elsewhere a backslash is a character like others
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
  // A row of digests that long would not fit a torrent, nor perhaps our memory.
  if (Math.ceil(size / length) * DIGEST_BYTES > MAX_TORRENT_SIZE) {
    refuse(`pieces of ${length} bytes would be too many for ${size} bytes; choose longer ones`);
  }
}

/** Whether a path below the folder is to be left out. */
function leftOut(globs: readonly string[]): (path: readonly string[]) => boolean {
  const patterns = globs.map((glob) => {
    const trimmed = glob.replace(/(?<=.)\/$/, "");
    return { isPath: trimmed.includes("/"), regExp: compileGlob(trimmed.replace(/^\.?\//, ""), `--exclude ${glob}`) };
  });
  return (path) => patterns.some(({ isPath, regExp }) => regExp.test(isPath ? path.join("/") : path.at(-1)!));
}
