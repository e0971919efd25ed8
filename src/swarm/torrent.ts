/**
 * One torrent, from `add()` to `remove()`: what users and the session ask of it. Its state is in `torrent_core.ts`, and
 * what becomes of its data in `torrent_data.ts`.
 *
 * {@linkcode Torrent.state} is the only state; `torrent_state.ts` lists the transitions. A torrent keeps one set of
 * peers for life. A magnet link's torrent asks those peers for the metadata first ({@linkcode MetadataFetch}). Once the
 * metadata is known, {@linkcode Content} (the pieces and their files) is attached. Slow work (finding the metadata,
 * checking, moving, closing) runs one task at a time, in the order of {@linkcode TorrentCore.inTurn}.
 *
 * @module
 */

import type { PeerAddress } from "../base/address.ts";
import { Bitfield } from "../base/bitfield.ts";
import type { InfoHash } from "../base/info_hash.ts";
import type { InfoHashes } from "../base/info_hashes.ts";
import { infoHashesOf, type Magnet, type Metainfo, numberedFiles } from "../metainfo/mod.ts";
import { type Peer, type RateLimits, ratesOf, setRates } from "../peer/mod.ts";
import type { MoveProgress, StartMode } from "../storage/mod.ts";
import type { AddOptions, Survivor, TorrentOptions } from "./torrent_options.ts";
import { checkFiles, checkSelection, isMagnet, selectionOf, withFiles } from "./file_selection.ts";
import { duplicateError, reasonAgainstDuplicate } from "./duplicate_add.ts";
import { type EventOptions, type EventStream, streamEvents } from "./event_stream.ts";
import type { TorrentEvent } from "./events.ts";
import type { Acceptor } from "./peers/peer_listener.ts";
import { type DrawnPieces, type FileSnapshot, filesOf, type PieceMap, pieceMapOf } from "./piece_map.ts";
import { openFile, type OpenFileOptions, type TorrentReader } from "./torrent_reader.ts";
import { snapshotOf, type TorrentSnapshot } from "./snapshot.ts";
import type { TorrentSources } from "./torrent_sources.ts";
import { failureOf, reasonToRefuse, stoppedError, type TorrentFailure } from "./torrent_failure.ts";
import { isOver, type TorrentState } from "./torrent_state.ts";
import { FILE_PRIORITIES, type FilePriority } from "./wanted_pieces.ts";
import type { WebSeed } from "./web_seeds/web_seed.ts";
import type { TorrentHandle } from "./torrent_handle.ts";
import { TorrentCore, type Wish } from "./torrent_core.ts";
import { TorrentData } from "./torrent_data.ts";

/** Milliseconds for telling trackers that we stop. */
const FAREWELL_MS = 2_000;
/** A torrent of a session. See {@linkcode TorrentHandle} for what users do with it. */
export class Torrent implements TorrentHandle {
  readonly #core: TorrentCore;
  readonly #data: TorrentData;
  #stopping: Promise<void> | null = null;

  /**
   * @param options See {@linkcode TorrentOptions}.
   * @throws {SelectionError} If a selected file does not exist.
   * @throws {ShoalError} Of kind `storage` if a path could lead out of the download folder.
   */
  constructor(options: TorrentOptions) {
    this.#core = new TorrentCore(options);
    this.#data = new TorrentData(this.#core);
    const { source, add } = options;
    if (!isMagnet(source) && this.#core.search === null) {
      this.#setMetadata(source);
      this.#core.metadata.resolve(source);
    }
    this.#core.swarm.add(add.peers ?? [], "user");
    this.#core.addTrackers(add.trackers ?? []);
  }

  get infoHash(): InfoHash {
    return this.#core.infoHash;
  }

  /** Every info-hash by which peers know the torrent, as far as they are known. */
  get infoHashes(): InfoHashes {
    return this.#core.infoHashes;
  }

  get name(): string {
    return this.#core.name;
  }

  get state(): TorrentState {
    return this.#core.state;
  }

  get error(): TorrentFailure | null {
    return this.#core.state === "error" ? failureOf(this.#core.error) : null;
  }

  get metadata(): Promise<Metainfo> {
    return this.#core.metadata.promise;
  }

  get finished(): Promise<void> {
    return this.#core.finish.promise;
  }

  /** The metadata; `null` until it is known. */
  get meta(): Metainfo | null {
    return this.#core.meta;
  }

  get paused(): boolean {
    return this.#core.wish === "paused";
  }

  /** `true` once the state on disk is known, so that pieces can be fetched and served. */
  get attached(): boolean {
    return this.#core.attached;
  }

  /** Pieces that are verified and written. */
  get have(): Bitfield {
    return this.#core.have;
  }

  /** `true` if every wanted piece is verified and written. */
  get complete(): boolean {
    return this.#core.complete;
  }

  /** Bytes of the wanted files without padding; 0 until the metadata is known. */
  get size(): number {
    return this.#core.content?.size ?? 0;
  }

  /** Verified bytes of the wanted files, without padding. */
  get verified(): number {
    return this.#core.content?.verified ?? 0;
  }

  /** From 0 to 1: the progress of the metadata search or of the check while one runs, else the verified share. */
  get progress(): number {
    if (!this.#core.content) return this.#core.search?.progress ?? 0;
    if (this.#core.state === "checking") return this.#core.content.checked;
    return this.size === 0 ? 1 : this.verified / this.size;
  }

  /** Payload bytes received from peers and web seeds. */
  get downloaded(): number {
    return this.#core.downloaded;
  }

  /** Payload bytes sent to peers. */
  get uploaded(): number {
    return this.#core.uploaded;
  }

  /** Payload bytes in both directions since the torrent was added. */
  get traffic(): { readonly downloaded: number; readonly uploaded: number } {
    return { downloaded: this.downloaded, uploaded: this.uploaded };
  }

  /** The state of each piece, for drawing; `null` until the metadata is known. */
  get pieces(): DrawnPieces | null {
    return this.#core.content?.pieces ?? null;
  }

  /** Every open connection. */
  peers(): Iterable<Peer> {
    return this.#core.swarm.peers;
  }

  /** Web seeds that respond. */
  get webSeeds(): readonly WebSeed[] {
    return this.#core.content?.webSeeds?.connected ?? [];
  }

  get folder(): string {
    return this.#core.folder;
  }

  get sequential(): boolean {
    return this.#core.add.sequential ?? false;
  }

  get trackers(): readonly (readonly string[])[] {
    return this.#core.finder.trackers;
  }

  get priorities(): ReadonlyMap<number, FilePriority> {
    return this.#core.priorities;
  }

  snapshot(): TorrentSnapshot {
    return snapshotOf(this);
  }

  /** Why nothing arrives; see {@linkcode TorrentSnapshot.waiting}. */
  get waiting(): string | null {
    const state = this.#core.state;
    if (state === "seeding" || isOver(state)) return null; // cheap for thousands of seeds
    return this.#core.reason.sentence(this.#core.options.shared.platform.now(), {
      state,
      error: this.error,
      isAlone: this.#core.swarm.isEmpty,
      content: this.#core.content,
      hashes: this.#core.search?.hashes ?? null,
      isPrivate: this.#core.isPrivate,
      peers: () => this.#core.swarm.peers,
      addresses: () => this.#core.swarm.addresses(),
      sources: () => this.#core.finder.sources(),
    });
  }

  sources(): TorrentSources {
    const { shared } = this.#core.options;
    const isPrivate = this.#core.isPrivate;
    return {
      ...this.#core.finder.sources(),
      isPrivate,
      pex: shared.pex && !isPrivate,
      port: shared.ports(),
      webSeeds: this.#core.content?.webSeeds?.sources() ?? [],
    };
  }

  pieceMap(cells: number): PieceMap | null {
    return this.pieces && pieceMapOf(this, { pieces: this.pieces, cells });
  }

  files(): readonly FileSnapshot[] {
    return this.#core.meta === null
      ? []
      : filesOf(this, { meta: this.#core.meta, wanted: this.#core.selection?.files });
  }

  /** Indexes of the files that the user selected; `null` if all files, or a function, were given. */
  get askedFiles(): readonly number[] | null {
    const { files } = this.#core.add;
    return files instanceof Set ? [...files] : null;
  }

  get wantedFiles(): readonly number[] {
    return this.#core.wantedFiles;
  }

  events(options: EventOptions = {}): EventStream {
    const { shared: { platform }, subscribe, over } = this.#core.options;
    return streamEvents<TorrentEvent>({
      platform,
      subscribe,
      infohash: this.infoHash.hex,
      snapshots: () => [this.snapshot()],
      over: this.#core.state === "stopped" ? Promise.resolve() : over,
    }, options);
  }

  open(file: number, options: OpenFileOptions = {}): TorrentReader {
    return openFile(file, { source: this.#core.reading, meta: this.#core.meta, choice: this.#core.selection, options });
  }

  /** Starts the torrent. To be called once. */
  start(): void {
    const { size = null, count: files = null } = this.#core.selection ?? {};
    const infohash_v2 = this.infoHashes.v2?.hex ?? null;
    this.#core.tell({ event: "added", infohash_v2, name: this.#core.name, size, files });
    this.#core.seat = this.#core.options.shared.ticker.join({ turn: (now, seconds) => this.#core.turn(now, seconds) });
    const { source, add } = this.#core.options;
    if (!isMagnet(source)) {
      this.#core.warnOfFaults(source);
      if (this.#core.keepsToItsTrackers) this.#core.warnLeftOut({ trackers: add.trackers ?? [], webSeeds: [] }, source);
    }
    void this.#begin(add.trust ? "trust" : add.check ? "check" : "resume");
  }

  get limits(): RateLimits {
    return ratesOf(this.#core.options.limits);
  }

  setLimits(limits: Partial<RateLimits>): void {
    this.#core.refuseIfOver();
    setRates(this.#core.options.limits, limits);
    this.#core.changed("limits");
  }

  setTrackers(tiers: readonly (readonly string[])[]): void {
    this.#core.refuseIfOver();
    this.#core.hasOwnTrackers = true;
    this.#core.finder.setTrackers(tiers);
    this.#core.reason.invalidate();
    this.#core.changed("trackers");
  }

  addPeers(addresses: readonly PeerAddress[]): void {
    this.#core.refuseIfOver();
    this.#core.foundPeers(addresses, "user");
    this.#core.changed("peers");
  }

  setSequential(sequential: boolean): void {
    this.#core.refuseIfOver();
    this.#core.add = { ...this.#core.add, sequential };
    this.#core.content?.setSequential(sequential);
    this.#core.changed("sequential");
  }

  setPriority(files: Iterable<number>, priority: FilePriority): void {
    this.#core.refuseIfOver();
    if (!FILE_PRIORITIES.includes(priority)) throw new RangeError(`There is no priority "${priority}"`);
    const indexes = [...files];
    checkFiles(this.#core.meta, indexes);
    for (const index of indexes) this.#core.priorities.set(index, priority);
    this.#core.content?.setPriorities(this.#core.priorities);
    this.#core.changed("priority");
  }

  async setFiles(files: ReadonlySet<number> | null): Promise<void> {
    if (files !== null) checkSelection(this.#core.meta, files);
    await this.#core.inTurn(async () => {
      const add = withFiles(this.#core.add, files);
      const { source } = this.#core.options;
      if (this.#core.meta !== null) {
        if (files !== null) checkSelection(this.#core.meta, files); // the metadata may have arrived since the call
        const choice = selectionOf(this.#core.meta, { add, source });
        if (this.#core.attached) await this.#core.operate((content) => content.select(choice.files));
        this.#core.selection = choice;
      }
      this.#core.add = add;
      if (this.#core.attached) await this.#data.settle();
      this.#core.changed("files");
    });
  }

  recheck(): Promise<void> {
    if (this.#core.state === "error") return this.#tryAgain("check");
    return this.#core.doInTurn(async (signal) => {
      if (!this.#core.attached) return; // the metadata is unknown, or the torrent has just failed
      this.#core.enter("checking");
      this.#core.swarm.shut(reasonToRefuse("checking"));
      const content = this.#core.content!;
      content.setPaused(true);
      await content.recheck(signal);
      signal.throwIfAborted();
      await this.#data.judgeSeed(content, signal);
      this.#core.reading.readers.checked();
      await this.#data.checked(signal);
    });
  }

  move(folder: string, options: MoveProgress = {}): Promise<void> {
    const { signal } = this.#core.abort;
    const ends = options.signal === undefined ? signal : AbortSignal.any([signal, options.signal]);
    return this.#core.inTurn(async () => {
      if (folder === this.#core.folder) return;
      const content = this.#core.content;
      if (content !== null) {
        // A torrent that has failed is closed. It may have failed because the old folder is full.
        const reopened = content.closed ? this.#data.newContent(content.meta) : null;
        await reopened?.open("resume", ends);
        try {
          if (reopened !== null) await reopened.move(folder, { ...options, signal: ends });
          else await this.#core.operate((content) => content.move(folder, { ...options, signal: ends }));
        } finally {
          await reopened?.close("the torrent has failed");
        }
      }
      this.#data.movedTo(folder);
    });
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
    if (this.#core.state === "error") void this.#tryAgain("resume");
  }

  #tryAgain(mode: StartMode): Promise<void> {
    this.#core.error = null;
    this.#core.attempt = new AbortController();
    this.#core.metadata = this.#core.meta === null ? Promise.withResolvers() : this.#core.metadata;
    this.#core.renewFinished();
    const done = this.#begin(mode);
    this.#core.enter(this.#core.meta !== null ? "checking" : this.#core.wish === "run" ? "metadata" : this.#core.wish);
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
    if (isOver(this.#core.state)) throw duplicateError(this.#core.name, "it is being stopped");
    const why = reasonAgainstDuplicate({
      first: { source: this.#core.options.source, add: this.#core.add },
      choice: this.#core.selection,
      meta: this.#core.meta,
    }, { add, source });
    if (why !== null) throw duplicateError(this.#core.name, why);
    this.#core.foundPeers(add.peers ?? [], "user");
    this.#core.addTrackers(add.trackers ?? []);
    if (this.#core.described?.private) return this.#core.warnLeftOut(source, this.#core.described);
    const { trackers, webSeeds } = source;
    this.#core.finder.addTrackers(trackers);
    this.#core.moreWebSeeds.push(...webSeeds);
    this.#core.content?.addWebSeeds(webSeeds);
    this.#core.seat?.wake();
    if (isMagnet(source)) return;
    if (this.#core.meta !== null) return void this.#core.options.shared.dht?.addHosts(source.nodes);
    this.#core.search?.give(source);
  }

  /** See {@linkcode Twin.join}. */
  join(other: Survivor, meta: Metainfo): void {
    const core = this.#core;
    if (isOver(core.state)) return;
    const infoHashes = infoHashesOf(meta);
    const isSame = core.infoHashes.isPartOf(infoHashes);
    core.finder.handOver();
    if (!isSame) core.options.disproved(infoHashes);
    if (core.add.metadataOnly || !isSame) return core.search?.give(meta); // the search refuses the wrong torrent
    const { source } = core.options;
    const webSeeds = [...source.webSeeds, ...core.moreWebSeeds];
    const peers = [...core.add.peers ?? [], ...core.swarm.dialled];
    try {
      other.merge({ ...source, trackers: this.trackers, webSeeds }, { ...core.add, trackers: [], peers });
    } catch (error) {
      return core.fail(error);
    }
    core.metadata.resolve(meta);
    other.finished.then(core.finish.resolve, core.finish.reject);
    const message = `it is the same torrent as ${other.name}, which goes on for both`;
    core.tell({ event: "warning", message, where: core.name, joined: other.infoHash.hex });
    core.options.joined(other);
    void this.stop();
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
    await this.#core.content?.removeData();
  }

  /** Accepts incoming connections for this torrent. */
  get acceptor(): Acceptor {
    return this.#core.swarm;
  }

  /** Adds peers that the magnet link names, once their host names are resolved. */
  namedPeers(addresses: readonly PeerAddress[]): void {
    this.#core.foundPeers(addresses, "user");
  }

  /** Tells trackers (which know the TCP port only) and peers that the external port has changed. */
  moved(protocol: "tcp" | "udp"): void {
    if (protocol === "tcp") this.#core.finder.externalPortChanged();
    this.#core.swarm.moved();
  }

  /** Finds the metadata if it is unknown, checks the disk and connects. */
  async #begin(mode: StartMode): Promise<void> {
    const { signal } = this.#core.attempt;
    if (this.#core.meta !== null || this.#core.search === null) {
      return this.#core.doInTurn((signal) => this.#data.check(mode, signal));
    }
    try {
      // The search runs outside the queue: it may never end, and changes by the user must not wait for it.
      const meta = await this.#core.search.run(signal);
      await this.#core.doInTurn((signal) => this.#found(meta, mode, signal));
    } catch (error) {
      if (!signal.aborted) this.#core.fail(error);
    }
  }

  /** Called when the metadata of a magnet link is found. */
  async #found(meta: Metainfo, mode: StartMode, signal: AbortSignal): Promise<void> {
    const add = this.#core.add;
    const elder = add.metadataOnly ? null : this.#core.elder(meta);
    if (elder !== null) return this.join(elder, meta);
    this.#core.name = meta.name;
    if (!add.metadataOnly) {
      if (add.files instanceof Set) checkSelection(meta, add.files);
      this.#setMetadata(meta);
    }
    const { size, count: files } = this.#core.selection ?? { size: meta.size, count: numberedFiles(meta.files).length };
    const infohash_v2 = meta.infoHashV2?.hex ?? null;
    this.#core.tell({ event: "metadata", infohash_v2, name: meta.name, size, files });
    if (isMagnet(this.#core.options.source)) this.#core.warnOfFaults(meta);
    this.#core.metadata.resolve(meta);
    if (add.metadataOnly) {
      this.#core.finish.resolve();
      return void this.stop();
    }
    signal.throwIfAborted();
    for (const twin of this.#core.options.twins(infoHashesOf(meta))) twin.join(this, meta);
    await this.#data.check(mode, signal);
  }

  /** Creates the content once the metadata is known. */
  #setMetadata(meta: Metainfo): void {
    const { source } = this.#core.options;
    this.#core.selection = selectionOf(meta, { add: this.#core.add, source });
    this.#core.meta = meta;
    // Priorities may have been set for files that the torrent doesn't have.
    for (const index of this.#core.priorities.keys()) {
      if (meta.files[index]?.pad !== false) this.#core.priorities.delete(index);
    }
    this.#core.content = this.#data.newContent(meta);
    this.#core.describe(meta);
    if (this.#core.hasOwnTrackers) return;
    if (!this.#core.keepsToItsTrackers || !isMagnet(source)) return this.#core.finder.addTrackers(meta.trackers);
    this.#core.finder.setTrackers(meta.trackers);
    this.#core.warnLeftOut({ trackers: [...source.trackers, ...(this.#core.add.trackers ?? [])], webSeeds: [] }, meta);
  }

  #setWish(wish: Wish): void {
    if (isOver(this.#core.state) || this.#core.wish === wish) return;
    this.#core.wish = wish;
    if (this.#core.state === "error") return;
    // A check runs on, and the new state follows it; peers and trackers are left at once.
    if (this.#core.state === "checking") return wish === "run" ? undefined : this.#core.disconnect();
    if (this.#core.attached) return this.#core.enterWanted();
    this.#core.enter(wish === "run" ? "metadata" : wish);
    if (wish === "run") this.#core.connect();
    else this.#core.disconnect();
  }

  async #stop(): Promise<void> {
    const hasFailed = this.#core.state === "error"; // the error was reported when the torrent failed
    this.#core.enter("stopping");
    this.#core.abort.abort(stoppedError(this.#core.name));
    this.#core.attempt.abort();
    this.#core.seat?.leave();
    this.#core.swarm.stop();
    this.#core.reading.readers.end();
    try {
      // Trackers are told even if closing the files fails.
      const closed = this.#core.lastWork.then(() => this.#core.content?.close("we are stopping"));
      await Promise.allSettled([this.#core.finder.stop(FAREWELL_MS), closed]);
      await closed;
    } catch (error) {
      if (!hasFailed) {
        this.#core.rejectWith(error);
        this.#core.tell({ event: "error", ...failureOf(error) });
      }
    } finally {
      this.#core.enter("stopped");
      this.#core.tell({ event: "stopped", downloaded: this.downloaded, uploaded: this.uploaded });
      this.#core.options.gone();
    }
  }
}
