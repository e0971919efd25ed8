/**
 * The data of one torrent on disk: the room's front door.
 *
 * @module
 */

import { Bitfield } from "../base/bitfield.ts";
import type { Bytes } from "../base/bytes.ts";
import { Arrangement, isSuperset } from "./arrangement.ts";
import { checkPieces } from "./checker.ts";
import { asError, changedByOthers, closedError, NotWantedError } from "./errors.ts";
import { Fence, Turns } from "./fence.ts";
import type { StorageLayout } from "./layout.ts";
import { ReadCache } from "./read_cache.ts";
import { ResumeKeeper } from "./resume_keeper.ts";
import type { StartMode } from "./resume_plan.ts";
import type { ResumeState } from "./resume_state.ts";
import { MAX_OPEN_FILES, type OpenOptions, type Rearrangement, type StorageOptions } from "./storage_options.ts";
import { TorrentClaim } from "./torrent_claim.ts";

export type { OpenOptions, StorageOptions };

/**
 * Keeps the data of one torrent. Open it first; then write pieces as they are verified, and read what peers ask for.
 *
 * A file is called `NAME.part` until every piece that covers it is verified and written. Then it is synced, and only
 * then renamed, so that whatever is under its final name is right, even after the power failed. Resume state is saved
 * about every second; files are synced about every five.
 *
 * While it is open, other files can be chosen, and what is on disk can be checked again. Such operations take turns.
 * Pieces that are handed over meanwhile are written afterwards; reads wait for moments only.
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
  readonly #cache: ReadCache;
  readonly #keeper: ResumeKeeper | null;
  /** The files as they are worked with now; another one when other files are wanted, or after a check. */
  #now: Arrangement;
  /** How often the files were looked at again: what they had of pieces that weren't there may be gone since. */
  #looks = 0;
  #opened = false;
  #clean = false;
  #closing: Promise<void> | null = null;
  /** Keeps others from downloading the torrent to the folder. */
  readonly #claim: TorrentClaim;
  /** Holds back writes while an operation is under way. */
  readonly #writes = new Fence();
  /** Holds back reads while files change their places. */
  readonly #reads = new Fence();
  /** Bytes of the pieces that are held back. */
  #bytesHeld = 0;
  readonly #turns = new Turns();
  /** Ends the operation that is under way when the files are closed. */
  readonly #abort = new AbortController();
  /** What is remembered while files change their places, until it is certain where everything is. */
  #frozen: ResumeState | null = null;
  /** Why the files can't be used since an operation failed halfway, if one did. */
  #failure: { readonly thrown: unknown } | null = null;

  /**
   * @param layout The torrent; the objects of `metainfo/` fit.
   * @param options Where, and with what.
   * @throws {StorageError} If a path could lead out of the folder.
   */
  constructor(layout: StorageLayout, options: StorageOptions) {
    const { platform, stateFolder, infoHash } = options;
    this.#layout = layout;
    this.#options = options;
    this.#readOnly = options.readOnly ?? false;
    this.#claim = new TorrentClaim(options);
    this.#now = this.#arrange(options.files);
    this.#cache = new ReadCache(layout, {
      read: (offset, into) => this.#reads.run(() => this.#now.disk.read(offset, into)),
      memory: options.memory,
      after: (milliseconds, run) => platform.after(milliseconds, run),
    });
    this.#keeper = stateFolder === null ? null : new ResumeKeeper({
      platform,
      stateFolder,
      infoHash,
      isAlone: () => this.#claim.isHeld,
      prepare: () => this.#now.disk.noteTimes(),
      snapshot: () => this.#snapshot(),
      onTick: () => {
        if (!this.#writes.isRaised) this.#now.syncIfDue();
      },
      onWarning: (error) => options.onWarning?.(error),
    });
  }

  /** Bytes that were handed to {@linkcode Storage.writePiece} and aren't written yet. */
  get bytesWaiting(): number {
    return this.#now.writer.bytesWaiting + this.#bytesHeld;
  }

  /** The pieces that are there: a copy. */
  get have(): Bitfield {
    return this.#now.have.clone();
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
    return this.#inTurn(() => this.#open(mode, options));
  }

  async #open(mode: StartMode, options: OpenOptions): Promise<Bitfield> {
    const { disk } = this.#now;
    try {
      // Whoever has it now may finish files and rename them meanwhile: what is there is looked at after that.
      if (!this.#readOnly) await this.#claim.take(await disk.findRoot());
      await disk.scan();
      await this.#now.find({
        mode,
        state: await this.#loadState(),
        takeParts: () => this.#keeper?.hasFailed ?? true,
        check: (pieces) => this.#check(this.#now, pieces, options),
      });
      this.#clean = this.#readOnly;
      await this.#begin();
      this.#opened = true;
      return this.have;
    } catch (error) {
      this.#keeper?.stop();
      await disk.close().catch(() => {}); // the first failure is the one to tell
      await this.#letGo();
      throw error;
    }
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
      if (!await this.#settle()) throw this.#now.settler.failure?.thrown ?? this.#failure?.thrown;
      await this.#rearrange({ mode: "resume", clean: true, wanted: files && new Set(files) });
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
      const clean = await this.#settle();
      await this.#rearrange({ ...options, mode: "check", clean, wanted: this.#now.wanted });
    });
  }

  /**
   * Tries again after a failure in the background, which stops all writing: looks at the files as a new start would.
   *
   * @returns The pieces that are there.
   * @throws {ShoalError} If that fails, too; it may be called again.
   */
  retry(): Promise<Bitfield> {
    return this.#operate(async () => {
      const clean = await this.#settle();
      await this.#rearrange({ mode: "resume", clean, wanted: this.#now.wanted });
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
      await this.#settle();
      await this.#reads.raise();
      try {
        this.#now.disclaim(lost);
        this.#cache.reset();
        if (this.#readOnly) return;
        // Saved before the names change: a start after a kill then knows what the names say.
        await this.saveState();
        await this.#now.unfinish(lost);
      } finally {
        this.#reads.lower();
        await this.saveState();
      }
    });
  }

  /** Whether a piece could be written: it is wanted, or there is a place for all of it nevertheless. */
  hasPlace(index: number): boolean {
    return this.#now.map.hasPlace(index);
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
    const refusal = this.#closing === null ? this.#refusal(index) : closedError(this.#options.folder);
    if (refusal !== null) return Promise.reject(refusal);
    const size = this.#now.map.pieceSize(index);
    if (data.length !== size) {
      return Promise.reject(new RangeError(`Piece ${index} has ${size} bytes, got ${data.length}`));
    }
    if (!this.#writes.isRaised) return this.#writes.run(() => this.#write(index, data));
    this.#bytesHeld += data.length;
    return this.#writes.run(() => {
      this.#bytesHeld -= data.length;
      const refusal = this.#now.map.hasPlace(index) ? this.#refusal(index) : new NotWantedError(index); // much may have changed
      return refusal === null ? this.#write(index, data) : Promise.reject(refusal);
    });
  }

  #write(index: number, data: Bytes): Promise<void> {
    return this.#now.have.has(index) ? Promise.resolve() : this.#now.writer.write(index, data);
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
      const { have, writer } = this.#now;
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
    return this.#reads.run(() => {
      const refusal = this.#refusalOfPart(index, begin, into.length);
      if (refusal !== null) return Promise.reject(refusal);
      return this.#now.disk.read(index * this.#layout.pieceLength + begin, into);
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
      if (isThere) this.#now.claim(index);
      return Promise.resolve(isThere);
    });
  }

  /** Where a piece is on disk, in words by which two answers can be compared: what was written is lost where they differ. */
  placeOf(index: number): string {
    return `${this.#looks}: ${this.#now.map.placeOf(index)}`;
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
    return this.#now.have.has(index) && this.#cache.copy(index, begin, length, into, at);
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
    if (this.#failure !== null) return Promise.reject(this.#failure.thrown);
    if (!this.#now.have.has(index)) return Promise.reject(new RangeError(`Piece ${index} is not there to be read`));
    if (begin < 0 || length < 0 || begin + length > this.#now.map.pieceSize(index)) {
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
      if (this.#failure !== null) throw this.#failure.thrown;
      const { writer, settler, have, map } = this.#now;
      await writer.idle();
      if (!this.#readOnly) settler.sync();
      await settler.idle();
      await this.saveState();
      if (settler.refusal !== null) throw settler.refusal;
      if (have.isFull && !map.usesPartFile) await this.#letGo();
    });
  }

  /** Saves resume state now. It is saved by itself about every second while there are changes. Never fails. */
  async saveState(): Promise<void> {
    await this.#keeper?.save();
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
    this.#keeper?.stop();
    this.#abort.abort(closedError(this.#options.folder));
    await this.#turns.idle();
    const { writer, settler, disk } = this.#now;
    const failures: unknown[] = this.#failure === null ? [] : [this.#failure.thrown];
    const attempt = async (work: () => Promise<void>): Promise<void> => {
      try {
        await work();
      } catch (thrown) {
        failures.push(thrown);
      }
    };
    await writer.idle();
    if (this.#opened && !this.#readOnly && this.#failure === null) {
      settler.sync();
      await attempt(() => settler.idle());
    }
    this.#cache.clear();
    await attempt(() => disk.close());
    this.#clean = failures.length === 0;
    if (this.#opened) await this.saveState();
    await this.#letGo();
    if (failures.length > 0) throw failures[0];
  }

  /** Does one thing after the other. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const refuse = () => Promise.reject(closedError(this.#options.folder));
    if (this.#closing !== null) return refuse();
    return this.#turns.take(() => this.#closing === null ? work() : refuse());
  }

  /** Does something in turn while no piece is being written. */
  #operate(work: () => Promise<void>): Promise<Bitfield> {
    return this.#inTurn(async () => {
      if (!this.#opened) throw new Error("This storage is not open");
      await this.#writes.raise();
      try {
        await this.#now.writer.idle();
        await work();
        return this.have;
      } finally {
        this.#writes.lower();
      }
    });
  }

  /** Waits until all that was written is safe, and remembered. @returns whether it is. */
  async #settle(): Promise<boolean> {
    if (this.#failure !== null) return false;
    const { settler, disk } = this.#now;
    if (!this.#readOnly) settler.sync();
    await settler.idle().catch(() => {}); // it says so itself
    await disk.noteTimes();
    await this.saveState();
    return settler.failure === null;
  }

  #arrange(wanted: ReadonlySet<number> | undefined): Arrangement {
    const { platform, folder, infoHash, maxOpenFiles = MAX_OPEN_FILES } = this.#options;
    const options = {
      platform,
      folder,
      infoHash,
      maxOpenFiles,
      readOnly: this.#readOnly,
      ...(this.#options.pathsOf && { pathsOf: (index: number) => this.#options.pathsOf!(index) }),
      onChange: () => this.#keeper?.touch(),
      onComplete: () => this.#cache.complete(),
    };
    return new Arrangement(this.#layout, options, wanted);
  }

  /** Goes to work with what was found. */
  async #begin(): Promise<void> {
    if (this.#now.have.isFull) this.#cache.complete();
    // A file that is made and not filled yet must not be taken for one that has all that the partfile has.
    this.#frozen = this.#snapshot();
    await this.saveState();
    const isHome = (): Promise<void> => {
      this.#frozen = null;
      return this.saveState();
    };
    if (!this.#readOnly) await this.#now.bringHome(isHome);
    this.#frozen = null;
    if (!this.#readOnly) this.#now.startSettling();
  }

  #snapshot(): ResumeState {
    return this.#frozen ?? this.#now.snapshot(this.#clean);
  }

  /** Puts another arrangement in the place of the one there is; that goes on if the other one can't. */
  async #rearrange(how: Rearrangement): Promise<void> {
    const before = this.#now;
    const next = this.#arrange(how.wanted);
    /** What a check has found to be right, once it is through. */
    let right: Bitfield | null = null;
    let isOver = false;
    const state = this.#frozen ??= before.snapshot(how.clean);
    try {
      const root = await next.disk.findRoot();
      if (root !== before.disk.root) throw changedByOthers(before.disk.root);
      await next.disk.scan();
      await next.find({
        mode: how.mode,
        state,
        takeParts: () => false, // what is ours is known
        check: async (pieces) => {
          const sum = right ?? new Bitfield(pieces.length);
          right = null;
          const found = await this.#check(next, pieces, { onProgress() {}, ...how });
          sum.addAll(found);
          right = sum;
          return found;
        },
        beforeChanges: async () => {
          isOver = true;
          await this.#reads.raise();
          await before.disk.close().catch(() => {}); // nothing is written to them any more
        },
      });
      this.#now = next;
      if (how.wanted === before.wanted) this.#looks++; // otherwise the files are the same
      this.#frozen = null;
      this.#failure = null;
      if (!isSuperset(next.have, before.have)) this.#cache.reset();
      await this.#begin();
    } catch (error) {
      await next.disk.close().catch(() => {}); // the first failure is the one to tell
      if (isOver) await this.#goBack(before.wanted, error);
      else {
        if (this.#failure === null) this.#frozen = null;
        if (how.mode === "check" && right !== null) await this.#keepOnly(right);
      }
      throw error;
    } finally {
      this.#reads.lower();
    }
  }

  /** After a change that failed halfway: looks at the files as a new start would, with the same ones wanted as before it. */
  async #goBack(wanted: ReadonlySet<number> | undefined, cause: unknown): Promise<void> {
    const again = this.#arrange(wanted);
    try {
      await again.disk.scan();
      await again.find({
        mode: "resume",
        state: this.#snapshot(),
        takeParts: () => false,
        check: (pieces) => this.#check(again, pieces, { onProgress() {} }),
      });
      this.#now = again;
      this.#looks++;
      this.#frozen = null;
      await this.#begin();
      this.#failure = null;
    } catch {
      await again.disk.close().catch(() => {});
      this.#failure = { thrown: cause }; // the first failure is the one to tell
    }
  }

  /** Claims no piece that is wrong. */
  async #keepOnly(right: Bitfield): Promise<void> {
    const { have } = this.#now;
    this.#now.disclaim([...have].filter((piece) => !right.has(piece)));
    this.#cache.reset();
    await this.saveState();
  }
  /** Lets others download the torrent to the folder. */
  async #letGo(): Promise<void> {
    await this.#keeper?.idle();
    await this.#claim.release();
  }

  async #loadState(): Promise<ResumeState | null> {
    const { pieceCount, files } = this.#layout;
    const { root } = this.#now.disk;
    const state = await this.#keeper?.load({ pieceCount, fileCount: files.length }, { folder: root }) ?? null;
    return state !== null && state.infoHash.equals(this.#options.infoHash) && state.folder === root ? state : null;
  }

  #check(on: Arrangement, pieces: Bitfield, { onProgress, signal }: OpenOptions): Promise<Bitfield> {
    return checkPieces(on.map, pieces, {
      disk: on.disk,
      platform: this.#options.platform,
      pieceHash: (index) => this.#options.pieceHash(index),
      onProgress,
      signal: signal === undefined ? this.#abort.signal : AbortSignal.any([signal, this.#abort.signal]),
    });
  }

  #isPiece(index: number): boolean {
    return Number.isInteger(index) && index >= 0 && index < this.#layout.pieceCount;
  }

  #refusalOfPart(index: number, begin: number, length: number): Error | null {
    const refusal = this.#closing === null ? this.#refusal(index) : closedError(this.#options.folder);
    const isInside = begin >= 0 && begin + length <= this.#now.map.pieceSize(index);
    return refusal ?? (isInside ? null : new RangeError(`Piece ${index} has no ${length} bytes at ${begin}`));
  }

  /** Why a piece can't be written, or `null`. */
  #refusal(index: number): Error | null {
    if (!this.#isPiece(index)) return new RangeError(`There is no piece ${index}`);
    if (!this.#now.map.hasPlace(index)) return new RangeError(`Piece ${index} belongs to files that are not wanted`);
    if (!this.#opened || this.#readOnly) return new Error("This storage is not open for writing");
    const failure = this.#failure ?? this.#now.settler.failure;
    return failure && asError(failure.thrown);
  }
}
