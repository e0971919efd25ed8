/**
 * Finds one file of a torrent on disk, under its final name or its `.part` name.
 *
 * @module
 */

import { plural } from "../base/plural.ts";
import { isFileFault } from "../platform/file_errors.ts";
import type { FileInfo, FileSystem } from "../platform/platform.ts";
import { pathConflict } from "./errors.ts";
import { wordsFor } from "./folders.ts";
import type { StorageFile } from "./layout.ts";
import { checkLink } from "./links_and_empty_files.ts";
import type { FileNames } from "./file_names.ts";
import type { FilePlace } from "./resume_state.ts";

/** Status of a file on disk. */
export interface FoundFile {
  /** Where the data is. */
  place: FilePlace;
  /** Size in bytes; 0 when absent. */
  size: number;
  /** Last modification, in whole milliseconds since 1970; 0 when absent. */
  modified: number;
  /** Identity of the file in the file system; `null` when unknown. */
  id: string | null;
  /** Path to read the file from if a link leads elsewhere; empty otherwise. */
  source: string;
  /** Whether a `.part` file exists beside the file under its final name. */
  doubled: boolean;
}

/** One file of a torrent, and its status on disk. */
export interface DiskFile extends FoundFile {
  /** Names of the file. */
  names: FileNames;
  /** Whether the file on disk is not ours, so that it must not be changed. */
  foreign?: boolean;
  /**
   * Whether a file that may be correct is kept under the final name, while the torrent's data goes to the `.part` file.
   */
  aside?: boolean;
  /** Folder below which the file is, if that is not the download folder because files are being moved. */
  root?: string;
}

/** Values for a file that doesn't exist. */
export const ABSENT_FILE: Readonly<FoundFile> = {
  place: "absent",
  size: 0,
  modified: 0,
  id: null,
  source: "",
  doubled: false,
};

/** Where to look for a file. */
export interface FindOptions {
  /** File system. */
  readonly fs: FileSystem;
  /** Absolute path of the download folder. */
  readonly root: string;
  /** Names of the file below that folder. */
  readonly names: FileNames;
}

/**
 * Finds a file that will be written.
 *
 * @param layout The file in the torrent.
 * @param options See {@linkcode FindOptions}.
 * @returns Status of the file on disk.
 * @throws {ShoalError} If something else is in the place of the file.
 */
export async function findToWrite(layout: StorageFile, { fs, root, names }: FindOptions): Promise<FoundFile> {
  if (layout.symlink !== null) {
    await checkLink(layout, { fs, root });
    return { ...ABSENT_FILE };
  }
  const final = `${root}/${names.final}`;
  const there = await fs.stat(final);
  if (there !== null && there.kind !== "file") throw pathConflict(final, wordsFor(there.kind));
  if (there !== null && there.size > layout.length) {
    throw pathConflict(
      final,
      `the file there has ${plural(there.size, "byte")}, the one in the torrent ${layout.length}`,
    );
  }
  const path = `${root}/${names.part}`;
  const part = names.part === "" ? null : await fs.stat(path);
  if (part !== null && part.kind !== "file") throw pathConflict(path, wordsFor(part.kind));
  const info = there ?? part;
  if (info === null) return { ...ABSENT_FILE };
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
  /** Whether nothing is written, so that something else in the place of the partfile is in nobody's way. */
  readonly readOnly: boolean;
}

/**
 * Finds the partfile. No other program makes a file of that name, so its content counts as ours, and is hashed.
 *
 * @param path Absolute path of the partfile.
 * @param options See {@linkcode FindPartFileOptions}.
 * @returns Status of the file on disk.
 * @throws {ShoalError} If something else is in the place of the partfile.
 */
export async function findPartFile(
  path: string,
  { fs, length, readOnly }: FindPartFileOptions,
): Promise<FoundFile> {
  const info = await fs.stat(path);
  if (info === null || (readOnly && (info.kind !== "file" || info.size > length))) return ABSENT_FILE;
  if (info.kind !== "file") throw pathConflict(path, wordsFor(info.kind));
  if (info.size > length) throw pathConflict(path, "it is larger than Shoal makes it");
  const { size, modified, id } = info;
  return { ...ABSENT_FILE, place: "part", size, modified: wholeTime(modified), id };
}

/**
 * Finds a file that is only read. Links are followed. Without a file under the final name, the unfinished one counts.
 *
 * @param options See {@linkcode FindOptions}.
 * @returns Status of the file on disk.
 * @throws {ShoalError} If the file can't be looked at.
 */
export async function findToRead({ fs, root, names }: FindOptions): Promise<FoundFile> {
  const final = names.final === "" ? null : await followLinks(`${root}/${names.final}`, fs);
  const part = final === null && names.part !== "" ? await fs.stat(`${root}/${names.part}`) : null;
  const info = final?.info ?? part;
  if (info?.kind !== "file") return ABSENT_FILE;
  const { size, modified, id } = info;
  const place = final === null ? "part" : "final";
  return { ...ABSENT_FILE, place, size, modified: wholeTime(modified), id, source: final?.source ?? "" };
}

/** Returns the status of a file, and its path if a link leads there; `null` if there is no file. */
async function followLinks(
  path: string,
  fs: FileSystem,
): Promise<{ readonly info: FileInfo; readonly source: string } | null> {
  let source = "";
  let info = await fs.stat(path);
  if (info?.kind === "link") {
    try {
      source = await fs.realPath(path);
    } catch (error) {
      if (isFileFault(error, "missing")) return null; // a dangling link
      throw error;
    }
    info = await fs.stat(source);
  }
  return info?.kind === "file" ? { info, source } : null;
}

/**
 * Finds a file that may be written, at a path other than the one Shoal would choose. Only a file of the right size
 * counts.
 *
 * @param layout The file in the torrent.
 * @param options See {@linkcode FindOptions}.
 * @returns Status of the file on disk, or `null` if no file fits.
 * @throws {ShoalError} If the file can't be looked at.
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
 * Returns `true` if an unfinished file is still the one that was found or created, with the size it had.
 *
 * @param info Current status of the file.
 * @param known Status when the file was found or created.
 * @param layout The file in the torrent. Opening the file for writing, which may be going on, extends it to this
 * length.
 */
export function isSameFile(info: FileInfo, known: FoundFile, layout: StorageFile): boolean {
  return info.kind === "file" && (info.size === known.size || info.size === layout.length) &&
    (info.id === null || known.id === null || info.id === known.id);
}

/**
 * Rounds a time down to what resume state can hold, which has no times before 1970 and no fractions of a millisecond.
 *
 * @param milliseconds Milliseconds since 1970.
 * @returns The time in whole milliseconds, 0 or later.
 */
export function wholeTime(milliseconds: number): number {
  return Math.max(0, Math.floor(milliseconds));
}
