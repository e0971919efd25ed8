/**
 * A session: any number of torrents behind one port, and the resources that they share.
 *
 * @module
 */

import { formatAddress, type HostPort, parseIp, type PeerAddress } from "../base/address.ts";
import { messageOf, ShoalError } from "../base/errors.ts";
import type { InfoHash, InfoHashV2 } from "../base/info_hash.ts";
import { type InfoHashes, InfoHashMap } from "../base/info_hashes.ts";
import type { IpRanges } from "../base/ip_ranges.ts";
import { MAX_METAINFO_READS } from "../base/defences.ts";
import { ReadBudget } from "../base/read_budget.ts";
import { redact, secretsIn } from "../base/secrets.ts";
import { LocalDiscovery } from "../lsd/local_discovery.ts";
import { infoHashesOf, type Magnet, type Metainfo } from "../metainfo/mod.ts";
import { onShortage } from "../platform/descriptors.ts";
import { ListenError } from "../platform/listen_error.ts";
import type { Network, Platform } from "../platform/platform.ts";
import {
  type EventOptions,
  type EventStream,
  type MetadataSearch,
  type PeerFinder,
  type PeerFinderHost,
  PeerListener,
  ratesOf,
  setRates,
  type Shared,
  streamEvents,
  Torrent,
  type TorrentEvent,
  type TorrentHandle,
} from "../swarm/mod.ts";
import type { TrackerReport } from "../tracker/announcer.ts";
import type { EncryptionMode } from "../transport/stream_encryption.ts";
import { DHT_ROUTERS, DhtService } from "./dht_service.ts";
import { ExternalAddress } from "./external_address.ts";
import type { AddOptions, DiscoveryOptions, RateLimits, RemoveOptions, SessionOptions } from "./session_options.ts";
import { findMetadata } from "./metadata_sources.ts";
import { PeerSources } from "./peer_sources.ts";
import { Reachability } from "./reachability.ts";
import { SharedResources } from "./shared_resources.ts";
import { SessionStore, type Traffic } from "./session_store.ts";
import { isOver } from "../swarm/torrent_state.ts";
import { keptTorrent, restoreTorrents } from "./torrent_record.ts";
import { type SessionEvent, withoutSecrets } from "./session_events.ts";

export type { AddOptions, DiscoveryOptions, EncryptionMode, RateLimits, RemoveOptions, SessionOptions, TorrentHandle };

/** Ports that are tried in order when none is given (BEP 3). */
const FIRST_PORT = 6881;
const LAST_PORT = 6889;
/** Milliseconds that {@linkcode Session.stop} may take. */
const STOP_MS = 3_000;

/**
 * A BitTorrent session: one listening port, any number of torrents.
 *
 * @example
 * ```ts
 * const session = new Session({ platform: denoPlatform });
 * await session.start();
 * const torrent = await session.add(parseMetainfo(bytes), { folder: "." });
 * await torrent.finished;
 * await session.stop();
 * ```
 */
export class Session {
  readonly #options: SessionOptions;
  readonly #platform: Platform;
  readonly #resources: SharedResources;
  readonly #metainfoReads = new ReadBudget(MAX_METAINFO_READS);
  readonly #store: SessionStore;
  readonly #torrents = new InfoHashMap<Torrent>();
  /** Removals in progress, by info-hash. */
  readonly #removing = new InfoHashMap<Promise<void>>();
  /** Torrents that go on for another one, by the info-hashes that this one still has. */
  readonly #heirs = new Map<string, Torrent>();
  /** Torrents that have become one with another, until they have stopped. */
  readonly #leaving = new Set<Promise<void>>();
  /** For torrents that have become one with another, that one. */
  readonly #survivors = new WeakMap<TorrentHandle, TorrentHandle>();
  /** Torrents whose files are being removed as well. */
  readonly #discarded = new WeakSet<Torrent>();
  readonly #listeners = new Set<(event: SessionEvent) => void>();
  /** The session's external address, as peers, trackers, DHT nodes and gateways report it. */
  readonly externalAddress = new ExternalAddress();
  #forgetShortage = () => {};
  #blocked: IpRanges | null = null;
  #listener: PeerListener | null = null;
  #reachability: Reachability | null = null;
  #dht: DhtService | null = null;
  #local: LocalDiscovery | null = null;
  #stopped: Promise<void> | null = null;
  readonly #over = Promise.withResolvers<void>();

  /**
   * Makes a session. It does nothing before {@linkcode Session.start}.
   *
   * @param options See {@linkcode SessionOptions}.
   * @throws {RangeError} If a rate, the cache size or the number of connections is out of range.
   */
  constructor(options: SessionOptions) {
    this.#options = options;
    this.#platform = options.platform;
    this.#resources = new SharedResources(options, {
      listenAddress: () => this.listenAddress,
      udpOpened: (port) => this.#udpOpened(port),
    });
    this.#store = new SessionStore({
      platform: options.platform,
      stateFolder: options.stateFolder ?? null,
      onWarning: (error) => this.#warn(error),
    });
  }

  /** The address on which the session listens. Only after {@linkcode Session.start}. */
  get listenAddress(): PeerAddress {
    if (!this.#listener) throw new Error("The session has not been started");
    return this.#listener.address;
  }

  /** The TCP port on which the session listens. */
  get port(): number {
    return this.listenAddress.port;
  }

  /** Bytes that the piece buffers and read caches of all torrents use, and their limit. */
  get memory(): { readonly used: number; readonly limit: number } {
    return { used: this.#resources.memory.used, limit: this.#resources.memory.limit };
  }

  /** Open and half-open connections of all torrents, and their limit. */
  get connections(): { readonly used: number; readonly limit: number } {
    return { used: this.#resources.connections.used, limit: this.#resources.connections.limit };
  }

  /**
   * Changes the limit on connections of all torrents, at once. Torrents share scarce connections equally, except that a
   * seeding torrent counts for a third of a downloading one; what one torrent doesn't need goes to the others. The
   * limit drops for a while when the system runs out of file descriptors, so that files and trackers get some.
   *
   * @param count Connections, half-open ones included. Surplus connections are closed, the least useful first.
   * @throws {RangeError} If `count` isn't 1 or more.
   */
  setMaxConnections(count: number): void {
    this.#resources.connections.setLimit(count, this.#platform.now());
  }

  /** Rate limits of all torrents together. */
  get limits(): RateLimits {
    return ratesOf(this.#resources);
  }

  /**
   * Changes the rate limits of all torrents together, at once.
   *
   * @param limits Bytes per second, `null` for no limit; a limit that is absent stays as it is.
   * @throws {RangeError} If a rate isn't above 0.
   */
  setLimits(limits: Partial<RateLimits>): void {
    setRates(this.#resources, limits);
  }

  /**
   * Returns the torrent with an info-hash, or `null` if the session has none.
   *
   * @param infoHash The v1 or the v2 info-hash of the torrent, or a truncated v2 info-hash.
   */
  get(infoHash: InfoHash | InfoHashV2): TorrentHandle | null {
    return this.#torrents.get("truncated" in infoHash ? infoHash.truncated : infoHash) ?? null;
  }

  /**
   * Stops a torrent and forgets it, so that no later session restores it.
   *
   * @param torrent A torrent of this session. One that has become one with another torrent of the session stands for it.
   * @param options Whether to remove the files as well (default `false`).
   * @throws {ShoalError} Of kind `usage` if the torrent isn't in this session. Of kind `storage` if a file can't be
   * removed: the torrent has left the session all the same, and its other files are gone.
   */
  async remove(torrent: TorrentHandle, options: RemoveOptions = {}): Promise<void> {
    const survivor = this.#survivors.get(torrent);
    if (survivor !== undefined) return await this.remove(survivor, options);
    const { infoHash, name } = torrent;
    const own = this.#torrents.get(infoHash);
    if (own === undefined || own !== torrent || this.#removing.get(infoHash) !== undefined) {
      const why = "it isn't in this session, or has been stopped";
      throw new ShoalError("usage", { what: "cannot remove the torrent", where: name, why });
    }
    const done = this.#remove(own, options);
    this.#removing.set(own.infoHashes, done.catch(() => {}));
    await done;
  }

  async #remove(torrent: Torrent, { data = false }: RemoveOptions): Promise<void> {
    const { infoHash } = torrent;
    try {
      if (data) {
        // If the process ends during the removal, the next session continues it.
        this.#discarded.add(torrent);
        this.#store.markDirty(infoHash.hex);
        await this.#store.flush();
      }
      await torrent.stop();
      if (data) await torrent.removeData();
    } finally {
      this.#store.remove(infoHash);
      await this.#store.flush();
      this.#removing.delete(this.#removing.get(infoHash)!);
      this.#emit({ event: "removed", infohash: infoHash.hex, data });
    }
  }

  /** Every torrent that was added and not stopped. */
  get torrents(): readonly TorrentHandle[] {
    return [...this.#torrents.values()];
  }

  /**
   * Starts listening. To be called once, before {@linkcode Session.stop}.
   *
   * @throws {ShoalError} Of kind `network` if no port is free. Of kind `usage` or `storage` if the blocklist can't be
   * read.
   */
  async start(): Promise<void> {
    if (this.#listener || this.#stopped) throw new Error("A session is started once, before it is stopped");
    if (this.#options.blocklist !== undefined) this.#blocked = await this.#readBlocklist(this.#options.blocklist);
    if (this.#stopped) return; // The session was stopped meanwhile.
    this.#listener = new PeerListener(this.#platform, {
      listener: this.#listen(),
      find: (infoHash) => (this.#heirs.get(infoHash.hex) ?? this.#torrents.get(infoHash))?.acceptor ?? null,
      blocks: (host) => this.#blocks(host),
      open: (connection) => this.#resources.encryption.receive(connection),
      refused: (address, message) =>
        this.#emit({
          event: "peer",
          infohash: null,
          address: formatAddress(address),
          client: "",
          action: "refused",
          message,
        }),
      warn: (message) => this.#emit({ event: "warning", infohash: null, message, where: "peers" }),
    });
    this.#forgetShortage = onShortage(() => this.#resources.connections.shortage(this.#platform.now()));
    const { dht, lsd, portMap = false } = this.#options.discovery ?? {};
    const reachability = this.#reachability = new Reachability(this.externalAddress, {
      platform: this.#platform,
      listen: this.listenAddress,
      portMap,
      emit: (event) => this.#emit(event),
      moved: (protocol) => {
        for (const torrent of this.#torrents.values()) torrent.moved(protocol);
      },
    });
    await this.#store.open();
    if (lsd) this.#local = this.#startLocalDiscovery();
    if (dht && !this.#stopped) await this.#startDht(reachability, dht.bootstrap ?? DHT_ROUTERS);
  }

  async #startDht(reachability: Reachability, bootstrap: readonly HostPort[]): Promise<void> {
    this.#dht = await DhtService.start({
      platform: this.#platform,
      socket: this.#resources.datagrams,
      port: this.port,
      reachability,
      bootstrap,
      stateFolder: this.#options.stateFolder ?? null,
      onExternalAddress: (host) => this.externalAddress.vote("dht", "nodes", host),
      onWarning: ({ what, why }) =>
        this.#emit({ event: "dht", infohash: null, status: "error", message: `${what}: ${why}` }),
    });
    if (this.#stopped) await this.#dht?.stop(); // The session was stopped meanwhile.
  }

  /** Warns if the UDP port differs from the TCP port: the user may have opened a firewall for that one. */
  #udpOpened(port: number): void {
    this.#reachability?.setUdpPort(port);
    if (port === this.port) return;
    const message = `the UDP port ${this.port} is taken, so the DHT and UDP trackers use ${port}`;
    this.#emit({ event: "warning", infohash: null, message, where: "UDP" });
  }

  /**
   * Adds a torrent and starts it. The check of the disk and the search for a magnet link's metadata run in the
   * background.
   *
   * A torrent that the session has already takes what is new in the source: trackers, web seeds, peers, DHT nodes, and
   * metadata. A private torrent (BEP 27) takes peers only. The options of the first call stay.
   *
   * @param source A parsed torrent file or magnet link.
   * @param options See {@linkcode AddOptions}.
   * @returns The torrent; the existing one if the session has it already.
   * @throws {ShoalError} Of kind `usage` if the session has the torrent with another folder or another selection of
   * files.
   */
  async add(source: Metainfo | Magnet, options: AddOptions): Promise<TorrentHandle> {
    const infoHashes = infoHashesOf(source);
    // The removal would forget the new torrent.
    if (this.#torrents.find(infoHashes) === undefined) await this.#removing.find(infoHashes);
    if (this.#stopped) throw new Error("The session has been stopped");
    const there = this.#torrents.find(infoHashes);
    if (there !== undefined) {
      there.merge(source, options);
      this.#resolvePeers(there, source);
      return there;
    }
    const torrent: Torrent = new Torrent({
      shared: this.#shared,
      source,
      add: options,
      limits: { down: this.#resources.down.party(), up: this.#resources.up.party() },
      findPeers: (host) => this.#findPeers(host),
      findMetadata: (magnet, search) => this.#findMetadata(magnet, search),
      emit: (event) => this.#emit(event),
      subscribe: (listener) => this.subscribe((event) => listener(event as TorrentEvent)),
      over: this.#over.promise,
      named: (more) => {
        this.#name(torrent, more);
        for (const { hex } of more.onWire) this.#heirs.set(hex, torrent);
      },
      disproved: (theirs) => {
        // The torrent is listed by the first of its own, and keeps that.
        for (const infoHash of theirs.onWire) {
          const owner = infoHash.equals(source.infoHash) ? undefined : this.#heirs.get(infoHash.hex);
          if (owner !== undefined) this.#torrents.move(infoHash, owner);
        }
      },
      twins: (all) => [...this.#torrents.all(all)].filter((other) => other !== torrent && !isOver(other.state)),
      joined: (other) => {
        this.#survivors.set(torrent, other as Torrent);
        this.#forget(torrent);
        this.#store.remove(source.infoHash);
        const stopped = torrent.stop();
        this.#leaving.add(stopped);
        void stopped.finally(() => this.#leaving.delete(stopped));
      },
      gone: () => {
        this.#forget(torrent);
        this.#store.leave(source.infoHash);
      },
    });
    this.#name(torrent, infoHashes);
    const origin = { source, add: options, oneOff: this.#options.oneOff ?? false };
    this.#store.add(keptTorrent(torrent, { ...origin, isRemoving: () => this.#discarded.has(torrent) }));
    torrent.start();
    this.#resolvePeers(torrent, source);
    return torrent;
  }

  /** Accepts connections for a torrent by its info-hashes. The only place that adds some. */
  #name(torrent: Torrent, infoHashes: InfoHashes): void {
    for (const infoHash of this.#torrents.set(infoHashes, torrent)) this.#resources.encryption.add(infoHash);
  }

  /** Gives the info-hashes of a torrent free, or to the torrent that has turned out to have them as well. */
  #forget(torrent: Torrent): void {
    for (const { hex } of torrent.infoHashes.onWire) if (this.#heirs.get(hex) === torrent) this.#heirs.delete(hex);
    for (const infoHash of this.#torrents.delete(torrent)) {
      this.#resources.encryption.remove(infoHash);
      const heir = this.#heirs.get(infoHash.hex);
      if (heir !== undefined) this.#name(heir, heir.infoHashes);
    }
  }

  /** Resolves the host names of peers that a magnet link names, and adds the peers. */
  #resolvePeers(torrent: Torrent, source: Metainfo | Magnet): void {
    if (!("peers" in source) || source.peers.length === 0) return;
    void resolveAll(source.peers, this.#platform.net).then((addresses) => torrent.namedPeers(addresses));
  }

  #findPeers(host: PeerFinderHost): PeerFinder {
    const { bind } = this.#options;
    const { mode } = this.#resources.encryption;
    return new PeerSources({
      platform: this.#platform,
      infoHashes: host.infoHashes,
      peerId: this.#resources.peerId,
      port: this.port,
      portFor: (to) => this.#reachability?.portFor("tcp", to) ?? this.port,
      udp: this.#resources.udpTrackers,
      ...(bind !== undefined && { bind }),
      ...(mode !== "off" && { encryption: mode }),
      trackers: host.trackers,
      askAllTrackers: () => host.asksAllTrackers(),
      isPrivate: () => host.isPrivate(),
      dht: this.#dht,
      local: this.#local,
      progress: () => host.progress(),
      wantedPeers: () => host.wantedPeers(),
      received: () => host.received(),
      onPeers: (addresses, source, infoHash) => host.onPeers(addresses, source, infoHash),
      onReport: (report) => this.#reported(report, host),
    });
  }

  #reported(report: TrackerReport, host: PeerFinderHost): void {
    const { url, status, seeders, leechers, peers, message, externalIp } = report;
    if (externalIp) this.externalAddress.vote("tracker", new URL(url).hostname, externalIp);
    if (seeders !== null) host.heardOfSeeds(seeders);
    const infohash = host.infoHash.hex;
    // Trackers repeat the passkey that they reject.
    const words = redact(message, secretsIn(url));
    this.#emit({ event: "tracker", infohash, url, status, seeders, leechers, peers, message: words });
  }

  #findMetadata(source: Magnet | Metainfo, search: MetadataSearch): Promise<Metainfo> {
    const { bind, portable = false } = this.#options;
    return findMetadata(source, {
      ...search,
      platform: this.#platform,
      store: this.#store,
      portable,
      reads: this.#metainfoReads,
      ...(bind !== undefined && { bind }),
    });
  }

  /**
   * Adds the torrents of earlier sessions with the same state folder again, each as it was: folder, selected files,
   * paused or not. To be called once, after {@linkcode Session.start}. Torrents of sessions with `oneOff` are left out.
   * A torrent that can't be added is left out with a warning. An interrupted removal of files is continued.
   *
   * @returns The torrents, the oldest first.
   */
  restore(): Promise<TorrentHandle[]> {
    return restoreTorrents(this.#store, {
      session: this,
      portable: this.#options.portable ?? false,
      files: this.#platform.files,
      isOver: () => this.#stopped !== null,
      yieldToEventLoop: () => this.#platform.yieldToEventLoop(),
      onWarning: (error, infohash) => this.#warn(error, infohash),
    });
  }

  /** Payload bytes of all sessions with this state folder, up to date within seconds; zeros if no state is kept. */
  get totals(): Traffic {
    return this.#store.totals;
  }

  /**
   * Calls a listener, synchronously, with every event from now on. The listener must not take long.
   *
   * @param listener Takes the events.
   * @returns Ends the subscription.
   */
  subscribe(listener: (event: SessionEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Returns every event from now on, with `progress` of every torrent. The iteration ends when the session has stopped.
   *
   * @param options How often to report progress.
   *
   * @example
   * ```ts
   * for await (const event of session.events()) console.log(event.event, event.infohash);
   * ```
   */
  events(options: EventOptions = {}): EventStream<SessionEvent> {
    return streamEvents<SessionEvent>({
      platform: this.#platform,
      subscribe: (listener) => this.subscribe(listener),
      infohash: null,
      snapshots: () => this.torrents.map((torrent) => torrent.snapshot()),
      over: this.#over.promise,
    }, options);
  }

  /**
   * Stops listening and stops every torrent: trackers are told, resume state is saved. Further calls return the same
   * promise.
   *
   * @param deadlineMs Milliseconds that it may take (default 3,000); what isn't done by then is abandoned.
   */
  stop(deadlineMs: number = STOP_MS): Promise<void> {
    return this.#stopped ??= this.#stop(deadlineMs);
  }

  async #stop(deadlineMs: number): Promise<void> {
    this.#forgetShortage();
    this.#listener?.close();
    this.#local?.stop();
    const torrents = [...this.#torrents.values()].map((torrent) => torrent.stop());
    const ends = [...torrents, ...this.#removing.values(), ...this.#leaving];
    const done = Promise.all([...ends, this.#reachability?.stop(), this.#dht?.stop()]);
    let expire = () => {};
    const expired = new Promise<void>((resolve) => expire = resolve);
    const timer = this.#platform.after(deadlineMs, expire);
    try {
      await Promise.race([done, expired]);
    } finally {
      timer.cancel();
      this.#resources.close();
      await this.#store.close();
      this.#over.resolve();
    }
  }

  /** The resources that torrents borrow; complete once the session has been started. */
  get #shared(): Shared {
    return this.#resources.lend(() => ({
      port: this.port,
      policy: {
        blocks: (host) => this.#blocks(host),
        ownAddress: (family) => this.#reachability?.ownAddress(family) ?? null,
        portFor: (protocol, host) => this.#reachability?.portFor(protocol, host) ?? this.port,
      },
      ports: () => this.#reachability!.source(),
      dht: this.#dht,
      seenAs: (source, voter, address) => this.externalAddress.vote(source, voter, address),
    }));
  }

  #blocks(host: string): boolean {
    return this.#blocked?.has(host) ?? false;
  }

  async #readBlocklist(path: string): Promise<IpRanges> {
    // The parser is loaded only if there is a blocklist.
    const { readBlocklist } = await import("./blocklist.ts");
    const { ranges, bad, firstBad } = await readBlocklist(path, this.#platform.files);
    if (bad > 0) {
      const lines = bad === 1 ? "a line of the blocklist makes" : `${bad} lines of the blocklist make`;
      const message = `${lines} no sense, line ${firstBad}${bad === 1 ? "" : " is the first"}`;
      this.#emit({ event: "warning", infohash: null, message, where: path });
    }
    return ranges;
  }

  #startLocalDiscovery(): LocalDiscovery {
    const { bind } = this.#options;
    return new LocalDiscovery({
      platform: this.#platform,
      ...(bind !== undefined && { bind }),
      onTrouble: (why) => {
        const message = `neighbours can't be found: ${why}`;
        this.#emit({ event: "warning", infohash: null, message, where: "local discovery" });
      },
    });
  }

  #listen() {
    const host = this.#options.bind ?? "::";
    for (let port = this.#options.port ?? FIRST_PORT;; port++) {
      try {
        return this.#platform.net.listen({ host, port });
      } catch (error) {
        const isPort = error instanceof ShoalError && !(error instanceof ListenError && error.fault === "no-address");
        if (!isPort) throw error;
        if (this.#options.port !== undefined) throw error instanceof ListenError ? error.withPortFlag("--port") : error;
        if (port < LAST_PORT) continue;
        throw new ShoalError("network", {
          what: "cannot listen",
          where: formatAddress({ host, port }),
          why: `none of the ports ${FIRST_PORT} to ${LAST_PORT} is free: ${messageOf(error)}`,
          hint: "choose a port with --port, or 0 for any",
        });
      }
    }
  }

  #warn({ kind, what, where, why }: ShoalError, infohash: string | null = null): void {
    const loses = kind === "storage" && { loses: true };
    this.#emit({ event: "warning", infohash, message: `${what}: ${why}`, where, ...loses });
  }

  /** The only place that emits events. It removes passkeys and passwords. */
  #emit(told: SessionEvent): void {
    this.#store.handleEvent(told);
    const event = withoutSecrets(told);
    for (const listener of this.#listeners) {
      try {
        listener(event);
      } catch (error) {
        // An error of a listener is its owner's and must not disturb the session.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}

/** Resolves host names to all of their addresses. A name that does not resolve is left out. */
async function resolveAll(hosts: readonly HostPort[], net: Network): Promise<PeerAddress[]> {
  const found = await Promise.allSettled(hosts.map(async ({ host, port }) => {
    if (parseIp(host) !== null) return [{ host, port }];
    return (await net.resolve(host)).map((address) => ({ host: address, port }));
  }));
  return found.flatMap((result) => result.status === "fulfilled" ? result.value : []);
}
