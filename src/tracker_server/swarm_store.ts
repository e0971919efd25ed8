/**
 * Stores which peers are in which swarm, and answers announces and scrapes. Time and random numbers are supplied by the
 * caller.
 *
 * @module
 */

import { formatAddress, type PeerAddress } from "../base/address.ts";
import { toHex } from "../base/bytes.ts";
import type { InfoHash } from "../base/info_hash.ts";
import type { InfoHashes } from "../base/info_hashes.ts";
import { MAX_TRACKED_PER_NETWORK, MAX_TRACKED_PER_SWARM, MAX_UDP_PEERS6 } from "../base/defences.ts";
import { networkOf } from "../base/networks.ts";
import { type KnownPeer, type PeerKind, PeerPool, Pools } from "./peer_pool.ts";
import { isLoopback } from "./address_quota.ts";

/** An announce, for HTTP and UDP alike. */
export interface AnnounceQuery {
  /** Info-hash of the torrent. */
  readonly infoHash: InfoHash;
  /** Peer id, 20 bytes. */
  readonly peerId: Uint8Array;
  /** Address on which the peer listens. */
  readonly address: PeerAddress;
  /** Missing bytes; `Infinity` if unknown. */
  readonly left: number;
  /** Event; anything but `completed`, `stopped` and `paused` counts as a regular announce. */
  readonly event: string;
  /** Number of peers wanted, or `null` if not given. */
  readonly numwant: number | null;
  /** Only address family of peers that can be returned; both when absent. */
  readonly family?: 4 | 6;
}

/** Answer to an announce. */
export interface AnnounceAnswer {
  /** Number of seeds in the swarm. */
  readonly seeders: number;
  /** Number of other peers in the swarm. */
  readonly leechers: number;
  /** Some of the peers, without the announcing peer. */
  readonly peers: readonly KnownPeer[];
}

/** Answer to a scrape of one torrent (BEP 48, 21). */
export interface ScrapeAnswer {
  /** Number of seeds. */
  readonly complete: number;
  /** Number of peers that are not seeds. */
  readonly incomplete: number;
  /** Number of completed downloads, for as long as the swarm has been known. */
  readonly downloaded: number;
  /** Number of peers that want to download more: `incomplete` without partial seeds. */
  readonly downloaders: number;
}

/** Options for {@linkcode SwarmStore}. */
export interface SwarmStoreOptions {
  /** Milliseconds between announces. A peer is removed after 2.5 intervals without one. */
  readonly interval: number;
  /** Random numbers to choose peers: uniform from 0 (inclusive) to 1 (exclusive). */
  readonly random: () => number;
  /** Torrents that are served; all when absent. */
  readonly allow?: readonly (InfoHash | InfoHashes)[];
  /** Maximum number of torrents (default 10,000). */
  readonly maxTorrents?: number;
  /** Maximum number of peers of all torrents together (default 200,000). */
  readonly maxPeers?: number;
}

const DEFAULT_MAX_TORRENTS = 10_000;
const DEFAULT_MAX_PEERS = 200_000;
const DEFAULT_NUMWANT = 50;
const MAX_NUMWANT = 200;
/** Number of seeds returned to a seed, if there are no other peers. */
const FEW_SEEDS = 10;
const FULL = "this tracker is full";
/** Lifetime of a peer in intervals, so that one announce may be lost. */
const LIFETIME = 2.5;
/** Late peers removed with each announce, which adds at most one. */
const FORGOTTEN_EACH = 8;
/** Kinds of peers returned to a peer that wants to download more. */
const ANYBODY: readonly PeerKind[] = ["downloading", "partial", "seed"];
/** Kinds of peers returned to a peer that doesn't. */
const WHO_WANTS_MORE: readonly PeerKind[] = ["downloading"];
/** Kinds of which such a peer gets a few if no peer wants to download. */
const WHO_WANTS_NO_MORE: readonly PeerKind[] = ["seed", "partial"];

/** The swarms of a tracker. A swarm is removed with its last peer. */
export class SwarmStore {
  readonly #options: SwarmStoreOptions;
  readonly #allowed: Set<string> | null;
  /** First info-hash of each hybrid, by its second one: both are one swarm. */
  readonly #joined = new Map<string, InfoHash>();
  readonly #swarms = new Map<string, PeerPool>();
  readonly #pools = new Pools();

  constructor(options: SwarmStoreOptions) {
    this.#options = options;
    this.#allowed = options.allow ? new Set() : null;
    for (const torrent of options.allow ?? []) this.allow(torrent);
  }

  /** Number of torrents that have peers. */
  get torrentCount(): number {
    return this.#swarms.size;
  }

  /** Number of peers of all torrents together. */
  get peerCount(): number {
    return this.#pools.peers;
  }

  /** Number of networks of the peers. */
  get networkCount(): number {
    return this.#pools.quota.size;
  }

  /** Number of seeds of all torrents together. */
  get seederCount(): number {
    return this.#pools.seeds;
  }

  /** Adds a torrent to those that are served. Peers of a hybrid find each other, whichever info-hash they announce. */
  allow(torrent: InfoHash | InfoHashes): void {
    const [first, second] = "onWire" in torrent ? torrent.onWire : [torrent];
    this.#allowed?.add(first!.hex);
    if (second === undefined) return;
    this.#allowed?.add(second.hex);
    this.#joined.set(second.hex, first!);
  }

  /**
   * Handles an announce.
   *
   * @param now Milliseconds of a monotonic clock.
   * @returns The answer, or why the announce is refused, in words for the client's user.
   */
  announce(announced: AnnounceQuery, now: number): AnnounceAnswer | { readonly refusal: string } {
    if (this.#allowed && !this.#allowed.has(announced.infoHash.hex)) {
      return { refusal: "this tracker does not serve that torrent" };
    }
    const joined = this.#joined.get(announced.infoHash.hex);
    const query = joined === undefined ? announced : { ...announced, infoHash: joined };
    const { infoHash, event } = query;
    const key = formatAddress(query.address);
    if (event === "stopped") {
      this.#forget(infoHash.hex, key);
      return this.#answer(query, 0);
    }
    this.#swarms.get(infoHash.hex)?.touch(key, now); // before late peers are removed
    this.expire(now, FORGOTTEN_EACH);
    const room = this.#makeRoom(query, key);
    if (typeof room === "string") return { refusal: room };
    const before = room.get(key);
    const counted = before?.counted ?? false;
    // A peer that was a seed at its first announce hasn't completed a download here.
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
   * Answers a scrape.
   *
   * @returns Counts of the torrent, all 0 if it is unknown.
   */
  scrape(infoHash: InfoHash): ScrapeAnswer {
    const pool = this.#swarms.get((this.#joined.get(infoHash.hex) ?? infoHash).hex);
    return {
      complete: pool?.seeders ?? 0,
      incomplete: pool?.leechers ?? 0,
      downloaded: pool?.completions ?? 0,
      downloaders: pool?.downloaders ?? 0,
    };
  }

  /**
   * Removes peers that have stopped announcing. Must be called from time to time.
   *
   * @param now Milliseconds of the clock of {@linkcode SwarmStore.announce}.
   * @param most Maximum number of peers to remove; no limit when absent.
   * @returns `true` if there are more to remove.
   */
  expire(now: number, most = Infinity): boolean {
    const emptied = ({ name }: PeerPool) => void this.#swarms.delete(name);
    return this.#pools.expire(now - this.#options.interval * LIFETIME, { most, emptied });
  }

  /** Returns the pool for a peer, or why there is no room for the peer. */
  #makeRoom({ infoHash: { hex: hash }, address }: AnnounceQuery, key: string): PeerPool | string {
    const { maxTorrents = DEFAULT_MAX_TORRENTS, maxPeers = DEFAULT_MAX_PEERS } = this.#options;
    const pool = this.#swarms.get(hash);
    const network = networkOf(address.host);
    const isLimited = !isLoopback(address.host) && pool?.get(key) === undefined;
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
    // Seeds are of no use to each other, but aria2 announces itself as a seed while it has only a magnet link.
    const few = Math.min(wanted, FEW_SEEDS) - peers.length;
    if (!wantsMore && few > 0) {
      peers.push(...pool.sample(few, { kinds: WHO_WANTS_NO_MORE, family, accept, random }));
    }
    return { seeders: pool.seeders, leechers: pool.leechers, peers };
  }
}
