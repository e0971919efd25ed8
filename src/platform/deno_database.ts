/**
 * SQLite on Deno. Loaded only by who opens a database.
 *
 * The journal is a write-ahead log: a commit is one write and waits for no device, several processes may read while one writes,
 * and a process that is killed leaves what it had committed. When the power fails, the last commits may be lost, never a part of
 * one.
 *
 * @module
 */

import { DatabaseSync, type StatementSync } from "node:sqlite";
import { toDatabaseError } from "./database_error.ts";
import { toFileError } from "./file_errors.ts";
import type { Database, SqlRow, SqlValue, Statement } from "./platform.ts";

/** Path of a database that is in memory alone, and gone when it is closed. */
export const IN_MEMORY = ":memory:";

/** Milliseconds that a call waits for another process: the event loop stands still meanwhile. */
const BUSY_MS = 20;
/** Pages, of 4 KiB, after which the log goes to the file, which waits for the device. */
const CHECKPOINT_PAGES = 1000;
/** Statements that are kept. */
const MOST_STATEMENTS = 50;
const isWindows = Deno.build.os === "windows";
const SECRET_FILE = 0o600;
const OTHERS = 0o077;

/**
 * Opens a database; see `Platform.openDatabase`.
 *
 * @param path Of its file, or {@linkcode IN_MEMORY}.
 * @returns The database.
 * @throws {DatabaseError} If it can't be used, or is none.
 * @throws {FileError} If its file can't be made.
 */
export function openDatabase(path: string): Database {
  if (path !== IN_MEMORY) keepSecret(path);
  const inner = guard("cannot open the database", path, () => new DatabaseSync(path));
  try {
    const database = new SqliteDatabase(inner, path);
    database.exec(`PRAGMA busy_timeout = ${BUSY_MS}; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON`);
    // A file system that has no shared memory, as over a network, keeps the old kind of journal, which needs every sync.
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
 * Makes the file for the user alone, and takes what is there from others. SQLite gives the files beside it the same mode. A file
 * that is there is not opened: closing it would take the locks of whoever has the database open in this process.
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
      // It is not there, or somebody else's: if it can't be used, opening says so.
      if (!(thrown instanceof Error)) throw thrown;
    }
  }
}

class SqliteDatabase implements Database {
  readonly #inner: DatabaseSync;
  readonly #path: string;
  /** Those that were made ready, by their text: what SQLite holds for one is freed only when it is collected. */
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
        // Deno 2.4 doesn't say why it can't; asked what the statement would do, it does.
        this.#inner.exec(`EXPLAIN ${sql}`);
        throw error;
      }
    });
    const ready = new SqliteStatement(statement, this.#path);
    if (this.#statements.size < MOST_STATEMENTS) this.#statements.set(sql, ready);
    return ready;
  }

  transaction<T>(work: () => T): T {
    // At once the one who writes: a lock that is asked for in the middle can't be waited for.
    this.exec("BEGIN IMMEDIATE");
    try {
      const result = work();
      this.exec("COMMIT");
      return result;
    } catch (error) {
      try {
        this.exec("ROLLBACK");
      } catch (again) {
        // SQLite has undone it already, as when the disk is full; the first failure is the one to tell.
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
