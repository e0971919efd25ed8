/**
 * Whether a torrent that is there already can be what it is to be once more.
 *
 * @module
 */

import { ShoalError } from "../base/errors.ts";
import type { Magnet, Metainfo } from "../metainfo/mod.ts";
import { type FileSelection, isMagnet, selectionOf } from "./file_selection.ts";
import type { AddOptions } from "./torrent_options.ts";

/** A source of a torrent, and how it is added. */
interface Wish {
  readonly add: AddOptions;
  readonly source: Metainfo | Magnet;
}

/** What is there. */
interface There {
  readonly first: Wish;
  /** What it holds; `null` while nobody knows. */
  readonly meta: Metainfo | null;
  /** Which files are wanted; `null` while nobody knows. */
  readonly choice: FileSelection | null;
}

/**
 * Finds out why a torrent can't be added once more.
 *
 * @param there What is there.
 * @param second How it is to be added.
 * @returns The reason, in a plain sentence, or `null` when it can. More files than are wanted already can't be had.
 * @throws {SelectionError} If a file that is asked for isn't there.
 */
export function whyNotAgain({ first, meta, choice }: There, second: Wish): string | null {
  const { add } = first;
  if (second.add.folder !== add.folder) {
    return `it goes to ${add.folder} already, and can't go to ${second.add.folder} as well`;
  }
  if ((second.add.seedOnly ?? false) !== (add.seedOnly ?? false)) return "it can't be downloaded and only be seeded";
  if (add.metadataOnly && !second.add.metadataOnly) return "it was added for its metadata alone";
  const more = meta !== null && choice !== null
    ? wantsMore(selectionOf(meta, second), choice)
    : wantOf(first) !== null && wantOf(first) !== wantOf(second);
  return more ? "other files of it have been chosen already" : null;
}

/**
 * The error for it.
 *
 * @param where The torrent's name.
 * @param why The reason.
 * @returns The error, of kind `usage`.
 */
export function duplicateError(where: string, why: string): ShoalError {
  return new ShoalError("usage", { what: "the same torrent twice", where, why });
}

/** Whether a choice has files that another has not. */
function wantsMore(choice: FileSelection, other: FileSelection): boolean {
  if (other.files === undefined) return false;
  return choice.files === undefined || !choice.files.isSubsetOf(other.files);
}

/** What says which files are wanted; `null` when all are. */
function wantOf({ add, source }: Wish): unknown {
  return add.files ?? (isMagnet(source) ? source.selectOnly : null);
}
