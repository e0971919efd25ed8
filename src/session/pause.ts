/**
 * A torrent that is paused.
 *
 * @module
 */

import type { TorrentState } from "./types.ts";

/**
 * What a paused torrent is doing.
 *
 * @param state What it would be doing.
 * @returns `paused`, but for what a pause doesn't hold up.
 */
export function pausedState(state: TorrentState): TorrentState {
  return state === "metadata" || state === "downloading" || state === "seeding" ? "paused" : state;
}
