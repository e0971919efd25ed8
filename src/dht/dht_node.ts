/**
 * Our node in the DHT of one family: joins, keeps its table fresh, answers and asks.
 *
 * Life of a node: `add()` pings somebody. The first answer makes it join: it looks for its own id, then for ids in buckets that
 * stay empty. From then on the table is kept fresh by one ping now and then. While it knows too few, it tries again.
 *
 * @module
 */

import { formatAddress, type PeerAddress } from "../base/address.ts";
import type { Bytes } from "../base/bytes.ts";
import { MAX_DHT_PEERS_PER_TORRENT } from "../base/defences.ts";
import type { Platform, Timer } from "../platform/platform.ts";
import { AddressVotes } from "./address_votes.ts";
import type { NodeContact } from "./compact.ts";
import { factsOf, type Family, familyOf } from "./hosts.ts";
import type { Query, Refusal, Response } from "./krpc.ts";
import { type LookupReport, LookupRun, type RunOptions } from "./lookup_run.ts";
import { ID_LENGTH, idForAddress, idSharing, isIdOf } from "./node_id.ts";
import { Responder } from "./responder.ts";
import { K, RoutingTable } from "./routing_table.ts";
import { type Call, type QueryOutcome, Rpc } from "./rpc.ts";

/** Milliseconds between two looks at the table: at most one ping each, so that 90 nodes are heard in a quarter of an hour. */
const TICK_MS = 10_000;
/** Milliseconds until joining is tried again when too few answer; twice as long each time ... */
const RETRY_MS = 15_000;
/** ... up to this. */
const LONGEST_RETRY_MS = 10 * 60_000;
/** Retries after which the wait is one minute: the pace while all is well. */
const HEALTHY = 2;
/** Milliseconds between two looks for peers whose time is over. */
const EXPIRE_MS = 60_000;
/** Lookups at the same time; others wait for their turn. */
const MAX_LOOKUPS = 16;
/** Pings at the same time to nodes that asked us something, or that others told of. */
const MAX_CURIOSITY = 16;

/** What a node needs. */
export interface DhtNodeOptions {
  readonly platform: Pick<Platform, "now" | "after" | "random" | "randomBytes" | "digest">;
  readonly family: Family;
  /** Whether it answers no queries (BEP 43). */
  readonly readOnly: boolean;
  /** The id that it had last time, or `null` for a new one. */
  readonly id: Bytes | null;
  /** Sends a datagram. */
  send(bytes: Bytes, to: PeerAddress): void;
  /** The good nodes closest to an id, of either family: for answers. */
  closest(family: Family, target: Uint8Array, count: number): readonly NodeContact[];
  /** Too few nodes are known: somebody should call `add()` with others. */
  onLonely(): void;
  /** It has joined; may come again. */
  onJoined(): void;
  /** Somebody told of nodes of the other family. */
  onOthers(nodes: readonly NodeContact[]): void;
  /** Others agree on our address. */
  onExternalAddress(host: string): void;
  /** Whether the other family wants nodes too. */
  wantsBoth(): boolean;
}

/** What a lookup is to do; see {@linkcode RunOptions}. */
export interface NodeLookup
  extends Pick<RunOptions, "target" | "method" | "announce" | "scrape" | "onPeers" | "onTold" | "onDone"> {
  /** Nodes to begin with besides those in the table. */
  readonly near?: readonly NodeContact[] | undefined;
}

/** A node of one family. */
export class DhtNode {
  /** Answers others. */
  readonly responder: Responder;
  readonly #options: DhtNodeOptions;
  readonly #rpc: Rpc;
  readonly #votes = new AddressVotes();
  #table: RoutingTable;
  #state: "alone" | "joining" | "joined" | "stopped" = "alone";
  #tick: Timer | null = null;
  #retry: Timer | null = null;
  #retries = 0;
  #nextExpiry: number;
  readonly #curious = new Set<string>();
  readonly #runs = new Set<LookupRun>();
  readonly #queue: (() => void)[] = [];

  /** @param options What it needs. */
  constructor(options: DhtNodeOptions) {
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

  /** The family of its DHT. */
  get family(): Family {
    return this.#options.family;
  }

  /** Our id, 20 bytes. */
  get id(): Bytes {
    return this.#table.id;
  }

  /** The nodes that it knows. */
  get table(): RoutingTable {
    return this.#table;
  }

  /** Whether it found others and has looked for its place among them. */
  get isJoined(): boolean {
    return this.#state === "joined";
  }

  /** Our address as others see it, or `null`. */
  get externalAddress(): string | null {
    return this.#votes.decided;
  }

  /** Begins to look after its table, and tells that it is lonely. */
  start(): void {
    this.#scheduleTick();
    this.#scheduleRetry();
    this.#options.onLonely();
  }

  /** Ends everything; lookups that are under way never end. */
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
   * Gets to know a node, if it answers.
   *
   * @param address Where it may be; of this family.
   */
  add(address: PeerAddress): void {
    const facts = factsOf(address.host);
    if (facts !== null && facts.kind !== "unusable") this.#ping(address);
  }

  /**
   * Looks something up, now or when it is its turn.
   *
   * @param lookup What.
   * @returns Ends it early; `onDone` is not called then.
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
   * Takes a query.
   *
   * @param query What is asked.
   * @param from Who asks.
   * @returns The answer, or `null` if there is none.
   */
  asked(query: Query, from: PeerAddress): Bytes | null {
    if (this.#options.readOnly || this.#state === "stopped") return null;
    const answer = this.responder.answer(query, from);
    if (query.readOnly) return answer; // it would not answer a ping (BEP 43)
    const contact = { id: query.arguments.id, address: from };
    this.#table.asked(contact, this.#options.platform.now());
    this.#hearOf(contact);
    return answer;
  }

  /**
   * Takes an answer.
   *
   * @param message The answer.
   * @param from Who answers.
   */
  answered(message: Response | Refusal, from: PeerAddress): void {
    this.#rpc.received(message, from);
  }

  /** Others may have announced a torrent to ourselves, and we aren't among those whom we ask. */
  #storedFor({ method, target }: NodeLookup): readonly PeerAddress[] {
    if (method !== "get_peers") return [];
    const now = this.#options.platform.now();
    return this.responder.store.sample(target, { now, limit: MAX_DHT_PEERS_PER_TORRENT, noSeed: false });
  }

  /** Pings a node for which there is room in the table. */
  #hearOf(contact: NodeContact): void {
    const key = formatAddress(contact.address);
    if (this.#curious.size >= MAX_CURIOSITY || this.#curious.has(key) || !this.#table.isWelcome(contact)) return;
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

  /** Every query, whoever sends it, tells the table whether a node lives. */
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
    // Others would not store anything with us under an id that doesn't fit, so we begin anew under one that does.
    const { platform } = this.#options;
    const old = this.#table;
    this.#table = new RoutingTable(idForAddress(facts.bytes, platform.randomBytes(ID_LENGTH)), platform.now());
    for (const node of old) this.#table.answered({ id: node.id, address: node.address, at: node.answeredAt });
    if (this.#state === "joined") this.#join();
  }

  #join(): void {
    this.#state = "joining";
    this.#find(this.id, () => {
      // What the way to ourselves didn't fill is looked for, the farthest first; it holds most of all nodes.
      const hollow = this.#table.hollow();
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
    const onTold = (nodes: readonly NodeContact[]) => nodes.forEach((node) => this.#hearOf(node));
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

  /** Too few nodes may mean that there are no more; so it is tried more and more seldom, but always. */
  #scheduleRetry(): void {
    const { platform } = this.#options;
    const wait = Math.min(RETRY_MS * 2 ** this.#retries, LONGEST_RETRY_MS);
    this.#retry = platform.after(wait * (0.75 + platform.random() / 2), () => {
      if (this.#table.goodCount(platform.now()) >= K) {
        this.#retries = HEALTHY;
      } else {
        this.#retries = Math.min(this.#retries + 1, 10);
        this.#options.onLonely();
        if (this.#state === "joined") this.#join();
      }
      this.#scheduleRetry();
    });
  }
}
