/**
 * A lookup in progress: queries the nodes that {@linkcode LookupState} chooses, reports peers, and announces at the end.
 *
 * @module
 */

import { type AddressFamily, familyOf, formatAddress, type PeerAddress } from "../base/address.ts";
import type { Bytes } from "../base/bytes.ts";
import { MAX_DHT_PEERS } from "../base/defences.ts";
import { BloomFilter } from "./bloom_filter.ts";
import type { NodeContact } from "./compact.ts";
import { factsOf, type HostFacts, isPlausible } from "./hosts.ts";
import type { Response } from "./krpc_messages.ts";
import { type LookupNode, LookupState, type ReportedNode } from "./lookup_state.ts";
import type { Queries } from "./rpc_transactions.ts";

/** What to announce to the nodes closest to an info-hash. */
export interface Announce {
  /** Our listening port, 1 to 65535. A function returns the port at which peers that ask `node` can reach us. */
  readonly port: number | ((node: PeerAddress) => number);
  /** Whether nodes use the source port of the datagram instead, as needed behind a NAT. */
  readonly impliedPort: boolean;
  /** Whether we are a seed (BEP 33). */
  readonly seed: boolean;
}

/** Result of a lookup. */
export interface LookupReport {
  /** Number of nodes queried. */
  readonly asked: number;
  /** Number of nodes that answered. */
  readonly answered: number;
  /** Maximum number of nodes between us and one of the closest nodes. */
  readonly hops: number;
  /** Number of peers found. */
  readonly peers: number;
  /** Number of nodes that accepted our announce. */
  readonly announced: number;
  /** Estimated number of seeds and other peers; `null` if not requested, or if no node sent filters (BEP 33). */
  readonly swarm: { readonly seeds: number; readonly peers: number } | null;
  /** The closest nodes. */
  readonly closest: readonly NodeContact[];
}

/** Options for {@linkcode LookupRun}. */
export interface LookupRunOptions {
  readonly rpc: Queries;
  readonly family: AddressFamily;
  /** Our node id. */
  readonly self: Bytes;
  readonly target: Bytes;
  readonly method: "find_node" | "get_peers";
  /** Nodes to start from. */
  readonly start: readonly ReportedNode[];
  /** Peers that are already known, reported first. */
  readonly known?: readonly PeerAddress[] | undefined;
  readonly announce?: Announce | undefined;
  readonly scrape?: boolean | undefined;
  /** Node families to request (BEP 32). Our own family when absent. */
  readonly want?: readonly ("n4" | "n6")[] | undefined;
  /** Called with peers as they are found, once per peer. */
  onPeers?(peers: readonly PeerAddress[]): void;
  /** Called with nodes of our own family from an answer. */
  onTold?(nodes: readonly NodeContact[]): void;
  /** Called with nodes of the other family from an answer. */
  onOthers?(nodes: readonly NodeContact[]): void;
  /** Called when the lookup is complete, but not after {@linkcode LookupRun.abort}. */
  onDone(report: LookupReport): void;
}

/** One lookup, from the first query to the last announce. */
export class LookupRun {
  readonly #options: LookupRunOptions;
  readonly #lookup: LookupState;
  readonly #peers = new Set<string>();
  readonly #seeds = new BloomFilter();
  readonly #others = new BloomFilter();
  #isScraped = false;
  #state: "asking" | "announcing" | "over" = "asking";
  #toAnnounce = 0;
  #announced = 0;

  constructor(options: LookupRunOptions) {
    this.#options = options;
    this.#lookup = new LookupState(options.target, { self: options.self });
    for (const node of options.start) this.#lookup.start(node);
  }

  /** Reports the known peers and sends the first queries. */
  start(): void {
    this.#givePeers(this.#options.known ?? []);
    this.#goOn();
  }

  /** Ends the lookup. No callback is called any more. */
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
    if (this.#options.onTold) this.#options.onTold(nodes.filter(({ address }) => isPlausibleFrom(address, teller)));
    if (others.length > 0) this.#options.onOthers?.(others);
    if (values.seedFilter) this.#seeds.join(values.seedFilter);
    if (values.peerFilter) this.#others.join(values.peerFilter);
    this.#isScraped ||= (values.seedFilter ?? values.peerFilter) !== undefined;
    this.#givePeers((values.peers ?? []).filter((peer) => isPlausibleFrom(peer, teller)));
  }

  /** Reports each peer once, up to the limit per lookup. */
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

function isPlausibleFrom({ host }: PeerAddress, teller: HostFacts | null): boolean {
  const facts = factsOf(host);
  return facts !== null && teller !== null && isPlausible(facts, teller);
}
