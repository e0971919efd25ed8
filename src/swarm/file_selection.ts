/**
 * Selects the wanted files of a torrent.
 *
 * @module
 */

import { ShoalError } from "../base/errors.ts";
import { plural } from "../base/plural.ts";
import { type Magnet, type Metainfo, numberedFiles, parseSelectOnly, selectFiles } from "../metainfo/mod.ts";
import type { AddOptions } from "./torrent_options.ts";

/** The wanted files of a torrent. */
export interface FileSelection {
  /** Their indexes in `meta.files`; absent if all files are wanted. */
  readonly files?: ReadonlySet<number>;
  /** Their size in bytes. */
  readonly size: number;
  /** Their number. */
  readonly count: number;
}

/** What selects the files of a torrent. */
export interface SelectionSource {
  /** Options with which the torrent was added. */
  readonly add: AddOptions;
  /** The torrent or magnet link that was added. */
  readonly source: Metainfo | Magnet;
}

/**
 * Returns the wanted files, without padding: those in the options; otherwise those that the magnet link selects (`so`,
 * BEP 53); otherwise all.
 *
 * @param meta The torrent.
 * @throws {SelectionError} If a selected file doesn't exist.
 */
export function selectionOf(
  meta: Metainfo,
  { add, source }: SelectionSource,
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

/** Returns `true` if the source is a magnet link. */
export function isMagnet(source: Metainfo | Magnet): source is Magnet {
  return !("pieces" in source);
}

/**
 * Checks that files exist.
 *
 * @param meta The torrent; `null` while its files are unknown, when every index from 0 is accepted.
 * @param files Indexes of the files.
 * @throws {ShoalError} Of kind `usage` if a file doesn't exist or is padding.
 */
export function checkFiles(meta: Metainfo | null, files: Iterable<number>): void {
  for (const index of files) {
    const file = meta?.files[index];
    const isFile = meta === null ? index >= 0 : file !== undefined && !file.pad;
    if (Number.isInteger(index) && isFile) continue;
    const why = meta === null ? "files are numbered from 0" : `the torrent has ${plural(meta.files.length, "file")}`;
    const where = `file ${index}${meta === null ? "" : ` of ${meta.name}`}`;
    throw new ShoalError("usage", { what: "there is no such file", where, why });
  }
}

/**
 * Checks that files can be selected.
 *
 * @param meta The torrent; `null` while its files are unknown.
 * @param files Indexes of the files.
 * @throws {ShoalError} Of kind `usage` if a file doesn't exist, or if there are none.
 */
export function checkSelection(meta: Metainfo | null, files: ReadonlySet<number>): void {
  checkFiles(meta, files);
  if (files.size > 0) return;
  throw new ShoalError("usage", { what: "no file is chosen", where: meta?.name ?? "", why: "at least one has to be" });
}

/**
 * Returns options with another selection of files.
 *
 * @param add The options.
 * @param files Indexes of the files; `null` for all.
 */
export function withFiles(add: AddOptions, files: ReadonlySet<number> | null): AddOptions {
  return { ...add, files: files ?? ((meta: Metainfo) => new Set(numberedFiles(meta.files))) };
}
