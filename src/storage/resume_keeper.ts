/**
 * Loads and saves the resume state of one torrent.
 *
 * @module
 */

import { toHex, utf8 } from "../base/bytes.ts";
import type { InfoHash } from "../base/info_hash.ts";
import type { Platform, Timer } from "../platform/platform.ts";
import { noResumeState, ResumeStateError, type StorageError } from "./errors.ts";
import {
  encodeResumeState,
  maxResumeBytes,
  parseResumeState,
  type ResumeShape,
  type ResumeState,
} from "./resume_state.ts";

/** Options for {@linkcode ResumeKeeper}. */
export interface ResumeKeeperOptions {
  /** Timers, files and SHA-1. */
  readonly platform: Pick<Platform, "after" | "files" | "sha1">;
  /** Folder of the resume files. */
  readonly stateFolder: string;
  /** Info-hash of the torrent. */
  readonly infoHash: InfoHash;
  /** Returns `true` if no other process downloads the torrent to the same folder. */
  isAlone(): boolean;
  /** Returns `false` while the state must not be saved, since it is kept by another process that downloads. */
  isOwn(): boolean;
  /** Called before each snapshot. */
  prepare(): Promise<void>;
  /** Returns the state to save. */
  snapshot(): ResumeState;
  /** Called before each save that the timer starts. */
  onTick(): void;
  /** Called once, when resume state can't be read or written. */
  onWarning(error: StorageError): void;
}

/** Options for {@linkcode ResumeKeeper.load} and {@linkcode ResumeKeeper.peek}. */
export interface LoadStateOptions {
  /** Absolute path of the download folder, without links. The same torrent may be in several folders. */
  readonly folder: string;
}

/** Milliseconds between a change and the save that includes it. */
const SAVE_INTERVAL = 1000;

/**
 * Saves about once a second while there are changes, one save at a time. A failed save costs only time at the next
 * start, so it is reported once and stops nothing.
 */
export class ResumeKeeper {
  readonly #options: ResumeKeeperOptions;
  #path = "";
  #timer: Timer | null = null;
  #saving: Promise<void> | null = null;
  #madeFolder = false;
  #stopped = false;
  #hasFailed = false;

  constructor(options: ResumeKeeperOptions) {
    this.#options = options;
  }

  /** Whether resume state could not be read or written at least once. */
  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  /**
   * Loads the resume state. Called once, before anything is saved.
   *
   * @returns The state, or `null` if there is none that can be used, so that the data itself has to be checked.
   */
  async load(
    shape: ResumeShape,
    { folder }: LoadStateOptions,
  ): Promise<ResumeState | null> {
    await this.moveTo(folder);
    try {
      return await this.#read(this.#path, shape);
    } catch (thrown) {
      this.#warn(thrown);
      return null;
    }
  }

  /**
   * Keeps the state of another folder from now on. The state of the previous folder stays on disk.
   *
   * @param folder Absolute path of the other folder, without links.
   */
  async moveTo(folder: string): Promise<void> {
    const path = await this.#pathOf(folder);
    await this.idle();
    this.#path = path;
  }

  /**
   * Loads the resume state of any folder.
   *
   * @returns The state, or `null` if there is none that can be used.
   * @throws {FileError} If the state can't be read.
   */
  async peek(shape: ResumeShape, { folder }: LoadStateOptions): Promise<ResumeState | null> {
    return await this.#read(await this.#pathOf(folder), shape);
  }

  /**
   * Saves a state at once, as that of the folder that it names.
   *
   * @throws {FileError} If the state can't be saved.
   */
  async put(state: ResumeState): Promise<void> {
    await this.#makeFolder();
    const path = await this.#pathOf(state.folder);
    await this.#inTurn(() => this.#writeTo(path, state));
  }

  /**
   * Removes the resume state of a folder.
   *
   * @param folder Absolute path of the folder, without links.
   * @throws {FileError} If the state can't be removed.
   */
  async remove(folder: string): Promise<void> {
    await this.idle();
    await this.#options.platform.files.remove(await this.#pathOf(folder));
  }

  async #pathOf(folder: string): Promise<string> {
    const { platform, stateFolder, infoHash } = this.#options;
    const hash = await platform.sha1(utf8(folder));
    return `${stateFolder}/${infoHash.hex}-${toHex(hash).slice(0, 8)}.resume`;
  }

  /** Waits until no save is under way. Never rejects. */
  async idle(): Promise<void> {
    while (this.#saving !== null) await this.#saving;
  }

  async #read(path: string, shape: ResumeShape): Promise<ResumeState | null> {
    const { files } = this.#options.platform;
    const info = await files.stat(path);
    const maxBytes = maxResumeBytes(shape);
    if (info === null || info.size > maxBytes) return null;
    try {
      return parseResumeState(await files.readFile(path, maxBytes, { secret: true }), shape);
    } catch (error) {
      // A damaged file, or one of another version of the program, costs only the time of a check.
      if (error instanceof ResumeStateError) return null;
      throw error;
    }
  }

  /** Schedules a save, if none is scheduled. */
  touch(): void {
    if (this.#stopped || this.#timer !== null) return;
    this.#timer = this.#options.platform.after(SAVE_INTERVAL, () => void this.#tick());
  }

  /** Saves the current state. Never rejects. */
  async save(): Promise<void> {
    if (!this.#options.isOwn()) return;
    await this.#inTurn(() => this.#write()).catch((thrown) => this.#warn(thrown));
  }

  /** Runs a save when no other one is under way. Two at a time could write the same draft. */
  async #inTurn(save: () => Promise<void>): Promise<void> {
    while (this.#saving !== null) await this.#saving; // here, so that the next save begins in the same turn
    const saving = save();
    this.#saving = saving.catch(() => {}); // whoever saves hears of the error
    try {
      await saving;
    } finally {
      this.#saving = null;
    }
  }

  /** Stops the timer. A save under way goes on; {@linkcode ResumeKeeper.idle} waits for it. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#timer = null;
  }

  async #tick(): Promise<void> {
    this.#timer = null;
    this.#options.onTick();
    await this.save();
  }

  #warn(thrown: unknown): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    this.#options.onWarning(noResumeState(this.#path, thrown));
  }

  async #write(): Promise<void> {
    await this.#makeFolder();
    await this.#options.prepare();
    await this.#writeTo(this.#path, this.#options.snapshot());
  }

  async #writeTo(path: string, state: ResumeState): Promise<void> {
    const alone = this.#options.isAlone();
    await this.#options.platform.files.writeFile(path, encodeResumeState(state), { alone, secret: true });
  }

  async #makeFolder(): Promise<void> {
    if (!this.#madeFolder) await this.#options.platform.files.makeFolder(this.#options.stateFolder, { secret: true });
    this.#madeFolder = true;
  }
}
