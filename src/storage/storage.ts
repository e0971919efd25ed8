/**
 * The data of one torrent on disk: the room's front door.
 *
 * @module
 */

import { Bitfield } from "../base/bitfield.ts";
import type { Bytes } from "../base/bytes.ts";
import { asError, cannotMove, closedError, NotWantedError } from "./errors.ts";
import { AccessGate, SerialQueue } from "./access_gate.ts";
import type { StorageLayout } from "./layout.ts";
import { type MoveProgress, moveTorrent } from "./move_torrent.ts";
import { ReadCache } from "./read_cache.ts";
import type { StartMode } from "./resume_plan.ts";
import type { OpenOptions, StorageOptions } from "./storage_options.ts";
import { WorkingFiles } from "./working_files.ts";

export type { MoveProgress, OpenOptions, StorageOptions };

/**
 * Keeps the data of one torrent. Open it first; then write pieces as they are verified, and read what peers ask for.
 *
 * A file is called `NAME.part` until every piece that covers it is verified and written. Then it is synced, and only
 * then renamed, so that whatever is under its final name is right, even after the power failed. Resume state is saved
 * about every second; files are synced about every five.
 *
 * While it is open, other files can be chosen, what is on disk can be checked again, and all of it can be moved to another
 * folder. Such operations take turns. Pieces that are handed over meanwhile are written afterwards; reads wait for
 * moments only.
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
  /** Everything on disk. */
  readonly #working: WorkingFiles;
  readonly #cache: ReadCache;
  #closing: Promise<void> | null = null;
  /** Ends the operation that is under way when the files are closed. */
  readonly #abort = new AbortController();
  readonly #turns = new SerialQueue();
  /** Holds back writes while an operation is under way. */
  readonly #writes = new AccessGate();
  /** Bytes of the pieces that are held back. */

  /**
   * @param layout The torrent; the objects of `metainfo/` fit.
   * @param options Where, and with what.
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
      mayWrite: () => !this.#writes.isRaised,
    });
  }

  /**
   * What stops all writing, and perhaps reading: something in the background, or an operation that could neither be ended nor undone.
   * `null` while nothing does.
   */
  get failure(): { readonly thrown: unknown } | null {
    return this.#working.failure ?? this.#working.now.flusher.failure;
  }

  /** The pieces that are there: a copy. */
  get have(): Bitfield {
    return this.#working.now.have.clone();
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
  open(mode: StartMode, options: OpenOptions): Promise<Bitfield> {
    return this.#inTurn(() => this.#working.open(mode, options));
  }

  /**
   * Other files are wanted from now on. What is there of a file that isn't wanted any more stays and is served; it is
   * finished only if it becomes whole. Of a file that is wanted now, what came along with others is brought home from
   * the partfile. It is all as if these files had been wanted when the storage was opened. Waits until what was handed
   * over before is written and safe; a piece that is handed over meanwhile, and has no place afterwards, is refused.
   *
   * @param files Indexes of the files that are wanted; all when `undefined`.
   * @returns The pieces that are there now.
   * @throws {ShoalError} If something else is in the place of a file, or a file can't be used: then the same files are
   * wanted as before.
   */
  select(files: ReadonlySet<number> | undefined): Promise<Bitfield> {
    return this.#operate(async () => {
      if (!await this.#working.settle()) {
        throw this.#working.now.flusher.failure?.thrown ?? this.#working.failure?.thrown;
      }
      await this.#working.keepOthersOut();
      await this.#working.rearrange({ mode: "resume", clean: true, wanted: files && new Set(files) });
    });
  }

  /**
   * Checks what is on disk again and believes nothing. Goes on serving what was there before until that is done. Files
   * that turn out not to be whole are unfinished ones afterwards, where they are ours.
   *
   * @param options Whom to tell, and when to give up.
   * @returns The pieces that are there.
   * @throws {ShoalError} If a file can't be used, or is another one now. Pieces that were found to be wrong are not
   * claimed any more then.
   * @throws The signal's reason, when it is aborted. Then all is as before.
   */
  recheck(options: OpenOptions): Promise<Bitfield> {
    return this.#operate(async () => {
      options.signal?.throwIfAborted();
      const clean = await this.#working.settle();
      await this.#working.keepOthersOut();
      await this.#working.rearrange({ ...options, mode: "check", clean, wanted: this.#working.now.wanted });
    });
  }

  /**
   * Pieces can't be read, or aren't right any more. They are no longer claimed, nor is what is gone with them when a
   * file is gone or has become shorter. A file that lacks a piece gets the name of an unfinished one, unless nothing may
   * be changed; when the pieces are written again, it is finished again.
   *
   * @param pieces Which.
   * @returns The pieces that are there now.
   * @throws {ShoalError} If a file isn't ours any more, or can't be renamed. The pieces are no longer claimed then, either.
   */
  forget(pieces: Iterable<number>): Promise<Bitfield> {
    const lost = [...pieces].filter((piece) => this.#isPiece(piece));
    return this.#operate(async () => {
      await this.#working.settle();
      await this.#working.forget(lost);
    });
  }

  /**
   * Moves all files to another download folder, on the same file system or another. They are read meanwhile; pieces are
   * written meanwhile, too, until the unfinished files get their turn. If the process ends before this settles, the
   * torrent may be opened in either folder: that brings everything together there. Note the new folder as soon as this
   * settles; a second later the old one isn't remembered any more.
   *
   * @param folder The other folder; made if it is missing.
   * @param options Whom to tell, and when to give up.
   * @throws {ShoalError} If something is in the way there, the folder is in one of the torrent's own, somebody downloads the
   * torrent there, or a file can't be moved. All is as before then.
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
        // Files are in both folders, and could not be brought back.
        if (this.#working.otherFolder !== null) this.#working.failure = { thrown };
        throw thrown;
      }
    });
  }

  /** Whether a piece could be written: it is wanted, or there is a place for all of it nevertheless. */
  hasPlace(index: number): boolean {
    return this.#working.now.map.hasPlace(index);
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
    const refusal = this.#closing === null ? this.#refusal(index) : closedError(this.#working.folder);
    if (refusal !== null) return Promise.reject(refusal);
    const size = this.#working.now.map.pieceSize(index);
    if (data.length !== size) {
      return Promise.reject(new RangeError(`Piece ${index} has ${size} bytes, got ${data.length}`));
    }
    if (!this.#writes.isRaised) return this.#writes.run(() => this.#write(index, data));
    return this.#writes.run(() => {
      // Much may have changed.
      const refusal = this.#refusal(index);
      return refusal === null ? this.#write(index, data) : Promise.reject(refusal);
    });
  }

  #write(index: number, data: Bytes): Promise<void> {
    return this.#working.now.have.has(index) ? Promise.resolve() : this.#working.now.writer.write(index, data);
  }

  /**
   * Writes bytes of a piece that isn't verified yet to where they belong, never under a final name. After a kill they count for
   * nothing. Of writes of the same bytes, the next is to be given when the last is done.
   *
   * @param index Which piece; nothing is written of one that is there.
   * @param begin First byte in the piece.
   * @param data They; must not change until the promise settles.
   * @throws {ShoalError} If they can't be written, or something went wrong in the background.
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
   * @param index Which piece.
   * @param begin First byte in the piece.
   * @param into Where to; filled whole.
   * @throws {ShoalError} If they can't be read.
   */
  readPart(index: number, begin: number, into: Bytes): Promise<void> {
    return this.#working.whileStill(() => {
      const refusal = this.#refusalOfPart(index, begin, into.length);
      if (refusal !== null) return Promise.reject(refusal);
      return this.#working.now.disk.read(index * this.#layout.pieceLength + begin, into);
    });
  }

  /**
   * A piece is verified that was written in parts, all of them done.
   *
   * @param index Which.
   * @param place Where it was when it was begun.
   * @returns Whether it still is there; if not, it isn't claimed.
   * @throws {ShoalError} If something went wrong in the background. The piece isn't claimed then.
   */
  claimPiece(index: number, place: string): Promise<boolean> {
    return this.#writes.run(() => {
      const isThere = place === this.placeOf(index);
      const refusal = isThere ? this.#refusalOfPart(index, 0, 0) : null;
      if (refusal !== null) return Promise.reject(refusal);
      if (isThere) this.#working.now.claim(index);
      return Promise.resolve(isThere);
    });
  }

  /** Where a piece is on disk, in words by which two answers can be compared: what was written is lost where they differ. */
  placeOf(index: number): string {
    return `${this.#working.looks}: ${this.#working.now.map.placeOf(index)}`;
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
    return this.#working.now.have.has(index) && this.#cache.copy(index, begin, length, into, at);
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
    if (this.#closing !== null) return Promise.reject(closedError(this.#working.folder));
    if (this.#working.failure !== null) return Promise.reject(this.#working.failure.thrown);
    if (!this.#working.now.have.has(index)) {
      return Promise.reject(new RangeError(`Piece ${index} is not there to be read`));
    }
    if (begin < 0 || length < 0 || begin + length > this.#working.now.map.pieceSize(index)) {
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
  flush(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#working.failure !== null) throw this.#working.failure.thrown;
      const { writer, flusher, have, map } = this.#working.now;
      await writer.idle();
      if (!this.#readOnly) flusher.sync();
      await flusher.idle();
      await this.saveState();
      if (flusher.refusal !== null) throw flusher.refusal;
      if (have.isFull && !map.usesPartFile) await this.#working.letGo();
    });
  }

  /** Saves resume state now. It is saved by itself about every second while there are changes. Never fails. */
  async saveState(): Promise<void> {
    await this.#working.keeper?.save();
  }

  /**
   * Ends what is under way, finishes the writes, syncs, saves resume state and closes the files. Does as much of it as it
   * can when something fails: others can use the folder afterwards in any case.
   *
   * @throws {ShoalError} The first failure, be it new or one that has stopped the background work before.
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
    await this.#working.letGo();
    if (failures.length > 0) throw failures[0];
  }

  /**
   * Removes what the torrent has on disk: its files under whichever name, links, resume state, and the folders that are empty
   * then; nothing else. Closes the files before, if that hasn't been done; nothing can be done with them afterwards.
   *
   * @throws {ShoalError} If somebody else downloads the torrent to the folder, or something can't be removed.
   */
  async removeData(): Promise<void> {
    await this.close().catch(() => {}); // what couldn't be written isn't needed any more
    await this.#turns.take(() => this.#working.remove());
  }

  /** Does one thing after the other. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const refuse = () => Promise.reject(closedError(this.#working.folder));
    if (this.#closing !== null) return refuse();
    return this.#turns.take(() => this.#closing === null ? work() : refuse());
  }

  /** Does something in turn while no piece is being written. */
  #operate(work: () => Promise<void>): Promise<Bitfield> {
    return this.#inTurn(async () => {
      if (!this.#working.opened) throw new Error("This storage is not open");
      const wasHeld = this.#working.claim.isHeld;
      try {
        await this.#hold(work);
      } finally {
        const { have, map } = this.#working.now;
        if (!wasHeld && have.isFull && !map.usesPartFile) await this.#working.letGo();
      }
      return this.have;
    });
  }

  /** Does something while no piece is being written. */
  async #hold(work: () => Promise<void>): Promise<void> {
    await this.#writes.raise();
    try {
      await this.#working.now.writer.idle();
      await work();
    } finally {
      this.#writes.lower();
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

  /** Why a piece can't be written, or `null`. */
  #refusal(index: number): Error | null {
    if (!this.#isPiece(index)) return new RangeError(`There is no piece ${index}`);
    // Other files may have been chosen a moment ago, while the piece was being checked.
    if (!this.#working.now.map.hasPlace(index)) return new NotWantedError(index);
    if (!this.#working.opened || this.#readOnly) return new Error("This storage is not open for writing");
    const failure = this.#working.failure ?? this.#working.now.flusher.failure;
    return failure && asError(failure.thrown);
  }
}
