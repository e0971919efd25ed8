/**
 * `shoal download`: downloads torrents to verified files.
 *
 * @module
 */

import type { Command } from "commander";
import { ShoalError } from "../base/errors.ts";
import type { FileChoice, Magnet, mergeSources, Metainfo } from "../metainfo/mod.ts";
import { plainLogLine } from "../ui/log_lines.ts";
import { printable } from "../ui/printable.ts";
import type { Context } from "./context.ts";
import { printError } from "./error_event.ts";
import { errorLine } from "./error_line.ts";
import { EXIT_DONE, exitCodeOf } from "./exit_codes.ts";
import type { SeedGoal } from "./seed_goals.ts";
import {
  addNetworkOptions,
  addTrackerOption,
  type NetworkOptions,
  resolvePeers,
  sessionOptions,
  type TrackerOptions,
} from "./network_options.ts";
import { badValue, collectFileChoices, parseDuration, parseRatio } from "./option_values.ts";
import { type RefusedOption, refuseOptions } from "./refused_options.ts";
import { parseStreamPort, streamWish } from "./streaming.ts";
import type { LoadedTorrent, ReportBad } from "./transfer.ts";
import { writeLines } from "./write_lines.ts";

/** Why no hook of the user's can be run. */
const NO_PROGRAMS = "Shoal has no permission to run programs";
/** Options of other clients that run a program when a download is complete. */
const PROGRAM_OPTIONS: readonly RefusedOption[] = [
  "--exec <command>",
  "--on-done <command>",
  "--on-download-complete <command>",
  "--torrent-done-script <file>",
].map((flags) => ({
  flags,
  error: (flag) =>
    new ShoalError("usage", {
      what: "cannot run a program",
      where: flag,
      why: NO_PROGRAMS,
      hint: "`--on-complete URL` posts the completed event to a server, which can run one",
    }),
}));

interface DownloadOptions extends NetworkOptions, TrackerOptions {
  readonly output: string;
  readonly incomplete?: string;
  readonly seed?: true;
  readonly seedRatio?: number;
  readonly seedTime?: number;
  readonly files?: readonly FileChoice[];
  readonly list?: true;
  readonly sequential?: true;
  readonly check?: true;
  readonly onComplete?: string;
  readonly timeout?: number;
  readonly stream?: number | boolean;
}

/** Adds `shoal download` to the program. */
export function register(program: Command, context: Context): void {
  const command = program
    .command("download", { isDefault: true })
    .alias("dl")
    .summary("download torrents (the default command)")
    .description("Downloads torrents from many peers at once, and uploads to other peers at the same time.")
    .argument("<source...>", "path or http(s) URL of a .torrent, magnet link, info-hash, or - for standard input")
    .option("-o, --output <dir>", "where to put it; created if missing", ".")
    .option(
      "--incomplete <dir>",
      "where it lies until it is complete, on the same or another disk; created if missing",
    );
  addNetworkOptions(addTrackerOption(command))
    .option(
      "--files <list>",
      "what to download: numbers as info shows them (1,3-5,8-), globs (*.mkv), folders (extras/), all but x (!x), in a " +
        "list with commas; repeatable",
      collectFileChoices,
    )
    .option("--list", "only list the files")
    .option("--sequential", "pieces in order")
    .option("--seed", "keep seeding when complete, until interrupted")
    .option(
      "--seed-ratio <r>",
      "keep seeding until r times the wanted size is uploaded",
      (v) => parseRatio(v, "--seed-ratio"),
    )
    .option("--seed-time <t>", "keep seeding for t (90s, 30m, 2h)", (v) => parseDuration(v, "--seed-time"))
    .option("--on-complete <url>", "POST the completed event of each torrent to a URL, as JSON", parseHttpUrl)
    .option("--check", "ignore resume state and hash what is on disk")
    .option("--timeout <t>", "give up (exit 5) when nothing arrives for t", (v) => parseDuration(v, "--timeout"))
    .option("--stream [port]", "serve the files to players on this machine, until interrupted", parseStreamPort)
    .action(async (sources: string[], options: DownloadOptions) => {
      context.verbosity = options.verbose;
      const run = options.list ? list : download;
      context.exitCode = await run(sources, { options, context, choices: options.files ?? null });
    });
  refuseOptions(command, PROGRAM_OPTIONS);
}

/** Input of one run of the command. */
interface Run {
  readonly options: DownloadOptions;
  readonly context: Context;
  readonly choices: readonly FileChoice[] | null;
}

async function download(sources: readonly string[], run: Run): Promise<number> {
  const { options, context } = run;
  const { runTransfer } = await import("./transfer.ts");
  const stream = streamWish(options.stream);
  return await runTransfer({
    load: (onBad) => load(sources, run, onBad),
    session: sessionOptions(options, context),
    show: options,
    keeps: true,
    ...(options.onComplete !== undefined && { onComplete: options.onComplete }),
    seed: seedGoal(options) ?? (stream && {}), // a player goes on reading after the download is complete
    stream,
    idle: options.timeout === undefined ? null : { seconds: options.timeout },
  }, context);
}

/** Prints the files that would be downloaded. */
async function list(sources: readonly string[], { options, context, choices }: Run): Promise<number> {
  let code = EXIT_DONE;
  const onBad = async (thrown: ShoalError): Promise<void> => {
    const error = context.config?.blame(thrown) ?? thrown;
    code ||= exitCodeOf(error);
    if (options.json) await printError(error, context);
    await context.terminal.stderr.write(errorLine(error, { verbose: context.verbosity > 0 }));
  };
  const { readSources, orReport } = await import("./torrent_source.ts");
  const found = byTorrent(await readSources(sources, context, { onBad, quiet: options.quiet ?? false }));
  const [{ fileList }, { tellWarnings }, { mergeSources }] = await Promise.all([
    import("./info_text.ts"),
    import("./torrent_source.ts"),
    import("../metainfo/mod.ts"),
  ]);
  for (const same of found) {
    let lines: Iterable<string> = [];
    await orReport(async () => {
      const source = mergeSources(same);
      const meta = "pieces" in source ? source : await metadataOf(source, { options, context });
      if (!options.quiet) await tellWarnings(meta, context);
      lines = fileList(meta, { choices, json: options.json ?? false });
    }, onBad);
    await writeLines(lines, context);
  }
  return code;
}

async function metadataOf(
  magnet: Magnet,
  { options, context }: Pick<Run, "options" | "context">,
): Promise<Metainfo> {
  const { fetchMetadata } = await import("./remote_metadata.ts");
  return await fetchMetadata(
    magnet,
    { network: options, timeout: options.timeout, quiet: (options.json || options.quiet) ?? false },
    context,
  );
}

async function load(
  sources: readonly string[],
  { options, context, choices }: Run,
  onBad: ReportBad,
): Promise<LoadedTorrent[]> {
  const peers = await resolvePeers(options.peer ?? [], context);
  const add = {
    folder: options.output,
    ...(options.incomplete !== undefined && { incomplete: options.incomplete }),
    peers,
    ...(options.tracker && { trackers: options.tracker }),
    ...(options.sequential && { sequential: true }),
    ...(options.check && { check: true }),
  };
  const { readSources, orReport } = await import("./torrent_source.ts");
  const found = byTorrent(await readSources(sources, context, { onBad, quiet: options.quiet ?? false }));
  if (!options.quiet) await reportDuplicateSources(found, context);
  const { mergeSources, selectFiles } = await import("../metainfo/mod.ts");
  const torrents: LoadedTorrent[] = [];
  for (const same of found) {
    const loaded = loadedOf(same, mergeSources);
    const { source } = loaded;
    await orReport(() => {
      // The files of a magnet link are selected later, once its metadata is known.
      const files = choices &&
        ("pieces" in source ? selectFiles(source, choices) : (meta: Metainfo) => selectFiles(meta, choices));
      torrents.push({ ...loaded, options: { ...add, ...(files && { files }) } });
    }, onBad);
  }
  return torrents;
}

/** Tells the user which sources are the same torrent and used together. */
export async function reportDuplicateSources(
  found: readonly (readonly (Metainfo | Magnet)[])[],
  { terminal }: Context,
): Promise<void> {
  for (const same of found) {
    if (same.length === 1) continue;
    const source = same.find((one) => "pieces" in one) ?? same[0]!;
    const name = ("pieces" in source ? source.name : source.displayName) ?? source.infoHash.hex;
    const text = `${same.length} sources are the same torrent, and are used together (${name})`;
    await terminal.stderr.write(plainLogLine({ level: "note", text: printable(text) }));
  }
}

/**
 * Groups sources by torrent. A source with both info-hashes of a hybrid (BEP 52) joins those that have one of them,
 * unless a torrent file shows that they are of two torrents: then it goes to one of the two.
 */
export function byTorrent(sources: readonly (Metainfo | Magnet)[]): (Metainfo | Magnet)[][] {
  const groups = new Map<string, (Metainfo | Magnet)[]>();
  for (const source of sources.toSorted((a, b) => Number("pieces" in b) - Number("pieces" in a))) {
    const { infoHash, infoHashV1, infoHashV2 } = source;
    const keys = [infoHash.hex, ...(infoHashV2 ? [infoHashV2.truncated.hex] : [])];
    const found = new Set(keys.map((key) => groups.get(key)).filter((group) => group !== undefined));
    const isFalse = [...found].flat().some((file) =>
      "pieces" in file && ((infoHashV1 !== null && infoHashV1.hex !== file.infoHashV1?.hex) ||
        (infoHashV2 !== null && infoHashV2.hex !== file.infoHashV2?.hex))
    );
    const [group = [], ...others] = found;
    group.push(source);
    if (isFalse) continue;
    group.push(...others.flat());
    if (others.length > 0) { for (const [key, other] of groups) if (found.has(other)) groups.set(key, group); }
    for (const key of keys) groups.set(key, group);
  }
  const place = new Map(sources.map((source, i) => [source, i]));
  return [...new Set(groups.values())]
    .map((group) => group.toSorted((a, b) => place.get(a)! - place.get(b)!))
    .toSorted(([a], [b]) => place.get(a!)! - place.get(b!)!);
}

/**
 * Combines the sources of a torrent. A torrent file comes first, because it knows more than a magnet link. Without one,
 * the file selection (`so`) of the merged links applies to all of them.
 */
export function loadedOf(
  sources: readonly (Metainfo | Magnet)[],
  merge: typeof mergeSources,
): Pick<LoadedTorrent, "source" | "more"> {
  const [first, ...more] = sources.toSorted((a, b) => Number("pieces" in b) - Number("pieces" in a));
  const source = merge(sources);
  if ("pieces" in source) return { source: first!, more };
  const { selectOnly, infoHash, infoHashV1, infoHashV2 } = source;
  const link = { ...first!, selectOnly, infoHash, infoHashV1, infoHashV2 };
  return { source: link, more: more.map((link) => ({ ...link, selectOnly })) };
}

function parseHttpUrl(value: string): string {
  if (/^https?:$/.test(URL.parse(value)?.protocol ?? "")) return value;
  throw badValue("--on-complete", { value, why: `an http or https URL was expected; ${NO_PROGRAMS}` });
}

function seedGoal({ seed, seedRatio, seedTime }: DownloadOptions): SeedGoal | null {
  if (!seed && seedRatio === undefined && seedTime === undefined) return null;
  return { ...(seedRatio !== undefined && { ratio: seedRatio }), ...(seedTime !== undefined && { seconds: seedTime }) };
}
