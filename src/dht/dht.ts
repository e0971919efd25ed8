/**
 * The DHT as the rest of the program sees it: one node for each family behind one socket, or two.
 *
 * Who owns the socket gives every datagram that {@linkcode looksLikeKrpc} to {@linkcode Dht.receive} and sends what the DHT
 * wants to have sent; other protocols may share the socket.
 *
 * @module
 */

import { formatIp, parseIp, type PeerAddress } from "../base/address.ts";
import type { Bytes } from "../base/bytes.ts";
import { messageOf } from "../base/errors.ts";
import type { InfoHash } from "../base/info_hash.ts";
import {
  DHT_ANSWER_BURST,
  DHT_ANSWERS_PER_HOST,
  DHT_ANSWERS_PER_SECOND,
  MAX_DHT_REMEMBERED_HOSTS,
} from "../base/defences.ts";
import { HostRateLimits, RateLimit } from "../base/rate_limit.ts";
import type { Network, Platform } from "../platform/platform.ts";
import type { NodeContact } from "./compact.ts";
import { DhtNode } from "./dht_node.ts";
import { ErrorCode, KrpcError, SavedTableError } from "./errors.ts";
import { factsOf, type Family, familyOf } from "./hosts.ts";
import { decodeMessage, encodeRefusal, looksLikeKrpc, type Message } from "./krpc.ts";
import type { Announce, LookupReport } from "./lookup_run.ts";
import { decodeSavedTable, encodeSavedTable, type SavedTable } from "./saved_table.ts";

/** Addresses that are taken of a host name, for each family. */
const MAX_ADDRESSES = 4;
const NOTHING_SAVED: SavedTable = { 4: { id: null, nodes: [] }, 6: { id: null, nodes: [] } };

/** The outside, as far as the DHT needs it. */
export type DhtPlatform = Pick<Platform, "now" | "after" | "random" | "randomBytes" | "digest"> & {
  readonly net: Pick<Network, "resolve">;
};

/** What a DHT starts from. */
export interface DhtOptions {
  readonly platform: DhtPlatform;
  /** The families that the socket takes. */
  readonly families: readonly Family[];
  /** Sends a datagram; what is lost is lost. `bytes` isn't used again. */
  send(bytes: Bytes, to: PeerAddress): void;
  /** Nodes to begin with, by name or address. */
  readonly bootstrap: readonly { readonly host: string; readonly port: number }[];
  /** What {@linkcode Dht.save} gave in an earlier run. */
  readonly saved?: Uint8Array | undefined;
  /** Whether it answers no queries, as behind a NAT that lets nothing in (BEP 43); `false` when absent. */
  readonly readOnly?: boolean | undefined;
  /** Others agree on our address. */
  onExternalAddress?(host: string): void;
  /** Something that a user may want to know: `text` is a plain sentence. */
  onWarning?(text: string): void;
}

/** How to look a torrent up. */
export interface LookupOptions {
  /** Takes peers as they are found. */
  onPeers(peers: readonly PeerAddress[]): void;
  /** What to tell the closest nodes; nothing when absent. */
  readonly announce?: Announce | undefined;
  /** Whether to count the swarm (BEP 33). */
  readonly scrape?: boolean | undefined;
  /** Nodes to begin with besides those in our tables: the closest of an earlier lookup. */
  readonly near?: readonly NodeContact[] | undefined;
  /** Ends it early. */
  readonly signal?: AbortSignal | undefined;
}

/** Our place in the DHT. */
export class Dht {
  readonly #options: DhtOptions;
  readonly #nodes = new Map<Family, DhtNode>();
  readonly #saved: SavedTable;
  readonly #perHost: HostRateLimits;
  readonly #answers: RateLimit;
  readonly #joinedListeners = new Set<() => void>();
  /** Ends each lookup that is under way. */
  readonly #lookups = new Set<() => void>();
  #isStopped = false;
  /** The bootstrap nodes can't be reached, and that was said. */
  #hasComplained = false;

  /** @param options What it starts from. */
  constructor(options: DhtOptions) {
    this.#options = options;
    const { platform } = options;
    this.#saved = this.#readSaved();
    for (const family of options.families) this.#nodes.set(family, this.#makeNode(family));
    const now = platform.now();
    this.#answers = new RateLimit({ perSecond: DHT_ANSWERS_PER_SECOND, burst: DHT_ANSWERS_PER_SECOND }, now);
    this.#perHost = new HostRateLimits({
      perSecond: DHT_ANSWERS_PER_HOST,
      burst: DHT_ANSWER_BURST,
      capacity: MAX_DHT_REMEMBERED_HOSTS,
    });
  }

  /** Nodes in our tables that answered, or asked, within a quarter of an hour. */
  get nodes(): Readonly<Record<Family, number>> {
    const count = (family: Family) => this.#nodes.get(family)?.table.goodCount(this.#options.platform.now()) ?? 0;
    return { 4: count(4), 6: count(6) };
  }

  /** Our addresses as others see them; `null` as long as they don't agree. */
  get externalAddress(): Readonly<Record<Family, string | null>> {
    const of = (family: Family) => this.#nodes.get(family)?.externalAddress ?? null;
    return { 4: of(4), 6: of(6) };
  }

  /** Whether it has found others and its place among them, in one family at the least. */
  get isJoined(): boolean {
    return [...this.#nodes.values()].some(({ isJoined }) => isJoined);
  }

  /** Begins: asks the nodes of the last run, and those to begin with. */
  start(): void {
    for (const [family, node] of this.#nodes) {
      node.start();
      for (const { address } of this.#saved[family].nodes) node.add(address);
    }
  }

  /** Ends it. What is looked up ends with what was found. */
  stop(): void {
    this.#isStopped = true;
    for (const node of this.#nodes.values()) node.stop();
    this.#joinedListeners.clear();
    for (const end of [...this.#lookups]) end();
  }

  /**
   * Takes a datagram.
   *
   * @param bytes The datagram; may be used again as soon as this returns.
   * @param from Who sent it, in the usual form: an IPv4 address as such.
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
    if (message.type !== "query") return node.answered(message, from);
    if (this.#options.readOnly || !this.#mayAnswer(from)) return;
    const answer = node.asked(message, from);
    if (answer !== null) this.#options.send(answer, from);
  }

  /**
   * Looks for the peers of a torrent, in both families.
   *
   * @param infoHash Which torrent.
   * @param options How.
   * @returns How it went, all families together.
   */
  async lookup(infoHash: InfoHash, options: LookupOptions): Promise<LookupReport> {
    const reports = await Promise.all([...this.#nodes.values()].map((node) => this.#lookupIn(node, infoHash, options)));
    return reports.reduce(joinReports, EMPTY_REPORT);
  }

  /**
   * Gets to know a node, if it answers: for PORT messages of peers (BEP 5), say.
   *
   * @param address Where it may be.
   */
  addNode(address: PeerAddress): void {
    if (!this.#isStopped) this.#nodes.get(familyOf(address.host))?.add(address);
  }

  /**
   * Gets to know a node by name: for those in a torrent (BEP 5).
   *
   * @param node Name or address, and port. Names that aren't known count as nodes that don't answer.
   * @returns Whether the name is known.
   */
  addHost(node: { readonly host: string; readonly port: number }): Promise<boolean> {
    return this.#addHost(node, this.#options.families);
  }

  /**
   * Calls back whenever a family has joined, and at once if one has.
   *
   * @param listener What to call.
   * @returns Ends it.
   */
  onJoined(listener: () => void): () => void {
    this.#joinedListeners.add(listener);
    if (this.isJoined) listener();
    return () => void this.#joinedListeners.delete(listener);
  }

  /** @returns What to give to the next run. */
  save(): Bytes {
    const of = (family: Family) => {
      const node = this.#nodes.get(family);
      const nodes = node ? [...node.table] : [];
      // Whoever is stopped before it has joined keeps what it had.
      return node && nodes.length > 0 ? { id: node.id, nodes } : this.#saved[family];
    };
    return encodeSavedTable({ 4: of(4), 6: of(6) });
  }

  #lookupIn(node: DhtNode, infoHash: InfoHash, options: LookupOptions): Promise<LookupReport> {
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

  #makeNode(family: Family): DhtNode {
    const { platform, readOnly = false } = this.#options;
    return new DhtNode({
      platform,
      family,
      readOnly,
      id: this.#saved[family].id,
      send: (bytes, to) => this.#options.send(bytes, to),
      closest: (of, target, count) => this.#nodes.get(of)?.table.closest(target, count) ?? [],
      onLonely: () => void this.#bootstrap(family),
      onJoined: () => {
        for (const listener of [...this.#joinedListeners]) listener();
      },
      onOthers: (nodes) => this.#hearOfOthers(nodes),
      onExternalAddress: (host) => this.#options.onExternalAddress?.(host),
      wantsBoth: () => [...this.#nodes.values()].some((node) => node.table.size < ENOUGH),
    });
  }

  /** One family helps the other to its first nodes (BEP 32). */
  #hearOfOthers(nodes: readonly NodeContact[]): void {
    for (const { address } of nodes) {
      const node = this.#nodes.get(familyOf(address.host));
      if (node && node.table.size < ENOUGH) node.add(address);
    }
  }

  async #bootstrap(family: Family): Promise<void> {
    const { bootstrap } = this.#options;
    const known = await Promise.all(bootstrap.map((node) => this.#addHost(node, [family])));
    if (this.#isStopped || this.#hasComplained || bootstrap.length === 0 || known.includes(true)) return;
    this.#hasComplained = true;
    this.#options.onWarning?.(`No bootstrap node of the DHT has an address that is known: ${namesOf(bootstrap)}`);
  }

  async #addHost(
    { host, port }: { readonly host: string; readonly port: number },
    families: readonly Family[],
  ): Promise<boolean> {
    const literal = parseIp(host);
    let hosts: string[];
    try {
      hosts = literal ? [formatIp(literal)] : await this.#options.platform.net.resolve(host);
    } catch {
      return false; // a name that isn't known, or no network: whoever wants to know is told
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
      this.#options.onWarning?.(`The saved DHT table is of no use: ${messageOf(error)}`);
      return NOTHING_SAVED;
    }
  }
}

/** Nodes of a family with which the other needn't help any more. */
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
