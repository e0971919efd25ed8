/**
 * What a storage is opened with.
 *
 * @module
 */

import type { StartMode } from "./resume_plan.ts";
import type { InfoHash } from "../base/info_hash.ts";
import type { MemoryBudget } from "../base/memory_budget.ts";
import type { Platform } from "../platform/platform.ts";
import type { StorageError } from "./errors.ts";

/** Files that a storage keeps open at one time, when it isn't told otherwise. */
export const MAX_OPEN_FILES = 128;

/** Settings of a `Storage`. */
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

/** Settings of `Storage.open()` and `Storage.recheck()`. */
export interface OpenOptions {
  /** Told how far the check has come, 0 to 1, ten times a second at most. Not called when there is nothing to check. */
  onProgress(fraction: number): void;
  /** Ends the check. */
  readonly signal?: AbortSignal;
}

/** How {@linkcode Storage} looks at its files again. */
export interface Rearrangement extends Partial<OpenOptions> {
  /** How. */
  readonly mode: StartMode;
  /** Whether everything that was written is safe. */
  readonly clean: boolean;
  /** Indexes of the files that are wanted; all when `undefined`. */
  readonly wanted: ReadonlySet<number> | undefined;
}
