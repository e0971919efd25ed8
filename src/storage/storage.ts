/**
 * The data of one torrent on disk: the entry point of this folder.
 *
 * @module
 */

import { Bitfield } from "../base/bitfield.ts";
import type { Bytes } from "../base/bytes.ts";
import { asError, cannotMove, closedError, missingPieceError, NotWantedError } from "./errors.ts";
import { AccessGate, SerialQueue } from "./access_gate.ts";
import { listPlace, type SearchedPlace } from "./find_place.ts";
import type { StorageLayout } from "./layout.ts";
import { type MoveProgress, moveTorrent } from "./move_torrent.ts";
import { ReadCache } from "./read_cache.ts";
import type { StartMode } from "./resume_plan.ts";
import type { OpenOptions, StorageOptions } from "./storage_options.ts";
import { WorkingFiles } from "./working_files.ts";

export type { MoveProgress, OpenOptions, StorageOptions };

/**
 * Keeps the data of one torrent. Open it first; then write pieces as they are verified, and read what peers request.
 *
 * A file is called `NAME.part` until every piece that covers it is verified and written. Then it is synced, and only
 * then renamed, so that data under a final name is right even after a power failure. Resume state is saved about every
 * second; files are synced about every five.
 *
 * While the storage is open, other files can be selected, the data on disk can be checked again, and all files can be
 * moved to another folder. Such operations run one at a time. Pieces that arrive meanwhile are written afterwards;
 * reads wait for moments only.
 *
 * @example
 * ```ts
 * const storage = new Storage(metainfo, options);
 * const have = await storage.open("resume", { onProgress() {} });
 * await storage.writePiece(7, data);
 * if (!storage.readCached(7, 0, 16384, buffer, 0)) await storage.load(7, 0, 16384);
 * await storage.select(new Set([0, 3]));
 * await storage.close();
 * ```
 */
export class Storage {
  readonly #layout: StorageLayout;
  readonly #options: StorageOptions;
  readonly #readOnly: boolean;
  /** Files of the torrent and their resume state. */
  readonly #working: WorkingFiles;
  readonly #cache: ReadCache;
  #closing: Promise<void> | null = null;
  /** Aborts the running operation when the files are closed. */
  readonly #abort = new AbortController();
  readonly #turns = new SerialQueue();
  /** Holds back writes during an operation. */
  readonly #writes = new AccessGate();

  /**
   * @param layout Layout of the torrent; the objects of `metainfo/` have this shape.
   * @param options See {@linkcode StorageOptions}.
   * @throws {StorageError} If a path could lead out of the folder.
   */
  constructor(layout: StorageLayout, options: StorageOptions) {
    const { platform, memory } = options;
    this.#layout = layout;
    this.#options = options;
    this.#readOnly = options.readOnly ?? false;
    this.#cache = new ReadCache(layout, {
      read: (offset, into) => this.#working.read(offset, into),
      memory,
      after: (milliseconds, run) => platform.after(milliseconds, run),
    });
    this.#working = new WorkingFiles(layout, {
      options,
      cache: this.#cache,
      closing: this.#abort.signal,
      mayWrite: () => !this.#writes.isClosed,
    });
  }

  /**
   * What stops all writing, and perhaps reading: an error in the background, or an operation that could be neither
   * finished nor undone. `null` if nothing does.
   */
  get failure(): { readonly thrown: unknown } | null {
    return this.#working.failure ?? this.#working.now.flusher.failure;
  }

  /** Where the files were looked for and what is there, if none of them was found; else `null`. */
  async searched(): Promise<SearchedPlace | null> {
    const { disk } = this.#working.now;
    if (disk.all.some(({ place }) => place !== "absent")) return null;
    return await listPlace(disk.place, this.#options.platform.files);
  }

  /**
   * Returns the absolute paths of files under their final names. Only after {@linkcode Storage.open}.
   *
   * @param indexes Indexes of the files.
   */
  finalPaths(indexes: readonly number[]): string[] {
    return indexes.map((index) => this.#working.now.disk.finalPathOf(index));
  }

  /** Copy of the set of verified pieces. */
  get have(): Bitfield {
    return this.#working.now.have.clone();
  }

  /**
   * Finds the pieces on disk. Called once, before anything else. Nothing is written until it is certain that no file of
   * the user's is in the way.
   *
   * @param mode How the pieces are found.
   * @param options See {@linkcode OpenOptions}.
   * @returns The verified pieces.
   * @throws {ShoalError} If something else is in the place of a file, or a file can't be used.
   * @throws The signal's reason, when it is aborted.
   */
  open(mode: StartMode, options: OpenOptions): Promise<Bitfield> {
    return this.#inTurn(() => this.#working.open(mode, options));
  }

  /**
   * Changes the wanted files, with the same result as if the storage had been opened with them. Data of a file that is
   * no longer wanted stays and is served; the file is finished only if it becomes complete. Data of a newly wanted file
   * that came along with other files is moved out of the partfile. The call waits until earlier writes are durable; a
   * piece that is passed meanwhile and has no place afterwards is refused.
   *
   * @param files Indexes of the wanted files; all when `undefined`.
   * @returns The verified pieces.
   * @throws {ShoalError} If something else is in the place of a file, or a file can't be used. The wanted files are the
   * same as before then.
   */
  select(files: ReadonlySet<number> | undefined): Promise<Bitfield> {
    return this.#operate(async () => {
      if (!await this.#working.settle()) {
        throw this.#working.now.flusher.failure?.thrown ?? this.#working.failure?.thrown;
      }
      await this.#working.lock();
      await this.#working.reload({ mode: "resume", clean: true, wanted: files && new Set(files) });
    });
  }

  /**
   * Hashes the data on disk again, and trusts nothing. Serves the pieces known before until the check is over. Files
   * that turn out to be incomplete become unfinished files if they are ours.
   *
   * @returns The verified pieces.
   * @throws {ShoalError} If a file can't be used, or was replaced by another one. Pieces that were found to be wrong
   * count as missing then.
   * @throws The signal's reason, when it is aborted. Nothing has changed then.
   */
  recheck(options: OpenOptions): Promise<Bitfield> {
    return this.#operate(async () => {
      options.signal?.throwIfAborted();
      const clean = await this.#working.settle();
      await this.#working.lock();
      await this.#working.reload({ ...options, mode: "check", clean, wanted: this.#working.now.wanted });
    });
  }

  /**
   * Marks pieces as missing because they can't be read or are no longer right, together with pieces that were lost
   * because a file is gone or has become shorter. A file that lacks a piece gets its `.part` name, unless nothing may
   * be changed; when the pieces are written again, it gets its final name back.
   *
   * @returns The verified pieces.
   * @throws {ShoalError} If a file is no longer ours or can't be renamed. The pieces count as missing nevertheless.
   */
  forget(pieces: Iterable<number>): Promise<Bitfield> {
    const lost = [...pieces].filter((piece) => this.#isPiece(piece));
    return this.#operate(async () => {
      await this.#working.settle();
      await this.#working.forget(lost);
    });
  }

  /**
   * Moves all files to another download folder, on the same file system or another one. Reads go on meanwhile; writes
   * go on until the unfinished files are moved. If the process ends before the promise settles, the torrent may be
   * opened in either folder, which brings all files to that folder. Record the new folder as soon as the promise
   * resolves; a second later the resume state of the old folder is removed.
   *
   * @param folder The other folder; created if it is missing.
   * @param options See {@linkcode MoveProgress}.
   * @throws {ShoalError} If something is in the way in the other folder, the other folder is inside a folder of the
   * torrent, another process downloads the torrent there, or a file can't be moved. Nothing has changed then, unless
   * {@linkcode Storage.failure} says that files could not be moved back.
   * @throws The signal's reason, when it is aborted.
   */
  move(folder: string, options: MoveProgress = {}): Promise<void> {
    return this.#inTurn(async () => {
      if (!this.#working.opened || this.#readOnly) throw cannotMove(folder, "the files are not open for writing");
      if (this.#working.failure !== null) throw this.#working.failure.thrown;
      const host = {
        options: this.#options,
        files: this.#working.now,
        claim: this.#working.claim,
        keeper: this.#working.keeper,
        signal: this.#working.endingBy(options.signal),
        hold: (work: () => Promise<void>) =>
          this.#hold(async () => {
            if (!await this.#working.settle()) throw this.#working.now.flusher.failure?.thrown;
            await work();
          }),
        snapshot: () => this.#working.snapshot(),
        setOther: (other: string | null) => void (this.#working.otherFolder = other),
      };
      try {
        await this.#working.noteMove();
        const claim = await moveTorrent(folder, host, (fraction) => options.onProgress?.(fraction));
        if (claim === null) return;
        this.#working.claim = claim;
        this.#working.folder = this.#working.now.disk.root;
        this.#working.hasMoved = true;
        this.#working.keeper?.touch();
      } catch (thrown) {
        // Files are in both folders, and could not be moved back.
        if (this.#working.otherFolder !== null) this.#working.failure = { thrown };
        throw thrown;
      }
    });
  }

  /**
   * Returns `true` if a piece can be stored, because it is wanted or the partfile has a place for the unwanted part.
   */
  hasPlace(index: number): boolean {
    return this.#working.now.map.hasPlace(index);
  }

  /**
   * Writes a verified piece. Several pieces may be written at the same time.
   *
   * @param index Index of the piece.
   * @param data All bytes of the piece, or all before the padding at its end. They must not change until the promise
   * settles.
   * @returns Resolves when the piece is in its files, though perhaps not on the device.
   * @throws {ShoalError} If the piece can't be written, or an error in the background has stopped writing. The piece
   * counts as missing then.
   */
  writePiece(index: number, data: Bytes): Promise<void> {
    const refusal = this.#closing === null ? this.#refusal(index) : closedError(this.#working.folder);
    if (refusal !== null) return Promise.reject(refusal);
    const size = this.#working.now.map.pieceSize(index);
    const isWhole = () =>
      this.#working.now.map.rangesOfPiece(index).every(({ at, length }) => at + length <= data.length);
    if (data.length > size || (data.length < size && !isWhole())) {
      return Promise.reject(new RangeError(`Piece ${index} has ${size} bytes, got ${data.length}`));
    }
    if (!this.#writes.isClosed) return this.#writes.run(() => this.#write(index, data));
    return this.#writes.run(() => {
      // The operation that held back this write may have changed which pieces can be written.
      const refusal = this.#refusal(index);
      return refusal === null ? this.#write(index, data) : Promise.reject(refusal);
    });
  }

  #write(index: number, data: Bytes): Promise<void> {
    return this.#working.now.have.has(index) ? Promise.resolve() : this.#working.now.writer.write(index, data);
  }

  /**
   * Writes bytes of a piece that is not verified yet to their place, never under a final name. After a kill they count
   * as missing. Bytes for the same place may be written again only after the first write is done.
   *
   * @param index Index of the piece. Nothing is written if the piece is already verified.
   * @param begin Offset of the first byte in the piece.
   * @param data Bytes to write. They must not change until the promise settles.
   * @throws {ShoalError} If the bytes can't be written, or an error in the background has stopped writing.
   */
  writePart(index: number, begin: number, data: Bytes): Promise<void> {
    return this.#writes.run(() => {
      const refusal = this.#refusalOfPart(index, begin, data.length);
      if (refusal !== null) return Promise.reject(refusal);
      const { have, writer } = this.#working.now;
      return have.has(index) ? Promise.resolve() : writer.writePart(index * this.#layout.pieceLength + begin, data);
    });
  }

  /**
   * Reads bytes of a piece, verified or not. Padding reads as zeros.
   *
   * @param index Index of the piece.
   * @param begin Offset of the first byte in the piece.
   * @param into Buffer to fill completely.
   * @throws {ShoalError} If the bytes can't be read.
   */
  readPart(index: number, begin: number, into: Bytes): Promise<void> {
    return this.#working.whileStill(() => {
      const refusal = this.#refusalOfPart(index, begin, into.length);
      if (refusal !== null) return Promise.reject(refusal);
      return this.#working.now.disk.read(index * this.#layout.pieceLength + begin, into);
    });
  }

  /**
   * Reads bytes of a verified piece, past the read cache. Padding reads as zeros.
   *
   * @param index Index of the piece.
   * @param begin Offset of the first byte in the piece.
   * @param into Buffer to fill completely.
   * @throws {ShoalError} If we don't have the piece, the storage is closed, or the bytes can't be read.
   */
  readVerified(index: number, begin: number, into: Bytes): Promise<void> {
    return this.#working.whileStill(() => {
      if (this.#closing !== null) return Promise.reject(closedError(this.#working.folder));
      if (!this.#working.now.have.has(index)) return Promise.reject(missingPieceError(index));
      return this.#working.now.disk.read(index * this.#layout.pieceLength + begin, into);
    });
  }

  /**
   * Marks a piece as present that was written in parts and is verified now. All its writes must be done.
   *
   * @param index Index of the piece.
   * @param place Result of {@linkcode Storage.placeOf} when the first part was written.
   * @returns Whether the piece still is at that place. Otherwise it counts as missing.
   * @throws {ShoalError} If an error in the background has stopped writing. The piece counts as missing then.
   */
  claimPiece(index: number, place: string): Promise<boolean> {
    return this.#writes.run(() => {
      const isThere = place === this.placeOf(index);
      const refusal = isThere ? this.#refusalOfPart(index, 0, 0) : null;
      if (refusal !== null) return Promise.reject(refusal);
      if (isThere) this.#working.now.markPresent(index);
      return Promise.resolve(isThere);
    });
  }

  /**
   * Returns a string that stands for where a piece is on disk. If it has changed, the unverified data of the piece is
   * lost.
   */
  placeOf(index: number): string {
    return `${this.#working.generation}: ${this.#working.now.map.placeOf(index)}`;
  }

  /**
   * Copies bytes of a piece if the read cache has all of them.
   *
   * @param index Index of the piece.
   * @param begin Offset of the first byte in the piece.
   * @param length Number of bytes.
   * @param into Buffer to copy to.
   * @param at Offset of the first byte in the buffer.
   * @returns Whether the cache has the bytes; otherwise call {@linkcode Storage.load}.
   */
  readCached(index: number, begin: number, length: number, into: Bytes, at: number): boolean {
    return this.#working.now.have.has(index) && this.#cache.copy(index, begin, length, into, at);
  }

  /**
   * Loads bytes of a piece, and the bytes around them, into the read cache. Concurrent loads of the same range share
   * one read. Read the bytes right afterwards, and load again if that fails, because other reads may have displaced
   * them already.
   *
   * @param index Index of the piece.
   * @param begin Offset of the first byte in the piece.
   * @param length Number of bytes.
   * @throws {ShoalError} If a file can't be read.
   * @throws {RangeError} If the piece is missing, or the bytes are not in it.
   */
  load(index: number, begin: number, length: number): Promise<void> {
    if (this.#closing !== null) return Promise.reject(closedError(this.#working.folder));
    if (this.#working.failure !== null) return Promise.reject(this.#working.failure.thrown);
    if (!this.#working.now.have.has(index)) {
      return Promise.reject(new RangeError(`Piece ${index} is not there to be read`));
    }
    const { pieceLength, totalLength } = this.#layout;
    const size = this.#layout.servedSize?.(index) ?? Math.min(pieceLength, totalLength - index * pieceLength);
    if (begin < 0 || length < 0 || begin + length > size) {
      return Promise.reject(new RangeError(`Piece ${index} has no ${length} bytes at ${begin}`));
    }
    return this.#cache.load(index, begin, length);
  }

  /**
   * Waits until all written data is on the device and every complete file has its final name. If that is the whole
   * torrent, all of it outside the partfile, the lock is released, because another process that opens the folder finds
   * nothing to write.
   *
   * @throws {ShoalError} If the data can't be synced, or a file can't get its final name.
   */
  flush(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#working.failure !== null) throw this.#working.failure.thrown;
      const { writer, flusher, have, map } = this.#working.now;
      await writer.idle();
      if (!this.#readOnly) flusher.sync();
      await flusher.idle();
      await this.saveState();
      if (flusher.refusal !== null) throw flusher.refusal;
      if (have.isFull && !map.usesPartFile) await this.#working.unlock();
    });
  }

  /** Saves the resume state now. While there are changes, it is also saved about every second. Never rejects. */
  async saveState(): Promise<void> {
    await this.#working.keeper?.save();
  }

  /**
   * Aborts the running operation, finishes the writes, syncs, saves the resume state and closes the files. If a step
   * fails, the other steps are done nevertheless, so that another process can use the folder in any case.
   *
   * @throws {ShoalError} The first failure, which may be the one that has stopped the background work before.
   */
  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    this.#working.keeper?.stop();
    this.#abort.abort(closedError(this.#working.folder));
    await this.#turns.idle();
    const { writer, flusher, disk } = this.#working.now;
    const failures: unknown[] = this.#working.failure === null ? [] : [this.#working.failure.thrown];
    const attempt = async (work: () => Promise<void>): Promise<void> => {
      try {
        await work();
      } catch (thrown) {
        failures.push(thrown);
      }
    };
    await writer.idle();
    if (this.#working.opened && !this.#readOnly && this.#working.failure === null) {
      flusher.sync();
      await attempt(() => flusher.idle());
    }
    this.#cache.clear();
    await attempt(() => disk.close());
    this.#working.clean = failures.length === 0;
    await this.#working.noteMove();
    if (this.#working.opened) await this.saveState();
    await this.#working.unlock();
    if (failures.length > 0) throw failures[0];
  }

  /**
   * Removes the files of the torrent under all their names, its links, its resume state, and the folders that become
   * empty; nothing else. Closes the files first. The storage can't be used afterwards.
   *
   * @throws {ShoalError} If another process downloads the torrent to the folder, or something can't be removed.
   */
  async removeData(): Promise<void> {
    await this.close().catch(() => {}); // unwritten data is not needed any more
    await this.#turns.run(() => this.#working.remove());
  }

  /** Runs an operation after all earlier ones, unless the files are closed. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const refuse = () => Promise.reject(closedError(this.#working.folder));
    if (this.#closing !== null) return refuse();
    return this.#turns.run(() => this.#closing === null ? work() : refuse());
  }

  /** Runs an operation in turn while no piece is being written, and returns the verified pieces. */
  #operate(work: () => Promise<void>): Promise<Bitfield> {
    return this.#inTurn(async () => {
      if (!this.#working.opened) throw new Error("This storage is not open");
      const wasHeld = this.#working.claim.isHeld;
      try {
        await this.#hold(work);
      } finally {
        const { have, map } = this.#working.now;
        if (!wasHeld && have.isFull && !map.usesPartFile) await this.#working.unlock();
      }
      return this.have;
    });
  }

  /** Runs a job while no piece is being written. */
  async #hold(work: () => Promise<void>): Promise<void> {
    await this.#writes.close();
    try {
      await this.#working.now.writer.idle();
      await work();
    } finally {
      this.#writes.open();
      this.#working.keeper?.touch();
    }
  }

  #isPiece(index: number): boolean {
    return Number.isInteger(index) && index >= 0 && index < this.#layout.pieceCount;
  }

  #refusalOfPart(index: number, begin: number, length: number): Error | null {
    const refusal = this.#closing === null ? this.#refusal(index) : closedError(this.#working.folder);
    const isInside = begin >= 0 && begin + length <= this.#working.now.map.pieceSize(index);
    return refusal ?? (isInside ? null : new RangeError(`Piece ${index} has no ${length} bytes at ${begin}`));
  }

  /** Returns why a piece can't be written, or `null` if it can. */
  #refusal(index: number): Error | null {
    if (!this.#isPiece(index)) return new RangeError(`There is no piece ${index}`);
    // Other files may have been selected while the piece was being verified.
    if (!this.#working.now.map.hasPlace(index)) return new NotWantedError(index);
    if (!this.#working.opened || this.#readOnly) return new Error("This storage is not open for writing");
    const failure = this.#working.failure ?? this.#working.now.flusher.failure;
    return failure && asError(failure.thrown);
  }
}
