/**
 * Our node in the DHT of one address family: joins, maintains the routing table, sends and answers queries.
 *
 * `add()` pings a first node. The first answer starts the join: the node looks up its own id, then random ids in
 * buckets that are still not full. After that, occasional pings keep the table fresh. While too few nodes are known,
 * the join is repeated.
 *
 * @module
 */

import { type AddressFamily, familyOf, formatAddress, type PeerAddress } from "../base/address.ts";
import type { Bytes } from "../base/bytes.ts";
import { MAX_DHT_PEERS_PER_TORRENT } from "../base/defences.ts";
import type { Platform, Timer } from "../platform/platform.ts";
import { ExternalAddressVotes } from "./external_address_votes.ts";
import type { NodeContact } from "./compact.ts";
import { factsOf } from "./hosts.ts";
import type { Query, Refusal, Response } from "./krpc_messages.ts";
import { type LookupReport, LookupRun, type LookupRunOptions } from "./lookup_run.ts";
import { ID_LENGTH, idForAddress, idSharing, isIdOf } from "./node_id.ts";
import { Responder } from "./responder.ts";
import { K, RoutingTable } from "./routing_table.ts";
import { type Call, type QueryOutcome, Rpc } from "./rpc_transactions.ts";

/** Milliseconds between two maintenance rounds. Each sends at most one ping, so 90 nodes are pinged in 15 minutes. */
const TICK_MS = 10_000;
/** Milliseconds until the join is repeated when too few nodes answer. The time doubles with each retry. */
const RETRY_MS = 15_000;
/** Upper limit of that time. */
const LONGEST_RETRY_MS = 10 * 60_000;
/** Retry count while enough nodes are known. The table is then checked once a minute. */
const HEALTHY = 2;
/** Milliseconds between two removals of expired peers from the peer store. */
const EXPIRE_MS = 60_000;
/** Maximum number of concurrent lookups. Further lookups are queued. */
const MAX_LOOKUPS = 16;
/** Maximum number of concurrent pings to nodes that queried us or that other nodes reported. */
const MAX_PENDING_PINGS = 16;

/** Options for {@linkcode OwnNode}. */
export interface OwnNodeOptions {
  readonly platform: Pick<Platform, "now" | "after" | "random" | "randomBytes" | "digest">;
  readonly family: AddressFamily;
  /** Whether to answer no queries (BEP 43). */
  readonly readOnly: boolean;
  /** Node id of the last run, or `null` for a random one. */
  readonly id: Bytes | null;
  /** Sends a datagram. */
  send(bytes: Bytes, to: PeerAddress): void;
  /** Returns the good nodes of either family closest to an id, for answers. */
  closest(family: AddressFamily, target: Uint8Array, count: number): readonly NodeContact[];
  /** Called when too few nodes are known. The owner should `add()` more, such as bootstrap nodes. */
  onNeedNodes(): void;
  /** Called each time that the node has joined. A node may join again. */
  onJoined(): void;
  /** Called with nodes of the other family that an answer contained. */
  onOthers(nodes: readonly NodeContact[]): void;
  /** Called when other nodes agree on our external address. */
  onExternalAddress(host: string): void;
  /** Returns `true` if lookups should ask for nodes of both families (BEP 32). */
  wantsBoth(): boolean;
}

/** Options for {@linkcode OwnNode.lookup}. See {@linkcode LookupRunOptions}. */
export interface NodeLookup
  extends Pick<LookupRunOptions, "target" | "method" | "announce" | "scrape" | "onPeers" | "onTold" | "onDone"> {
  /** Nodes to start from in addition to the routing table. */
  readonly near?: readonly NodeContact[] | undefined;
}

/** Our DHT node for one address family. */
export class OwnNode {
  /** Answers the queries of other nodes. */
  readonly responder: Responder;
  readonly #options: OwnNodeOptions;
  readonly #rpc: Rpc;
  readonly #votes = new ExternalAddressVotes();
  #table: RoutingTable;
  #state: "alone" | "joining" | "joined" | "stopped" = "alone";
  #tick: Timer | null = null;
  #retry: Timer | null = null;
  #retries = 0;
  #nextExpiry: number;
  readonly #curious = new Set<string>();
  readonly #runs = new Set<LookupRun>();
  readonly #queue: (() => void)[] = [];

  constructor(options: OwnNodeOptions) {
    this.#options = options;
    const { platform, family } = options;
    this.#table = new RoutingTable(options.id ?? platform.randomBytes(ID_LENGTH), platform.now());
    this.#nextExpiry = platform.now() + EXPIRE_MS;
    this.#rpc = new Rpc({
      platform,
      send: (bytes, to) => options.send(bytes, to),
      identify: () => ({ id: this.id, readOnly: options.readOnly }),
    });
    this.responder = new Responder({
      platform,
      family,
      id: () => this.id,
      closest: (of, target, count) => options.closest(of, target, count),
    });
  }

  /** Address family of the node. */
  get family(): AddressFamily {
    return this.#options.family;
  }

  /** Our node id, 20 bytes. */
  get id(): Bytes {
    return this.#table.id;
  }

  /** The routing table. */
  get table(): RoutingTable {
    return this.#table;
  }

  /** `true` if the node has found other nodes and has looked up its own id. */
  get isJoined(): boolean {
    return this.#state === "joined";
  }

  /** Our external address as other nodes report it, or `null` if unknown. */
  get externalAddress(): string | null {
    return this.#votes.decided;
  }

  /** Starts the maintenance of the routing table, and calls `onNeedNodes` for the first nodes. */
  start(): void {
    this.#scheduleTick();
    this.#scheduleRetry();
    this.#options.onNeedNodes();
  }

  /** Stops the node. The `onDone` of lookups in progress is not called. */
  stop(): void {
    this.#state = "stopped";
    this.#tick?.cancel();
    this.#retry?.cancel();
    for (const run of this.#runs) run.abort();
    this.#runs.clear();
    this.#queue.length = 0;
    this.#rpc.stop();
  }

  /**
   * Pings a node, which enters the routing table if it answers.
   *
   * @param address Address of the node, of this node's family.
   */
  add(address: PeerAddress): void {
    const facts = factsOf(address.host);
    if (facts !== null && facts.kind !== "unusable") this.#ping(address);
  }

  /**
   * Starts a lookup, or queues it while {@linkcode MAX_LOOKUPS} are in progress.
   *
   * @returns Function that cancels the lookup. `onDone` is not called then.
   */
  lookup(lookup: NodeLookup): () => void {
    let run: LookupRun | null = null;
    const begin = () => {
      const made = new LookupRun({
        ...lookup,
        rpc: { query: (call) => this.#watch(call) },
        family: this.#options.family,
        self: this.id,
        known: this.#storedFor(lookup),
        start: [...lookup.near ?? [], ...this.#table.closest(lookup.target, 2 * K)],
        want: this.#options.wantsBoth() ? ["n4", "n6"] : undefined,
        onOthers: (nodes) => this.#options.onOthers(nodes),
        onDone: (report) => {
          this.#ended(made);
          lookup.onDone(report);
        },
      });
      run = made;
      this.#runs.add(made);
      made.start();
    };
    if (this.#runs.size < MAX_LOOKUPS) begin();
    else this.#queue.push(begin);
    return () => {
      const at = this.#queue.indexOf(begin);
      if (at >= 0) this.#queue.splice(at, 1);
      if (run === null) return;
      run.abort();
      this.#ended(run);
    };
  }

  /**
   * Handles a query.
   *
   * @returns The encoded answer, or `null` if none is sent.
   */
  handleQuery(query: Query, from: PeerAddress): Bytes | null {
    if (this.#options.readOnly || this.#state === "stopped") return null;
    const answer = this.responder.answer(query, from);
    if (query.readOnly) return answer; // a read-only node would not answer a ping (BEP 43)
    const contact = { id: query.arguments.id, address: from };
    this.#table.asked(contact, this.#options.platform.now());
    this.#considerNode(contact);
    return answer;
  }

  /** Handles an answer or error message. */
  handleResponse(message: Response | Refusal, from: PeerAddress): void {
    this.#rpc.received(message, from);
  }

  /** Returns the peers that were announced to this node, since a lookup never queries our own node. */
  #storedFor({ method, target }: NodeLookup): readonly PeerAddress[] {
    if (method !== "get_peers") return [];
    const now = this.#options.platform.now();
    return this.responder.store.sample(target, { now, limit: MAX_DHT_PEERS_PER_TORRENT, noSeed: false });
  }

  /** Pings a node if the routing table has room for it. */
  #considerNode(contact: NodeContact): void {
    const key = formatAddress(contact.address);
    if (this.#curious.size >= MAX_PENDING_PINGS || this.#curious.has(key) || !this.#table.isWelcome(contact)) return;
    this.#curious.add(key);
    this.#ping(contact.address, () => this.#curious.delete(key));
  }

  #ping(to: PeerAddress, done: () => void = () => {}): void {
    this.#watch({
      to,
      method: "ping",
      arguments: {},
      outcome: { answered: done, refused: done, failed: done, slow: () => {} },
    });
  }

  /** Sends a query, and reports the outcome of every query to the routing table. */
  #watch(call: Call): void {
    const { outcome, to } = call;
    const watching: QueryOutcome = {
      answered: (response) => {
        this.#heard(response, to);
        outcome.answered(response);
      },
      refused: (refusal) => outcome.refused(refusal),
      slow: () => outcome.slow(),
      failed: () => {
        this.#table.failed(to);
        outcome.failed();
      },
    };
    this.#rpc.query({ ...call, outcome: watching });
  }

  #heard({ values, ip }: Response, from: PeerAddress): void {
    if (this.#state === "stopped") return;
    const { platform } = this.#options;
    if (ip !== null) this.#vote(ip.host, from);
    const inTheWay = this.#table.answered({ id: values.id, address: from, at: platform.now() });
    if (inTheWay !== null) this.#ping(inTheWay.address);
    if (this.#state === "alone" && this.#table.size > 0) this.#join();
  }

  #vote(host: string, from: PeerAddress): void {
    const facts = factsOf(host);
    const voter = factsOf(from.host);
    if (facts?.kind !== "public" || voter?.kind !== "public" || familyOf(host) !== this.#options.family) return;
    if (!this.#votes.add(host, voter)) return;
    this.#options.onExternalAddress(host);
    if (isIdOf(this.id, facts)) return;
    // Other nodes store nothing on a node whose id does not match its address (BEP 42), so we change to one that does.
    const { platform } = this.#options;
    const old = this.#table;
    this.#table = new RoutingTable(idForAddress(facts.bytes, platform.randomBytes(ID_LENGTH)), platform.now());
    for (const node of old) this.#table.answered({ id: node.id, address: node.address, at: node.answeredAt });
    if (this.#state === "joined") this.#join();
  }

  #join(): void {
    this.#state = "joining";
    this.#find(this.id, () => {
      // The lookup of our own id leaves far buckets partly empty. Fill them from the farthest, which covers most nodes.
      const hollow = this.#table.incompleteBuckets();
      const next = () => {
        const bits = hollow.shift();
        if (bits !== undefined) return this.#find(this.#idAt(bits), next);
        this.#state = "joined";
        this.#options.onJoined();
      };
      next();
    });
  }

  #find(target: Bytes, done: (report: LookupReport) => void): void {
    const onTold = (nodes: readonly NodeContact[]) => nodes.forEach((node) => this.#considerNode(node));
    this.lookup({ target, method: "find_node", onTold, onDone: done });
  }

  #idAt(bits: number): Bytes {
    return idSharing(this.id, bits, this.#options.platform.randomBytes(ID_LENGTH));
  }

  #ended(run: LookupRun): void {
    if (!this.#runs.delete(run)) return;
    this.#queue.shift()?.();
  }

  #scheduleTick(): void {
    const { platform } = this.#options;
    this.#tick = platform.after(TICK_MS * (0.5 + platform.random()), () => {
      this.#scheduleTick();
      this.#lookAfter(platform.now());
    });
  }

  #lookAfter(now: number): void {
    if (now >= this.#nextExpiry) {
      this.#nextExpiry = now + EXPIRE_MS;
      this.responder.store.expire(now);
    }
    const silent = this.#table.questionable(now);
    if (silent !== null) this.#ping(silent.address);
    const stale = this.#state === "joined" ? this.#table.stale(now) : null;
    if (stale !== null) this.#find(this.#idAt(stale), () => {});
  }

  /** Repeats the join while few nodes are known. Retries get rarer, since no more nodes may exist, but never end. */
  #scheduleRetry(): void {
    const { platform } = this.#options;
    const wait = Math.min(RETRY_MS * 2 ** this.#retries, LONGEST_RETRY_MS);
    this.#retry = platform.after(wait * (0.75 + platform.random() / 2), () => {
      if (this.#table.goodCount(platform.now()) >= K) {
        this.#retries = HEALTHY;
      } else {
        this.#retries = Math.min(this.#retries + 1, 10);
        this.#options.onNeedNodes();
        if (this.#state === "joined") this.#join();
      }
      this.#scheduleRetry();
    });
  }
}
