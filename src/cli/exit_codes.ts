/**
 * Exit codes, as the command-line contract lists them.
 *
 * @module
 */

import { type ErrorKind, ShoalError } from "../base/errors.ts";

/** Done. */
export const EXIT_DONE = 0;
/** A bug. */
export const EXIT_UNEXPECTED = 1;
/** The command line is wrong. */
export const EXIT_USAGE = 2;
/** Full disk, no permission, path conflict. */
export const EXIT_STORAGE = 4;
/** Interrupted by the user. */
export const EXIT_INTERRUPTED = 130;

const CODES: Readonly<Record<ErrorKind, number>> = {
  usage: EXIT_USAGE,
  torrent: 3,
  storage: EXIT_STORAGE,
  timeout: 5,
  network: 6,
  // No peer can end the program; when it looks as if one had, the program is wrong.
  peer: EXIT_UNEXPECTED,
};

/**
 * The exit code for a failure.
 *
 * @param thrown What was thrown.
 * @returns 1 for anything that is not a {@linkcode ShoalError}.
 */
export function exitCodeOf(thrown: unknown): number {
  return thrown instanceof ShoalError ? CODES[thrown.kind] : EXIT_UNEXPECTED;
}
