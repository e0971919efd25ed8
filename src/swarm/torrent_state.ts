/**
 * What a torrent is doing, and what it may do next.
 *
 * @module
 */

/**
 * What a torrent is doing, as one value:
 *
 * - `metadata`: it looks for what its magnet link stands for.
 * - `checking`: it finds out what is on disk.
 * - `downloading`: wanted pieces are missing, or the last of them is on its way to the disk.
 * - `seeding`: every wanted byte is verified and under its final name.
 * - `paused`: the user has it wait. `queued`: the queue has it wait.
 * - `error`: it can't go on and says why; resuming it tries again.
 * - `stopping`, `stopped`: it leaves the session, or has left it.
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

/** What a torrent that exists may do at any time. */
const ALWAYS: readonly TorrentState[] = ["paused", "queued", "error", "stopping"];

/** What may follow each state. */
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
 * @param from What it is doing.
 * @param to What it is to do, something else.
 */
export function mayFollow(from: TorrentState, to: TorrentState): boolean {
  return from !== to && NEXT[from].includes(to);
}

/** Returns `true` if a torrent in this state connects to peers and takes connections. */
export function isActive(state: TorrentState): boolean {
  return state === "metadata" || state === "downloading" || state === "seeding";
}

/** Returns `true` if a torrent in this state has left its session or is about to. */
export function isOver(state: TorrentState): boolean {
  return state === "stopping" || state === "stopped";
}
