/**
 * SQLite on Deno. This module is loaded only when a database is opened.
 *
 * The journal is a write-ahead log: a commit is one write and doesn't wait for the device, several processes may read
 * while one writes, and commits survive a process that is killed. After a power failure the last commits may be lost,
 * but never a part of one.
 *
 * @module
 */

import { DatabaseSync, type StatementSync } from "node:sqlite";
import { toDatabaseError } from "./database_error.ts";
import { toFileError } from "./file_errors.ts";
import type { Database, SqlRow, SqlValue, Statement } from "./platform.ts";

/** Path of a database that exists only in memory, until it is closed. */
export const IN_MEMORY = ":memory:";

/** Milliseconds that a call waits for another process. The event loop is blocked meanwhile. */
const BUSY_MS = 20;
/** Pages of 4 KiB after which the log is written to the database file, which waits for the device. */
const CHECKPOINT_PAGES = 1000;
/** Prepared statements that are cached. */
const MOST_STATEMENTS = 50;
const isWindows = Deno.build.os === "windows";
/** Mode of a file that only the user may read and write. */
const SECRET_FILE = 0o600;
/** Mode bits of all users but the owner. */
const OTHERS = 0o077;

/**
 * Opens a database; see `Platform.openDatabase`.
 *
 * @param path Path of the file, or {@linkcode IN_MEMORY}.
 * @throws {DatabaseError} If the file can't be used, or is not a database.
 * @throws {FileError} If the file can't be created.
 */
export function openDatabase(path: string): Database {
  if (path !== IN_MEMORY) keepSecret(path);
  const inner = guard("cannot open the database", path, () => new DatabaseSync(path));
  try {
    const database = new SqliteDatabase(inner, path);
    database.exec(`PRAGMA busy_timeout = ${BUSY_MS}; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON`);
    // A file system without shared memory, such as a network file system, keeps the rollback journal, which needs full
    // syncs.
    const mode = database.prepare("PRAGMA journal_mode = WAL").get()?.["journal_mode"];
    database.exec(`PRAGMA synchronous = ${mode === "wal" ? "NORMAL" : "FULL"}`);
    database.exec(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
    return database;
  } catch (error) {
    inner.close();
    throw error;
  }
}

/**
 * Creates the file with access for the user alone, and removes the access of other users to an existing one. SQLite
 * gives the files beside it the same mode. An existing file is not opened, since closing it would release the locks of
 * a database that this process has open.
 */
function keepSecret(path: string): void {
  try {
    Deno.openSync(path, { write: true, createNew: true, ...(isWindows ? {} : { mode: SECRET_FILE }) }).close();
    return;
  } catch (thrown) {
    if (!(thrown instanceof Deno.errors.AlreadyExists)) {
      throw toFileError(thrown, { what: "cannot open the database", path });
    }
  }
  if (isWindows) return;
  for (const name of [path, `${path}-wal`, `${path}-shm`]) {
    try {
      const { mode, isFile } = Deno.lstatSync(name);
      if (isFile && ((mode ?? 0) & OTHERS) !== 0) Deno.chmodSync(name, SECRET_FILE);
    } catch (thrown) {
      // The file is missing, or another user owns it. If it can't be used, opening the database fails and says why.
      if (!(thrown instanceof Error)) throw thrown;
    }
  }
}

class SqliteDatabase implements Database {
  readonly #inner: DatabaseSync;
  readonly #path: string;
  /** Prepared statements by text. SQLite's memory for a statement is only freed at garbage collection. */
  readonly #statements = new Map<string, Statement>();
  #isOpen = true;

  constructor(inner: DatabaseSync, path: string) {
    this.#inner = inner;
    this.#path = path;
  }

  exec(sql: string): void {
    guard("cannot use the database", this.#path, () => this.#inner.exec(sql));
  }

  prepare(sql: string): Statement {
    const known = this.#statements.get(sql);
    if (known !== undefined && this.#isOpen) return known;
    const statement = guard("cannot use the database", this.#path, () => {
      try {
        return this.#inner.prepare(sql);
      } catch (error) {
        // Deno 2.4 doesn't report why it fails. EXPLAIN of the same statement throws an error with the reason.
        this.#inner.exec(`EXPLAIN ${sql}`);
        throw error;
      }
    });
    const ready = new SqliteStatement(statement, this.#path);
    if (this.#statements.size < MOST_STATEMENTS) this.#statements.set(sql, ready);
    return ready;
  }

  transaction<T>(work: () => T): T {
    // Takes the write lock at once, because SQLite can't wait for a lock that is requested in mid-transaction.
    this.exec("BEGIN IMMEDIATE");
    try {
      const result = work();
      this.exec("COMMIT");
      return result;
    } catch (error) {
      try {
        this.exec("ROLLBACK");
      } catch (again) {
        // SQLite has rolled back already, for example when the disk is full. The first error is the one to report.
        if (!(again instanceof Error)) throw again;
      }
      throw error;
    }
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#statements.clear();
    guard("cannot close the database", this.#path, () => this.#inner.close());
  }
}

class SqliteStatement implements Statement {
  readonly #inner: StatementSync;
  readonly #path: string;

  constructor(inner: StatementSync, path: string) {
    this.#inner = inner;
    this.#path = path;
  }

  run(...values: readonly SqlValue[]): number {
    return guard("cannot write the database", this.#path, () => Number(this.#inner.run(...values).changes));
  }

  get(...values: readonly SqlValue[]): SqlRow | null {
    return guard("cannot read the database", this.#path, () => (this.#inner.get(...values) as SqlRow) ?? null);
  }

  all(...values: readonly SqlValue[]): SqlRow[] {
    return guard("cannot read the database", this.#path, () => this.#inner.all(...values) as unknown as SqlRow[]);
  }
}

function guard<T>(what: string, path: string, work: () => T): T {
  try {
    return work();
  } catch (thrown) {
    throw toDatabaseError(thrown, { what, path });
  }
}
