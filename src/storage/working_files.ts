/**
 * The state behind a `Storage`: the selected files, their resume state and the lock of the torrent, and the operations
 * that open, check, forget and remove files.
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
import { MAX_OPEN_FILES, type OpenOptions, type ReloadOptions, type StorageOptions } from "./storage_options.ts";
import { TorrentLock } from "./torrent_lock.ts";

/** Options for {@linkcode WorkingFiles}. */
export interface WorkingFilesOptions {
  /** Options of the storage. */
  readonly options: StorageOptions;
  /** Cache of data read from the files. */
  readonly cache: ReadCache;
  /** Aborts a check when the files are being closed. */
  readonly closing: AbortSignal;
  /** Returns `true` if files may be written at this moment. */
  mayWrite(): boolean;
}

/** The files of one torrent and all that is known about them. `Storage` decides when to run which operation. */
export class WorkingFiles {
  /** Files that are in use, until other files are wanted. */
  now: SelectedFiles;
  /** Download folder. */
  folder: string;
  /** The other folder while files may be in two folders, and for a moment afterwards. */
  otherFolder: string | null = null;
  /**
   * Whether a move is complete, so that all files are in one folder, but not yet recorded by {@linkcode
   * WorkingFiles.noteMove}.
   */
  hasMoved = false;
  /** How often the files were looked at again. Unverified data of a piece may be gone after that. */
  generation = 0;
  /** Whether the pieces on disk are known. */
  opened = false;
  /** Whether all data is durable and nothing will be written any more. */
  clean = false;
  /** Lock of the torrent in the download folder. */
  claim: TorrentLock;
  /** Why the files can't be used, if an operation failed halfway. */
  failure: { readonly thrown: unknown } | null = null;
  /** Keeps the resume state; `null` if none is kept. */
  readonly keeper: ResumeKeeper | null;
  readonly #layout: StorageLayout;
  readonly #options: StorageOptions;
  readonly #readOnly: boolean;
  readonly #cache: ReadCache;
  readonly #closing: AbortSignal;
  /** Holds back reads while files are replaced or renamed. */
  readonly #reads = new AccessGate();
  #noting: Promise<void> | null = null;
  /** State to save while files are replaced, until it is certain where all data is. */
  #frozen: ResumeState | null = null;

  /** @throws {StorageError} If a path could lead out of the folder. */
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
      isOwn: () => !(this.#readOnly && this.now.disk.all.some(({ place }) => place === "part")),
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
   * Reads bytes of the torrent while no file is being replaced or renamed.
   *
   * @param offset Offset of the first byte in the torrent.
   * @param into Buffer to fill completely.
   * @throws {ShoalError} If a file can't be read.
   */
  read(offset: number, into: Bytes): Promise<void> {
    return this.whileStill(() => this.now.disk.read(offset, into));
  }

  /**
   * Runs a job while no file is being replaced or renamed.
   *
   * @returns Result of `work`.
   */
  whileStill<T>(work: () => Promise<T>): Promise<T> {
    return this.#reads.run(work);
  }

  /**
   * Marks pieces as missing; see `Storage.forget()`.
   *
   * @throws {ShoalError} If a file is no longer ours or can't be renamed, or another process downloads the torrent to
   * the folder.
   */
  async forget(pieces: readonly number[]): Promise<void> {
    await this.#reads.close();
    try {
      this.now.markMissing(pieces);
      this.#cache.reset();
      if (this.#readOnly) return;
      // The state is saved before the names change, so that it explains the names after a kill.
      await this.save();
      await this.lock();
      await this.now.unfinish(pieces);
    } finally {
      this.#reads.open();
      await this.save();
    }
  }

  /**
   * Takes the lock of the torrent again if it was released because the torrent was complete.
   *
   * @throws {StorageError} If another process downloads the torrent to the folder.
   */
  async lock(): Promise<void> {
    if (!this.#readOnly && !this.claim.isHeld) await this.claim.take(this.now.disk.root);
  }

  /** Saves the resume state now. Never rejects. */
  async save(): Promise<void> {
    await this.keeper?.save();
  }

  /**
   * Finds the pieces on disk; see `Storage.open()`.
   *
   * @param mode How the pieces are found.
   * @param options See {@linkcode OpenOptions}.
   * @returns The verified pieces.
   * @throws {ShoalError} If something else is in the place of a file, or a file can't be used.
   * @throws The signal's reason, when it is aborted.
   */
  async open(mode: StartMode, options: OpenOptions): Promise<Bitfield> {
    const { disk } = this.now;
    try {
      // The folder is scanned only under the lock, because the process that has the lock may finish and rename files.
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
      await disk.close().catch(() => {}); // the first error is the one to report
      await this.unlock();
      throw error;
    }
  }

  /**
   * Waits until all written data is durable and the resume state is saved.
   *
   * @returns Whether all data is durable.
   */
  async settle(): Promise<boolean> {
    if (this.failure !== null) return false;
    const { flusher, disk } = this.now;
    if (!this.#readOnly) flusher.sync();
    await flusher.idle().catch(() => {}); // the flusher keeps its error
    await disk.noteTimes().catch(() => {}); // a file of unknown modification time is hashed at the next start
    await this.save();
    return flusher.failure === null;
  }

  #arrange(wanted: ReadonlySet<number> | undefined): SelectedFiles {
    const { platform, infoHash, maxOpenFiles = MAX_OPEN_FILES } = this.#options;
    const options = {
      platform,
      memory: this.#options.memory.memory,
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

  /** Starts work on the pieces that were found. */
  async #begin(): Promise<void> {
    if (this.now.have.isFull) this.#cache.complete();
    // A file that is created but not yet filled must not be saved as one that holds the bytes in the partfile.
    this.#frozen = this.snapshot();
    await this.save();
    const isHome = (): Promise<void> => {
      this.#frozen = null;
      return this.save();
    };
    if (!this.#readOnly) await this.now.bringHome(isHome);
    this.#frozen = null;
    if (!this.#readOnly) this.now.startFinishing();
  }

  /** Returns the resume state as of now. */
  snapshot(): ResumeState {
    const state = this.#frozen ?? this.now.snapshot(this.clean);
    return this.otherFolder === null ? state : { ...state, otherFolder: this.otherFolder };
  }

  /** Brings the files together after an interrupted move. */
  async #endMove(state: ResumeState | null): Promise<{ readonly state: ResumeState | null; obsolete: string | null }> {
    if (state?.otherFolder === undefined || this.#readOnly) return { state, obsolete: null };
    const end = await endMove(state, { options: this.#options, files: this.now, keeper: this.keeper });
    this.otherFolder = end.isOver ? null : state.otherFolder;
    return end;
  }

  /**
   * Ends the record of a move: all files are in one folder, and the caller has recorded which, so the state of the
   * other folder is removed. Never rejects.
   */
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
    await this.keeper?.remove(folder).catch(() => {}); // no state names that folder any more, so its state is void
  }

  /**
   * Replaces the current files by newly found ones. If that fails, the current files stay in use.
   *
   * @throws {ShoalError} If something else is in the place of a file, or a file can't be used.
   * @throws The signal's reason, when it is aborted.
   */
  async reload(how: ReloadOptions): Promise<void> {
    const before = this.now;
    const next = this.#arrange(how.wanted);
    /** Pieces that the check found to be right, once it is over. */
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
        takeParts: () => false, // the state tells which files are ours
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
          await this.#reads.close();
          await before.disk.close().catch(() => {}); // the replaced files are not written any more
        },
      });
      this.now = next;
      if (how.wanted === before.wanted) this.generation++; // with another selection, the files on disk are the same
      this.#frozen = null;
      this.failure = null;
      if (!isSuperset(next.have, before.have)) this.#cache.reset();
      await this.#begin();
      if (obsolete !== null) await this.#forgetFolder(obsolete);
    } catch (error) {
      await next.disk.close().catch(() => {}); // the first error is the one to report
      if (isOver) await this.#goBack(before.wanted, error);
      else {
        if (this.failure === null) this.#frozen = null;
        if (how.mode === "check" && right !== null) await this.#keepOnly(right);
      }
      throw error;
    } finally {
      this.#reads.open();
    }
  }

  /**
   * Recovers from a change that failed halfway: looks at the files as a new start would, with the same wanted files as
   * before.
   */
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
      this.generation++;
      this.#frozen = null;
      await this.#begin();
      this.failure = null;
    } catch {
      await again.disk.close().catch(() => {});
      this.failure = { thrown: cause }; // the first error is the one to report
    }
  }

  /** Marks all pieces as missing that are not right. */
  async #keepOnly(right: Bitfield): Promise<void> {
    const { have } = this.now;
    this.now.markMissing([...have].filter((piece) => !right.has(piece)));
    this.#cache.reset();
    await this.save();
  }

  /** Releases the lock of the torrent. */
  async unlock(): Promise<void> {
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
      verifier: this.#options.verifier,
      onProgress,
      signal: this.endingBy(signal),
    });
  }

  /**
   * Returns a signal that is aborted when the files are closed or the given signal is aborted.
   *
   * @param signal Signal of the caller, if there is one.
   */
  endingBy(signal: AbortSignal | undefined): AbortSignal {
    return signal === undefined ? this.#closing : AbortSignal.any([signal, this.#closing]);
  }

  /**
   * Removes the torrent's files, after all of them were closed; see `Storage.removeData()`.
   *
   * @throws {ShoalError} If another process downloads the torrent to the folder, or something can't be removed.
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
      // A move was interrupted only if the other folder's state names this folder, too.
      if (other !== undefined && (await this.#peek(other))?.otherFolder === root) folders.add(other);
      await this.claim.takeOrThrow(root);
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
