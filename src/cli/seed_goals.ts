/**
 * When a transfer has gone on long enough.
 *
 * @module
 */

import { ShoalError } from "../base/errors.ts";
import type { Platform, Timer } from "../platform/platform.ts";
import type { TorrentSnapshot } from "../session/session_events.ts";
import { formatDuration } from "../ui/format.ts";
import type { TorrentLike } from "./engine.ts";

/** Milliseconds between two looks at a torrent. */
const LOOK_MS = 500;
/**
 * Most milliseconds that count as passed between two looks. When they lie further apart, the program was suspended, and
 * nobody should find it gone for having waited too long when it goes on.
 */
const LONGEST_LOOK_MS = 2000;

/** How long to seed; the goal that is reached first counts, and without any there is no end. */
export interface SeedGoal {
  /**
   * Bytes uploaded in this run for each byte of the wanted files, as in Transmission: not for each that was fetched just now, which
   * may be a few after a repair, and none where the data was there.
   */
  readonly ratio?: number;
  /** Seconds after the torrent is complete. */
  readonly seconds?: number;
}

/** How long to wait for something to arrive. */
export interface IdleLimit {
  /** Seconds. */
  readonly seconds: number;
}

/** Something that is waited for. */
export interface Watch<Result> {
  /** Settles when it happens. */
  readonly done: Promise<Result>;
  /** Stops waiting; `done` never settles then. */
  cancel(): void;
}

type Clock = Pick<Platform, "now" | "after">;

/**
 * Waits until a complete torrent has been seeded enough.
 *
 * @param torrent The torrent.
 * @param options `platform`: clock and timers. `goal`: what is enough.
 * @returns Settles when it is; without a goal, never.
 */
export function untilSeeded(
  torrent: TorrentLike,
  options: { readonly platform: Clock; readonly goal: SeedGoal },
): Promise<void> {
  const { platform, goal } = options;
  if (goal.ratio === undefined && goal.seconds === undefined) return new Promise(() => {});
  const { ratio = Infinity, seconds = Infinity } = goal;
  let seeded = 0;
  return look(platform, (passed) => {
    seeded += passed;
    const { uploaded, size } = torrent.snapshot();
    return seeded >= seconds * 1000 || uploaded >= ratio * size ? true : null;
  }).done.then(() => {});
}

/**
 * Waits until nothing has arrived for some time: no byte from a peer, and no progress of a check or of the metadata.
 *
 * @param torrents The torrents; those that are added later count too, those that are complete don't.
 * @param options `platform`: clock and timers. `limit`: how long. `trouble`: what else went wrong lately, if anything.
 * @returns The error to leave with.
 */
export function untilIdle(
  torrents: readonly TorrentLike[],
  options: { readonly platform: Clock; readonly limit: IdleLimit; readonly trouble: () => string | null },
): Watch<ShoalError> {
  const { platform, limit, trouble } = options;
  let seen = "";
  let idle = 0;
  return look(platform, (passed) => {
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
    const nothing = peers === 0 ? "no peer was found" : "nothing arrived";
    const reason = trouble();
    return new ShoalError("timeout", {
      what: "gave up",
      where: open.length === 1 ? open[0]!.name : `${open.length} torrents`,
      why: `${nothing} for ${formatDuration(limit.seconds)}${reason === null ? "" : `; ${reason}`}`,
      hint: "the same command goes on from there",
    });
  });
}

function isOpen(torrent: TorrentSnapshot): boolean {
  return torrent.state === "metadata" || torrent.state === "checking" || torrent.state === "downloading";
}

function arrived(torrent: TorrentSnapshot): string {
  if (torrent.state === "metadata") return `metadata ${torrent.progress}`;
  return torrent.state === "checking" ? `checked ${torrent.progress}` : `${torrent.verified}/${torrent.downloaded}`;
}

/** Looks now and then until there is something to see; `see` is told how many milliseconds passed since the last look. */
function look<Result>(platform: Clock, see: (passed: number) => Result | null): Watch<Result> {
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
