/**
 * What SQLite says, in words for a user.
 *
 * @module
 */

import { messageOf, ShoalError } from "../base/errors.ts";

/**
 * What went wrong with a database. `locked`: somebody else is writing, try again. `corrupt`: it is damaged, or no database.
 * `newer`: a later version of the program made it.
 */
export type DatabaseFault = "locked" | "corrupt" | "full" | "read-only" | "no-access" | "device" | "newer" | "other";

/** The words for each fault, and what SQLite says. Its codes aren't there on every way that an error comes. */
const FAULTS: readonly (readonly [fault: DatabaseFault, says: RegExp, why: string])[] = [
  ["locked", /database (table )?is locked|database schema is locked/, "another process is using it"],
  ["corrupt", /malformed|corrupt/, "it is damaged"],
  ["corrupt", /not a database|unsupported file format/, "it is no database"],
  ["full", /disk is full/, "no space is left on the device"],
  ["read-only", /readonly database/, "it can't be written"],
  ["no-access", /unable to open|access permission denied|authorization denied/, "the file can't be opened"],
  ["device", /disk I\/O error/, "the device failed"],
];

/**
 * A database could not be used.
 *
 * @example
 * ```ts
 * throw new DatabaseError("full", { what: "cannot write the database", path: "/state/session.db" });
 * // cannot write the database (/state/session.db): no space is left on the device
 * ```
 */
export class DatabaseError extends ShoalError {
  override name = "DatabaseError";
  /** What went wrong, for code that wants to decide on it. */
  readonly fault: DatabaseFault;

  /**
   * @param fault What went wrong.
   * @param parts `what`: what was tried. `path`: of the file. `why`: absent for the usual words. `cause`: the error underneath.
   */
  constructor(
    fault: DatabaseFault,
    parts: { readonly what: string; readonly path: string; readonly why?: string; readonly cause?: unknown },
  ) {
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
 * Any failure of a database as a {@linkcode DatabaseError}.
 *
 * @param thrown What was thrown; a `ShoalError` is returned as it is.
 * @param parts `what`: what was tried. `path`: of the file.
 * @returns The typed error.
 */
export function toDatabaseError(
  thrown: unknown,
  { what, path }: { readonly what: string; readonly path: string },
): ShoalError {
  if (thrown instanceof ShoalError) return thrown;
  const says = messageOf(thrown);
  const known = FAULTS.find(([, pattern]) => pattern.test(says));
  return new DatabaseError(known?.[0] ?? "other", { what, path, ...(known && { why: known[2] }), cause: thrown });
}

/**
 * Whether a failure is a {@linkcode DatabaseError} of one kind.
 *
 * @param thrown What was thrown.
 * @param fault The kind.
 * @returns Whether it is.
 */
export function isDatabaseFault(thrown: unknown, fault: DatabaseFault): boolean {
  return thrown instanceof DatabaseError && thrown.fault === fault;
}
