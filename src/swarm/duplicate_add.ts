/**
 * Decides whether a torrent that exists already satisfies a second request to add it.
 *
 * @module
 */

import { ShoalError } from "../base/errors.ts";
import type { Magnet, Metainfo } from "../metainfo/mod.ts";
import { type FileSelection, isMagnet, selectionOf } from "./file_selection.ts";
import type { AddOptions } from "./torrent_options.ts";

/** The source of a torrent, and the options with which it is added. */
interface Wish {
  readonly add: AddOptions;
  readonly source: Metainfo | Magnet;
}

/** An existing torrent. */
interface There {
  readonly first: Wish;
  /** The metadata; `null` while unknown. */
  readonly meta: Metainfo | null;
  /** The wanted files; `null` while unknown. */
  readonly choice: FileSelection | null;
}

/**
 * Returns why a torrent can't be added once more, as a sentence for the user; `null` if it can. It can't if the second
 * request has more files than the first.
 *
 * @param there The existing torrent.
 * @param second The second request.
 * @throws {SelectionError} If a selected file doesn't exist.
 */
export function reasonAgainstDuplicate({ first, meta, choice }: There, second: Wish): string | null {
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
 * Creates the error for a torrent that can't be added once more.
 *
 * @param where Name of the torrent.
 * @param why The reason.
 * @returns An error of kind `usage`.
 */
export function duplicateError(where: string, why: string): ShoalError {
  return new ShoalError("usage", { what: "the same torrent twice", where, why });
}

/** Returns `true` if a selection has files that another one doesn't have. */
function wantsMore(choice: FileSelection, other: FileSelection): boolean {
  if (other.files === undefined) return false;
  return choice.files === undefined || !choice.files.isSubsetOf(other.files);
}

/** Returns what selects the files of a request; `null` if it is for all files. */
function wantOf({ add, source }: Wish): unknown {
  return add.files ?? (isMagnet(source) ? source.selectOnly : null);
}
