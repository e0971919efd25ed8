/**
 * `shoal create`: makes a torrent.
 *
 * @module
 */

import type { Command } from "commander";
import { ShoalError } from "../base/errors.ts";
import { VERSION_LINE } from "../base/version.ts";
import { FileError } from "../platform/file_errors.ts";
import type { CreatedTorrent, CreateOptions } from "../session/create.ts";
import type { CheckView } from "../ui/check_view.ts";
import type { Context } from "./context.ts";
import { badValue, parseSize } from "./options.ts";
import { refuseOptions, UNAVAILABLE_CREATE_OPTIONS } from "./unavailable.ts";

/** Longest piece that may be asked for; with longer ones, other clients refuse a torrent. */
const MAX_PIECE = 256 * 1024 * 1024;
/** Shortest piece that may be asked for: a block. */
const MIN_PIECE = 16 * 1024;
/** Stands for standard output. */
const STDOUT = "-";

interface CreateCommandOptions {
  readonly output?: string;
  readonly tracker?: readonly (readonly string[])[];
  readonly webSeed?: readonly string[];
  readonly pieceLength?: number;
  readonly private?: true;
  readonly comment?: string;
  readonly source?: string;
  readonly date?: true;
  readonly name?: string;
  readonly exclude?: readonly string[];
  readonly json?: true;
  readonly quiet?: true;
  readonly verbose: number;
}

/**
 * Adds the command.
 *
 * @param program The program.
 * @param context The surroundings.
 */
export function register(program: Command, context: Context): void {
  const command = program
    .command("create")
    .summary("make a .torrent")
    .description(
      "Makes a .torrent of a file or a folder, hashing on all cores. The same files and options always give the same " +
        "bytes. Symbolic links are followed. A file that is there already is never replaced.",
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
    .option("--web-seed <url>", "web server that has the data, repeatable", collectWebSeed)
    .option("--piece-length <size>", "power of two, 16K or more (default: by total size, 16K to 16M)", parsePieceLength)
    .option("--v1", "make a v1 torrent, as this version always does")
    .option("--private", "let peers come from the trackers only")
    .option("--comment <text>", "comment for whoever reads it")
    .option("--source <text>", "tracker or site that it is for; makes the info-hash another one")
    .option("--date", "write the creation date")
    .option("--name <name>", "name in the torrent (default: that of the file or folder)", parseName)
    .option(
      "--exclude <glob>",
      "leave out files and folders of that name (*.tmp) or path (sub/*.tmp), repeatable",
      collect,
    )
    .option("--json", "one JSON object on standard output, as of `info`, with the path of the .torrent")
    .option("-q, --quiet", "no output; errors on standard error")
    .option("-v, --verbose", "show the stack of an error", (_, count: number) => count + 1, 0);
  refuseOptions(command, UNAVAILABLE_CREATE_OPTIONS);
  command.action(async (path: string, options: CreateCommandOptions) => {
    context.verbosity = options.verbose;
    await create(path, { options, context });
  });
}

async function create(
  path: string,
  { options, context }: { readonly options: CreateCommandOptions; readonly context: Context },
): Promise<void> {
  const { departure, engine, terminal } = context;
  checkOutputs(options, context);
  departure.listen();
  // Before anything is hashed, as far as the name is known.
  if (options.output !== undefined) await checkFree(options.output, context);
  const { bytes, meta, skipped } = await hash(path, { options, context });
  for (const name of skipped) await terminal.stderr.write(warning(name));
  const output = options.output ?? `${meta.name}.torrent`;
  if (output === STDOUT) return await terminal.stdout.write(bytes);
  await checkFree(output, context);
  await departure.unlessLeaving(context.platform.files.writeFile(output, bytes));
  const description = await engine.describe(meta);
  if (options.json) {
    await terminal.stdout.write(`${JSON.stringify({ torrent: output, ...description })}\n`);
  } else if (!options.quiet) {
    const { summaryLines } = await import("./info_text.ts");
    const lines = [output, ...summaryLines(description)];
    await terminal.stdout.write(lines.map((line) => `${line}\n`).join(""));
  }
}

/** Makes the torrent, with a view of how far it has come. */
async function hash(
  path: string,
  { options, context }: { readonly options: CreateCommandOptions; readonly context: Context },
): Promise<CreatedTorrent> {
  const { departure, engine, platform } = context;
  const isSilent = options.json || options.quiet || options.output === STDOUT;
  const viewOf = isSilent ? null : await loadView(context);
  let view: CheckView | null = null;
  departure.lastWords = () => view?.close() ?? Promise.resolve();
  const settings: CreateOptions = {
    platform,
    signal: departure.signal,
    trackers: options.tracker,
    webSeeds: options.webSeed,
    pieceLength: options.pieceLength,
    private: options.private,
    comment: options.comment,
    source: options.source,
    name: options.name,
    exclude: options.exclude,
    createdBy: VERSION_LINE,
    createdAt: options.date && Math.floor(platform.wallClock() / 1000),
    async onFound({ name }) {
      // The name is what the torrent's own file is called after, so that only now it is known.
      if (options.output === undefined) await checkFree(`${name}.torrent`, context);
      view = viewOf?.(name) ?? null;
      view?.start();
    },
    onProgress: (fraction, bytes) => view?.progress(fraction, bytes),
  };
  try {
    return await departure.unlessLeaving(engine.create(path, settings));
  } catch (error) {
    // The hints of a file error are about the folder of a download, not about this.
    if (!(error instanceof FileError)) throw error;
    const { what, where, why } = error;
    throw new ShoalError("storage", { what, where, why, cause: error });
  } finally {
    await (view as CheckView | null)?.close();
  }
}

async function loadView({ platform, terminal }: Context): Promise<(name: string) => CheckView> {
  const [{ LiveCheckView, PlainCheckView }, { isDumb }] = await Promise.all([
    import("../ui/check_view.ts"),
    import("./views.ts"),
  ]);
  const View = terminal.stdout.isTerminal && !isDumb(terminal) ? LiveCheckView : PlainCheckView;
  return (name) => new View({ platform, terminal, name, verb: "hashing" });
}

function checkOutputs({ output, json }: CreateCommandOptions, { terminal }: Context): void {
  if (output !== STDOUT) return;
  const where = "--output -";
  if (json) {
    throw new ShoalError("usage", { what: "too much output", where, why: "--json wants standard output for itself" });
  }
  if (terminal.stdout.isTerminal) {
    const why = "standard output is a terminal, and a torrent is not text";
    throw new ShoalError("usage", { what: "cannot write the torrent", where, why });
  }
}

/** Nothing is replaced, and hours of hashing shall not end with a folder that isn't there. */
async function checkFree(path: string, { platform }: Context): Promise<void> {
  if (path === STDOUT) return;
  const refuse = (why: string, hint: string): never => {
    throw new ShoalError("storage", { what: "cannot write the torrent", where: path, why, hint });
  };
  const there = await platform.files.stat(path);
  if (there?.kind === "folder") refuse("it is a folder", "-o takes the name of a file");
  if (there !== null) refuse("there is a file of that name already", "remove it, or choose another name with -o");
  const slash = path.lastIndexOf("/");
  if (slash <= 0) return;
  await platform.files.realPath(path.slice(0, slash)).catch((cause) => {
    throw cause instanceof FileError
      ? new ShoalError("storage", {
        what: "cannot write the torrent",
        where: path,
        why: cause.fault === "missing" ? "there is no such folder" : cause.why,
        cause,
      })
      : cause;
  });
}

function warning(name: string): string {
  return `shoal: warning: left out (${JSON.stringify(name)}): it is neither a file nor a folder\n`;
}

function collect(value: string, values: readonly string[] = []): readonly string[] {
  if (value === "") throw badValue("--exclude", { value: '""', why: "a glob was expected, like *.tmp" });
  return [...values, value];
}

function collectTier(value: string, tiers: readonly (readonly string[])[] = []): readonly (readonly string[])[] {
  const urls = value.split(",").map((url) => url.trim());
  const schemes = ["http:", "https:", "udp:", "ws:", "wss:"];
  for (const url of urls) checkUrl(url, { flag: "--tracker", value, schemes });
  return [...tiers, urls];
}

function collectWebSeed(value: string, urls: readonly string[] = []): readonly string[] {
  checkUrl(value, { flag: "--web-seed", value, schemes: ["http:", "https:", "ftp:"] });
  return [...urls, value];
}

function checkUrl(
  url: string,
  { flag, value, schemes }: { readonly flag: string; readonly value: string; readonly schemes: readonly string[] },
): void {
  if (URL.canParse(url) && schemes.includes(new URL(url).protocol)) return;
  const names = schemes.map((scheme) => scheme.slice(0, -1)).join(", ");
  throw badValue(flag, { value, why: `${JSON.stringify(url)} is no URL of these kinds: ${names}` });
}

function parsePieceLength(value: string): number {
  const size = parseSize(value, "--piece-length");
  if (size >= MIN_PIECE && size <= MAX_PIECE && Number.isInteger(Math.log2(size))) return size;
  throw badValue("--piece-length", { value, why: "a power of two from 16K to 256M was expected" });
}

function parseName(value: string): string {
  if (!/^\.{0,2}$/.test(value) && !/[/\\\0]/.test(value)) return value;
  throw badValue("--name", { value, why: "a name of a file or folder was expected, without slashes" });
}
