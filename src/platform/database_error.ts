/**
 * Turns errors of SQLite into messages for users.
 *
 * @module
 */

import { messageOf, ShoalError } from "../base/errors.ts";

/**
 * Kind of database failure.
 *
 * - `locked`: another process is writing, and the call may be tried again.
 * - `corrupt`: the file is damaged, or not a database.
 * - `newer`: a later version of the program made the database.
 */
export type DatabaseFault = "locked" | "corrupt" | "full" | "read-only" | "no-access" | "device" | "newer" | "other";

/**
 * Faults with the text that SQLite reports for each, and our words. The text is matched because the runtime doesn't
 * pass SQLite's error code on every path.
 */
const FAULTS: readonly (readonly [fault: DatabaseFault, says: RegExp, why: string])[] = [
  ["locked", /database (table )?is locked|database schema is locked/, "another process is using it"],
  ["corrupt", /malformed|corrupt/, "it is damaged"],
  ["corrupt", /not a database|unsupported file format/, "it is no database"],
  ["full", /disk is full/, "no space is left on the device"],
  ["read-only", /readonly database/, "it can't be written"],
  ["no-access", /unable to open|access permission denied|authorization denied/, "the file can't be opened"],
  ["device", /disk I\/O error/, "the device failed"],
];

/** A database call that failed. */
export interface FailedDatabaseCall {
  /** Action in the error message, such as `cannot write the database`. */
  readonly what: string;
  /** Path of the database file. */
  readonly path: string;
}

/** Parts of a {@linkcode DatabaseError}. */
export interface DatabaseErrorParts extends FailedDatabaseCall {
  /** Reason in the error message; by default the usual words for the fault. */
  readonly why?: string;
  /** Underlying error. */
  readonly cause?: unknown;
}

/**
 * Thrown when a database cannot be used.
 *
 * @example
 * ```ts
 * throw new DatabaseError("full", { what: "cannot write the database", path: "/state/session.db" });
 * // cannot write the database (/state/session.db): no space is left on the device
 * ```
 */
export class DatabaseError extends ShoalError {
  override name = "DatabaseError";
  /** Kind of failure, for code that has to tell failures apart. */
  readonly fault: DatabaseFault;

  constructor(fault: DatabaseFault, parts: DatabaseErrorParts) {
    const usual = FAULTS.find(([name]) => name === fault)?.[2];
    super("storage", {
      what: parts.what,
      where: parts.path,
      why: parts.why ?? usual ?? messageOf(parts.cause ?? "unknown failure"),
      cause: parts.cause,
    });
    this.fault = fault;
  }
}

/**
 * Converts a thrown value to a {@linkcode DatabaseError}. A `ShoalError` is returned unchanged.
 *
 * @param thrown The thrown value.
 * @param call See {@linkcode FailedDatabaseCall}.
 */
export function toDatabaseError(thrown: unknown, { what, path }: FailedDatabaseCall): ShoalError {
  if (thrown instanceof ShoalError) return thrown;
  const says = messageOf(thrown);
  const known = FAULTS.find(([, pattern]) => pattern.test(says));
  return new DatabaseError(known?.[0] ?? "other", { what, path, ...(known && { why: known[2] }), cause: thrown });
}

/** Returns `true` if a thrown value is a {@linkcode DatabaseError} of one kind. */
export function isDatabaseFault(thrown: unknown, fault: DatabaseFault): boolean {
  return thrown instanceof DatabaseError && thrown.fault === fault;
}
