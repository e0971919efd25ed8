/**
 * Loads and saves the resume state of one torrent.
 *
 * @module
 */

import type { InfoHash } from "../base/info_hash.ts";
import type { Platform, Timer } from "../platform/platform.ts";
import { ResumeStateError } from "./errors.ts";
import {
  encodeResumeState,
  maxResumeBytes,
  parseResumeState,
  type ResumeShape,
  type ResumeState,
} from "./resume_state.ts";

/** What {@linkcode ResumeKeeper} works with. */
export interface ResumeKeeperOptions {
  /** Timers and files. */
  readonly platform: Pick<Platform, "after" | "files">;
  /** Where resume files are kept. */
  readonly stateFolder: string;
  /** Which torrent. */
  readonly infoHash: InfoHash;
  /** Called before each snapshot. */
  prepare(): Promise<void>;
  /** What is to be remembered at this moment. */
  snapshot(): ResumeState;
  /** Told before each save that the timer starts. */
  onTick(): void;
}

/** Milliseconds between a change and the save that holds it. */
const SAVE_INTERVAL = 1000;

/** Saves about once a second while there are changes, one save at a time. */
export class ResumeKeeper {
  readonly #options: ResumeKeeperOptions;
  readonly #path: string;
  #timer: Timer | null = null;
  #saving: Promise<void> | null = null;
  #madeFolder = false;
  #stopped = false;
  #failure: { readonly thrown: unknown } | null = null;

  /** @param options What to work with. */
  constructor(options: ResumeKeeperOptions) {
    this.#options = options;
    this.#path = `${options.stateFolder}/${options.infoHash.hex}.resume`;
  }

  /** Why a save that the timer started failed, or `null` while nothing is wrong. */
  get failure(): { readonly thrown: unknown } | null {
    return this.#failure;
  }

  /**
   * Loads what was remembered.
   *
   * @param shape The torrent.
   * @returns The state, or `null` when there is none that can be used: then the data itself is looked at.
   * @throws {ShoalError} If there is a file that can't be read.
   */
  async load(shape: ResumeShape): Promise<ResumeState | null> {
    const { files } = this.#options.platform;
    const info = await files.stat(this.#path);
    const maxBytes = maxResumeBytes(shape);
    if (info === null || info.size > maxBytes) return null;
    try {
      return parseResumeState(await files.readFile(this.#path, maxBytes), shape);
    } catch (error) {
      // Damaged, or of another version of the program: nothing is lost but time.
      if (error instanceof ResumeStateError) return null;
      throw error;
    }
  }

  /** Notes that there is something new, which will be saved soon. */
  touch(): void {
    if (this.#stopped || this.#timer !== null || this.#failure !== null) return;
    this.#timer = this.#options.platform.after(SAVE_INTERVAL, () => void this.#tick());
  }

  /**
   * Saves the state as it is now.
   *
   * @throws {ShoalError} If it can't be written.
   */
  async save(): Promise<void> {
    while (this.#saving !== null) await this.#saving.catch(() => {}); // its own caller is told
    this.#saving = this.#write();
    try {
      await this.#saving;
    } finally {
      this.#saving = null;
    }
  }

  /** Stops the timer. What is being saved goes on; {@linkcode ResumeKeeper.save} waits for it. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#timer = null;
  }

  async #tick(): Promise<void> {
    this.#timer = null;
    this.#options.onTick();
    try {
      await this.save();
    } catch (thrown) {
      this.#failure = { thrown };
    }
  }

  async #write(): Promise<void> {
    const { files } = this.#options.platform;
    if (!this.#madeFolder) await files.makeFolder(this.#options.stateFolder);
    this.#madeFolder = true;
    await this.#options.prepare();
    await files.writeFile(this.#path, encodeResumeState(this.#options.snapshot()));
  }
}
