/**
 * Which files of a torrent are wanted.
 *
 * @module
 */

import { type Magnet, type Metainfo, numberedFiles, parseSelectOnly, selectFiles } from "../metainfo/mod.ts";
import type { AddOptions } from "./add_options.ts";

/** The wanted files of a torrent. */
export interface Choice {
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
export function choiceOf(
  meta: Metainfo,
  { add, source }: { readonly add: AddOptions; readonly source: Metainfo | Magnet },
): Choice {
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
