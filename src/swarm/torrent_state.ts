/**
 * The states of a torrent, and the transitions between them.
 *
 * @module
 */

/**
 * The state of a torrent:
 *
 * - `metadata`: it searches for the metadata of its magnet link, or for hashes of pieces that its torrent file lacks.
 * - `checking`: it checks the data on disk.
 * - `downloading`: wanted pieces are missing, or the last of them is being written to disk.
 * - `seeding`: every wanted byte has been verified and is under its final name.
 * - `paused`: the user has paused it. `queued`: it waits in the queue.
 * - `error`: it can't continue and says why; resuming it tries again.
 * - `stopping`, `stopped`: it is leaving the session, or has left it.
 */
export type TorrentState =
  | "metadata"
  | "checking"
  | "downloading"
  | "seeding"
  | "paused"
  | "queued"
  | "error"
  | "stopping"
  | "stopped";

/** States that may follow any state except `stopping` and `stopped`. */
const ALWAYS: readonly TorrentState[] = ["paused", "queued", "error", "stopping"];

/** States that may follow each state. */
const NEXT: Readonly<Record<TorrentState, readonly TorrentState[]>> = {
  metadata: ["checking", ...ALWAYS],
  checking: ["downloading", "seeding", ...ALWAYS],
  downloading: ["seeding", "checking", ...ALWAYS],
  seeding: ["downloading", "checking", ...ALWAYS],
  paused: ["metadata", "checking", "downloading", "seeding", ...ALWAYS],
  queued: ["metadata", "checking", "downloading", "seeding", ...ALWAYS],
  error: ["metadata", "checking", ...ALWAYS],
  stopping: ["stopped"],
  stopped: [],
};

/**
 * Returns `true` if a torrent may go from one state to another.
 *
 * @param from Present state.
 * @param to Next state, which is a different one.
 */
export function mayFollow(from: TorrentState, to: TorrentState): boolean {
  return from !== to && NEXT[from].includes(to);
}

/** Returns `true` if a torrent in this state connects to peers and accepts connections. */
export function isActive(state: TorrentState): boolean {
  return state === "metadata" || state === "downloading" || state === "seeding";
}

/** Returns `true` if a torrent in this state has left its session or is about to. */
export function isOver(state: TorrentState): boolean {
  return state === "stopping" || state === "stopped";
}
