/**
 * Opens the session's database: waits while other processes have it locked, and replaces it if it is damaged.
 *
 * @module
 */

import { ShoalError } from "../base/errors.ts";
import { isDatabaseFault } from "../platform/database_error.ts";
import type { Database, Platform } from "../platform/platform.ts";
import { checkAll, migrate } from "./store_schema.ts";

/** Options for {@linkcode openOrReplaceDatabase}. */
export interface OpeningOptions {
  /** System services: files, database, clock and timers. */
  readonly platform: Pick<Platform, "files" | "openDatabase" | "wallClock" | "after">;
  /** Path of the database. */
  readonly path: string;
  /** `true` if damage is suspected, so that the whole database is checked. */
  readonly isSuspect: boolean;
  /** Called when a damaged database was renamed, with the reason and the new name. */
  putAside(why: string, name: string): void;
}

/** Milliseconds between tries while another process has the database locked. */
const LOCKED_MS = 50;
/** Number of tries. */
const LOCKED_TRIES = 20;

/**
 * Runs a database operation, and repeats it for about a second while another process has the database locked.
 *
 * @param platform Timers.
 * @param work The operation.
 * @returns The result of `work`.
 * @throws {DatabaseError} If the operation fails for another reason, or the database stays locked.
 */
export async function retryWhileLocked<T>(platform: Pick<Platform, "after">, work: () => T | Promise<T>): Promise<T> {
  for (let tries = 1;; tries++) {
    try {
      return await work();
    } catch (error) {
      if (tries >= LOCKED_TRIES || !isDatabaseFault(error, "locked")) throw error;
    }
    await new Promise<void>((resolve) => void platform.after(LOCKED_MS, resolve));
  }
}

/**
 * Opens the database. A damaged one is renamed and replaced with a new one.
 *
 * @param options See {@linkcode OpeningOptions}.
 * @returns The database, migrated to the current schema.
 * @throws {ShoalError} Of kind `storage` if the database can't be used.
 */
export async function openOrReplaceDatabase(options: OpeningOptions): Promise<Database> {
  const { platform, path, isSuspect } = options;
  try {
    return await retryWhileLocked(platform, () => tryOpen(options, isSuspect));
  } catch (error) {
    if (!isDatabaseFault(error, "corrupt")) throw error;
  }
  // The lock keeps two processes from replacing the database at the same time, which would rename the new one.
  const lock = await platform.files.lock(`${path}.lock`, { patience: LOCKED_MS * LOCKED_TRIES });
  try {
    return await retryWhileLocked(platform, () => tryOpen(options, true));
  } catch (error) {
    if (!(error instanceof ShoalError) || !isDatabaseFault(error, "corrupt") || lock === null) throw error;
    const aside = `${path}.broken-${platform.wallClock()}`;
    for (const suffix of ["-wal", "-shm", ""]) {
      if (await platform.files.stat(path + suffix)) await platform.files.rename(path + suffix, aside + suffix);
    }
    options.putAside(error.why, aside.slice(aside.lastIndexOf("/") + 1));
    return await retryWhileLocked(platform, () => tryOpen(options, false));
  } finally {
    await lock?.release();
  }
}

async function tryOpen({ platform, path }: OpeningOptions, isSuspect: boolean): Promise<Database> {
  const database = await platform.openDatabase!(path);
  try {
    migrate(database, path);
    if (isSuspect) checkAll(database, path);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}
