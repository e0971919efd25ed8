/**
 * Whom to connect to, and whom not: candidates, back-off, limits, bans. Decides only; the sockets are elsewhere.
 *
 * @module
 */

import { formatAddress, type PeerAddress } from "../base/address.ts";

/** Connections that are being made at the same time. */
const HALF_OPEN_LIMIT = 30;
/** Candidates that are remembered; a tracker that names more is not believed. */
const MAX_CANDIDATES = 4000;
/** Milliseconds until a peer that failed is tried again; doubled with each failure. */
const RETRY_MS = 5_000;
const MAX_RETRY_MS = 30 * 60_000;
/** A candidate that failed this often is forgotten; the tracker may name it again. */
const MAX_FAILURES = 10;
/** A connection that lasted this many milliseconds was no failure. */
const GOOD_CONNECTION_MS = 30_000;

interface Candidate {
  readonly address: PeerAddress;
  failures: number;
  nextTry: number;
  state: "idle" | "dialling" | "connected";
}

/** The addresses of a torrent's peers and what is known of each. */
export class ConnectionManager {
  readonly #maxPeers: number;
  readonly #random: () => number;
  readonly #candidates = new Map<string, Candidate>();
  readonly #banned = new Set<string>();
  readonly #ownAddresses = new Set<string>();
  #dialling = 0;
  #connected = 0;

  /**
   * @param options `maxPeers`: connections at the same time. `random`: uniform in 0 to 1.
   */
  constructor(options: { readonly maxPeers: number; readonly random: () => number }) {
    this.#maxPeers = options.maxPeers;
    this.#random = options.random;
  }

  /** How many peers more could be used: what a tracker may be asked for. */
  get room(): number {
    return Math.max(0, this.#maxPeers - this.#connected - this.#dialling);
  }

  /** Takes note of peers that somebody named. */
  add(addresses: Iterable<PeerAddress>): void {
    for (const address of addresses) {
      const key = formatAddress(address);
      if (this.#candidates.size >= MAX_CANDIDATES || this.#candidates.has(key)) continue;
      if (this.#banned.has(address.host) || this.#ownAddresses.has(key)) continue;
      this.#candidates.set(key, { address, failures: 0, nextTry: 0, state: "idle" });
    }
  }

  /**
   * The next peer to connect to; it counts as being dialled from now on.
   *
   * @param now Milliseconds.
   * @returns Where it is, or `null` when there is none or the limits are reached.
   */
  next(now: number): PeerAddress | null {
    if (this.#dialling >= HALF_OPEN_LIMIT || this.room === 0) return null;
    let best: Candidate | null = null;
    let equals = 0;
    for (const candidate of this.#candidates.values()) {
      if (candidate.state !== "idle" || candidate.nextTry > now) continue;
      if (best && candidate.failures > best.failures) continue;
      if (!best || candidate.failures < best.failures) equals = 0;
      // Every one of the equals is chosen with the same probability, in one pass.
      if (this.#random() * ++equals < 1) best = candidate;
    }
    if (!best) return null;
    best.state = "dialling";
    this.#dialling++;
    return best.address;
  }

  /** When {@linkcode ConnectionManager.next} could first give a candidate that is now backing off; Infinity for never. */
  get nextTry(): number {
    let first = Infinity;
    for (const candidate of this.#candidates.values()) {
      if (candidate.state === "idle") first = Math.min(first, candidate.nextTry);
    }
    return first;
  }

  /** A dial, or the handshake after it, came to nothing. */
  failed(address: PeerAddress, now: number): void {
    const candidate = this.#candidates.get(formatAddress(address));
    if (candidate?.state !== "dialling") return;
    this.#dialling--;
    this.#backOff(candidate, now);
  }

  /** A dial led to a connection. */
  connected(address: PeerAddress): void {
    const candidate = this.#candidates.get(formatAddress(address));
    if (candidate?.state === "dialling") {
      this.#dialling--;
      candidate.state = "connected";
    }
    this.#connected++;
  }

  /**
   * Whether a peer that connected to us is welcome.
   *
   * @param host Its address.
   * @returns Why not, or `null` when it is.
   */
  refuses(host: string): string | null {
    if (this.#banned.has(host)) return "it is banned";
    if (this.#connected >= this.#maxPeers) return `there are ${this.#maxPeers} connections already`;
    return null;
  }

  /** A peer that connected to us said where it listens: it needn't be dialled. */
  introduced(address: PeerAddress): void {
    const key = formatAddress(address);
    const known = this.#candidates.get(key);
    if (known?.state === "idle") known.state = "connected";
    else if (!known) this.#candidates.set(key, { address, failures: 0, nextTry: 0, state: "connected" });
  }

  /** A connection of either direction is over. */
  disconnected(address: PeerAddress, options: { readonly now: number; readonly lasted: number }): void {
    this.#connected--;
    const candidate = this.#candidates.get(formatAddress(address));
    if (candidate?.state !== "connected") return;
    if (options.lasted >= GOOD_CONNECTION_MS) candidate.failures = 0;
    this.#backOff(candidate, options.now);
  }

  /** An address turned out to be ourselves. */
  isSelf(address: PeerAddress): void {
    const key = formatAddress(address);
    this.#ownAddresses.add(key);
    if (this.#candidates.get(key)?.state === "dialling") this.#dialling--;
    this.#candidates.delete(key);
  }

  /**
   * Shuts an address out for good.
   *
   * @param host Its address.
   * @returns `false` when it was shut out already.
   */
  ban(host: string): boolean {
    if (this.#banned.has(host)) return false;
    this.#banned.add(host);
    for (const [key, candidate] of this.#candidates) {
      if (candidate.address.host !== host) continue;
      if (candidate.state === "dialling") this.#dialling--;
      this.#candidates.delete(key);
    }
    return true;
  }

  #backOff(candidate: Candidate, now: number): void {
    candidate.state = "idle";
    if (++candidate.failures >= MAX_FAILURES) {
      this.#candidates.delete(formatAddress(candidate.address));
      return;
    }
    const delay = Math.min(MAX_RETRY_MS, RETRY_MS * 2 ** (candidate.failures - 1));
    candidate.nextTry = now + delay * (0.75 + 0.5 * this.#random());
  }
}
