/**
 * Errors of torrents, and reasons for the user.
 *
 * @module
 */

import type { Bitfield } from "../base/bitfield.ts";
import { messageOf, ShoalError } from "../base/errors.ts";
import { nothingIn, type SearchedPlace } from "../storage/mod.ts";
import type { TorrentState } from "./torrent_state.ts";

/** Why a torrent can't continue. */
export interface TorrentFailure {
  /** Kind of failure: `storage`, `network`, `torrent` and others. */
  readonly code: string;
  /** What is wrong. */
  readonly message: string;
  /** The file or URL that the failure is about; may be empty. */
  readonly where: string;
}

/** Describes an error for events and snapshots. */
export function failureOf(error: unknown): TorrentFailure {
  if (!(error instanceof ShoalError)) return { code: "unexpected", message: messageOf(error), where: "" };
  return { code: error.kind, message: `${error.what}: ${error.why}`, where: error.where };
}

/**
 * Creates the error of a torrent that may only be seeded, if none of its pieces is there.
 *
 * @param where Name and folder of the torrent.
 * @param searched Where its files were looked for, if none of them was found; else `null`.
 * @returns An error of kind `torrent`.
 */
export function nothingToSeed(where: string, searched: SearchedPlace | null): ShoalError {
  return new ShoalError("torrent", {
    what: "there is nothing to seed",
    where,
    why: searched === null ? "there are files of these names, but none of their pieces is right" : nothingIn(searched),
    hint: searched === null
      ? "they may be another version of the data, or not be downloaded yet"
      : "choose the folder that holds its data, or that data itself",
  });
}

/**
 * Warns that a torrent which may only be seeded is not complete.
 *
 * @param have Pieces on disk.
 */
export function partlySeeded({ length, count }: Bitfield): string {
  const missing = length - count;
  return `${missing} of ${length} pieces ${missing === 1 ? "is" : "are"} missing or wrong; the rest is served`;
}

/**
 * Creates the error of a call on a torrent that has left its session or is about to.
 *
 * @param where Name of the torrent.
 * @returns An error of kind `usage`.
 */
export function stoppedError(where: string): ShoalError {
  return new ShoalError("usage", { what: "cannot change the torrent", where, why: "it has been stopped" });
}

/**
 * Returns why a torrent doesn't accept peers, as a sentence for events.
 *
 * @param state State of the torrent.
 */
export function reasonToRefuse(state: TorrentState): string {
  switch (state) {
    case "checking":
      return "the torrent is being checked";
    case "paused":
      return "the torrent is paused";
    case "queued":
      return "the torrent waits in the queue";
    case "error":
      return "the torrent has run into an error";
    default:
      return "the torrent is not at work";
  }
}
