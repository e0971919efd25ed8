/**
 * Options of a storage.
 *
 * @module
 */

import type { StartMode } from "./resume_plan.ts";
import type { InfoHash } from "../base/info_hash.ts";
import type { MemoryBudget } from "../base/memory_budget.ts";
import type { DigestVerifier } from "../base/piece_verifier.ts";
import type { Platform } from "../platform/platform.ts";
import type { StorageError } from "./errors.ts";

/** Default for the number of files that a storage keeps open at one time. */
export const MAX_OPEN_FILES = 128;

/** Options for `Storage`. */
export interface StorageOptions {
  /** Clocks, timers, files, digests and hashing threads. */
  readonly platform: Pick<
    Platform,
    "now" | "wallClock" | "after" | "files" | "sha1" | "digest" | "startFileHashers"
  >;
  /**
   * Download folder; created if it is missing. If `readOnly` is set, the folder that holds the torrent's file or top
   * folder, or that file or folder itself, under any name.
   */
  readonly folder: string;
  /** Tells how pieces are hashed, and whether a digest is right. */
  readonly verifier: DigestVerifier;
  /** Info-hash of the torrent, which also names the resume file. */
  readonly infoHash: InfoHash;
  /**
   * Returns all paths at which a file may already be, the likeliest first. Only the path in the layout is used when
   * absent.
   */
  pathsOf?(index: number): readonly (readonly string[])[];
  /** Indexes of the wanted files; all when absent. */
  readonly files?: ReadonlySet<number>;
  /**
   * Folder of the resume files; `null` to keep no resume state. Without it nothing tells whose a `.part` file is if
   * none of its pieces is right; such a file counts as ours if it has the size that Shoal gives it.
   */
  readonly stateFolder: string | null;
  /** Memory for the read cache. */
  readonly memory: MemoryBudget;
  /** Largest number of files that are open at one time. Default: 128. */
  readonly maxOpenFiles?: number;
  /**
   * Whether the data is only read. Then nothing is written to the folder. Unfinished files and the partfile of a
   * download are read as far as they go. Default: `false`.
   */
  readonly readOnly?: boolean;
  /**
   * Called on problems that stop nothing, such as resume state that can't be read or written, which is reported once.
   */
  onWarning?(error: StorageError): void;
}

/** Options for `Storage.open()` and `Storage.recheck()`. */
export interface OpenOptions {
  /**
   * Called with the progress of the check from 0 to 1, at most ten times a second. Not called if there is nothing to
   * check.
   */
  onProgress(fraction: number): void;
  /** Aborts the check. */
  readonly signal?: AbortSignal;
}

/** Options for `WorkingFiles.rearrange()`. */
export interface ReloadOptions extends Partial<OpenOptions> {
  /** How the pieces are found. */
  readonly mode: StartMode;
  /** Whether everything that was written is durable. */
  readonly clean: boolean;
  /** Indexes of the wanted files; all when `undefined`. */
  readonly wanted: ReadonlySet<number> | undefined;
}
