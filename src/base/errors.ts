/**
 * The one shape of error that a user may see.
 *
 * @module
 */

import { redact } from "./secrets.ts";

/**
 * What kind of failure it is; `src/cli/exit_codes.ts` maps each to an exit code.
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
  /** Where: a file, a URL, a byte offset, a key: `notes.txt, byte 0`. */
  readonly where?: string;
  /** Why, in a plain sentence that names the bad value: `expected a dictionary, found "H"`. */
  readonly why: string;
  /** What the user can do about it. */
  readonly hint?: string;
  /** The error underneath. */
  readonly cause?: unknown;
}

/**
 * An error with the parts that the error line of the command line is made of.
 *
 * @example
 * ```ts
 * throw new ShoalError("storage", { what: "cannot write", where: "/mnt/x", why: "no space left on the device" });
 * ```
 */
export class ShoalError extends Error {
  /** The name of the class, as errors show it. */
  override name = "ShoalError";
  /** What kind of failure. */
  readonly kind: ErrorKind;
  /** What is wrong. */
  readonly what: string;
  /** Where it is wrong; empty when the place says itself. */
  readonly where: string;
  /** Why it is wrong. */
  readonly why: string;
  /** What to do about it; empty when there is nothing. */
  readonly hint: string;

  /**
   * Makes an error. Secrets in the URLs of its words are taken out; its cause stays as it is.
   *
   * @param kind What kind of failure it is.
   * @param parts The words of the error line.
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

/**
 * The message of anything that was thrown.
 *
 * @param thrown What a `catch` caught.
 * @returns Its message if it is an `Error`, else the value as a string.
 */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
