/**
 * Announce state of one tracker for one torrent: outcome, back-off, pending `completed` and `stopped`.
 *
 * @module
 */

import { redact, secretsIn } from "../base/secrets.ts";
import type { AnnounceReply } from "./announce_reply.ts";
import type { AnnounceProgress } from "./announce_request.ts";
import { retryDelay, SHORTEST_INTERVAL, spacingAfter } from "./announce_schedule.ts";
import type { SwarmCounts, Tracker } from "./tracker.ts";
import type { AnnounceOutcome, TurnState } from "./announce_order.ts";

/** A tracker's successful answer. */
export interface TrackerAnswer {
  /** The reply. */
  readonly reply: AnnounceReply;
  /** `true` if the reply names a peer other than us, or no peers were asked for. */
  readonly helps: boolean;
}

/** Snapshot of a tracker's announce state. */
export interface TrackerStatus {
  /** Announce URL without secrets: of a passkey only the first characters are left, followed by three asterisks. */
  readonly url: string;
  /** Index of the tier, from 0. */
  readonly tier: number;
  /**
   * `announcing`: an announce is under way. `leaving`: `stopped` is being sent. `waiting`: the next announce is
   * scheduled. `idle`: the tracker is used only if others fail, or never.
   */
  readonly state: "announcing" | "leaving" | "waiting" | "idle";
  /** Outcome of the last announce; `null` before the first. `warning` is a success with a message. */
  readonly status: "ok" | "warning" | "error" | null;
  /** Failure reason or warning, safe to print; empty if there is none. */
  readonly message: string;
  /** Number of seeds in the swarm, by the last reply that had it; `null` if unknown. */
  readonly seeders: number | null;
  /** Number of other peers in the swarm, by the last reply that had it; `null` if unknown. */
  readonly leechers: number | null;
  /** Number of peers in the last reply; `null` before the first, and after a failure. */
  readonly peers: number | null;
  /** `true` if the last reply named a peer that isn't ourselves, as far as that can be told. */
  readonly others: boolean;
  /** Milliseconds since the last answer or failure; `null` before the first. */
  readonly answeredAgo: number | null;
  /** Milliseconds until the next announce; `null` unless `state` is `waiting`. */
  readonly nextIn: number | null;
  /** Failures in a row. */
  readonly failures: number;
}

/** Outcome of an announce, for {@linkcode AnnouncedTracker.status}. */
export type LastOutcome = Pick<TrackerStatus, "status" | "message" | "peers" | "others">;

const NO_OUTCOME: LastOutcome = { status: null, message: "", peers: null, others: false };

/** What {@linkcode AnnouncedTracker.status} has to know from its caller. */
export interface TrackerPlacement {
  /** Index of the tier, from 0. */
  readonly tier: number;
  /** When the next announce is due, in milliseconds; `Infinity` if unknown. */
  readonly next: number;
}

/** Deadline by which payload must arrive after a reply with peers, and the bytes received before it. */
interface Trial {
  readonly until: number;
  readonly received: number;
}

/** A tracker, with its announce state for one torrent. */
export class AnnouncedTracker implements TurnState {
  /** The tracker itself. */
  readonly tracker: Tracker;
  readonly holdsUp: number;
  outcome: AnnounceOutcome = "none";
  always = false;
  /** Test whether the peers of the last reply send payload; `null` if none is running. */
  trial: Trial | null = null;
  due = -Infinity;
  /** Earliest time to which `needPeers()` may bring the next announce forward. */
  earliest = -Infinity;
  /** `true` if the tracker has accepted an announce: `started` is done, and `stopped` must be sent when we leave. */
  knowsUs = false;
  /** State of the `completed` event. */
  completion: "none" | "owed" | "told" = "none";
  /** `true` if the tracker was added to a running torrent and hasn't been announced to yet. */
  isNew = false;
  /** Settles when `stopped` was sent or timed out, before which `started` can't be sent; `null` if not leaving. */
  farewell: Promise<void> | null = null;
  /** The announce that is under way. */
  run: Promise<void> = Promise.resolve();
  /** Aborts that announce. */
  giveUp = new AbortController();
  #talkingSince: number | null = null;
  #leavingSince: number | null = null;
  /** Byte counts at the first announce, which are subtracted from those that the tracker is told. */
  #base: Pick<AnnounceProgress, "uploaded" | "downloaded"> | null = null;
  #failures = 0;
  #last: LastOutcome | null = null;
  #counts: SwarmCounts = { seeders: null, leechers: null };
  #answeredAt = 0;
  /** The URL without secrets. Kept, because removing them takes long, and status() is called often. */
  #shownUrl: string | null = null;
  /** `true` if our port changed during the announce that is under way. */
  #moved = false;
  /** When the tracker last accepted an announce. */
  #acceptedAt = -Infinity;
  /** Until this time, no further announce is sent before the tracker's minimum interval is over. */
  #patientUntil = -Infinity;

  /**
   * @param tracker The tracker.
   * @param timeout Milliseconds for a reply, if not the tracker's own timeout.
   */
  constructor(tracker: Tracker, timeout: number = Infinity) {
    this.tracker = tracker;
    this.holdsUp = Math.min(tracker.failoverDelay, timeout);
  }

  get askedAt(): number | null {
    return this.#leavingSince ?? this.#talkingSince;
  }

  get urgent(): boolean {
    return this.isNew || (this.completion === "owed" && this.knowsUs);
  }

  /** Returns `true` while an announce is under way, which must end before `stopped` is sent. */
  get isTalking(): boolean {
    return this.#talkingSince !== null;
  }

  /**
   * Treats the last reply as empty if none of its peers has sent payload in time, so that the next tracker is asked.
   *
   * @param now Milliseconds.
   * @param received Returns the payload bytes received so far, or `null` if nothing more is wanted.
   * @returns When to call this again; `Infinity` if nothing is left to test.
   */
  checkTrial(now: number, received: () => number | null): number {
    if (this.trial === null) return Infinity;
    if (now < this.trial.until) return this.trial.until;
    if (this.outcome === "peers" && received() === this.trial.received) this.outcome = "empty";
    this.trial = null;
    return Infinity;
  }

  /** Called when an announce begins. */
  begin(now: number): void {
    this.trial = null;
    this.isNew = false;
    this.#talkingSince = this.due = now;
    this.giveUp = new AbortController();
  }

  /** Called when an announce ends. */
  end(): void {
    this.#talkingSince = null;
  }

  /** Called with a successful answer. */
  answered(now: number, { reply, helps }: TrackerAnswer): void {
    const { regular, earliest } = spacingAfter(reply);
    this.knowsUs = true;
    this.outcome = helps ? "peers" : "empty";
    this.#failures = 0;
    this.earliest = now + earliest;
    this.due = now + regular;
    this.#acceptedAt = now;
    if (this.#moved) this.#hurry(now);
    this.#moved = false;
  }

  /**
   * Called when our external port changes. Brings the next announce forward, except during the back-off after a failure
   * and before the first announce.
   */
  move(now: number): void {
    if (this.isTalking) this.#moved = true;
    else if (this.outcome === "peers" || this.outcome === "empty") this.#hurry(now);
  }

  /**
   * Brings the next announce forward, even before the tracker's minimum interval is over, as other events do. This
   * happens only once in an interval, so that a router which keeps changing ports doesn't make us flood the tracker.
   */
  #hurry(now: number): void {
    const soon = now < this.#patientUntil ? this.earliest : this.#acceptedAt + SHORTEST_INTERVAL;
    this.#patientUntil = Math.max(this.#patientUntil, this.earliest);
    this.due = Math.min(this.due, Math.max(now, soon));
  }

  /** Called when an announce has failed. */
  failed(now: number, random: number): void {
    this.outcome = "failed";
    this.due = Math.max(now + retryDelay(++this.#failures, random), this.tracker.retryAt);
  }

  /** Records the outcome of an announce for {@linkcode AnnouncedTracker.status}. */
  note(now: number, last: LastOutcome, counts?: SwarmCounts): void {
    // Trackers quote an unknown passkey.
    this.#last = { ...last, message: redact(last.message, secretsIn(this.tracker.url)) };
    this.#answeredAt = now;
    if (counts) this.#counts = counts;
  }

  /** Records the counts of a scrape. */
  counted(counts: SwarmCounts): void {
    this.#counts = counts;
  }

  /**
   * Returns the byte counts to announce, which start at the first `started` (BEP 3).
   *
   * @param progress Byte counts of the torrent.
   */
  progressSinceStart(progress: AnnounceProgress): AnnounceProgress {
    this.#base ??= { uploaded: progress.uploaded, downloaded: progress.downloaded };
    return {
      ...progress,
      uploaded: Math.max(0, progress.uploaded - this.#base.uploaded),
      downloaded: Math.max(0, progress.downloaded - this.#base.downloaded),
    };
  }

  /**
   * Called when we begin to leave the tracker.
   *
   * @param now Milliseconds.
   * @param farewell Settles when `stopped` has been sent or time is up; never rejects.
   */
  leave(now: number, farewell: Promise<void>): void {
    this.#leavingSince = now;
    this.farewell = farewell;
  }

  /**
   * Called when `stopped` has been sent or the time for it is up. If the torrent is started again, the tracker sees a
   * new client, which may announce at once.
   */
  reset(): void {
    this.giveUp.abort();
    this.#leavingSince =
      this.#talkingSince =
      this.farewell =
      this.trial =
      this.#base =
        null;
    this.knowsUs = this.#moved = false;
    this.outcome = "none";
    this.#failures = 0;
    this.due = this.tracker.retryAt;
    this.earliest = -Infinity;
  }

  /**
   * Returns a snapshot of the state.
   *
   * @param now Milliseconds.
   * @param placement See {@linkcode TrackerPlacement}.
   */
  status(now: number, { tier, next }: TrackerPlacement): TrackerStatus {
    const { url } = this.tracker;
    const { status, message, peers, others } = this.#last ?? NO_OUTCOME;
    const state = this.#leavingSince !== null
      ? "leaving"
      : this.#talkingSince !== null
      ? "announcing"
      : next < Infinity
      ? "waiting"
      : "idle";
    return {
      url: this.#shownUrl ??= redact(url),
      tier,
      state,
      status,
      message,
      ...this.#counts,
      peers,
      others,
      answeredAgo: this.#last && now - this.#answeredAt,
      nextIn: state === "waiting" ? Math.max(0, next - now) : null,
      failures: this.#failures,
    };
  }
}
