/**
 * Databases in memory that outlast the programs that open them, as files on a disk do.
 *
 * @module
 */

import { IN_MEMORY, openDatabase } from "../../src/platform/deno_database.ts";
import { DatabaseError } from "../../src/platform/database_error.ts";
import type { Database } from "../../src/platform/platform.ts";

/** A program that may end at any moment. */
export interface Mortal {
  /** `true` once the program has ended. Later calls of the program have no effect. */
  readonly dead: boolean;
}

/**
 * The databases of one disk. Committed transactions survive the end of a program. A transaction is a single call and no
 * program is killed within a call, so no transaction is ever half done.
 */
export class MemoryDatabases {
  readonly #databases = new Map<string, Database>();

  /**
   * Opens a database as `Platform.openDatabase` does.
   *
   * @param path Name of the database.
   * @param program Program that opens the database; one that never ends when absent.
   * @returns The database, with everything committed under this path.
   */
  open(path: string, program: Mortal = { dead: false }): Database {
    const there = this.#databases.get(path) ?? openDatabase(IN_MEMORY);
    this.#databases.set(path, there);
    let isOpen = true;
    const use = (): Database => {
      if (isOpen && !program.dead) return there;
      const cause = new Error(program.dead ? "the program has ended" : "it is closed");
      throw new DatabaseError("other", { what: "cannot use the database", path, cause });
    };
    return {
      exec: (sql) => use().exec(sql),
      prepare: (sql) => use().prepare(sql),
      transaction: (work) => use().transaction(work),
      close: () => void (isOpen = false),
    };
  }
}
