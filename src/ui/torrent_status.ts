/**
 * Says in a word what a torrent does.
 *
 * @module
 */

import type { TorrentSnapshot, TorrentState } from "../session/session_events.ts";
import type { Paint } from "./style.ts";

/** What a torrent does, in a word for people. */
export type Status = Exclude<TorrentState, "error"> | "failed" | "stalled" | "complete";

/** Colour of each status. */
export const STATUS_PAINT: Readonly<Record<Status, Paint>> = {
  metadata: "yellow",
  checking: "yellow",
  downloading: "cyan",
  stalled: "yellow",
  seeding: "green",
  complete: "green",
  paused: "dim",
  queued: "dim",
  stopping: "dim",
  stopped: "dim",
  failed: "red",
};

/** Length of the longest status. */
export const STATUS_WIDTH = 11;

/**
 * Returns what a torrent does.
 *
 * @param torrent The torrent.
 * @param stalled Whether nothing has come for some time.
 * @returns `stalled` only for a torrent that downloads, `complete` for one that has stopped with all of its data.
 */
export function statusOf(torrent: TorrentSnapshot, stalled: boolean): Status {
  const { state, size, verified } = torrent;
  if (state === "error") return "failed";
  if (state === "downloading" && stalled) return "stalled";
  return state === "stopped" && size > 0 && verified >= size ? "complete" : state;
}
