/**
 * Decides when to end a transfer: after a seeding goal (`--seed-ratio`, `--seed-time`), or after a time without
 * progress (`--timeout`).
 *
 * @module
 */

import { ShoalError } from "../base/errors.ts";
import type { Platform, Timer } from "../platform/platform.ts";
import type { TorrentSnapshot } from "../session/session_events.ts";
import { formatDuration } from "../ui/format.ts";
import type { TorrentLike } from "./engine.ts";

/** Milliseconds between two checks of a torrent. */
const LOOK_MS = 500;
/**
 * Most milliseconds that count as elapsed between two checks. A longer interval means that the program was suspended,
 * and suspended time must not count towards a timeout.
 */
const LONGEST_LOOK_MS = 2000;

/** How long to seed. Seeding ends when the first goal is reached; without a goal, it doesn't end. */
export interface SeedGoal {
  /**
   * Bytes to upload in this run for each byte of the wanted files, as in Transmission. Downloaded bytes don't count:
   * after a repair they may be few, and there are none if the data was there already.
   */
  readonly ratio?: number;
  /** Seconds to seed after the torrent is complete. */
  readonly seconds?: number;
}

/** How long to wait for progress. */
export interface IdleLimit {
  /** Seconds without progress. */
  readonly seconds: number;
}

/** A wait for a condition. */
export interface Watch<Result> {
  /** Resolves when the condition holds. */
  readonly done: Promise<Result>;
  /** Stops waiting. `done` never settles then. */
  cancel(): void;
}

type Clock = Pick<Platform, "now" | "after">;

/** Options for {@linkcode untilSeeded}. */
export interface UntilSeededOptions {
  /** Clock and timers. */
  readonly platform: Clock;
  /** When to stop seeding. */
  readonly goal: SeedGoal;
}

/**
 * Waits until a complete torrent has reached its seeding goal.
 *
 * @param torrent The torrent.
 * @param options See {@linkcode UntilSeededOptions}.
 * @returns A promise that resolves when the goal is reached, and never without a goal.
 */
export function untilSeeded(torrent: TorrentLike, options: UntilSeededOptions): Promise<void> {
  const { platform, goal } = options;
  if (goal.ratio === undefined && goal.seconds === undefined) return new Promise(() => {});
  const { ratio = Infinity, seconds = Infinity } = goal;
  let seeded = 0;
  return poll(platform, (passed) => {
    seeded += passed;
    const { uploaded, size } = torrent.snapshot();
    return seeded >= seconds * 1000 || uploaded >= ratio * size ? true : null;
  }).done.then(() => {});
}

/** Options for {@linkcode untilIdle}. */
export interface UntilIdleOptions {
  /** Clock and timers. */
  readonly platform: Clock;
  /** How long to wait. */
  readonly limit: IdleLimit;
  /**
   * Returns the latest problem, as a possible reason; `null` if there is none. With `trackers` unset, problems with
   * trackers don't count, since the torrents' own reasons contain them.
   */
  readonly trouble: (of: { readonly trackers: boolean }) => string | null;
}

/**
 * Waits until there has been no progress for some time: no byte from a peer, and no progress of a check or of metadata.
 *
 * @param torrents The torrents. Torrents that are added to the array later count too; complete torrents don't.
 * @param options See {@linkcode UntilIdleOptions}.
 * @returns A wait for the error to exit with.
 */
export function untilIdle(torrents: readonly TorrentLike[], options: UntilIdleOptions): Watch<ShoalError> {
  const { platform, limit, trouble } = options;
  let seen = "";
  let idle = 0;
  return poll(platform, (passed) => {
    idle += passed;
    const open = torrents.map((torrent) => torrent.snapshot()).filter(isOpen);
    const now = open.map(arrived).join(" ");
    if (now !== seen || (open.length === 0 && torrents.length > 0)) {
      seen = now;
      idle = 0;
      return null;
    }
    if (idle < limit.seconds * 1000) return null;
    const peers = open.reduce((sum, { peerCount }) => sum + peerCount, 0);
    const waiting = waitingOf(open);
    const nothing = peers === 0 && waiting === null ? "no peer was found" : "nothing arrived";
    const reason = [waiting, trouble({ trackers: waiting === null })].filter((text) => text !== null).join("; ");
    return new ShoalError("timeout", {
      what: "gave up",
      where: open.length === 1 ? open[0]!.name : `${open.length} torrents`,
      why: `${nothing} for ${formatDuration(limit.seconds)}${reason === "" ? "" : `; ${reason}`}`,
      hint: "the same command goes on from there",
    });
  });
}

/** Returns why the torrents wait; `null` if they don't say. Of several torrents, the first one that says something. */
function waitingOf(torrents: readonly TorrentSnapshot[]): string | null {
  const first = torrents.find(({ waiting }) => waiting !== null);
  if (first === undefined) return null;
  return torrents.length === 1 ? first.waiting : `${first.name}: ${first.waiting}`;
}

function isOpen(torrent: TorrentSnapshot): boolean {
  // Complete data may still have to be moved to its folder, which the network can't hold up.
  if (torrent.state === "downloading" && torrent.progress === 1) return false;
  return torrent.state === "metadata" || torrent.state === "checking" || torrent.state === "downloading";
}

function arrived(torrent: TorrentSnapshot): string {
  if (torrent.state === "metadata") return `metadata ${torrent.progress}`;
  return torrent.state === "checking" ? `checked ${torrent.progress}` : `${torrent.verified}/${torrent.downloaded}`;
}

/** Checks periodically until `see` returns a result. `see` gets the milliseconds since the last check. */
function poll<Result>(platform: Clock, see: (passed: number) => Result | null): Watch<Result> {
  let timer: Timer | undefined;
  let last = platform.now();
  const done = new Promise<Result>((resolve) => {
    const again = (): void => {
      const now = platform.now();
      const seen = see(Math.min(now - last, LONGEST_LOOK_MS));
      last = now;
      if (seen === null) timer = platform.after(LOOK_MS, again);
      else resolve(seen);
    };
    again();
  });
  return { done, cancel: () => timer?.cancel() };
}
