/**
 * `shoal info`: shows the contents of a torrent.
 *
 * @module
 */

import type { Command } from "commander";
import type { Metainfo } from "../metainfo/mod.ts";
import type { Context } from "./context.ts";
import { checkFree, checkStdout, STDOUT } from "./creation.ts";
import { addPeerOptions, addTrackerOption, type PeerOptions, type TrackerOptions } from "./network_options.ts";
import { parseDuration } from "./option_values.ts";
import { jsonText } from "../ui/json_text.ts";
import { plainLogLine } from "../ui/log_lines.ts";
import { printable } from "../ui/printable.ts";
import { writeLines } from "./write_lines.ts";

interface InfoOptions extends PeerOptions, TrackerOptions {
  readonly output?: string;
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
    .option("-o, --output <file>", "also save it as a .torrent, - for standard output; a file is never replaced")
    .option("--timeout <t>", "give up (exit 5) when no peer sends the metadata within t (default: 2m)", (v) => {
      return parseDuration(v, "--timeout");
    })
    .option("--json", "one JSON object")
    .option("-q, --quiet", "no progress, no warnings; errors on standard error")
    .option("-v, --verbose", "show the stack of an error");
  addPeerOptions(addTrackerOption(command))
    .action(async (source: string, options: InfoOptions) => {
      context.verbosity = options.verbose ? 1 : 0;
      if (options.output !== undefined) await checkOutput(options.output, { options, context });
      const meta = await find(source, { options, context });
      if (options.output !== undefined) await save(meta, { output: options.output, options, context });
      if (options.output === STDOUT) return;
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

/** What the command needs besides its source. */
interface Parts {
  readonly options: InfoOptions;
  readonly context: Context;
}

/** Checks, before peers are asked, that the torrent can be saved. */
async function checkOutput(output: string, { options, context }: Parts): Promise<void> {
  if (output === STDOUT) checkStdout(options.json ?? false, context);
  await checkFree(output, context);
}

async function save(meta: Metainfo, { output, options, context }: Parts & { readonly output: string }): Promise<void> {
  const { torrentFile } = await import("../metainfo/mod.ts");
  const bytes = torrentFile(meta.info, meta);
  if (output === STDOUT) return await context.terminal.stdout.write(bytes);
  await checkFree(output, context);
  await context.platform.files.writeFile(output, bytes);
  if (options.quiet || options.json) return;
  await context.terminal.stderr.write(plainLogLine({ level: "note", text: printable(`saved as ${output}`) }));
}

async function find(
  source: string,
  { options, context }: Parts,
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
