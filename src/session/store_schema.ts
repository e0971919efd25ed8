/**
 * Schema of the session's database, and conversion of torrents to and from rows.
 *
 * To change the schema, append to {@linkcode MIGRATIONS}. Released entries must not be changed.
 *
 * @module
 */

import { InfoHash, InfoHashV2 } from "../base/info_hash.ts";
import { InfoHashes } from "../base/info_hashes.ts";
import { DatabaseError } from "../platform/database_error.ts";
import { FILE_PRIORITIES, type FilePriority } from "../swarm/mod.ts";
import type { Database, SqlRow, SqlValue } from "../platform/platform.ts";

/** What the user wants a torrent to do; `removing` means to be removed with its files. */
export type WantedState = "running" | "paused" | "queued" | "removing";

const STATES: readonly string[] = ["running", "paused", "queued", "removing"] satisfies readonly WantedState[];

/** Stored state of a torrent. */
export interface TorrentRecord {
  /** Name, safe to print. */
  readonly name: string;
  /** Magnet link that the torrent was added with; `null` for a torrent file. */
  readonly magnet: string | null;
  /** Folder that contains the torrent's file or folder. */
  readonly folder: string;
  /** `true` if nothing is ever written to the files. */
  readonly seedOnly: boolean;
  /** `true` if pieces are downloaded in order. */
  readonly sequential: boolean;
  /** Indexes of the wanted files in `meta.files`; `null` for all, or those that the magnet link selects. */
  readonly files: readonly number[] | null;
  /** Priorities by file index; files with normal priority are left out. */
  readonly priorities: readonly (readonly [index: number, priority: FilePriority])[];
  /** Download limit of the torrent in bytes per second; `null` for none. */
  readonly maxDown: number | null;
  /** Upload limit of the torrent in bytes per second; `null` for none. */
  readonly maxUp: number | null;
  /** Announce URLs in tiers. */
  readonly trackers: readonly (readonly string[])[];
  /** What the user wants the torrent to do. */
  readonly state: WantedState;
  /** Error that stops the torrent; `null` if there is none. */
  readonly error: string | null;
  /** `true` if all wanted bytes are on disk; `null` if unknown, which leaves the stored value as it is. */
  readonly done: boolean | null;
  /** `true` if the torrent was added for one run, and must not be restored. */
  readonly oneOff: boolean;
}

/** A torrent as read from the database. */
export interface StoredTorrent extends Omit<TorrentRecord, "done"> {
  /** Info-hash by which the torrent is stored: one of those on the wire. */
  readonly infoHash: InfoHash;
  /** All info-hashes that are known. */
  readonly infoHashes: InfoHashes;
  /** When the torrent was first added, milliseconds since 1970. */
  readonly addedAt: number;
  /** When all wanted bytes were on disk, milliseconds since 1970; `null` if the torrent is incomplete. */
  readonly doneAt: number | null;
  /** When the torrent was last known to be in a session, milliseconds since 1970. */
  readonly touchedAt: number;
  /** Payload bytes ever received, wasted ones included. */
  readonly downloaded: number;
  /** Payload bytes ever sent. */
  readonly uploaded: number;
}

/** SQL that brings the database from the version of its index to the next. */
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
  // A row of an older version has neither, and its torrent is v1. The key of a row is one of two, and doesn't tell which.
  `ALTER TABLE torrents ADD COLUMN info_hash_v1 BLOB;
   ALTER TABLE torrents ADD COLUMN info_hash_v2 BLOB;
   CREATE INDEX torrents_v1 ON torrents (info_hash_v1);
   CREATE INDEX torrents_v2 ON torrents (substr(info_hash_v2, 1, 20));`,
];

/**
 * Migrates a database to the current schema, and does the quick part of the integrity check.
 *
 * @param database The database; may be empty.
 * @param path Path of the database, for errors.
 * @throws {DatabaseError} With the fault `newer` if a newer version of Shoal wrote it, `corrupt` if it is damaged.
 */
export function migrate(database: Database, path: string): void {
  if (versionOf(database) !== MIGRATIONS.length) {
    database.transaction(() => {
      const version = versionOf(database); // another process may have migrated it
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
 * Checks the integrity of the whole database.
 *
 * @param database The database.
 * @param path Path of the database, for errors.
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

/** Columns of a {@linkcode TorrentRecord}, in the order of {@linkcode valuesOf}. */
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

/** Columns that keep their value when the new one is unknown. */
const LASTING: ReadonlySet<string> = new Set(["magnet", "info_hash_v1", "info_hash_v2"]);

/** Selects the rows of a torrent by an info-hash on the wire, which is given three times; the oldest row first. */
export const SELECT_TORRENT = `SELECT * FROM torrents
  WHERE info_hash = ? OR info_hash_v1 = ? OR substr(info_hash_v2, 1, 20) = ? ORDER BY added_at, rowid`;

/**
 * Inserts or updates a torrent's row, except its traffic totals. Values: info-hash, `added_at`, `done_at`,
 * `touched_at`, v1 and v2 info-hash, then those of {@linkcode valuesOf}.
 */
export const PUT_TORRENT = putStatement([
  "info_hash",
  "added_at",
  "done_at",
  "touched_at",
  "info_hash_v1",
  "info_hash_v2",
  ...RECORD_COLUMNS,
]);

function putStatement(columns: readonly string[]): string {
  // A restored torrent is added from its torrent file and has no magnet link. The stored link stays, in case the
  // torrent file is lost. A magnet link may know only one of two info-hashes.
  const better = (column: string) =>
    LASTING.has(column) ? `COALESCE(excluded.${column}, ${column})` : `excluded.${column}`;
  const changes = columns.slice(1).map((column) => `${column} = ${better(column)}`);
  return `INSERT INTO torrents (${columns.join(", ")}) VALUES (${columns.map(() => "?").join(", ")})
    ON CONFLICT (info_hash) DO UPDATE SET ${changes.join(", ")}`;
}

/**
 * Converts a record to column values.
 *
 * @returns One value for each of the record's columns.
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
 * Converts a row to a torrent. The row is validated, since other programs can write to the database.
 *
 * @param row A row of `torrents`, with all columns.
 * @returns The torrent, or `null` if the row is invalid.
 */
export function torrentOf(row: SqlRow): StoredTorrent | null {
  const { info_hash: hash, name, magnet, folder, state, error, done_at: doneAt } = row;
  if (!(hash instanceof Uint8Array) || hash.length !== InfoHash.LENGTH) return null;
  if (typeof name !== "string" || typeof folder !== "string" || folder === "") return null;
  if (typeof state !== "string" || !STATES.includes(state)) return null;
  if (!isTextOrNull(magnet) || !isTextOrNull(error)) return null;
  const infoHash = new InfoHash(hash);
  const infoHashes = infoHashesOf(row, infoHash);
  if (infoHashes === null) return null;
  const files = listOf(row["files"], isIndex);
  const priorities = listOf(row["priorities"], isPriority);
  const trackers = listOf(row["trackers"], (tier) => Array.isArray(tier) && tier.length > 0 && tier.every(isUrl));
  if (files === undefined || !priorities || !trackers) return null;
  const rate = (column: string): number | null => count(column) || null;
  const count = (column: string): number => Math.max(0, Number(row[column]) || 0);
  return {
    infoHash,
    infoHashes,
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

/** Returns the info-hashes of a row; `null` if they are invalid. */
function infoHashesOf({ info_hash_v1: v1, info_hash_v2: v2 }: SqlRow, key: InfoHash): InfoHashes | null {
  if (v1 === null && v2 === null) return new InfoHashes(key, null);
  const first = v1 instanceof Uint8Array && v1.length === InfoHash.LENGTH ? new InfoHash(v1) : null;
  const second = v2 instanceof Uint8Array && v2.length === InfoHashV2.LENGTH ? new InfoHashV2(v2) : null;
  if ((first === null) !== (v1 === null) || (second === null) !== (v2 === null)) return null;
  const found = new InfoHashes(first, second);
  return found.has(key) ? found : null;
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

/** Parses a JSON list; returns `undefined` if it is invalid. */
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
