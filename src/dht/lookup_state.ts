/**
 * State of an iterative search for the nodes closest to an id (BEP 5): which node to query next, and when to stop.
 * Sends nothing itself; see `lookup_run.ts`.
 *
 * The search ends as soon as the closest known nodes have all answered. Nodes whose ids don't match their addresses are
 * queried too, but the search does not wait for them and they displace no other node (BEP 42, Enforcement), since an
 * attacker who wants to surround a torrent chooses such ids.
 *
 * @module
 */

import { formatAddress, type PeerAddress } from "../base/address.ts";
import type { Bytes } from "../base/bytes.ts";
import { MAX_DHT_ASKED, MAX_DHT_CANDIDATES, MAX_DHT_CANDIDATES_PER_HOST } from "../base/defences.ts";
import { factsOf, type HostFacts, isPlausible } from "./hosts.ts";
import { compareDistance, ID_BITS, isIdOf, sharedBits } from "./node_id.ts";
import { K } from "./routing_table.ts";

/** Maximum number of queries awaiting an answer. Slow queries don't count. */
export const ALPHA = 4;
/** Maximum number of nodes queried whose ids don't match their addresses, once 8 matching nodes are known. */
const MAX_MISMATCHED_IDS = 16;

/** Maximum number of ids kept per node as other nodes reported them. */
const MAX_REPORTED_IDS = 4;

/** A node known to a lookup. */
export interface LookupNode {
  /** Address and port of the node. */
  readonly address: PeerAddress;
  /** Node id, 20 bytes; `null` while only the address is known. */
  readonly id: Bytes | null;
  /** Number of nodes between our routing table and this node; 0 for a node that we knew. */
  readonly hops: number;
  /** Token for an announce to the node. */
  readonly token: Bytes | null;
}

/** State of a candidate. `slow`: the node has not answered yet, and another node is queried in its place. */
type State = "new" | "asked" | "slow" | "answered" | "failed";

interface Entry extends LookupNode {
  readonly key: string;
  readonly facts: HostFacts;
  id: Bytes | null;
  /** Ids under which other nodes reported this node, the first few. */
  readonly reportedIds: Bytes[];
  hops: number;
  /** Whether the id matches the address (BEP 42), and is one of `told` if other nodes reported this node. */
  fits: boolean;
  state: State;
  token: Bytes | null;
}

/** A node as another node reports it, or as we know it. */
export interface ReportedNode {
  readonly id: Bytes | null;
  readonly address: PeerAddress;
}

/** The parts of a node's answer that the lookup uses. */
export interface LookupAnswer {
  /** Id of the answering node. Other nodes may have reported another id. */
  readonly id: Bytes;
  /** Nodes that the answer contains. */
  readonly nodes: readonly ReportedNode[];
  /** Token for an announce to the node. */
  readonly token: Bytes | null;
}

/** Options for {@linkcode LookupState}. */
export interface LookupStateOptions {
  /** Our own id, 20 bytes. A node that claims this id is ignored. */
  readonly self: Uint8Array;
}

/** An iterative search for the nodes closest to an id. */
export class LookupState {
  /** Id to search for, 20 bytes. */
  readonly target: Uint8Array;
  readonly #self: Uint8Array;
  /** Candidates, closest first. Candidates without an id are last. */
  readonly #sorted: Entry[] = [];
  readonly #entries = new Map<string, Entry>();
  readonly #perHost = new Map<string, number>();
  #underWay = 0;
  #asked = 0;
  #mismatched = 0;
  #answered = 0;

  /** @param target Id to search for, 20 bytes. */
  constructor(target: Uint8Array, options: LookupStateOptions) {
    this.target = target;
    this.#self = options.self;
  }

  /** Number of nodes queried. */
  get askedCount(): number {
    return this.#asked;
  }

  /** Number of nodes that answered. */
  get answeredCount(): number {
    return this.#answered;
  }

  /** `true` if the closest nodes have answered, no candidate is left, or the limit of queries is reached. */
  get finished(): boolean {
    const { next, waits } = this.#scanCandidates();
    return !waits && (next === null || this.#asked >= MAX_DHT_ASKED);
  }

  /** Adds a node to start from. */
  start(node: ReportedNode): void {
    const facts = factsOf(node.address.host);
    if (facts !== null && facts.kind !== "unusable") this.#add(node, { facts, hops: 0 });
  }

  /**
   * Chooses the next node to query, and counts the node as queried.
   *
   * @returns The node, or `null` if there is none or enough queries await an answer.
   */
  next(): LookupNode | null {
    if (this.#underWay >= ALPHA || this.#asked >= MAX_DHT_ASKED) return null;
    const { next } = this.#scanCandidates();
    if (next === null) return null;
    next.state = "asked";
    this.#underWay++;
    this.#asked++;
    if (!next.fits && next.id !== null) this.#mismatched++;
    return next;
  }

  /** Marks a query as slow, so that another node is queried meanwhile. */
  slow(candidate: LookupNode): void {
    const entry = this.#entries.get(formatAddress(candidate.address));
    if (entry?.state !== "asked") return;
    entry.state = "slow";
    this.#underWay--;
  }

  /** Records that a node did not answer. */
  failed(candidate: LookupNode): void {
    const entry = this.#settle(candidate);
    if (entry) entry.state = "failed";
  }

  /** Records an answer, and adds the nodes in it. */
  answered(candidate: LookupNode, answer: LookupAnswer): void {
    const entry = this.#settle(candidate);
    if (!entry) return;
    this.#answered++;
    entry.state = "answered";
    entry.token = answer.token;
    const isKnownBy = ({ reportedIds }: Entry) =>
      reportedIds.some((id) => compareDistance(id, answer.id, this.target) === 0);
    const isNew = entry.reportedIds.length > 0 && !isKnownBy(entry);
    if (entry.id === null || compareDistance(entry.id, answer.id, this.target) !== 0) this.#rename(entry, answer.id);
    // The node has taken a new id, probably to be close to the target. Such a node is not trusted.
    if (isNew) entry.fits = false;
    for (const node of answer.nodes) {
      const facts = factsOf(node.address.host);
      if (facts !== null && isPlausible(facts, entry.facts)) this.#add(node, { facts, hops: entry.hops + 1 });
    }
  }

  /**
   * Returns the closest nodes that have answered: nodes with ids that match their addresses, and nodes with other ids
   * that are equally close.
   *
   * @returns Up to 8 nodes of each kind, closest first.
   */
  closest(): LookupNode[] {
    const found: Entry[] = [];
    const sites = new Set<string>();
    let fitting = 0;
    let mismatched = 0;
    for (const entry of this.#sorted) {
      if (entry.state !== "answered" || fitting === K) continue;
      if (entry.facts.kind === "public" && sites.has(entry.facts.site)) continue;
      if (!entry.fits && mismatched === K) continue;
      sites.add(entry.facts.site);
      if (entry.fits) fitting++;
      else mismatched++;
      found.push(entry);
    }
    return found;
  }

  /** Finds the next node to query, and whether to wait for an outstanding answer. */
  #scanCandidates(): { next: Entry | null; waits: boolean } {
    let fitting = 0;
    let alive = 0;
    let waits = false;
    let isAnySlow = false;
    let mismatch: Entry | null = null;
    for (const entry of this.#sorted) {
      if (entry.state === "slow") isAnySlow = true;
      if (entry.state === "failed" || entry.state === "slow") continue;
      const isAmongClosest = alive < K;
      if (entry.fits) {
        if (entry.state === "new") return { next: entry, waits };
        if (entry.state === "asked") waits = true;
        alive++;
        if (++fitting === K) break;
      } else if (isAmongClosest) {
        if (entry.state === "new") mismatch ??= entry;
        if (entry.state === "asked") waits = true;
        alive++;
      }
    }
    // With too few live nodes, wait for slow nodes as well: on a bad line, all nodes are slow.
    if (isAnySlow && alive < K) waits = true;
    const isWelcome = fitting < K || this.#mismatched < MAX_MISMATCHED_IDS;
    return { next: isWelcome ? mismatch : null, waits };
  }

  #settle(candidate: LookupNode): Entry | null {
    const entry = this.#entries.get(formatAddress(candidate.address));
    if (entry?.state !== "asked" && entry?.state !== "slow") return null;
    if (entry.state === "asked") this.#underWay--;
    return entry;
  }

  #add({ id, address }: ReportedNode, { facts, hops }: { facts: HostFacts; hops: number }): void {
    if (id !== null && sharedBits(id, this.#self) === ID_BITS) return;
    const key = formatAddress(address);
    const known = this.#entries.get(key);
    if (known) {
      if (id !== null && known.reportedIds.length < MAX_REPORTED_IDS) known.reportedIds.push(id);
      // Other nodes may report this node under a false id. The closest reported id only makes the lookup query the node
      // sooner; the id in the node's answer counts.
      const isCloser = id !== null && (known.id === null || compareDistance(id, known.id, this.target) < 0);
      if (known.state === "new" && isCloser) {
        known.hops = hops;
        this.#rename(known, id);
      }
      return;
    }
    if (facts.kind === "public") {
      const neighbours = this.#perHost.get(facts.site) ?? 0;
      if (neighbours >= MAX_DHT_CANDIDATES_PER_HOST) return;
      this.#perHost.set(facts.site, neighbours + 1);
    }
    const fits = id !== null && isIdOf(id, facts);
    const entry: Entry = {
      key,
      address,
      facts,
      id,
      reportedIds: id === null ? [] : [id],
      hops,
      fits,
      state: "new",
      token: null,
    };
    this.#entries.set(key, entry);
    this.#place(entry);
    if (this.#sorted.length > MAX_DHT_CANDIDATES) this.#forget();
  }

  #rename(entry: Entry, id: Bytes): void {
    this.#sorted.splice(this.#sorted.indexOf(entry), 1);
    entry.id = id;
    entry.fits = isIdOf(id, entry.facts);
    this.#place(entry);
  }

  #place(entry: Entry): void {
    let low = 0;
    let high = this.#sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#isCloser(entry, this.#sorted[middle]!)) high = middle;
      else low = middle + 1;
    }
    this.#sorted.splice(low, 0, entry);
  }

  #isCloser(a: Entry, b: Entry): boolean {
    if (a.id === null || b.id === null) return a.id !== null;
    return compareDistance(a.id, b.id, this.target) < 0;
  }

  /** Drops the farthest candidate not queried, with its address: the node may be reported again under a closer id. */
  #forget(): void {
    for (let at = this.#sorted.length - 1; at >= 0; at--) {
      const entry = this.#sorted[at]!;
      if (entry.state !== "new") continue;
      this.#sorted.splice(at, 1);
      this.#entries.delete(entry.key);
      if (entry.facts.kind === "public") this.#perHost.set(entry.facts.site, this.#perHost.get(entry.facts.site)! - 1);
      return;
    }
  }
}
