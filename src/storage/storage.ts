/**
 * The data of one torrent on disk: the room's front door.
 *
 * @module
 */

import { Bitfield } from "../base/bitfield.ts";
import type { Bytes } from "../base/bytes.ts";
import type { InfoHash } from "../base/info_hash.ts";
import type { MemoryBudget } from "../base/memory_budget.ts";
import { isFileFault } from "../platform/file_errors.ts";
import type { Platform } from "../platform/platform.ts";
import { checkPieces } from "./checker.ts";
import { DiskFiles } from "./disk_files.ts";
import { closedError, inUse, noClaim, type StorageError } from "./errors.ts";
import { type Claim, FolderLocks } from "./folder_locks.ts";
import { holdsData, PieceMap, type StorageLayout } from "./layout.ts";
import { PieceWriter } from "./piece_writer.ts";
import { ReadCache } from "./read_cache.ts";
import { ResumeKeeper } from "./resume_keeper.ts";
import { partFileName } from "./names.ts";
import type { StartMode } from "./resume_plan.ts";
import type { ResumeState } from "./resume_state.ts";
import { Settler } from "./settler.ts";
import { bringHome, findPieces } from "./start.ts";

/** Settings of a {@linkcode Storage}. */
export interface StorageOptions {
  /** The outside. */
  readonly platform: Pick<
    Platform,
    "now" | "wallClock" | "after" | "files" | "sha1" | "digest" | "startFileHashers"
  >;
  /** The download folder; made if it is missing, unless `readOnly` is set. */
  readonly folder: string;
  /** The SHA-1 digest that a piece must have. */
  pieceHash(index: number): Uint8Array;
  /** Which torrent; names the resume file. */
  readonly infoHash: InfoHash;
  /** All paths at which a file may lie already, the likeliest first; that of the layout when absent. */
  pathsOf?(index: number): readonly (readonly string[])[];
  /** Indexes of the files that are wanted; all when absent. */
  readonly files?: ReadonlySet<number>;
  /**
   * Where resume state is kept; `null` for none. Then nothing tells whose a `.part` file is in which no piece is right,
   * and it is taken for ours when it has the size that we give such a file.
   */
  readonly stateFolder: string | null;
  /** Where the memory comes from in which pieces are kept for peers that ask for them. */
  readonly memory: MemoryBudget;
  /** How many files may be open at one time; 128 when absent. */
  readonly maxOpenFiles?: number;
  /** Whether the data is only read: nothing is written to the folder, and only final names count. */
  readonly readOnly?: boolean;
  /** Told of trouble that stops nothing: once, when resume state can't be read or written. */
  onWarning?(error: StorageError): void;
}

/** Settings of {@linkcode Storage.open}. */
export interface OpenOptions {
  /** Told how far the check has come, 0 to 1, ten times a second at most. Not called when there is nothing to check. */
  onProgress(fraction: number): void;
  /** Ends the check. */
  readonly signal?: AbortSignal;
}

const MAX_OPEN_FILES = 128;
/** Milliseconds between two rounds of syncing. */
const SYNC_INTERVAL = 5000;

/**
 * Keeps the data of one torrent. Open it first; then write pieces as they are verified, and read what peers ask for.
 *
 * A file is called `NAME.part` until every piece that covers it is verified and written. Then it is synced, and only
 * then renamed, so that whatever is under its final name is right, even after the power failed. Resume state is saved
 * about every second; files are synced about every five.
 *
 * @example
 * ```ts
 * const storage = new Storage(metainfo, options);
 * const have = await storage.open("resume", { onProgress() {} });
 * await storage.writePiece(7, data);
 * if (!storage.readCached(7, 0, 16384, buffer, 0)) await storage.load(7, 0, 16384);
 * await storage.close();
 * ```
 */
export class Storage {
  readonly #map: PieceMap;
  readonly #options: StorageOptions;
  readonly #readOnly: boolean;
  readonly #disk: DiskFiles;
  readonly #writer: PieceWriter;
  readonly #cache: ReadCache;
  readonly #settler: Settler;
  readonly #keeper: ResumeKeeper | null;
  readonly #have: Bitfield;
  /** For each file, how many of its pieces aren't there. */
  readonly #missing: Uint32Array;
  /** Pieces with bytes in the partfile although there is a file for them. */
  readonly #split: Bitfield;
  #opened = false;
  #clean = false;
  #lastSync = 0;
  #closing: Promise<void> | null = null;
  /** What keeps others from downloading the torrent to the folder; `null` once nobody has to be kept out. */
  #claim: Claim | null = null;

  /**
   * @param layout The torrent; the objects of `metainfo/` fit.
   * @param options Where, and with what.
   * @throws {StorageError} If a path could lead out of the folder.
   */
  constructor(layout: StorageLayout, options: StorageOptions) {
    const { platform, folder, stateFolder, infoHash } = options;
    this.#options = options;
    this.#readOnly = options.readOnly ?? false;
    this.#map = new PieceMap(layout, options.files);
    this.#have = new Bitfield(layout.pieceCount);
    this.#split = new Bitfield(layout.pieceCount);
    this.#missing = new Uint32Array(layout.files.length + 1); // what is missing in the partfile is never asked for
    this.#disk = new DiskFiles(this.#map, {
      files: platform.files,
      folder,
      maxOpenFiles: options.maxOpenFiles ?? MAX_OPEN_FILES,
      readOnly: this.#readOnly,
      partName: partFileName(infoHash),
      ...(options.pathsOf && { pathsOf: (index) => options.pathsOf!(index) }),
    });
    this.#settler = new Settler(this.#map, { disk: this.#disk, onChange: () => this.#keeper?.touch() });
    this.#writer = new PieceWriter(this.#map, {
      open: this.#disk.open,
      beforeEnd: (file, handle) => this.#disk.checkSize(file, handle),
      onWrote: (file) => {
        this.#settler.wrote(file);
        this.#disk.wrote(file);
      },
      onPiece: (index) => this.#onPiece(index),
    });
    this.#cache = new ReadCache(layout, {
      read: (offset, into) => this.#disk.read(offset, into),
      memory: options.memory,
      after: (milliseconds, run) => platform.after(milliseconds, run),
    });
    this.#keeper = stateFolder === null ? null : new ResumeKeeper({
      platform,
      stateFolder,
      infoHash,
      isAlone: () => this.#claim !== null,
      prepare: () => this.#disk.noteTimes(),
      snapshot: () => this.#snapshot(),
      onTick: () => this.#syncIfDue(),
      onWarning: (error) => options.onWarning?.(error),
    });
  }

  /** Bytes that were handed to {@linkcode Storage.writePiece} and aren't written yet. */
  get bytesWaiting(): number {
    return this.#writer.bytesWaiting;
  }

  /**
   * Finds out what is there. To be called once, before anything else. Nothing is written before it is clear that
   * nothing of the user's is in the way.
   *
   * @param mode How.
   * @param options Whom to tell, and when to give up.
   * @returns The verified pieces.
   * @throws {ShoalError} If something else is in the place of a file, or a file can't be used.
   * @throws The signal's reason, when it is aborted.
   */
  async open(mode: StartMode, options: OpenOptions): Promise<Bitfield> {
    try {
      // Whoever has it now may finish files and rename them meanwhile: what is there is looked at after that.
      if (!this.#readOnly) await this.#claimTorrent(await this.#disk.findRoot());
      await this.#disk.scan();
      const { have, believed, left } = await findPieces(this.#map, {
        disk: this.#disk,
        mode,
        state: await this.#loadState(),
        readOnly: this.#readOnly,
        takeParts: () => this.#keeper?.hasFailed ?? true,
        check: (pieces) => this.#check(pieces, options),
      });
      this.#have.addAll(have);
      for (const file of left) {
        for (const { piece } of this.#map.slotsOfFile(file)) {
          if (this.#map.isDiverted(file, piece)) this.#split.set(piece);
        }
      }
      this.#takeStock(believed);
      await this.saveState();
      if (!this.#readOnly) {
        if (await bringHome(this.#map, { disk: this.#disk, have })) await this.saveState();
        if (!this.#map.usesPartFile) await this.#disk.removePartFile();
        this.#startSettling();
      }
      this.#opened = true;
      return this.#have.clone();
    } catch (error) {
      this.#keeper?.stop();
      await this.#disk.close().catch(() => {}); // the first failure is the one to tell
      await this.#letGo();
      throw error;
    }
  }

  /**
   * Writes a verified piece. Several may be under way.
   *
   * @param index Which.
   * @param data All of it; must not change until the promise settles.
   * @returns Settles when it is in the file, though perhaps not on the device.
   * @throws {ShoalError} If it can't be written, or something went wrong in the background. The piece isn't claimed
   * then.
   */
  writePiece(index: number, data: Bytes): Promise<void> {
    const refusal = this.#refusal(index);
    if (refusal !== null) return Promise.reject(refusal);
    if (data.length !== this.#map.pieceSize(index)) {
      const size = this.#map.pieceSize(index);
      return Promise.reject(new RangeError(`Piece ${index} has ${size} bytes, got ${data.length}`));
    }
    if (this.#have.has(index)) return Promise.resolve();
    return this.#writer.write(index, data);
  }

  /**
   * Copies bytes of a piece, if the read cache has all of them.
   *
   * @param index The piece.
   * @param begin First byte in the piece.
   * @param length Bytes.
   * @param into Where to.
   * @param at First byte there.
   * @returns Whether it has; if not, {@linkcode Storage.load} them.
   */
  readCached(index: number, begin: number, length: number, into: Bytes, at: number): boolean {
    return this.#have.has(index) && this.#cache.copy(index, begin, length, into, at);
  }

  /**
   * Brings bytes of a piece into the read cache, with what lies around them. Loads of the same stretch are done once.
   * Read them straight after, and load again if that fails: they may have been dropped already to make room for others.
   *
   * @param index The piece.
   * @param begin First byte in the piece.
   * @param length Bytes.
   * @throws {ShoalError} If a file can't be read.
   * @throws {RangeError} If the piece isn't there, or the bytes aren't in it.
   */
  load(index: number, begin: number, length: number): Promise<void> {
    if (this.#closing !== null) return Promise.reject(closedError(this.#options.folder));
    if (!this.#have.has(index)) return Promise.reject(new RangeError(`Piece ${index} is not there to be read`));
    if (begin < 0 || length < 0 || begin + length > this.#map.pieceSize(index)) {
      return Promise.reject(new RangeError(`Piece ${index} has no ${length} bytes at ${begin}`));
    }
    return this.#cache.load(index, begin, length);
  }

  /**
   * Waits until everything that was written is on the device and every whole file has its final name. When that is all
   * there is, in files of its own, others may open the folder to write, too: they find nothing to do.
   *
   * @throws {ShoalError} If that can't be.
   */
  async flush(): Promise<void> {
    await this.#writer.idle();
    if (!this.#readOnly) this.#settler.sync();
    await this.#settler.idle();
    await this.saveState();
    if (this.#settler.refusal !== null) throw this.#settler.refusal;
    if (this.#have.isFull && !this.#map.usesPartFile) await this.#letGo();
  }

  /** Saves resume state now. It is saved by itself about every second while there are changes. Never fails. */
  async saveState(): Promise<void> {
    await this.#keeper?.save();
  }

  /**
   * Finishes the writes, syncs, saves resume state and closes the files. Does as much of it as it can when something
   * fails.
   *
   * @throws {ShoalError} The first failure, be it new or one that has stopped the background work before.
   */
  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    this.#keeper?.stop();
    const failures: unknown[] = [];
    const attempt = async (work: () => Promise<void>): Promise<void> => {
      try {
        await work();
      } catch (thrown) {
        failures.push(thrown);
      }
    };
    await this.#writer.idle();
    if (this.#opened && !this.#readOnly) {
      this.#settler.sync();
      await attempt(() => this.#settler.idle());
    }
    this.#cache.clear();
    await attempt(() => this.#disk.close());
    this.#clean = failures.length === 0;
    if (this.#opened) await this.saveState();
    await this.#letGo();
    if (failures.length > 0) throw failures[0];
  }

  /** Keeps others from downloading the torrent to the folder. */
  async #claimTorrent(root: string): Promise<void> {
    const { platform, infoHash, onWarning } = this.#options;
    const parts = { infoHash, now: platform.wallClock() };
    try {
      this.#claim = await FolderLocks.of(platform.files).take(root, parts);
    } catch (error) {
      // Where nothing can be written nobody downloads: what is there is served at most.
      if (!isFileFault(error, "denied") && !isFileFault(error, "read-only")) {
        onWarning?.(noClaim(root, error));
      }
      return;
    }
    if (this.#claim === null) throw inUse(root);
  }

  /** Lets others download the torrent to the folder. */
  async #letGo(): Promise<void> {
    const claim = this.#claim;
    this.#claim = null;
    await this.#keeper?.idle();
    await claim?.release();
  }

  async #loadState(): Promise<ResumeState | null> {
    const { pieceCount, files } = this.#map.layout;
    const shape = { pieceCount, fileCount: files.length };
    const state = await this.#keeper?.load(shape, { folder: this.#disk.root }) ?? null;
    return state !== null && state.infoHash.equals(this.#options.infoHash) && state.folder === this.#disk.root
      ? state
      : null;
  }

  #check(pieces: Bitfield, { onProgress, signal }: OpenOptions): Promise<Bitfield> {
    return checkPieces(this.#map, pieces, {
      disk: this.#disk,
      platform: this.#options.platform,
      pieceHash: (index) => this.#options.pieceHash(index),
      onProgress,
      signal,
    });
  }

  /** Fills in the books: what is safe. */
  #takeStock(believed: Bitfield): void {
    for (const piece of this.#have) {
      const unsafe = this.#readOnly || believed.has(piece)
        ? []
        : this.#map.rangesOfPiece(piece).filter((range) => this.#disk.placeOf(range.file) !== "final");
      (unsafe.length === 0 ? this.#settler.durable : this.#settler.unsynced).set(piece);
      for (const range of unsafe) this.#settler.wrote(range.file);
    }
    if (this.#have.isFull) this.#cache.complete();
    this.#clean = this.#readOnly;
    this.#lastSync = this.#options.platform.now();
  }

  /** Counts what is missing, and finishes what is whole. */
  #startSettling(): void {
    this.#settler.start();
    for (const [index, file] of this.#map.layout.files.entries()) {
      if (!holdsData(file) || this.#map.isDiverted(index)) continue;
      const { first, end } = this.#map.piecesOfFile(index);
      for (let piece = first; piece < end; piece++) if (!this.#have.has(piece)) this.#missing[index]!++;
      if (this.#missing[index] === 0 && this.#disk.placeOf(index) === "part") this.#settler.finish(index);
    }
    if (this.#settler.isDirty) this.#keeper?.touch();
  }

  #onPiece(index: number): void {
    if (!this.#have.set(index)) return;
    this.#settler.unsynced.set(index);
    for (const { file } of this.#map.rangesOfPiece(index)) {
      if (--this.#missing[file]! === 0) this.#settler.finish(file);
    }
    if (this.#have.isFull) this.#cache.complete();
    this.#keeper?.touch();
  }

  #syncIfDue(): void {
    const now = this.#options.platform.now();
    if (!this.#settler.isDirty || this.#settler.failure !== null) return;
    if (now - this.#lastSync >= SYNC_INTERVAL) {
      this.#lastSync = now;
      this.#settler.sync();
    } else {
      this.#keeper?.touch();
    }
  }

  #snapshot(): ResumeState {
    const records = this.#disk.records();
    const partFile = records.pop()!;
    const { durable, unsynced } = this.#settler;
    const [pieces, toCheck] = this.#split.isEmpty ? [durable, unsynced] : [durable.clone(), unsynced.clone()];
    // The next start finds a file in the place of what the partfile has, and must not believe that it is the same.
    for (const piece of this.#split) if (pieces.clear(piece)) toCheck.set(piece);
    return {
      infoHash: this.#options.infoHash,
      folder: this.#disk.root,
      saved: Math.max(0, Math.floor(this.#options.platform.wallClock())),
      clean: this.#clean,
      pieces,
      unsynced: toCheck,
      files: records,
      ...(partFile.place !== "absent" && { partFile }),
    };
  }

  /** Why a piece can't be written, or `null`. */
  #refusal(index: number): Error | null {
    if (!Number.isInteger(index) || index < 0 || index >= this.#map.layout.pieceCount) {
      return new RangeError(`There is no piece ${index}`);
    }
    if (!this.#map.hasPlace(index)) return new RangeError(`Piece ${index} belongs to files that are not wanted`);
    if (!this.#opened || this.#readOnly) return new Error("This storage is not open for writing");
    if (this.#closing !== null) return closedError(this.#options.folder);
    const { failure } = this.#settler;
    return failure === null ? null : asError(failure.thrown);
  }
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
