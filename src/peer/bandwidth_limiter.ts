/**
 * Rate limits for downloads and uploads. A limit applies to all torrents of a session together and is shared fairly
 * among torrents and their peers. A torrent may also have a limit of its own.
 *
 * A limit counts the bytes of blocks, as in other clients: downloads from peers with outstanding requests, with message
 * headers (one part in a thousand), and from web seeds; and uploaded blocks, and hashes that peers ask for (BEP 52). Requests, haves, keep-alives, metadata,
 * trackers and the DHT never wait for a limit.
 *
 * @module
 */

import { FairShare, type Party, type ShareClaim } from "../base/fair_share.ts";
import type { Platform, Timer } from "../platform/platform.ts";

/**
 * Fewest bytes to wait for at a time. At lower rates, a connection waits for the bytes of one second, but at least
 * {@linkcode TINY_PORTION}.
 */
const LEAST_PORTION = 256;
const TINY_PORTION = 16;

/** A limit in one direction. A single timer serves all connections that wait for the limit. */
export class BandwidthLimiter {
  readonly #platform: Pick<Platform, "now" | "after">;
  readonly #share: FairShare;
  readonly #waiting = new Map<ShareClaim, (bytes: number) => void>();
  #timer: Timer | null = null;
  #era = 0;

  /**
   * @param platform Clock and timers.
   * @param rate Bytes per second; `null` for no limit.
   */
  constructor(platform: Pick<Platform, "now" | "after">, rate: number | null) {
    this.#platform = platform;
    this.#share = new FairShare(rate ?? Infinity, platform.now());
  }

  /** Bytes per second; `null` for no limit. */
  get rate(): number | null {
    return this.limited ? this.#share.rate : null;
  }

  set rate(rate: number | null) {
    this.#era++;
    this.#share.setRate(rate ?? Infinity, this.#platform.now());
    this.#rest();
    for (const claim of [...this.#waiting.keys()]) this.#through(claim, 0);
  }

  /** Changes the rate of a torrent. For {@linkcode BandwidthParty}. */
  setRateOf(party: Party, rate: number | null): void {
    this.#share.setRateOf(party, rate ?? Infinity, this.#platform.now());
    for (const claim of [...this.#waiting.keys()]) if (claim.party === party) this.#through(claim, 0);
    if (this.#waiting.size === 0) this.#rest();
  }

  /** Number of changes of the rate. For {@linkcode Allowance}. */
  get era(): number {
    return this.#era;
  }

  /** Whether the session has a limit. */
  get limited(): boolean {
    return this.#share.rate !== Infinity;
  }

  /**
   * Adds a torrent. Torrents get equal shares, whatever their numbers of peers.
   *
   * @param rate Bytes per second that the torrent may have at most; `null` for no limit of its own.
   */
  party(rate: number | null = null): BandwidthParty {
    return new BandwidthParty(this, this.#share.party(this.#platform.now(), rate ?? Infinity));
  }

  /** The token bucket. For {@linkcode Allowance}. */
  get share(): FairShare {
    return this.#share;
  }

  /**
   * Asks for at least `least` bytes. For {@linkcode Allowance}.
   *
   * @returns The granted bytes; 0 if `go` will be called with the granted bytes later.
   */
  ask(claim: ShareClaim, least: number, go: (bytes: number) => void): number {
    const bytes = this.#share.ask(claim, least, this.#platform.now());
    if (bytes > 0) return bytes;
    this.#waiting.set(claim, go);
    this.#schedule();
    return 0;
  }

  /** Removes a connection and resolves its wait. For {@linkcode Allowance}. */
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

/** The share of a torrent in a limit. */
export class BandwidthParty {
  readonly #limiter: BandwidthLimiter;
  readonly #party: Party;
  #era = 0;

  /**
   * @param limiter The limit of the session.
   * @param party The torrent's share.
   */
  constructor(limiter: BandwidthLimiter, party: Party) {
    this.#limiter = limiter;
    this.#party = party;
  }

  /** Bytes per second that the torrent may have within the session's limit; `null` for no limit of its own. */
  get rate(): number | null {
    return this.#party.own.rate === Infinity ? null : this.#party.own.rate;
  }

  set rate(rate: number | null) {
    if (rate === this.rate) return;
    this.#era++;
    this.#limiter.setRateOf(this.#party, rate);
  }

  /** Number of changes of the torrent's own rate. For {@linkcode Allowance}. */
  get era(): number {
    return this.#era;
  }

  /** Whether the torrent or the session has a limit. */
  get limited(): boolean {
    return this.#party.own.rate !== Infinity || this.#limiter.limited;
  }

  /** Adds a connection. */
  join(): Allowance {
    return new Allowance(this.#limiter, this, this.#limiter.share.join(this.#party));
  }
}

/** Shares of a torrent in the download limit and the upload limit. */
export interface BandwidthParties {
  readonly down: BandwidthParty;
  readonly up: BandwidthParty;
}

/** The share of a connection in a limit. */
export class Allowance {
  readonly #limiter: BandwidthLimiter;
  readonly #party: BandwidthParty;
  readonly #claim: ShareClaim;
  #credit = 0;
  #waiting: Promise<void> | null = null;
  /** Eras of the session's and the torrent's rate in which the credit was granted. */
  #era: number;
  #ownEra: number;
  #left = false;

  /**
   * @param limiter The limit of the session.
   * @param party The torrent's share.
   * @param claim The connection's share.
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

  /** Bytes that the connection may transfer now; below 0 after it has transferred more than its credit. */
  get credit(): number {
    this.#forgetOld();
    return this.#credit;
  }

  /** Bytes per second available to the connection if demand stays the same; Infinity without a limit. */
  get rate(): number {
    return this.#limiter.share.shareOf(this.#claim);
  }

  /**
   * Waits for credit. Without a limit there is nothing to wait for.
   *
   * @param least Bytes that are needed (default: a portion worth reading).
   * @returns `null` if there is enough credit. Otherwise a promise that resolves when credit was granted, when the rate
   * has changed and the caller has to ask again, or when the connection has left.
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
   * Subtracts transferred bytes from the credit. A connection may transfer more than its credit, and then has to wait
   * until the debt is covered.
   *
   * @param bytes Transferred bytes.
   */
  consume(bytes: number): void {
    if (!this.limited) return;
    this.#forgetOld();
    this.#credit -= bytes;
  }

  /** Called when the connection is over. Resolves its wait and returns unused credit. */
  leave(): void {
    if (this.#left) return;
    this.#left = true;
    this.#limiter.leave(this.#claim, this.credit);
  }

  /**
   * Drops credit that was granted at another rate, which may be far too much or too little. If only the torrent's own
   * rate has changed, the credit goes back to the session.
   */
  #forgetOld(): void {
    const { era } = this.#limiter;
    if (this.#era === era && this.#ownEra === this.#party.era) return;
    if (this.#era === era) this.#limiter.share.settle(this.#credit);
    this.#era = era;
    this.#ownEra = this.#party.era;
    this.#credit = 0;
  }
}
