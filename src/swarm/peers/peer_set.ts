/**
 * The connections of a torrent: dials, incoming connections, regular checks, and closing.
 *
 * @module
 */

import { formatAddress, type PeerAddress } from "../../base/address.ts";
import type { InfoHash } from "../../base/info_hash.ts";
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
import { networkFault } from "../../platform/network_words.ts";
import type { Platform } from "../../platform/platform.ts";
import type { AddressFacts } from "./address_facts.ts";
import { dialFaultOf } from "./dial_fault.ts";
import type { PeerSource } from "./candidates.ts";
import type { ConnectionManager, DialFailure } from "./connection_manager.ts";
import {
  type ConnectionBorrower,
  ConnectionQuota,
  type ConnectionShare,
  type ConnectionSlot,
  type Pressure,
} from "./connection_quota.ts";
import { ArrivalRate } from "./incoming_limits.ts";
import { hasNoInterest, leastUseful, pickForTurnover } from "./turnover.ts";

/** Milliseconds without sending after which a keep-alive is sent (BEP 3). */
const KEEP_ALIVE_MS = 100_000;

/** What another connection to a peer would be good for. */
export type Prospects = "good" | "poor" | "none";

/** Events and queries of a {@linkcode PeerSet}. */
export interface PeerSetEvents {
  /** Called when a connection is established; `extended` is `true` if the peer supports BEP 10. */
  joined(peer: Peer, extended: boolean): void;
  /** Called when the messages of a read have been parsed. */
  batch(peer: Peer): void;
  /** Called when a connection is closed. */
  left(peer: Peer): void;
  /**
   * Returns what another connection to a peer would be good for: `none` if neither end will ever need the other, `poor`
   * if that is likely, because the peer may know better and hang up before we do.
   */
  prospects(peer: Peer): Prospects;
  /** Returns `true` if the torrent has all wanted pieces; `false` when absent. */
  readonly seeding?: () => boolean;
  /** Called with errors of our own network set-up, which affect all peers. */
  failed(error: ShoalError): void;
  /** Called with events for the user. */
  emit(event: PeerSetEvent): void;
}

/** An event for the user, to which the torrent adds its info-hash. */
export type PeerSetEvent = Omit<PeerEvent, "infohash">;

/** Options for {@linkcode PeerSet}. */
export interface PeerSetOptions {
  /** Clock and timers. */
  readonly platform: Pick<Platform, "now" | "after">;
  /** Connects to peers. */
  readonly transport: Transport;
  /** Limits how long parsing keeps the event loop busy. */
  readonly reads: ReadTurns;
  /** Rate limits of the torrent; none when absent. */
  readonly limits?: BandwidthParties | undefined;
  /** The torrent, as its peers see it. */
  readonly host: PeerHost;
  /** The torrent, as this set sees it. */
  readonly events: PeerSetEvents;
  /** Returns our handshake for an info-hash of the torrent; for the first when absent. */
  readonly handshake: (infoHash?: InfoHash, other?: boolean) => Handshake;
  /** Returns the truncated v2 info-hash of the torrent; `null` if it isn't known. There is none when absent. */
  readonly infoHashV2?: () => InfoHash | null;
  /** Chooses the peers to connect to. */
  readonly manager: ConnectionManager;
}

/** Options for {@linkcode PeerSet.tick}. */
export interface PeerSetTickOptions {
  /** `true` if the torrent needs no more peers, so that none are dialled (default `false`). */
  readonly settled?: boolean;
}

/** A dial that is under way. */
class Dial {
  readonly address: PeerAddress;
  readonly place: ConnectionSlot;
  readonly since: number;
  readonly abort = new AbortController();
  /** `true` if the dial was given up, so that its outcome is ignored. */
  over = false;

  constructor(address: PeerAddress, place: ConnectionSlot, since: number) {
    this.address = address;
    this.place = place;
    this.since = since;
  }
}

/** All connections of one torrent. */
export class PeerSet implements ConnectionBorrower {
  readonly #platform: Pick<Platform, "now" | "after">;
  readonly #transport: Transport;
  readonly #reads: ReadTurns;
  readonly #limits: BandwidthParties | undefined;
  readonly #host: PeerHost;
  readonly #events: PeerSetEvents;
  readonly #handshake: (infoHash?: InfoHash, other?: boolean) => Handshake;
  readonly #infoHashV2: () => InfoHash | null;
  readonly #manager: ConnectionManager;
  readonly #links = new Map<Peer, PeerLink>();
  /** Address by connection number, from 1, of open connections and those that sent payload. */
  readonly #hosts = new Map<number, string>();
  #lastNumber = 0;
  readonly #share: ConnectionShare;
  readonly #places = new Map<Peer, ConnectionSlot>();
  /** Dials that are under way, oldest first. */
  readonly #dials = new Set<Dial>();
  #goneDown = 0;
  #goneUp = 0;
  #lastTurnover = 0;
  #lastFairTurnover = -Infinity;
  readonly #arrivals = new ArrivalRate();
  /** Why no peers are admitted; `null` if they are. */
  #shut: string | null = null;

  constructor(options: PeerSetOptions) {
    this.#platform = options.platform;
    this.#transport = options.transport;
    this.#reads = options.reads;
    this.#limits = options.limits;
    this.#host = options.host;
    this.#events = options.events;
    this.#handshake = options.handshake;
    this.#infoHashV2 = options.infoHashV2 ?? (() => null);
    this.#manager = options.manager;
    this.#share = (options.manager.quota ?? new ConnectionQuota(Infinity)).join(this);
  }

  /** All connected peers. */
  get all(): IterableIterator<Peer> {
    return this.#links.keys();
  }

  /** Number of connections. */
  get size(): number {
    return this.#links.size;
  }

  /** Number of peers that can be added. */
  get room(): number {
    return this.#shut !== null ? 0 : this.#manager.room;
  }

  /** What is known about peers that aren't connected. Takes time for each of them. */
  addresses(): AddressFacts {
    return this.#manager.addresses(this.#platform.now());
  }

  /** As {@linkcode PeerSet.downloaded}, but including blocks of connected peers that are still incomplete. */
  get arriving(): number {
    let sum = this.#goneDown;
    for (const peer of this.#links.keys()) sum += peer.down.arrived;
    return sum;
  }

  /** Payload bytes received, including from peers that have disconnected. */
  get downloaded(): number {
    let sum = this.#goneDown;
    for (const peer of this.#links.keys()) sum += peer.down.total;
    return sum;
  }

  /** Payload bytes sent, including to peers that have disconnected. */
  get uploaded(): number {
    let sum = this.#goneUp;
    for (const peer of this.#links.keys()) sum += peer.up.total;
    return sum;
  }

  /** Returns the address of a connection by its number. */
  hostOf(connection: number): string {
    return this.#hosts.get(connection) ?? "";
  }

  /** Adds candidates that were found under an info-hash of the torrent, and dials if the limits allow. */
  add(addresses: Iterable<PeerAddress>, source?: PeerSource, infoHash?: InfoHash): void {
    this.#manager.add(addresses, source, infoHash);
    this.dialMore();
  }

  /** Dials as many candidates as the limits allow, and more when they allow more. */
  dialMore(): void {
    if (this.#shut === null) this.#share.wants(this.#platform.now());
  }

  /**
   * Takes over an incoming connection after its handshake.
   *
   * @param theirs Handshake of the peer.
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

  /** Returns why an address is refused, or `null`. Called once for each incoming connection, before its handshake. */
  refuses(host: string): string | null {
    return this.#turnsDown(host, { first: true });
  }

  /** Called when a peer that connected to us says where it listens. */
  introduced(peer: Peer): void {
    if (peer.incoming && peer.listens) this.#manager.introduced(peer.address);
  }

  /** Bans an address for good, and closes its connections. */
  ban(host: string, reason: string): void {
    if (!this.#manager.ban(host)) return;
    const banned = [...this.#links.keys()].filter((peer) => peer.network === networkOf(host));
    const { name: address = host, client = "" } = banned[0] ?? {};
    this.#events.emit({ event: "peer", address, client, action: "banned", message: reason });
    for (const peer of banned) peer.output.close(`banned: ${reason}`);
  }

  /** Updates the rates of all peers, `seconds` after the last update. */
  measure(seconds: number): void {
    for (const { down, up } of this.#links.keys()) {
      down.tick(seconds);
      up.tick(seconds);
    }
  }

  /**
   * Regular work: closes dead connections, sends keep-alives, and dials.
   *
   * @param now Milliseconds.
   * @param options See {@linkcode PeerSetTickOptions}.
   */
  tick(now: number, { settled = false }: PeerSetTickOptions = {}): void {
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
   * Returns for how long no regular work will be needed.
   *
   * @param now Milliseconds.
   * @returns Milliseconds; 0 while there are connections or candidates to dial, `Infinity` without candidates.
   */
  rest(now: number): number {
    if (this.#links.size > 0 || this.#dials.size > 0) return 0;
    return this.#shut !== null ? Infinity : Math.max(0, this.#manager.nextTry - now);
  }

  /**
   * Closes all connections and dials, and admits no peers until {@linkcode PeerSet.open}. Candidates are kept. If peers
   * are shut out already, this changes the reason.
   *
   * @param why Reason shown to the user, as in "the torrent is paused".
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

  /** Admits peers again, and dials, first those that were connected when they were shut out. */
  open(): void {
    if (this.#shut === STOPPING) return;
    this.#shut = null;
    this.dialMore();
  }

  /** Closes all connections for good. */
  stop(): void {
    this.shut(STOPPING);
  }

  /** Makes peers that were of no use available again, because more is wanted now. */
  reconsider(): void {
    this.#manager.reconsider();
    this.dialMore();
  }

  /**
   * Called when the torrent turns out to be private (BEP 27): closes all connections, and drops candidates that neither
   * trackers nor the user have named.
   */
  keepPrivate(): void {
    const shut = this.#shut;
    this.shut("the torrent is private");
    this.#manager.keepPrivate();
    if (shut === null) this.open();
    else this.#shut = shut;
  }

  // Implementation of ConnectionBorrower.

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

  closeLeastUseful(now: number, pressure: Pressure): boolean {
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

  /** Returns the oldest dial if it seems to get no answer, or if pressure is `forced`. */
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
    let isStrange = false;
    const timer = this.#platform.after(HANDSHAKE_MS, () => dial.abort.abort());
    try {
      const { infoHash, other } = this.#manager.infoHashOf(address);
      const ours = this.#handshake(infoHash, other);
      isStrange = !this.#handshake(infoHash, !other).infoHash.equals(ours.infoHash);
      const words = { infoHash: ours.infoHash, first: encodeHandshake(ours) };
      connection = await this.#transport.dial(address, { ...words, signal });
      signal.throwIfAborted();
      signal.addEventListener("abort", () => connection?.close(), { once: true });
      const theirs = await handshakeOut(connection, ours, this.#infoHashV2());
      signal.throwIfAborted();
      isStrange = false;
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
      const fault = signal.aborted ? "silent" : dialFaultOf(error);
      const ours = isShortage(error); // the peer isn't to blame for a shortage of file descriptors
      this.#end(dial, { ours, fault, strange: isStrange && !ours && fault === "ended" });
      const message = signal.aborted ? `no answer within ${HANDSHAKE_MS / 1000} s` : networkFault(error);
      if (error instanceof ShoalError && error.kind === "network") return this.#events.failed(error);
      if (message === SELF) return this.#manager.isSelf(address); // trackers name us as well
      this.#events.emit({ event: "peer", address: formatAddress(address), client: "", action: "refused", message });
    } finally {
      timer.cancel();
      this.#dials.delete(dial);
    }
  }

  /** Gives up a dial at once and ignores its outcome. `ours` is `true` if the peer isn't to blame. */
  #abandon(dial: Dial, options: { readonly ours: boolean }): void {
    this.#end(dial, { ...options, fault: "silent" });
    dial.abort.abort();
  }

  #end(dial: Dial, options: DialFailure): void {
    const now = this.#platform.now();
    dial.over = true;
    this.#dials.delete(dial);
    this.#manager.failed(dial.address, now, options);
    dial.place.giveBack(now);
  }

  /** Returns why an address is refused, or `null`. The first check of a connection is counted as an arrival. */
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

  /** Closes the least useful connection, if one is useless, because there is no room and other peers wait. */
  #makeRoom(now: number): void {
    const peer = this.#turnoverVictim(now);
    if (peer) this.#dismiss(peer, now, "it has been of no use for long, and others wait");
  }

  #dismiss(peer: Peer, now: number, why: string): void {
    if (!hasNoInterest(peer)) this.#lastTurnover = this.#lastFairTurnover = now;
    peer.output.close(why);
  }

  #turnoverVictim(now: number): Peer | null {
    const crowded = this.#arrivals.isCrowded(now);
    const due = now - this.#lastTurnover >= TURNOVER_MS;
    return pickForTurnover(this.#links.keys(), { now, crowded, due, rank: (address) => this.#manager.rank(address) });
  }

  /**
   * Returns why a handshake is refused: it is from ourselves, or a duplicate. If two peers dial each other at the same
   * time, the connection that was dialled by the larger peer id stays, so that both ends keep the same one. A peer id
   * from another address is no duplicate: peer ids are public, and a peer that copies one must not keep out its owner.
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
    // Peers use v2 if they are connected under the v2 info-hash, as in libtorrent.
    const v2 = this.#infoHashV2()?.equals(infoHash) ?? false;
    const handshake = { fast: fast && this.#handshake().fast, extended, infoHash, peerId, dht, v2 };
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
    // A peer that sent nothing can't have sent wrong data, and there may be millions of such peers.
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
/** Reason for closing a connection between two peers that both have everything. */
export const USELESS = "neither side needs anything";
