/**
 * Gets the info dictionary of a torrent from several peers at the same time (BEP 9). Decides only: who is asked for which part,
 * and whom to believe.
 *
 * Nobody knows how large it is but the peers, and any of them may lie, about the size and about every part, or say nothing.
 *
 * - A part that was asked for {@linkcode METADATA_HEDGE_MS} ago is asked of one peer more, again and again; the first answer
 *   counts. Who keeps us waiting isn't asked for anything else until it answers, but once in a while.
 * - Peers that name the same size work on one attempt. Attempts for different sizes go on side by side. Each newcomer is asked
 *   for something at once; then those go on that will be complete first at the speed that they have shown.
 * - When the parts of an attempt don't have the right hash together, nobody can tell whose was wrong. From then on every peer
 *   that names this size has an attempt of its own, and is a liar when that is wrong. What it has sent already counts for it.
 *
 * @module
 */

import { type Bytes, concatBytes } from "../../base/bytes.ts";
import {
  MAX_METADATA_ATTEMPTS,
  MAX_METADATA_LIES,
  MAX_METADATA_WINDOW,
  METADATA_AGAIN_MS,
  METADATA_EARLY_MS,
  METADATA_FORGET_MS,
  METADATA_HEDGE_MS,
  METADATA_REFUSAL_MS,
} from "../../base/defences.ts";
import { LruMap } from "../../base/lru_map.ts";
import { networkOf } from "../../base/networks.ts";
import { metadataPartLength } from "../../peer/mod.ts";
import { MetadataAttempt } from "./metadata_attempt.ts";
import type { MetadataBudget } from "./metadata_budget.ts";

/** Parts that a peer is asked for at the same time at first: some clients drop what comes in a burst. */
const FIRST_WINDOW = 2;
/** A part that came within so many milliseconds shows that the peer can take more requests at the same time. */
const QUICK_MS = 1_000;
/** Most milliseconds between two requests to a peer that doesn't answer, and between two to one that turns them down. */
const LONGEST_WAIT_MS = 60_000;
/** Newcomers that are asked for the same part at once, when nobody has given one so far. */
const SIMULTANEOUS = 3;
/** Sizes that were lied about, and addresses of liars, that are remembered; the oldest is forgotten first. */
const MAX_REMEMBERED = 1_000;

/** A peer of which {@linkcode MetadataDownload} knows nothing but where it is. */
export interface MetadataPeer {
  readonly address: { readonly host: string; readonly port: number };
}

/** What came of a part. */
export type MetadataProgress<P> =
  /** It was asked for, perhaps long ago. */
  | { readonly kind: "more" }
  /** It was not asked for. */
  | { readonly kind: "unwanted" }
  | { readonly kind: "done"; readonly info: Bytes }
  /** The parts of several peers were wrong together: everybody should be asked anew. */
  | { readonly kind: "distrust" }
  /** `ban`: nobody is to be heard any more from that address; else others there may be honest. */
  | { readonly kind: "lie"; readonly liar: P; readonly ban: boolean };

/** What is known of a peer. */
interface Helper<P> {
  readonly peer: P;
  readonly key: string;
  readonly network: string;
  readonly size: number;
  attempt: MetadataAttempt;
  /** Parts that it was asked for and nobody gave so far, and when. */
  readonly asked: Map<number, number>;
  /** Parts that it was asked for and others gave. */
  readonly stale: Set<number>;
  /** Answers that may still come to what it was asked before it named another size. */
  forgiven: number;
  /** Parts that it may be asked for at the same time. */
  window: number;
  /** It has given a part. */
  proven: boolean;
  /** Since when an answer is due; `null` while none is. */
  waitingSince: number | null;
  /** When it was asked last. */
  lastAsk: number;
  /** Milliseconds after which it is asked again if it doesn't answer. */
  patience: number;
  /** Not to be asked before. */
  notBefore: number;
  /** Times in a row that it turned us down. */
  refusals: number;
}

/** The download of one info dictionary. */
export class MetadataDownload<P extends MetadataPeer> {
  readonly #isRight: (parts: Iterable<Bytes>) => boolean;
  readonly #budget: MetadataBudget;
  readonly #helpers = new Map<P, Helper<P>>();
  readonly #attempts = new Map<string, MetadataAttempt>();
  /** Sizes for which parts of several peers were wrong together. */
  readonly #distrusted = new LruMap<number, true>(MAX_REMEMBERED);
  readonly #liars = new LruMap<string, true>(MAX_REMEMBERED);
  readonly #lies = new LruMap<string, number>(MAX_REMEMBERED);
  /** Times that attempts came to a halt and lost their memory; in all, and of those that were behind them, by network. */
  failures = 0;
  readonly #failures = new LruMap<string, number>(MAX_REMEMBERED);
  #over = false;

  /**
   * @param options `isRight`: whether a dictionary, in parts, has the hash that it must have. `budget`: where memory comes from.
   */
  constructor(
    options: { readonly isRight: (parts: Iterable<Bytes>) => boolean; readonly budget: MetadataBudget },
  ) {
    this.#isRight = options.isRight;
    this.#budget = options.budget;
  }

  /** Part of the dictionary that is here, 0 to 1, of the attempt that is furthest. */
  get progress(): number {
    let best = 0;
    for (const { here, count } of this.#attempts.values()) best = Math.max(best, here / count);
    return best;
  }

  /**
   * A peer has the dictionary, and says how large it is.
   *
   * @param peer Which.
   * @param size Bytes, 1 to {@linkcode MAX_METADATA}.
   * @param now Milliseconds.
   */
  offered(peer: P, size: number, now: number): void {
    const before = this.#helpers.get(peer);
    const key = `${peer.address.host} ${peer.address.port}`;
    if (before?.size === size || this.#over || this.#liars.has(key)) return;
    if (before) this.left(peer, now);
    const network = networkOf(peer.address.host);
    const attempt = this.#attemptFor(size, { key, network });
    if (attempt.helpers++ > 0) attempt.failures = Math.min(attempt.failures, this.#failures.peek(network) ?? 0);
    this.#helpers.set(peer, {
      peer,
      key,
      network,
      size,
      attempt,
      asked: new Map(),
      stale: new Set(),
      forgiven: before ? before.forgiven + before.asked.size + before.stale.size : 0,
      window: FIRST_WINDOW,
      proven: false,
      waitingSince: null,
      lastAsk: -Infinity,
      patience: METADATA_AGAIN_MS,
      notBefore: -Infinity,
      refusals: 0,
    });
  }

  /** A peer is gone. What it sent is kept for a while: it, or others that name the same size, may come back. */
  left(peer: P, now: number): void {
    const helper = this.#helpers.get(peer);
    if (!helper) return;
    this.#helpers.delete(peer);
    for (const part of helper.asked.keys()) takeBack(helper.attempt, part);
    const { attempt, network } = helper;
    if (attempt.failures > 0) this.#failures.set(network, attempt.failures);
    if (--attempt.helpers > 0) return;
    attempt.orphanedAt = now;
    if (attempt.here === 0) this.#attempts.delete(keyOf(attempt.size, attempt.alone));
  }

  /** Everybody that could give something, in the order in which they should be asked: those first that have given before. */
  order(now: number): P[] {
    this.#forget(now);
    const rank = (helper: Helper<P>) => isLate(helper, now) ? 3 : helper.proven ? 0 : isNew(helper) ? 1 : 2;
    return [...this.#helpers.values()].sort((a, b) => rank(a) - rank(b)).map(({ peer }) => peer);
  }

  /** Those that have let us wait for so long that others should have their places, if others are there. */
  *silent(now: number): Generator<P, void> {
    for (const { peer, waitingSince } of this.#helpers.values()) {
      if (waitingSince !== null && now - waitingSince >= METADATA_AGAIN_MS) yield peer;
    }
  }

  /**
   * What a peer should be asked for now; it counts as asked.
   *
   * @param peer Which.
   * @param now Milliseconds.
   * @returns Parts, from 0; none when it has enough to do, or others are of more promise.
   */
  ask(peer: P, now: number): number[] {
    const helper = this.#helpers.get(peer);
    if (!helper || helper.notBefore > now) return [];
    const { attempt } = helper;
    const place = this.#placeOf(attempt, now);
    const waits = place === "none" || attempt.notBefore > now;
    attempt.park(waits, now);
    if (waits) return [];
    if (isLate(helper, now)) return this.#askAgain(helper, now);
    const window = place === "trial" ? 1 : helper.window;
    const parts: number[] = [];
    for (const isOpen of [isFresh, isOverdue]) {
      for (let part = attempt.low; part < attempt.count && helper.asked.size < window; part++) {
        if (attempt.has(part) || helper.asked.has(part) || !isOpen(attempt, part, { now, proven: helper.proven })) {
          continue;
        }
        this.#noteAsk(helper, part, now);
        parts.push(part);
      }
    }
    if (parts.length > 0 || !isNew(helper)) return parts;
    const tried = leastAsked(attempt, now);
    if (tried === null) return [];
    this.#noteAsk(helper, tried, now);
    return [tried];
  }

  /**
   * A part came.
   *
   * @param peer From whom.
   * @param part Which, from 0.
   * @param options `data`: its bytes; copied. `totalSize`: bytes of the dictionary, if the peer said so again. `now`:
   * milliseconds.
   */
  received(
    peer: P,
    part: number,
    options: { readonly data: Uint8Array; readonly totalSize: number | null; readonly now: number },
  ): MetadataProgress<P> {
    const { data, totalSize, now } = options;
    const helper = this.#helpers.get(peer);
    if (!helper) return { kind: "unwanted" };
    const { attempt } = helper;
    const fits = (totalSize === null || totalSize === attempt.size) &&
      data.length === metadataPartLength(attempt.size, part);
    const asked = helper.asked.get(part);
    if ((asked === undefined && !helper.stale.has(part)) || !fits) {
      if (helper.forgiven > 0) {
        helper.forgiven--;
        return { kind: "more" };
      }
      if (asked === undefined && !helper.stale.has(part)) return { kind: "unwanted" };
      return this.#lied(helper, now);
    }
    this.#answered(helper, part, now);
    if (attempt.has(part) || !attempt.add(part, data, { from: helper.key, now })) return { kind: "more" };
    this.#takeFromOthers(attempt, part);
    if (!attempt.isComplete) return { kind: "more" };
    if (this.#isRight(attempt.bytes())) {
      const info = concatBytes([...attempt.bytes()]);
      this.stop();
      return { kind: "done", info };
    }
    if (attempt.senders.size === 1) return this.#lied(helper, now);
    this.#distrust(attempt, now);
    return { kind: "distrust" };
  }

  /**
   * A peer doesn't give a part.
   *
   * @param peer Which.
   * @param part Which, from 0.
   * @param now Milliseconds.
   */
  rejected(peer: P, part: number, now: number): void {
    const helper = this.#helpers.get(peer);
    if (!helper || (!helper.asked.has(part) && !helper.stale.has(part))) return;
    helper.stale.delete(part);
    if (helper.asked.delete(part)) takeBack(helper.attempt, part);
    helper.waitingSince = helper.asked.size > 0 ? now : null;
    helper.window = 1;
    helper.notBefore = now + Math.min(LONGEST_WAIT_MS, METADATA_REFUSAL_MS * 2 ** Math.min(10, helper.refusals++));
  }

  /** Nothing is needed any more: gives all memory back. */
  stop(): void {
    this.#over = true;
    for (const attempt of this.#attempts.values()) attempt.clear();
    this.#attempts.clear();
    this.#helpers.clear();
  }

  #attemptFor(size: number, { key, network }: { readonly key: string; readonly network: string }): MetadataAttempt {
    const alone = this.#distrusted.has(size) ? key : null;
    const known = this.#attempts.get(keyOf(size, alone));
    if (known) return known;
    const attempt = new MetadataAttempt(size, {
      owner: this,
      failures: this.#failures.peek(network) ?? 0,
      budget: this.#budget,
      alone,
      network: alone === null ? null : network,
    });
    this.#attempts.set(keyOf(size, alone), attempt);
    return attempt;
  }

  /** Who doesn't answer may have lost the request: it is asked for one part, now and then, unless somebody else could give it. */
  #askAgain(helper: Helper<P>, now: number): number[] {
    if (now - helper.lastAsk < helper.patience) return [];
    const { attempt } = helper;
    for (const other of this.#helpers.values()) {
      if (other !== helper && other.attempt === attempt && other.proven && !isLate(other, now)) return [];
    }
    let part = [...helper.asked.keys()].find((number) => !attempt.has(number)) ?? attempt.low;
    if (helper.asked.size === 0) { while (part < attempt.count && attempt.has(part)) part++; }
    if (part >= attempt.count) return [];
    helper.patience = Math.min(LONGEST_WAIT_MS, 2 * helper.patience);
    this.#noteAsk(helper, part, now);
    return [part];
  }

  #noteAsk(helper: Helper<P>, part: number, now: number): void {
    const { attempt } = helper;
    const ask = attempt.asks.get(part) ?? { count: 0, first: now, last: now, lastProven: -Infinity };
    attempt.begin(now);
    if (!helper.asked.has(part)) ask.count++;
    ask.last = now;
    if (helper.proven) ask.lastProven = now;
    attempt.asks.set(part, ask);
    helper.stale.delete(part);
    helper.asked.set(part, now);
    helper.lastAsk = now;
    helper.waitingSince ??= now;
  }

  /** Quick answers let a peer have more to do, late ones less. */
  #answered(helper: Helper<P>, part: number, now: number): void {
    const asked = helper.asked.get(part) ?? helper.waitingSince ?? now;
    if (helper.asked.delete(part)) takeBack(helper.attempt, part);
    helper.stale.delete(part);
    const took = now - asked;
    if (took > METADATA_HEDGE_MS) helper.window = 1;
    else if (took < QUICK_MS) helper.window = Math.min(MAX_METADATA_WINDOW, helper.window + 1);
    helper.patience = Math.min(LONGEST_WAIT_MS, Math.max(METADATA_AGAIN_MS, 4 * took));
    helper.waitingSince = helper.asked.size > 0 ? now : null;
    helper.proven = true;
    helper.refusals = 0;
  }

  /** A part is here: others that were asked for it may still send it, which is no fault of theirs. */
  #takeFromOthers(attempt: MetadataAttempt, part: number): void {
    if (!attempt.asks.has(part)) return;
    attempt.asks.delete(part);
    for (const helper of this.#helpers.values()) {
      if (helper.attempt === attempt && helper.asked.delete(part)) helper.stale.add(part);
    }
  }

  /** From now on each of those that name this size has to deliver all of it alone. */
  #distrust(attempt: MetadataAttempt, now: number): void {
    this.#distrusted.set(attempt.size, true);
    for (const helper of this.#helpers.values()) {
      if (helper.attempt !== attempt) continue;
      const alone = helper.attempt = this.#attemptFor(attempt.size, helper);
      alone.helpers++;
      alone.takeFrom(attempt, helper.key, now);
      for (const [part, at] of helper.asked) {
        alone.asks.set(part, { count: 1, first: at, last: at, lastProven: -Infinity });
      }
    }
    attempt.clear();
    this.#attempts.delete(keyOf(attempt.size, attempt.alone));
  }

  #lied(helper: Helper<P>, now: number): MetadataProgress<P> {
    const { peer, attempt, network } = helper;
    attempt.remove(helper.key);
    this.left(peer, now);
    this.#liars.set(helper.key, true);
    const lies = (this.#lies.peek(network) ?? 0) + 1;
    this.#lies.set(network, lies);
    const neighbours = [...this.#helpers.values()].some((other) => other.network === network);
    // Programs on this machine share one address.
    const many = lies >= MAX_METADATA_LIES && !network.startsWith("127.") && network !== "::1";
    return { kind: "lie", liar: peer, ban: !neighbours || many };
  }

  /**
   * What an attempt may do: only so many go on at the same time, since all but one are in vain. Those that have shown nothing
   * so far get their try beyond that. Those of one address count once: others come before their second.
   */
  #placeOf(attempt: MetadataAttempt, now: number): "work" | "trial" | "none" {
    if (this.#attempts.size <= MAX_METADATA_ATTEMPTS) return "work";
    const working = [...this.#attempts.values()].filter(({ here, helpers }) => here > 0 && helpers > 0);
    if (attempt.here === 0) return working.length < MAX_METADATA_ATTEMPTS ? "work" : "trial";
    const scores = new Map(working.map((one) => [one, one.score(now)]));
    working.sort((a, b) => scores.get(a)! - scores.get(b)!);
    const networks = new Set<string>();
    const [firsts, rest]: [MetadataAttempt[], MetadataAttempt[]] = [[], []];
    for (const one of working) {
      if (one.network !== null && networks.has(one.network)) rest.push(one);
      else firsts.push(one);
      if (one.network !== null) networks.add(one.network);
    }
    return [...firsts, ...rest].indexOf(attempt) < MAX_METADATA_ATTEMPTS ? "work" : "none";
  }

  /** What nobody works on is not kept for ever. */
  #forget(now: number): void {
    for (const [key, attempt] of this.#attempts) {
      if (attempt.helpers > 0 || now - attempt.orphanedAt < METADATA_FORGET_MS) continue;
      attempt.clear();
      this.#attempts.delete(key);
    }
  }
}

function keyOf(size: number, alone: string | null): string {
  return alone === null ? `${size}` : `${size} ${alone}`;
}

/** Whether a peer keeps us waiting. */
function isLate<P>({ waitingSince }: Helper<P>, now: number): boolean {
  return waitingSince !== null && now - waitingSince >= METADATA_HEDGE_MS;
}

/** Whether a peer was never asked for anything. */
function isNew<P>({ lastAsk }: Helper<P>): boolean {
  return lastAsk === -Infinity;
}

/**
 * What a newcomer is asked for when others were asked for everything, none of whom has given anything so far. It may be the only
 * one that would: the more time has passed, the more are asked at the same time.
 */
function leastAsked(attempt: MetadataAttempt, now: number): number | null {
  let best: number | null = null;
  let fewest = Infinity;
  for (const [part, { count, first, lastProven }] of attempt.asks) {
    const most = SIMULTANEOUS + (now - first) / METADATA_EARLY_MS * 2;
    if (attempt.has(part) || lastProven > -Infinity || count >= most || count >= fewest) continue;
    [best, fewest] = [part, count];
  }
  return best;
}

/** Somebody won't give a part after all. */
function takeBack(attempt: MetadataAttempt, part: number): void {
  const ask = attempt.asks.get(part);
  if (ask && --ask.count <= 0) attempt.asks.delete(part);
}

type Asking = { readonly now: number; readonly proven: boolean };

/** Nobody has been asked for a part. */
function isFresh(attempt: MetadataAttempt, part: number): boolean {
  return !attempt.asks.has(part);
}

/** Those who were asked for a part let us wait. Who has given parts before is sooner asked for what others were asked. */
function isOverdue(attempt: MetadataAttempt, part: number, { now, proven }: Asking): boolean {
  const ask = attempt.asks.get(part);
  if (!ask) return true;
  if (!proven) return now - ask.last >= METADATA_HEDGE_MS;
  return now - ask.lastProven >= METADATA_HEDGE_MS && now - ask.first >= METADATA_EARLY_MS;
}
