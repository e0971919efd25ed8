/**
 * `shoal info`: what a torrent holds.
 *
 * @module
 */

import type { Command } from "commander";
import type { Context } from "./context.ts";

interface InfoOptions {
  readonly json?: true;
  readonly verbose?: true;
}

/**
 * Adds the command.
 *
 * @param program The program.
 * @param context The surroundings.
 */
export function register(program: Command, context: Context): void {
  program
    .command("info")
    .summary("show what a torrent holds")
    .description("Shows what a torrent holds: files, size, trackers, info-hash.")
    .argument("<source>", "path or http(s) URL of a .torrent, or - for standard input")
    .option("--json", "one JSON object")
    .option("-v, --verbose", "show the stack of an error")
    .action(async (source: string, options: InfoOptions) => {
      context.verbosity = options.verbose ? 1 : 0;
      const { readTorrent } = await import("./sources.ts");
      const description = await context.engine.describe(await readTorrent(source, context));
      if (options.json) {
        await context.terminal.stdout.write(`${JSON.stringify(description)}\n`);
        return;
      }
      const { infoLines } = await import("./info_text.ts");
      await context.terminal.stdout.write(infoLines(description).map((line) => `${line}\n`).join(""));
    });
}
