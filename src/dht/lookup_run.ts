/**
 * A lookup under way: asks whom {@linkcode Lookup} chooses, hands peers on, and announces at the end.
 *
 * @module
 */

import { formatAddress, type PeerAddress } from "../base/address.ts";
import type { Bytes } from "../base/bytes.ts";
import { MAX_DHT_PEERS } from "../base/defences.ts";
import { BloomFilter } from "./bloom_filter.ts";
import type { NodeContact } from "./compact.ts";
import { factsOf, type Family, familyOf, type HostFacts, isPlausible } from "./hosts.ts";
import type { Response } from "./krpc.ts";
import { Lookup, type LookupNode, type Told } from "./lookup.ts";
import type { Queries } from "./rpc.ts";

/** What we tell the nodes closest to an info-hash. */
export interface Announce {
  /** Where we listen, 1 to 65535: for all the same, or as whoever hears of us from a node reaches us. */
  readonly port: number | ((node: PeerAddress) => number);
  /** Whether the port that the datagram comes from counts instead, as behind a NAT. */
  readonly impliedPort: boolean;
  /** Whether we have everything (BEP 33). */
  readonly seed: boolean;
}

/** How a lookup went. */
export interface LookupReport {
  /** Nodes that were asked. */
  readonly asked: number;
  /** Nodes that answered. */
  readonly answered: number;
  /** The most nodes between us and one of the closest. */
  readonly hops: number;
  /** Peers that were found. */
  readonly peers: number;
  /** Nodes that took our announce. */
  readonly announced: number;
  /** About how many seeds and other peers there are; `null` when that wasn't asked for or nobody knows (BEP 33). */
  readonly swarm: { readonly seeds: number; readonly peers: number } | null;
  /** The closest nodes. */
  readonly closest: readonly NodeContact[];
}

/** What a lookup is to do. */
export interface RunOptions {
  readonly rpc: Queries;
  readonly family: Family;
  /** Our id. */
  readonly self: Bytes;
  readonly target: Bytes;
  readonly method: "find_node" | "get_peers";
  /** Nodes to begin with. */
  readonly start: readonly Told[];
  /** Peers that we know of already; given away first. */
  readonly known?: readonly PeerAddress[] | undefined;
  readonly announce?: Announce | undefined;
  readonly scrape?: boolean | undefined;
  /** Families of nodes to ask for; our own when absent. */
  readonly want?: readonly ("n4" | "n6")[] | undefined;
  /** Takes peers as they are found, each once. */
  onPeers?(peers: readonly PeerAddress[]): void;
  /** Takes nodes of our family that others told of. */
  onTold?(nodes: readonly NodeContact[]): void;
  /** Takes nodes of the other family. */
  onOthers?(nodes: readonly NodeContact[]): void;
  /** It is over; not called after {@linkcode LookupRun.abort}. */
  onDone(report: LookupReport): void;
}

/** One lookup from beginning to end. */
export class LookupRun {
  readonly #options: RunOptions;
  readonly #lookup: Lookup;
  readonly #peers = new Set<string>();
  readonly #seeds = new BloomFilter();
  readonly #others = new BloomFilter();
  #isScraped = false;
  #state: "asking" | "announcing" | "over" = "asking";
  #toAnnounce = 0;
  #announced = 0;

  /** @param options What it is to do. */
  constructor(options: RunOptions) {
    this.#options = options;
    this.#lookup = new Lookup(options.target, { self: options.self });
    for (const node of options.start) this.#lookup.start(node);
  }

  /** Begins. */
  start(): void {
    this.#givePeers(this.#options.known ?? []);
    this.#goOn();
  }

  /** Ends it; nobody is told anything any more. */
  abort(): void {
    this.#state = "over";
  }

  #goOn(): void {
    if (this.#state !== "asking") return;
    for (let next = this.#lookup.next(); next !== null; next = this.#lookup.next()) this.#ask(next);
    if (this.#lookup.finished) this.#conclude();
  }

  #ask(candidate: LookupNode): void {
    const { rpc, method, target, want, scrape } = this.#options;
    const failed = () => {
      this.#lookup.failed(candidate);
      this.#goOn();
    };
    rpc.query({
      to: candidate.address,
      method,
      arguments: method === "get_peers" ? { infoHash: target, want, scrape } : { target, want },
      outcome: {
        answered: (response) => {
          this.#take(candidate, response);
          this.#goOn();
        },
        refused: failed,
        failed,
        slow: () => {
          this.#lookup.slow(candidate);
          this.#goOn();
        },
      },
    });
  }

  #take(candidate: LookupNode, { values }: Response): void {
    if (this.#state !== "asking") return;
    const { family } = this.#options;
    const own = (family === 4 ? values.nodes : values.nodes6) ?? [];
    const others = (family === 4 ? values.nodes6 : values.nodes) ?? [];
    const nodes = own.filter(({ address }) => familyOf(address.host) === family);
    this.#lookup.answered(candidate, { id: values.id, nodes, token: values.token ?? null });
    const teller = factsOf(candidate.address.host);
    if (this.#options.onTold) this.#options.onTold(nodes.filter(({ address }) => isBelieved(address, teller)));
    if (others.length > 0) this.#options.onOthers?.(others);
    if (values.seedFilter) this.#seeds.join(values.seedFilter);
    if (values.peerFilter) this.#others.join(values.peerFilter);
    this.#isScraped ||= (values.seedFilter ?? values.peerFilter) !== undefined;
    this.#givePeers((values.peers ?? []).filter((peer) => isBelieved(peer, teller)));
  }

  /** Each once, and no more than are of use. */
  #givePeers(peers: readonly PeerAddress[]): void {
    const fresh: PeerAddress[] = [];
    for (const peer of peers) {
      const key = formatAddress(peer);
      if (this.#peers.has(key) || this.#peers.size >= MAX_DHT_PEERS) continue;
      this.#peers.add(key);
      fresh.push(peer);
    }
    if (fresh.length > 0) this.#options.onPeers?.(fresh);
  }

  #conclude(): void {
    const { announce, rpc, target } = this.#options;
    this.#state = "announcing";
    const targets = announce ? this.#lookup.closest().filter(({ token }) => token !== null) : [];
    this.#toAnnounce = targets.length;
    for (const { address, token } of targets) {
      let isSettled = false;
      const settle = (accepted: boolean) => {
        if (accepted) this.#announced++;
        if (isSettled) return;
        isSettled = true;
        if (--this.#toAnnounce === 0) this.#finish();
      };
      const { impliedPort, seed } = announce!;
      const port = typeof announce!.port === "number" ? announce!.port : announce!.port(address);
      rpc.query({
        to: address,
        method: "announce_peer",
        arguments: { infoHash: target, port, impliedPort, seed, token: token! },
        outcome: {
          answered: () => settle(true),
          refused: () => settle(false),
          failed: () => settle(false),
          slow: () => settle(false),
        },
      });
    }
    if (targets.length === 0) this.#finish();
  }

  #finish(): void {
    if (this.#state === "over") return;
    this.#state = "over";
    const closest = this.#lookup.closest();
    this.#options.onDone({
      asked: this.#lookup.askedCount,
      answered: this.#lookup.answeredCount,
      hops: closest.reduce((most, { hops }) => Math.max(most, hops), 0),
      peers: this.#peers.size,
      announced: this.#announced,
      swarm: this.#isScraped ? { seeds: this.#seeds.estimate, peers: this.#others.estimate } : null,
      closest: closest.map(({ id, address }) => ({ id: id!, address })),
    });
  }
}

function isBelieved({ host }: PeerAddress, teller: HostFacts | null): boolean {
  const facts = factsOf(host);
  return facts !== null && teller !== null && isPlausible(facts, teller);
}
