/**
 * The tables of the session's database, and torrents as their rows.
 *
 * A change of the tables is a new entry at the end of {@linkcode MIGRATIONS}; what was released stays as it is.
 *
 * @module
 */

import { InfoHash } from "../base/info_hash.ts";
import { DatabaseError } from "../platform/database_error.ts";
import { FILE_PRIORITIES, type FilePriority } from "../swarm/mod.ts";
import type { Database, SqlRow, SqlValue } from "../platform/platform.ts";

/** What the user wants a torrent to do; `removing`: to be gone, with its files. */
export type WantedState = "running" | "paused" | "queued" | "removing";

const STATES: readonly string[] = ["running", "paused", "queued", "removing"] satisfies readonly WantedState[];

/** What is kept of a torrent as it is now. */
export interface TorrentRecord {
  /** Its name, safe to print. */
  readonly name: string;
  /** The magnet link by which it was added; `null` for a torrent file. */
  readonly magnet: string | null;
  /** Folder that its files, or its own folder, are in. */
  readonly folder: string;
  /** Whether nothing is ever written. */
  readonly seedOnly: boolean;
  /** Whether pieces are fetched in order. */
  readonly sequential: boolean;
  /** Indexes of the files that are wanted, in `meta.files`; `null` for all, or those that the magnet link names. */
  readonly files: readonly number[] | null;
  /** Priorities of files by their indexes, but for normal ones. */
  readonly priorities: readonly (readonly [index: number, priority: FilePriority])[];
  /** Bytes a second that it downloads at most; `null` for no limit of its own. */
  readonly maxDown: number | null;
  /** Bytes a second that it uploads at most; `null` for no limit of its own. */
  readonly maxUp: number | null;
  /** Announce URLs in tiers. */
  readonly trackers: readonly (readonly string[])[];
  /** What the user wants it to do. */
  readonly state: WantedState;
  /** Why it can't do that; `null` if it can. */
  readonly error: string | null;
  /** Whether every wanted byte is here; `null` while that isn't known, and it stays as it was. */
  readonly done: boolean | null;
  /** Whether it was added for one run, and isn't the session's to restore. */
  readonly oneOff: boolean;
}

/** A torrent as it is in the database. */
export interface StoredTorrent extends Omit<TorrentRecord, "done"> {
  /** Which torrent. */
  readonly infoHash: InfoHash;
  /** When it was added first, milliseconds since 1970. */
  readonly addedAt: number;
  /** When every wanted byte was here, milliseconds since 1970; `null` if one is missing. */
  readonly doneAt: number | null;
  /** When it was last known to be at work, milliseconds since 1970. */
  readonly touchedAt: number;
  /** Payload bytes that ever came, wasted ones included. */
  readonly downloaded: number;
  /** Payload bytes that were ever sent. */
  readonly uploaded: number;
}

/** By version, from 0 on: what makes the next one of it. */
export const MIGRATIONS: readonly string[] = [
  `CREATE TABLE torrents (
     info_hash BLOB PRIMARY KEY,
     name TEXT NOT NULL,
     magnet TEXT,
     folder TEXT NOT NULL,
     seed_only INTEGER NOT NULL,
     sequential INTEGER NOT NULL,
     files TEXT,
     priorities TEXT NOT NULL,
     max_down INTEGER,
     max_up INTEGER,
     trackers TEXT NOT NULL,
     state TEXT NOT NULL,
     error TEXT,
     one_off INTEGER NOT NULL,
     added_at INTEGER NOT NULL,
     done_at INTEGER,
     touched_at INTEGER NOT NULL,
     downloaded INTEGER NOT NULL DEFAULT 0,
     uploaded INTEGER NOT NULL DEFAULT 0
   ) STRICT;
   -- Apart from the rest, which changes often: SQLite writes rows whole.
   CREATE TABLE metainfo (
     info_hash BLOB PRIMARY KEY,
     used_at INTEGER NOT NULL,
     bytes BLOB NOT NULL
   ) STRICT;
   CREATE TABLE session (
     id INTEGER PRIMARY KEY CHECK (id = 1),
     downloaded INTEGER NOT NULL,
     uploaded INTEGER NOT NULL,
     swept_at INTEGER NOT NULL
   ) STRICT;
   INSERT INTO session VALUES (1, 0, 0, 0);`,
];

/**
 * Brings a database to the newest version of the tables, and looks whether it is sound as far as that is quick.
 *
 * @param database What was opened; an empty one is begun.
 * @param path Of its file, for errors.
 * @throws {DatabaseError} With the fault `newer` if a later program has made it, `corrupt` if it is damaged.
 */
export function migrate(database: Database, path: string): void {
  if (versionOf(database) !== MIGRATIONS.length) {
    database.transaction(() => {
      const version = versionOf(database); // another process may have been quicker
      if (version > MIGRATIONS.length) {
        const why = `a newer version of Shoal made it (version ${version}, this one knows ${MIGRATIONS.length})`;
        throw new DatabaseError("newer", { what: "cannot use the database", path, why });
      }
      for (const migration of MIGRATIONS.slice(version)) database.exec(migration);
      database.exec(`PRAGMA user_version = ${MIGRATIONS.length}`);
    });
  }
  // Torrent files are many and large, and are checked when they are used.
  for (const table of ["torrents", "session"]) check(database, { pragma: `quick_check(${table})`, path });
}

/**
 * Looks whether all of a database is sound.
 *
 * @param database What was opened.
 * @param path Of its file, for errors.
 * @throws {DatabaseError} With the fault `corrupt` if it is damaged.
 */
export function checkAll(database: Database, path: string): void {
  check(database, { pragma: "quick_check", path });
}

function check(database: Database, { pragma, path }: { readonly pragma: string; readonly path: string }): void {
  const found = database.prepare(`PRAGMA ${pragma}`).get();
  const verdict = found && Object.values(found)[0];
  if (verdict === "ok") return;
  throw new DatabaseError("corrupt", { what: "cannot use the database", path, cause: verdict });
}

function versionOf(database: Database): number {
  return Number(database.prepare("PRAGMA user_version").get()?.["user_version"] ?? 0);
}

/** Columns that follow from a {@linkcode TorrentRecord}, in the order of {@linkcode valuesOf}. */
const RECORD_COLUMNS: readonly string[] = [
  "name",
  "magnet",
  "folder",
  "seed_only",
  "sequential",
  "files",
  "priorities",
  "max_down",
  "max_up",
  "trackers",
  "state",
  "error",
  "one_off",
];

/** Inserts a row or makes it anew, but for its sums: info-hash, times of adding, completion and work, then {@linkcode valuesOf}. */
export const PUT_TORRENT = putStatement(["info_hash", "added_at", "done_at", "touched_at", ...RECORD_COLUMNS]);

function putStatement(columns: readonly string[]): string {
  // What a link stands for is added again as such, but may be lost.
  const better = (column: string) => column === "magnet" ? "COALESCE(excluded.magnet, magnet)" : `excluded.${column}`;
  const changes = columns.slice(1).map((column) => `${column} = ${better(column)}`);
  return `INSERT INTO torrents (${columns.join(", ")}) VALUES (${columns.map(() => "?").join(", ")})
    ON CONFLICT (info_hash) DO UPDATE SET ${changes.join(", ")}`;
}

/**
 * A record as the values of its columns.
 *
 * @param record What is to be kept.
 * @returns A value for each column.
 */
export function valuesOf(record: TorrentRecord): SqlValue[] {
  const json = (value: unknown) => value === null ? null : JSON.stringify(value);
  return [
    record.name,
    record.magnet,
    record.folder,
    Number(record.seedOnly),
    Number(record.sequential),
    json(record.files),
    json(record.priorities),
    record.maxDown,
    record.maxUp,
    json(record.trackers),
    record.state,
    record.error,
    Number(record.oneOff),
  ];
}

/**
 * A row of the table of torrents. The file may have been changed by anybody who may change the user's files.
 *
 * @param row The row, all columns.
 * @returns The torrent, or `null` if the row makes no sense.
 */
export function torrentOf(row: SqlRow): StoredTorrent | null {
  const { info_hash: hash, name, magnet, folder, state, error, done_at: doneAt } = row;
  if (!(hash instanceof Uint8Array) || hash.length !== InfoHash.LENGTH) return null;
  if (typeof name !== "string" || typeof folder !== "string" || folder === "") return null;
  if (typeof state !== "string" || !STATES.includes(state)) return null;
  if (!isTextOrNull(magnet) || !isTextOrNull(error)) return null;
  const files = listOf(row["files"], isIndex);
  const priorities = listOf(row["priorities"], isPriority);
  const trackers = listOf(row["trackers"], (tier) => Array.isArray(tier) && tier.length > 0 && tier.every(isUrl));
  if (files === undefined || !priorities || !trackers) return null;
  const rate = (column: string): number | null => count(column) || null;
  const count = (column: string): number => Math.max(0, Number(row[column]) || 0);
  return {
    infoHash: new InfoHash(hash),
    name,
    magnet,
    folder,
    seedOnly: row["seed_only"] === 1,
    sequential: row["sequential"] === 1,
    files: files as StoredTorrent["files"],
    priorities: priorities as StoredTorrent["priorities"],
    maxDown: rate("max_down"),
    maxUp: rate("max_up"),
    trackers: trackers as StoredTorrent["trackers"],
    state: state as WantedState,
    error,
    oneOff: row["one_off"] === 1,
    addedAt: count("added_at"),
    doneAt: doneAt === null ? null : count("done_at"),
    touchedAt: count("touched_at"),
    downloaded: count("downloaded"),
    uploaded: count("uploaded"),
  };
}

function isTextOrNull(value: unknown): value is string | null {
  return value === null || typeof value === "string";
}

function isIndex(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function isPriority(value: unknown): boolean {
  return Array.isArray(value) && value.length === 2 && isIndex(value[0]) && FILE_PRIORITIES.includes(value[1]);
}

function isUrl(value: unknown): boolean {
  return typeof value === "string" && URL.canParse(value);
}

/** A list that is kept as JSON; `undefined` when it is none. */
function listOf(
  value: SqlValue | undefined,
  isItem: (item: unknown) => boolean,
): readonly unknown[] | null | undefined {
  if (value === null) return null;
  if (typeof value !== "string") return undefined;
  try {
    const list: unknown = JSON.parse(value);
    return Array.isArray(list) && list.every(isItem) ? list : undefined;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return undefined;
  }
}
