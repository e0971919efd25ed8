/**
 * The peers of one torrent as a tracker knows them.
 *
 * @module
 */

import type { PeerAddress } from "../../base/address.ts";
import { networkOf } from "../../base/networks.ts";
import { Tally } from "./tally.ts";

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
}

/** A member of the pool with its place in the row for sampling. */
interface Member {
  peer: KnownPeer;
  place: number;
  /** What its address counts under. */
  readonly network: string;
}

/**
 * Peers by address, in the order of their last announce. Adding, removing and drawing a random peer take constant time,
 * however many there are.
 */
export class PeerPool {
  /** Completed downloads. */
  completions = 0;
  /** Insertion order is the order of announces: an announce takes its peer out and puts it back at the end. */
  readonly #members = new Map<string, Member>();
  readonly #seeds: Member[] = [];
  readonly #others: Member[] = [];
  /** Peers of this pool by network ... */
  readonly #here = new Tally();
  /** ... and of all pools. */
  readonly #everywhere: Tally;

  /** @param everywhere Counts the peers of all pools by network. */
  constructor(everywhere: Tally = new Tally()) {
    this.#everywhere = everywhere;
  }

  /** How many peers there are. */
  get size(): number {
    return this.#members.size;
  }

  /** How many of them have everything. */
  get seeders(): number {
    return this.#seeds.length;
  }

  /** How many of them have not. */
  get leechers(): number {
    return this.#others.length;
  }

  /**
   * @param network As {@linkcode networkOf} gives it.
   * @returns How many peers there are of it.
   */
  countOf(network: string): number {
    return this.#here.of(network);
  }

  /** @returns How many want more, partial seeds left out. */
  countDownloaders(): number {
    return this.#others.filter((member) => member.peer.downloading).length;
  }

  /**
   * @param key The peer's address as text.
   * @returns The peer, or `undefined`.
   */
  get(key: string): KnownPeer | undefined {
    return this.#members.get(key)?.peer;
  }

  /**
   * Adds a peer or renews what is known of it.
   *
   * @param key Its address as text.
   * @param peer What is known now.
   */
  put(key: string, peer: KnownPeer): void {
    this.remove(key);
    const row = peer.seed ? this.#seeds : this.#others;
    const member = { peer, place: row.length, network: networkOf(peer.address.host) };
    this.#count(member, 1);
    row.push(member);
    this.#members.set(key, member);
  }

  /**
   * @param key The address of a peer to forget, as text.
   * @returns Whether it was known.
   */
  remove(key: string): boolean {
    const member = this.#members.get(key);
    if (member === undefined) return false;
    this.#members.delete(key);
    this.#count(member, -1);
    const row = member.peer.seed ? this.#seeds : this.#others;
    const last = row.pop()!;
    if (last !== member) {
      row[member.place] = last;
      last.place = member.place;
    }
    return true;
  }

  /**
   * Forgets peers that have not announced for a while.
   *
   * @param before A moment; who announced last before it goes.
   * @returns How many went.
   */
  expire(before: number): number {
    let count = 0;
    for (const [key, member] of this.#members) {
      if (member.peer.seen >= before) break;
      this.remove(key);
      count++;
    }
    return count;
  }

  /**
   * Draws peers at random, each at most once.
   *
   * @param count How many at most.
   * @param options `withSeeds`: whether seeds are among them. `accept`: which peers will do. `random`: uniform in 0
   * (included) to 1 (excluded).
   * @returns The peers.
   */
  sample(
    count: number,
    options: {
      readonly withSeeds: boolean;
      readonly accept: (peer: KnownPeer) => boolean;
      readonly random: () => number;
    },
  ): KnownPeer[] {
    const total = this.#others.length + (options.withSeeds ? this.#seeds.length : 0);
    const drawn: KnownPeer[] = [];
    for (const index of shuffledIndices(total, options.random)) {
      if (drawn.length >= count) break;
      const member = this.#others[index] ?? this.#seeds[index - this.#others.length];
      if (member && options.accept(member.peer)) drawn.push(member.peer);
    }
    return drawn;
  }

  #count({ network }: Member, change: 1 | -1): void {
    this.#here.add(network, change);
    this.#everywhere.add(network, change);
  }
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
