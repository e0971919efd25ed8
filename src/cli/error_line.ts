/**
 * Errors as the user sees them.
 *
 * @module
 */

import { messageOf, ShoalError } from "../base/errors.ts";
import { redact } from "../base/secrets.ts";
import { printable } from "../ui/printable.ts";

/**
 * The error line: `shoal: error: WHAT (WHERE): WHY; HINT`.
 *
 * @param thrown What was thrown.
 * @param options `verbose`: adds the stack, where the error is none of those that we expect.
 * @returns One line, more with a stack, with its end.
 */
export function errorLine(thrown: unknown, options: { readonly verbose: boolean }): string {
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
  // a chain of causes can go round in a circle
  for (let error = thrown, depth = 0; error instanceof Error && depth < 5; error = error.cause, depth++) {
    const head = depth === 0 ? [] : [`caused by ${error.name}: ${error.message}`];
    const frames = (error.stack ?? "").split("\n").filter((line) => /^\s+at /.test(line));
    lines.push(...head, ...frames);
  }
  return lines.map((line) => `${printable(redact(line))}\n`).join("");
}
