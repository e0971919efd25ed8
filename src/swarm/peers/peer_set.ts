/**
 * The connections of a torrent: dialling, accepting, closing, and who may not come back.
 *
 * @module
 */

import { formatAddress, type PeerAddress } from "../../base/address.ts";
import { equalBytes, isLarger } from "../../base/bytes.ts";
import { messageOf, ShoalError } from "../../base/errors.ts";
import {
  FAIR_QUIET_MS,
  FAIR_TURNOVER_MS,
  HALF_OPEN_MS,
  HANDSHAKE_MS,
  MAX_OFFENCES,
  MESSAGE_MS,
  SILENCE_MS,
  STALLED_MS,
  TURNOVER_MS,
} from "../../base/defences.ts";
import { networkOf } from "../../base/networks.ts";
import {
  type BandwidthParties,
  encodeHandshake,
  type Handshake,
  handshakeOut,
  Peer,
  type PeerEvent,
  type PeerHost,
  PeerLink,
  type PeerStream,
  type ReadTurns,
  type Transport,
} from "../../peer/mod.ts";
import { isShortage } from "../../platform/descriptors.ts";
import type { Platform } from "../../platform/platform.ts";
import type { PeerSource } from "./candidates.ts";
import type { ConnectionManager } from "./connection_manager.ts";
import {
  type ConnectionBorrower,
  ConnectionQuota,
  type ConnectionShare,
  type ConnectionSlot,
  type Pressure,
} from "./connection_quota.ts";
import { ArrivalRate } from "./incoming_limits.ts";
import { isMute, leastUseful, pickForTurnover } from "./turnover.ts";

/** Milliseconds without having sent anything after which we send a keep-alive (BEP 3). */
const KEEP_ALIVE_MS = 100_000;

/** What another connection to a peer would be good for. */
export type Prospects = "good" | "poor" | "none";

/** What a set of peers tells the torrent. */
export interface PeerSetEvents {
  /** A connection is there; `extended` says whether it speaks BEP 10. */
  joined(peer: Peer, extended: boolean): void;
  /** A read was parsed. */
  batch(peer: Peer): void;
  /** A connection is over. */
  left(peer: Peer): void;
  /**
   * What another connection to a peer would be good for: nothing, if neither end will ever want anything of the other. It may be
   * the other end that knows, and hangs up before we do: then that is likely.
   */
  prospects(peer: Peer): Prospects;
  /** Whether the torrent has all that it wants; it hasn't when absent. */
  readonly seeding?: () => boolean;
  /** What is wrong with our own set-up is wrong for every peer. */
  failed(error: ShoalError): void;
  /** For the user. */
  emit(event: PeerSetEvent): void;
}

/** What a set of peers tells the user; the torrent adds which it is. */
export type PeerSetEvent = Omit<PeerEvent, "infohash">;

/** A connection that is being made. */
class Dial {
  readonly address: PeerAddress;
  readonly place: ConnectionSlot;
  readonly since: number;
  readonly abort = new AbortController();
  /** It is of no interest any more what becomes of it. */
  over = false;

  constructor(address: PeerAddress, place: ConnectionSlot, since: number) {
    this.address = address;
    this.place = place;
    this.since = since;
  }
}

/** Every connection of one torrent. */
export class PeerSet implements ConnectionBorrower {
  readonly #platform: Pick<Platform, "now" | "after">;
  readonly #transport: Transport;
  readonly #reads: ReadTurns;
  readonly #limits: BandwidthParties | undefined;
  readonly #host: PeerHost;
  readonly #events: PeerSetEvents;
  readonly #handshake: () => Handshake;
  readonly #manager: ConnectionManager;
  readonly #links = new Map<Peer, PeerLink>();
  /** Addresses by number of connection, of those that are open and of those that sent something; the numbers begin at 1. */
  readonly #hosts = new Map<number, string>();
  #lastNumber = 0;
  readonly #share: ConnectionShare;
  readonly #places = new Map<Peer, ConnectionSlot>();
  /** In the order in which they began. */
  readonly #dials = new Set<Dial>();
  #goneDown = 0;
  #goneUp = 0;
  #lastTurnover = 0;
  #lastFairTurnover = -Infinity;
  readonly #arrivals = new ArrivalRate();
  /** Why nobody is let in; `null` while they are. */
  #shut: string | null = null;

  /**
   * @param options `platform`: clock and timers. `transport`: how to reach peers. `reads`: when to give way. `limits`: how
   * fast all may be. `host` and `events`: the torrent. `handshake`: gives ours. `manager`: whom to connect to.
   */
  constructor(
    options: {
      readonly platform: Pick<Platform, "now" | "after">;
      readonly transport: Transport;
      readonly reads: ReadTurns;
      readonly limits?: BandwidthParties | undefined;
      readonly host: PeerHost;
      readonly events: PeerSetEvents;
      readonly handshake: () => Handshake;
      readonly manager: ConnectionManager;
    },
  ) {
    this.#platform = options.platform;
    this.#transport = options.transport;
    this.#reads = options.reads;
    this.#limits = options.limits;
    this.#host = options.host;
    this.#events = options.events;
    this.#handshake = options.handshake;
    this.#manager = options.manager;
    this.#share = (options.manager.quota ?? new ConnectionQuota(Infinity)).join(this);
  }

  /** Every open connection. */
  get all(): IterableIterator<Peer> {
    return this.#links.keys();
  }

  /** How many connections there are. */
  get size(): number {
    return this.#links.size;
  }

  /** How many peers more could be used. */
  get room(): number {
    return this.#shut !== null ? 0 : this.#manager.room;
  }

  /** Payload bytes from peers, gone ones included. */
  get downloaded(): number {
    let sum = this.#goneDown;
    for (const peer of this.#links.keys()) sum += peer.down.total;
    return sum;
  }

  /** Payload bytes to peers, gone ones included. */
  get uploaded(): number {
    let sum = this.#goneUp;
    for (const peer of this.#links.keys()) sum += peer.up.total;
    return sum;
  }

  /** The address of a connection, by its number. */
  hostOf(connection: number): string {
    return this.#hosts.get(connection) ?? "";
  }

  /** Takes note of peers that somebody named, and connects to some. */
  add(addresses: Iterable<PeerAddress>, source?: PeerSource): void {
    this.#manager.add(addresses, source);
    this.dialMore();
  }

  /** Connects to as many candidates as the limits allow, and to others as soon as they do. */
  dialMore(): void {
    if (this.#shut === null) this.#share.wants(this.#platform.now());
  }

  /**
   * Takes over a connection that was made to us, after its handshake.
   *
   * @param connection The stream.
   * @param theirs What the peer said.
   */
  accept(connection: PeerStream, theirs: Handshake): void {
    const refused = this.#turnsDown(connection.remote.host, { first: false }) ??
      this.#refuses(theirs, { host: connection.remote.host, incoming: true });
    if (refused) return this.#turnAway(connection, refused);
    const now = this.#platform.now();
    const place = this.#share.accept(now, () => {
      if (this.#manager.isFull(now, { incoming: true })) this.#makeRoom(now);
    });
    if (place === null) return this.#turnAway(connection, FULL);
    try {
      this.#join(connection, theirs, { address: connection.remote, incoming: true, place });
    } catch (error) {
      place.giveBack(now);
      throw error;
    }
  }

  /**
   * Why a peer at this address would not be accepted, or `null`; asked once for each that comes, before any work is spent
   * on its handshake.
   */
  refuses(host: string): string | null {
    return this.#turnsDown(host, { first: true });
  }

  /** A peer that connected to us said where it listens. */
  introduced(peer: Peer): void {
    if (peer.incoming && peer.listens) this.#manager.introduced(peer.address);
  }

  /** Shuts out every connection from an address, for good. */
  ban(host: string, reason: string): void {
    if (!this.#manager.ban(host)) return;
    const banned = [...this.#links.keys()].filter((peer) => peer.network === networkOf(host));
    const { name: address = host, client = "" } = banned[0] ?? {};
    this.#events.emit({ event: "peer", address, client, action: "banned", message: reason });
    for (const peer of banned) peer.output.close(`banned: ${reason}`);
  }

  /** Brings every peer's rates up to date, `seconds` after the last time. */
  measure(seconds: number): void {
    for (const { down, up } of this.#links.keys()) {
      down.tick(seconds);
      up.tick(seconds);
    }
  }

  /** Regular work: closes the dead, keeps the living alive, dials; not when things are `settled`, and no one else is needed. */
  tick(now: number, { settled = false } = {}): void {
    for (const [peer, link] of this.#links) {
      if (link.silent(now) > SILENCE_MS) link.close("it has been silent for too long");
      else if (link.stalled(now) > STALLED_MS) link.close("it does not read what we send");
      else if (link.receiving(now) > MESSAGE_MS) {
        link.close(`it takes more than ${MESSAGE_MS / 1000} s for one message`);
      } else if (now - peer.lastSent > KEEP_ALIVE_MS) {
        peer.writer.keepAlive();
        link.flush();
      }
    }
    if (settled) return;
    if (this.#shut !== null) return;
    if (this.#manager.room === 0 ? this.#manager.isWaiting(now) : this.#share.isFull(now) && this.isWaiting(now)) {
      this.#makeRoom(now);
    }
    this.dialMore();
    this.#share.tick(now);
  }

  /**
   * How long no regular work will be needed, as far as can be known.
   *
   * @param now Milliseconds.
   * @returns Milliseconds; 0 while there are connections, or could be; Infinity while nobody is there to be dialled.
   */
  rest(now: number): number {
    if (this.#links.size > 0 || this.#dials.size > 0) return 0;
    return this.#shut !== null ? Infinity : Math.max(0, this.#manager.nextTry - now);
  }

  /**
   * Leaves everybody, gives up what is being dialled, and lets nobody in until {@linkcode PeerSet.open}. What is known of peers
   * stays. It may be shut for another reason when it is shut already.
   *
   * @param why What peers and the user are told, as in "the torrent is paused".
   */
  shut(why: string): void {
    const before = this.#shut;
    if (before !== STOPPING) this.#shut = why;
    if (before !== null) return;
    this.#share.wantsNone();
    this.#manager.shut();
    for (const dial of [...this.#dials]) this.#abandon(dial, { ours: true });
    for (const link of [...this.#links.values()]) link.close(why);
  }

  /** Lets peers in again, and dials some, first those that were here when it was shut. */
  open(): void {
    if (this.#shut === STOPPING) return;
    this.#shut = null;
    this.dialMore();
  }

  /** Leaves everybody for good. */
  stop(): void {
    this.shut(STOPPING);
  }

  /** Whoever was of no use may be of some now. */
  reconsider(): void {
    this.#manager.reconsider();
    this.dialMore();
  }

  /**
   * The torrent turned out to be private (BEP 27): leaves everybody, and forgets those whom neither its trackers nor the user have
   * named.
   */
  keepPrivate(): void {
    const shut = this.#shut;
    this.shut("the torrent is private");
    this.#manager.keepPrivate();
    if (shut === null) this.open();
    else this.#shut = shut;
  }

  // What the quota of connections asks: Borrower.

  get seeding(): boolean {
    return this.#events.seeding?.() ?? false;
  }

  isWaiting(now: number): boolean {
    return this.#shut === null && this.#manager.mayDial(now) && this.#manager.isWaiting(now);
  }

  dial(place: ConnectionSlot, now: number): boolean {
    const address = this.#shut === null ? this.#manager.next(now) : null;
    if (address === null) return false;
    this.#dial(new Dial(address, place, now));
    return true;
  }

  canGiveUp(now: number, pressure: Pressure): boolean {
    return this.#staleDial(now, pressure) !== null || this.#dispensable(now, pressure) !== null;
  }

  giveUp(now: number, pressure: Pressure): boolean {
    const dial = this.#staleDial(now, pressure);
    const peer = dial === null ? this.#dispensable(now, pressure) : null;
    const why = pressure === "forced" ? FEWER : OTHERS_NEED_IT;
    if (peer !== null) this.#dismiss(peer, now, why);
    if (dial === null) return peer !== null;
    this.#abandon(dial, { ours: false });
    const address = formatAddress(dial.address);
    const message = `no answer so far, and ${why}`;
    this.#events.emit({ event: "peer", address, client: "", action: "refused", message });
    return true;
  }

  /** A dial to where nobody seems to answer, the oldest one; any, if one has to go. */
  #staleDial(now: number, pressure: Pressure): Dial | null {
    const [oldest] = this.#dials;
    return oldest && (pressure === "forced" || now - oldest.since >= HALF_OPEN_MS) ? oldest : null;
  }

  #dispensable(now: number, pressure: Pressure): Peer | null {
    const peer = this.#turnoverVictim(now);
    if (peer !== null || pressure === "spare") return peer;
    if (pressure === "fair" && now - this.#lastFairTurnover < FAIR_TURNOVER_MS) return null;
    const quiet = pressure === "fair" ? FAIR_QUIET_MS : 0;
    return leastUseful(this.#links.keys(), { now, quiet, rank: (address) => this.#manager.rank(address) });
  }

  async #dial(dial: Dial): Promise<void> {
    const { address, abort: { signal } } = dial;
    this.#dials.add(dial);
    let connection: PeerStream | null = null;
    const timer = this.#platform.after(HANDSHAKE_MS, () => dial.abort.abort());
    try {
      const ours = this.#handshake();
      const words = { infoHash: ours.infoHash, first: encodeHandshake(ours) };
      connection = await this.#transport.dial(address, { ...words, signal });
      signal.throwIfAborted();
      signal.addEventListener("abort", () => connection?.close(), { once: true });
      const theirs = await handshakeOut(connection, ours);
      signal.throwIfAborted();
      const full = this.#manager.isFull(this.#platform.now(), { incoming: false }) ? FULL : null;
      const refused = this.#refusesHost(address.host) ?? full ??
        this.#refuses(theirs, { host: address.host, incoming: false });
      if (refused) throw new Error(refused);
      this.#dials.delete(dial);
      this.#join(connection, theirs, { address, incoming: false, place: dial.place });
    } catch (error) {
      connection?.close();
      if (isShortage(error)) this.#share.shortage(this.#platform.now());
      if (dial.over) return;
      // That there are no descriptors left is no fault of the peer.
      this.#end(dial, { ours: isShortage(error) });
      const message = signal.aborted ? `no answer within ${HANDSHAKE_MS / 1000} s` : messageOf(error);
      if (error instanceof ShoalError && error.kind === "network") return this.#events.failed(error);
      if (message === SELF) return this.#manager.isSelf(address); // trackers name everybody, us too
      this.#events.emit({ event: "peer", address: formatAddress(address), client: "", action: "refused", message });
    } finally {
      timer.cancel();
      this.#dials.delete(dial);
    }
  }

  /** Gives a dial up at once, whatever may come of it later. `ours`: the peer isn't to blame. */
  #abandon(dial: Dial, options: { readonly ours: boolean }): void {
    this.#end(dial, options);
    dial.abort.abort();
  }

  #end(dial: Dial, options: { readonly ours: boolean }): void {
    const now = this.#platform.now();
    dial.over = true;
    this.#dials.delete(dial);
    this.#manager.failed(dial.address, now, options);
    dial.place.giveBack(now);
  }

  /** Why an address may not connect; `first`: whether that is asked for the first time, so that the caller is to be counted. */
  #turnsDown(host: string, { first }: { readonly first: boolean }): string | null {
    const now = this.#platform.now();
    const refused = this.#refusesHost(host);
    if (refused !== null) return refused;
    if (this.#manager.isFull(now, { incoming: true })) {
      if (first) this.#arrivals.came(now);
      return this.#turnoverVictim(now) ? null : FULL;
    }
    if (!this.#share.isFull(now)) return null;
    if (first) this.#arrivals.came(now);
    return this.#share.mayAccept(now) ? null : FULL;
  }

  #refusesHost(host: string): string | null {
    if (this.#shut !== null) return this.#shut;
    let connections = 0;
    const network = networkOf(host);
    for (const peer of this.#links.keys()) if (peer.network === network) connections++;
    return this.#manager.refuses(host, { connections, now: this.#platform.now() });
  }

  /** There is no room and others wait: the peer that is of the least use has to go, if there is one of none. */
  #makeRoom(now: number): void {
    const peer = this.#turnoverVictim(now);
    if (peer) this.#dismiss(peer, now, "it has been of no use for long, and others wait");
  }

  #dismiss(peer: Peer, now: number, why: string): void {
    if (!isMute(peer)) this.#lastTurnover = this.#lastFairTurnover = now;
    peer.output.close(why);
  }

  #turnoverVictim(now: number): Peer | null {
    const crowded = this.#arrivals.isCrowded(now);
    const due = now - this.#lastTurnover >= TURNOVER_MS;
    return pickForTurnover(this.#links.keys(), { now, crowded, due, rank: (address) => this.#manager.rank(address) });
  }

  /**
   * Ourselves and doubles. When two peers dial each other at once both connections would be doubles: the one that the
   * end with the larger peer id dialled stays, so that both ends keep the same. Somebody else with the same peer id is
   * no double: ids are no secret, and who takes another's must not keep that one out.
   */
  #refuses(
    theirs: Handshake,
    { host, incoming }: { readonly host: string; readonly incoming: boolean },
  ): string | null {
    const ours = this.#handshake().peerId;
    if (equalBytes(theirs.peerId, ours)) return SELF;
    for (const [peer, link] of this.#links) {
      if (peer.address.host !== host || !equalBytes(peer.peerId, theirs.peerId)) continue;
      const young = this.#platform.now() - peer.connectedAt < HANDSHAKE_MS;
      const dialledByLarger = incoming === isLarger(theirs.peerId, ours);
      if (peer.incoming === incoming || !young || !dialledByLarger) return "there is a connection to it already";
      link.close("there is a second connection to it");
    }
    return null;
  }

  #join(
    connection: PeerStream,
    theirs: Handshake,
    how: { readonly address: PeerAddress; readonly incoming: boolean; readonly place: ConnectionSlot },
  ): void {
    const { fast, extended, infoHash, peerId, dht = false } = theirs;
    const handshake = { fast: fast && this.#handshake().fast, extended, infoHash, peerId, dht };
    const number = ++this.#lastNumber;
    this.#hosts.set(number, how.address.host);
    const peer = new Peer(this.#host, { ...how, handshake, number });
    this.#manager.connected(how.address, how);
    const now = () => this.#platform.now();
    const link = new PeerLink(peer, {
      connection,
      now,
      reads: this.#reads,
      limits: this.#limits,
      events: {
        batch: (who) => this.#events.batch(who),
        closed: (who, reason, { fault }) => this.#closed(who, reason, fault),
      },
    });
    this.#links.set(peer, link);
    this.#places.set(peer, how.place);
    how.place.opened(this.#platform.now());
    this.#events.emit({ event: "peer", address: peer.name, client: peer.client, action: "connected", message: "" });
    try {
      this.#events.joined(peer, extended);
    } catch (error) {
      link.close(messageOf(error));
      throw error;
    }
    if (!peer.closed) link.run();
  }

  #closed(peer: Peer, reason: string, fault: boolean): void {
    this.#links.delete(peer);
    // Who sent nothing can't have lied, and there may be millions of those.
    if (peer.down.total === 0) this.#hosts.delete(peer.number);
    this.#goneDown += peer.down.total;
    this.#goneUp += peer.up.total;
    const now = this.#platform.now();
    const prospects = reason === USELESS ? "none" : this.#events.prospects(peer);
    const how = { prospects, shut: this.#shut !== null, incoming: peer.incoming };
    this.#manager.disconnected(peer.address, { ...how, now, lasted: now - peer.connectedAt });
    this.#places.get(peer)?.giveBack(now);
    this.#places.delete(peer);
    this.#events.left(peer);
    this.#events.emit({
      event: "peer",
      address: peer.name,
      client: peer.client,
      action: "disconnected",
      message: reason,
      downloaded: peer.down.total,
      uploaded: peer.up.total,
    });
    if (fault && this.#manager.offended(peer.address.host, now)) {
      const message = `it broke the protocol ${MAX_OFFENCES} times`;
      this.#events.emit({ event: "peer", address: peer.name, client: peer.client, action: "banned", message });
    }
    this.dialMore();
  }

  #turnAway(connection: PeerStream, message: string): void {
    connection.close();
    if (message === SELF) return;
    const address = formatAddress(connection.remote);
    this.#events.emit({ event: "peer", address, client: "", action: "refused", message });
  }
}

const SELF = "it is ourselves";
const STOPPING = "we are stopping";
const OTHERS_NEED_IT = "another torrent needs its place more";
const FEWER = "there is room for fewer connections now";
const FULL = "there is no room for more connections";
/** Two ends that have everything have met. */
export const USELESS = "neither side needs anything";
