/**
 * `shoal create`: makes a torrent file.
 *
 * @module
 */

import type { Command } from "commander";
import { cutUtf8, MAX_NAME_BYTES } from "../base/bytes.ts";
import { jsonText } from "../ui/json_text.ts";
import { plainLogLine } from "../ui/log_lines.ts";
import { printable } from "../ui/printable.ts";
import type { Context } from "./context.ts";
import {
  addContentOptions,
  checkFree,
  checkStdout,
  collectTier,
  type CreationOptions,
  makeTorrent,
  STDOUT,
} from "./creation.ts";
import { checkUrl } from "./option_values.ts";

interface CreateCommandOptions extends CreationOptions {
  readonly webSeed?: readonly string[];
  readonly source?: string;
  readonly date?: true;
  readonly json?: true;
  readonly quiet?: true;
  readonly verbose: number;
}

/** Adds `shoal create` to the program. */
export function register(program: Command, context: Context): void {
  const command = program
    .command("create")
    .summary("make a .torrent")
    .description(
      "Makes a .torrent of a file or a folder, hashing on all cores. The same files and options always give the same " +
        "bytes. Symbolic links are followed. An existing file is never replaced.",
    )
    .argument("<path>", "file or folder")
    .option(
      "-o, --output <file>",
      "where to put it (default: NAME.torrent in the current folder), - for standard output",
    )
    .option(
      "-t, --tracker <url>",
      "tracker, repeatable: each -t is a tier, commas separate trackers of a tier",
      collectTier,
    )
    .option("--web-seed <url>", "web server that has the data, repeatable", collectWebSeed);
  addContentOptions(command)
    .option("--source <text>", "tracker or site that the torrent is for; changes the info-hash")
    .option("--date", "write the creation date")
    .option("--json", "one JSON object on standard output: the fields of `info`, and the path of the .torrent")
    .option("-q, --quiet", "no output; errors, and warnings of links that lead out of the folder, on standard error")
    .option("-v, --verbose", "show the stack of an error", (_, count: number) => count + 1, 0);
  command.action(async (path: string, options: CreateCommandOptions) => {
    context.verbosity = options.verbose;
    await create(path, { options, context });
  });
}

async function create(
  path: string,
  { options, context }: { readonly options: CreateCommandOptions; readonly context: Context },
): Promise<void> {
  const { shutdown, engine, terminal } = context;
  if (options.output === STDOUT) checkStdout(options.json ?? false, context);
  if (options.private && options.tracker === undefined && !options.quiet) {
    const text = "a private torrent without a tracker finds no peers; name one with --tracker";
    await terminal.stderr.write(plainLogLine({ level: "warning", text }));
  }
  shutdown.listen();
  // Check before hashing, if the name of the output is known already.
  if (options.output !== undefined) await checkFree(options.output, context);
  const { bytes, meta } = await makeTorrent(path, {
    options,
    more: {
      webSeeds: options.webSeed,
      source: options.source,
      createdAt: options.date && Math.floor(context.platform.wallClock() / 1000),
      async onFound({ safeName }) {
        // The default file name derives from the torrent's name, which is known only now.
        if (options.output === undefined) await checkFree(fileNameFor(safeName), context);
      },
    },
    silent: (options.json || options.quiet || options.output === STDOUT) ?? false,
    quiet: options.quiet ?? false,
    context,
  });
  const output = options.output ?? fileNameFor(meta.name);
  if (output === STDOUT) return await terminal.stdout.write(bytes);
  await checkFree(output, context);
  await shutdown.raceShutdown(context.platform.files.writeFile(output, bytes));
  const description = await engine.describe(meta);
  if (options.json) {
    await terminal.stdout.write(`${jsonText({ torrent: output, ...description })}\n`);
  } else if (!options.quiet) {
    const { summaryLines } = await import("./info_text.ts");
    const lines = [printable(output), ...summaryLines(description)];
    await terminal.stdout.write(lines.map((line) => `${line}\n`).join(""));
  }
}

/** Returns `NAME.torrent`, with a name cut to the length that file systems allow. */
function fileNameFor(name: string): string {
  const suffix = ".torrent";
  return cutUtf8(name, MAX_NAME_BYTES - suffix.length) + suffix;
}

function collectWebSeed(value: string, urls: readonly string[] = []): readonly string[] {
  checkUrl(value, { flag: "--web-seed", value, schemes: ["http:", "https:", "ftp:"] });
  return [...urls, value];
}
