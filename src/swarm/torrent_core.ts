/**
 * The state of one torrent, and what everything that changes it uses: states, queue of slow work, connections, failure,
 * events.
 *
 * @module
 */

import type { PeerAddress } from "../base/address.ts";
import { Bitfield } from "../base/bitfield.ts";
import type { InfoHash } from "../base/info_hash.ts";
import type { InfoHashes } from "../base/info_hashes.ts";
import { hasHashes, infoHashesOf, type Metainfo, safeName } from "../metainfo/mod.ts";
import type { AddOptions, PeerFinder, TorrentOptions, Twin, UnnamedEvent } from "./torrent_options.ts";
import type { PeerSource } from "./peers/candidates.ts";
import { type FileSelection, isMagnet, selectionOf } from "./file_selection.ts";
import type { Content } from "./content.ts";
import type { ChangedEvent, TorrentEvent } from "./events.ts";
import { MetadataResolver } from "./metadata_resolver.ts";
import { ReadSource, wantedFilesOf } from "./torrent_reader.ts";
import { Swarm } from "./swarm.ts";
import type { TickerSeat } from "./ticker.ts";
import { failureOf, reasonToRefuse, stoppedError } from "./torrent_failure.ts";
import { isActive, isOver, mayFollow, type TorrentState } from "./torrent_state.ts";
import { WaitingReason } from "./waiting_reason.ts";
import type { FilePriority } from "./wanted_pieces.ts";

/** Bytes reported as missing to trackers while the size is unknown. Reporting 0 would make us a seed. */
const UNKNOWN_LEFT = 16 * 1024;
/** What the user wants the torrent to do. The state follows as soon as it can. */
export type Wish = "run" | "paused" | "queued";

/** The inside of a {@linkcode Torrent}, for the files beside this one. */
export class TorrentCore {
  /** Which torrent. */
  readonly infoHash: InfoHash;
  /** Every info-hash by which peers know the torrent, as far as they are known. */
  infoHashes: InfoHashes;
  /** What readers of files read from. */
  readonly reading: ReadSource;
  /** What the torrent is made of. */
  readonly options: TorrentOptions;
  /** Its peers, for life. */
  readonly swarm: Swarm;
  /** Finds peers. */
  readonly finder: PeerFinder;
  /** When the torrent was added, in milliseconds. */
  readonly startedAt: number;
  /** Time at which the current state was entered, in milliseconds. */
  enteredAt = 0;
  /** Milliseconds that were spent in the state `downloading`. */
  downloading = 0;
  /** Aborted when the torrent is stopped. */
  readonly abort = new AbortController();
  /** Aborted when the torrent is stopped or fails. Work that was begun before is then ignored. */
  attempt = new AbortController();
  /** Settles when the metadata is known. */
  metadata = Promise.withResolvers<Metainfo>();
  /** Settles when the wanted files are complete. */
  finish = Promise.withResolvers<void>();
  /** Name, safe to print. */
  name: string;
  /** The only state. */
  state: TorrentState;
  /** What the user wants. */
  wish: Wish = "run";
  /** Why the torrent has failed. */
  error: unknown = null;
  /** The metadata with the hashes of all pieces; `null` until it is known. */
  meta: Metainfo | null = null;
  /** How the torrent was added, with every later change. */
  add: AddOptions;
  /** Folder in which the data is: that of `add`, or that for unfinished data. */
  folder: string;
  /** `true` once it is known in which folder the data is. */
  isPlaced: boolean;
  /** The wanted files; `null` until the metadata is known. */
  selection: FileSelection | null = null;
  /** By file index; files without an entry have normal priority. */
  readonly priorities = new Map<number, FilePriority>();
  /** Finds the metadata; `null` if a torrent file with the hashes of all pieces was added. */
  readonly search: MetadataResolver | null;
  /** The metadata as far as it is known: hashes of pieces may be missing (BEP 52). */
  described: Metainfo | null = null;
  /** The pieces and their files; `null` until the metadata is known. */
  content: Content | null = null;
  /** `true` once the state on disk is known: from then on pieces are fetched and served. */
  attached = false;
  /** Web seeds of the magnet link and of sources that were merged later. */
  readonly moreWebSeeds: string[] = [];
  /** `true` if the user has set the trackers. Those of the source are then not added when the metadata arrives. */
  hasOwnTrackers = false;
  /** Bytes that web seeds sent to contents that have been replaced. */
  replacedDownloaded = 0;
  /** Torrents that turned out to be the same as this one, and join it when its metadata is known. */
  readonly twins: Twin[] = [];
  /** `true` if the completion of the wanted files has been reported. */
  isFinished = false;
  /** Where the torrent gets its turns; `null` before the start. */
  seat: TickerSeat | null = null;
  /** Why nothing arrives. */
  readonly reason: WaitingReason;
  /** Settles with the slow work that was queued last. */
  lastWork: Promise<void> = Promise.resolve();

  /**
   * @param options See {@linkcode TorrentOptions}.
   * @throws {SelectionError} If a selected file does not exist.
   * @throws {ShoalError} Of kind `storage` if a path could lead out of the download folder.
   */
  constructor(options: TorrentOptions) {
    const { source, shared } = options;
    this.options = options;
    this.add = options.add;
    const { incomplete, folder } = options.add;
    this.folder = incomplete ?? folder;
    this.isPlaced = this.folder === folder;
    this.infoHash = source.infoHash;
    this.infoHashes = infoHashesOf(source);
    this.startedAt = shared.platform.now();
    this.reason = new WaitingReason(this.startedAt);
    this.swarm = new Swarm({
      shared,
      infoHashes: () => this.infoHashes,
      limits: options.limits,
      events: {
        needPeers: () => isActive(this.state) && this.finder.needPeers(),
        wake: () => this.seat?.wake(),
        failed: (error) => this.fail(error),
        tell: (event) => this.tell(event),
      },
    });
    this.finder = options.findPeers({
      infoHash: this.infoHash,
      infoHashes: this.infoHashes,
      trackers: source.trackers,
      // A magnet link has no tiers. A private torrent's trackers are asked in order all the same (BEP 27).
      asksAllTrackers: () => isMagnet(source) && !this.isPrivate,
      isPrivate: () => this.isPrivate,
      progress: () => this.announced(),
      wantedPeers: () => this.swarm.wantedPeers,
      received: () => this.complete ? null : this.downloaded,
      onPeers: (addresses, from, infoHash) => this.foundPeers(addresses, from, infoHash),
      heardOfSeeds: (count) => {
        if (count > 1) this.content?.superSeeding?.end();
      },
    });
    this.reading = new ReadSource({ shared, content: () => this.content });
    this.ignoreRejections();
    const isWhole = !isMagnet(source) && hasHashes(source);
    this.search = isWhole ? null : new MetadataResolver({
      source,
      shared,
      swarm: this.swarm,
      findMetadata: options.findMetadata,
      asking: () => this.connect(),
      described: (meta) => this.describe(meta),
      onWarning: (error) => this.warn(error),
    });
    if (isMagnet(source)) {
      this.state = "metadata";
      this.name = safeName(source.displayName ?? "") || source.infoHash.hex;
    } else if (!isWhole) {
      this.state = "metadata";
      this.name = source.name;
      selectionOf(source, { add: this.add, source }); // a file that doesn't exist is told at once
      this.describe(source);
    } else {
      this.state = "checking";
      this.name = source.name;
    }
  }

  /** Pieces that are verified and written. */
  get have(): Bitfield {
    return this.content?.have ?? NO_PIECES;
  }

  /** `true` if every wanted piece is verified and written. */
  get complete(): boolean {
    return this.attached && this.content!.complete;
  }

  /** Payload bytes received from peers and web seeds. */
  get downloaded(): number {
    return this.swarm.downloaded + this.replacedDownloaded + (this.content?.downloaded ?? 0);
  }

  /** Payload bytes sent to peers. */
  get uploaded(): number {
    return this.swarm.uploaded;
  }

  get wantedFiles(): readonly number[] {
    return wantedFilesOf({ meta: this.meta, choice: this.selection });
  }

  get keepsToItsTrackers(): boolean {
    return this.isPrivate && this.described!.trackers.length > 0;
  }

  get isPrivate(): boolean {
    return this.described?.private ?? false;
  }

  /** Adds the user's trackers. A private torrent keeps to its own, if it has any (BEP 27). */
  addTrackers(tiers: readonly (readonly string[])[]): void {
    if (tiers.length > 0 && !this.keepsToItsTrackers) this.finder.addTrackers(tiers, { always: true });
  }

  /**
   * Runs slow work after the work that was queued before. Rejects with the error of `work`; the torrent doesn't fail.
   */
  inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.lastWork.then(async () => {
      this.refuseIfOver();
      await work();
    });
    this.lastWork = done.catch(() => {});
    return done;
  }

  /**
   * Like {@linkcode TorrentCore.inTurn}, for the torrent's own work: an error makes the torrent fail, unless the signal is
   * aborted because the torrent was stopped or has failed meanwhile.
   */
  doInTurn(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    let { signal } = this.attempt;
    return this.inTurn(() => {
      ({ signal } = this.attempt);
      return work(signal);
    }).catch((error) => {
      if (!signal.aborted) this.fail(error);
    });
  }

  /**
   * Runs an operation on the files. An error goes to the caller. If the operation has left the files half changed, the
   * torrent fails as well and can be resumed.
   */
  async operate(work: (content: Content) => Promise<void>): Promise<void> {
    const { signal } = this.attempt;
    const content = this.content!;
    try {
      await work(content);
    } catch (error) {
      if (!signal.aborted && content.broken) this.fail(error);
      throw error;
    }
  }

  /** @throws {ShoalError} Of kind `usage` if the torrent has been stopped. */
  refuseIfOver(): void {
    if (isOver(this.state)) throw stoppedError(this.name);
  }

  /** Called when all is known of the torrent but hashes of pieces, which peers may have to send. */
  describe(meta: Metainfo): void {
    const isNew = this.described === null;
    this.described = meta;
    if (isNew && meta.private) {
      this.finder.keepPrivate();
      this.swarm.keepPrivate();
    } else if (isNew) this.options.shared.dht?.addHosts(meta.nodes);
    this.learn(infoHashesOf(meta));
  }

  /** Takes the info-hashes of the metadata, which may be more than those of the magnet link. */
  learn(infoHashes: InfoHashes): void {
    const more = infoHashes.onWire.filter((infoHash) => !this.infoHashes.has(infoHash));
    if (more.length === 0) return;
    this.twins.push(...this.options.named(infoHashes));
    this.infoHashes = infoHashes;
    for (const infoHash of more) this.finder.addInfoHash(infoHash);
  }

  renewFinished(): void {
    this.isFinished = false;
    this.finish = Promise.withResolvers();
    this.ignoreRejections();
  }

  /** Opens connections, once the metadata or pieces can be requested. */
  connect(): void {
    if (!isActive(this.state) || (!this.attached && this.search?.asks !== true)) return;
    this.reason.start(this.options.shared.platform.now());
    this.swarm.open();
    this.content?.setPaused(false);
    this.finder.start();
    this.finder.resume();
    this.seat?.wake();
  }

  /** Closes all connections and stops announcing. */
  disconnect(state: TorrentState = this.state): void {
    this.finder.pause(); // the finder pauses first: it must not look for replacements of the peers that are dropped
    this.swarm.shut(reasonToRefuse(state));
    this.content?.setPaused(true);
  }

  enter(state: TorrentState): void {
    const previous = this.state;
    if (!mayFollow(previous, state)) throw new Error(`A torrent can't go from "${previous}" to "${state}"`);
    this.state = state;
    const now = this.options.shared.platform.now();
    if (previous === "downloading") this.downloading += now - this.enteredAt;
    this.enteredAt = now;
    this.tell({ event: "state", state, previous });
  }

  /** Enters the state that the user wants. */
  enterWanted(): void {
    if (isOver(this.state)) return; // the torrent was stopped meanwhile
    const next = this.wish !== "run" ? this.wish : this.content!.settled ? "seeding" : "downloading";
    if (this.state !== next) this.enter(next);
    if (this.wish === "run") this.connect();
    else this.disconnect();
  }

  /** Enters the state `error`: the files and connections are closed until the torrent is resumed. */
  fail(error: unknown): void {
    // The torrent has been stopped, or has failed already: errors that follow from that are not reported.
    if (this.attempt.signal.aborted) return;
    // Everything is done before the event, whose listener may resume the torrent at once.
    const content = this.content;
    this.attempt.abort();
    // The disk has failed already, so a second error from closing the files adds nothing.
    void this.inTurn(() => content?.close("the torrent has failed") ?? Promise.resolve()).catch(() => {});
    this.disconnect("error");
    this.attached = false;
    this.swarm.detach();
    this.rejectWith(error);
    // A listener may have stopped the torrent when its peers were dropped.
    if (!isOver(this.state)) this.enter("error");
    this.tell({ event: "error", ...failureOf(error) });
  }

  rejectWith(error: unknown): void {
    this.error = error;
    if (this.isFinished) this.renewFinished();
    this.metadata.reject(error);
    this.finish.reject(error);
  }

  foundPeers(addresses: readonly PeerAddress[], source: PeerSource, infoHash?: InfoHash): void {
    this.reason.invalidate();
    if (!isOver(this.state)) this.swarm.add(addresses, source, infoHash);
  }

  /** Regular work. Returns the milliseconds until the next call, unless the torrent is woken before. */
  turn(now: number, seconds: number): number {
    const rest = this.swarm.tick(now, seconds);
    const metadata = this.content === null ? this.search?.progress ?? 0 : 0;
    this.reason.noteArrivals(now, this.swarm.arriving + (this.content?.downloaded ?? 0) + metadata);
    if (!this.attached) return rest;
    this.reading.readers.turn();
    const content = this.content!;
    if (this.wish !== "run") content.download.makeRoom();
    content.tick(now, seconds);
    return content.rests(this.wish === "run") ? rest : 0;
  }

  /** Our progress in bytes, for trackers. */
  announced(): { uploaded: number; downloaded: number; left: number; partialSeed?: boolean } {
    const { uploaded, downloaded } = this;
    if (!this.attached) return { uploaded, downloaded, left: UNKNOWN_LEFT };
    const { left, complete, have } = this.content!;
    return { uploaded, downloaded, left, partialSeed: complete && !have.isFull };
  }

  /** The only place that emits events. */
  tell(event: UnnamedEvent): void {
    this.options.emit({ ...event, infohash: this.infoHash.hex } as TorrentEvent);
  }

  changed(what: ChangedEvent["what"]): void {
    this.tell({ event: "changed", what });
  }

  warn(error: unknown): void {
    const { code, message, where } = failureOf(error);
    this.tell({ event: "warning", message, where, ...(code === "storage" && { loses: true }) });
  }

  /** Reports faults of a torrent file that were tolerated. */
  warnOfFaults({ name, warnings }: Metainfo): void {
    for (const message of warnings) this.tell({ event: "warning", message, where: name });
  }

  /** Warns that trackers and web seeds of other sources are not added to a private torrent (BEP 27). */
  warnLeftOut({ trackers, webSeeds }: Pick<Metainfo, "trackers" | "webSeeds">, meta: Metainfo): void {
    const own = new Set([...meta.trackers.flat(), ...meta.webSeeds]);
    if ([...trackers.flat(), ...webSeeds].every((url) => own.has(url))) return;
    const message = "other trackers and web seeds are left out, since the torrent is private";
    this.tell({ event: "warning", message, where: meta.name });
  }

  /** Events report failures, so a promise that nobody awaits must not end the program as an unhandled rejection. */
  ignoreRejections(): void {
    this.metadata.promise.catch(() => {});
    this.finish.promise.catch(() => {});
  }
}

const NO_PIECES = new Bitfield(0);
