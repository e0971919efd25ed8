/**
 * Asks peers for hashes of Merkle trees (BEP 52), several peers at a time, and proves each answer when it comes.
 *
 * @module
 */

import type { Bytes } from "../../base/bytes.ts";
import {
  HASH_REFUSAL_MS,
  HASH_REFUSALS_ALLOWED,
  HASH_SULK_MS,
  HASHES_AT_ONCE,
  HASHES_LATE_MS,
  MAX_HASH_REQUESTS,
  URGENT_HASHES_LATE_MS,
} from "../../base/defences.ts";
import { HASH_BYTES, merkle } from "../../base/merkle.ts";
import { type Hashes, type HashRequest, keyOfHashRequest } from "../../peer/mod.ts";

/** Requests that a peer gets at first. With each answer it gets one more. */
const FIRST_WINDOW = 4;
/** A peer without an answer counts as one that answers in so many milliseconds. */
const UNKNOWN_LATENCY_MS = 200;

/** A peer that may be asked. */
export interface HashPeer {
  /** Whether the peer understands messages about hashes. */
  readonly v2: boolean;
  /** Address of the peer. */
  readonly address: { readonly host: string };
  /** Whether the peer is suspected of sending wrong data. */
  readonly onParole: boolean;
  /** Whether the peer has sent right data. */
  readonly proven: boolean;
  /** Open requests for hashes. */
  readonly hashRequests: {
    readonly size: number;
    has(request: HashRequest): boolean;
    ask(request: HashRequest, now: number): void;
  };
  /** The connection. */
  readonly output: { flush(): void };
}

/** Hashes that are wanted. */
export interface HashWant<P> {
  /** What to ask for. */
  readonly request: HashRequest;
  /** The trusted hash that hashes and uncles must lead to. */
  readonly expected: Bytes;
  /** Whether the hashes come before others, from the best peers. */
  readonly urgent: boolean;
  /** Returns `true` if a peer may have the hashes. */
  mayAsk(peer: P): boolean;
  /** Called once with the proven hashes, padding included. */
  done(hashes: Bytes): void;
  /** Called when every connected peer that may have the hashes has just refused to send them. */
  readonly hopeless?: () => void;
}

/** Options for {@linkcode HashFetch}. */
export interface HashFetchOptions {
  /** Returns the time in milliseconds on a monotonic clock. */
  now(): number;
  /** Bans an address for good. */
  ban(host: string, reason: string): void;
}

/** A want, with the peers that have failed. */
class Job<P extends object> {
  readonly want: HashWant<P>;
  readonly key: string;
  over = false;
  /** Times before which a peer isn't asked, in milliseconds. */
  readonly notBefore = new WeakMap<P, number>();

  constructor(want: HashWant<P>) {
    this.want = want;
    this.key = keyOfHashRequest(want.request);
  }
}

/** What is known of a peer. */
interface PeerState<P extends object> {
  /** Jobs that the peer works on, with the time of the request. */
  readonly jobs: Map<Job<P>, number>;
  /** Hashes that the peer is asked for. */
  asked: number;
  /** Number of requests that the peer may have. */
  window: number;
  /** Rejects since the last answer. */
  rejects: number;
  /** No request before this time, in milliseconds. */
  notBefore: number;
  /** Milliseconds that the last answer took. */
  latency: number;
  /** Answers that came too late, or not at all, since the last that came in time. */
  late: number;
}

/** The requests for hashes of one torrent, to all of its peers. */
export class HashFetch<P extends HashPeer> {
  readonly #options: HashFetchOptions;
  readonly #peers = new Map<P, PeerState<P>>();
  readonly #byKey = new Map<string, Set<Job<P>>>();
  readonly #jobs = new Map<HashWant<P>, Job<P>>();
  /** Jobs that nobody works on: urgent ones, those that a peer failed at, and others, each in order. */
  readonly #urgent: Job<P>[] = [];
  readonly #again: Job<P>[] = [];
  readonly #fresh: Job<P>[] = [];

  constructor(options: HashFetchOptions) {
    this.#options = options;
  }

  /** Number of peers that understand requests for hashes. */
  get peerCount(): number {
    return this.#peers.size;
  }

  /** Number of wants that are not done. */
  get size(): number {
    return this.#jobs.size;
  }

  /** Returns `true` if a connected peer may have the hashes of a want, and isn't left alone. */
  hasPeerFor(want: Pick<HashWant<P>, "mayAsk">): boolean {
    const now = this.#options.now();
    for (const [peer, { notBefore }] of this.#peers) if (notBefore <= now && want.mayAsk(peer)) return true;
    return false;
  }

  /** Adds wants, each until it is done or {@linkcode HashFetch.remove} is called. */
  add(wants: Iterable<HashWant<P>>): void {
    for (const want of wants) {
      const job = new Job<P>(want);
      this.#jobs.set(want, job);
      const same = this.#byKey.get(job.key);
      if (same) same.add(job);
      else this.#byKey.set(job.key, new Set([job]));
      (want.urgent ? this.#urgent : this.#fresh).push(job);
    }
    this.#askAll();
  }

  /** Drops a want, whose `done` is not called any more. */
  remove(want: HashWant<P>): void {
    const job = this.#jobs.get(want);
    if (job !== undefined) this.#end(job);
  }

  /** Must be called for each peer that has connected; harmless for one that is known. */
  joined(peer: P): void {
    if (!peer.v2 || this.#peers.has(peer)) return;
    this.#peers.set(peer, {
      jobs: new Map(),
      asked: 0,
      window: FIRST_WINDOW,
      rejects: 0,
      notBefore: -Infinity,
      latency: UNKNOWN_LATENCY_MS,
      late: 0,
    });
    if (this.#ask(peer)) peer.output.flush();
  }

  /** Must be called when a connection has ended. What the peer was asked for is asked of others. */
  left(peer: P): void {
    const state = this.#peers.get(peer);
    if (state === undefined) return;
    this.#peers.delete(peer);
    for (const job of state.jobs.keys()) this.#putBack(job);
    this.#giveUp(state.jobs.keys());
    if (state.jobs.size > 0) this.#askAll();
  }

  /**
   * Must be called with the answer to a request. A peer whose hashes are wrong is banned.
   *
   * @param latency Milliseconds since the request.
   */
  received(peer: P, hashes: Hashes, latency: number): void {
    const state = this.#peers.get(peer);
    const jobs = [...this.#byKey.get(keyOfHashRequest(hashes)) ?? []];
    if (state === undefined || jobs.length === 0) return this.#goOn(peer);
    for (const job of jobs) this.#take(state, job);
    if (!isProven(hashes, jobs[0]!.want.expected)) {
      for (const job of jobs) this.#putBack(job);
      const { layer, index, count } = hashes;
      const which = `${count} hashes of layer ${layer} from ${index}`;
      this.#options.ban(peer.address.host, `it sent wrong hashes: the proof of ${which} is false`);
      return this.#askAll();
    }
    state.rejects = 0;
    state.latency = latency;
    if (latency <= HASHES_LATE_MS) {
      state.late = 0;
      state.window = Math.min(MAX_HASH_REQUESTS, state.window + 1);
    }
    for (const job of jobs) this.#end(job);
    for (const { want } of jobs) want.done(hashes.hashes);
    this.#goOn(peer);
  }

  /** Must be called when a peer rejects a request. Others are asked; the peer may get hashes itself meanwhile. */
  rejected(peer: P, request: HashRequest): void {
    const state = this.#peers.get(peer);
    if (state === undefined) return;
    const now = this.#options.now();
    state.rejects++;
    const jobs = [...this.#byKey.get(keyOfHashRequest(request)) ?? []];
    for (const job of jobs) {
      job.notBefore.set(peer, now + HASH_REFUSAL_MS);
      if (this.#take(state, job)) this.#putBack(job);
    }
    if (state.rejects > HASH_REFUSALS_ALLOWED) {
      const doublings = Math.min(6, state.rejects - HASH_REFUSALS_ALLOWED - 1);
      state.notBefore = now + HASH_SULK_MS * 2 ** doublings;
    }
    this.#giveUp(jobs);
    this.#askAll();
  }

  /** Regular work: requests that are late go to other peers. */
  tick(now: number): void {
    if (this.#jobs.size === 0) return;
    for (const state of this.#peers.values()) {
      for (const [job, since] of state.jobs) {
        if (now - since < (job.want.urgent ? URGENT_HASHES_LATE_MS : HASHES_LATE_MS)) continue;
        state.late++;
        state.window = 1;
        this.#take(state, job);
        this.#putBack(job);
      }
    }
    this.#askAll();
  }

  /** Tells the wants that no connected peer can be asked for now. */
  #giveUp(jobs: Iterable<Job<P>>): void {
    const now = this.#options.now();
    for (const { want, notBefore } of [...jobs]) {
      if (want.hopeless === undefined) continue;
      const mayAsk = (peer: P) => want.mayAsk(peer) && (notBefore.get(peer) ?? now) <= now;
      if (!this.hasPeerFor({ mayAsk })) want.hopeless();
    }
  }

  #goOn(peer: P): void {
    if (this.#ask(peer)) peer.output.flush();
  }

  /** Asks all peers, the best first, so that urgent hashes come from them. */
  #askAll(): void {
    if (this.#urgent.length + this.#again.length + this.#fresh.length === 0) return;
    const best = [...this.#peers].sort(([a, one], [b, other]) =>
      Number(a.onParole) - Number(b.onParole) || one.late - other.late || Number(b.proven) - Number(a.proven) ||
      one.latency - other.latency
    );
    for (const [peer] of best) this.#goOn(peer);
  }

  /** Sends a peer as many requests as it should work on. Returns `true` if there is one. */
  #ask(peer: P): boolean {
    const state = this.#peers.get(peer);
    const now = this.#options.now();
    if (state === undefined || state.notBefore > now) return false;
    let isAsked = false;
    // Requests that were late stay open, so that a silent peer gets no more.
    while (peer.hashRequests.size < state.window && state.asked < HASHES_AT_ONCE) {
      const job = this.#next(peer, now);
      if (job === null) break;
      state.jobs.set(job, now);
      state.asked += job.want.request.count;
      peer.hashRequests.ask(job.want.request, now);
      isAsked = true;
    }
    return isAsked;
  }

  #next(peer: P, now: number): Job<P> | null {
    const may = ({ want, notBefore }: Job<P>) =>
      !peer.hashRequests.has(want.request) && (notBefore.get(peer) ?? now) <= now && want.mayAsk(peer);
    for (const list of [this.#urgent, this.#again]) {
      const at = list.findIndex(may);
      if (at >= 0) return list.splice(at, 1)[0]!;
    }
    // No peer has failed at these, and so the first is as good as any.
    const [first] = this.#fresh;
    return first !== undefined && may(first) ? this.#fresh.shift()! : null;
  }

  /** Takes a job from a peer. Returns `false` if the peer doesn't work on it. */
  #take(state: PeerState<P>, job: Job<P>): boolean {
    if (!state.jobs.delete(job)) return false;
    state.asked -= job.want.request.count;
    return true;
  }

  /** Puts back a job that nobody works on. */
  #putBack(job: Job<P>): void {
    const list = job.want.urgent ? this.#urgent : this.#again;
    if (!job.over && !list.includes(job) && !this.#fresh.includes(job)) list.push(job);
  }

  #end(job: Job<P>): void {
    job.over = true;
    this.#jobs.delete(job.want);
    const same = this.#byKey.get(job.key)!;
    same.delete(job);
    if (same.size === 0) this.#byKey.delete(job.key);
    for (const list of [this.#urgent, this.#again, this.#fresh]) {
      const at = list.indexOf(job);
      if (at >= 0) list.splice(at, 1);
    }
    for (const state of this.#peers.values()) this.#take(state, job);
  }
}

/** Returns `true` if hashes lead to the trusted hash, which the request has chosen by the number of its proof layers. */
function isProven(hashes: Hashes, expected: Bytes): boolean {
  // Counted from the first hash below the trusted one.
  const below = hashes.count * 2 ** (hashes.uncles.length / HASH_BYTES);
  return merkle.verify({ ...hashes, index: hashes.index % below }, { ...hashes, expected });
}
