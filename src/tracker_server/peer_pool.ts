/**
 * The peers of one torrent, as a tracker stores them.
 *
 * @module
 */

import { encodeCompactPeer, type PeerAddress } from "../base/address.ts";
import { networkOf } from "../base/networks.ts";
import { Queue, type Queued } from "../base/queue.ts";
import { AddressQuota } from "./address_quota.ts";

/** A peer of a torrent. */
export interface KnownPeer {
  /** Address on which the peer listens. */
  readonly address: PeerAddress;
  /** Peer id in hex. */
  readonly peerId: string;
  /** `true` if the peer has the whole torrent. */
  readonly seed: boolean;
  /** `true` if the peer wants to download more, as neither seeds nor partial seeds do (BEP 21). */
  readonly downloading: boolean;
  /** `true` if the peer's completion has been counted, or it was a seed from the start. */
  readonly counted: boolean;
  /** Time of the last announce in milliseconds. */
  readonly seen: number;
  /** Cached result of {@linkcode compactText}. */
  readonly compact?: string;
}

/**
 * Encodes an address in compact form (BEP 23, 7) as a string with one character per byte, which takes a quarter of the
 * memory of an array.
 *
 * @param address Address on which a peer listens.
 * @returns 6 or 18 characters; empty if the host is not a literal address.
 */
export function compactText(address: PeerAddress): string {
  return String.fromCharCode(...encodeCompactPeer(address) ?? []);
}

/** Kind of peer; `partial` is a partial seed (BEP 21). */
export type PeerKind = "downloading" | "partial" | "seed";

const KINDS: readonly PeerKind[] = ["downloading", "partial", "seed"];

/** Sampled peers that may be rejected: the peer that announces is among them, perhaps under several addresses. */
const MAX_VAIN = 16;

/** A peer in a pool. There may be 200,000, so the number of fields matters. */
class Member implements KnownPeer, Queued<Member> {
  readonly pool: PeerPool;
  readonly key: string;
  readonly address: PeerAddress;
  /** Key of the peer's address in the quotas. */
  readonly network: string;
  peerId: string;
  seed: boolean;
  downloading: boolean;
  counted: boolean;
  seen: number;
  #compact: string | null = null;
  /** Index in the peer's row. */
  place = 0;
  before: Member | null = null;
  after: Member | null = null;

  constructor(pool: PeerPool, key: string, peer: KnownPeer) {
    this.pool = pool;
    this.key = key;
    this.address = peer.address;
    this.network = networkOf(peer.address.host);
    this.peerId = peer.peerId;
    this.seed = peer.seed;
    this.downloading = peer.downloading;
    this.counted = peer.counted;
    this.seen = peer.seen;
  }

  get compact(): string {
    return this.#compact ??= compactText(this.address);
  }

  /** Index of the row for the peer's kind and address family. */
  get row(): number {
    return rowOf(this.seed ? "seed" : this.downloading ? "downloading" : "partial", this.address.host.includes(":"));
  }
}

function rowOf(kind: PeerKind, six: boolean): number {
  return 2 * KINDS.indexOf(kind) + Number(six);
}

/** Options for {@linkcode Pools.expire}. */
export interface ExpireOptions {
  /** Maximum number of peers to remove. */
  readonly most: number;
  /** Called with each pool that has no peers left. */
  readonly emptied: (pool: PeerPool) => void;
}

/** State shared by all pools of a tracker. */
export class Pools {
  /** Number of peers by network. */
  readonly quota = new AddressQuota();
  readonly #queue = new Queue<Member>();
  #peers = 0;
  #seeds = 0;

  /** Number of peers. */
  get peers(): number {
    return this.#peers;
  }

  /** Number of seeds. */
  get seeds(): number {
    return this.#seeds;
  }

  /** Called by a pool when it adds or removes a peer. */
  count(member: Member, change: 1 | -1): void {
    this.#peers += change;
    if (member.seed) this.#seeds += change;
    this.quota.add(member.network, change);
    if (change === 1) this.#queue.push(member);
    else this.#queue.remove(member);
  }

  /** Called by a pool when a peer announces. */
  touch(member: Member): void {
    this.#queue.remove(member);
    this.#queue.push(member);
  }

  /**
   * Removes peers that have stopped announcing.
   *
   * @param before Peers that announced last before this time, in milliseconds, are removed.
   * @param options See {@linkcode ExpireOptions}.
   * @returns `true` if there are more peers to remove.
   */
  expire(before: number, { most, emptied }: ExpireOptions): boolean {
    for (let count = 0;; count++) {
      const member = this.#queue.first;
      if (member === null || member.seen >= before) return false;
      if (count >= most) return true;
      member.pool.remove(member.key);
      if (member.pool.size === 0) emptied(member.pool);
    }
  }
}

/** Options for {@linkcode PeerPool.sample}. */
export interface SampleOptions {
  /** Kinds of peers to choose from. */
  readonly kinds: readonly PeerKind[];
  /** Address family to choose from; both when absent. */
  readonly family?: 4 | 6 | undefined;
  /** Returns `false` to reject a peer. */
  readonly accept: (peer: KnownPeer) => boolean;
  /** Random numbers, uniform from 0 (inclusive) to 1 (exclusive). */
  readonly random: () => number;
}

/** The peers of a torrent by address. Adding, removing, counting and sampling don't depend on the number of peers. */
export class PeerPool {
  /** Number of completed downloads. */
  completions = 0;
  /** Info-hash of the torrent, or another name. */
  readonly name: string;
  readonly #members = new Map<string, Member>();
  /** Peers by {@linkcode Member.row}, so that each kind can be sampled. Rows are created when first used. */
  readonly #rows: (Member[] | undefined)[] = [];
  /** Number of peers in this pool by network. */
  readonly #here = new AddressQuota();
  readonly #pools: Pools;

  /**
   * @param pools State shared with other pools.
   * @param name Name of the pool.
   */
  constructor(pools: Pools = new Pools(), name = "") {
    this.#pools = pools;
    this.name = name;
  }

  /** Number of peers. */
  get size(): number {
    return this.#members.size;
  }

  /** Number of seeds. */
  get seeders(): number {
    return this.#countOf("seed");
  }

  /** Number of peers that are not seeds, including partial seeds (BEP 21). */
  get leechers(): number {
    return this.size - this.seeders;
  }

  /** Number of peers that want to download more. */
  get downloaders(): number {
    return this.#countOf("downloading");
  }

  /**
   * Returns the number of peers in a network.
   *
   * @param network Network as returned by {@linkcode networkOf}.
   */
  countOf(network: string): number {
    return this.#here.of(network);
  }

  /**
   * Returns a peer.
   *
   * @param key Address of the peer as text.
   */
  get(key: string): KnownPeer | undefined {
    return this.#members.get(key);
  }

  /**
   * Records that a peer is still there. No effect if the peer is unknown.
   *
   * @param key Address of the peer as text.
   * @param now Milliseconds.
   */
  touch(key: string, now: number): void {
    const member = this.#members.get(key);
    if (member === undefined) return;
    member.seen = now;
    this.#pools.touch(member);
  }

  /**
   * Adds or updates a peer.
   *
   * @param key Address of the peer as text.
   */
  put(key: string, peer: KnownPeer): void {
    const known = this.#members.get(key);
    if (known !== undefined && known.seed === peer.seed && known.downloading === peer.downloading) {
      known.peerId = peer.peerId;
      known.counted = peer.counted;
      return this.touch(key, peer.seen);
    }
    this.remove(key);
    const member = new Member(this, key, peer);
    const row = this.#rows[member.row] ??= [];
    member.place = row.length;
    row.push(member);
    this.#members.set(key, member);
    this.#here.add(member.network, 1);
    this.#pools.count(member, 1);
  }

  /**
   * Removes a peer.
   *
   * @param key Address of the peer as text.
   * @returns `true` if the peer was in the pool.
   */
  remove(key: string): boolean {
    const member = this.#members.get(key);
    if (member === undefined) return false;
    this.#members.delete(key);
    this.#here.add(member.network, -1);
    this.#pools.count(member, -1);
    const row = this.#rows[member.row]!;
    const last = row.pop()!;
    if (last !== member) {
      row[member.place] = last;
      last.place = member.place;
    }
    return true;
  }

  /**
   * Returns random peers, without duplicates.
   *
   * @param count Maximum number of peers. Fewer may be returned if many are rejected, even though the pool has more.
   * @param options See {@linkcode SampleOptions}.
   */
  sample(count: number, { kinds, family, accept, random }: SampleOptions): KnownPeer[] {
    const drawn: KnownPeer[] = [];
    if (count <= 0) return drawn;
    const rows: Member[][] = [];
    for (const kind of kinds) {
      if (family !== 6) rows.push(this.#rows[rowOf(kind, false)] ?? []);
      if (family !== 4) rows.push(this.#rows[rowOf(kind, true)] ?? []);
    }
    const total = rows.reduce((sum, row) => sum + row.length, 0);
    let left = count + MAX_VAIN;
    for (const index of shuffledIndices(total, random)) {
      const member = memberAt(rows, index);
      if (accept(member)) drawn.push(member);
      if (drawn.length >= count || --left === 0) break;
    }
    return drawn;
  }

  #countOf(kind: PeerKind): number {
    return (this.#rows[rowOf(kind, false)]?.length ?? 0) + (this.#rows[rowOf(kind, true)]?.length ?? 0);
  }
}

/** Returns the peer at an index of the concatenated rows. */
function memberAt(rows: readonly Member[][], index: number): Member {
  for (const row of rows) {
    if (index < row.length) return row[index]!;
    index -= row.length;
  }
  throw new RangeError("There are not so many peers");
}

/** Yields the indexes below `total` in random order: a lazy Fisher-Yates shuffle that stores only moved indexes. */
function* shuffledIndices(total: number, random: () => number): Generator<number> {
  const moved = new Map<number, number>();
  for (let at = 0; at < total; at++) {
    const other = at + Math.floor(random() * (total - at));
    yield moved.get(other) ?? other;
    moved.set(other, moved.get(at) ?? at);
  }
}
