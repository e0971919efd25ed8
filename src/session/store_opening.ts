/**
 * How the session's database is opened: with patience while other processes hold it, and anew when it is damaged.
 *
 * @module
 */

import { ShoalError } from "../base/errors.ts";
import { isDatabaseFault } from "../platform/database_error.ts";
import type { Database, Platform } from "../platform/platform.ts";
import { checkAll, migrate } from "./store_schema.ts";

/** What a database is opened with. */
export interface OpeningOptions {
  /** The outside. */
  readonly platform: Pick<Platform, "files" | "openDatabase" | "wallClock" | "after">;
  /** Of the database's file. */
  readonly path: string;
  /** Whether something in it is known to be damaged, so that all of it is looked at. */
  readonly isSuspect: boolean;
  /** Told when it was put aside: why, and under which name. */
  putAside(why: string, name: string): void;
}

/** Milliseconds between two tries when another process is writing, and how many there are. */
const LOCKED_MS = 50;
const LOCKED_TRIES = 20;

/**
 * Does something with a database, and again while another process holds it, for a second.
 *
 * @param platform Timers.
 * @param work What to do.
 * @returns What `work` returned.
 * @throws {DatabaseError} If it fails otherwise, or for too long.
 */
export async function patiently<T>(platform: Pick<Platform, "after">, work: () => T | Promise<T>): Promise<T> {
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
 * Opens the database. One that is damaged is put aside, and a new one begun.
 *
 * @param options What to open.
 * @returns The database, with the newest tables.
 * @throws {ShoalError} Of kind `storage` if it can't be used.
 */
export async function openSound(options: OpeningOptions): Promise<Database> {
  const { platform, path, isSuspect } = options;
  try {
    return await patiently(platform, () => tryOpen(options, isSuspect));
  } catch (error) {
    if (!isDatabaseFault(error, "corrupt")) throw error;
  }
  // Another process may be about to do the same, and must not put away the new one.
  const lock = await platform.files.lock(`${path}.lock`, { patience: LOCKED_MS * LOCKED_TRIES });
  try {
    return await patiently(platform, () => tryOpen(options, true));
  } catch (error) {
    if (!(error instanceof ShoalError) || !isDatabaseFault(error, "corrupt") || lock === null) throw error;
    const aside = `${path}.broken-${platform.wallClock()}`;
    for (const suffix of ["-wal", "-shm", ""]) {
      if (await platform.files.stat(path + suffix)) await platform.files.rename(path + suffix, aside + suffix);
    }
    options.putAside(error.why, aside.slice(aside.lastIndexOf("/") + 1));
    return await patiently(platform, () => tryOpen(options, false));
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
