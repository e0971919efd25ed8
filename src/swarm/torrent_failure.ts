/**
 * Errors of torrents, and reasons for the user.
 *
 * @module
 */

import type { Bitfield } from "../base/bitfield.ts";
import { messageOf, ShoalError } from "../base/errors.ts";
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
 * Creates the error of a torrent that may only be seeded and isn't complete.
 *
 * @param have Pieces on disk.
 * @param where Name and folder of the torrent.
 * @returns An error of kind `torrent`.
 */
export function incompleteData(have: Bitfield, where: string): ShoalError {
  return new ShoalError("torrent", {
    what: "the data is not complete",
    where,
    why: `${have.length - have.count} of ${have.length} pieces are missing or wrong`,
    hint: "download it to get what is missing, or choose the folder that holds it",
  });
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
