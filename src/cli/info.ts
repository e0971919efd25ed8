/**
 * `shoal info`: shows the contents of a torrent.
 *
 * @module
 */

import type { Command } from "commander";
import type { Metainfo } from "../metainfo/mod.ts";
import type { Context } from "./context.ts";
import { addPeerOptions, type PeerOptions } from "./network_options.ts";
import { parseDuration } from "./option_values.ts";
import { jsonText } from "../ui/json_text.ts";
import { writeLines } from "./write_lines.ts";

interface InfoOptions extends PeerOptions {
  readonly timeout?: number;
  readonly json?: true;
  readonly quiet?: true;
  readonly verbose?: true;
}

/** Adds `shoal info` to the program. */
export function register(program: Command, context: Context): void {
  const command = program
    .command("info")
    .summary("show what a torrent holds")
    .description(
      "Shows what a torrent holds: files, size, trackers, info-hash. The metadata of a magnet link is fetched from peers.",
    )
    .argument("<source>", "path or http(s) URL of a .torrent, magnet link, info-hash, or - for standard input")
    .option("--timeout <t>", "give up (exit 5) when no peer sends the metadata within t (default: 2m)", (v) => {
      return parseDuration(v, "--timeout");
    })
    .option("--json", "one JSON object")
    .option("-q, --quiet", "no progress, no warnings; errors on standard error")
    .option("-v, --verbose", "show the stack of an error");
  addPeerOptions(command)
    .action(async (source: string, options: InfoOptions) => {
      context.verbosity = options.verbose ? 1 : 0;
      const meta = await find(source, { options, context });
      const description = await context.engine.describe(meta);
      const { tellWarnings } = await import("./torrent_source.ts");
      if (!options.quiet) await tellWarnings(meta, context);
      if (options.json) {
        await context.terminal.stdout.write(`${jsonText(description)}\n`);
        return;
      }
      const { infoLines } = await import("./info_text.ts");
      await writeLines(infoLines(description), context);
    });
}

async function find(
  source: string,
  { options, context }: { readonly options: InfoOptions; readonly context: Context },
): Promise<Metainfo> {
  const { readSource } = await import("./torrent_source.ts");
  const found = await readSource(source, context);
  if ("pieces" in found) return found;
  const { fetchMetadata } = await import("./remote_metadata.ts");
  return await fetchMetadata(
    found,
    { network: options, timeout: options.timeout, quiet: (options.json || options.quiet) ?? false },
    context,
  );
}
