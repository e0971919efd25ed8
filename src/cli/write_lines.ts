/**
 * Writes many lines to standard output.
 *
 * @module
 */

import type { Context } from "./context.ts";

/** Lines per write. All lines of a torrent with half a million files would be too large for one string. */
const AT_ONCE = 10_000;

/**
 * Writes lines to standard output.
 *
 * @param lines Lines without line ends.
 */
export async function writeLines(lines: Iterable<string>, { terminal }: Context): Promise<void> {
  let text = "";
  let count = 0;
  for (const line of lines) {
    text += `${line}\n`;
    if (++count % AT_ONCE !== 0) continue;
    await terminal.stdout.write(text);
    text = "";
  }
  if (text !== "") await terminal.stdout.write(text);
}
