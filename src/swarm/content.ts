/**
 * What a torrent holds: its pieces on disk, those on their way, and the web seeds that have them. A magnet link's torrent has none
 * before the metadata is here.
 *
 * @module
 */

import { Bitfield } from "../base/bitfield.ts";
import type { Bytes } from "../base/bytes.ts";
import type { MemoryBudget } from "../base/memory_budget.ts";
import { type Metainfo, pathsOnDisk, pieceHash, pieceSize } from "../metainfo/mod.ts";
import type { BandwidthParties, Block, Peer } from "../peer/mod.ts";
import type { Platform } from "../platform/platform.ts";
import { type MoveProgress, type StartMode, Storage } from "../storage/mod.ts";
import { BufferPool } from "./pieces/buffer_pool.ts";
import { PieceDownload } from "./pieces/piece_download.ts";
import type { OpeningQueue } from "./opening_queue.ts";
import type { UnnamedEvent } from "./torrent_options.ts";
import type { DrawnPieces } from "./piece_map.ts";
import { SuperSeeding } from "./choking/super_seeding.ts";
import {
  type FilePriority,
  piecePriorities,
  verifiedBytes,
  type WantedPieces,
  wantedPiecesOf,
} from "./wanted_pieces.ts";
import { WebSeeds } from "./web_seeds/web_seeds.ts";

/** What {@linkcode Content} needs of the torrent. */
export interface ContentHost {
  /** Every connected peer. */
  peers(): Iterable<Peer>;
  /** The address of a connection, by its number. */
  hostOf(connection: number): string;
  /** Shuts an address out, for good. */
  ban(host: string, reason: string): void;
  /** A piece is verified and written. */
  pieceDone(index: number): void;
  /** Every wanted piece is verified and written. */
  allDone(): void;
  /** A block of a verified piece can't be read. */
  unreadable(block: Block): void;
  /** The torrent can't go on. */
  failed(error: unknown): void;
  /** Takes what happens. */
  tell(event: UnnamedEvent): void;
}

/** What {@linkcode Content} is made of. */
export interface ContentOptions {
  /** The outside. */
  readonly platform: Platform;
  /** What the torrent holds. */
  readonly meta: Metainfo;
  /** Folder that its files, or its own folder, go into. */
  readonly folder: string;
  /** Indexes of the files that are wanted; all when absent. */
  readonly files: ReadonlySet<number> | undefined;
  /** Whether pieces are fetched in order. */
  readonly sequential: boolean;
  /** Priorities of files, by index; one that is missing is normal. */
  readonly priorities: ReadonlyMap<number, FilePriority>;
  /** Whether nothing is ever written. */
  readonly readOnly: boolean;
  /** Folder for resume state; `null` for none. */
  readonly stateFolder: string | null;
  /** Memory for pieces in flight and for reading, of all torrents. */
  readonly budget: MemoryBudget;
  /** When it may look at its files, among all torrents. */
  readonly openings: OpeningQueue;
  /** How fast it may be, with the other torrents. */
  readonly limits: BandwidthParties;
  /** Local address for web seeds, when one was chosen. */
  readonly bind: string | undefined;
  /** Web seeds besides those that the torrent names. */
  readonly webSeeds: readonly string[];
  /** Told of trouble that stops nothing. */
  onWarning(error: unknown): void;
}

/** Bytes left to hash of which others needn't wait for the end: the next one may look at its files then. */
const MUCH_TO_CHECK = 64 * 1024 * 1024;

/** The pieces of one torrent. Open it once; when it has failed or is to be checked anew, another one takes its place. */
export class Content {
  /** What the torrent holds. */
  readonly meta: Metainfo;
  /** Its web seeds; `null` while there is nothing to fetch from them. */
  webSeeds: WebSeeds | null = null;
  /** While we are a seed that knows of no other, and pieces are missing in the swarm. */
  superSeeding: SuperSeeding<Peer> | null = null;
  readonly #host: ContentHost;
  readonly #options: ContentOptions;
  readonly #storage: Storage;
  readonly #pool: BufferPool;
  #files: ReadonlySet<number> | undefined;
  #priorities: ReadonlyMap<number, FilePriority>;
  #sequential: boolean;
  #wanted: WantedPieces;
  /** What there is, wanted or not. */
  #whole: WantedPieces;
  readonly #moreWebSeeds: string[];
  #download: PieceDownload;
  #checked = 0;
  #verified = 0;
  #verifiedOfWhole = 0;
  #settled = false;
  #paused = true;
  #closing: Promise<void> | null = null;

  /**
   * @param host The torrent.
   * @param options Its parts.
   * @throws {ShoalError} Of kind `storage` if a path could lead out of the folder.
   */
  constructor(host: ContentHost, options: ContentOptions) {
    const { meta, platform, folder, files } = options;
    this.#host = host;
    this.#options = options;
    this.meta = meta;
    this.#files = files;
    this.#priorities = options.priorities;
    this.#sequential = options.sequential;
    this.#wanted = wantedPiecesOf(meta, files);
    this.#whole = files === undefined ? this.#wanted : wantedPiecesOf(meta);
    this.#moreWebSeeds = [...options.webSeeds];
    this.#storage = new Storage(meta, {
      ...(files !== undefined && { files }),
      platform,
      folder,
      pieceHash: (index) => pieceHash(meta, index),
      pathsOf: (index) => pathsOnDisk(meta.files[index]!),
      infoHash: meta.infoHash,
      stateFolder: options.stateFolder,
      memory: options.budget,
      readOnly: options.readOnly,
      onWarning: (error) => options.onWarning(error),
    });
    this.#pool = new BufferPool(options.budget, Math.min(meta.pieceLength, meta.totalLength));
    this.#download = this.#newDownload(new Bitfield(meta.pieceCount));
  }

  /** Pieces that are verified and written. */
  get have(): Bitfield {
    return this.#download.have;
  }

  /** Fetches what is missing. */
  get download(): PieceDownload {
    return this.#download;
  }

  /** Whether every wanted piece is verified and written. */
  get complete(): boolean {
    return this.#download.complete;
  }

  /** Bytes that are wanted, padding left out. */
  get size(): number {
    return this.#wanted.size;
  }

  /** Wanted bytes that are verified, padding left out. */
  get verified(): number {
    return this.#verified;
  }

  /** Bytes of the torrent that aren't here, wanted or not, padding left out. */
  get left(): number {
    return this.#whole.size - this.#verifiedOfWhole;
  }

  /** How far the check of what is on disk has come, 0 to 1. */
  get checked(): number {
    return this.#checked;
  }

  /** Its pieces, for those who draw them: which are wanted, which are there, started, common. */
  get pieces(): DrawnPieces {
    return { wanted: this.#wanted.pieces, started: this.#download.started };
  }

  /** Payload bytes from web seeds. */
  get downloaded(): number {
    return this.webSeeds?.downloaded ?? 0;
  }

  /**
   * Finds out what is on disk, when it is its turn among all torrents.
   *
   * @param mode As {@linkcode Storage.open} takes it.
   * @param signal Ends it.
   * @throws {ShoalError} Of kind `storage` if the data can't be read, or something else is in its place.
   * @throws The signal's reason, when it is aborted.
   */
  async open(mode: StartMode, signal: AbortSignal): Promise<void> {
    const have = await this.#options.openings.take((passOn) => {
      const onProgress = (progress: number) => {
        if ((1 - progress) * this.meta.totalLength > MUCH_TO_CHECK) passOn();
        this.#hasChecked(progress);
      };
      return this.#storage.open(mode, { signal, onProgress });
    }, signal);
    signal.throwIfAborted();
    this.#download = this.#newDownload(have);
    this.#arrange();
    this.#count();
    if (have.isFull) {
      this.superSeeding = new SuperSeeding(this.meta, {
        have,
        availability: (index) => this.#download.availability(index),
        random: () => this.#options.platform.random(),
      });
    }
  }

  /**
   * Lets web seeds be asked, or not. They aren't at first.
   *
   * @param paused Whether nobody is to be asked.
   */
  setPaused(paused: boolean): void {
    this.#paused = paused;
    this.#seekWebSeeds();
    this.webSeeds?.setPaused(paused);
  }

  /** Web seeds are asked as soon as something is missing. */
  #seekWebSeeds(): void {
    if (this.#paused || this.complete || this.webSeeds !== null) return;
    this.webSeeds = new WebSeeds({ ...this.#options, tell: (event) => this.#host.tell(event) }, {
      download: this.#download,
      peers: () => this.#host.peers(),
      failed: (error) => this.#host.failed(error),
    });
    this.webSeeds.add(this.#moreWebSeeds);
  }

  /**
   * Wants other files from now on. What is here of others stays; what is here of those already isn't fetched again.
   *
   * @param files Their indexes; all when `undefined`.
   * @throws {ShoalError} Of kind `storage` if something else is in the place of a file. The same files are wanted as before then.
   */
  async select(files: ReadonlySet<number> | undefined): Promise<void> {
    await this.#storage.select(files);
    this.#settled = false;
    this.#files = files;
    this.#wanted = wantedPiecesOf(this.meta, files);
    this.#whole = files === undefined ? this.#wanted : wantedPiecesOf(this.meta);
    // With what was written meanwhile, and without what has been found to be gone.
    const found = this.#storage.have;
    const shared = found.countShared(this.have);
    if (found.count > shared || this.have.count > shared) this.#download.reset(found);
    this.#arrange();
    this.#want(this.#obtainable);
  }

  /**
   * Hashes everything that is on disk.
   *
   * @param signal Ends it; then all is as before.
   * @throws {ShoalError} Of kind `storage` if a file can't be used.
   * @throws The signal's reason, when it is aborted.
   */
  async recheck(signal: AbortSignal): Promise<void> {
    this.#checked = 0;
    const have = await this.#storage.recheck({ signal, onProgress: (progress) => this.#hasChecked(progress) });
    this.#download.reset(have);
    this.#want(this.#wanted.pieces);
  }

  /**
   * Pieces can't be read any more, and aren't claimed from here on. Where nothing may be written, nobody fetches them again.
   *
   * @param pieces Which.
   * @throws {ShoalError} Of kind `storage` if a file isn't ours any more, or can't be renamed.
   */
  async forget(pieces: readonly number[]): Promise<void> {
    const before = this.have.clone();
    const lost = new Set(pieces);
    try {
      const have = await this.#storage.forget(pieces);
      // Of a file that has become shorter more is gone than somebody has tried to read.
      for (const index of before) if (!have.has(index)) lost.add(index);
    } finally {
      this.#download.lost(lost);
      this.#want(this.#obtainable);
    }
  }

  /**
   * Moves the files to another folder; see {@linkcode Storage.move}.
   *
   * @throws {ShoalError} Of kind `storage` if they can't be moved.
   */
  move(folder: string, progress: MoveProgress): Promise<void> {
    return this.#storage.move(folder, progress);
  }

  /**
   * Removes the files, and what is remembered of them; see {@linkcode Storage.removeData}.
   *
   * @throws {ShoalError} Of kind `storage` if something can't be removed.
   */
  removeData(): Promise<void> {
    return this.#storage.removeData();
  }

  /** Fetches pieces in order from now on, or the rarest first. */
  setSequential(sequential: boolean): void {
    this.#sequential = sequential;
    this.#arrange();
  }

  /** Fetches the pieces of some files before others. */
  setPriorities(priorities: ReadonlyMap<number, FilePriority>): void {
    this.#priorities = priorities;
    this.#arrange();
  }

  /** In which order pieces are fetched. */
  #arrange(): void {
    this.#download.setSequential(this.#sequential);
    this.#download.setPriorities(piecePriorities(this.meta, this.#priorities, this.#files));
  }

  /** What is wanted and can come: where nothing may be written, nothing does. */
  get #obtainable(): Bitfield {
    return this.#options.readOnly ? this.have : this.#wanted.pieces;
  }

  /** Other pieces are wanted, or here, than before. */
  #want(pieces: Bitfield): void {
    this.#count();
    this.#download.setWanted(pieces);
    this.#seekWebSeeds();
    if (!this.complete) this.#settled = false;
  }

  /** Waits until every wanted file is on the device under its final name. */
  async flush(): Promise<void> {
    await this.#storage.flush();
    this.#settled = this.complete;
  }

  /** Whether every wanted byte is verified and under its final name. */
  get settled(): boolean {
    return this.#settled && this.complete;
  }

  /** Whether the disk has failed so that nothing can be written any more. */
  get broken(): boolean {
    return this.#storage.failure !== null;
  }

  /** Whether it is closed, or is being closed. */
  get closed(): boolean {
    return this.#closing !== null;
  }

  /**
   * Takes note of web seeds that the torrent itself doesn't name.
   *
   * @param urls See `WebSeeds.add()`.
   */
  addWebSeeds(urls: readonly string[]): void {
    this.#moreWebSeeds.push(...urls);
    this.webSeeds?.add(urls);
  }

  /**
   * Ends what is under way: pieces that came are written, resume state is saved, the files are closed. Calling it again waits for
   * the same.
   *
   * @param why For those who are told that web seeds are left.
   * @throws {ShoalError} Of kind `storage` if something can't be written.
   */
  close(why: string): Promise<void> {
    return this.#closing ??= this.#close(why);
  }

  async #close(why: string): Promise<void> {
    this.webSeeds?.stop(why);
    await this.#download.stop();
    await this.#storage.close();
  }

  /** Regular work, `seconds` after the last. */
  tick(now: number, seconds: number): void {
    this.superSeeding?.turn(now, this.#host.peers());
    this.#download.tick(now);
    this.webSeeds?.tick(now, seconds);
  }

  /**
   * Whether there is no regular work as long as there are no peers.
   *
   * @param runs Whether anything is fetched; if not, memory of pieces that were begun may have to be given back at any time.
   */
  rests(runs: boolean): boolean {
    if (!runs) return this.#download.started.active.size === 0;
    return this.complete || this.webSeeds?.rests !== false;
  }

  /** Whether we have a piece. */
  canServe(index: number): boolean {
    return this.have.has(index);
  }

  /** Copies a block from the read cache, or returns `false` when it isn't there. */
  readBlock(block: Block, into: Bytes, at: number): boolean {
    return this.#storage.readCached(block.index, block.begin, block.length, into, at);
  }

  /**
   * Brings a block into the read cache.
   *
   * @throws {ShoalError} If it can't be read.
   */
  async loadBlock(index: number, begin: number, length: number): Promise<void> {
    try {
      await this.#storage.load(index, begin, length);
    } catch (error) {
      if (this.#closing === null) this.#host.unreadable({ index, begin, length });
      throw error;
    }
  }

  /**
   * Tries to read blocks that couldn't be read once more: it may have been a want of file descriptors, or a cable.
   *
   * @param blocks At most one a piece.
   * @returns Those pieces that can't be read now, either, and why the last one can't.
   */
  async readAgain(blocks: Iterable<Block>): Promise<{ readonly pieces: number[]; readonly error: unknown }> {
    const pieces: number[] = [];
    let error: unknown = null;
    for (const { index, begin, length } of blocks) {
      try {
        if (this.have.has(index)) await this.#storage.load(index, begin, length);
      } catch (thrown) {
        pieces.push(index);
        error = thrown;
      }
    }
    return { pieces, error };
  }

  #hasChecked(progress: number): void {
    this.#checked = progress;
    this.#host.tell({ event: "checking", progress });
  }

  #newDownload(have: Bitfield): PieceDownload {
    const { meta, platform } = this.#options;
    const host = this.#host;
    return new PieceDownload({
      pieceSize: (index) => pieceSize(meta, index),
      pieceHash: (index) => pieceHash(meta, index),
      writePiece: (index, data) => this.#storage.writePiece(index, data),
      hasPlace: (index) => this.#storage.hasPlace(index),
      writePart: (index, begin, data) => this.#storage.writePart(index, begin, data),
      readPart: (index, begin, into) => this.#storage.readPart(index, begin, into),
      claimPiece: (index, place) => this.#storage.claimPiece(index, place),
      placeOf: (index) => this.#storage.placeOf(index),
      peers: () => host.peers(),
      hostOf: (connection) => this.webSeeds?.hostOf(connection) ?? host.hostOf(connection),
      pieceDone: (index) => this.#pieceDone(index),
      pieceForgotten: () => this.#finishIfDone(),
      pieceFailed: (piece, peers) => host.tell({ event: "hash_failed", piece, peers }),
      lied: (liar, index) =>
        (this.webSeeds?.knows(liar) ? this.webSeeds : host).ban(liar, `it sent wrong data for piece ${index}`),
      broke: (error) => host.failed(error),
    }, { have, wanted: this.#wanted.pieces, pool: this.#pool, platform });
  }

  #pieceDone(index: number): void {
    this.#verified += this.#wanted.bytesOf(index);
    this.#verifiedOfWhole += this.#whole.bytesOf(index);
    if (this.#closing !== null) return;
    this.#host.pieceDone(index);
    this.#finishIfDone();
  }

  #finishIfDone(): void {
    if (!this.complete) return;
    this.webSeeds?.rest("the download is complete");
    this.#host.allDone();
  }

  /** Adds up what is verified. */
  #count(): void {
    this.#verified = verifiedBytes(this.#wanted, this.have);
    this.#verifiedOfWhole = this.#whole === this.#wanted ? this.#verified : verifiedBytes(this.#whole, this.have);
  }
}
