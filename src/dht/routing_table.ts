/**
 * The routing table (BEP 5, Routing Table).
 *
 * Bucket `i` holds nodes whose ids share exactly `i` leading bits with our id. The last bucket also holds nodes that
 * share more bits. Only the last bucket is split when full, since our own id falls into its range.
 *
 * Only nodes that have answered us enter the table, so that neither spoofed addresses nor the reports of other nodes
 * can fill the table.
 *
 * @module
 */

import { formatAddress, type PeerAddress } from "../base/address.ts";
import type { Bytes } from "../base/bytes.ts";
import { MAX_DHT_SUBNET_IN_BUCKET, MAX_DHT_SUBNET_IN_TABLE } from "../base/defences.ts";
import type { NodeContact } from "./compact.ts";
import { factsOf, type HostFacts, nodeKey } from "./hosts.ts";
import { compareDistance, ID_BITS, isIdOf, sharedBits } from "./node_id.ts";

/** Maximum number of nodes in a bucket. */
export const K = 8;
/** Milliseconds after which a silent node is questionable, and an unchanged bucket is stale (BEP 5). */
export const QUESTIONABLE_MS = 15 * 60_000;
/** Number of consecutive unanswered queries after which a node is bad. */
const BAD_AFTER = 2;

/** A node in the routing table. */
export interface TableNode extends NodeContact {
  /** Whether the id matches the address (BEP 42). */
  readonly hasValidId: boolean;
  /** Time of the node's last answer in milliseconds. */
  readonly answeredAt: number;
  /** Time of the node's last query in milliseconds; `-Infinity` if there was none. */
  readonly askedAt: number;
  /** Number of consecutive queries that the node left unanswered. */
  readonly failures: number;
}

interface Entry extends TableNode {
  readonly facts: HostFacts;
  readonly place: string;
  readonly key: string;
  answeredAt: number;
  askedAt: number;
  failures: number;
  /** Time when the node was last returned to be pinged. */
  checkedAt: number;
}

interface Bucket {
  nodes: Entry[];
  /** Replacement candidates, most recent last. */
  spares: Entry[];
  changedAt: number;
}

/** A node that has answered. */
export interface NodeAnswer extends NodeContact {
  /** Time of the answer in milliseconds. */
  readonly at: number;
}

/** The routing table of one address family. */
export class RoutingTable {
  /** Our own id, 20 bytes. */
  readonly id: Bytes;
  readonly #buckets: Bucket[] = [];
  readonly #places = new Map<string, Entry>();
  readonly #byAddress = new Map<string, Entry>();
  /** Number of nodes by network, for public and local networks alike. */
  readonly #networks = new Map<string, number>();

  /**
   * @param id Our own id, 20 bytes.
   * @param now Current time in milliseconds.
   */
  constructor(id: Bytes, now: number) {
    this.id = id;
    this.#buckets.push({ nodes: [], spares: [], changedAt: now });
  }

  /** Number of nodes, bad nodes included. */
  get size(): number {
    return this.#places.size;
  }

  /** Iterates over the nodes that are not bad, from far to near. */
  *[Symbol.iterator](): Generator<TableNode> {
    for (const { nodes } of this.#buckets) for (const node of nodes) if (!isBad(node)) yield node;
  }

  /**
   * Counts the good nodes.
   *
   * @param now Current time in milliseconds.
   */
  goodCount(now: number): number {
    let count = 0;
    for (const { nodes } of this.#buckets) for (const node of nodes) if (isGood(node, now)) count++;
    return count;
  }

  /**
   * Records an answer. The node enters the table, or is marked as alive.
   *
   * @param answer The node and the time of the answer.
   * @returns A silent node that occupies the place of the new node and should be pinged, or `null`.
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
    if (known) this.#remove(known); // the node has restarted with another id
    const place = nodeKey(answer.address, facts);
    const rival = this.#places.get(place);
    if (rival && !isBad(rival)) return null;
    if (rival) this.#remove(rival);
    return this.#insert({
      id: answer.id,
      address: answer.address,
      facts,
      place,
      key,
      hasValidId: isIdOf(answer.id, facts),
      answeredAt: answer.at,
      askedAt: -Infinity,
      failures: 0,
      checkedAt: -Infinity,
    });
  }

  /**
   * Records a query from another node.
   *
   * @param now Current time in milliseconds.
   */
  asked({ id, address }: NodeContact, now: number): void {
    const known = this.#byAddress.get(formatAddress(address));
    if (known && compareDistance(known.id, id, this.id) === 0) known.askedAt = now;
  }

  /**
   * Returns `true` if a node is not in the table and could enter, so that it should be pinged.
   *
   * @param contact The node, as the node itself or another node reports it.
   */
  isWelcome({ id, address }: NodeContact): boolean {
    const facts = factsOf(address.host);
    if (facts === null || facts.kind === "unusable" || this.#places.has(nodeKey(address, facts))) return false;
    const bucket = this.#bucketOf(id);
    if (bucket.nodes.length < K || bucket === this.#buckets.at(-1)) return true;
    return bucket.nodes.some((node) => isBad(node) || (!node.hasValidId && isIdOf(id, facts)));
  }

  /** Records that a node did not answer a query of ours. */
  failed(address: PeerAddress): void {
    const node = this.#byAddress.get(formatAddress(address));
    if (!node) return;
    node.failures++;
    if (!isBad(node)) return;
    const bucket = this.#bucketOf(node.id);
    // A bad node stays until there is a replacement: when we were offline, all nodes turn bad at once.
    for (let spare = bucket.spares.pop(); spare; spare = bucket.spares.pop()) {
      if (this.#places.has(spare.place) && spare.place !== node.place) continue;
      this.#remove(node);
      this.#insert(spare);
      return;
    }
  }

  /**
   * Returns the nodes closest to an id. Bad nodes are left out.
   *
   * @param target The id, 20 bytes.
   * @param count Maximum number of nodes.
   * @returns The nodes, closest first.
   */
  closest(target: Uint8Array, count: number): TableNode[] {
    const order = (a: Entry, b: Entry) => compareDistance(a.id, b.id, target);
    const last = this.#buckets.length - 1;
    const own = Math.min(sharedBits(target, this.id), last);
    const found: Entry[] = this.#buckets[own]!.nodes.filter(isNotBad).sort(order);
    if (found.length < count) {
      // All nodes of the deeper buckets share as many bits with the target as our own id does.
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
   * Returns the node that has been silent for longest, if it is questionable. A node is returned at most once a minute.
   *
   * @param now Current time in milliseconds.
   * @returns The node to ping, or `null`.
   */
  questionable(now: number): TableNode | null {
    let oldest: Entry | null = null;
    for (const { nodes } of this.#buckets) {
      for (const node of nodes) {
        if (now - node.answeredAt < QUESTIONABLE_MS || now - node.checkedAt < RECHECK_MS) continue;
        // Bad nodes are pinged again as well, but after all other nodes.
        if (oldest === null || rankOf(node) < rankOf(oldest)) oldest = node;
      }
    }
    if (oldest !== null) oldest.checkedAt = now;
    return oldest;
  }

  /**
   * Returns a stale bucket that is not full, and marks it as changed now.
   *
   * @param now Current time in milliseconds.
   * @returns Number of bits that ids in the bucket share with our id, or `null` if no bucket is stale.
   */
  stale(now: number): number | null {
    const index = this.#buckets.findIndex(({ changedAt, nodes }) =>
      now - changedAt >= QUESTIONABLE_MS && nodes.length < K
    );
    if (index < 0) return null;
    this.#buckets[index]!.changedAt = now;
    return index;
  }

  /**
   * Returns the buckets, other than the last, that are not full of live nodes.
   *
   * @returns Number of bits that ids in each bucket share with our id.
   */
  incompleteBuckets(): number[] {
    return this.#buckets.slice(0, -1).flatMap(({ nodes }, bits) => nodes.filter(isNotBad).length < K ? [bits] : []);
  }

  #bucketOf(id: Uint8Array): Bucket {
    return this.#buckets[Math.min(sharedBits(id, this.id), this.#buckets.length - 1)]!;
  }

  #insert(entry: Entry): TableNode | null {
    for (;;) {
      const bucket = this.#bucketOf(entry.id);
      const same = bucket.nodes.find((node) => compareDistance(node.id, entry.id, this.id) === 0);
      if (same && !isBad(same)) return null; // no two nodes share an id; the first node keeps it
      if (same) this.#remove(same);
      if (this.#isCrowded(bucket, entry)) return null;
      const canSplit = bucket === this.#buckets.at(-1) && this.#buckets.length < ID_BITS;
      if (bucket.nodes.length >= K) {
        const worst = bucket.nodes.find(isBad) ?? (canSplit ? undefined : replaceableNode(bucket, entry));
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

/** Minimum milliseconds between two pings of a silent node. */
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

/** Finds a node whose id doesn't match its address, to be replaced by a node whose id does. */
function replaceableNode(bucket: Bucket, entry: Entry): Entry | undefined {
  return entry.hasValidId ? bucket.nodes.find(({ hasValidId }) => !hasValidId) : undefined;
}

/**
 * Adds a node to the replacement candidates of a full bucket.
 *
 * @returns The node to ping, which is replaced if it does not answer; or `null`.
 */
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
