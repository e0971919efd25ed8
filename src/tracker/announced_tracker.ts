/**
 * A tracker of one torrent, and how it went with it.
 *
 * @module
 */

import { redact, secretsIn } from "../base/secrets.ts";
import type { AnnounceReply } from "./announce_reply.ts";
import type { AnnounceProgress } from "./announce_request.ts";
import { retryDelay, SHORTEST_INTERVAL, spacingAfter } from "./announce_schedule.ts";
import type { SwarmCounts, Tracker } from "./tracker.ts";
import type { Outcome, TurnState } from "./announce_order.ts";

/** What a tracker answered, and whether it named anybody. */
export interface TrackerAnswer {
  /** The answer. */
  readonly reply: AnnounceReply;
  /** Whether it named somebody but us, or was asked for nobody. */
  readonly helps: boolean;
}

/** A tracker as it looks at one moment. */
export interface TrackerStatus {
  /** Announce URL without its secrets: of passkeys only the first characters are there, and three asterisks. */
  readonly url: string;
  /** Which tier it is in, from 0 on. */
  readonly tier: number;
  /**
   * `announcing`: it is being asked. `leaving`: it is being told that we leave. `waiting`: it is asked again by itself. `idle`: it is
   * asked only if others fail, or never.
   */
  readonly state: "announcing" | "leaving" | "waiting" | "idle";
  /** How the last announce went; `null` before there was an answer. With `warning` it has something to say. */
  readonly status: "ok" | "warning" | "error" | null;
  /** Failure or warning, safe to print; empty when there is none. */
  readonly message: string;
  /** Seeds in the swarm as it said last; `null` when it didn't. */
  readonly seeders: number | null;
  /** Other peers in the swarm as it said last; `null` when it didn't. */
  readonly leechers: number | null;
  /** How many peers it named the last time; `null` before it answered. */
  readonly peers: number | null;
  /** Milliseconds since its last answer, or since it was known that there is none; `null` before. */
  readonly answeredAgo: number | null;
  /** Milliseconds until it is asked next; `null` unless `state` is `waiting`. */
  readonly nextIn: number | null;
  /** Announces in a row that failed. */
  readonly failures: number;
}

/** Until when somebody whom a tracker named has to have sent us something, and what we had before. */
interface Trial {
  readonly until: number;
  readonly received: number;
}

/** A tracker, and how it went with it. */
export class AnnouncedTracker implements TurnState {
  /** The tracker. */
  readonly tracker: Tracker;
  readonly holdsUp: number;
  outcome: Outcome = "none";
  /** What the peers of its last answer have yet to show; `null` when that is over. */
  trial: Trial | null = null;
  due = -Infinity;
  /** When `needPeers()` may bring the next announce forward to. */
  earliest = -Infinity;
  /** Whether it has accepted an announce, so that `started` is done and `stopped` is owed. */
  knowsUs = false;
  /** Whether it is to be told that we are complete. */
  completion: "none" | "owed" | "told" = "none";
  /** Whether it was added while others were at work, and is yet to be asked. */
  isNew = false;
  /** What it is being told as we leave; `null` when it isn't. While it is, it can't be told that we are back. */
  farewell: Promise<void> | null = null;
  /** The conversation that is under way, and what ends it early. */
  run: Promise<void> = Promise.resolve();
  giveUp = new AbortController();
  #talkingSince: number | null = null;
  #leavingSince: number | null = null;
  /** What had been transferred when it was first told that we started. */
  #base: Pick<AnnounceProgress, "uploaded" | "downloaded"> | null = null;
  #failures = 0;
  #last: Pick<TrackerStatus, "status" | "message" | "peers"> | null = null;
  #counts: SwarmCounts = { seeders: null, leechers: null };
  #answeredAt = 0;
  /** Whether our port changed while it was being asked. */
  #moved = false;
  /** When it accepted an announce last. */
  #acceptedAt = -Infinity;
  /** Until then it isn't asked once more out of turn. */
  #patientUntil = -Infinity;

  /**
   * @param tracker The tracker.
   * @param timeout Milliseconds that it has to answer, when that isn't its own.
   */
  constructor(tracker: Tracker, timeout: number = Infinity) {
    this.tracker = tracker;
    this.holdsUp = Math.min(tracker.holdsUp, timeout);
  }

  get askedAt(): number | null {
    return this.#leavingSince ?? this.#talkingSince;
  }

  get urgent(): boolean {
    return this.isNew || (this.completion === "owed" && this.knowsUs);
  }

  /** Whether a conversation is under way, the end of which is to be waited for before it is told that we leave. */
  get isTalking(): boolean {
    return this.#talkingSince !== null;
  }

  /**
   * Peers from whom nothing came are worth as much as none, so that it isn't the last tracker that is asked.
   *
   * @returns When to look at them; `Infinity` when that is over.
   */
  prove(now: number, received: () => number | null): number {
    if (this.trial === null) return Infinity;
    if (now < this.trial.until) return this.trial.until;
    if (this.outcome === "peers" && received() === this.trial.received) this.outcome = "empty";
    this.trial = null;
    return Infinity;
  }

  /** A conversation begins. */
  begin(now: number): void {
    this.trial = null;
    this.isNew = false;
    this.#talkingSince = this.due = now;
    this.giveUp = new AbortController();
  }

  /** The conversation is over. */
  end(): void {
    this.#talkingSince = null;
  }

  /** It answered. */
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

  /** Our port is another one: brings the next announce forward, unless it is left to its back-off, or its first is yet to come. */
  move(now: number): void {
    if (this.isTalking) this.#moved = true;
    else if (this.outcome === "peers" || this.outcome === "empty") this.#hurry(now);
  }

  /**
   * That may be before the tracker's minimal interval is over, as with any other event, but only once within one: a router is not
   * to have us hammer trackers.
   */
  #hurry(now: number): void {
    const soon = now < this.#patientUntil ? this.earliest : this.#acceptedAt + SHORTEST_INTERVAL;
    this.#patientUntil = Math.max(this.#patientUntil, this.earliest);
    this.due = Math.min(this.due, Math.max(now, soon));
  }

  /** It didn't answer, or said no. */
  failed(now: number, random: number): void {
    this.outcome = "failed";
    this.due = Math.max(now + retryDelay(++this.#failures, random), this.tracker.retryAt);
  }

  /** Takes note of what an announce brought, for those who want to see it. */
  note(now: number, last: Pick<TrackerStatus, "status" | "message" | "peers">, counts?: SwarmCounts): void {
    this.#last = last;
    this.#answeredAt = now;
    if (counts) this.#counts = counts;
  }

  /** It told by a scrape how many peers there are. */
  counted(counts: SwarmCounts): void {
    this.#counts = counts;
  }

  /**
   * Sums as it is to hear them: since it was first told that we started (BEP 3).
   *
   * @param progress Those of the torrent.
   */
  sums(progress: AnnounceProgress): AnnounceProgress {
    this.#base ??= { uploaded: progress.uploaded, downloaded: progress.downloaded };
    return {
      ...progress,
      uploaded: Math.max(0, progress.uploaded - this.#base.uploaded),
      downloaded: Math.max(0, progress.downloaded - this.#base.downloaded),
    };
  }

  /**
   * We leave it.
   *
   * @param now Milliseconds.
   * @param farewell What it is being told; never rejects.
   */
  leave(now: number, farewell: Promise<void>): void {
    this.#leavingSince = now;
    this.farewell = farewell;
  }

  /** It has been told that we left, or given time for it: should we come back, we are somebody new, who may ask at once. */
  left(): void {
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
   * What it looks like.
   *
   * @param now Milliseconds.
   * @param place `tier`: where it is. `next`: when it is asked next; `Infinity` when that isn't known.
   */
  status(now: number, { tier, next }: { readonly tier: number; readonly next: number }): TrackerStatus {
    const { url } = this.tracker;
    const { status, message, peers } = this.#last ?? { status: null, message: "", peers: null };
    const state = this.#leavingSince !== null
      ? "leaving"
      : this.#talkingSince !== null
      ? "announcing"
      : next < Infinity
      ? "waiting"
      : "idle";
    return {
      url: redact(url),
      tier,
      state,
      status,
      message: redact(message, secretsIn(url)), // trackers say which passkey they don't know
      ...this.#counts,
      peers,
      answeredAgo: this.#last && now - this.#answeredAt,
      nextIn: state === "waiting" ? Math.max(0, next - now) : null,
      failures: this.#failures,
    };
  }
}
