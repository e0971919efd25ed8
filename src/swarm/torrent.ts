/**
 * The state machine of one torrent, from `add()` to `remove()`.
 *
 * {@linkcode Torrent.state} is the only state; `torrent_state.ts` lists the transitions. A torrent keeps one set of
 * peers for life. A magnet link's torrent asks those peers for the metadata first ({@linkcode MetadataFetch}). Once the
 * metadata is known, {@linkcode Content} (the pieces and their files) is attached. Slow work (finding the metadata,
 * checking, moving, closing) runs one task at a time, in the order of {@linkcode Torrent.#inTurn}.
 *
 * @module
 */

import type { PeerAddress } from "../base/address.ts";
import { Bitfield } from "../base/bitfield.ts";
import type { InfoHash } from "../base/info_hash.ts";
import type { InfoHashes } from "../base/info_hashes.ts";
import { infoHashesOf, type Magnet, type Metainfo, numberedFiles, safeName } from "../metainfo/mod.ts";
import { type Block, type Peer, type RateLimits, ratesOf, setRates } from "../peer/mod.ts";
import type { MoveProgress, StartMode } from "../storage/mod.ts";
import type { AddOptions, PeerFinder, Survivor, TorrentOptions, Twin, UnnamedEvent } from "./torrent_options.ts";
import type { PeerSource } from "./peers/candidates.ts";
import { checkFiles, checkSelection, type FileSelection, isMagnet, selectionOf, withFiles } from "./file_selection.ts";
import { duplicateError, reasonAgainstDuplicate } from "./duplicate_add.ts";
import { Content } from "./content.ts";
import { type EventOptions, type EventStream, streamEvents } from "./event_stream.ts";
import type { ChangedEvent, TorrentEvent } from "./events.ts";
import type { Acceptor } from "./peers/peer_listener.ts";
import { folderToOpen } from "./incomplete_folder.ts";
import { MagnetResolver } from "./magnet_resolver.ts";
import { type DrawnPieces, type FileSnapshot, filesOf, type PieceMap, pieceMapOf } from "./piece_map.ts";
import { openFile, type OpenFileOptions, ReadSource, type TorrentReader, wantedFilesOf } from "./torrent_reader.ts";
import { snapshotOf, type TorrentSnapshot } from "./snapshot.ts";
import { Swarm } from "./swarm.ts";
import type { TickerSeat } from "./ticker.ts";
import type { TorrentSources } from "./torrent_sources.ts";
import {
  failureOf,
  nothingToSeed,
  partlySeeded,
  reasonToRefuse,
  stoppedError,
  type TorrentFailure,
} from "./torrent_failure.ts";
import { isActive, isOver, mayFollow, type TorrentState } from "./torrent_state.ts";
import { WaitingReason } from "./waiting_reason.ts";
import { FILE_PRIORITIES, type FilePriority } from "./wanted_pieces.ts";
import type { WebSeed } from "./web_seeds/web_seed.ts";
import type { TorrentHandle } from "./torrent_handle.ts";

/** Bytes reported as missing to trackers while the size is unknown. Reporting 0 would make us a seed. */
const UNKNOWN_LEFT = 16 * 1024;
/** Milliseconds for telling trackers that we stop. */
const FAREWELL_MS = 2_000;
/** What the user wants the torrent to do. The state follows as soon as it can. */
type Wish = "run" | "paused" | "queued";

/** A torrent of a session. See {@linkcode TorrentHandle} for what users do with it. */
export class Torrent implements TorrentHandle {
  /** Which torrent. */
  readonly infoHash: InfoHash;
  /** Every info-hash by which peers know the torrent, as far as they are known. */
  infoHashes: InfoHashes;
  readonly #reading: ReadSource;
  readonly #options: TorrentOptions;
  readonly #swarm: Swarm;
  readonly #finder: PeerFinder;
  readonly #startedAt: number;
  /** Time at which the current state was entered, in milliseconds. */
  #enteredAt = 0;
  /** Milliseconds that were spent in the state `downloading`. */
  #downloading = 0;
  /** Aborted when the torrent is stopped. */
  readonly #abort = new AbortController();
  /** Aborted when the torrent is stopped or fails. Work that was begun before is then ignored. */
  #attempt = new AbortController();
  #metadata = Promise.withResolvers<Metainfo>();
  #finish = Promise.withResolvers<void>();
  #name: string;
  #state: TorrentState;
  #wish: Wish = "run";
  #error: unknown = null;
  #meta: Metainfo | null = null;
  /** How the torrent was added, with every later change. */
  #add: AddOptions;
  /** Folder in which the data is: that of `#add`, or that for unfinished data. */
  #folder: string;
  /** `true` once it is known in which folder the data is. */
  #isPlaced: boolean;
  #selection: FileSelection | null = null;
  /** By file index; files without an entry have normal priority. */
  readonly #priorities = new Map<number, FilePriority>();
  /** Finds the metadata of a magnet link; `null` if a torrent file was added. */
  readonly #search: MagnetResolver | null;
  #content: Content | null = null;
  /** `true` once the state on disk is known: from then on pieces are fetched and served. */
  #attached = false;
  /** Web seeds of the magnet link and of sources that were merged later. */
  readonly #moreWebSeeds: string[] = [];
  /** `true` if the user has set the trackers. Those of the source are then not added when the metadata arrives. */
  #hasOwnTrackers = false;
  /** Bytes that web seeds sent to contents that have been replaced. */
  #replacedDownloaded = 0;
  /** Blocks that could not be read and are still to be handled, at most one per piece. */
  readonly #lost = new Map<number, Block>();
  /** Torrents that turned out to be the same as this one, and join it when its metadata is known. */
  readonly #twins: Twin[] = [];
  /** `true` if the completion of the wanted files has been reported. */
  #isFinished = false;
  #seat: TickerSeat | null = null;
  readonly #reason: WaitingReason;
  #lastWork: Promise<void> = Promise.resolve();
  #stopping: Promise<void> | null = null;

  /**
   * @param options See {@linkcode TorrentOptions}.
   * @throws {SelectionError} If a selected file does not exist.
   * @throws {ShoalError} Of kind `storage` if a path could lead out of the download folder.
   */
  constructor(options: TorrentOptions) {
    const { source, shared } = options;
    this.#options = options;
    this.#add = options.add;
    const { incomplete, folder } = options.add;
    this.#folder = incomplete ?? folder;
    this.#isPlaced = this.#folder === folder;
    this.infoHash = source.infoHash;
    this.infoHashes = infoHashesOf(source);
    this.#startedAt = shared.platform.now();
    this.#reason = new WaitingReason(this.#startedAt);
    this.#swarm = new Swarm({
      shared,
      infoHashes: () => this.infoHashes,
      limits: options.limits,
      events: {
        needPeers: () => isActive(this.#state) && this.#finder.needPeers(),
        wake: () => this.#seat?.wake(),
        failed: (error) => this.#fail(error),
        tell: (event) => this.#tell(event),
      },
    });
    this.#finder = options.findPeers({
      infoHash: this.infoHash,
      infoHashes: this.infoHashes,
      trackers: source.trackers,
      // A magnet link has no tiers. A private torrent's trackers are asked in order all the same (BEP 27).
      asksAllTrackers: () => isMagnet(source) && !this.#meta?.private,
      isPrivate: () => this.#meta?.private ?? false,
      progress: () => this.#progress(),
      wantedPeers: () => this.#swarm.wantedPeers,
      received: () => this.complete ? null : this.downloaded,
      onPeers: (addresses, from, infoHash) => this.#foundPeers(addresses, from, infoHash),
      heardOfSeeds: (count) => {
        if (count > 1) this.#content?.superSeeding?.end();
      },
    });
    this.#reading = new ReadSource({ shared, content: () => this.#content });
    this.#ignoreRejections();
    this.#search = !isMagnet(source) ? null : new MagnetResolver({
      magnet: source,
      shared,
      swarm: this.#swarm,
      findMetadata: options.findMetadata,
      asking: () => this.#connect(),
      onWarning: (error) => this.#warn(error),
    });
    if (isMagnet(source)) {
      this.#state = "metadata";
      this.#name = safeName(source.displayName ?? "") || source.infoHash.hex;
    } else {
      this.#state = "checking";
      this.#name = source.name;
      this.#setMetadata(source);
      this.#metadata.resolve(source);
    }
    this.#swarm.add(options.add.peers ?? [], "user");
    this.#addTrackers(options.add.trackers ?? []);
  }

  get name(): string {
    return this.#name;
  }

  get state(): TorrentState {
    return this.#state;
  }

  get error(): TorrentFailure | null {
    return this.#state === "error" ? failureOf(this.#error) : null;
  }

  get metadata(): Promise<Metainfo> {
    return this.#metadata.promise;
  }

  get finished(): Promise<void> {
    return this.#finish.promise;
  }

  /** The metadata; `null` until it is known. */
  get meta(): Metainfo | null {
    return this.#meta;
  }

  get paused(): boolean {
    return this.#wish === "paused";
  }

  /** `true` once the state on disk is known, so that pieces can be fetched and served. */
  get attached(): boolean {
    return this.#attached;
  }

  /** Pieces that are verified and written. */
  get have(): Bitfield {
    return this.#content?.have ?? NO_PIECES;
  }

  /** `true` if every wanted piece is verified and written. */
  get complete(): boolean {
    return this.#attached && this.#content!.complete;
  }

  /** Bytes of the wanted files without padding; 0 until the metadata is known. */
  get size(): number {
    return this.#content?.size ?? 0;
  }

  /** Verified bytes of the wanted files, without padding. */
  get verified(): number {
    return this.#content?.verified ?? 0;
  }

  /** From 0 to 1: the progress of the metadata search or of the check while one runs, else the verified share. */
  get progress(): number {
    if (!this.#content) return this.#search?.progress ?? 0;
    if (this.#state === "checking") return this.#content.checked;
    return this.size === 0 ? 1 : this.verified / this.size;
  }

  /** Payload bytes received from peers and web seeds. */
  get downloaded(): number {
    return this.#swarm.downloaded + this.#replacedDownloaded + (this.#content?.downloaded ?? 0);
  }

  /** Payload bytes sent to peers. */
  get uploaded(): number {
    return this.#swarm.uploaded;
  }

  /** Payload bytes in both directions since the torrent was added. */
  get traffic(): { readonly downloaded: number; readonly uploaded: number } {
    return { downloaded: this.downloaded, uploaded: this.uploaded };
  }

  /** The state of each piece, for drawing; `null` until the metadata is known. */
  get pieces(): DrawnPieces | null {
    return this.#content?.pieces ?? null;
  }

  /** Every open connection. */
  peers(): Iterable<Peer> {
    return this.#swarm.peers;
  }

  /** Web seeds that respond. */
  get webSeeds(): readonly WebSeed[] {
    return this.#content?.webSeeds?.connected ?? [];
  }

  get folder(): string {
    return this.#folder;
  }

  get sequential(): boolean {
    return this.#add.sequential ?? false;
  }

  get trackers(): readonly (readonly string[])[] {
    return this.#finder.trackers;
  }

  get priorities(): ReadonlyMap<number, FilePriority> {
    return this.#priorities;
  }

  snapshot(): TorrentSnapshot {
    return snapshotOf(this);
  }

  /** Why nothing arrives; see {@linkcode TorrentSnapshot.waiting}. */
  get waiting(): string | null {
    const state = this.#state;
    if (state === "seeding" || isOver(state)) return null; // cheap for thousands of seeds
    return this.#reason.sentence(this.#options.shared.platform.now(), {
      state,
      error: this.error,
      isAlone: this.#swarm.isEmpty,
      content: this.#content,
      isPrivate: this.#meta?.private ?? false,
      peers: () => this.#swarm.peers,
      addresses: () => this.#swarm.addresses(),
      sources: () => this.#finder.sources(),
    });
  }

  sources(): TorrentSources {
    const { shared } = this.#options;
    const isPrivate = this.#meta?.private ?? false;
    return {
      ...this.#finder.sources(),
      isPrivate,
      pex: shared.pex && !isPrivate,
      port: shared.ports(),
      webSeeds: this.#content?.webSeeds?.sources() ?? [],
    };
  }

  pieceMap(cells: number): PieceMap | null {
    return this.pieces && pieceMapOf(this, { pieces: this.pieces, cells });
  }

  files(): readonly FileSnapshot[] {
    return this.#meta === null ? [] : filesOf(this, { meta: this.#meta, wanted: this.#selection?.files });
  }

  /** Indexes of the files that the user selected; `null` if all files, or a function, were given. */
  get askedFiles(): readonly number[] | null {
    const { files } = this.#add;
    return files instanceof Set ? [...files] : null;
  }

  get wantedFiles(): readonly number[] {
    return wantedFilesOf({ meta: this.#meta, choice: this.#selection });
  }

  events(options: EventOptions = {}): EventStream {
    const { shared: { platform }, subscribe, over } = this.#options;
    return streamEvents<TorrentEvent>({
      platform,
      subscribe,
      infohash: this.infoHash.hex,
      snapshots: () => [this.snapshot()],
      over: this.#state === "stopped" ? Promise.resolve() : over,
    }, options);
  }

  open(file: number, options: OpenFileOptions = {}): TorrentReader {
    return openFile(file, { source: this.#reading, meta: this.#meta, choice: this.#selection, options });
  }

  // What users and the session ask of it.

  /** Starts the torrent. To be called once. */
  start(): void {
    const { size = null, count: files = null } = this.#selection ?? {};
    this.#tell({ event: "added", infohash_v2: this.infoHashes.v2?.hex ?? null, name: this.#name, size, files });
    this.#seat = this.#options.shared.ticker.join({ turn: (now, seconds) => this.#turn(now, seconds) });
    const { source, add } = this.#options;
    if (!isMagnet(source)) {
      this.#warnOfFaults(source);
      if (this.#keepsToItsTrackers) this.#warnLeftOut({ trackers: add.trackers ?? [], webSeeds: [] }, source);
    }
    void this.#begin(add.trust ? "trust" : add.check ? "check" : "resume");
  }

  get limits(): RateLimits {
    return ratesOf(this.#options.limits);
  }

  setLimits(limits: Partial<RateLimits>): void {
    this.#refuseIfOver();
    setRates(this.#options.limits, limits);
    this.#changed("limits");
  }

  setTrackers(tiers: readonly (readonly string[])[]): void {
    this.#refuseIfOver();
    this.#hasOwnTrackers = true;
    this.#finder.setTrackers(tiers);
    this.#reason.invalidate();
    this.#changed("trackers");
  }

  addPeers(addresses: readonly PeerAddress[]): void {
    this.#refuseIfOver();
    this.#foundPeers(addresses, "user");
    this.#changed("peers");
  }

  setSequential(sequential: boolean): void {
    this.#refuseIfOver();
    this.#add = { ...this.#add, sequential };
    this.#content?.setSequential(sequential);
    this.#changed("sequential");
  }

  setPriority(files: Iterable<number>, priority: FilePriority): void {
    this.#refuseIfOver();
    if (!FILE_PRIORITIES.includes(priority)) throw new RangeError(`There is no priority "${priority}"`);
    const indexes = [...files];
    checkFiles(this.#meta, indexes);
    for (const index of indexes) this.#priorities.set(index, priority);
    this.#content?.setPriorities(this.#priorities);
    this.#changed("priority");
  }

  async setFiles(files: ReadonlySet<number> | null): Promise<void> {
    if (files !== null) checkSelection(this.#meta, files);
    await this.#inTurn(async () => {
      const add = withFiles(this.#add, files);
      const { source } = this.#options;
      if (this.#meta !== null) {
        if (files !== null) checkSelection(this.#meta, files); // the metadata may have arrived since the call
        const choice = selectionOf(this.#meta, { add, source });
        if (this.#attached) await this.#operate((content) => content.select(choice.files));
        this.#selection = choice;
      }
      this.#add = add;
      if (this.#attached) await this.#settle();
      this.#changed("files");
    });
  }

  recheck(): Promise<void> {
    if (this.#state === "error") return this.#tryAgain("check");
    return this.#doInTurn(async (signal) => {
      if (!this.#attached) return; // the metadata is unknown, or the torrent has just failed
      this.#enter("checking");
      this.#swarm.shut(reasonToRefuse("checking"));
      const content = this.#content!;
      content.setPaused(true);
      await content.recheck(signal);
      signal.throwIfAborted();
      await this.#judgeSeed(content, signal);
      this.#reading.readers.checked();
      await this.#checked(signal);
    });
  }

  move(folder: string, options: MoveProgress = {}): Promise<void> {
    const { signal } = this.#abort;
    const ends = options.signal === undefined ? signal : AbortSignal.any([signal, options.signal]);
    return this.#inTurn(async () => {
      if (folder === this.#folder) return;
      const content = this.#content;
      if (content !== null) {
        // A torrent that has failed is closed. It may have failed because the old folder is full.
        const reopened = content.closed ? this.#newContent(content.meta) : null;
        await reopened?.open("resume", ends);
        try {
          if (reopened !== null) await reopened.move(folder, { ...options, signal: ends });
          else await this.#operate((content) => content.move(folder, { ...options, signal: ends }));
        } finally {
          await reopened?.close("the torrent has failed");
        }
      }
      this.#movedTo(folder);
    });
  }

  /** Called when all data is in another folder, and stays there. */
  #movedTo(folder: string): void {
    const { incomplete: _, ...add } = this.#add;
    this.#add = { ...add, folder };
    this.#folder = folder;
    this.#changed("folder");
  }

  /** Makes the torrent wait in the queue until it is resumed. */
  queue(): void {
    this.#setWish("queued");
  }

  pause(): void {
    this.#setWish("paused");
  }

  resume(): void {
    this.#setWish("run");
    if (this.#state === "error") void this.#tryAgain("resume");
  }

  #tryAgain(mode: StartMode): Promise<void> {
    this.#error = null;
    this.#attempt = new AbortController();
    this.#metadata = this.#meta === null ? Promise.withResolvers() : this.#metadata;
    this.#renewFinished();
    const done = this.#begin(mode);
    this.#enter(this.#meta !== null ? "checking" : this.#wish === "run" ? "metadata" : this.#wish);
    return done;
  }

  /**
   * Adds what another source of the same torrent names: trackers, web seeds, peers and metadata.
   *
   * @param source The other source.
   * @param add How the source was to be added.
   * @throws {ShoalError} Of kind `usage` if `add` contradicts how the torrent was added.
   */
  merge(source: Metainfo | Magnet, add: AddOptions): void {
    if (isOver(this.#state)) throw duplicateError(this.#name, "it is being stopped");
    const why = reasonAgainstDuplicate({
      first: { source: this.#options.source, add: this.#add },
      choice: this.#selection,
      meta: this.#meta,
    }, { add, source });
    if (why !== null) throw duplicateError(this.#name, why);
    this.#foundPeers(add.peers ?? [], "user");
    this.#addTrackers(add.trackers ?? []);
    if (this.#meta?.private) return this.#warnLeftOut(source, this.#meta);
    const { trackers, webSeeds } = source;
    this.#finder.addTrackers(trackers);
    this.#moreWebSeeds.push(...webSeeds);
    this.#content?.addWebSeeds(webSeeds);
    this.#seat?.wake();
    if (isMagnet(source)) return;
    if (this.#meta !== null) return void this.#options.shared.dht?.addHosts(source.nodes);
    this.#search?.give(source);
  }

  /** See {@linkcode Twin.join}. */
  join(other: Survivor, meta: Metainfo): void {
    if (isOver(this.#state)) return;
    if (this.#add.metadataOnly) return this.#search?.give(meta);
    const { source } = this.#options;
    const webSeeds = [...source.webSeeds, ...this.#moreWebSeeds];
    const peers = [...this.#add.peers ?? [], ...this.#swarm.dialled];
    try {
      other.merge({ ...source, trackers: this.trackers, webSeeds }, { ...this.#add, trackers: [], peers });
    } catch (error) {
      return this.#fail(error);
    }
    this.#metadata.resolve(meta);
    other.finished.then(this.#finish.resolve, this.#finish.reject);
    const message = `it is the same torrent as ${other.name}, which goes on for both`;
    this.#tell({ event: "warning", message, where: this.#name });
    this.#options.joined();
    void this.stop();
  }

  /** Adds the user's trackers. A private torrent keeps to its own, if it has any (BEP 27). */
  #addTrackers(tiers: readonly (readonly string[])[]): void {
    if (tiers.length > 0 && !this.#keepsToItsTrackers) this.#finder.addTrackers(tiers, { always: true });
  }

  get #keepsToItsTrackers(): boolean {
    return this.#meta !== null && this.#meta.private && this.#meta.trackers.length > 0;
  }

  stop(): Promise<void> {
    return this.#stopping ??= this.#stop();
  }

  /**
   * Stops the torrent and removes its files and resume state from the disk.
   *
   * @throws {ShoalError} Of kind `storage` if a file can't be removed. All other files are removed.
   */
  async removeData(): Promise<void> {
    await this.stop();
    await this.#content?.removeData();
  }

  // What the session tells it.

  /** Accepts incoming connections for this torrent. */
  get acceptor(): Acceptor {
    return this.#swarm;
  }

  /** Adds peers that the magnet link names, once their host names are resolved. */
  namedPeers(addresses: readonly PeerAddress[]): void {
    this.#foundPeers(addresses, "user");
  }

  /** Tells trackers (which know the TCP port only) and peers that the external port has changed. */
  moved(protocol: "tcp" | "udp"): void {
    if (protocol === "tcp") this.#finder.externalPortChanged();
    this.#swarm.moved();
  }

  // Its life.

  /**
   * Runs slow work after the work that was queued before. Rejects with the error of `work`; the torrent doesn't fail.
   */
  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#lastWork.then(async () => {
      this.#refuseIfOver();
      await work();
    });
    this.#lastWork = done.catch(() => {});
    return done;
  }

  /**
   * Like {@linkcode Torrent.#inTurn}, for the torrent's own work: an error makes the torrent fail, unless the signal is
   * aborted because the torrent was stopped or has failed meanwhile.
   */
  #doInTurn(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    let { signal } = this.#attempt;
    return this.#inTurn(() => {
      ({ signal } = this.#attempt);
      return work(signal);
    }).catch((error) => {
      if (!signal.aborted) this.#fail(error);
    });
  }

  /**
   * Runs an operation on the files. An error goes to the caller. If the operation has left the files half changed, the
   * torrent fails as well and can be resumed.
   */
  async #operate(work: (content: Content) => Promise<void>): Promise<void> {
    const { signal } = this.#attempt;
    const content = this.#content!;
    try {
      await work(content);
    } catch (error) {
      if (!signal.aborted && content.broken) this.#fail(error);
      throw error;
    }
  }

  /** @throws {ShoalError} Of kind `usage` if the torrent has been stopped. */
  #refuseIfOver(): void {
    if (isOver(this.#state)) throw stoppedError(this.#name);
  }

  /** Finds the metadata if it is unknown, checks the disk and connects. */
  async #begin(mode: StartMode): Promise<void> {
    const { signal } = this.#attempt;
    if (this.#meta !== null || this.#search === null) return this.#doInTurn((signal) => this.#check(mode, signal));
    try {
      // The search runs outside the queue: it may never end, and changes by the user must not wait for it.
      const meta = await this.#search.run(signal);
      await this.#doInTurn((signal) => this.#found(meta, mode, signal));
    } catch (error) {
      if (!signal.aborted) this.#fail(error);
    }
  }

  /** Called when the metadata of a magnet link is found. */
  async #found(meta: Metainfo, mode: StartMode, signal: AbortSignal): Promise<void> {
    const add = this.#add;
    this.#name = meta.name;
    if (!add.metadataOnly) {
      if (add.files instanceof Set) checkSelection(meta, add.files);
      this.#setMetadata(meta);
    }
    const { size, count: files } = this.#selection ?? { size: meta.size, count: numberedFiles(meta.files).length };
    this.#tell({ event: "metadata", infohash_v2: meta.infoHashV2?.hex ?? null, name: meta.name, size, files });
    this.#warnOfFaults(meta);
    this.#metadata.resolve(meta);
    if (add.metadataOnly) {
      this.#finish.resolve();
      return void this.stop();
    }
    signal.throwIfAborted();
    for (const twin of this.#twins.splice(0)) twin.join(this, meta);
    await this.#check(mode, signal);
  }

  /** Creates the content once the metadata is known. */
  #setMetadata(meta: Metainfo): void {
    const { shared, source } = this.#options;
    this.#selection = selectionOf(meta, { add: this.#add, source });
    this.#meta = meta;
    // Priorities may have been set for files that the torrent doesn't have.
    for (const index of this.#priorities.keys()) if (meta.files[index]?.pad !== false) this.#priorities.delete(index);
    this.#content = this.#newContent(meta);
    if (meta.private) {
      this.#finder.keepPrivate();
      this.#swarm.keepPrivate();
    } else shared.dht?.addHosts(meta.nodes);
    this.#learn(infoHashesOf(meta));
    if (this.#hasOwnTrackers) return;
    if (!this.#keepsToItsTrackers || !isMagnet(source)) return this.#finder.addTrackers(meta.trackers);
    this.#finder.setTrackers(meta.trackers);
    this.#warnLeftOut({ trackers: [...source.trackers, ...(this.#add.trackers ?? [])], webSeeds: [] }, meta);
  }

  /** Takes the info-hashes of the metadata, which may be more than those of the magnet link. */
  #learn(infoHashes: InfoHashes): void {
    const more = infoHashes.onWire.filter((infoHash) => !this.infoHashes.has(infoHash));
    if (more.length === 0) return;
    this.#twins.push(...this.#options.named(infoHashes));
    this.infoHashes = infoHashes;
    for (const infoHash of more) this.#finder.addInfoHash(infoHash);
  }

  #newContent(meta: Metainfo): Content {
    const { shared, limits } = this.#options;
    const add = this.#add;
    // Events of a content that was replaced, or that only moves files, are ignored.
    const isOurs = () => this.#attached && this.#content === content;
    const content: Content = new Content({
      peers: () => this.#swarm.peers,
      hostOf: (connection) => this.#swarm.hostOf(connection),
      ban: (host, reason) => this.#swarm.ban(host, reason),
      pieceDone: (index) => {
        if (!isOurs()) return;
        this.#reading.readers.arrived(index);
        this.#swarm.pieceDone(index);
      },
      allDone: () => {
        if (isOurs()) this.#allDone();
      },
      unreadable: (block) => {
        if (isOurs()) this.#unreadable(block);
      },
      failed: (error) => {
        if (isOurs()) this.#fail(error);
      },
      tell: (event) => this.#tell(event),
    }, {
      ...shared,
      meta,
      limits,
      folder: this.#folder,
      files: this.#selection?.files,
      sequential: add.sequential ?? false,
      priorities: this.#priorities,
      readOnly: add.seedOnly ?? false,
      webSeeds: this.#moreWebSeeds,
      onWarning: (error) => this.#warn(error),
    });
    return content;
  }

  /** Checks the disk, attaches the content and goes to work. */
  async #check(mode: StartMode, signal: AbortSignal): Promise<void> {
    if (this.#state !== "checking") this.#enter("checking");
    if (!this.#isPlaced) {
      await this.#place();
      signal.throwIfAborted();
    }
    // The content of a torrent that failed is closed; a new one opens the same files.
    if (this.#content!.closed) this.#replaceContent(this.#content!);
    const content = this.#content!;
    await content.open(mode, signal);
    signal.throwIfAborted();
    await this.#judgeSeed(content, signal);
    this.#attached = true;
    this.#swarm.attach(content);
    this.#reading.readers.checked();
    await this.#checked(signal);
  }

  /** Finds out in which folder the data is. */
  async #place(): Promise<void> {
    const { folder, incomplete = folder } = this.#add;
    const { platform: { files } } = this.#options.shared;
    const place = await folderToOpen(this.#meta!, { files, infoHash: this.#meta!.infoHash, folder, incomplete });
    this.#isPlaced = true;
    if (place === this.#folder) return;
    await this.#content!.close("its data is elsewhere");
    this.#folder = place;
    this.#replaceContent(this.#content!);
  }

  /** `true` if the data has to be moved from the folder for unfinished data when it is complete. */
  get #isAway(): boolean {
    return this.#folder !== this.#add.folder;
  }

  /** Moves complete data to its folder. */
  async #moveHome(content: Content): Promise<void> {
    if (!this.#isAway) return;
    const { folder } = this.#add;
    await content.move(folder, { signal: this.#abort.signal });
    this.#movedTo(folder);
  }

  /**
   * Warns if the torrent may only be seeded and pieces are missing.
   *
   * @throws {ShoalError} If there is none.
   * @throws The signal's reason, when it is aborted.
   */
  async #judgeSeed(content: Content, signal: AbortSignal): Promise<void> {
    const { have, meta } = content;
    const { seedOnly, folder } = this.#add;
    if (!seedOnly || content.verified === content.size) return;
    const where = `${meta.name} in ${folder}`;
    if (!have.isEmpty) return this.#tell({ event: "warning", message: partlySeeded(have), where });
    const searched = await content.searched();
    signal.throwIfAborted();
    throw nothingToSeed(where, searched);
  }

  /** Called when the state on disk is known. */
  async #checked(signal: AbortSignal): Promise<void> {
    if (this.#content!.complete) {
      await this.#content!.flush();
      signal.throwIfAborted();
      await this.#moveHome(this.#content!);
      signal.throwIfAborted();
      return this.#completed();
    }
    this.#isUnfinished();
    this.#enterWanted();
  }

  /** Enters the state that the user wants. */
  #enterWanted(): void {
    if (isOver(this.#state)) return; // the torrent was stopped meanwhile
    const next = this.#wish !== "run" ? this.#wish : this.#content!.settled ? "seeding" : "downloading";
    if (this.#state !== next) this.#enter(next);
    if (this.#wish === "run") this.#connect();
    else this.#disconnect();
  }

  /** Called when every wanted byte is verified and under its final name. */
  #completed(): void {
    if (this.#state === "error" || isOver(this.#state)) return;
    this.#enterWanted();
    // A torrent that may only be seeded is complete with what is there, which may not be all that is wanted.
    const { verified, size } = this.#content!;
    if (this.#isFinished || verified < size) return;
    this.#isFinished = true;
    const seconds = (this.#options.shared.platform.now() - this.#startedAt) / 1000;
    const bytes = this.downloaded;
    const rate = seconds > 0 ? bytes / seconds : 0;
    const paths = this.#content!.finalPaths(this.wantedFiles);
    const downloading = this.#downloading / 1000;
    this.#tell({ event: "completed", name: this.#name, seconds, bytes, rate, downloading, paths });
    this.#finish.resolve();
  }

  /** Called when the wanted pieces or the pieces on disk have changed. */
  async #settle(): Promise<void> {
    const { complete, settled } = this.#content!;
    this.#reading.readers.checked();
    if (!complete) this.#isUnfinished();
    else if (!this.#isFinished) this.#swarm.complete();
    if (this.#state === "checking" || this.#state === "error") return;
    if (complete && !settled) await this.#finishFiles();
    else this.#enterWanted();
  }

  /** Called when pieces are missing again: `finished` becomes a new promise. */
  #isUnfinished(): void {
    // Useless peers were dropped at completion even if the last file was still being flushed.
    this.#swarm.wantsMore();
    if (!this.#isFinished) return;
    this.#renewFinished();
    this.#finder.needPeers();
  }

  #renewFinished(): void {
    this.#isFinished = false;
    this.#finish = Promise.withResolvers();
    this.#ignoreRejections();
  }

  /** Counts verified pieces that can't be read any more as missing. All other pieces are still served. */
  #unreadable(block: Block): void {
    const isFirst = this.#lost.size === 0;
    this.#lost.set(block.index, block);
    if (!isFirst) return;
    void this.#doInTurn(async (signal) => {
      const blocks = [...this.#lost.values()];
      this.#lost.clear();
      if (!this.#attached) return;
      const { pieces, error } = await this.#content!.readAgain(blocks);
      signal.throwIfAborted();
      if (pieces.length === 0) return;
      const which = pieces.length === 1 ? `piece ${pieces[0]}` : `${pieces.length} pieces`;
      const { message, where } = failureOf(error);
      const words = `${which} can't be read and counts as missing: ${message}`;
      this.#tell({ event: "warning", message: words, where, loses: true });
      await this.#content!.forget(pieces);
      signal.throwIfAborted();
      // The disk may be unmounted: nothing can be served without it.
      if (this.#add.seedOnly && this.have.isEmpty) throw error;
      await this.#settle();
    });
  }

  #setWish(wish: Wish): void {
    if (isOver(this.#state) || this.#wish === wish) return;
    this.#wish = wish;
    if (this.#state === "error") return;
    // A check runs on, and the new state follows it; peers and trackers are left at once.
    if (this.#state === "checking") return wish === "run" ? undefined : this.#disconnect();
    if (this.#attached) return this.#enterWanted();
    this.#enter(wish === "run" ? "metadata" : wish);
    if (wish === "run") this.#connect();
    else this.#disconnect();
  }

  /** Opens connections, once the metadata or pieces can be requested. */
  #connect(): void {
    if (!isActive(this.#state) || (!this.#attached && this.#search?.asks !== true)) return;
    this.#reason.start(this.#options.shared.platform.now());
    this.#swarm.open();
    this.#content?.setPaused(false);
    this.#finder.start();
    this.#finder.resume();
    this.#seat?.wake();
  }

  /** Closes all connections and stops announcing. */
  #disconnect(state: TorrentState = this.#state): void {
    this.#finder.pause(); // the finder pauses first: it must not look for replacements of the peers that are dropped
    this.#swarm.shut(reasonToRefuse(state));
    this.#content?.setPaused(true);
  }

  #enter(state: TorrentState): void {
    const previous = this.#state;
    if (!mayFollow(previous, state)) throw new Error(`A torrent can't go from "${previous}" to "${state}"`);
    this.#state = state;
    const now = this.#options.shared.platform.now();
    if (previous === "downloading") this.#downloading += now - this.#enteredAt;
    this.#enteredAt = now;
    this.#tell({ event: "state", state, previous });
  }

  /** Enters the state `error`: the files and connections are closed until the torrent is resumed. */
  #fail(error: unknown): void {
    // The torrent has been stopped, or has failed already: errors that follow from that are not reported.
    if (this.#attempt.signal.aborted) return;
    // Everything is done before the event, whose listener may resume the torrent at once.
    const content = this.#content;
    this.#attempt.abort();
    // The disk has failed already, so a second error from closing the files adds nothing.
    void this.#inTurn(() => content?.close("the torrent has failed") ?? Promise.resolve()).catch(() => {});
    this.#disconnect("error");
    this.#attached = false;
    this.#swarm.detach();
    this.#rejectWith(error);
    // A listener may have stopped the torrent when its peers were dropped.
    if (!isOver(this.#state)) this.#enter("error");
    this.#tell({ event: "error", ...failureOf(error) });
  }

  #replaceContent(old: Content): void {
    this.#replacedDownloaded += old.downloaded;
    this.#content = this.#newContent(old.meta);
  }

  #rejectWith(error: unknown): void {
    this.#error = error;
    if (this.#isFinished) this.#renewFinished();
    this.#metadata.reject(error);
    this.#finish.reject(error);
  }

  /** Called when every wanted piece is verified. The last of them may not be flushed yet. */
  #allDone(): void {
    // A partial download is no completion (BEP 21). Trackers hear of it with the next announce.
    if (this.have.isFull) this.#finder.completed();
    else this.#finder.needPeers();
    this.#swarm.complete();
    if (this.#isAway) void this.#doInTurn(() => this.#finishFiles());
    else void this.#finishFiles();
  }

  #finishFiles(): Promise<void> {
    const content = this.#content!;
    const { signal } = this.#attempt;
    // A check that has begun meanwhile reports the completion itself.
    const isDone = () => !signal.aborted && this.#state !== "checking" && content.settled;
    const finish = async (): Promise<void> => {
      await content.flush();
      if (isDone()) await this.#moveHome(content);
      if (isDone()) this.#completed();
    };
    return finish().catch((error) => {
      if (!signal.aborted) this.#fail(error);
    });
  }

  async #stop(): Promise<void> {
    const hasFailed = this.#state === "error"; // the error was reported when the torrent failed
    this.#enter("stopping");
    this.#abort.abort(stoppedError(this.#name));
    this.#attempt.abort();
    this.#seat?.leave();
    this.#swarm.stop();
    this.#reading.readers.end();
    try {
      // Trackers are told even if closing the files fails.
      const closed = this.#lastWork.then(() => this.#content?.close("we are stopping"));
      await Promise.allSettled([this.#finder.stop(FAREWELL_MS), closed]);
      await closed;
    } catch (error) {
      if (!hasFailed) {
        this.#rejectWith(error);
        this.#tell({ event: "error", ...failureOf(error) });
      }
    } finally {
      this.#enter("stopped");
      this.#tell({ event: "stopped", downloaded: this.downloaded, uploaded: this.uploaded });
      this.#options.gone();
    }
  }

  #foundPeers(addresses: readonly PeerAddress[], source: PeerSource, infoHash?: InfoHash): void {
    this.#reason.invalidate();
    if (!isOver(this.#state)) this.#swarm.add(addresses, source, infoHash);
  }

  /** Regular work. Returns the milliseconds until the next call, unless the torrent is woken before. */
  #turn(now: number, seconds: number): number {
    const rest = this.#swarm.tick(now, seconds);
    const metadata = this.#content === null ? this.progress : 0;
    this.#reason.noteArrivals(now, this.#swarm.arriving + (this.#content?.downloaded ?? 0) + metadata);
    if (!this.#attached) return rest;
    const content = this.#content!;
    if (this.#wish !== "run") content.download.makeRoom();
    content.tick(now, seconds);
    return content.rests(this.#wish === "run") ? rest : 0;
  }

  #progress(): { uploaded: number; downloaded: number; left: number; partialSeed?: boolean } {
    const { uploaded, downloaded } = this;
    if (!this.#attached) return { uploaded, downloaded, left: UNKNOWN_LEFT };
    const { left, complete, have } = this.#content!;
    return { uploaded, downloaded, left, partialSeed: complete && !have.isFull };
  }

  // Events.

  /** The only place that emits events. */
  #tell(event: UnnamedEvent): void {
    this.#options.emit({ ...event, infohash: this.infoHash.hex } as TorrentEvent);
  }

  #changed(what: ChangedEvent["what"]): void {
    this.#tell({ event: "changed", what });
  }

  #warn(error: unknown): void {
    const { code, message, where } = failureOf(error);
    this.#tell({ event: "warning", message, where, ...(code === "storage" && { loses: true }) });
  }

  /** Reports faults of a torrent file that were tolerated. */
  #warnOfFaults({ name, warnings }: Metainfo): void {
    for (const message of warnings) this.#tell({ event: "warning", message, where: name });
  }

  /** Warns that trackers and web seeds of other sources are not added to a private torrent (BEP 27). */
  #warnLeftOut({ trackers, webSeeds }: Pick<Metainfo, "trackers" | "webSeeds">, meta: Metainfo): void {
    const own = new Set([...meta.trackers.flat(), ...meta.webSeeds]);
    if ([...trackers.flat(), ...webSeeds].every((url) => own.has(url))) return;
    const message = "other trackers and web seeds are left out, since the torrent is private";
    this.#tell({ event: "warning", message, where: meta.name });
  }

  /** Events report failures, so a promise that nobody awaits must not end the program as an unhandled rejection. */
  #ignoreRejections(): void {
    this.#metadata.promise.catch(() => {});
    this.#finish.promise.catch(() => {});
  }
}

const NO_PIECES = new Bitfield(0);
