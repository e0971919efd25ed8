/**
 * Which files of a torrent are wanted.
 *
 * @module
 */

import { ShoalError } from "../base/errors.ts";
import { type Magnet, type Metainfo, numberedFiles, parseSelectOnly, selectFiles } from "../metainfo/mod.ts";
import type { AddOptions } from "./torrent_options.ts";

/** The wanted files of a torrent. */
export interface FileSelection {
  /** Their indexes in `meta.files`; not there when all are wanted. */
  readonly files?: ReadonlySet<number>;
  /** Their bytes. */
  readonly size: number;
  /** How many they are. */
  readonly count: number;
}

/**
 * Finds out which files are wanted: those that were asked for; else those that the magnet link names (`so`, BEP 53); else all.
 *
 * @param meta The torrent.
 * @param how `add`: how it was added. `source`: what was added.
 * @returns The files, padding left out.
 * @throws {SelectionError} If a file that is asked for isn't there.
 */
export function selectionOf(
  meta: Metainfo,
  { add, source }: { readonly add: AddOptions; readonly source: Metainfo | Magnet },
): FileSelection {
  const numbered = numberedFiles(meta.files);
  const files = typeof add.files === "function" ? add.files(meta) : add.files ?? named(meta, source);
  const wanted = numbered.filter((index) => files?.has(index) ?? true);
  const count = wanted.length;
  if (count === numbered.length) return { size: meta.size, count };
  const size = wanted.reduce((sum, index) => sum + meta.files[index]!.length, 0);
  return { files: new Set(wanted), size, count };
}

function named(meta: Metainfo, source: Metainfo | Magnet): ReadonlySet<number> | null {
  if (!isMagnet(source) || source.selectOnly === null) return null;
  return selectFiles(meta, [parseSelectOnly(source.selectOnly)]);
}

/** Whether it isn't known yet what a source holds. */
export function isMagnet(source: Metainfo | Magnet): source is Magnet {
  return !("pieces" in source);
}

/**
 * Makes sure that files are there.
 *
 * @param meta The torrent; `null` while nobody knows which it has: then nothing is wrong yet.
 * @param files Indexes.
 * @throws {ShoalError} Of kind `usage` if one isn't there, or is padding.
 */
export function checkFiles(meta: Metainfo | null, files: Iterable<number>): void {
  for (const index of files) {
    const file = meta?.files[index];
    const isFile = meta === null ? index >= 0 : file !== undefined && !file.pad;
    if (Number.isInteger(index) && isFile) continue;
    const why = meta === null ? "files are numbered from 0" : `the torrent has ${meta.files.length} files`;
    const where = `file ${index}${meta === null ? "" : ` of ${meta.name}`}`;
    throw new ShoalError("usage", { what: "there is no such file", where, why });
  }
}

/**
 * Makes sure that files can be chosen.
 *
 * @param meta The torrent; `null` while nobody knows which it has.
 * @param files Their indexes.
 * @throws {ShoalError} Of kind `usage` if one isn't there, or there are none.
 */
export function checkSelection(meta: Metainfo | null, files: ReadonlySet<number>): void {
  checkFiles(meta, files);
  if (files.size > 0) return;
  throw new ShoalError("usage", { what: "no file is chosen", where: meta?.name ?? "", why: "at least one has to be" });
}

/**
 * How a torrent would have been added with other files chosen.
 *
 * @param add How it was added.
 * @param files Indexes of the files; `null` for all.
 * @returns How it is to be added.
 */
export function withFiles(add: AddOptions, files: ReadonlySet<number> | null): AddOptions {
  return { ...add, files: files ?? ((meta: Metainfo) => new Set(numberedFiles(meta.files))) };
}
