/**
 * Formats errors for the user.
 *
 * @module
 */

import { messageOf, ShoalError } from "../base/errors.ts";
import { redact } from "../base/secrets.ts";
import { printable } from "../ui/printable.ts";

/** Options for {@linkcode errorLine}. */
export interface ErrorLineOptions {
  /** Whether to add the stack of an error that is not a {@linkcode ShoalError}. */
  readonly verbose: boolean;
}

/**
 * Formats an error as `shoal: error: WHAT (WHERE): WHY; HINT`.
 *
 * @param thrown The thrown value.
 * @param options See {@linkcode ErrorLineOptions}.
 * @returns One line, or several with a stack, with a line end.
 */
export function errorLine(thrown: unknown, options: ErrorLineOptions): string {
  const line = `shoal: error: ${printable(redact(describe(thrown, options.verbose)))}\n`;
  return options.verbose && !(thrown instanceof ShoalError) ? `${line}${stackOf(thrown)}` : line;
}

function describe(thrown: unknown, verbose: boolean): string {
  if (thrown instanceof ShoalError) {
    return thrown.hint === "" ? thrown.message : `${thrown.message}; ${thrown.hint}`;
  }
  const hint = verbose ? "" : "; this is a bug, -v shows where";
  return `unexpected failure: ${messageOf(thrown)}${hint}`;
}

function stackOf(thrown: unknown): string {
  const lines: string[] = [];
  // The depth is limited because a chain of causes can be a cycle.
  for (let error = thrown, depth = 0; error instanceof Error && depth < 5; error = error.cause, depth++) {
    const head = depth === 0 ? [] : [`caused by ${error.name}: ${error.message}`];
    const frames = (error.stack ?? "").split("\n").filter((line) => /^\s+at /.test(line));
    lines.push(...head, ...frames);
  }
  return lines.map((line) => `${printable(redact(line))}\n`).join("");
}
