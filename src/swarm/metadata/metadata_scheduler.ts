/**
 * Downloads the info dictionary of a torrent from several peers at the same time (BEP 9). This module decides which
 * peer is asked for which part, and which peers are believed.
 *
 * Only the peers know how large the dictionary is, and any of them may lie about the size and about each part, or say
 * nothing.
 *
 * - A part that hasn't arrived {@linkcode METADATA_HEDGE_MS} after its request is requested from one more peer, again
 *   and again; the first answer counts. A peer that keeps us waiting isn't asked for anything else until it answers,
 *   except once in a while.
 * - Peers that name the same size work on one attempt. Attempts for different sizes run side by side. Each new peer is
 *   asked for something at once; after that the attempts go on that will be complete first at the speed that they have
 *   shown.
 * - If the parts of an attempt don't have the right hash together, it is unknown whose part was wrong. From then on
 *   every peer that names this size has an attempt of its own, and is a liar if that one is wrong. The parts that it
 *   has sent already count.
 *
 * @module
 */

import { type Bytes, concatBytes } from "../../base/bytes.ts";
import {
  MAX_METADATA_ATTEMPTS,
  MAX_METADATA_WINDOW,
  MAX_WRONG_METADATA,
  METADATA_AGAIN_MS,
  METADATA_EARLY_MS,
  METADATA_FORGET_MS,
  METADATA_HEDGE_MS,
  METADATA_REFUSAL_MS,
} from "../../base/defences.ts";
import { LruMap } from "../../base/lru_map.ts";
import { networkOf } from "../../base/networks.ts";
import { metadataPartLength } from "../../peer/mod.ts";
import { MetadataAssembly } from "./metadata_assembly.ts";
import type { MetadataBudget } from "./metadata_budget.ts";

/** Parts that are requested from a peer at once at first. Some clients drop requests that arrive in a burst. */
const FIRST_WINDOW = 2;
/** A peer that sends a part within this many milliseconds can take more requests at the same time. */
const QUICK_MS = 1_000;
/** Longest time in milliseconds between two requests to a peer that doesn't answer or rejects its requests. */
const LONGEST_WAIT_MS = 60_000;
/** New peers that are asked for the same part at once while no peer has sent one. */
const SIMULTANEOUS = 3;
/** Sizes that were lied about, and addresses of liars, that are remembered; the oldest is forgotten first. */
const MAX_REMEMBERED = 1_000;

/** A peer, of which {@linkcode MetadataScheduler} needs only the address. */
export interface MetadataPeer {
  readonly address: { readonly host: string; readonly port: number };
}

/** Result of a part. */
export type MetadataProgress<P> =
  /** The part had been requested, perhaps long ago. */
  | { readonly kind: "more" }
  /** The part had not been requested. */
  | { readonly kind: "unwanted" }
  | { readonly kind: "done"; readonly info: Bytes }
  /** The parts of several peers were wrong together. All peers should be asked again. */
  | { readonly kind: "distrust" }
  /** The peer sent wrong data. Without `ban`, other peers at the address may be honest, so that it isn't banned. */
  | { readonly kind: "lie"; readonly liar: P; readonly ban: boolean };

/** What is known about a peer. */
interface Helper<P> {
  readonly peer: P;
  readonly key: string;
  readonly network: string;
  readonly size: number;
  attempt: MetadataAssembly;
  /** When parts were requested from the peer that no peer has sent so far, in milliseconds. */
  readonly asked: Map<number, number>;
  /** Parts that were requested from the peer and that other peers have sent. */
  readonly stale: Set<number>;
  /** Answers that may still come to requests that were made before the peer named another size. */
  forgiven: number;
  /** Parts that may be requested at the same time. */
  window: number;
  /** Whether the peer has sent a part. */
  proven: boolean;
  /** Since when an answer is due, in milliseconds; `null` while none is. */
  waitingSince: number | null;
  /** When the last request was made, in milliseconds. */
  lastAsk: number;
  /** Milliseconds after which the peer is asked again if it doesn't answer. */
  patience: number;
  /** The peer isn't asked before this time in milliseconds. */
  notBefore: number;
  /** Number of rejects in a row. */
  refusals: number;
}

/** Options for {@linkcode MetadataScheduler}. */
export interface MetadataSchedulerOptions {
  /** Returns `true` if a dictionary, given in parts, has the right hashes. The parts can be read once for each hash. */
  readonly isRight: (parts: Iterable<Bytes>) => boolean;
  /** Source of memory. */
  readonly budget: MetadataBudget;
}

/** Options for {@linkcode MetadataScheduler.received}. */
export interface ReceivedPartOptions {
  /** Bytes of the part; copied. */
  readonly data: Uint8Array;
  /** Bytes of the dictionary as stated with the part; `null` if the peer didn't say. */
  readonly totalSize: number | null;
  /** Current time in milliseconds. */
  readonly now: number;
}

/** The download of one info dictionary. */
export class MetadataScheduler<P extends MetadataPeer> {
  readonly #isRight: (parts: Iterable<Bytes>) => boolean;
  readonly #budget: MetadataBudget;
  readonly #helpers = new Map<P, Helper<P>>();
  readonly #attempts = new Map<string, MetadataAssembly>();
  /** Sizes for which the parts of several peers were wrong together. */
  readonly #distrusted = new LruMap<number, true>(MAX_REMEMBERED);
  readonly #liars = new LruMap<string, true>(MAX_REMEMBERED);
  readonly #lies = new LruMap<string, number>(MAX_REMEMBERED);
  /** Number of attempts that stalled and lost their memory. */
  failures = 0;
  /** The failures of the attempts that a network's peers worked on. */
  readonly #failures = new LruMap<string, number>(MAX_REMEMBERED);
  #over = false;

  constructor(options: MetadataSchedulerOptions) {
    this.#isRight = options.isRight;
    this.#budget = options.budget;
  }

  /** The part of the dictionary that has been received, 0 to 1, of the most advanced attempt. */
  get progress(): number {
    let best = 0;
    for (const { here, count } of this.#attempts.values()) best = Math.max(best, here / count);
    return best;
  }

  /**
   * Adds a peer that has the dictionary and says how large it is.
   *
   * @param size Bytes of the dictionary, 1 to {@linkcode MAX_METADATA}.
   * @param now Current time in milliseconds.
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

  /** Removes a peer. Its parts are kept for a while: it, or peers that name the same size, may come back. */
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

  /** Returns the peers in the order in which they should be asked; the ones that have sent parts come first. */
  order(now: number): P[] {
    this.#forget(now);
    const rank = (helper: Helper<P>) => isLate(helper, now) ? 3 : helper.proven ? 0 : isNew(helper) ? 1 : 2;
    return [...this.#helpers.values()].sort((a, b) => rank(a) - rank(b)).map(({ peer }) => peer);
  }

  /** Yields the peers that have kept us waiting for so long that other peers should get their places. */
  *silent(now: number): Generator<P, void> {
    for (const { peer, waitingSince } of this.#helpers.values()) {
      if (waitingSince !== null && now - waitingSince >= METADATA_AGAIN_MS) yield peer;
    }
  }

  /**
   * Returns the parts to request from a peer now, which count as requested; none if the peer has enough to do or other
   * peers are more promising.
   *
   * @param now Current time in milliseconds.
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
   * Handles a part.
   *
   * @param peer The sender.
   * @param part Part number, from 0.
   */
  received(peer: P, part: number, options: ReceivedPartOptions): MetadataProgress<P> {
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
    if (this.#isRight({ [Symbol.iterator]: () => attempt.bytes() })) {
      const info = concatBytes([...attempt.bytes()]);
      this.stop();
      return { kind: "done", info };
    }
    if (attempt.senders.size === 1) return this.#lied(helper, now);
    this.#distrust(attempt, now);
    return { kind: "distrust" };
  }

  /**
   * Handles the reject of a part.
   *
   * @param peer The sender.
   * @param part Part number, from 0.
   * @param now Current time in milliseconds.
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

  /** Ends the download and frees all memory. */
  stop(): void {
    this.#over = true;
    for (const attempt of this.#attempts.values()) attempt.clear();
    this.#attempts.clear();
    this.#helpers.clear();
  }

  #attemptFor(size: number, { key, network }: { readonly key: string; readonly network: string }): MetadataAssembly {
    const alone = this.#distrusted.has(size) ? key : null;
    const known = this.#attempts.get(keyOf(size, alone));
    if (known) return known;
    const attempt = new MetadataAssembly(size, {
      owner: this,
      failures: this.#failures.peek(network) ?? 0,
      budget: this.#budget,
      alone,
      network: alone === null ? null : network,
    });
    this.#attempts.set(keyOf(size, alone), attempt);
    return attempt;
  }

  /** Repeats a request, now and then, to a peer that may have lost it, unless another peer could send the part. */
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

  /** Notes an answer. A quick one lets the peer have more requests, a late one fewer. */
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

  /** Forgets the requests for a part that has been received. Other peers may still send it without blame. */
  #takeFromOthers(attempt: MetadataAssembly, part: number): void {
    if (!attempt.asks.has(part)) return;
    attempt.asks.delete(part);
    for (const helper of this.#helpers.values()) {
      if (helper.attempt === attempt && helper.asked.delete(part)) helper.stale.add(part);
    }
  }

  /** Gives each peer that names this size an attempt of its own. */
  #distrust(attempt: MetadataAssembly, now: number): void {
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
    // All programs on this machine share one address.
    const many = lies >= MAX_WRONG_METADATA && !network.startsWith("127.") && network !== "::1";
    return { kind: "lie", liar: peer, ban: !neighbours || many };
  }

  /**
   * Returns what an attempt may do. Only a few attempts run at the same time, since all but one are in vain; an attempt
   * without a part yet gets a trial beyond that. The attempts of one network count once: other networks come before its
   * second attempt.
   */
  #placeOf(attempt: MetadataAssembly, now: number): "work" | "trial" | "none" {
    if (this.#attempts.size <= MAX_METADATA_ATTEMPTS) return "work";
    const working = [...this.#attempts.values()].filter(({ here, helpers }) => here > 0 && helpers > 0);
    if (attempt.here === 0) return working.length < MAX_METADATA_ATTEMPTS ? "work" : "trial";
    const scores = new Map(working.map((one) => [one, one.score(now)]));
    working.sort((a, b) => scores.get(a)! - scores.get(b)!);
    const networks = new Set<string>();
    const [firsts, rest]: [MetadataAssembly[], MetadataAssembly[]] = [[], []];
    for (const one of working) {
      if (one.network !== null && networks.has(one.network)) rest.push(one);
      else firsts.push(one);
      if (one.network !== null) networks.add(one.network);
    }
    return [...firsts, ...rest].indexOf(attempt) < MAX_METADATA_ATTEMPTS ? "work" : "none";
  }

  /** Drops attempts that no peer has worked on for a while. */
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

/** Returns `true` if a peer keeps us waiting. */
function isLate<P>({ waitingSince }: Helper<P>, now: number): boolean {
  return waitingSince !== null && now - waitingSince >= METADATA_HEDGE_MS;
}

/** Returns `true` if nothing has been requested from a peer. */
function isNew<P>({ lastAsk }: Helper<P>): boolean {
  return lastAsk === -Infinity;
}

/**
 * Returns a part for a new peer when every part has been requested from others and none of them has sent any. The new
 * peer may be the only one that would; the longer it takes, the more peers are asked at the same time.
 */
function leastAsked(attempt: MetadataAssembly, now: number): number | null {
  let best: number | null = null;
  let fewest = Infinity;
  for (const [part, { count, first, lastProven }] of attempt.asks) {
    const most = SIMULTANEOUS + (now - first) / METADATA_EARLY_MS * 2;
    if (attempt.has(part) || lastProven > -Infinity || count >= most || count >= fewest) continue;
    [best, fewest] = [part, count];
  }
  return best;
}

/** Notes that a peer won't send a part that was requested from it. */
function takeBack(attempt: MetadataAssembly, part: number): void {
  const ask = attempt.asks.get(part);
  if (ask && --ask.count <= 0) attempt.asks.delete(part);
}

type Asking = { readonly now: number; readonly proven: boolean };

/** Returns `true` if a part hasn't been requested. */
function isFresh(attempt: MetadataAssembly, part: number): boolean {
  return !attempt.asks.has(part);
}

/**
 * Returns `true` if the peers that were asked for a part keep us waiting. A peer that has sent parts before may sooner
 * be asked for parts that were requested from others.
 */
function isOverdue(attempt: MetadataAssembly, part: number, { now, proven }: Asking): boolean {
  const ask = attempt.asks.get(part);
  if (!ask) return true;
  if (!proven) return now - ask.last >= METADATA_HEDGE_MS;
  return now - ask.lastProven >= METADATA_HEDGE_MS && now - ask.first >= METADATA_EARLY_MS;
}
