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
  /** Whether it has ended: then nothing that it still does has any effect. */
  readonly dead: boolean;
}

/**
 * The databases of one disk. What a program has committed stays when it is killed; what it hasn't is lost, since a transaction
 * is one call, and nothing is killed in the middle of one.
 */
export class MemoryDatabases {
  readonly #databases = new Map<string, Database>();

  /**
   * Opens a database as `Platform.openDatabase` does.
   *
   * @param path Names it.
   * @param program Who opens it; one that never ends when absent.
   * @returns The database, with all that was committed to it under that path.
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
