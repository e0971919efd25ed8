/**
 * Decides which peers a torrent connects to, and which it refuses: candidates, back-off, limits and bans. Opens no
 * sockets.
 *
 * @module
 */

import { canonicalHost, formatAddress, type PeerAddress } from "../../base/address.ts";
import {
  DIALLED_SHARE,
  HALF_OPEN_MS,
  MAX_HALF_OPEN,
  MAX_OFFENCES,
  MAX_PER_HOST,
  MAX_REMEMBERED_HOSTS,
  SHUT_OUT_MS,
} from "../../base/defences.ts";
import { LruMap } from "../../base/lru_map.ts";
import type { InfoHash } from "../../base/info_hash.ts";
import { isDialable, isPeerPort, networkOf } from "../../base/networks.ts";
import { type AddressFacts, addressFacts } from "./address_facts.ts";
import {
  type Candidate,
  type CandidateState,
  CandidateTable,
  MIDDLE_RANK,
  type PeerSource,
  SOURCE_RANK,
} from "./candidates.ts";
import type { DialFault } from "./dial_fault.ts";
import type { ConnectionQuota } from "./connection_quota.ts";
import { peerPriority } from "./peer_priority.ts";

/** Back-off in milliseconds after the first failure, doubled with each further one. */
const RETRY_MS = 5_000;
const MAX_RETRY_MS = 30 * 60_000;
/** Failures after which a candidate is dropped. The tracker may name it again. */
const MAX_FAILURES = 10;
/** Milliseconds until a candidate whose back-off has ended is compared with those already chosen. */
const LOOK_AGAIN_MS = 1_000;
/** Milliseconds after which a connection counts as a success. */
const GOOD_CONNECTION_MS = 30_000;

/** Reason for refusing a peer on the user's blocklist. */
export const ON_BLOCKLIST = "it is on the blocklist";

/** What the session allows its torrents. */
export interface ConnectionPolicy {
  /** Maximum number of connections of the torrent. */
  readonly maxPeers: number;
  /** Limit on the connections of all torrents together; no limit when absent. */
  readonly quota?: ConnectionQuota | undefined;
  /** Returns `true` if an address is on the user's blocklist. */
  readonly blocks?: ((host: string) => boolean) | undefined;
  /** Returns our external address in a family; `null` while unknown. */
  readonly ownAddress?: ((family: 4 | 6) => PeerAddress | null) | undefined;
  /** Returns the port under which a literal address reaches us: not the listening port if a gateway maps it. */
  readonly portFor?: ((protocol: "tcp" | "udp", host: string) => number) | undefined;
}

/** Options for {@linkcode ConnectionManager}. */
export interface ConnectionManagerOptions extends ConnectionPolicy {
  /** Random numbers, uniform from 0 (inclusive) to 1 (exclusive). */
  readonly random: () => number;
}

/** Options for {@linkcode ConnectionManager.failed}. */
export interface DialFailure {
  /** `true` if we gave up for reasons that have nothing to do with the peer (default `false`). */
  readonly ours?: boolean;
  /** How the dial failed (default `ended`). */
  readonly fault?: DialFault;
  /** `true` if the peer may know only the other of the torrent's two info-hashes (default `false`). */
  readonly strange?: boolean;
}

/** Which end made a connection. */
export interface ConnectionDirection {
  /** `true` if the peer connected to us (default `false`). */
  readonly incoming?: boolean;
}

/** Options for {@linkcode ConnectionManager.refuses}. */
export interface RefusalOptions {
  /** Number of connections with the same network. */
  readonly connections: number;
  /** Current time in milliseconds. */
  readonly now: number;
}

/** How a connection ended. */
export interface Disconnection extends ConnectionDirection {
  /** Current time in milliseconds. */
  readonly now: number;
  /** Milliseconds for which the connection lasted. */
  readonly lasted: number;
  /** What another connection would be good for (default `good`). */
  readonly prospects?: "good" | "poor" | "none";
  /** `true` if all peers were disconnected; see {@linkcode ConnectionManager.shut}. */
  readonly shut?: boolean;
}

/** Candidates, limits and bans of a torrent. */
export class ConnectionManager {
  /** Connection quota shared by all torrents. */
  readonly quota: ConnectionQuota | null;
  readonly #maxPeers: number;
  readonly #random: () => number;
  readonly #blocks: (host: string) => boolean;
  readonly #ownAddress: (family: 4 | 6) => PeerAddress | null;
  readonly #candidates: CandidateTable;
  /** Banned networks, as returned by {@linkcode networkOf}. */
  readonly #banned = new Set<string>();
  readonly #ownAddresses = new Set<string>();
  /** Addresses on the blocklist that were named. */
  readonly #blocked = new LruMap<string, true>(MAX_REMEMBERED_HOSTS);
  /** Protocol violations by network, with the time of the last one. */
  readonly #offences = new LruMap<string, { count: number; last: number }>(MAX_REMEMBERED_HOSTS);
  #dialling = 0;
  /** Start times of the last {@linkcode MAX_HALF_OPEN} dials. */
  readonly #lastDials: number[] = [];
  #connected = 0;
  #incoming = 0;
  /** The best candidates in dial order, as of the last scan. Scans are rare: there may be thousands of candidates. */
  #first: Candidate[] = [];
  #lookedAt = -Infinity;
  /** `true` if that scan found more candidates than fit. */
  #hasMore = false;
  /** Earliest time at which a candidate's back-off or shut-out ends. */
  #nextReady = Infinity;
  /** `true` if the list is out of date: an address was added, or a candidate need not wait for its network any more. */
  #stale = false;
  /** Our IPv4 and IPv6 address at the last scan, which determine the priorities. */
  #own: readonly (PeerAddress | null)[] = [null, null];

  constructor(options: ConnectionManagerOptions) {
    this.quota = options.quota ?? null;
    this.#maxPeers = options.maxPeers;
    this.#random = options.random;
    this.#candidates = new CandidateTable(options.random);
    this.#blocks = options.blocks ?? (() => false);
    this.#ownAddress = options.ownAddress ?? (() => null);
  }

  /** Number of peers that can be added, which is what trackers are asked for. */
  get room(): number {
    return Math.max(0, this.#maxPeers - this.#connected - this.#dialling);
  }

  /** Returns what is known about peers that aren't connected. Takes time for each of them. */
  addresses(now: number): AddressFacts {
    return addressFacts(this.#candidates.values(), { now, blocked: this.#blocked.size });
  }

  /** Returns `true` if the torrent's limits allow another dial. */
  mayDial(now: number): boolean {
    return this.room > 0 && (this.#dialling < MAX_HALF_OPEN || now - this.#lastDials[0]! >= HALF_OPEN_MS);
  }

  /** Returns `true` if {@linkcode ConnectionManager.next} has a candidate, ignoring the limits. */
  isWaiting(now: number): boolean {
    return this.#best(now) !== null;
  }

  /** Adds the peers of one list, which were found under an info-hash of the torrent. */
  add(addresses: Iterable<PeerAddress>, source: PeerSource = "tracker", infoHash?: InfoHash): void {
    let count = 0;
    for (const { host, port } of addresses) {
      const address = { host: canonicalHost(host), port };
      if (!isDialable(address.host) || this.#isBanned(address.host) || this.#isOwn(address)) continue;
      if (source !== "user" && !isPeerPort(port)) continue;
      if (this.#blocks(address.host)) {
        this.#blocked.set(address.host, true);
        continue;
      }
      const round = Math.floor(count++ / MAX_HALF_OPEN);
      if (this.#candidates.name(address, source, { round, infoHash })) this.#stale = true;
    }
  }

  /**
   * Returns the next peer to dial, and counts the dial. Candidates are ordered by failures, then by source, then by
   * position in their list, so that a long list of dead peers doesn't hold up a short one, then by priority (BEP 40),
   * then at random.
   *
   * @param now Milliseconds.
   * @returns Address of the peer, or `null` if there is none or a limit is reached.
   */
  next(now: number): PeerAddress | null {
    const best = this.mayDial(now) ? this.#best(now) : null;
    if (!best) return null;
    best.returning = false;
    this.#setState(best, "dialling");
    this.#dialling++;
    this.#lastDials.push(now);
    if (this.#lastDials.length > MAX_HALF_OPEN) this.#lastDials.shift();
    return best.address;
  }

  /** Returns the info-hash under which a peer was found first, if it is known, and whether to use the other one. */
  infoHashOf(address: PeerAddress): Pick<Candidate, "infoHash" | "other"> {
    return this.#candidates.get(formatAddress(address)) ?? { infoHash: undefined, other: false };
  }

  /**
   * Returns the priority of a peer (BEP 40).
   *
   * @param address Address of the peer: where it listens, or the source of its connection.
   * @returns 0 to 2^32 - 1, higher is better; the middle of that range if the priority is unknown.
   */
  rank(address: PeerAddress): number {
    const own = this.#ownAddress(address.host.includes(":") ? 6 : 4);
    return own ? peerPriority(own, address) ?? MIDDLE_RANK : MIDDLE_RANK;
  }

  /** Time when {@linkcode ConnectionManager.next} may return a candidate that is backing off; `Infinity` for never. */
  get nextTry(): number {
    let first = Infinity;
    for (const candidate of this.#candidates.values()) {
      if (candidate.state === "idle") first = Math.min(first, candidate.nextTry);
    }
    return first;
  }

  /**
   * Called when a dial, or the handshake after it, has failed.
   *
   * @param address Address that was dialled.
   * @param now Milliseconds.
   * @param options See {@linkcode DialFailure}.
   */
  failed(address: PeerAddress, now: number, options: DialFailure = {}): void {
    const candidate = this.#candidates.get(formatAddress(address));
    if (candidate?.state !== "dialling") return;
    this.#dialling--;
    if (options.strange) candidate.other = !candidate.other;
    // The peer connected to us meanwhile, which may be why it refused our connection. It need not be dialled again.
    if (candidate.incoming) this.#setState(candidate, "connected");
    else if (options.ours) this.#setIdle(candidate);
    // One of two handshakes failed: the other one follows at once.
    else if (options.strange && candidate.other) this.#setIdle(candidate);
    // A peer that is only known from its own connection and can't be dialled would be dialled in vain again and again.
    else if (candidate.source === "incoming") this.#remove(candidate);
    else {
      candidate.fault = options.fault ?? "ended";
      this.#backOff(candidate, now);
    }
  }

  /** Called before all peers are disconnected. They are dialled first when peers are admitted again. */
  shut(): void {
    this.#stale = true;
    for (const candidate of this.#candidates.values()) {
      if (!candidate.returning) continue;
      candidate.returning = false;
      if (candidate.source === "incoming" && candidate.state === "idle") this.#remove(candidate);
    }
  }

  /**
   * Called when a connection is established.
   *
   * @param address Address that was dialled, or the source of an incoming connection.
   * @param options See {@linkcode ConnectionDirection}.
   */
  connected(address: PeerAddress, options: ConnectionDirection = {}): void {
    if (options.incoming) this.#incoming++;
    const candidate = this.#candidates.get(formatAddress(address));
    if (candidate?.state === "dialling") {
      this.#dialling--;
      this.#setState(candidate, "connected");
      candidate.fault = null;
    }
    this.#connected++;
  }

  /**
   * Returns why connections with a host are refused, or `null` if they aren't. Doesn't check whether there is room.
   *
   * @param host Address of the peer.
   * @param options See {@linkcode RefusalOptions}.
   */
  refuses(host: string, options: RefusalOptions): string | null {
    const { connections, now } = options;
    if (this.#isBanned(host)) return "it is banned";
    if (this.#blocks(host)) return ON_BLOCKLIST;
    if (this.#isShutOut(host, now)) return "it broke the protocol too often";
    return tooMany(host, connections) ? `there are ${connections} connections to its address already` : null;
  }

  /**
   * Returns `true` if there is no room for another connection. Some room is reserved for dials, so that incoming
   * connections can't take all of it.
   *
   * @param now Milliseconds.
   * @param options See {@linkcode ConnectionDirection}.
   */
  isFull(now: number, options: Required<ConnectionDirection>): boolean {
    if (this.#connected >= this.#maxPeers) return true;
    const most = Math.ceil(this.#maxPeers * (1 - DIALLED_SHARE));
    return options.incoming && this.#incoming >= most && this.isWaiting(now);
  }

  /**
   * Called when a peer has violated the protocol. Once may be a mistake; repeated violations shut the peer out for a
   * while.
   *
   * @param host Address of the peer.
   * @param now Milliseconds.
   * @returns `true` if the peer is shut out by this violation.
   */
  offended(host: string, now: number): boolean {
    const network = networkOf(host);
    const before = this.#offences.peek(network);
    const count = before && now - before.last < SHUT_OUT_MS ? before.count + 1 : 1;
    this.#offences.set(network, { count, last: now });
    if (count < MAX_OFFENCES) return false;
    this.#forget(host);
    return count === MAX_OFFENCES;
  }

  /** Called when a peer that connected to us says where it listens, so that it isn't dialled. */
  introduced(address: PeerAddress): void {
    const candidate = this.#candidates.addConnected(address);
    candidate.incoming = true;
    if (candidate.state === "idle") this.#setState(candidate, "connected");
  }

  /**
   * Called when a connection is closed.
   *
   * @param address Address on which the peer listens, or the source of its connection if unknown.
   * @param options See {@linkcode Disconnection}.
   */
  disconnected(address: PeerAddress, options: Disconnection): void {
    this.#connected--;
    if (options.incoming) this.#incoming--;
    const candidate = this.#candidates.get(formatAddress(address));
    if (!candidate) return;
    candidate.incoming = false;
    if (candidate.state !== "connected") return;
    candidate.fault = options.lasted < GOOD_CONNECTION_MS && !options.shut ? "ended" : null;
    if (options.lasted >= GOOD_CONNECTION_MS) {
      candidate.failures = 0;
      candidate.good = true;
    }
    if (options.shut && options.prospects !== "none") {
      candidate.returning = true;
      candidate.nextTry = options.now;
      return this.#setIdle(candidate);
    }
    // A peer that no source has named may not accept connections. It can connect to us again.
    if (candidate.source === "incoming") return this.#remove(candidate);
    this.#backOff(candidate, options.now);
    candidate.unneeded = options.prospects === "poor" || options.prospects === "none";
    if (options.prospects === "poor") candidate.nextTry = options.now + MAX_RETRY_MS;
    if (options.prospects === "none") candidate.nextTry = Infinity;
  }

  /** Called when an address turned out to be our own. */
  isSelf(address: PeerAddress): void {
    const key = formatAddress(address);
    this.#ownAddresses.add(key);
    const candidate = this.#candidates.get(key);
    if (!candidate) return;
    if (candidate.state === "dialling") this.#dialling--;
    this.#remove(candidate);
  }

  /**
   * Bans an address for good.
   *
   * @param host Address to ban.
   * @returns `false` if it was banned already.
   */
  ban(host: string): boolean {
    if (this.#isBanned(host)) return false;
    this.#banned.add(networkOf(host));
    this.#forget(host);
    return true;
  }

  /** Returns the best candidate that may be dialled now, ignoring the limits. */
  #best(now: number): Candidate | null {
    while (this.#first.length > 0 && !this.#isDialable(this.#first[0]!, now)) this.#first.shift();
    const own = [this.#ownAddress(4), this.#ownAddress(6)];
    const moved = own.some((address, i) => !isSame(address, this.#own[i] ?? null));
    const ready = now >= this.#nextReady && now - this.#lookedAt >= LOOK_AGAIN_MS;
    const over = this.#first.length === 0 && (this.#hasMore || now >= this.#nextReady);
    if (this.#stale || moved || ready || over) {
      this.#own = own;
      this.#lookThrough(now);
    }
    return this.#first[0] ?? null;
  }

  /** Scans all candidates for the next dials. */
  #lookThrough(now: number): void {
    this.#stale = this.#hasMore = false;
    this.#nextReady = Infinity;
    this.#lookedAt = now;
    const first: Candidate[] = this.#first = [];
    for (const candidate of this.#candidates.values()) {
      if (candidate.state !== "idle") continue;
      const ready = this.#readyAt(candidate, now);
      if (ready > now) this.#nextReady = Math.min(this.#nextReady, ready);
      else if (!mustWait(candidate)) {
        // Random, so that equals are chosen with equal probability.
        candidate.lot = this.#random();
        let at = first.length;
        while (at > 0 && this.#compare(candidate, first[at - 1]!) < 0) at--;
        if (at < MAX_HALF_OPEN) first.splice(at, 0, candidate);
        if (at === MAX_HALF_OPEN || first.length > MAX_HALF_OPEN) {
          this.#hasMore = true;
          first.length = MAX_HALF_OPEN;
        }
      }
    }
  }

  #isDialable(candidate: Candidate, now: number): boolean {
    return candidate.host !== null && candidate.state === "idle" && this.#readyAt(candidate, now) <= now &&
      !mustWait(candidate);
  }

  /** Returns when a candidate may be dialled; a time in the past for now. */
  #readyAt({ nextTry, network }: Candidate, now: number): number {
    const shutOut = this.#offences.size > 0 ? this.#shutOutUntil(network) : -Infinity;
    return Math.max(nextTry, shutOut > now ? shutOut : -Infinity);
  }

  /** Makes a candidate idle, which may be dialled at once. */
  #setIdle(candidate: Candidate): void {
    this.#setState(candidate, "idle");
    this.#stale = true;
  }

  #setState(candidate: Candidate, state: CandidateState): void {
    this.#candidates.setState(candidate, state);
    if (state === "idle") this.#nextReady = Math.min(this.#nextReady, candidate.nextTry);
    // Other candidates of the network may not have to wait for this one any more.
    if (state !== "dialling" && (candidate.host?.members.size ?? 0) > 1) this.#stale = true;
  }

  /** Compares two candidates; negative if the first is dialled first. */
  #compare(a: Candidate, b: Candidate): number {
    return Number(b.returning) - Number(a.returning) || a.failures - b.failures ||
      SOURCE_RANK[a.source] - SOURCE_RANK[b.source] ||
      a.round - b.round || this.#rankOf(b) - this.#rankOf(a) || a.lot - b.lot;
  }

  /** Returns the cached priority of a candidate, since there may be thousands. */
  #rankOf(candidate: Candidate): number {
    const { address, rankedFor } = candidate;
    const own = this.#own[address.host.includes(":") ? 1 : 0] ?? null;
    if (!isSame(own, rankedFor)) {
      candidate.rankedFor = own;
      candidate.rank = this.rank(address);
    }
    return candidate.rank;
  }

  /** Makes candidates that were of no use available again at once, because more is wanted now. */
  reconsider(): void {
    for (const candidate of this.#candidates.values()) {
      if (candidate.state !== "idle" || !candidate.unneeded) continue;
      candidate.unneeded = false;
      candidate.failures = 0; // short connections that were of no use counted as failures
      candidate.nextTry = 0;
      this.#stale = true;
    }
  }

  /** Drops all candidates that neither trackers nor the user have named (BEP 27). */
  keepPrivate(): void {
    for (const candidate of [...this.#candidates.values()]) {
      const { source, state } = candidate;
      if (source === "tracker" || source === "user") continue;
      if (state === "dialling") this.#dialling--;
      this.#remove(candidate);
    }
  }

  /** Drops the candidates of a network. */
  #forget(host: string): void {
    for (const candidate of this.#candidates.of(networkOf(host))) {
      if (candidate.state === "dialling") this.#dialling--;
      this.#remove(candidate);
    }
  }

  /** Returns `true` if an address turned out to be our own, or is our external address. */
  #isOwn(address: PeerAddress): boolean {
    if (this.#ownAddresses.has(formatAddress(address))) return true;
    const own = this.#ownAddress(address.host.includes(":") ? 6 : 4);
    return own?.host === address.host && own.port === address.port;
  }

  #isBanned(host: string): boolean {
    return this.#banned.has(networkOf(host));
  }

  #isShutOut(host: string, now: number): boolean {
    return now < this.#shutOutUntil(networkOf(host));
  }

  #shutOutUntil(network: string): number {
    const known = this.#offences.peek(network);
    return known !== undefined && known.count >= MAX_OFFENCES ? known.last + SHUT_OUT_MS : -Infinity;
  }

  #backOff(candidate: Candidate, now: number): void {
    if (++candidate.failures >= MAX_FAILURES) return this.#remove(candidate);
    const delay = Math.min(MAX_RETRY_MS, RETRY_MS * 2 ** (candidate.failures - 1));
    candidate.nextTry = now + delay * (0.75 + 0.5 * this.#random());
    this.#setState(candidate, "idle");
  }

  #remove(candidate: Candidate): void {
    if ((candidate.host?.members.size ?? 0) > 1) this.#stale = true;
    this.#candidates.remove(candidate);
  }
}

/** Returns `true` if a candidate has to wait for others of its network. */
function mustWait({ address: { host }, source, host: all }: Candidate): boolean {
  const { busy, dialled } = all!;
  // There may be no peer on any of a host's ports, so they are dialled one after the other unless the user named them.
  if (source !== "user" && dialled > 0 && !isThisMachine(host)) return true;
  return tooMany(host, busy);
}

function tooMany(host: string, connections: number): boolean {
  return connections >= MAX_PER_HOST && !isThisMachine(host);
}

function isThisMachine(host: string): boolean {
  return host.startsWith("127.") || host === "::1";
}

function isSame(a: PeerAddress | null, b: PeerAddress | null): boolean {
  return a?.host === b?.host && a?.port === b?.port;
}
