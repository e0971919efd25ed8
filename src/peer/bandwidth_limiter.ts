/**
 * A limit of how fast data comes, or goes: for all torrents together, and shared fairly among them and their peers. A torrent may
 * have a limit of its own besides.
 *
 * What counts are the bytes of blocks, as other clients count them: what comes from those whom we asked for blocks, with the
 * headers of these (one part in a thousand), and from web seeds; and the blocks that we send. Requests, haves, keep-alives
 * and metadata never wait for a limit, and neither does the talk with trackers and the DHT.
 *
 * @module
 */

import { FairShare, type Party, type ShareClaim } from "../base/fair_share.ts";
import type { Platform, Timer } from "../platform/platform.ts";

/** Least that is asked for at a time, in bytes; less only where that takes more than a second. */
const LEAST_PORTION = 256;
const TINY_PORTION = 16;

/** One limit. One timer serves all that wait for it. */
export class BandwidthLimiter {
  readonly #platform: Pick<Platform, "now" | "after">;
  readonly #share: FairShare;
  readonly #waiting = new Map<ShareClaim, (bytes: number) => void>();
  #timer: Timer | null = null;
  #era = 0;

  /**
   * @param platform Clock and timers.
   * @param rate Bytes a second; `null` for no limit.
   */
  constructor(platform: Pick<Platform, "now" | "after">, rate: number | null) {
    this.#platform = platform;
    this.#share = new FairShare(rate ?? Infinity, platform.now());
  }

  /** Bytes a second; `null` when there is no limit. */
  get rate(): number | null {
    return this.limited ? this.#share.rate : null;
  }

  set rate(rate: number | null) {
    this.#era++;
    this.#share.setRate(rate ?? Infinity, this.#platform.now());
    this.#rest();
    for (const claim of [...this.#waiting.keys()]) this.#through(claim, 0);
  }

  /** For {@linkcode BandwidthParty}: another rate of a torrent. */
  setRateOf(party: Party, rate: number | null): void {
    this.#share.setRateOf(party, rate ?? Infinity, this.#platform.now());
    for (const claim of [...this.#waiting.keys()]) if (claim.party === party) this.#through(claim, 0);
    if (this.#waiting.size === 0) this.#rest();
  }

  /** For {@linkcode Allowance}: another one with every change of the rate. */
  get era(): number {
    return this.#era;
  }

  /** Whether there is a limit for all torrents together. */
  get limited(): boolean {
    return this.#share.rate !== Infinity;
  }

  /**
   * A torrent more, which will have as much as others, however many peers it has.
   *
   * @param rate Bytes a second that it may have at most; `null` for no limit of its own.
   */
  party(rate: number | null = null): BandwidthParty {
    return new BandwidthParty(this, this.#share.party(this.#platform.now(), rate ?? Infinity));
  }

  /** For {@linkcode Allowance}. */
  get share(): FairShare {
    return this.#share;
  }

  /** For {@linkcode Allowance}: some bytes, `least` or more; 0 when `go` will be told later how many they are. */
  ask(claim: ShareClaim, least: number, go: (bytes: number) => void): number {
    const bytes = this.#share.ask(claim, least, this.#platform.now());
    if (bytes > 0) return bytes;
    this.#waiting.set(claim, go);
    this.#schedule();
    return 0;
  }

  /** For {@linkcode Allowance}: it wants nothing any more, and what it waits for settles. */
  leave(claim: ShareClaim, unused: number): void {
    this.#share.leave(claim, unused);
    this.#through(claim, 0);
    if (this.#waiting.size === 0) this.#rest();
  }

  #rest(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  #schedule(): void {
    if (this.#timer !== null || this.#waiting.size === 0) return;
    this.#timer = this.#platform.after(this.#share.wait, () => {
      this.#timer = null;
      this.#serve();
    });
  }

  #serve(): void {
    for (const { claim, amount } of this.#share.serve(this.#platform.now())) this.#through(claim, amount);
    this.#schedule();
  }

  #through(claim: ShareClaim, bytes: number): void {
    const go = this.#waiting.get(claim);
    this.#waiting.delete(claim);
    go?.(bytes);
  }
}

/** A torrent's part in a limit. */
export class BandwidthParty {
  readonly #limiter: BandwidthLimiter;
  readonly #party: Party;
  #era = 0;

  /**
   * @param limiter The limit for all torrents.
   * @param party The torrent's part in it.
   */
  constructor(limiter: BandwidthLimiter, party: Party) {
    this.#limiter = limiter;
    this.#party = party;
  }

  /** Bytes a second that the torrent may have at most, within what all may have; `null` for no limit of its own. */
  get rate(): number | null {
    return this.#party.own.rate === Infinity ? null : this.#party.own.rate;
  }

  set rate(rate: number | null) {
    if (rate === this.rate) return;
    this.#era++;
    this.#limiter.setRateOf(this.#party, rate);
  }

  /** For {@linkcode Allowance}: another one with every change of the torrent's own rate. */
  get era(): number {
    return this.#era;
  }

  /** Whether there is a limit, its own or that of all. */
  get limited(): boolean {
    return this.#party.own.rate !== Infinity || this.#limiter.limited;
  }

  /** A connection more. */
  join(): Allowance {
    return new Allowance(this.#limiter, this, this.#limiter.share.join(this.#party));
  }
}

/** What a torrent may take in and give out. */
export interface BandwidthParties {
  readonly down: BandwidthParty;
  readonly up: BandwidthParty;
}

/** What one connection may take in, or give out. */
export class Allowance {
  readonly #limiter: BandwidthLimiter;
  readonly #party: BandwidthParty;
  readonly #claim: ShareClaim;
  #credit = 0;
  #waiting: Promise<void> | null = null;
  /** Those of the limits for which the credit was given. */
  #era: number;
  #ownEra: number;
  #left = false;

  /**
   * @param limiter The limit for all torrents.
   * @param party The torrent's part in it.
   * @param claim The connection's part in that.
   */
  constructor(limiter: BandwidthLimiter, party: BandwidthParty, claim: ShareClaim) {
    this.#limiter = limiter;
    this.#party = party;
    this.#claim = claim;
    this.#era = limiter.era;
    this.#ownEra = party.era;
  }

  /** Whether there is a limit. */
  get limited(): boolean {
    return this.#party.limited;
  }

  /** Bytes that it may take now; below 0 after it took more than it might. */
  get credit(): number {
    this.#forgetOld();
    return this.#credit;
  }

  /** Bytes a second that it would have if all that want some go on doing so; Infinity without a limit. */
  get rate(): number {
    return this.#limiter.share.shareOf(this.#claim);
  }

  /**
   * Asks for credit. Nothing is asked for while there is no limit.
   *
   * @param least Bytes that it has to be; what is worth a read when absent.
   * @returns Settles when it is there, or has to be asked for again, or everything is over; `null` when it is there.
   */
  wait(least?: number): Promise<void> | null {
    if (!this.limited || this.#left) return null;
    if (this.#waiting) return this.#waiting;
    this.#forgetOld();
    const { rate } = this;
    const needed = least ?? Math.min(LEAST_PORTION, Math.max(TINY_PORTION, rate));
    if (this.#credit >= needed) return null;
    const { promise, resolve } = Promise.withResolvers<void>();
    const bytes = this.#limiter.ask(this.#claim, needed - this.#credit, (bytes) => {
      this.#waiting = null;
      this.#credit += bytes;
      resolve();
    });
    this.#credit += bytes;
    return bytes > 0 ? null : this.#waiting = promise;
  }

  /**
   * Something was taken. It is no breach to take more than there was credit for: then more has to be waited for.
   *
   * @param bytes How many.
   */
  took(bytes: number): void {
    if (!this.limited) return;
    this.#forgetOld();
    this.#credit -= bytes;
  }

  /** The connection is over: what it waits for settles, and what it hasn't used is for others. */
  leave(): void {
    if (this.#left) return;
    this.#left = true;
    this.#limiter.leave(this.#claim, this.credit);
  }

  /** What it had at another rate may be far too much, or too little. Where only its torrent's changed, all have it back. */
  #forgetOld(): void {
    const { era } = this.#limiter;
    if (this.#era === era && this.#ownEra === this.#party.era) return;
    if (this.#era === era) this.#limiter.share.settle(this.#credit);
    this.#era = era;
    this.#ownEra = this.#party.era;
    this.#credit = 0;
  }
}
