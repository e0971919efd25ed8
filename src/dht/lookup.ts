/**
 * The search for the nodes closest to an id (BEP 5), as decisions only: whom to ask next, and when it is over.
 *
 * It is over early, as soon as the closest nodes of whom we know have all answered. Nodes whose ids don't fit their addresses
 * are asked too, but the end doesn't wait for them and they keep nobody else out (BEP 42, Enforcement): such ids are what
 * somebody would choose who wants to surround a torrent.
 *
 * @module
 */

import { formatAddress, type PeerAddress } from "../base/address.ts";
import type { Bytes } from "../base/bytes.ts";
import { MAX_DHT_ASKED, MAX_DHT_CANDIDATES, MAX_DHT_CANDIDATES_PER_HOST } from "../base/defences.ts";
import { factsOf, type HostFacts, isPlausible } from "./hosts.ts";
import { compareDistance, ID_BITS, isIdOf, sharedBits } from "./node_id.ts";
import { K } from "./routing_table.ts";

/** Queries that wait for their answer at the same time; those that are slow don't count. */
export const ALPHA = 4;
/** Nodes with ids that don't fit which are asked while there are enough others. */
const MAX_STRANGERS = 16;

/** Ids under which a node may be told of. */
const MAX_TOLD = 4;

/** A node that a lookup knows of. */
export interface LookupNode {
  /** Where it is. */
  readonly address: PeerAddress;
  /** 20 bytes; `null` as long as only the address is known. */
  readonly id: Bytes | null;
  /** How many nodes there were on the way from our table to it; 0 for those that we knew. */
  readonly hops: number;
  /** What it gave for an announce. */
  readonly token: Bytes | null;
}

/** What became of a candidate. `slow`: it hasn't answered yet, and others are asked in its place. */
type State = "new" | "asked" | "slow" | "answered" | "failed";

interface Entry extends LookupNode {
  readonly key: string;
  readonly facts: HostFacts;
  id: Bytes | null;
  /** The ids under which others told of it, the latest few. */
  readonly told: Bytes[];
  hops: number;
  /** Whether its id fits its address, and is one that others know it by, if others told of it. */
  fits: boolean;
  state: State;
  token: Bytes | null;
}

/** A node that somebody told of. */
export interface Told {
  readonly id: Bytes | null;
  readonly address: PeerAddress;
}

/** What a node answered. */
export interface LookupAnswer {
  /** The id that it has; what others said may have been wrong. */
  readonly id: Bytes;
  /** The nodes that it tells of. */
  readonly nodes: readonly Told[];
  /** What it gave for an announce. */
  readonly token: Bytes | null;
}

/** Options for {@linkcode Lookup}. */
export interface LookupStateOptions {
  /** Our own id, 20 bytes. A node that claims this id is ignored. */
  readonly self: Uint8Array;
}

/** One search. */
export class Lookup {
  /** What is looked for, 20 bytes. */
  readonly target: Uint8Array;
  readonly #self: Uint8Array;
  /** The closest first; those without id last. */
  readonly #sorted: Entry[] = [];
  readonly #entries = new Map<string, Entry>();
  readonly #perHost = new Map<string, number>();
  #underWay = 0;
  #asked = 0;
  #strangers = 0;
  #answered = 0;

  /**
   * @param target What is looked for, 20 bytes.
   * @param options `self`: our own id.
   */
  constructor(target: Uint8Array, options: LookupStateOptions) {
    this.target = target;
    this.#self = options.self;
  }

  /** How many nodes were asked. */
  get askedCount(): number {
    return this.#asked;
  }

  /** How many of them answered. */
  get answeredCount(): number {
    return this.#answered;
  }

  /** Whether the closest nodes have answered, or nobody is left. */
  get finished(): boolean {
    const { next, waits } = this.#look();
    return !waits && (next === null || this.#asked >= MAX_DHT_ASKED);
  }

  /**
   * Adds a node to begin with.
   *
   * @param node One that we know ourselves.
   */
  start(node: Told): void {
    const facts = factsOf(node.address.host);
    if (facts !== null && facts.kind !== "unusable") this.#add(node, { facts, hops: 0 });
  }

  /**
   * Whom to ask now. Whoever is returned counts as asked.
   *
   * @returns A candidate, or `null` when there is none or enough answers are waited for.
   */
  next(): LookupNode | null {
    if (this.#underWay >= ALPHA || this.#asked >= MAX_DHT_ASKED) return null;
    const { next } = this.#look();
    if (next === null) return null;
    next.state = "asked";
    this.#underWay++;
    this.#asked++;
    if (!next.fits && next.id !== null) this.#strangers++;
    return next;
  }

  /**
   * An answer takes long: others are asked meanwhile.
   *
   * @param candidate From whom.
   */
  slow(candidate: LookupNode): void {
    const entry = this.#entries.get(formatAddress(candidate.address));
    if (entry?.state !== "asked") return;
    entry.state = "slow";
    this.#underWay--;
  }

  /**
   * There is no answer.
   *
   * @param candidate From whom.
   */
  failed(candidate: LookupNode): void {
    const entry = this.#settle(candidate);
    if (entry) entry.state = "failed";
  }

  /**
   * There is an answer.
   *
   * @param candidate From whom.
   * @param answer Which.
   */
  answered(candidate: LookupNode, answer: LookupAnswer): void {
    const entry = this.#settle(candidate);
    if (!entry) return;
    this.#answered++;
    entry.state = "answered";
    entry.token = answer.token;
    const isKnownBy = ({ told }: Entry) => told.some((id) => compareDistance(id, answer.id, this.target) === 0);
    const isNew = entry.told.length > 0 && !isKnownBy(entry);
    if (entry.id === null || compareDistance(entry.id, answer.id, this.target) !== 0) this.#rename(entry, answer.id);
    // Who takes an id for the occasion, close to what is looked for, is nobody to rely on.
    if (isNew) entry.fits = false;
    for (const node of answer.nodes) {
      const facts = factsOf(node.address.host);
      if (facts !== null && isPlausible(facts, entry.facts)) this.#add(node, { facts, hops: entry.hops + 1 });
    }
  }

  /**
   * The closest nodes that have answered: those with ids that fit, and others that are as close.
   *
   * @returns Up to 8 and 8, the closest first.
   */
  closest(): LookupNode[] {
    const found: Entry[] = [];
    const sites = new Set<string>();
    let fitting = 0;
    let strangers = 0;
    for (const entry of this.#sorted) {
      if (entry.state !== "answered" || fitting === K) continue;
      if (entry.facts.kind === "public" && sites.has(entry.facts.site)) continue;
      if (!entry.fits && strangers === K) continue;
      sites.add(entry.facts.site);
      if (entry.fits) fitting++;
      else strangers++;
      found.push(entry);
    }
    return found;
  }

  /** Who is next, and whether an answer is worth waiting for. */
  #look(): { next: Entry | null; waits: boolean } {
    let fitting = 0;
    let alive = 0;
    let waits = false;
    let isAnySlow = false;
    let stranger: Entry | null = null;
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
        if (entry.state === "new") stranger ??= entry;
        if (entry.state === "asked") waits = true;
        alive++;
      }
    }
    // Without enough others, those that are slow are waited for: on a bad line all are.
    if (isAnySlow && alive < K) waits = true;
    const isWelcome = fitting < K || this.#strangers < MAX_STRANGERS;
    return { next: isWelcome ? stranger : null, waits };
  }

  #settle(candidate: LookupNode): Entry | null {
    const entry = this.#entries.get(formatAddress(candidate.address));
    if (entry?.state !== "asked" && entry?.state !== "slow") return null;
    if (entry.state === "asked") this.#underWay--;
    return entry;
  }

  #add({ id, address }: Told, { facts, hops }: { facts: HostFacts; hops: number }): void {
    if (id !== null && sharedBits(id, this.#self) === ID_BITS) return;
    const key = formatAddress(address);
    const known = this.#entries.get(key);
    if (known) {
      if (id !== null && known.told.length < MAX_TOLD) known.told.push(id);
      // Whoever tells of it at another place may be lying, or may not. Its answer decides; it is asked the sooner.
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
      told: id === null ? [] : [id],
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

  /** The farthest that wasn't asked. Its address is forgotten too: it may come up again at a better place. */
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
