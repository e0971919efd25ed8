/**
 * Whom to connect to, and whom not: candidates, back-off, limits, bans. Decides only; the sockets are elsewhere.
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
import { isDialable, isPeerPort, networkOf } from "../../base/networks.ts";
import {
  type Candidate,
  type CandidateState,
  CandidateTable,
  MIDDLE_RANK,
  type PeerSource,
  WORTH,
} from "./candidates.ts";
import type { ConnectionQuota } from "./connection_quota.ts";
import { peerPriority } from "./peer_priority.ts";

/** Milliseconds until a peer that failed is tried again; doubled with each failure. */
const RETRY_MS = 5_000;
const MAX_RETRY_MS = 30 * 60_000;
/** A candidate that failed this often is forgotten; the tracker may name it again. */
const MAX_FAILURES = 10;
/** Milliseconds after which somebody who need no longer wait is compared with those that were found to come first. */
const LOOK_AGAIN_MS = 1_000;
/** A connection that lasted this many milliseconds was no failure. */
const GOOD_CONNECTION_MS = 30_000;

/** Why somebody on the user's blocklist is refused. */
export const ON_BLOCKLIST = "it is on the blocklist";

/** Whom the session lets a torrent connect to. */
export interface ConnectionPolicy {
  /** Connections of the torrent at the same time. */
  readonly maxPeers: number;
  /** Connections of all torrents together; without limit when absent. */
  readonly quota?: ConnectionQuota | undefined;
  /** Whom the user wants to have nothing to do with. */
  readonly blocks?: ((host: string) => boolean) | undefined;
  /** Our own address as others see it, by family; `null` while it is not known. */
  readonly ownAddress?: ((family: 4 | 6) => PeerAddress | null) | undefined;
  /** The port at which a literal address reaches us, when a gateway maps another than we listen on. */
  readonly portFor?: ((protocol: "tcp" | "udp", host: string) => number) | undefined;
}

/** The addresses of a torrent's peers and what is known of each. */
export class ConnectionManager {
  /** What all torrents share. */
  readonly quota: ConnectionQuota | null;
  readonly #maxPeers: number;
  readonly #random: () => number;
  readonly #blocks: (host: string) => boolean;
  readonly #ownAddress: (family: 4 | 6) => PeerAddress | null;
  readonly #candidates: CandidateTable;
  /** As {@linkcode networkOf} has them, like those of the offences. */
  readonly #banned = new Set<string>();
  readonly #ownAddresses = new Set<string>();
  /** How often an address broke the protocol, and when it did last. */
  readonly #offences = new LruMap<string, { count: number; last: number }>(MAX_REMEMBERED_HOSTS);
  #dialling = 0;
  /** When the latest dials began, the last {@linkcode MAX_HALF_OPEN} of them. */
  readonly #lastDials: number[] = [];
  #connected = 0;
  #incoming = 0;
  /** Whom to dial first, in order, as of the last look through all candidates; there may be thousands of those. */
  #first: Candidate[] = [];
  #lookedAt = -Infinity;
  /** Whether others were left over then. */
  #hasMore = false;
  /** When somebody who backs off or is shut out may be dialled. */
  #nextReady = Infinity;
  /** Whether that look is of no use any more: somebody was named, or need no longer stay behind others of its network. */
  #stale = false;
  /** Our address as of then, in IPv4 and in IPv6: it decides on priorities. */
  #own: readonly (PeerAddress | null)[] = [null, null];

  /**
   * @param options What the session lets it do. `random`: uniform in 0 to 1.
   */
  constructor(options: ConnectionPolicy & { readonly random: () => number }) {
    this.quota = options.quota ?? null;
    this.#maxPeers = options.maxPeers;
    this.#random = options.random;
    this.#candidates = new CandidateTable(options.random);
    this.#blocks = options.blocks ?? (() => false);
    this.#ownAddress = options.ownAddress ?? (() => null);
  }

  /** How many peers more could be used: what a tracker may be asked for. */
  get room(): number {
    return Math.max(0, this.#maxPeers - this.#connected - this.#dialling);
  }

  /** Whether one more may be dialled, as far as it depends on the limits of the torrent. */
  mayDial(now: number): boolean {
    return this.room > 0 && (this.#dialling < MAX_HALF_OPEN || now - this.#lastDials[0]! >= HALF_OPEN_MS);
  }

  /** Whether a candidate waits that {@linkcode ConnectionManager.next} would give if there were room. */
  isWaiting(now: number): boolean {
    return this.#best(now) !== null;
  }

  /** Takes note of peers that somebody named, in one list. */
  add(addresses: Iterable<PeerAddress>, source: PeerSource = "tracker"): void {
    let count = 0;
    for (const { host, port } of addresses) {
      const address = { host: canonicalHost(host), port };
      if (!isDialable(address.host) || this.#isBanned(address.host) || this.#isOwn(address)) continue;
      if ((source !== "user" && !isPeerPort(port)) || this.#blocks(address.host)) continue;
      if (this.#candidates.name(address, source, Math.floor(count++ / MAX_HALF_OPEN))) this.#stale = true;
    }
  }

  /**
   * The next peer to connect to; it counts as being dialled from now on. Who failed least comes first, then whom the
   * best source named, then who was among the first of a list, so that a long one of peers that are gone doesn't hold up a
   * short one, then who has the highest priority (BEP 40); among equals chance decides.
   *
   * @param now Milliseconds.
   * @returns Where it is, or `null` when there is none or the limits are reached.
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

  /**
   * The priority of a peer for us (BEP 40).
   *
   * @param address Where it listens, or comes from.
   * @returns 0 to 2^32 - 1, the larger the better; the middle of that for all whose own is not known.
   */
  rank(address: PeerAddress): number {
    const own = this.#ownAddress(address.host.includes(":") ? 6 : 4);
    return own ? peerPriority(own, address) ?? MIDDLE_RANK : MIDDLE_RANK;
  }

  /** When {@linkcode ConnectionManager.next} could first give a candidate that is now backing off; Infinity for never. */
  get nextTry(): number {
    let first = Infinity;
    for (const candidate of this.#candidates.values()) {
      if (candidate.state === "idle") first = Math.min(first, candidate.nextTry);
    }
    return first;
  }

  /**
   * A dial, or the handshake after it, came to nothing.
   *
   * @param address Whom it went to.
   * @param now Milliseconds.
   * @param options `ours`: it is we who gave up, for reasons that have nothing to do with the peer.
   */
  failed(address: PeerAddress, now: number, options: { readonly ours?: boolean } = {}): void {
    const candidate = this.#candidates.get(formatAddress(address));
    if (candidate?.state !== "dialling") return;
    this.#dialling--;
    // It may have connected to us meanwhile: then that is why, and it needn't be dialled again.
    if (candidate.incoming) this.#setState(candidate, "connected");
    else if (options.ours) this.#setIdle(candidate);
    // Who connected to us once and can't be reached would be dialled in vain for ever.
    else if (candidate.source === "incoming") this.#remove(candidate);
    else this.#backOff(candidate, now);
  }

  /** Everybody is about to be sent away, and is to be dialled first when others are let in again. */
  shut(): void {
    this.#stale = true;
    for (const candidate of this.#candidates.values()) {
      if (!candidate.returning) continue;
      candidate.returning = false;
      if (candidate.source === "incoming" && candidate.state === "idle") this.#remove(candidate);
    }
  }

  /** There is a connection; `address` is what was dialled, or with `incoming` where it comes from. */
  connected(address: PeerAddress, options: { readonly incoming?: boolean } = {}): void {
    if (options.incoming) this.#incoming++;
    const candidate = this.#candidates.get(formatAddress(address));
    if (candidate?.state === "dialling") {
      this.#dialling--;
      this.#setState(candidate, "connected");
    }
    this.#connected++;
  }

  /**
   * Whether an address is welcome, as long as there is room.
   *
   * @param host The address.
   * @param options `connections`: how many connections to that address there are. `now`: milliseconds.
   * @returns Why not, or `null` when it is.
   */
  refuses(host: string, options: { readonly connections: number; readonly now: number }): string | null {
    const { connections, now } = options;
    if (this.#isBanned(host)) return "it is banned";
    if (this.#blocks(host)) return ON_BLOCKLIST;
    if (this.#isShutOut(host, now)) return "it broke the protocol too often";
    return tooMany(host, connections) ? `there are ${connections} connections to its address already` : null;
  }

  /**
   * Whether one connection more is too much. Those that others make leave some room to those that we want to make.
   *
   * @param now Milliseconds.
   * @param options `incoming`: it was made by the other end.
   */
  isFull(now: number, options: { readonly incoming: boolean }): boolean {
    if (this.#connected >= this.#maxPeers) return true;
    const most = Math.ceil(this.#maxPeers * (1 - DIALLED_SHARE));
    return options.incoming && this.#incoming >= most && this.isWaiting(now);
  }

  /**
   * A peer broke the protocol. Once may be a mistake; who does it again and again is shut out for a while.
   *
   * @param host Its address.
   * @param now Milliseconds.
   * @returns Whether it is shut out from now on.
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

  /** A peer that connected to us said where it listens: it needn't be dialled. */
  introduced(address: PeerAddress): void {
    const candidate = this.#candidates.meet(address);
    candidate.incoming = true;
    if (candidate.state === "idle") this.#setState(candidate, "connected");
  }

  /**
   * A connection of either direction is over.
   *
   * @param address Where the peer listens, as far as is known.
   * @param options `now`: milliseconds. `lasted`: milliseconds. `prospects`: what another would be good for; good when absent.
   * `shut`: everybody was sent away, see {@linkcode ConnectionManager.shut}. `incoming`: the other end had made it.
   */
  disconnected(
    address: PeerAddress,
    options: {
      readonly now: number;
      readonly lasted: number;
      readonly prospects?: "good" | "poor" | "none";
      readonly shut?: boolean;
      readonly incoming?: boolean;
    },
  ): void {
    this.#connected--;
    if (options.incoming) this.#incoming--;
    const candidate = this.#candidates.get(formatAddress(address));
    if (!candidate) return;
    candidate.incoming = false;
    if (candidate.state !== "connected") return;
    if (options.lasted >= GOOD_CONNECTION_MS) {
      candidate.failures = 0;
      candidate.good = true;
    }
    if (options.shut && options.prospects !== "none") {
      candidate.returning = true;
      candidate.nextTry = options.now;
      return this.#setIdle(candidate);
    }
    // Who connected to us and was never named may not be reachable at all; it will come back by itself.
    if (candidate.source === "incoming") return this.#remove(candidate);
    this.#backOff(candidate, options.now);
    candidate.unneeded = options.prospects === "poor" || options.prospects === "none";
    if (options.prospects === "poor") candidate.nextTry = options.now + MAX_RETRY_MS;
    if (options.prospects === "none") candidate.nextTry = Infinity;
  }

  /** An address turned out to be ourselves. */
  isSelf(address: PeerAddress): void {
    const key = formatAddress(address);
    this.#ownAddresses.add(key);
    const candidate = this.#candidates.get(key);
    if (!candidate) return;
    if (candidate.state === "dialling") this.#dialling--;
    this.#remove(candidate);
  }

  /**
   * Shuts an address out for good.
   *
   * @param host Its address.
   * @returns `false` when it was shut out already.
   */
  ban(host: string): boolean {
    if (this.#isBanned(host)) return false;
    this.#banned.add(networkOf(host));
    this.#forget(host);
    return true;
  }

  /** The first of those that may be dialled, as far as it depends on them and not on whether there is room. */
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

  /** Looks through all candidates, for some dials at once. */
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
        // Every one of the equals is chosen with the same probability.
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

  /** When somebody may be dialled; not after `now` if at once. */
  #readyAt({ nextTry, network }: Candidate, now: number): number {
    const shutOut = this.#offences.size > 0 ? this.#shutOutUntil(network) : -Infinity;
    return Math.max(nextTry, shutOut > now ? shutOut : -Infinity);
  }

  /** A candidate may be dialled at once. */
  #setIdle(candidate: Candidate): void {
    this.#setState(candidate, "idle");
    this.#stale = true;
  }

  #setState(candidate: Candidate, state: CandidateState): void {
    this.#candidates.setState(candidate, state);
    if (state === "idle") this.#nextReady = Math.min(this.#nextReady, candidate.nextTry);
    // Others of its network may no longer have to wait for it.
    if (state !== "dialling" && (candidate.host?.members.size ?? 0) > 1) this.#stale = true;
  }

  /** Below 0 if the first is to be dialled first. */
  #compare(a: Candidate, b: Candidate): number {
    return Number(b.returning) - Number(a.returning) || a.failures - b.failures || WORTH[a.source] - WORTH[b.source] ||
      a.round - b.round || this.#rankOf(b) - this.#rankOf(a) || a.lot - b.lot;
  }

  /** Kept, since there may be thousands of candidates. */
  #rankOf(candidate: Candidate): number {
    const { address, rankedFor } = candidate;
    const own = this.#own[address.host.includes(":") ? 1 : 0] ?? null;
    if (!isSame(own, rankedFor)) {
      candidate.rankedFor = own;
      candidate.rank = this.rank(address);
    }
    return candidate.rank;
  }

  /** Whom we had no use for any more may be dialled again at once. */
  reconsider(): void {
    for (const candidate of this.#candidates.values()) {
      if (candidate.state !== "idle" || !candidate.unneeded) continue;
      candidate.unneeded = false;
      candidate.failures = 0; // that it was left so soon was no fault of its own
      candidate.nextTry = 0;
      this.#stale = true;
    }
  }

  /** Forgets all that neither trackers nor the user have named (BEP 27). */
  keepPrivate(): void {
    for (const candidate of [...this.#candidates.values()]) {
      const { source, state } = candidate;
      if (source === "tracker" || source === "user") continue;
      if (state === "dialling") this.#dialling--;
      this.#remove(candidate);
    }
  }

  /** An address is no candidate any more, on any port. */
  #forget(host: string): void {
    for (const candidate of this.#candidates.of(networkOf(host))) {
      if (candidate.state === "dialling") this.#dialling--;
      this.#remove(candidate);
    }
  }

  /** Whether an address turned out to be ours, or is what others say that ours is. */
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

/** Whether somebody has to wait for others of its network. */
function mustWait({ address: { host }, source, host: all }: Candidate): boolean {
  const { busy, dialled } = all!;
  // On several ports of a host that others name there may be nobody; so we look at one after the other.
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
