/**
 * The peers of one torrent as a tracker knows them.
 *
 * @module
 */

import { encodeCompactPeer, type PeerAddress } from "../base/address.ts";
import { networkOf } from "../base/networks.ts";
import { Queue, type Queued } from "../base/queue.ts";
import { AddressQuota } from "./address_quota.ts";

/** One peer. */
export interface KnownPeer {
  /** Where it listens. */
  readonly address: PeerAddress;
  /** Its 20 bytes as hexadecimal. */
  readonly peerId: string;
  /** Whether it has everything. */
  readonly seed: boolean;
  /** Whether it wants more; neither a seed nor a partial seed does (BEP 21). */
  readonly downloading: boolean;
  /** Whether its completion has been counted. */
  readonly counted: boolean;
  /** When it last announced, in milliseconds. */
  readonly seen: number;
  /** Its address as {@linkcode compactText} gives it, where that is remembered. */
  readonly compact?: string;
}

/**
 * The compact form of an address (BEP 23, 7), each byte a character: a string takes a quarter of the memory of an array.
 *
 * @param address Where a peer listens.
 * @returns 6 or 18 characters; none when the host is no literal address.
 */
export function compactText(address: PeerAddress): string {
  return String.fromCharCode(...encodeCompactPeer(address) ?? []);
}

/** What a peer wants: more, no more although it hasn't all (BEP 21), or nothing since it has all. */
export type PeerKind = "downloading" | "partial" | "seed";

const KINDS: readonly PeerKind[] = ["downloading", "partial", "seed"];

/** Peers that may be looked at in vain when some are drawn: whoever asks is one, under several addresses perhaps. */
const MAX_VAIN = 16;

/** A member of a pool. Of 200,000 of them each field counts. */
class Member implements KnownPeer, Queued<Member> {
  readonly pool: PeerPool;
  readonly key: string;
  readonly address: PeerAddress;
  /** What its address counts under. */
  readonly network: string;
  peerId: string;
  seed: boolean;
  downloading: boolean;
  counted: boolean;
  seen: number;
  #compact: string | null = null;
  /** Where it is in its row. */
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

  /** Which row it is in: those of a kind and a family are together. */
  get row(): number {
    return rowOf(this.seed ? "seed" : this.downloading ? "downloading" : "partial", this.address.host.includes(":"));
  }
}

function rowOf(kind: PeerKind, six: boolean): number {
  return 2 * KINDS.indexOf(kind) + Number(six);
}

/** What all pools of a tracker have in common. */
export class Pools {
  /** Peers by network. */
  readonly quota = new AddressQuota();
  readonly #queue = new Queue<Member>();
  #peers = 0;
  #seeds = 0;

  /** How many peers there are. */
  get peers(): number {
    return this.#peers;
  }

  /** How many of them have everything. */
  get seeds(): number {
    return this.#seeds;
  }

  /** A peer came, or goes. A pool calls it. */
  count(member: Member, change: 1 | -1): void {
    this.#peers += change;
    if (member.seed) this.#seeds += change;
    this.quota.add(member.network, change);
    if (change === 1) this.#queue.push(member);
    else this.#queue.remove(member);
  }

  /** A peer announced. A pool calls it. */
  touch(member: Member): void {
    this.#queue.remove(member);
    this.#queue.push(member);
  }

  /**
   * Forgets peers that have not announced for a while.
   *
   * @param before A moment; who announced last before it goes.
   * @param options `most`: how many may go now. `emptied`: is told of each pool that has no peer any more.
   * @returns Whether there are more to go.
   */
  expire(
    before: number,
    { most, emptied }: { readonly most: number; readonly emptied: (pool: PeerPool) => void },
  ): boolean {
    for (let count = 0;; count++) {
      const member = this.#queue.first;
      if (member === null || member.seen >= before) return false;
      if (count >= most) return true;
      member.pool.remove(member.key);
      if (member.pool.size === 0) emptied(member.pool);
    }
  }
}

/**
 * The peers of a torrent by address. Adding, removing, counting and drawing at random take the same time however many there are.
 */
export class PeerPool {
  /** Completed downloads. */
  completions = 0;
  /** The torrent's info-hash, or what else it is known by. */
  readonly name: string;
  readonly #members = new Map<string, Member>();
  /** See {@linkcode Member.row}; made when there is somebody in it. */
  readonly #rows: (Member[] | undefined)[] = [];
  /** Peers of this pool by network. */
  readonly #here = new AddressQuota();
  readonly #pools: Pools;

  /**
   * @param pools Counts the peers of all pools.
   * @param name What it is known by.
   */
  constructor(pools: Pools = new Pools(), name = "") {
    this.#pools = pools;
    this.name = name;
  }

  /** How many peers there are. */
  get size(): number {
    return this.#members.size;
  }

  /** How many of them have everything. */
  get seeders(): number {
    return this.#countOf("seed");
  }

  /** How many of them have not, partial seeds included (BEP 21). */
  get leechers(): number {
    return this.size - this.seeders;
  }

  /** How many want more, partial seeds left out. */
  get downloaders(): number {
    return this.#countOf("downloading");
  }

  /**
   * @param network As {@linkcode networkOf} gives it.
   * @returns How many peers there are of it.
   */
  countOf(network: string): number {
    return this.#here.of(network);
  }

  /**
   * @param key The peer's address as text.
   * @returns The peer, or `undefined`.
   */
  get(key: string): KnownPeer | undefined {
    return this.#members.get(key);
  }

  /**
   * Takes note that a peer is there still.
   *
   * @param key Its address as text; harmless when it isn't known.
   * @param now Milliseconds.
   */
  touch(key: string, now: number): void {
    const member = this.#members.get(key);
    if (member === undefined) return;
    member.seen = now;
    this.#pools.touch(member);
  }

  /**
   * Adds a peer or renews what is known of it.
   *
   * @param key Its address as text.
   * @param peer What is known now.
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
   * @param key The address of a peer to forget, as text.
   * @returns Whether it was known.
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
   * Draws peers at random, each at most once.
   *
   * @param count How many at most. There may be fewer although there are more, when many won't do.
   * @param options `kinds`: which kinds are wanted. `family`: the only one that is; both when absent. `accept`: which peers will do.
   * `random`: uniform in 0 (included) to 1 (excluded).
   * @returns The peers.
   */
  sample(
    count: number,
    { kinds, family, accept, random }: {
      readonly kinds: readonly PeerKind[];
      readonly family?: 4 | 6 | undefined;
      readonly accept: (peer: KnownPeer) => boolean;
      readonly random: () => number;
    },
  ): KnownPeer[] {
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

/** The peer with a number when rows are put behind each other. */
function memberAt(rows: readonly Member[][], index: number): Member {
  for (const row of rows) {
    if (index < row.length) return row[index]!;
    index -= row.length;
  }
  throw new RangeError("There are not so many peers");
}

/** The numbers below `total` in random order, made as they are asked for: a shuffle that only remembers what it moved. */
function* shuffledIndices(total: number, random: () => number): Generator<number> {
  const moved = new Map<number, number>();
  for (let at = 0; at < total; at++) {
    const other = at + Math.floor(random() * (total - at));
    yield moved.get(other) ?? other;
    moved.set(other, moved.get(at) ?? at);
  }
}
