/**
 * `shoal verify`: hash-checks data against a torrent.
 *
 * @module
 */

import type { Command } from "commander";
import { ShoalError } from "../base/errors.ts";
import type { FileChoice, Metainfo } from "../metainfo/mod.ts";
import { FileError } from "../platform/file_errors.ts";
import type { Verification } from "../session/verify_torrent.ts";
import type { CheckView } from "../ui/check_view.ts";
import type { Context } from "./context.ts";
import { jsonText } from "../ui/json_text.ts";
import { collectFileChoices } from "./option_values.ts";

interface VerifyOptions {
  readonly files?: readonly FileChoice[];
  readonly json?: true;
  readonly quiet?: true;
  readonly verbose: number;
}

/** Description of the argument that names data on disk. */
export const DATA_ARGUMENT =
  "folder that holds the torrent's file or top folder, or that file or folder itself, renamed or not";

/** Adds `shoal verify` to the program. */
export function register(program: Command, context: Context): void {
  program
    .command("verify")
    .summary("hash-check data against a torrent")
    .description(
      "Checks that data is what the torrent says, on all cores. Reads unfinished files as well. Changes nothing.",
    )
    .argument("<torrent>", "path or http(s) URL of a .torrent, or - for standard input")
    .argument("<dir>", DATA_ARGUMENT)
    .option("--files <list>", "check only these, chosen as with download; repeatable", collectFileChoices)
    .option("--json", "one JSON object a line on standard output")
    .option("-q, --quiet", "no progress; errors on standard error")
    .option("-v, --verbose", "show the stack of an error", (_, count: number) => count + 1, 0)
    .action(async (source: string, folder: string, options: VerifyOptions) => {
      context.verbosity = options.verbose;
      await verify(source, { folder, options, context });
    });
}

async function verify(
  source: string,
  { folder, options, context }: {
    readonly folder: string;
    readonly options: VerifyOptions;
    readonly context: Context;
  },
): Promise<void> {
  const { shutdown, engine, platform, terminal } = context;
  shutdown.listen();
  const { readTorrent, tellWarnings } = await import("./torrent_source.ts");
  const meta = await shutdown.raceShutdown(readTorrent(source, context));
  const { selectFiles } = await import("../metainfo/mod.ts");
  const files = options.files && selectFiles(meta, options.files);
  if (!options.quiet) await tellWarnings(meta, context);
  const view = await openView(meta, { options, context });
  shutdown.restoreTerminal = () => view.close();
  const startedAt = platform.now();
  view.start();
  let result: Verification;
  try {
    const onProgress = (fraction: number, bytes: number) => view.progress(fraction, bytes);
    const { signal } = shutdown;
    result = await shutdown.raceShutdown(engine.verify(meta, { platform, folder, files, onProgress, signal }));
  } catch (error) {
    throw error instanceof FileError ? unreadable(error) : error;
  } finally {
    await view.close();
  }
  const { isRight, mismatch, verdictLines } = await import("./verify_text.ts");
  const { name } = meta;
  const size = files === undefined ? meta.size : result.files.reduce((sum, { length }) => sum + length, 0);
  const verified = { name, size, folder, result, chosen: files !== undefined };
  if (options.json) {
    await terminal.stdout.write(`${jsonText(jsonOf(meta, { size, result, context }))}\n`);
    context.printsErrors = false; // the last line has said what is wrong
  } else if (!options.quiet) {
    const lines = verdictLines(verified, (platform.now() - startedAt) / 1000);
    await terminal.stdout.write(lines.map((line) => `${line}\n`).join(""));
  }
  if (!isRight(result)) throw mismatch(verified);
}

/** Removes the hints of a file error, which are about the folder of a download. */
function unreadable(error: FileError): ShoalError {
  const { what, where, why } = error;
  return new ShoalError("storage", { what, where, why, cause: error });
}

async function openView(
  { name, infoHash }: Metainfo,
  { options, context }: { readonly options: VerifyOptions; readonly context: Context },
): Promise<CheckView> {
  const { platform, terminal } = context;
  if (options.json) {
    const { eventLine } = await import("../ui/json_lines.ts");
    return {
      ...NO_VIEW,
      progress(progress) {
        if (terminal.stdout.busy) return;
        const line = eventLine({ event: "checking", infohash: infoHash.hex, progress }, platform.wallClock());
        void terminal.stdout.write(`${jsonText(line)}\n`);
      },
    };
  }
  if (options.quiet) return NO_VIEW;
  const [{ LiveCheckView, PlainCheckView }, { isDumb }] = await Promise.all([
    import("../ui/check_view.ts"),
    import("./views.ts"),
  ]);
  const isLive = terminal.stdout.isTerminal && !isDumb(terminal);
  return new (isLive ? LiveCheckView : PlainCheckView)({ platform, terminal, name });
}

/** A view that shows nothing. */
const NO_VIEW: CheckView = { start() {}, progress() {}, close: () => Promise.resolve() };

/** Returns the object that `--json` prints at the end. */
function jsonOf(
  { name, infoHash }: Metainfo,
  { size, result, context }: { readonly size: number; readonly result: Verification; readonly context: Context },
): Record<string, unknown> {
  return {
    event: "verified",
    time: new Date(context.platform.wallClock()).toISOString(),
    infohash: infoHash.hex,
    name,
    pieces: result.pieces,
    valid: result.valid,
    bytes: size,
    files: result.files.map(({ path, length, pieces, valid, verdict }) => ({ path, length, pieces, valid, verdict })),
  };
}
