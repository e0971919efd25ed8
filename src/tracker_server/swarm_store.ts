/**
 * What a tracker knows: which peers are in which swarm. Plain memory and plain decisions; time and chance come from
 * outside.
 *
 * @module
 */

import { formatAddress, type PeerAddress } from "../base/address.ts";
import { toHex } from "../base/bytes.ts";
import type { InfoHash } from "../base/info_hash.ts";
import { MAX_TRACKED_PER_NETWORK, MAX_TRACKED_PER_SWARM, MAX_UDP_PEERS6 } from "../base/defences.ts";
import { networkOf } from "../base/networks.ts";
import { type KnownPeer, type PeerKind, PeerPool, Pools } from "./peer_pool.ts";
import { isHere } from "./address_quota.ts";

/** An announce as the tracker sees it. */
export interface AnnounceQuery {
  /** Which torrent. */
  readonly infoHash: InfoHash;
  /** The peer's 20 bytes. */
  readonly peerId: Uint8Array;
  /** Where the peer listens. */
  readonly address: PeerAddress;
  /** Bytes that it is missing; `Infinity` when it does not say. */
  readonly left: number;
  /** Why it announces; anything but `completed`, `stopped` and `paused` counts as regular. */
  readonly event: string;
  /** How many peers it would like, or `null` when it does not say. */
  readonly numwant: number | null;
  /** The only family of which it can be told peers; both when absent. */
  readonly family?: 4 | 6;
}

/** The answer to an announce. */
export interface AnnounceAnswer {
  /** Seeds in the swarm. */
  readonly seeders: number;
  /** Other peers in the swarm. */
  readonly leechers: number;
  /** Some of them, never the one who asks. */
  readonly peers: readonly KnownPeer[];
}

/** The answer to a scrape, for one torrent (BEP 48, 21). */
export interface ScrapeAnswer {
  /** Seeds. */
  readonly complete: number;
  /** Peers that are not seeds. */
  readonly incomplete: number;
  /** How often the download was completed, as long as the swarm has been known. */
  readonly downloaded: number;
  /** Peers that want more: `incomplete` without partial seeds. */
  readonly downloaders: number;
}

/** How a {@linkcode SwarmStore} works. */
export interface SwarmStoreOptions {
  /** Milliseconds between announces; a peer is forgotten when it has missed one and is late for the next. */
  readonly interval: number;
  /** Picks peers: uniform in 0 (included) to 1 (excluded). */
  readonly random: () => number;
  /** The only torrents that are served; all when absent. */
  readonly allow?: readonly InfoHash[];
  /** Most torrents at a time; 10,000 when absent. */
  readonly maxTorrents?: number;
  /** Most peers at a time, of all torrents together; 200,000 when absent. */
  readonly maxPeers?: number;
}

const DEFAULT_MAX_TORRENTS = 10_000;
const DEFAULT_MAX_PEERS = 200_000;
const DEFAULT_NUMWANT = 50;
const MAX_NUMWANT = 200;
/** Seeds that a seed is told of when there are no others. */
const FEW_SEEDS = 10;
const FULL = "this tracker is full";
/** In intervals: one announce may be lost. */
const LIFETIME = 2.5;
/** Late peers that are forgotten with each announce, which brings one at the most. */
const FORGOTTEN_EACH = 8;
/** The kinds of peers that a peer is told of which wants more. */
const ANYBODY: readonly PeerKind[] = ["downloading", "partial", "seed"];
/** The kinds that a peer is told of which wants no more: those who want something. */
const WHO_WANTS_MORE: readonly PeerKind[] = ["downloading"];
/** The kinds that such a peer is told a few of where nobody wants anything. */
const WHO_WANTS_NO_MORE: readonly PeerKind[] = ["seed", "partial"];

/** The swarms of a tracker. A swarm is forgotten with its last peer. */
export class SwarmStore {
  readonly #options: SwarmStoreOptions;
  readonly #allowed: Set<string> | null;
  readonly #swarms = new Map<string, PeerPool>();
  readonly #pools = new Pools();

  /** @param options How it works. */
  constructor(options: SwarmStoreOptions) {
    this.#options = options;
    this.#allowed = options.allow ? new Set(options.allow.map((hash) => hash.hex)) : null;
  }

  /** How many torrents have peers. */
  get torrentCount(): number {
    return this.#swarms.size;
  }

  /** How many peers there are, of all torrents together. */
  get peerCount(): number {
    return this.#pools.peers;
  }

  /** How many networks they come from. */
  get networkCount(): number {
    return this.#pools.quota.size;
  }

  /** How many peers have everything, of all torrents together. */
  get seederCount(): number {
    return this.#pools.seeds;
  }

  /**
   * Serves a torrent from now on, besides those that it was told to.
   *
   * @param infoHash Which torrent.
   */
  allow(infoHash: InfoHash): void {
    this.#allowed?.add(infoHash.hex);
  }

  /**
   * Takes an announce.
   *
   * @param query Who announces what.
   * @param now Milliseconds on a clock that never jumps.
   * @returns The answer, or why there is none, in words for the client's user.
   */
  announce(query: AnnounceQuery, now: number): AnnounceAnswer | { readonly refusal: string } {
    const { infoHash, event } = query;
    if (this.#allowed && !this.#allowed.has(infoHash.hex)) {
      return { refusal: "this tracker does not serve that torrent" };
    }
    const key = formatAddress(query.address);
    if (event === "stopped") {
      this.#forget(infoHash.hex, key);
      return this.#answer(query, 0);
    }
    this.#swarms.get(infoHash.hex)?.touch(key, now); // who announces isn't late
    this.expire(now, FORGOTTEN_EACH);
    const room = this.#makeRoom(query, key);
    if (typeof room === "string") return { refusal: room };
    const before = room.get(key);
    const counted = before?.counted ?? false;
    // a seed that was there before us has not completed anything here
    const completes = event === "completed" && !counted;
    if (completes) room.completions++;
    const seed = query.left === 0;
    room.put(key, {
      address: query.address,
      peerId: toHex(query.peerId),
      seed,
      downloading: !seed && event !== "paused",
      counted: counted || completes || seed,
      seen: now,
    });
    const most = query.family === 6 ? MAX_UDP_PEERS6 : MAX_NUMWANT;
    return this.#answer(query, Math.min(query.numwant ?? DEFAULT_NUMWANT, most));
  }

  /**
   * Takes a scrape.
   *
   * @param infoHash Which torrent.
   * @returns Its counts, all zero when it is not known.
   */
  scrape(infoHash: InfoHash): ScrapeAnswer {
    const pool = this.#swarms.get(infoHash.hex);
    return {
      complete: pool?.seeders ?? 0,
      incomplete: pool?.leechers ?? 0,
      downloaded: pool?.completions ?? 0,
      downloaders: pool?.downloaders ?? 0,
    };
  }

  /**
   * Forgets peers that have gone without a word. Call it now and then.
   *
   * @param now Milliseconds on the clock of {@linkcode SwarmStore.announce}.
   * @param most How many are forgotten at the most; all who are late when absent.
   * @returns Whether there are more.
   */
  expire(now: number, most = Infinity): boolean {
    const emptied = ({ name }: PeerPool) => void this.#swarms.delete(name);
    return this.#pools.expire(now - this.#options.interval * LIFETIME, { most, emptied });
  }

  /** The pool that a peer may be put into, or why there is no room for it. */
  #makeRoom({ infoHash: { hex: hash }, address }: AnnounceQuery, key: string): PeerPool | string {
    const { maxTorrents = DEFAULT_MAX_TORRENTS, maxPeers = DEFAULT_MAX_PEERS } = this.#options;
    const pool = this.#swarms.get(hash);
    const network = networkOf(address.host);
    const isLimited = !isHere(address.host) && pool?.get(key) === undefined;
    if (isLimited && this.#pools.quota.of(network) >= MAX_TRACKED_PER_NETWORK) {
      return "too many peers from your address";
    }
    if (pool) {
      if (pool.get(key)) return pool;
      if (isLimited && pool.countOf(network) >= MAX_TRACKED_PER_SWARM) {
        return "too many peers of this torrent from your address";
      }
      return this.peerCount < maxPeers ? pool : FULL;
    }
    if (this.#swarms.size >= maxTorrents || this.peerCount >= maxPeers) return FULL;
    const created = new PeerPool(this.#pools, hash);
    this.#swarms.set(hash, created);
    return created;
  }

  #forget(hash: string, key: string): void {
    const pool = this.#swarms.get(hash);
    if (!pool?.remove(key)) return;
    if (pool.size === 0) this.#swarms.delete(hash);
  }

  #answer(query: AnnounceQuery, wanted: number): AnnounceAnswer {
    const pool = this.#swarms.get(query.infoHash.hex);
    if (!pool) return { seeders: 0, leechers: 0, peers: [] };
    const { address: self, family, left, event } = query;
    const peerId = toHex(query.peerId);
    const accept = (peer: KnownPeer): boolean =>
      peer.peerId !== peerId && (peer.address.port !== self.port || peer.address.host !== self.host);
    const { random } = this.#options;
    const wantsMore = left > 0 && event !== "paused";
    const peers = pool.sample(wanted, { kinds: wantsMore ? ANYBODY : WHO_WANTS_MORE, family, accept, random });
    // Seeds have nothing to say to each other, but aria2 says that it is one while it has nothing but a magnet link.
    const few = Math.min(wanted, FEW_SEEDS) - peers.length;
    if (!wantsMore && few > 0) {
      peers.push(...pool.sample(few, { kinds: WHO_WANTS_NO_MORE, family, accept, random }));
    }
    return { seeders: pool.seeders, leechers: pool.leechers, peers };
  }
}
