/**
 * What a storage works with: the files, what is remembered of them, and who is kept out.
 *
 * @module
 */

import { Bitfield } from "../base/bitfield.ts";
import type { Bytes } from "../base/bytes.ts";
import { isSuperset, SelectedFiles } from "./selected_files.ts";
import { checkPieces } from "./checker.ts";
import { changedByOthers } from "./errors.ts";
import { AccessGate } from "./access_gate.ts";
import type { StorageLayout } from "./layout.ts";
import { endMove } from "./move_torrent.ts";
import type { ReadCache } from "./read_cache.ts";
import { removeFiles } from "./remove_files.ts";
import { ResumeKeeper } from "./resume_keeper.ts";
import type { StartMode } from "./resume_plan.ts";
import type { ResumeShape, ResumeState } from "./resume_state.ts";
import { MAX_OPEN_FILES, type OpenOptions, type Rearrangement, type StorageOptions } from "./storage_options.ts";
import { TorrentLock } from "./torrent_lock.ts";

/** What {@linkcode WorkingFiles} works with. */
export interface WorkingFilesOptions {
  /** Settings of the storage. */
  readonly options: StorageOptions;
  /** What was read of the files. */
  readonly cache: ReadCache;
  /** Ends a check when the files are to be closed. */
  readonly closing: AbortSignal;
  /** Whether files may be written at this moment. */
  mayWrite(): boolean;
}

/** The files of one torrent in the place where they are, as they are worked with now, and the way from there to another state. */
export class WorkingFiles {
  /** The files while the same ones are wanted. */
  now: SelectedFiles;
  /** The download folder. */
  folder: string;
  /** The other folder while files may be in two, and for a moment after that. */
  otherFolder: string | null = null;
  /** Whether they were moved, and are all in one. */
  hasMoved = false;
  /** How often the files were looked at again: what they had of pieces that weren't there may be gone since. */
  looks = 0;
  /** Whether it is known what is there. */
  opened = false;
  /** Whether everything is safe, and nothing will be written any more. */
  clean = false;
  /** Keeps others from downloading the torrent to the folder. */
  claim: TorrentLock;
  /** Why the files can't be used since an operation failed halfway, if one did. */
  failure: { readonly thrown: unknown } | null = null;
  /** Where resume state is kept, if it is. */
  readonly keeper: ResumeKeeper | null;
  readonly #layout: StorageLayout;
  readonly #options: StorageOptions;
  readonly #readOnly: boolean;
  readonly #cache: ReadCache;
  readonly #closing: AbortSignal;
  /** Holds back reads while files change their places. */
  readonly #reads = new AccessGate();
  #noting: Promise<void> | null = null;
  /** What is remembered while files change their places, until it is certain where everything is. */
  #frozen: ResumeState | null = null;

  /**
   * @param layout The torrent.
   * @param parts What to work with.
   * @throws {StorageError} If a path could lead out of the folder.
   */
  constructor(layout: StorageLayout, { options, cache, closing, mayWrite }: WorkingFilesOptions) {
    const { platform, stateFolder, infoHash } = options;
    this.#layout = layout;
    this.#options = options;
    this.#readOnly = options.readOnly ?? false;
    this.#cache = cache;
    this.#closing = closing;
    this.folder = options.folder;
    this.claim = new TorrentLock(options);
    this.keeper = stateFolder === null ? null : new ResumeKeeper({
      platform,
      stateFolder,
      infoHash,
      isAlone: () => this.claim.isHeld,
      prepare: () => this.now.disk.noteTimes(),
      snapshot: () => this.snapshot(),
      onTick: () => {
        if (mayWrite()) this.now.syncIfDue();
        if (this.hasMoved) void this.noteMove();
      },
      onWarning: (error) => options.onWarning?.(error),
    });
    this.now = this.#arrange(options.files);
  }

  /**
   * Reads bytes of the torrent, once no file is changing its place.
   *
   * @param offset First byte, counted over the whole torrent.
   * @param into Where to; filled whole.
   * @throws {ShoalError} If a file can't be read.
   */
  read(offset: number, into: Bytes): Promise<void> {
    return this.whileStill(() => this.now.disk.read(offset, into));
  }

  /**
   * Does something once no file is changing its place.
   *
   * @param work What to do.
   * @returns What `work` returns.
   */
  whileStill<T>(work: () => Promise<T>): Promise<T> {
    return this.#reads.run(work);
  }

  /**
   * Pieces are not there any more; see `Storage.forget()`.
   *
   * @param pieces Which.
   * @throws {ShoalError} If a file isn't ours any more, or can't be renamed, or somebody else downloads to the folder.
   */
  async forget(pieces: readonly number[]): Promise<void> {
    await this.#reads.raise();
    try {
      this.now.disclaim(pieces);
      this.#cache.reset();
      if (this.#readOnly) return;
      // Saved before the names change: a start after a kill then knows what the names say.
      await this.save();
      await this.keepOthersOut();
      await this.now.unfinish(pieces);
    } finally {
      this.#reads.lower();
      await this.save();
    }
  }

  /**
   * Keeps others from downloading the torrent to the folder again, if they may do so because everything was there.
   *
   * @throws {StorageError} If somebody does.
   */
  async keepOthersOut(): Promise<void> {
    if (!this.#readOnly && !this.claim.isHeld) await this.claim.take(this.now.disk.root);
  }

  /** Saves resume state now. Never fails. */
  async save(): Promise<void> {
    await this.keeper?.save();
  }

  /**
   * Finds out what is there; see `Storage.open()`.
   *
   * @param mode How.
   * @param options Whom to tell, and when to give up.
   * @returns The verified pieces.
   * @throws {ShoalError} If something else is in the place of a file, or a file can't be used.
   * @throws The signal's reason, when it is aborted.
   */
  async open(mode: StartMode, options: OpenOptions): Promise<Bitfield> {
    const { disk } = this.now;
    try {
      // Whoever has it now may finish files and rename them meanwhile: what is there is looked at after that.
      if (!this.#readOnly) await this.claim.take(await disk.findRoot());
      else await disk.findRoot();
      const loaded = await this.#loadState();
      const { state, obsolete } = await this.#endMove(loaded);
      await disk.scan();
      await this.now.find({
        mode,
        state,
        takeParts: () => this.keeper?.hasFailed ?? true,
        check: (pieces) => this.#check(this.now, pieces, options),
      });
      this.clean = this.#readOnly;
      await this.#begin();
      if (obsolete !== null) await this.#forgetFolder(obsolete);
      this.opened = true;
      return this.now.have.clone();
    } catch (error) {
      this.keeper?.stop();
      await disk.close().catch(() => {}); // the first failure is the one to tell
      await this.letGo();
      throw error;
    }
  }

  /** Waits until all that was written is safe, and remembered. @returns whether it is. */
  async settle(): Promise<boolean> {
    if (this.failure !== null) return false;
    const { flusher, disk } = this.now;
    if (!this.#readOnly) flusher.sync();
    await flusher.idle().catch(() => {}); // it says so itself
    await disk.noteTimes().catch(() => {}); // a file whose time isn't known is hashed again
    await this.save();
    return flusher.failure === null;
  }

  #arrange(wanted: ReadonlySet<number> | undefined): SelectedFiles {
    const { platform, infoHash, maxOpenFiles = MAX_OPEN_FILES } = this.#options;
    const options = {
      platform,
      folder: this.folder,
      infoHash,
      maxOpenFiles,
      readOnly: this.#readOnly,
      ...(this.#options.pathsOf && { pathsOf: (index: number) => this.#options.pathsOf!(index) }),
      onChange: () => this.keeper?.touch(),
      onComplete: () => this.#cache.complete(),
    };
    return new SelectedFiles(this.#layout, options, wanted);
  }

  /** Goes to work with what was found. */
  async #begin(): Promise<void> {
    if (this.now.have.isFull) this.#cache.complete();
    // A file that is made and not filled yet must not be taken for one that has all that the partfile has.
    this.#frozen = this.snapshot();
    await this.save();
    const isHome = (): Promise<void> => {
      this.#frozen = null;
      return this.save();
    };
    if (!this.#readOnly) await this.now.bringHome(isHome);
    this.#frozen = null;
    if (!this.#readOnly) this.now.startSettling();
  }

  /** @returns What is to be remembered now. */
  snapshot(): ResumeState {
    const state = this.#frozen ?? this.now.snapshot(this.clean);
    return this.otherFolder === null ? state : { ...state, otherFolder: this.otherFolder };
  }

  /** Brings the files together after a move that was interrupted. */
  async #endMove(state: ResumeState | null): Promise<{ readonly state: ResumeState | null; obsolete: string | null }> {
    if (state?.otherFolder === undefined || this.#readOnly) return { state, obsolete: null };
    const end = await endMove(state, { options: this.#options, files: this.now, keeper: this.keeper });
    this.otherFolder = end.isOver ? null : state.otherFolder;
    return end;
  }

  /** All is in one folder, and it is known in which: the other one isn't remembered any more. Never fails. */
  async noteMove(): Promise<void> {
    this.#noting ??= this.#noteMove().finally(() => this.#noting = null);
    await this.#noting;
  }

  async #noteMove(): Promise<void> {
    const folder = this.otherFolder;
    if (!this.hasMoved || folder === null) return;
    this.otherFolder = null;
    this.hasMoved = false;
    await this.save();
    await this.#forgetFolder(folder);
  }

  async #forgetFolder(folder: string): Promise<void> {
    await this.keeper?.remove(folder).catch(() => {}); // nothing names it any more: it counts for nothing
  }

  /**
   * Puts another arrangement in the place of the one there is; that goes on if the other one can't.
   *
   * @param how How to look at the files.
   * @throws {ShoalError} If something else is in the place of a file, or a file can't be used.
   * @throws The signal's reason, when it is aborted.
   */
  async rearrange(how: Rearrangement): Promise<void> {
    const before = this.now;
    const next = this.#arrange(how.wanted);
    /** What a check has found to be right, once it is through. */
    let right: Bitfield | null = null;
    let isOver = false;
    let state: ResumeState | null = this.#frozen ??= before.snapshot(how.clean);
    try {
      let obsolete: string | null = null;
      if (this.failure !== null && this.otherFolder !== null) {
        await before.disk.close().catch(() => {});
        ({ state, obsolete } = await this.#endMove(this.snapshot()));
      }
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
      this.now = next;
      if (how.wanted === before.wanted) this.looks++; // otherwise the files are the same
      this.#frozen = null;
      this.failure = null;
      if (!isSuperset(next.have, before.have)) this.#cache.reset();
      await this.#begin();
      if (obsolete !== null) await this.#forgetFolder(obsolete);
    } catch (error) {
      await next.disk.close().catch(() => {}); // the first failure is the one to tell
      if (isOver) await this.#goBack(before.wanted, error);
      else {
        if (this.failure === null) this.#frozen = null;
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
        state: this.snapshot(),
        takeParts: () => false,
        check: (pieces) => this.#check(again, pieces, { onProgress() {} }),
      });
      if (!isSuperset(again.have, this.now.have)) this.#cache.reset();
      this.now = again;
      this.looks++;
      this.#frozen = null;
      await this.#begin();
      this.failure = null;
    } catch {
      await again.disk.close().catch(() => {});
      this.failure = { thrown: cause }; // the first failure is the one to tell
    }
  }

  /** Claims no piece that is wrong. */
  async #keepOnly(right: Bitfield): Promise<void> {
    const { have } = this.now;
    this.now.disclaim([...have].filter((piece) => !right.has(piece)));
    this.#cache.reset();
    await this.save();
  }
  /** Lets others download the torrent to the folder. */
  async letGo(): Promise<void> {
    await this.keeper?.idle();
    await this.claim.release();
  }

  async #loadState(root: string = this.now.disk.root): Promise<ResumeState | null> {
    const state = await this.keeper?.load(this.#shape, { folder: root }) ?? null;
    return state !== null && state.infoHash.equals(this.#options.infoHash) && state.folder === root ? state : null;
  }

  #check(on: SelectedFiles, pieces: Bitfield, { onProgress, signal }: OpenOptions): Promise<Bitfield> {
    return checkPieces(on.map, pieces, {
      disk: on.disk,
      platform: this.#options.platform,
      pieceHash: (index) => this.#options.pieceHash(index),
      onProgress,
      signal: this.endingBy(signal),
    });
  }

  /**
   * @param signal What ends something.
   * @returns What ends it, also when the files are closed.
   */
  endingBy(signal: AbortSignal | undefined): AbortSignal {
    return signal === undefined ? this.#closing : AbortSignal.any([signal, this.#closing]);
  }

  /**
   * Removes what the torrent has on disk, after everything was closed; see `Storage.removeData()`.
   *
   * @throws {ShoalError} If somebody else downloads the torrent to the folder, or something can't be removed.
   */
  async remove(): Promise<void> {
    const { platform: { files: fs }, infoHash, pathsOf } = this.#options;
    const folders = new Set([this.now.disk.root || this.folder]);
    if (this.otherFolder !== null) folders.add(this.otherFolder);
    for (const folder of folders) {
      if ((await fs.stat(folder)) === null) continue;
      const root = await fs.realPath(folder);
      const state = this.opened ? null : await this.#loadState(root);
      const other = state?.otherFolder;
      // A move was interrupted, if the other one says so, too.
      if (other !== undefined && (await this.#peek(other))?.otherFolder === root) folders.add(other);
      await this.claim.need(root);
      try {
        await removeFiles(this.now.map, {
          fs,
          infoHash,
          root,
          records: this.opened ? this.now.disk.records() : state?.files ?? null,
          isForeign: (index) => this.now.disk.all[index]!.foreign ?? false,
          pathsOf: (index) => pathsOf?.(index) ?? [],
        });
        await this.keeper?.remove(root);
      } finally {
        await this.claim.release();
      }
    }
  }

  async #peek(folder: string): Promise<ResumeState | null> {
    return await this.keeper?.peek(this.#shape, { folder }) ?? null;
  }

  get #shape(): ResumeShape {
    return { pieceCount: this.#layout.pieceCount, fileCount: this.#layout.files.length };
  }
}
