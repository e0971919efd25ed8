/**
 * Finding out what of a file is on disk.
 *
 * @module
 */

import { isFileFault } from "../platform/file_errors.ts";
import type { FileInfo, FileSystem } from "../platform/platform.ts";
import { pathConflict } from "./errors.ts";
import { wordsFor } from "./folders.ts";
import type { StorageFile } from "./layout.ts";
import { checkLink } from "./links.ts";
import type { FileNames } from "./names.ts";
import type { FilePlace } from "./resume_state.ts";

/** What is known of a file on disk. */
export interface FoundFile {
  /** Where its data is. */
  place: FilePlace;
  /** Bytes; 0 when absent. */
  size: number;
  /** Last modification, whole milliseconds since 1970; 0 when absent. */
  modified: number;
  /** Which file it is; `null` when not known. */
  id: string | null;
  /** Where it is read from, if that is not below the download folder because a link is followed; else empty. */
  source: string;
  /** Whether there is a `.part` file beside the final one. */
  doubled: boolean;
}

/** One file of a torrent, and what is known of it on disk. */
export interface DiskFile extends FoundFile {
  /** What it is called. */
  names: FileNames;
  /** Whether it is somebody else's. */
  foreign?: boolean;
  /** Whether a file that may be the right one is under its final name, while this one is made beside it. */
  aside?: boolean;
  /** The folder below which it is, if that is another than the download folder: files are being moved. */
  root?: string;
}

/** Of a file that isn't there. */
export const NOTHING: Readonly<FoundFile> = {
  place: "absent",
  size: 0,
  modified: 0,
  id: null,
  source: "",
  doubled: false,
};

/** Where to look. */
export interface FindOptions {
  /** The file system. */
  readonly fs: FileSystem;
  /** Absolute path of the download folder. */
  readonly root: string;
  /** The file's names below it. */
  readonly names: FileNames;
}

/**
 * Finds a file that will be written.
 *
 * @param layout The file.
 * @param options Where to look.
 * @returns What is there.
 * @throws {ShoalError} If something else is in its place.
 */
export async function findToWrite(layout: StorageFile, { fs, root, names }: FindOptions): Promise<FoundFile> {
  if (layout.symlink !== null) {
    await checkLink(layout, { fs, root });
    return { ...NOTHING };
  }
  const final = `${root}/${names.final}`;
  const there = await fs.stat(final);
  if (there !== null && there.kind !== "file") throw pathConflict(final, wordsFor(there.kind));
  if (there !== null && there.size > layout.length) {
    throw pathConflict(final, `the file there has ${there.size} bytes, the one in the torrent ${layout.length}`);
  }
  const path = `${root}/${names.part}`;
  const part = names.part === "" ? null : await fs.stat(path);
  if (part !== null && part.kind !== "file") throw pathConflict(path, wordsFor(part.kind));
  const info = there ?? part;
  if (info === null) return { ...NOTHING };
  return {
    place: there ? "final" : "part",
    size: info.size,
    modified: wholeTime(info.modified),
    id: info.id,
    source: "",
    doubled: there !== null && part !== null,
  };
}

/** Options for {@linkcode findPartFile}. */
export interface FindPartFileOptions {
  /** File system. */
  readonly fs: FileSystem;
  /** Largest size in bytes that Shoal would have given the partfile. */
  readonly length: number;
}

/**
 * Finds the partfile. Nobody else has reason to make a file of that name, so that whatever is in it is ours, and hashed.
 *
 * @param path Its absolute path.
 * @param options `fs`: the file system. `length`: bytes that it may have.
 * @returns What is there.
 * @throws {ShoalError} If something else is in its place.
 */
export async function findPartFile(
  path: string,
  { fs, length }: FindPartFileOptions,
): Promise<FoundFile> {
  const info = await fs.stat(path);
  if (info === null) return NOTHING;
  if (info.kind !== "file") throw pathConflict(path, wordsFor(info.kind));
  if (info.size > length) throw pathConflict(path, "it is larger than Shoal makes it");
  const { size, modified, id } = info;
  return { ...NOTHING, place: "part", size, modified: wholeTime(modified), id };
}

/**
 * Finds a file that is only read: a link is followed, and only the final name counts.
 *
 * @param options Where to look.
 * @returns What is there.
 * @throws {ShoalError} If that can't be found out.
 */
export async function findToRead({ fs, root, names }: FindOptions): Promise<FoundFile> {
  const final = `${root}/${names.final}`;
  let source = "";
  let info = await fs.stat(final);
  if (info?.kind === "link") {
    try {
      source = await fs.realPath(final);
    } catch (error) {
      if (isFileFault(error, "missing")) return NOTHING; // the link leads to nothing
      throw error;
    }
    info = await fs.stat(source);
  }
  if (info?.kind !== "file") return { ...NOTHING, source };
  const { size, modified, id } = info;
  return { ...NOTHING, place: "final", size, modified: wholeTime(modified), id, source };
}

/**
 * Finds a file that may be written at a path where we would not make it: only one that has the right size counts.
 *
 * @param layout The file.
 * @param options Where to look.
 * @returns What is there, or `null`.
 * @throws {ShoalError} If that can't be found out.
 */
export async function findWhole(layout: StorageFile, { fs, root, names }: FindOptions): Promise<FoundFile | null> {
  const fits = (info: FileInfo | null) => info?.kind === "file" && info.size === layout.length;
  const there = await fs.stat(`${root}/${names.final}`);
  if (there !== null && !fits(there)) return null;
  const part = names.part === "" ? null : await fs.stat(`${root}/${names.part}`);
  const info = there ?? (fits(part) ? part : null);
  if (info === null) return null;
  const { size, modified, id } = info;
  const place = there === null ? "part" : "final";
  return { place, size, modified: wholeTime(modified), id, source: "", doubled: there !== null && part !== null };
}

/**
 * Whether an unfinished file is still the one that was found or made, with the size it had.
 *
 * @param info What is there now.
 * @param known What was found or made.
 * @param layout The file; it gets its size from there when it is opened to be written, which may be going on.
 * @returns Whether it is.
 */
export function isSameFile(info: FileInfo, known: FoundFile, layout: StorageFile): boolean {
  return info.kind === "file" && (info.size === known.size || info.size === layout.length) &&
    (info.id === null || known.id === null || info.id === known.id);
}

/**
 * A time as resume state can hold it: times before 1970, and parts of a millisecond, would not survive there.
 *
 * @param milliseconds Since 1970.
 * @returns The same, whole and not negative.
 */
export function wholeTime(milliseconds: number): number {
  return Math.max(0, Math.floor(milliseconds));
}
