/**
 * One torrent, from the moment that it is added until it is removed.
 *
 * Its life is one value, {@linkcode Torrent.state}; the table in `torrent_state.ts` says what may follow what. It has one set of
 * peers all that time. What a magnet link stands for is asked of them first ({@linkcode MetadataFetch}); then {@linkcode Content}
 * is attached: the pieces, and where they lie. What can take long (finding the metadata, checking, closing, what the user asks
 * for meanwhile) is done one after the other, in the order of {@linkcode Torrent.#inTurn}.
 *
 * @module
 */

import type { PeerAddress } from "../base/address.ts";
import { Bitfield } from "../base/bitfield.ts";
import type { InfoHash } from "../base/info_hash.ts";
import { type Magnet, type Metainfo, numberedFiles, safeName } from "../metainfo/mod.ts";
import { type Block, type Peer, type RateLimits, ratesOf, setRates } from "../peer/mod.ts";
import type { MoveProgress, StartMode } from "../storage/mod.ts";
import type { AddOptions, PeerFinder, TorrentOptions, UnnamedEvent } from "./torrent_options.ts";
import type { PeerSource } from "./peers/candidates.ts";
import { checkFiles, checkSelection, type FileSelection, isMagnet, selectionOf, withFiles } from "./file_selection.ts";
import { duplicateError, whyNotAgain } from "./duplicate_add.ts";
import { Content } from "./content.ts";
import { type EventOptions, type EventStream, streamEvents } from "./event_stream.ts";
import type { ChangedEvent, TorrentEvent } from "./events.ts";
import type { Acceptor } from "./peers/peer_listener.ts";
import { MagnetSearch } from "./magnet_search.ts";
import { type DrawnPieces, type FileSnapshot, filesOf, type PieceMap, pieceMapOf } from "./piece_map.ts";
import { openFile, type OpenFileOptions, ReadSource, type TorrentReader, wantedFilesOf } from "./torrent_reader.ts";
import { snapshotOf, type TorrentSnapshot } from "./snapshot.ts";
import { Swarm } from "./swarm.ts";
import type { TickerSeat } from "./ticker.ts";
import { failureOf, incompleteData, reasonToRefuse, stoppedError, type TorrentFailure } from "./torrent_failure.ts";
import { isActive, isOver, mayFollow, type TorrentState } from "./torrent_state.ts";
import { FILE_PRIORITIES, type FilePriority } from "./wanted_pieces.ts";
import type { WebSeed } from "./web_seeds/web_seed.ts";
import type { TorrentHandle } from "./torrent_handle.ts";

/** Bytes that are said to be missing while nobody knows how many are: not 0, which would make us a seed. */
const UNKNOWN_LEFT = 16 * 1024;
/** Milliseconds for telling trackers that we leave. */
const FAREWELL_MS = 2_000;
/** What the user wants of a torrent, as far as it can go on. */
type Wish = "run" | "paused" | "queued";

/** One torrent. */
export class Torrent implements TorrentHandle {
  /** Which torrent. */
  readonly infoHash: InfoHash;
  readonly #reading: ReadSource;
  readonly #options: TorrentOptions;
  readonly #swarm: Swarm;
  readonly #finder: PeerFinder;
  readonly #startedAt: number;
  /** Aborted when it is stopped. */
  readonly #abort = new AbortController();
  /** Aborted when it is stopped, too, or runs into an error: what was begun before is of no interest then. */
  #attempt = new AbortController();
  #metadata = Promise.withResolvers<Metainfo>();
  #finish = Promise.withResolvers<void>();
  #name: string;
  #state: TorrentState;
  #wish: Wish = "run";
  #error: unknown = null;
  #meta: Metainfo | null = null;
  /** How it was added, with what has been changed since. */
  #add: AddOptions;
  #choice: FileSelection | null = null;
  /** Of files, by index; one that is missing is normal. */
  readonly #priorities = new Map<number, FilePriority>();
  /** Finds out what a magnet link stands for; `null` where a torrent file was added. */
  readonly #search: MagnetSearch | null;
  #content: Content | null = null;
  /** Whether it is known what is on disk: from then on pieces are fetched and served. */
  #attached = false;
  /** Web seeds of the magnet link and of other sources. */
  readonly #moreWebSeeds: string[] = [];
  /** Whether the user has chosen its trackers: others of the link don't come back with the metadata. */
  #hasOwnTrackers = false;
  /** Bytes from web seeds of contents that were replaced. */
  #goneDown = 0;
  /** Blocks that couldn't be read, at most one a piece, of which that isn't noted yet. */
  readonly #lost = new Map<number, Block>();
  /** Whether it was told that everything wanted is here. */
  #isFinished = false;
  #seat: TickerSeat | null = null;
  #lastWork: Promise<void> = Promise.resolve();
  #stopping: Promise<void> | null = null;

  /**
   * @param options Its parts.
   * @throws {SelectionError} If a file that is to be downloaded isn't there.
   * @throws {ShoalError} Of kind `storage` if a path could lead out of the folder.
   */
  constructor(options: TorrentOptions) {
    const { source, shared } = options;
    this.#options = options;
    this.#add = options.add;
    this.infoHash = source.infoHash;
    this.#startedAt = shared.platform.now();
    this.#swarm = new Swarm({
      shared,
      infoHash: this.infoHash,
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
      trackers: source.trackers,
      // A link has no tiers. A private torrent's trackers are asked one after the other all the same (BEP 27).
      asksAllTrackers: () => isMagnet(source) && !this.#meta?.private,
      isPrivate: () => this.#meta?.private ?? false,
      progress: () => this.#progress(),
      wantedPeers: () => this.#swarm.wantedPeers,
      received: () => this.complete ? null : this.downloaded,
      onPeers: (addresses, from) => this.#foundPeers(addresses, from),
      heardOfSeeds: (count) => {
        if (count > 1) this.#content?.superSeeding?.end();
      },
    });
    this.#reading = new ReadSource({ shared, content: () => this.#content });
    this.#quieten();
    this.#search = !isMagnet(source) ? null : new MagnetSearch({
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
      this.#learn(source);
      this.#metadata.resolve(source);
    }
    this.#swarm.add(options.add.peers ?? [], "user");
  }

  // What it is.

  /** Its name, safe to print; of a magnet link first what that says, or the info-hash. */
  get name(): string {
    return this.#name;
  }

  /** What it is doing. */
  get state(): TorrentState {
    return this.#state;
  }

  /** Why it can't go on, while its state is `error`. */
  get error(): TorrentFailure | null {
    return this.#state === "error" ? failureOf(this.#error) : null;
  }

  /** Resolves when it is known what it holds; rejects with the error that it has run into before. */
  get metadata(): Promise<Metainfo> {
    return this.#metadata.promise;
  }

  /** Resolves when every wanted byte is verified and under its final name; rejects with the error that it runs into before. */
  get finished(): Promise<void> {
    return this.#finish.promise;
  }

  /** What it holds; `null` while nobody knows. */
  get meta(): Metainfo | null {
    return this.#meta;
  }

  /** Whether the user wants it to wait. */
  get paused(): boolean {
    return this.#wish === "paused";
  }

  /** Whether it is known what is on disk, so that pieces can be fetched and served. */
  get attached(): boolean {
    return this.#attached;
  }

  /** Pieces that are verified and written. */
  get have(): Bitfield {
    return this.#content?.have ?? NO_PIECES;
  }

  /** Whether every wanted piece is verified and written. */
  get complete(): boolean {
    return this.#attached && this.#content!.complete;
  }

  /** Bytes that are wanted, padding left out; 0 while nobody knows. */
  get size(): number {
    return this.#content?.size ?? 0;
  }

  /** Wanted bytes that are verified, padding left out. */
  get verified(): number {
    return this.#content?.verified ?? 0;
  }

  /** 0 to 1: how far the search for metadata or the check has come while it does that, else how much is verified. */
  get progress(): number {
    if (!this.#content) return this.#search?.progress ?? 0;
    if (this.#state === "checking") return this.#content.checked;
    return this.size === 0 ? 1 : this.verified / this.size;
  }

  /** Payload bytes from peers and web seeds. */
  get downloaded(): number {
    return this.#swarm.downloaded + this.#goneDown + (this.#content?.downloaded ?? 0);
  }

  /** Payload bytes to peers. */
  get uploaded(): number {
    return this.#swarm.uploaded;
  }

  /** Payload bytes since it was added, both ways. */
  get traffic(): { readonly downloaded: number; readonly uploaded: number } {
    return { downloaded: this.downloaded, uploaded: this.uploaded };
  }

  /** Its pieces, for those who draw them; `null` while nobody knows what it holds. */
  get pieces(): DrawnPieces | null {
    return this.#content?.pieces ?? null;
  }

  /** Every open connection. */
  peers(): Iterable<Peer> {
    return this.#swarm.peers;
  }

  /** Web seeds that answer. */
  get webSeeds(): readonly WebSeed[] {
    return this.#content?.webSeeds?.connected ?? [];
  }

  /** Folder that its files, or its own folder, go into. */
  get folder(): string {
    return this.#add.folder;
  }

  /** Whether pieces are fetched in order instead of the rarest first. */
  get sequential(): boolean {
    return this.#add.sequential ?? false;
  }

  /** Announce URLs in tiers, as they are now. */
  get trackers(): readonly (readonly string[])[] {
    return this.#finder.trackers;
  }

  /** Priorities of files, by index into `meta.files`; one that is missing is normal. */
  get priorities(): ReadonlyMap<number, FilePriority> {
    return this.#priorities;
  }

  /** What it looks like now. */
  snapshot(): TorrentSnapshot {
    return snapshotOf(this);
  }

  /**
   * Its pieces in a row of cells, to be drawn; `null` while nobody knows what it holds.
   *
   * @param cells How many there is room for.
   */
  pieceMap(cells: number): PieceMap | null {
    return this.pieces && pieceMapOf(this, { pieces: this.pieces, cells });
  }

  /** Its files, padding left out, and how much is here of each; none while nobody knows what it holds. */
  files(): readonly FileSnapshot[] {
    return this.#meta === null ? [] : filesOf(this, { meta: this.#meta, wanted: this.#choice?.files });
  }

  /** Indexes of the files that are to be downloaded as soon as it is known what it holds; `null` if that isn't said by indexes. */
  get askedFiles(): readonly number[] | null {
    const { files } = this.#add;
    return files instanceof Set ? [...files] : null;
  }

  /** Indexes of the files that are downloaded; see {@linkcode ReadableTorrent}. */
  get wantedFiles(): readonly number[] {
    return wantedFilesOf({ meta: this.#meta, choice: this.#choice });
  }

  /** What happens to it from now on, with `progress` every second; ends when it has left the session. */
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

  /** Opens a file for reading; see {@linkcode ReadableTorrent.open}. */
  open(file: number, options: OpenFileOptions = {}): TorrentReader {
    return openFile(file, { source: this.#reading, meta: this.#meta, choice: this.#choice, options });
  }

  // What the user has it do.

  /** Goes to work. To be called once. */
  start(): void {
    const { size = null, count: files = null } = this.#choice ?? {};
    this.#tell({ event: "added", name: this.#name, size, files });
    this.#seat = this.#options.shared.ticker.join({ turn: (now, seconds) => this.#turn(now, seconds) });
    const { source, add } = this.#options;
    if (!isMagnet(source)) this.#warnOf(source);
    void this.#begin(add.trust ? "trust" : add.check ? "check" : "resume");
  }

  /** How fast it may be, within what all torrents together may. */
  get limits(): RateLimits {
    return ratesOf(this.#options.limits);
  }

  /**
   * Changes how fast it may be, at once.
   *
   * @param limits Bytes a second, `null` for no limit of its own; what is absent stays as it is.
   * @throws {RangeError} If a rate isn't above 0; nothing has changed then.
   */
  setLimits(limits: Partial<RateLimits>): void {
    this.#refuseIfOver();
    setRates(this.#options.limits, limits);
    this.#changed("limits");
  }

  /**
   * Takes other trackers from now on. Those that are there already are left alone, those that are named no more are told that we
   * leave, and new ones are asked.
   *
   * @param tiers Announce URLs in tiers (BEP 12); none at all for no trackers.
   */
  setTrackers(tiers: readonly (readonly string[])[]): void {
    this.#refuseIfOver();
    this.#hasOwnTrackers = true;
    this.#finder.setTrackers(tiers);
    this.#changed("trackers");
  }

  /**
   * Tries peers besides those that are found.
   *
   * @param addresses Where they listen.
   */
  addPeers(addresses: readonly PeerAddress[]): void {
    this.#refuseIfOver();
    this.#foundPeers(addresses, "user");
    this.#changed("peers");
  }

  /**
   * Fetches pieces in order from now on, or the rarest first.
   *
   * @param sequential Whether in order.
   */
  setSequential(sequential: boolean): void {
    this.#refuseIfOver();
    this.#add = { ...this.#add, sequential };
    this.#content?.setSequential(sequential);
    this.#changed("sequential");
  }

  /**
   * Fetches some files before others from now on. Where pieces cover several files, the highest priority counts.
   *
   * @param files Indexes into `meta.files`; others keep theirs.
   * @param priority The priority.
   * @throws {ShoalError} Of kind `usage` if there is no such file, as far as that is known; nothing has changed then.
   * @throws {RangeError} If there is no such priority.
   */
  setPriority(files: Iterable<number>, priority: FilePriority): void {
    this.#refuseIfOver();
    if (!FILE_PRIORITIES.includes(priority)) throw new RangeError(`There is no priority "${priority}"`);
    const indexes = [...files];
    checkFiles(this.#meta, indexes);
    for (const index of indexes) this.#priorities.set(index, priority);
    this.#content?.setPriorities(this.#priorities);
    this.#changed("priority");
  }

  /**
   * Wants other files from now on. What is here of those that aren't wanted any more stays, and is served; what has been fetched
   * of those that are wanted now isn't fetched again.
   *
   * @param files Indexes into `meta.files`; `null` for all.
   * @returns Settles when it is done.
   * @throws {ShoalError} Of kind `usage` if there is no such file or none is left, of kind `storage` if something else is in the
   * place of a file. The choice is the one of before then. While nobody knows what it holds nothing is wrong; what isn't there is the
   * torrent's error as soon as that is known.
   */
  async setFiles(files: ReadonlySet<number> | null): Promise<void> {
    if (files !== null) checkSelection(this.#meta, files);
    await this.#inTurn(async () => {
      const add = withFiles(this.#add, files);
      const { source } = this.#options;
      if (this.#meta !== null) {
        if (files !== null) checkSelection(this.#meta, files); // nobody knew when it was asked
        const choice = selectionOf(this.#meta, { add, source });
        if (this.#attached) await this.#operate((content) => content.select(choice.files));
        this.#choice = choice;
      }
      this.#add = add;
      if (this.#attached) await this.#settle();
      this.#changed("files");
    });
  }

  /**
   * Hashes everything that is on disk, whatever is believed to be there. Nothing is fetched or served meanwhile.
   *
   * @returns Settles when it is done, or can't be: then the torrent's state is `error`, which says why.
   */
  recheck(): Promise<void> {
    if (this.#state === "error") return this.#tryAgain("check");
    return this.#doInTurn(async (signal) => {
      if (!this.#attached) return; // it isn't known yet what it holds, or it has just failed
      this.#enter("checking");
      this.#swarm.shut(reasonToRefuse("checking"));
      const content = this.#content!;
      content.setPaused(true);
      await content.recheck(signal);
      signal.throwIfAborted();
      this.#refuseIncomplete(content);
      this.#reading.readers.checked();
      await this.#checked(signal);
    });
  }

  /**
   * Moves its files to another folder, on the same file system or another one. It is served and downloaded meanwhile.
   *
   * @param folder The folder; made if need be.
   * @param options Whom to tell how far it has come, and when to give up.
   * @returns Settles when everything is there.
   * @throws {ShoalError} Of kind `storage` if it can't be moved, of kind `usage` if it is stopped. Everything is where it was then.
   * @throws The signal's reason, when it is aborted.
   */
  move(folder: string, options: MoveProgress = {}): Promise<void> {
    const { signal } = this.#abort;
    const ends = options.signal === undefined ? signal : AbortSignal.any([signal, options.signal]);
    return this.#inTurn(async () => {
      if (folder === this.#add.folder) return;
      const content = this.#content;
      if (content !== null) {
        // One that has run into an error is closed: perhaps because that folder is full.
        const reopened = content.closed ? this.#newContent(content.meta) : null;
        await reopened?.open("resume", ends);
        try {
          if (reopened !== null) await reopened.move(folder, { ...options, signal: ends });
          else await this.#operate((content) => content.move(folder, { ...options, signal: ends }));
        } finally {
          await reopened?.close("the torrent has failed");
        }
      }
      this.#add = { ...this.#add, folder };
      this.#changed("folder");
    });
  }

  /** Has it wait in the queue until it is resumed. */
  queue(): void {
    this.#want("queued");
  }

  /** Leaves the swarm until it is resumed: trackers are told, every connection is closed. A check goes on. What is here stays. */
  pause(): void {
    this.#want("paused");
  }

  /** Goes on after a pause; after an error, tries again. */
  resume(): void {
    this.#want("run");
    if (this.#state === "error") void this.#tryAgain("resume");
  }

  #tryAgain(mode: StartMode): Promise<void> {
    this.#error = null;
    this.#attempt = new AbortController();
    this.#metadata = this.#meta === null ? Promise.withResolvers() : this.#metadata;
    this.#waitAnew();
    const done = this.#begin(mode);
    this.#enter(this.#meta !== null ? "checking" : this.#wish === "run" ? "metadata" : this.#wish);
    return done;
  }

  /**
   * Takes what another source of the same torrent says.
   *
   * @param source The other source.
   * @param add How it would have been added.
   * @throws {ShoalError} Of kind `usage` if it can't be both.
   */
  merge(source: Metainfo | Magnet, add: AddOptions): void {
    if (isOver(this.#state)) throw duplicateError(this.#name, "it is being stopped");
    const why = whyNotAgain({
      first: { source: this.#options.source, add: this.#add },
      choice: this.#choice,
      meta: this.#meta,
    }, { add, source });
    if (why !== null) throw duplicateError(this.#name, why);
    this.#foundPeers(add.peers ?? [], "user");
    if (this.#meta?.private) return this.#leaveOut(source, this.#meta);
    const { trackers, webSeeds } = source;
    this.#finder.addTrackers(trackers);
    this.#moreWebSeeds.push(...webSeeds);
    this.#content?.addWebSeeds(webSeeds);
    this.#seat?.wake();
    if (isMagnet(source)) return;
    if (this.#meta !== null) return void this.#options.shared.dht?.addHosts(source.nodes);
    this.#search?.give(source);
  }

  /** Stops it in good order, and leaves the session. Never rejects because of peers or trackers. */
  stop(): Promise<void> {
    return this.#stopping ??= this.#stop();
  }

  /**
   * Stops it, and removes its files from the disk, and what is remembered of them.
   *
   * @throws {ShoalError} Of kind `storage` if something can't be removed; the rest is gone.
   */
  async removeData(): Promise<void> {
    await this.stop();
    await this.#content?.removeData();
  }

  // What the session tells it.

  /** Who takes connections that ask for this torrent. */
  get acceptor(): Acceptor {
    return this.#swarm;
  }

  /** Takes note of peers that the magnet link has named. */
  namedPeers(addresses: readonly PeerAddress[]): void {
    this.#foundPeers(addresses, "user");
  }

  /** A port at which others reach us is another one: tells trackers, which are told the TCP port alone, and peers. */
  moved(protocol: "tcp" | "udp"): void {
    if (protocol === "tcp") this.#finder.moved();
    this.#swarm.moved();
  }

  // Its life.

  /** Does what can take long, when what was begun before is done. What it throws is the caller's to deal with. */
  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#lastWork.then(async () => {
      this.#refuseIfOver();
      await work();
    });
    this.#lastWork = done.catch(() => {});
    return done;
  }

  /**
   * The same for what is the torrent's own business: what it throws is an error of the torrent, unless it is being stopped, or has
   * run into another one meanwhile, which aborts the signal.
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
   * Does something with the files. Its failure is for who has asked for it to deal with; but if it has left things half done, the torrent
   * can't go on either, and may be tried again.
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

  /** @throws {ShoalError} Of kind `usage` if it has been stopped. */
  #refuseIfOver(): void {
    if (isOver(this.#state)) throw stoppedError(this.#name);
  }

  /** From a source to work: finds the metadata if need be, looks at the disk, and connects. */
  async #begin(mode: StartMode): Promise<void> {
    const { signal } = this.#attempt;
    if (this.#meta !== null || this.#search === null) return this.#doInTurn((signal) => this.#check(mode, signal));
    try {
      // Out of turn: it may take for ever, and what the user asks for meanwhile needn't wait for it.
      const meta = await this.#search.run(signal);
      await this.#doInTurn((signal) => this.#found(meta, mode, signal));
    } catch (error) {
      if (!signal.aborted) this.#fail(error);
    }
  }

  /** The metadata of a magnet link is here. */
  async #found(meta: Metainfo, mode: StartMode, signal: AbortSignal): Promise<void> {
    const add = this.#add;
    this.#name = meta.name;
    if (!add.metadataOnly) {
      if (add.files instanceof Set) checkSelection(meta, add.files);
      this.#learn(meta);
    }
    const { size, count: files } = this.#choice ?? { size: meta.size, count: numberedFiles(meta.files).length };
    this.#tell({ event: "metadata", name: meta.name, size, files });
    this.#warnOf(meta);
    this.#metadata.resolve(meta);
    if (add.metadataOnly) {
      this.#finish.resolve();
      return void this.stop();
    }
    signal.throwIfAborted();
    await this.#check(mode, signal);
  }

  /** It is known now what it holds. */
  #learn(meta: Metainfo): void {
    const { shared, source } = this.#options;
    this.#choice = selectionOf(meta, { add: this.#add, source });
    this.#meta = meta;
    // Nobody knew which files it has when these were named.
    for (const index of this.#priorities.keys()) if (meta.files[index]?.pad !== false) this.#priorities.delete(index);
    this.#content = this.#newContent(meta);
    if (meta.private) {
      this.#finder.keepPrivate();
      this.#swarm.keepPrivate();
    } else shared.dht?.addHosts(meta.nodes);
    if (!this.#hasOwnTrackers) this.#finder.addTrackers(meta.trackers);
  }

  #newContent(meta: Metainfo): Content {
    const { shared, limits } = this.#options;
    const add = this.#add;
    // One that has been replaced, or only moves files, has no say.
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
      folder: add.folder,
      files: this.#choice?.files,
      sequential: add.sequential ?? false,
      priorities: this.#priorities,
      readOnly: add.seedOnly ?? false,
      webSeeds: this.#moreWebSeeds,
      onWarning: (error) => this.#warn(error),
    });
    return content;
  }

  /** Finds out what is on disk, and goes to work. */
  async #check(mode: StartMode, signal: AbortSignal): Promise<void> {
    if (this.#state !== "checking") this.#enter("checking");
    // One that has failed is closed; its files are looked at anew.
    if (this.#content!.closed) this.#replaceContent(this.#content!);
    const content = this.#content!;
    await content.open(mode, signal);
    signal.throwIfAborted();
    this.#refuseIncomplete(content);
    this.#attached = true;
    this.#swarm.attach(content);
    this.#reading.readers.checked();
    await this.#checked(signal);
  }

  /** What may only be seeded has to be there. */
  #refuseIncomplete({ have, meta }: Content): void {
    const { seedOnly, folder } = this.#add;
    if (seedOnly && !have.isFull) throw incompleteData(have, `${meta.name} in ${folder}`);
  }

  /** It is known what is on disk. */
  async #checked(signal: AbortSignal): Promise<void> {
    if (this.#content!.complete) {
      await this.#content!.flush();
      signal.throwIfAborted();
      return this.#completed();
    }
    this.#isUnfinished();
    this.#work();
  }

  /** Goes on as the user wants it to. */
  #work(): void {
    if (isOver(this.#state)) return; // it was stopped meanwhile
    const next = this.#wish !== "run" ? this.#wish : this.#content!.settled ? "seeding" : "downloading";
    if (this.#state !== next) this.#enter(next);
    if (this.#wish === "run") this.#connect();
    else this.#disconnect();
  }

  /** Every wanted byte is verified and under its final name. */
  #completed(): void {
    if (this.#state === "error" || isOver(this.#state)) return;
    this.#work();
    if (this.#isFinished) return;
    this.#isFinished = true;
    const seconds = (this.#options.shared.platform.now() - this.#startedAt) / 1000;
    const bytes = this.downloaded;
    const rate = seconds > 0 ? bytes / seconds : 0;
    this.#tell({ event: "completed", name: this.#name, seconds, bytes, rate });
    this.#finish.resolve();
  }

  /** More or less is wanted than before, or here. */
  async #settle(): Promise<void> {
    const { complete, settled } = this.#content!;
    this.#reading.readers.checked();
    if (!complete) this.#isUnfinished();
    else if (!this.#isFinished) this.#swarm.complete();
    if (this.#state === "checking" || this.#state === "error") return;
    if (complete && !settled) await this.#finishFiles();
    else this.#work();
  }

  /** Something is missing again: who waits for the end waits for another one. */
  #isUnfinished(): void {
    // Be it that the last file is still on its way to the disk: peers of no use have been left already.
    this.#swarm.wantsMore();
    if (!this.#isFinished) return;
    this.#waitAnew();
    this.#finder.needPeers();
  }

  /** Who waits for the end from now on waits for another one. */
  #waitAnew(): void {
    this.#isFinished = false;
    this.#finish = Promise.withResolvers();
    this.#quieten();
  }

  /** Verified pieces that can't be read any more count as missing; the rest is served. */
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
      this.#tell({ event: "warning", message: `${which} can't be read and counts as missing: ${message}`, where });
      await this.#content!.forget(pieces);
      signal.throwIfAborted();
      // There may be a disk that isn't mounted any more; nothing is to be served without it.
      if (this.#add.seedOnly && this.have.isEmpty) throw error;
      await this.#settle();
    });
  }

  #want(wish: Wish): void {
    if (isOver(this.#state) || this.#wish === wish) return;
    this.#wish = wish;
    if (this.#state === "error") return;
    // A check goes on, and what is wanted comes after it; but peers and trackers are left at once.
    if (this.#state === "checking") return wish === "run" ? undefined : this.#disconnect();
    if (this.#attached) return this.#work();
    this.#enter(wish === "run" ? "metadata" : wish);
    if (wish === "run") this.#connect();
    else this.#disconnect();
  }

  /** Opens the doors, once there is something to ask peers for. */
  #connect(): void {
    if (!isActive(this.#state) || (!this.#attached && this.#search?.asks !== true)) return;
    this.#swarm.open();
    this.#content?.setPaused(false);
    this.#finder.start();
    this.#finder.resume();
    this.#seat?.wake();
  }

  /** Closes the doors. */
  #disconnect(state: TorrentState = this.#state): void {
    this.#finder.pause(); // first, so that nobody looks for others because we leave those that are here
    this.#swarm.shut(reasonToRefuse(state));
    this.#content?.setPaused(true);
  }

  #enter(state: TorrentState): void {
    const previous = this.#state;
    if (!mayFollow(previous, state)) throw new Error(`A torrent can't go from "${previous}" to "${state}"`);
    this.#state = state;
    this.#tell({ event: "state", state, previous });
  }

  /** It can't go on: it says why, is quiet, and waits to be resumed. */
  #fail(error: unknown): void {
    if (this.#attempt.signal.aborted) return; // it is over, or has failed: what goes wrong because of that is no news
    // All of it is done before anybody is told, who may have it try again at once.
    const content = this.#content;
    this.#attempt.abort();
    // The disk has failed already: what else goes wrong with it says no more.
    void this.#inTurn(() => content?.close("the torrent has failed") ?? Promise.resolve()).catch(() => {});
    this.#disconnect("error");
    this.#attached = false;
    this.#swarm.detach();
    this.#rejectWith(error);
    if (!isOver(this.#state)) this.#enter("error"); // somebody may have stopped it because peers left
    this.#tell({ event: "error", ...failureOf(error) });
  }

  #replaceContent(old: Content): void {
    this.#goneDown += old.downloaded;
    this.#content = this.#newContent(old.meta);
  }

  #rejectWith(error: unknown): void {
    this.#error = error;
    if (this.#isFinished) this.#waitAnew();
    this.#metadata.reject(error);
    this.#finish.reject(error);
  }

  /** Every wanted piece is here; the last of them may still be on their way to the device. */
  #allDone(): void {
    // That a part is all we want is no completion (BEP 21); trackers hear of it as soon as they may be asked again.
    if (this.have.isFull) this.#finder.completed();
    else this.#finder.needPeers();
    this.#swarm.complete();
    void this.#finishFiles();
  }

  #finishFiles(): Promise<void> {
    const content = this.#content!;
    const { signal } = this.#attempt;
    return content.flush().then(() => {
      // A check that has begun meanwhile sees to it.
      if (!signal.aborted && this.#state !== "checking" && content.settled) this.#completed();
    }, (error) => {
      if (!signal.aborted) this.#fail(error);
    });
  }

  async #stop(): Promise<void> {
    const hasFailed = this.#state === "error"; // and has said so
    this.#enter("stopping");
    this.#abort.abort(stoppedError(this.#name));
    this.#attempt.abort();
    this.#seat?.leave();
    this.#swarm.stop();
    this.#reading.readers.end();
    try {
      // A disk that fails is no reason to go without taking leave.
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

  #foundPeers(addresses: readonly PeerAddress[], source: PeerSource): void {
    if (!isOver(this.#state)) this.#swarm.add(addresses, source);
  }

  /** Regular work. @returns Milliseconds until there is more, unless something happens. */
  #turn(now: number, seconds: number): number {
    const rest = this.#swarm.tick(now, seconds);
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

  // Words.

  /** The one way out of what happens. */
  #tell(event: UnnamedEvent): void {
    this.#options.emit({ ...event, infohash: this.infoHash.hex } as TorrentEvent);
  }

  #changed(what: ChangedEvent["what"]): void {
    this.#tell({ event: "changed", what });
  }

  #warn(error: unknown): void {
    const { message, where } = failureOf(error);
    this.#tell({ event: "warning", message, where });
  }

  /** What is wrong with a torrent and was passed over. */
  #warnOf({ name, warnings }: Metainfo): void {
    for (const message of warnings) this.#tell({ event: "warning", message, where: name });
  }

  /** Nobody but its own trackers is to know of a private torrent. */
  #leaveOut({ trackers, webSeeds }: Metainfo | Magnet, meta: Metainfo): void {
    const own = new Set([...meta.trackers.flat(), ...meta.webSeeds]);
    if ([...trackers.flat(), ...webSeeds].every((url) => own.has(url))) return;
    const message = "other trackers and web seeds are left out, since the torrent is private";
    this.#tell({ event: "warning", message, where: meta.name });
  }

  /** Whoever doesn't wait for the end is told by the event; it must not end the program as an unhandled rejection. */
  #quieten(): void {
    this.#metadata.promise.catch(() => {});
    this.#finish.promise.catch(() => {});
  }
}

const NO_PIECES = new Bitfield(0);
