/**
 * `shoal download`: torrents to verified files.
 *
 * @module
 */

import type { Command } from "commander";
import type { Magnet, Metainfo } from "../metainfo/mod.ts";
import type { Context } from "./context.ts";
import type { SeedGoal } from "./limits.ts";
import { addNetworkOptions, type NetworkOptions, resolvePeers, sessionOptions } from "./network_options.ts";
import { parseDuration, parseRatio } from "./options.ts";
import type { LoadedTorrent } from "./transfer.ts";
import { refuseOptions, UNAVAILABLE_DOWNLOAD_OPTIONS } from "./unavailable.ts";

interface DownloadOptions extends NetworkOptions {
  readonly output: string;
  readonly seed?: true;
  readonly seedRatio?: number;
  readonly seedTime?: number;
  readonly check?: true;
  readonly timeout?: number;
}

/**
 * Adds the command.
 *
 * @param program The program.
 * @param context The surroundings.
 */
export function register(program: Command, context: Context): void {
  const command = program
    .command("download", { isDefault: true })
    .alias("dl")
    .summary("download torrents (the default command)")
    .description("Downloads torrents, each from all of its peers at once, and serves others meanwhile.")
    .argument("<source...>", "path or http(s) URL of a .torrent, magnet link, info-hash, or - for standard input")
    .option("-o, --output <dir>", "where to put it; created if missing", ".");
  addNetworkOptions(command)
    .option("--seed", "go on seeding when complete, until interrupted")
    .option("--seed-ratio <r>", "... or until uploaded/downloaded reaches r", (v) => parseRatio(v, "--seed-ratio"))
    .option("--seed-time <t>", "... or for t (90s, 30m, 2h)", (v) => parseDuration(v, "--seed-time"))
    .option("--check", "ignore resume state and hash what is on disk")
    .option("--timeout <t>", "give up (exit 5) when nothing arrives for t", (v) => parseDuration(v, "--timeout"))
    .action(async (sources: string[], options: DownloadOptions) => {
      context.verbosity = options.verbose;
      context.exitCode = await download(sources, { options, context });
    });
  refuseOptions(command, UNAVAILABLE_DOWNLOAD_OPTIONS);
}

async function download(
  sources: readonly string[],
  { options, context }: { readonly options: DownloadOptions; readonly context: Context },
): Promise<number> {
  const { runTransfer } = await import("./transfer.ts");
  return await runTransfer({
    load: () => load(sources, { options, context }),
    session: sessionOptions(options, context),
    show: options,
    keeps: true,
    seed: seedGoal(options),
    idle: options.timeout === undefined ? null : { seconds: options.timeout },
  }, context);
}

async function load(
  sources: readonly string[],
  { options, context }: { readonly options: DownloadOptions; readonly context: Context },
): Promise<LoadedTorrent[]> {
  const { readSource } = await import("./sources.ts");
  const peers = await resolvePeers(options.peer ?? [], context);
  const read = await Promise.allSettled(sources.map((source) => readSource(source, context)));
  // Of several bad sources, the first one on the command line is told, not the one that failed fastest.
  const found = read.map((result) => {
    if (result.status === "rejected") throw result.reason;
    return result.value;
  });
  const add = { folder: options.output, peers, ...(options.check && { check: true }) };
  return withoutDoubles(found).map((source) => ({ source, options: add }));
}

/** Asking twice for the same thing is harmless. */
function withoutDoubles<T extends Metainfo | Magnet>(sources: readonly T[]): T[] {
  return [...new Map(sources.map((source) => [source.infoHash.hex, source])).values()];
}

function seedGoal({ seed, seedRatio, seedTime }: DownloadOptions): SeedGoal | null {
  if (!seed && seedRatio === undefined && seedTime === undefined) return null;
  return { ...(seedRatio !== undefined && { ratio: seedRatio }), ...(seedTime !== undefined && { seconds: seedTime }) };
}
