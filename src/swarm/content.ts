/**
 * The content of a torrent: its pieces on disk and in flight, and its web seeds. The torrent of a magnet link has no
 * content before the metadata has been found.
 *
 * @module
 */

import { Bitfield } from "../base/bitfield.ts";
import type { Bytes } from "../base/bytes.ts";
import type { PieceVerifier } from "../base/piece_verifier.ts";
import type { MemoryBudget } from "../base/memory_budget.ts";
import { infoHashesOf, layoutOf, type Metainfo, pathsOnDisk, verifierOf } from "../metainfo/mod.ts";
import type { BandwidthParties, Block, Peer } from "../peer/mod.ts";
import type { Platform } from "../platform/platform.ts";
import { type MoveProgress, type SearchedPlace, type StartMode, Storage } from "../storage/mod.ts";
import type { BlockHashSource } from "./pieces/block_hash_source.ts";
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

/** What {@linkcode Content} needs from the torrent. */
export interface ContentHost {
  /** Returns every connected peer. */
  peers(): Iterable<Peer>;
  /** Returns the address of a connection, given its number. */
  hostOf(connection: number): string;
  /** Bans an address for good. */
  ban(host: string, reason: string): void;
  /** Called when a piece has been verified and written. */
  pieceDone(index: number): void;
  /** Called when blocks of a piece that isn't whole can be read. */
  blocksReadable(index: number): void;
  /** Called when every wanted piece has been verified and written. */
  allDone(): void;
  /** Called when a block of a verified piece can't be read. */
  unreadable(block: Block): void;
  /** Called when an error stops the torrent. */
  failed(error: unknown): void;
  /** Emits an event of the torrent. */
  tell(event: UnnamedEvent): void;
}

/** Options for {@linkcode Content}. */
export interface ContentOptions {
  /** Clock, file system, network and hash functions. */
  readonly platform: Platform;
  /** The torrent. */
  readonly meta: Metainfo;
  /** Folder for the torrent's files, or for its own folder. */
  readonly folder: string;
  /** Indexes of the wanted files; all when `undefined`. */
  readonly files: ReadonlySet<number> | undefined;
  /** Whether pieces are fetched in order. */
  readonly sequential: boolean;
  /** Priorities of files by index. A file that is missing has normal priority. */
  readonly priorities: ReadonlyMap<number, FilePriority>;
  /** Whether files are never written. */
  readonly readOnly: boolean;
  /** Folder for resume state; `null` for none. */
  readonly stateFolder: string | null;
  /** Memory for pieces in flight and for reading, shared by all torrents. */
  readonly budget: MemoryBudget;
  /** Queue in which the torrents of a session wait to open their files. */
  readonly openings: OpeningQueue;
  /** Rate limits, shared with the other torrents. */
  readonly limits: BandwidthParties;
  /** Local address for web seeds, if one was chosen. */
  readonly bind: string | undefined;
  /** Web seeds besides those that the torrent names. */
  readonly webSeeds: readonly string[];
  /** Source of the hashes of single blocks (BEP 52); `null` or absent if there is none, as in v1. */
  readonly blockHashes?: BlockHashSource | null;
  /** Called with errors that don't stop the torrent. */
  onWarning(error: unknown): void;
}

/** While more bytes than this are left to hash, the next torrent may open its files. */
const MUCH_TO_CHECK = 64 * 1024 * 1024;

/** The pieces of one torrent. May be opened once; after an error another one takes its place. */
export class Content {
  /** The torrent. */
  readonly meta: Metainfo;
  /** Tells how long pieces are, and whether they are right. */
  readonly verifier: PieceVerifier;
  /** The web seeds; `null` while there has been nothing to fetch from them. */
  webSeeds: WebSeeds | null = null;
  /** Super-seeding; `null` unless the torrent was complete when it was opened. */
  superSeeding: SuperSeeding<Peer> | null = null;
  readonly #host: ContentHost;
  readonly #options: ContentOptions;
  readonly #storage: Storage;
  readonly #pool: BufferPool;
  #files: ReadonlySet<number> | undefined;
  #priorities: ReadonlyMap<number, FilePriority>;
  #sequential: boolean;
  #wanted: WantedPieces;
  /** All pieces, wanted or not. */
  #whole: WantedPieces;
  readonly #moreWebSeeds: string[];
  #download: PieceDownload;
  #checked = 0;
  #verified = 0;
  #verifiedOfWhole = 0;
  #settled = false;
  #inLine = false;
  #paused = true;
  #closing: Promise<void> | null = null;

  /** @throws {ShoalError} Of kind `storage` if a path could lead out of the folder. */
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
    this.verifier = verifierOf(meta, platform);
    this.#storage = new Storage(layoutOf(meta), {
      ...(files !== undefined && { files }),
      platform,
      folder,
      verifier: this.verifier,
      pathsOf: (index) => pathsOnDisk(meta.files[index]!),
      infoHash: infoHashesOf(meta).onWire[0]!,
      stateFolder: options.stateFolder,
      memory: options.budget,
      readOnly: options.readOnly,
      onWarning: (error) => options.onWarning(error),
    });
    this.#pool = new BufferPool(options.budget, Math.min(meta.pieceLength, meta.totalLength));
    this.#download = this.#newDownload(new Bitfield(meta.pieceCount));
  }

  /** Pieces that have been verified and written. */
  get have(): Bitfield {
    return this.#download.have;
  }

  /** The download of missing pieces. */
  get download(): PieceDownload {
    return this.#download;
  }

  /** Whether every wanted piece has been verified and written. */
  get complete(): boolean {
    return this.#download.complete;
  }

  /** Bytes of the wanted files, without padding. */
  get size(): number {
    return this.#wanted.size;
  }

  /** Wanted bytes that have been verified, without padding. */
  get verified(): number {
    return this.#verified;
  }

  /** Bytes of the torrent that are missing, wanted or not, without padding. */
  get left(): number {
    return this.#whole.size - this.#verifiedOfWhole;
  }

  /** Progress of the check of the data on disk, 0 to 1. */
  get checked(): number {
    return this.#checked;
  }

  /** `true` while the check waits until other torrents have been checked. */
  get inLine(): boolean {
    return this.#inLine;
  }

  /** `true` if every piece that was to come is here, though some are still to be checked and written. */
  get hasAllBlocks(): boolean {
    const { missing, verifying } = this.#download.started;
    return missing.count <= verifying;
  }

  /** Number of missing pieces that neither a connected peer nor a web seed has. */
  get unavailable(): number {
    const elsewhere = this.webSeeds?.has ?? null;
    if (elsewhere === "all") return 0;
    return this.#download.unavailable(elsewhere ?? undefined);
  }

  /** The pieces to draw. */
  get pieces(): DrawnPieces {
    return { wanted: this.#wanted.pieces, started: this.#download.started };
  }

  /** Payload bytes from web seeds. */
  get downloaded(): number {
    return this.webSeeds?.downloaded ?? 0;
  }

  /**
   * Checks what is on disk, when it is the torrent's turn in the queue.
   *
   * @param mode See {@linkcode Storage.open}.
   * @param signal Aborts the check.
   * @throws {ShoalError} Of kind `storage` if the data can't be read, or something else is in its place.
   * @throws The signal's reason, when it is aborted.
   */
  async open(mode: StartMode, signal: AbortSignal): Promise<void> {
    this.#inLine = true;
    const have = await this.#options.openings.take((passOn) => {
      this.#inLine = false;
      const onProgress = (progress: number) => {
        if ((1 - progress) * this.meta.totalLength > MUCH_TO_CHECK) passOn();
        this.#hasChecked(progress);
      };
      return this.#storage.open(mode, { signal, onProgress });
    }, signal);
    signal.throwIfAborted();
    this.#download = this.#newDownload(have);
    this.#arrange();
    if (this.#options.readOnly) this.#want(this.#obtainable);
    else this.#count();
    if (have.isFull) {
      this.superSeeding = new SuperSeeding(this.meta, {
        have,
        availability: (index) => this.#download.availability(index),
        random: () => this.#options.platform.random(),
      });
    }
  }

  /**
   * Pauses or resumes web seeds, which are paused at first.
   *
   * @param paused Whether web seeds are paused.
   */
  setPaused(paused: boolean): void {
    this.#paused = paused;
    this.#seekWebSeeds();
    this.webSeeds?.setPaused(paused);
  }

  /** Creates the web seeds when something is missing. */
  #seekWebSeeds(): void {
    if (this.#paused || this.complete || this.webSeeds !== null) return;
    this.webSeeds = new WebSeeds({
      ...this.#options,
      tell: (event) => this.#host.tell(event),
      warn: (message, where) => this.#host.tell({ event: "warning", message, where }),
    }, {
      download: this.#download,
      peers: () => this.#host.peers(),
      failed: (error) => this.#host.failed(error),
    });
    this.webSeeds.add(this.#moreWebSeeds);
  }

  /**
   * Changes the wanted files. Data of other files stays on disk, and data of the wanted files that is on disk isn't
   * fetched again.
   *
   * @param files Indexes of the files; all when `undefined`.
   * @throws {ShoalError} Of kind `storage` if something else is in the place of a file. The selection is unchanged
   * then.
   */
  async select(files: ReadonlySet<number> | undefined): Promise<void> {
    await this.#storage.select(files);
    this.#settled = false;
    this.#files = files;
    this.#wanted = wantedPiecesOf(this.meta, files);
    this.#whole = files === undefined ? this.#wanted : wantedPiecesOf(this.meta);
    // Storage may have written pieces meanwhile, or found that pieces are gone.
    const found = this.#storage.have;
    const shared = found.countShared(this.have);
    if (found.count > shared || this.have.count > shared) this.#download.reset(found);
    this.#arrange();
    this.#want(this.#obtainable);
  }

  /**
   * Hashes everything on disk.
   *
   * @param signal Aborts the check, which changes nothing then.
   * @throws {ShoalError} Of kind `storage` if a file can't be used.
   * @throws The signal's reason, when it is aborted.
   */
  async recheck(signal: AbortSignal): Promise<void> {
    this.#checked = 0;
    const have = await this.#storage.recheck({ signal, onProgress: (progress) => this.#hasChecked(progress) });
    this.#download.reset(have);
    this.#want(this.#obtainable);
  }

  /**
   * Marks pieces that can't be read any more as missing. They are fetched again unless the torrent is read-only.
   *
   * @param pieces Piece indexes.
   * @throws {ShoalError} Of kind `storage` if a file isn't ours any more, or can't be renamed.
   */
  async forget(pieces: readonly number[]): Promise<void> {
    const before = this.have.clone();
    const lost = new Set(pieces);
    try {
      const have = await this.#storage.forget(pieces);
      // A file that has become shorter lacks more pieces than those that were read.
      for (const index of before) if (!have.has(index)) lost.add(index);
    } finally {
      this.#download.lost(lost);
      this.#want(this.#obtainable);
    }
  }

  /**
   * Moves the files to another folder. See {@linkcode Storage.move}.
   *
   * @throws {ShoalError} Of kind `storage` if they can't be moved.
   */
  move(folder: string, progress: MoveProgress): Promise<void> {
    return this.#storage.move(folder, progress);
  }

  /** Returns the absolute paths of files under their final names, given their indexes. Only after the check. */
  finalPaths(indexes: readonly number[]): string[] {
    return this.#storage.finalPaths(indexes);
  }

  /**
   * Removes the files and the resume state. See {@linkcode Storage.removeData}.
   *
   * @throws {ShoalError} Of kind `storage` if something can't be removed.
   */
  removeData(): Promise<void> {
    return this.#storage.removeData();
  }

  /** Chooses between fetching pieces in order and rarest first. */
  setSequential(sequential: boolean): void {
    this.#sequential = sequential;
    this.#arrange();
  }

  /** Changes the priorities of files. */
  setPriorities(priorities: ReadonlyMap<number, FilePriority>): void {
    this.#priorities = priorities;
    this.#arrange();
  }

  /** Applies the order in which pieces are fetched. */
  #arrange(): void {
    this.#download.setSequential(this.#sequential);
    this.#download.setPriorities(piecePriorities(this.meta, this.#priorities, this.#files));
  }

  /** Wanted pieces that can be downloaded: none but those on disk if the torrent is read-only. */
  get #obtainable(): Bitfield {
    return this.#options.readOnly ? this.have : this.#wanted.pieces;
  }

  /** Applies a change of the wanted pieces or of the pieces on disk. */
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

  /** Whether every wanted byte has been verified and is under its final name. */
  get settled(): boolean {
    return this.#settled && this.complete;
  }

  /** Where the files were looked for and what is there, if none of them was found; else `null`. */
  searched(): Promise<SearchedPlace | null> {
    return this.#storage.searched();
  }

  /** Whether the disk has failed so that nothing can be written any more. */
  get broken(): boolean {
    return this.#storage.failure !== null;
  }

  /** Whether the content is closed or being closed. */
  get closed(): boolean {
    return this.#closing !== null;
  }

  /**
   * Adds web seeds that the torrent doesn't name.
   *
   * @param urls See `WebSeeds.add()`.
   */
  addWebSeeds(urls: readonly string[]): void {
    this.#moreWebSeeds.push(...urls);
    this.webSeeds?.add(urls);
  }

  /**
   * Stops the download, writes the complete pieces, saves the resume state and closes the files. A further call waits
   * for the same.
   *
   * @param why Reason for disconnecting web seeds, for the user.
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
   * Returns `true` if there is no regular work while there are no peers.
   *
   * @param runs Whether the torrent is active. If it isn't, memory of started pieces may have to be freed at any time.
   */
  rests(runs: boolean): boolean {
    if (!runs) return this.#download.started.active.size === 0;
    return this.complete || this.webSeeds?.idle !== false;
  }

  /** Returns `true` if we have a piece. */
  canServe(index: number): boolean {
    return this.have.has(index);
  }

  /**
   * Reads bytes of a piece that we have, past the read cache.
   *
   * @throws {ShoalError} If the bytes can't be read.
   */
  async readPiece(index: number, begin: number, into: Bytes): Promise<void> {
    try {
      await this.#storage.readVerified(index, begin, into);
    } catch (error) {
      if (this.#closing === null && this.have.has(index)) this.#host.unreadable({ index, begin, length: into.length });
      throw error;
    }
  }

  /** Copies a block from the read cache. Returns `false` if the cache doesn't have it. */
  readBlock(block: Block, into: Bytes, at: number): boolean {
    return this.#storage.readCached(block.index, block.begin, block.length, into, at);
  }

  /**
   * Loads a block into the read cache.
   *
   * @throws {ShoalError} If the block can't be read.
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
   * Tries once more to read blocks, since the error may have been a lack of file descriptors or a loose cable.
   *
   * @param blocks Blocks that couldn't be read, at most one per piece.
   * @returns The pieces that still can't be read, and the last error.
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
    const { platform, blockHashes = null } = this.#options;
    const host = this.#host;
    const download = new PieceDownload({
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
      sentWrongData: (liar, index) =>
        (this.webSeeds?.knows(liar) ? this.webSeeds : host).ban(liar, `it sent wrong data for piece ${index}`),
      diskFailed: (error) => host.failed(error),
    }, { have, wanted: this.#wanted.pieces, pool: this.#pool, platform, verifier: this.verifier, blockHashes });
    download.started.proofs.readable = (index) => host.blocksReadable(index);
    return download;
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

  /** Recounts the verified bytes. */
  #count(): void {
    this.#verified = verifiedBytes(this.#wanted, this.have);
    this.#verifiedOfWhole = this.#whole === this.#wanted ? this.#verified : verifiedBytes(this.#whole, this.have);
  }
}
