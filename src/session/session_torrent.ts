/**
 * A torrent as the session's user sees it.
 *
 * @module
 */

import { formatAddress, type PeerAddress } from "../base/address.ts";
import type { Bytes } from "../base/bytes.ts";
import { messageOf, ShoalError } from "../base/errors.ts";
import type { InfoHash } from "../base/info_hash.ts";
import { CANDIDATE_SHARES, MAX_CANDIDATES } from "../base/limits.ts";
import { redact, secretsIn } from "../base/secrets.ts";
import { VERSION } from "../base/version.ts";
import { type Magnet, type Metainfo, numberedFiles, pathsOnDisk, pieceHash, safeName } from "../metainfo/mod.ts";
import { Storage } from "../storage/mod.ts";
import { type Acceptor, MetadataSwarm, type PeerSource, Torrent as Swarm, type TorrentEvent } from "../swarm/mod.ts";
import type { TrackerReport } from "../tracker/announcer.ts";
import type { AddOptions } from "../swarm/add_options.ts";
import { type Choice, choiceOf, isMagnet } from "../swarm/choice.ts";
import { clash, clashOf } from "../swarm/clash.ts";
import type { EventOptions, EventStream } from "./event_stream.ts";
import { findMetadata } from "./metadata_search.ts";
import { pausedState } from "./pause.ts";
import { PeerSources } from "./peer_sources.ts";
import { type FileSnapshot, filesOf, type PieceMap, pieceMapOf } from "../swarm/piece_map.ts";
import { type RateLimits, ratesOf, setRates } from "../swarm/mod.ts";
import { resolveAll } from "./resolve.ts";
import { searchSnapshot, snapshotOf } from "../swarm/snapshot.ts";
import type { Traffic } from "./session_store.ts";
import type { Torrent } from "./torrent.ts";
import type { SessionTorrentOptions } from "./torrent_options.ts";
import { openFile, type ReadableTorrent, wantedFilesOf } from "../swarm/torrent_reader.ts";
import type { TorrentSnapshot, TorrentState } from "./types.ts";

const NO_TRAFFIC: Traffic = { downloaded: 0, uploaded: 0 };
/** Bytes that are said to be missing while nobody knows how many are: not 0, which would make us a seed. */
const UNKNOWN_LEFT = 16 * 1024;

/** {@linkcode Torrent}, and what the session needs of it. */
export class SessionTorrent implements Torrent {
  readonly infoHash: InfoHash;
  readonly metadata: Promise<Metainfo>;
  readonly finished: Promise<void>;
  readonly #options: SessionTorrentOptions;
  readonly #startedAt: number;
  readonly #metadata = Promise.withResolvers<Metainfo>();
  readonly #finish = Promise.withResolvers<void>();
  readonly #abort = new AbortController();
  readonly open: ReadableTorrent["open"] = (file, options = {}) =>
    openFile(file, { reads: this.#options.reads, swarm: this.#swarm, meta: this.#meta, choice: this.#choice, options });
  #name: string;
  #state: TorrentState;
  #stopping: Promise<void> | null = null;
  #meta: Metainfo | null = null;
  #choice: Choice | null = null;
  #search: MetadataSwarm | null = null;
  #swarm: Swarm | null = null;
  #sources: PeerSources | null = null;
  #isPaused = false;
  /** What a magnet link stands for, when another source of the torrent says it. */
  readonly #given = Promise.withResolvers<Metainfo>();
  #isGiven = false;
  /** Trackers of other sources of the torrent. */
  readonly #moreTrackers: (readonly string[])[] = [];
  /** Web seeds of other sources, named before there was a download. */
  readonly #moreWebSeeds: string[] = [];
  /** Peers that were found before the download, for it to begin with, by who named them: nobody is to keep others out. */
  readonly #found = new Map<PeerSource, Map<string, PeerAddress>>();

  /** @param options Its parts. */
  constructor(options: SessionTorrentOptions) {
    const { source } = options;
    this.#options = options;
    this.#startedAt = options.platform.now();
    this.infoHash = source.infoHash;
    this.metadata = this.#metadata.promise;
    this.finished = this.#finish.promise;
    // Whoever doesn't wait for the end is told by the event; it must not end the program as an unhandled rejection.
    this.metadata.catch(() => {});
    this.finished.catch(() => {});
    if (isMagnet(source)) {
      this.#state = "metadata";
      this.#name = safeName(source.displayName ?? "") || source.infoHash.hex;
    } else {
      this.#state = "checking";
      this.#name = source.name;
      this.#prepare(source);
      this.#metadata.resolve(source);
    }
  }

  get name(): string {
    return this.#name;
  }

  /**
   * The engine.
   *
   * @throws {Error} While nobody knows what the torrent holds.
   */
  get swarm(): Swarm {
    if (!this.#swarm) throw new Error("The torrent has no metadata yet");
    return this.#swarm;
  }

  /** Who takes connections that ask for this torrent; `null` while nobody does. */
  get acceptor(): Acceptor | null {
    return this.#search && this.#swarm?.state !== "running" ? this.#search : this.#swarm;
  }

  /**
   * Takes what another source of the same torrent says.
   *
   * @param source The other source.
   * @param add How it would have been added.
   * @throws {ShoalError} Of kind `usage` if it can't be both.
   */
  merge(source: Metainfo | Magnet, add: AddOptions): void {
    if (this.#stopping) throw clash(this.#name, "it is being stopped");
    const first = this.#options;
    const why = clashOf({ first, choice: this.#choice, meta: this.#meta }, { add, source });
    if (why !== null) throw clash(this.#name, why);
    this.#foundPeers(add.peers ?? [], "user");
    if (isMagnet(source)) this.#findPeers(source);
    if (this.#meta?.private) return this.#leaveOut(source, this.#meta);
    const { trackers, webSeeds } = source;
    this.#moreTrackers.push(...trackers);
    this.#sources?.addTrackers(trackers);
    if (this.#swarm) this.#swarm.addWebSeeds(webSeeds);
    else this.#moreWebSeeds.push(...webSeeds);
    if (isMagnet(source)) return;
    if (this.#meta !== null) return void first.dht?.addHosts(source.nodes);
    this.#isGiven = true;
    this.#search?.settle();
    this.#given.resolve(source);
  }

  /** Nobody but its own trackers is to know of a private torrent. */
  #leaveOut({ trackers, webSeeds }: Metainfo | Magnet, meta: Metainfo): void {
    const own = new Set([...meta.trackers.flat(), ...meta.webSeeds]);
    if ([...trackers.flat(), ...webSeeds].every((url) => own.has(url))) return;
    const message = "other trackers and web seeds are left out, since the torrent is private";
    this.#options.emit({ event: "warning", infohash: this.infoHash.hex, message, where: meta.name });
  }

  #findPeers({ peers }: Magnet): void {
    void resolveAll(peers, this.#options.platform.net).then((addresses) => this.#foundPeers(addresses, "user"));
  }

  /** Goes to work; failures end the torrent. */
  start(): void {
    this.#run().catch((error) => this.#broke(error));
  }

  snapshot(): TorrentSnapshot {
    const state = this.paused ? pausedState(this.#state) : this.#state;
    if (this.#swarm && this.#meta) return snapshotOf(this.#swarm, { meta: this.#meta, state });
    return searchSnapshot(this.#search, { infoHash: this.infoHash, name: this.#name, state });
  }

  events(options: EventOptions = {}): EventStream {
    return this.#options.events(options);
  }

  get wantedFiles(): readonly number[] {
    return wantedFilesOf({ meta: this.#meta, choice: this.#choice });
  }

  pieceMap(cells: number): PieceMap | null {
    return this.#swarm && pieceMapOf(this.#swarm, cells);
  }

  files(): readonly FileSnapshot[] {
    return this.#swarm ? filesOf(this.#swarm, { meta: this.#meta!, wanted: this.#choice?.files }) : [];
  }

  get traffic(): Traffic {
    return this.#swarm ?? NO_TRAFFIC;
  }

  get paused(): boolean {
    return this.#isPaused;
  }

  pause(): void {
    this.#setPaused(true);
  }

  resume(): void {
    this.#setPaused(false);
  }

  get limits(): RateLimits {
    return ratesOf(this.#options.limits);
  }

  setLimits(limits: Partial<RateLimits>): void {
    setRates(this.#options.limits, limits);
  }

  #setPaused(paused: boolean): void {
    if (this.#stopping) return;
    this.#isPaused = paused;
    if (paused) this.#sources?.pause();
    else this.#sources?.resume();
    this.#search?.setPaused(paused);
    this.#swarm?.setPaused(paused);
  }

  /** The port at which others reach us is another one. */
  moved(): void {
    this.#sources?.moved();
    this.#search?.moved();
    this.#swarm?.moved();
  }

  stop(): Promise<void> {
    return this.#stopping ??= this.#stop();
  }

  async #run(): Promise<void> {
    const { source, add, emit } = this.#options;
    const infohash = this.infoHash.hex;
    const magnet = isMagnet(source) ? source : null;
    const { size = null, count: files = null } = this.#choice ?? {};
    emit({ event: "added", infohash, name: this.#name, size, files });
    if (!isMagnet(source)) this.#warnOf(source);
    if (magnet) {
      this.#findPeers(magnet);
      const meta = await this.#find(magnet);
      this.#search?.settle();
      if (this.#stopping) return;
      this.#name = meta.name;
      if (!add.metadataOnly) this.#prepare(meta);
      const { size, count: files } = this.#choice ?? { size: meta.size, count: numberedFiles(meta.files).length };
      emit({ event: "metadata", infohash, name: meta.name, size, files });
      this.#warnOf(meta);
      this.#metadata.resolve(meta);
      if (add.metadataOnly) {
        this.#finish.resolve();
        return void this.stop();
      }
      this.#state = "checking";
    }
    await this.#download();
  }

  /** Finds out what a magnet link stands for. */
  async #find(magnet: Magnet): Promise<Metainfo> {
    const { platform, store, portable, bind, metainfoReads } = this.#options;
    return await findMetadata(magnet, {
      reads: metainfoReads,
      platform,
      store,
      portable,
      ...(bind !== undefined && { bind }),
      signal: this.#abort.signal,
      askPeers: () => this.#askPeers(magnet),
      given: this.#given.promise,
      onWarning: (error) => this.#warn(error),
    });
  }

  async #askPeers(magnet: Magnet): Promise<Bytes> {
    const { platform, transport, peerId, port, policy, metadataMemory: memory, reads, limits, dht, add } =
      this.#options;
    if (this.#stopping || this.#isGiven) return await new Promise<never>(() => {});
    const found = Promise.withResolvers<Bytes>();
    const search = this.#search = new MetadataSwarm({
      platform,
      infoHash: this.infoHash,
      transport,
      peerId,
      version: `Shoal ${VERSION}`,
      port,
      ...policy,
      memory,
      reads,
      limits,
      ...(dht && { dht }),
      needPeers: () => this.#sources?.needPeers(),
      found: found.resolve,
      emit: (event) => this.#happened(event),
    });
    search.setPaused(this.paused);
    search.start();
    search.addPeers(add.peers ?? [], "user");
    for (const [source, found] of this.#found) search.addPeers(found.values(), source);
    this.#startSources(magnet.trackers);
    return await found.promise;
  }

  /** Puts together what downloads, now that it is known what. */
  #prepare(meta: Metainfo): void {
    const { platform, add, transport, peerId, port, policy, budget, reads, limits, dht, bind } = this.#options;
    this.#meta = meta;
    if (meta.private) this.#keepPrivate();
    else dht?.addHosts(meta.nodes);
    this.#choice = choiceOf(meta, this.#options);
    const files = this.#choice.files === undefined ? {} : { files: this.#choice.files };
    const storage = new Storage(meta, {
      ...files,
      platform,
      folder: add.folder,
      pieceHash: (index) => pieceHash(meta, index),
      pathsOf: (index) => pathsOnDisk(meta.files[index]!),
      infoHash: meta.infoHash,
      stateFolder: this.#options.stateFolder,
      memory: budget,
      readOnly: add.seedOnly ?? false,
      onWarning: (error) => this.#warn(error),
    });
    this.#swarm = new Swarm({
      ...files,
      sequential: add.sequential ?? false,
      platform,
      meta,
      storage,
      transport,
      peerId,
      version: `Shoal ${VERSION}`,
      port,
      ...(bind !== undefined && { bind }),
      ...policy,
      budget,
      reads,
      limits,
      ...(dht && !meta.private && { dht }),
      pex: this.#options.pex,
      sources: {
        start: () => this.#startSources(meta.trackers),
        completed: () => this.#sources?.completed(),
        needPeers: () => this.#sources?.needPeers(),
      },
      emit: (event) => this.#happened(event),
      seenAs: (peer, address) => this.#options.externalAddress.vote("peer", peer, address),
    });
    this.#swarm.addWebSeeds(this.#moreWebSeeds);
    this.#swarm.setPaused(this.paused);
  }

  async #download(): Promise<void> {
    const { add } = this.#options;
    const [swarm, meta] = [this.#swarm!, this.#meta!];
    await swarm.start(add.trust ? "trust" : add.check ? "check" : "resume", this.#search);
    if (this.#state !== "checking") return;
    if (add.seedOnly && !swarm.have.isFull) {
      const missing = swarm.have.length - swarm.have.count;
      throw new ShoalError("torrent", {
        what: "the data is not complete",
        where: `${meta.name} in ${add.folder}`,
        why: `${missing} of ${meta.pieceCount} pieces are missing or wrong`,
        hint: "download it to get what is missing, or choose the folder that holds it",
      });
    }
    if (!swarm.complete) this.#state = "downloading";
    this.#search = null;
    swarm.addPeers(add.peers ?? [], "user");
    for (const [source, found] of this.#found) swarm.addPeers(found.values(), source);
    this.#found.clear();
  }

  /** Trackers are asked from now on; those of a magnet link go on to be when the metadata is here. */
  #startSources(named: readonly (readonly string[])[]): void {
    const trackers = this.#meta?.trackers ?? named;
    const { platform, peerId, port, bind, encryption, dht, udpTrackers: udp } = this.#options;
    if (this.#stopping) return;
    this.#sources ??= new PeerSources({
      platform,
      infoHash: this.infoHash,
      peerId,
      port,
      portFor: (host) => this.#options.policy.portFor?.("tcp", host) ?? port,
      udp,
      ...(bind !== undefined && { bind }),
      ...(encryption && { encryption }),
      trackers,
      // A link has no tiers. A private torrent's trackers are asked one after the other all the same (BEP 27).
      askAllTrackers: () => isMagnet(this.#options.source) && !this.#meta?.private,
      isPrivate: () => this.#meta?.private ?? false,
      dht,
      progress: () => {
        if (!this.#swarm) return { uploaded: 0, downloaded: 0, left: UNKNOWN_LEFT };
        const { uploaded, downloaded, left, complete, have } = this.#swarm;
        return { uploaded, downloaded, left, partialSeed: complete && !have.isFull };
      },
      wantedPeers: () => (this.#swarm ?? this.#search)?.wantedPeers ?? 0,
      received: () => this.#swarm?.complete ? null : this.#swarm?.downloaded ?? 0,
      local: this.#options.local,
      onPeers: (addresses, source) => this.#foundPeers(addresses, source),
      onReport: (report) => this.#reported(report),
    });
    if (this.#isPaused) this.#sources.pause();
    this.#sources.addTrackers(trackers);
    this.#sources.addTrackers(this.#moreTrackers);
    this.#sources.start();
  }

  /** Only those whom its trackers or the user name may know of a private torrent, be it that we didn't know that it is one. */
  #keepPrivate(): void {
    this.#sources?.keepPrivate();
    this.#search?.stop();
    this.#search = null;
    for (const source of this.#found.keys()) {
      if (source !== "tracker" && source !== "user") this.#found.delete(source);
    }
  }

  /** What is found before anybody can use it waits. */
  #foundPeers(addresses: readonly PeerAddress[], source: PeerSource): void {
    if (this.#swarm?.state === "running") return this.#swarm.addPeers(addresses, source);
    this.#search?.addPeers(addresses, source);
    const found = this.#found.get(source) ?? new Map();
    this.#found.set(source, found);
    for (const address of addresses) {
      if (found.size < MAX_CANDIDATES * CANDIDATE_SHARES[source]) found.set(formatAddress(address), address);
    }
  }

  async #stop(): Promise<void> {
    if (this.#state !== "failed") this.#state = "stopping";
    this.#abort.abort();
    this.#search?.stop();
    try {
      // A disk that fails is no reason to go without taking leave.
      const stopped = this.#swarm?.stop();
      await Promise.allSettled([this.#sources?.stop(), stopped]);
      await stopped;
    } catch (error) {
      this.#tellFailure(error);
    } finally {
      if (this.#state === "stopping") this.#state = "stopped";
      const { downloaded = 0, uploaded = 0 } = this.#swarm ?? {};
      this.#options.emit({ event: "stopped", infohash: this.infoHash.hex, downloaded, uploaded });
      this.#options.gone();
    }
  }

  #happened(event: TorrentEvent): void {
    switch (event.event) {
      case "completed":
        return this.#completed();
      case "failed":
        return this.#broke(event.error);
      default:
        return this.#options.emit({ ...event, infohash: this.infoHash.hex });
    }
  }

  #reported({ url, status, seeders, leechers, peers, message, externalIp }: TrackerReport): void {
    if (externalIp) this.#options.externalAddress.vote("tracker", new URL(url).hostname, externalIp);
    if (seeders !== null) this.#swarm?.heardOfSeeds(seeders);
    const infohash = this.infoHash.hex;
    // Trackers say which passkey they don't know.
    const words = redact(message, secretsIn(url));
    this.#options.emit({ event: "tracker", infohash, url, status, seeders, leechers, peers, message: words });
  }

  #warn(error: unknown): void {
    this.#options.emit({ event: "warning", infohash: this.infoHash.hex, ...wordsOf(error) });
  }

  /** What is wrong with a torrent and was passed over. */
  #warnOf({ name, warnings }: Metainfo): void {
    const infohash = this.infoHash.hex;
    for (const message of warnings) this.#options.emit({ event: "warning", infohash, message, where: name });
  }

  #completed(): void {
    if (this.#state === "checking" || this.#state === "downloading") this.#state = "seeding";
    const seconds = (this.#options.platform.now() - this.#startedAt) / 1000;
    const bytes = this.#swarm?.downloaded ?? 0;
    const rate = seconds > 0 ? bytes / seconds : 0;
    this.#options.emit({ event: "completed", infohash: this.infoHash.hex, name: this.#name, seconds, bytes, rate });
    this.#finish.resolve();
  }

  #broke(error: unknown): void {
    if (this.#stopping) return; // what goes wrong because of that is no news; what went wrong before was told
    this.#tellFailure(error);
    this.stop();
  }

  #tellFailure(error: unknown): void {
    if (this.#state === "failed") return;
    this.#state = "failed";
    const code = error instanceof ShoalError ? error.kind : "unexpected";
    this.#options.emit({ event: "error", infohash: this.infoHash.hex, code, ...wordsOf(error) });
    this.#metadata.reject(error);
    this.#finish.reject(error);
  }
}

function wordsOf(error: unknown): { readonly message: string; readonly where: string } {
  if (!(error instanceof ShoalError)) return { message: messageOf(error), where: "" };
  return { message: `${error.what}: ${error.why}`, where: error.where };
}
