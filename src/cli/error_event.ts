/**
 * Prints errors as events of `--json`.
 *
 * @module
 */

import type { Context } from "./context.ts";

/**
 * Prints an error as an `error` event on standard output.
 *
 * @param thrown What was thrown.
 * @param context The environment.
 */
export async function printError(
  thrown: unknown,
  { platform, terminal }: Pick<Context, "platform" | "terminal">,
): Promise<void> {
  const [{ failureLine }, { jsonText }] = await Promise.all([
    import("../ui/json_lines.ts"),
    import("../ui/json_text.ts"),
  ]);
  await terminal.stdout.write(`${jsonText(failureLine(thrown, platform.wallClock()))}\n`);
}
