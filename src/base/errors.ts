/**
 * The error class whose messages users see.
 *
 * @module
 */

import { redact } from "./secrets.ts";

/**
 * Kind of failure. `src/cli/exit_codes.ts` maps each kind to an exit code.
 *
 * - `usage`: the command line or a setting is wrong.
 * - `torrent`: not a valid torrent or magnet link, or data that does not match one.
 * - `storage`: full disk, no permission, path conflict.
 * - `timeout`: gave up waiting.
 * - `network`: tracker or network set-up, such as a port in use.
 * - `peer`: a peer broke the protocol. Never ends a program.
 */
export type ErrorKind = "usage" | "torrent" | "storage" | "timeout" | "network" | "peer";

/** Parts of a {@linkcode ShoalError}. */
export interface ErrorParts {
  /** What is wrong, in a few words: `not a torrent`. */
  readonly what: string;
  /** Where, such as a file, a URL, a byte offset or a key: `notes.txt, byte 0`. */
  readonly where?: string;
  /** Why, in a plain sentence that names the bad value: `expected a dictionary, found "H"`. */
  readonly why: string;
  /** What the user can do about it. */
  readonly hint?: string;
  /** Underlying error. */
  readonly cause?: unknown;
}

/**
 * An error with the parts of the command line's error message.
 *
 * @example
 * ```ts
 * throw new ShoalError("storage", { what: "cannot write", where: "/mnt/x", why: "no space left on the device" });
 * ```
 */
export class ShoalError extends Error {
  /** Name of the class, as shown with the error. */
  override name = "ShoalError";
  /** Kind of failure. */
  readonly kind: ErrorKind;
  /** What is wrong. */
  readonly what: string;
  /** Where it is wrong. Empty if `what` says so. */
  readonly where: string;
  /** Why it is wrong. */
  readonly why: string;
  /** What the user can do about it. Empty if there is nothing. */
  readonly hint: string;

  /**
   * Makes an error. Secrets are removed from the URLs in all parts but `cause`.
   *
   * @param kind Kind of failure.
   * @param parts See {@linkcode ErrorParts}.
   */
  constructor(kind: ErrorKind, parts: ErrorParts) {
    const [what, where, why, hint] = [parts.what, parts.where ?? "", parts.why, parts.hint ?? ""].map((text) =>
      redact(text)
    );
    super(
      formatParts({ what: what!, where: where!, why: why! }),
      parts.cause === undefined ? {} : { cause: parts.cause },
    );
    this.kind = kind;
    this.what = what!;
    this.where = where!;
    this.why = why!;
    this.hint = hint!;
  }
}

function formatParts(parts: ErrorParts): string {
  const where = parts.where ? ` (${parts.where})` : "";
  return `${parts.what}${where}: ${parts.why}`;
}

/** Returns the message of anything that was thrown: the message of an `Error`, or any other value as a string. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
