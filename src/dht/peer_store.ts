/**
 * Peers that other nodes have announced to us.
 *
 * @module
 */

import type { PeerAddress } from "../base/address.ts";
import { type Bytes, concatBytes, fromHex, toHex } from "../base/bytes.ts";
import {
  MAX_DHT_PEERS_PER_TORRENT,
  MAX_DHT_STORED_PEERS,
  MAX_DHT_TORRENTS,
  MAX_DHT_TORRENTS_PER_HOST,
} from "../base/defences.ts";
import type { Platform } from "../platform/platform.ts";
import { BloomFilter } from "./bloom_filter.ts";
import { type HostFacts, nodeKey } from "./hosts.ts";

/** Milliseconds after which a peer that is not announced again is dropped. Clients announce about every 15 minutes. */
export const PEER_LIFETIME_MS = 30 * 60_000;

interface StoredPeer {
  readonly address: PeerAddress;
  readonly ip: Uint8Array;
  readonly owner: string;
  readonly seed: boolean;
  readonly expires: number;
}

/** An announce whose token was accepted. */
export interface StoredAnnounce {
  readonly infoHash: Uint8Array;
  readonly address: PeerAddress;
  readonly host: HostFacts;
  readonly seed: boolean;
}

/** Options for {@linkcode PeerStore}. */
export interface PeerStoreOptions {
  /** Maximum number of peers of all torrents together. Default: `MAX_DHT_STORED_PEERS`. */
  readonly maxPeers?: number;
}

/** Options for {@linkcode PeerStore.sample}. */
export interface PeerSampleOptions {
  /** Current time in milliseconds. */
  readonly now: number;
  /** Maximum number of peers to return. */
  readonly limit: number;
  /** `true` to return seeds only after all other peers (BEP 33). */
  readonly noSeed: boolean;
}

/** Peers by torrent, one per address (BEP 33). Peers expire after 30 minutes. */
export class PeerStore {
  readonly #platform: Pick<Platform, "random" | "digest">;
  /** Peers by info-hash and place. The torrent announced least recently comes first, and so does the peer. */
  readonly #torrents = new Map<string, Map<string, StoredPeer>>();
  /** Number of torrents announced per public address. */
  readonly #owned = new Map<string, number>();
  readonly #maxPeers: number;
  #peers = 0;

  constructor(platform: Pick<Platform, "random" | "digest">, options: PeerStoreOptions = {}) {
    this.#platform = platform;
    this.#maxPeers = options.maxPeers ?? MAX_DHT_STORED_PEERS;
  }

  /** Number of torrents with peers, expired peers included. */
  get torrentCount(): number {
    return this.#torrents.size;
  }

  /** Number of peers, expired peers included. */
  get peerCount(): number {
    return this.#peers;
  }

  /**
   * Adds or renews a peer. A full store drops the torrents that were announced least recently.
   *
   * @param now Current time in milliseconds.
   * @returns `false` if the address has announced too many torrents, so that the peer was not added.
   */
  add(announce: StoredAnnounce, now: number): boolean {
    const key = toHex(announce.infoHash);
    const place = nodeKey(announce.address, announce.host);
    const owner = announce.host.kind === "local" ? "" : announce.host.site;
    const known = this.#torrents.get(key)?.get(place);
    if (!known && owner !== "" && (this.#owned.get(owner) ?? 0) >= MAX_DHT_TORRENTS_PER_HOST) {
      this.expire(now);
      if ((this.#owned.get(owner) ?? 0) >= MAX_DHT_TORRENTS_PER_HOST) return false;
    }
    const peers = this.#torrents.get(key) ?? new Map<string, StoredPeer>();
    if (known) this.#drop(peers, place);
    this.#torrents.delete(key);
    this.#torrents.set(key, peers);
    const { address, seed } = announce;
    peers.set(place, { address, ip: announce.host.bytes, owner, seed, expires: now + PEER_LIFETIME_MS });
    this.#peers++;
    if (owner !== "") this.#owned.set(owner, (this.#owned.get(owner) ?? 0) + 1);
    this.#makeRoom(key, peers);
    return true;
  }

  /** Returns random peers of a torrent. */
  sample(infoHash: Uint8Array, options: PeerSampleOptions): PeerAddress[] {
    const peers = this.#livePeers(infoHash, options.now);
    const first = options.noSeed ? peers.filter(({ seed }) => !seed) : peers;
    const last = options.noSeed ? peers.filter(({ seed }) => seed) : [];
    return [...this.#choose(first, options.limit), ...this.#choose(last, options.limit - first.length)]
      .map(({ address }) => address);
  }

  /**
   * Creates the Bloom filters of a torrent (BEP 33).
   *
   * @param now Current time in milliseconds.
   * @returns The filters, or `null` if the torrent has no peers.
   */
  filters(infoHash: Uint8Array, now: number): { readonly seeds: BloomFilter; readonly peers: BloomFilter } | null {
    const live = this.#livePeers(infoHash, now);
    if (live.length === 0) return null;
    const seeds = new BloomFilter();
    const peers = new BloomFilter();
    for (const { ip, seed } of live) (seed ? seeds : peers).add(ip, this.#platform.digest);
    return { seeds, peers };
  }

  /**
   * Returns random info-hashes (BEP 51).
   *
   * @param limit Maximum number of info-hashes.
   * @returns The info-hashes, concatenated.
   */
  sampleHashes(limit: number): Bytes {
    const chosen = this.#choose([...this.#torrents.keys()], limit);
    return concatBytes(chosen.map((hex) => fromHex(hex)!));
  }

  /**
   * Drops expired peers.
   *
   * @param now Current time in milliseconds.
   */
  expire(now: number): void {
    for (const [key, peers] of this.#torrents) {
      for (const [place, peer] of peers) {
        if (peer.expires > now) break; // peers are in order of expiry
        this.#drop(peers, place);
      }
      if (peers.size === 0) this.#torrents.delete(key);
    }
  }

  #livePeers(infoHash: Uint8Array, now: number): StoredPeer[] {
    const peers = this.#torrents.get(toHex(infoHash));
    return peers ? [...peers.values()].filter(({ expires }) => expires > now) : [];
  }

  /** Returns random elements of a list. Reorders the list. */
  #choose<T>(list: T[], limit: number): T[] {
    const wanted = Math.max(0, Math.min(limit, list.length));
    for (let i = 0; i < wanted; i++) {
      const other = i + Math.floor(this.#platform.random() * (list.length - i));
      [list[i], list[other]] = [list[other]!, list[i]!];
    }
    return list.slice(0, wanted);
  }

  #makeRoom(newest: string, peers: Map<string, StoredPeer>): void {
    if (peers.size > MAX_DHT_PEERS_PER_TORRENT) this.#drop(peers, peers.keys().next().value!);
    while (this.#torrents.size > MAX_DHT_TORRENTS || this.#peers > this.#maxPeers) {
      const [oldest, its] = this.#torrents.entries().next().value!;
      if (oldest === newest) return;
      for (const place of [...its.keys()]) this.#drop(its, place);
      this.#torrents.delete(oldest);
    }
  }

  #drop(peers: Map<string, StoredPeer>, place: string): void {
    const { owner } = peers.get(place)!;
    peers.delete(place);
    this.#peers--;
    if (owner === "") return;
    const left = this.#owned.get(owner)! - 1;
    if (left === 0) this.#owned.delete(owner);
    else this.#owned.set(owner, left);
  }
}
