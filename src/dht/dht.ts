/**
 * The DHT as the rest of the program uses it: one node per address family.
 *
 * The owner of the UDP socket passes every datagram for which {@linkcode looksLikeKrpc} returns `true` to
 * {@linkcode Dht.receive}, and sends the datagrams that the DHT passes to `send`. Other protocols may share the socket.
 *
 * @module
 */

import { type AddressFamily, familyOf, formatIp, type HostPort, parseIp, type PeerAddress } from "../base/address.ts";
import type { Bytes } from "../base/bytes.ts";
import { messageOf } from "../base/errors.ts";
import type { InfoHash } from "../base/info_hash.ts";
import {
  DHT_ANSWER_BURST,
  DHT_ANSWERS_PER_HOST,
  DHT_ANSWERS_PER_SECOND,
  MAX_DHT_REMEMBERED_HOSTS,
} from "../base/defences.ts";
import { TokenBucket, TokenBuckets } from "../base/token_bucket.ts";
import type { Network, Platform } from "../platform/platform.ts";
import type { NodeContact } from "./compact.ts";
import { OwnNode } from "./own_node.ts";
import { ErrorCode, KrpcError, SavedTableError } from "./errors.ts";
import { factsOf } from "./hosts.ts";
import { decodeMessage, encodeRefusal, looksLikeKrpc, type Message } from "./krpc_messages.ts";
import type { Announce, LookupReport } from "./lookup_run.ts";
import { decodeSavedTable, encodeSavedTable, type SavedTable } from "./saved_table.ts";

/** Maximum number of addresses used per host name and family. */
const MAX_ADDRESSES = 4;
const NOTHING_SAVED: SavedTable = { 4: { id: null, nodes: [] }, 6: { id: null, nodes: [] } };

/** The parts of the platform that the DHT uses. */
export type DhtPlatform = Pick<Platform, "now" | "after" | "random" | "randomBytes" | "digest"> & {
  readonly net: Pick<Network, "resolve">;
};

/** Options for {@linkcode Dht}. */
export interface DhtOptions {
  readonly platform: DhtPlatform;
  /** Address families of the socket. */
  readonly families: readonly AddressFamily[];
  /** Sends a datagram, which may be lost. The DHT does not use `bytes` again. */
  send(bytes: Bytes, to: PeerAddress): void;
  /** Bootstrap nodes, by host name or address. */
  readonly bootstrap: readonly HostPort[];
  /** Result of {@linkcode Dht.save} in an earlier run. */
  readonly saved?: Uint8Array | undefined;
  /** Whether to answer no queries, as behind a NAT that blocks incoming datagrams (BEP 43). Default: `false`. */
  readonly readOnly?: boolean | undefined;
  /** Called when other nodes agree on our external address. */
  onExternalAddress?(host: string): void;
  /** Called with a plain sentence about a problem that the user may want to know. */
  onWarning?(text: string): void;
}

/** Options for {@linkcode Dht.lookup}. */
export interface LookupOptions {
  /** Called with peers as they are found. */
  onPeers(peers: readonly PeerAddress[]): void;
  /** What to announce to the closest nodes. Nothing is announced when absent. */
  readonly announce?: Announce | undefined;
  /** Whether to count seeds and peers (BEP 33). Default: `false`. */
  readonly scrape?: boolean | undefined;
  /** Nodes to start from in addition to the routing tables, such as the closest nodes of an earlier lookup. */
  readonly near?: readonly NodeContact[] | undefined;
  /** Ends the lookup early. The lookup then resolves with an empty report. */
  readonly signal?: AbortSignal | undefined;
}

/** Our nodes in the DHT, one per address family. */
export class Dht {
  readonly #options: DhtOptions;
  readonly #nodes = new Map<AddressFamily, OwnNode>();
  readonly #saved: SavedTable;
  readonly #perHost: TokenBuckets;
  readonly #answers: TokenBucket;
  readonly #joinedListeners = new Set<() => void>();
  /** Ends a lookup that is in progress, one function per lookup. */
  readonly #lookups = new Set<() => void>();
  #isStopped = false;
  /** Whether the warning about unreachable bootstrap nodes has been given. */
  #hasComplained = false;

  constructor(options: DhtOptions) {
    this.#options = options;
    const { platform } = options;
    this.#saved = this.#readSaved();
    for (const family of options.families) this.#nodes.set(family, this.#makeNode(family));
    const now = platform.now();
    this.#answers = new TokenBucket({ perSecond: DHT_ANSWERS_PER_SECOND, burst: DHT_ANSWERS_PER_SECOND }, now);
    this.#perHost = new TokenBuckets({
      perSecond: DHT_ANSWERS_PER_HOST,
      burst: DHT_ANSWER_BURST,
      capacity: MAX_DHT_REMEMBERED_HOSTS,
    });
  }

  /** Number of good nodes in the routing tables: nodes that answered or queried us within 15 minutes. */
  get nodes(): Readonly<Record<AddressFamily, number>> {
    const count = (family: AddressFamily) =>
      this.#nodes.get(family)?.table.goodCount(this.#options.platform.now()) ?? 0;
    return { 4: count(4), 6: count(6) };
  }

  /** Our external addresses as reported by other nodes. `null` until a majority agrees. */
  get externalAddress(): Readonly<Record<AddressFamily, string | null>> {
    const of = (family: AddressFamily) => this.#nodes.get(family)?.externalAddress ?? null;
    return { 4: of(4), 6: of(6) };
  }

  /** `true` if at least one family has joined the DHT: other nodes are known and our own id has been looked up. */
  get isJoined(): boolean {
    return [...this.#nodes.values()].some(({ isJoined }) => isJoined);
  }

  /** Starts the nodes, which ping the bootstrap nodes and the nodes of the saved table. */
  start(): void {
    for (const [family, node] of this.#nodes) {
      node.start();
      for (const { address } of this.#saved[family].nodes) node.add(address);
    }
  }

  /** Stops the nodes. Lookups in progress resolve with an empty report. */
  stop(): void {
    this.#isStopped = true;
    for (const node of this.#nodes.values()) node.stop();
    this.#joinedListeners.clear();
    for (const end of [...this.#lookups]) end();
  }

  /**
   * Handles a datagram.
   *
   * @param bytes The datagram. The caller may reuse the buffer once this method returns.
   * @param from Sender, in canonical form: an IPv4 address is not written as a mapped IPv6 address.
   */
  receive(bytes: Uint8Array, from: PeerAddress): void {
    const node = this.#nodes.get(familyOf(from.host));
    if (!node || this.#isStopped || !looksLikeKrpc(bytes)) return;
    let message: Message;
    try {
      message = decodeMessage(bytes);
    } catch (error) {
      if (!(error instanceof KrpcError)) throw error;
      const { transaction, why } = error;
      if (transaction === null || this.#options.readOnly || !this.#mayAnswer(from)) return;
      return this.#options.send(encodeRefusal({ transaction, code: ErrorCode.protocol, text: why }), from);
    }
    if (message.type !== "query") return node.handleResponse(message, from);
    if (this.#options.readOnly || !this.#mayAnswer(from)) return;
    const answer = node.handleQuery(message, from);
    if (answer !== null) this.#options.send(answer, from);
  }

  /**
   * Looks for the peers of a torrent in both families.
   *
   * @returns The combined report of all families.
   */
  async lookup(infoHash: InfoHash, options: LookupOptions): Promise<LookupReport> {
    const reports = await Promise.all([...this.#nodes.values()].map((node) => this.#lookupIn(node, infoHash, options)));
    return reports.reduce(joinReports, EMPTY_REPORT);
  }

  /** Pings a node, which enters the routing table if it answers. Used for PORT messages of peers (BEP 5). */
  addNode(address: PeerAddress): void {
    if (!this.#isStopped) this.#nodes.get(familyOf(address.host))?.add(address);
  }

  /**
   * Pings a node given by host name. Used for the `nodes` of a torrent (BEP 5).
   *
   * @param node Host name or address, and port.
   * @returns `true` if the name could be resolved.
   */
  addHost(node: HostPort): Promise<boolean> {
    return this.#addHost(node, this.#options.families);
  }

  /**
   * Calls a function each time that a family joins the DHT, and immediately if one has joined already.
   *
   * @returns Function that removes the listener.
   */
  onJoined(listener: () => void): () => void {
    this.#joinedListeners.add(listener);
    if (this.isJoined) listener();
    return () => void this.#joinedListeners.delete(listener);
  }

  /** Encodes the routing tables for the next run. */
  save(): Bytes {
    const of = (family: AddressFamily) => {
      const node = this.#nodes.get(family);
      const nodes = node ? [...node.table] : [];
      // A node that is stopped before it has joined keeps the table of the last run.
      return node && nodes.length > 0 ? { id: node.id, nodes } : this.#saved[family];
    };
    return encodeSavedTable({ 4: of(4), 6: of(6) });
  }

  #lookupIn(node: OwnNode, infoHash: InfoHash, options: LookupOptions): Promise<LookupReport> {
    const { onPeers, announce, scrape, near, signal } = options;
    if (this.#isStopped || signal?.aborted) return Promise.resolve(EMPTY_REPORT);
    return new Promise((resolve) => {
      let cancel = () => {};
      const end = (report: LookupReport) => {
        signal?.removeEventListener("abort", stop);
        this.#lookups.delete(stop);
        resolve(report);
      };
      const stop = () => {
        cancel();
        end(EMPTY_REPORT);
      };
      signal?.addEventListener("abort", stop, { once: true });
      this.#lookups.add(stop);
      cancel = node.lookup({
        target: infoHash.bytes,
        method: "get_peers",
        announce,
        scrape,
        near: near?.filter(({ address }) => familyOf(address.host) === node.family),
        onPeers: (peers) => onPeers(peers),
        onDone: end,
      });
    });
  }

  #mayAnswer(from: PeerAddress): boolean {
    const now = this.#options.platform.now();
    const facts = factsOf(from.host);
    return facts !== null && this.#perHost.take(facts.site, now) && this.#answers.take(now);
  }

  #makeNode(family: AddressFamily): OwnNode {
    const { platform, readOnly = false } = this.#options;
    return new OwnNode({
      platform,
      family,
      readOnly,
      id: this.#saved[family].id,
      send: (bytes, to) => this.#options.send(bytes, to),
      closest: (of, target, count) => this.#nodes.get(of)?.table.closest(target, count) ?? [],
      onNeedNodes: () => void this.#bootstrap(family),
      onJoined: () => {
        for (const listener of [...this.#joinedListeners]) listener();
      },
      onOthers: (nodes) => this.#hearOfOthers(nodes),
      onExternalAddress: (host) => this.#options.onExternalAddress?.(host),
      wantsBoth: () => [...this.#nodes.values()].some((node) => node.table.size < ENOUGH),
    });
  }

  /** Pings nodes of the other family that an answer contained, while that family knows few nodes (BEP 32). */
  #hearOfOthers(nodes: readonly NodeContact[]): void {
    for (const { address } of nodes) {
      const node = this.#nodes.get(familyOf(address.host));
      if (node && node.table.size < ENOUGH) node.add(address);
    }
  }

  async #bootstrap(family: AddressFamily): Promise<void> {
    const { bootstrap } = this.#options;
    const known = await Promise.all(bootstrap.map((node) => this.#addHost(node, [family])));
    if (this.#isStopped || this.#hasComplained || bootstrap.length === 0 || known.includes(true)) return;
    this.#hasComplained = true;
    this.#options.onWarning?.(`No DHT bootstrap node could be resolved: ${namesOf(bootstrap)}`);
  }

  async #addHost({ host, port }: HostPort, families: readonly AddressFamily[]): Promise<boolean> {
    const literal = parseIp(host);
    let hosts: string[];
    try {
      hosts = literal ? [formatIp(literal)] : await this.#options.platform.net.resolve(host);
    } catch {
      return false; // the name is unknown, or there is no network; the result tells the caller
    }
    for (const family of families) {
      const own = hosts.filter((address) => parseIp(address) && familyOf(address) === family).slice(0, MAX_ADDRESSES);
      for (const address of own) this.addNode({ host: address, port });
    }
    return true;
  }

  #readSaved(): SavedTable {
    const { saved } = this.#options;
    if (saved === undefined) return NOTHING_SAVED;
    try {
      return decodeSavedTable(saved);
    } catch (error) {
      if (!(error instanceof SavedTableError)) throw error;
      this.#options.onWarning?.(`The saved DHT table cannot be used: ${messageOf(error)}`);
      return NOTHING_SAVED;
    }
  }
}

/** A family with this many nodes no longer needs nodes from the answers of the other family. */
const ENOUGH = 16;

const EMPTY_REPORT: LookupReport = {
  asked: 0,
  answered: 0,
  hops: 0,
  peers: 0,
  announced: 0,
  swarm: null,
  closest: [],
};

function joinReports(a: LookupReport, b: LookupReport): LookupReport {
  const swarm = a.swarm && b.swarm
    ? { seeds: a.swarm.seeds + b.swarm.seeds, peers: a.swarm.peers + b.swarm.peers }
    : a.swarm ?? b.swarm;
  return {
    asked: a.asked + b.asked,
    answered: a.answered + b.answered,
    hops: Math.max(a.hops, b.hops),
    peers: a.peers + b.peers,
    announced: a.announced + b.announced,
    swarm,
    closest: [...a.closest, ...b.closest],
  };
}

function namesOf(nodes: readonly { readonly host: string }[]): string {
  return nodes.map(({ host }) => host).join(", ");
}
