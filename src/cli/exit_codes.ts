/**
 * Exit codes of the command-line contract.
 *
 * @module
 */

import { type ErrorKind, ShoalError } from "../base/errors.ts";

/** Success. */
export const EXIT_DONE = 0;
/** Unexpected failure, a bug. */
export const EXIT_UNEXPECTED = 1;
/** Wrong command line. */
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
  // No peer can end the program, so a peer error that gets this far is a bug.
  peer: EXIT_UNEXPECTED,
};

/**
 * Returns the exit code for an error.
 *
 * @param thrown The thrown value.
 * @returns The code for the kind of error; 1 for anything that is not a {@linkcode ShoalError}.
 */
export function exitCodeOf(thrown: unknown): number {
  return thrown instanceof ShoalError ? CODES[thrown.kind] : EXIT_UNEXPECTED;
}
