/**
 * The nodes that we know (BEP 5, Routing Table).
 *
 * Bucket `i` holds nodes whose ids share exactly `i` leading bits with ours, the last bucket those that share more, too. Only
 * that one is split when it is full, since our own id falls into it.
 *
 * Nobody comes in who hasn't answered us, so that neither forged addresses nor tales of others fill the table.
 *
 * @module
 */

import { formatAddress, type PeerAddress } from "../base/address.ts";
import type { Bytes } from "../base/bytes.ts";
import { MAX_DHT_SUBNET_IN_BUCKET, MAX_DHT_SUBNET_IN_TABLE } from "../base/defences.ts";
import type { NodeContact } from "./compact.ts";
import { factsOf, type HostFacts, placeOf } from "./hosts.ts";
import { compareDistance, ID_BITS, isIdOf, sharedBits } from "./node_id.ts";

/** Nodes in a bucket. */
export const K = 8;
/** Milliseconds after which a node that was silent is questionable, and a bucket without change is stale (BEP 5). */
export const QUESTIONABLE_MS = 15 * 60_000;
/** Queries in a row without answer after which a node is bad. */
const BAD_AFTER = 2;

/** A node in the table. */
export interface TableNode extends NodeContact {
  /** Whether its id fits its address (BEP 42). */
  readonly fits: boolean;
  /** When it answered us last, milliseconds. */
  readonly answeredAt: number;
  /** When it asked us something last; `-Infinity` for never. */
  readonly askedAt: number;
  /** Queries in a row that it left unanswered. */
  readonly failures: number;
}

interface Entry extends TableNode {
  readonly facts: HostFacts;
  readonly place: string;
  readonly key: string;
  answeredAt: number;
  askedAt: number;
  failures: number;
  /** When it was given out for a ping. */
  checkedAt: number;
}

interface Bucket {
  nodes: Entry[];
  /** Who would like to have a place, the latest last. */
  spares: Entry[];
  changedAt: number;
}

/** A node that has answered. */
export interface NodeAnswer extends NodeContact {
  /** When, in milliseconds. */
  readonly at: number;
}

/** The routing table of one family. */
export class RoutingTable {
  /** Our own id. */
  readonly id: Bytes;
  readonly #buckets: Bucket[] = [];
  readonly #places = new Map<string, Entry>();
  readonly #byAddress = new Map<string, Entry>();
  /** Nodes by public network. */
  readonly #networks = new Map<string, number>();

  /**
   * @param id Our own id, 20 bytes.
   * @param now Milliseconds.
   */
  constructor(id: Bytes, now: number) {
    this.id = id;
    this.#buckets.push({ nodes: [], spares: [], changedAt: now });
  }

  /** How many nodes there are. */
  get size(): number {
    return this.#places.size;
  }

  /** @returns The nodes that aren't bad, from far to near. */
  *[Symbol.iterator](): Generator<TableNode> {
    for (const { nodes } of this.#buckets) for (const node of nodes) if (!isBad(node)) yield node;
  }

  /**
   * @param now Milliseconds.
   * @returns How many nodes are good.
   */
  goodCount(now: number): number {
    let count = 0;
    for (const { nodes } of this.#buckets) for (const node of nodes) if (isGood(node, now)) count++;
    return count;
  }

  /**
   * Takes note of an answer: the node comes in, or stays.
   *
   * @param answer Who, and when.
   * @returns A node that stands in the way and wasn't heard for long, to be pinged; `null` for none.
   */
  answered(answer: NodeAnswer): TableNode | null {
    const facts = factsOf(answer.address.host);
    if (facts === null || facts.kind === "unusable" || sharedBits(answer.id, this.id) === ID_BITS) return null;
    const key = formatAddress(answer.address);
    const known = this.#byAddress.get(key);
    if (known && compareDistance(known.id, answer.id, this.id) === 0) {
      known.answeredAt = Math.max(known.answeredAt, answer.at);
      known.failures = 0;
      this.#bucketOf(known.id).changedAt = answer.at;
      return null;
    }
    if (known) this.#remove(known); // it began anew, with another id
    const place = placeOf(answer.address, facts);
    const rival = this.#places.get(place);
    if (rival && !isBad(rival)) return null;
    if (rival) this.#remove(rival);
    return this.#insert({
      id: answer.id,
      address: answer.address,
      facts,
      place,
      key,
      fits: isIdOf(answer.id, facts),
      answeredAt: answer.at,
      askedAt: -Infinity,
      failures: 0,
      checkedAt: -Infinity,
    });
  }

  /**
   * Takes note of a query.
   *
   * @param contact Who asks.
   * @param now Milliseconds.
   */
  asked({ id, address }: NodeContact, now: number): void {
    const known = this.#byAddress.get(formatAddress(address));
    if (known && compareDistance(known.id, id, this.id) === 0) known.askedAt = now;
  }

  /**
   * Whether a node isn't in the table and there is room for it, so that a ping to it may be worth while.
   *
   * @param contact Who it is, by its own account or another's.
   * @returns Whether to ping it.
   */
  isWelcome({ id, address }: NodeContact): boolean {
    const facts = factsOf(address.host);
    if (facts === null || facts.kind === "unusable" || this.#places.has(placeOf(address, facts))) return false;
    const bucket = this.#bucketOf(id);
    if (bucket.nodes.length < K || bucket === this.#buckets.at(-1)) return true;
    return bucket.nodes.some((node) => isBad(node) || (!node.fits && isIdOf(id, facts)));
  }

  /**
   * Takes note of a query of ours that came to nothing.
   *
   * @param address Whom it was for.
   */
  failed(address: PeerAddress): void {
    const node = this.#byAddress.get(formatAddress(address));
    if (!node) return;
    node.failures++;
    if (!isBad(node)) return;
    const bucket = this.#bucketOf(node.id);
    // A bad node stays until there is another for its place: when we were offline, all are bad at once.
    for (let spare = bucket.spares.pop(); spare; spare = bucket.spares.pop()) {
      if (this.#places.has(spare.place) && spare.place !== node.place) continue;
      this.#remove(node);
      this.#insert(spare);
      return;
    }
  }

  /**
   * The nodes closest to an id, bad ones left out.
   *
   * @param target The id.
   * @param count How many.
   * @returns Them, the closest first.
   */
  closest(target: Uint8Array, count: number): TableNode[] {
    const order = (a: Entry, b: Entry) => compareDistance(a.id, b.id, target);
    const last = this.#buckets.length - 1;
    const own = Math.min(sharedBits(target, this.id), last);
    const found: Entry[] = this.#buckets[own]!.nodes.filter(isNotBad).sort(order);
    if (found.length < count) {
      // All of these share as many bits with the target as we do.
      const deeper: Entry[] = [];
      for (let i = own + 1; i <= last; i++) {
        for (const node of this.#buckets[i]!.nodes) if (!isBad(node)) deeper.push(node);
      }
      found.push(...deeper.sort(order));
    }
    for (let i = own - 1; i >= 0 && found.length < count; i--) {
      found.push(...this.#buckets[i]!.nodes.filter(isNotBad).sort(order));
    }
    return found.slice(0, count);
  }

  /**
   * The node that was silent for longest, if it is questionable. It isn't given again for a minute.
   *
   * @param now Milliseconds.
   * @returns Whom to ping, or `null`.
   */
  questionable(now: number): TableNode | null {
    let oldest: Entry | null = null;
    for (const { nodes } of this.#buckets) {
      for (const node of nodes) {
        if (now - node.answeredAt < QUESTIONABLE_MS || now - node.checkedAt < RECHECK_MS) continue;
        // Bad ones are tried again, too, but the others come first.
        if (oldest === null || rankOf(node) < rankOf(oldest)) oldest = node;
      }
    }
    if (oldest !== null) oldest.checkedAt = now;
    return oldest;
  }

  /**
   * A bucket that needs to be filled: no change for a quarter of an hour. It counts as changed from now on.
   *
   * @param now Milliseconds.
   * @returns How many bits an id in it shares with ours, or `null` when there is none.
   */
  stale(now: number): number | null {
    const index = this.#buckets.findIndex(({ changedAt, nodes }) =>
      now - changedAt >= QUESTIONABLE_MS && nodes.length < K
    );
    if (index < 0) return null;
    this.#buckets[index]!.changedAt = now;
    return index;
  }

  /** @returns How many bits ids share with ours in buckets, but the last, that aren't full. */
  hollow(): number[] {
    return this.#buckets.slice(0, -1).flatMap(({ nodes }, bits) => nodes.filter(isNotBad).length < K ? [bits] : []);
  }

  #bucketOf(id: Uint8Array): Bucket {
    return this.#buckets[Math.min(sharedBits(id, this.id), this.#buckets.length - 1)]!;
  }

  #insert(entry: Entry): TableNode | null {
    for (;;) {
      const bucket = this.#bucketOf(entry.id);
      const same = bucket.nodes.find((node) => compareDistance(node.id, entry.id, this.id) === 0);
      if (same && !isBad(same)) return null; // two can't have one id, and who came first keeps it
      if (same) this.#remove(same);
      if (this.#isCrowded(bucket, entry)) return null;
      const canSplit = bucket === this.#buckets.at(-1) && this.#buckets.length < ID_BITS;
      if (bucket.nodes.length >= K) {
        const worst = bucket.nodes.find(isBad) ?? (canSplit ? undefined : misfitFor(bucket, entry));
        if (worst) this.#remove(worst);
      }
      if (bucket.nodes.length < K) {
        this.#put(bucket, entry);
        return null;
      }
      if (canSplit) {
        this.#split(bucket);
        continue;
      }
      return spare(bucket, entry);
    }
  }

  #put(bucket: Bucket, entry: Entry): void {
    bucket.nodes.push(entry);
    bucket.changedAt = Math.max(bucket.changedAt, entry.answeredAt);
    this.#places.set(entry.place, entry);
    this.#byAddress.set(entry.key, entry);
    const { network } = entry.facts;
    this.#networks.set(network, (this.#networks.get(network) ?? 0) + 1);
  }

  #isCrowded(bucket: Bucket, { facts }: Entry): boolean {
    if (facts.kind === "local") return false;
    const neighbours = bucket.nodes.filter((node) => node.facts.network === facts.network);
    return neighbours.length >= MAX_DHT_SUBNET_IN_BUCKET ||
      (this.#networks.get(facts.network) ?? 0) >= MAX_DHT_SUBNET_IN_TABLE;
  }

  #split(bucket: Bucket): void {
    const bits = this.#buckets.length - 1;
    const isNear = (node: Entry) => sharedBits(node.id, this.id) > bits;
    this.#buckets.push({
      nodes: bucket.nodes.filter(isNear),
      spares: bucket.spares.filter(isNear),
      changedAt: bucket.changedAt,
    });
    bucket.nodes = bucket.nodes.filter((node) => !isNear(node));
    bucket.spares = bucket.spares.filter((node) => !isNear(node));
  }

  #remove(node: Entry): void {
    const bucket = this.#bucketOf(node.id);
    bucket.nodes = bucket.nodes.filter((other) => other !== node);
    this.#places.delete(node.place);
    this.#byAddress.delete(node.key);
    const { network } = node.facts;
    const left = this.#networks.get(network)! - 1;
    if (left === 0) this.#networks.delete(network);
    else this.#networks.set(network, left);
  }
}

/** Milliseconds between two pings that a node gets for being silent. */
const RECHECK_MS = 60_000;

function isBad(node: TableNode): boolean {
  return node.failures >= BAD_AFTER;
}

function isNotBad(node: TableNode): boolean {
  return node.failures < BAD_AFTER;
}

function isGood(node: TableNode, now: number): boolean {
  return isNotBad(node) && (now - node.answeredAt < QUESTIONABLE_MS || now - node.askedAt < QUESTIONABLE_MS);
}

function rankOf(node: Entry): number {
  return isBad(node) ? Math.max(node.answeredAt, node.checkedAt) + 1e12 : node.answeredAt;
}

/** Who has to go for a newcomer whose id fits its address: somebody whose id doesn't. */
function misfitFor(bucket: Bucket, entry: Entry): Entry | undefined {
  return entry.fits ? bucket.nodes.find(({ fits }) => !fits) : undefined;
}

/** @returns Whom to ping, since it may have to go. */
function spare(bucket: Bucket, entry: Entry): TableNode | null {
  bucket.spares = bucket.spares.filter(({ place }) => place !== entry.place);
  bucket.spares.push(entry);
  if (bucket.spares.length > K) bucket.spares.shift();
  let oldest: Entry | null = null;
  for (const node of bucket.nodes) {
    if (isGood(node, entry.answeredAt) || entry.answeredAt - node.checkedAt < RECHECK_MS) continue;
    if (oldest === null || node.answeredAt < oldest.answeredAt) oldest = node;
  }
  if (oldest !== null) oldest.checkedAt = entry.answeredAt;
  return oldest;
}
