/**
 * What is said of a torrent that doesn't do what it should.
 *
 * @module
 */

import type { Bitfield } from "../base/bitfield.ts";
import { messageOf, ShoalError } from "../base/errors.ts";
import type { TorrentState } from "./torrent_state.ts";

/** Why a torrent can't go on. */
export interface TorrentFailure {
  /** Kind of failure: `storage`, `network`, `torrent` ... */
  readonly code: string;
  /** What is wrong. */
  readonly message: string;
  /** What it is about: a file, a URL; may be empty. */
  readonly where: string;
}

/**
 * An error in words.
 *
 * @param error Whatever was thrown.
 * @returns What events and snapshots say of it.
 */
export function failureOf(error: unknown): TorrentFailure {
  if (!(error instanceof ShoalError)) return { code: "unexpected", message: messageOf(error), where: "" };
  return { code: error.kind, message: `${error.what}: ${error.why}`, where: error.where };
}

/**
 * The error of a torrent that may only be seeded, and isn't complete.
 *
 * @param have Pieces that are there.
 * @param where Its name and folder.
 * @returns The error, of kind `torrent`.
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
 * The error of what is asked of a torrent that has left its session, or is about to.
 *
 * @param where Its name.
 * @returns The error, of kind `usage`.
 */
export function stoppedError(where: string): ShoalError {
  return new ShoalError("usage", { what: "cannot change the torrent", where, why: "it has been stopped" });
}

/**
 * Why a torrent lets nobody in.
 *
 * @param state What it is doing instead.
 * @returns A sentence for peers' events.
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
