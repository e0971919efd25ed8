/**
 * `shoal seed`: serves data that is already on disk.
 *
 * @module
 */

import type { Command } from "commander";
import { ShoalError } from "../base/errors.ts";
import type { Context } from "./context.ts";
import { byTorrent, loadedOf, reportDuplicateSources } from "./download.ts";
import { DATA_ARGUMENT } from "./verify.ts";
import {
  addNetworkOptions,
  addTrackerOption,
  type NetworkOptions,
  resolvePeers,
  sessionOptions,
  type TrackerOptions,
} from "./network_options.ts";
import type { ReportBad } from "./transfer.ts";

interface SeedOptions extends NetworkOptions, TrackerOptions {
  readonly trust?: true;
}

/** Adds `shoal seed` to the program. */
export function register(program: Command, context: Context): void {
  const command = program
    .command("seed")
    .summary("serve data that is already there")
    .description(
      "Checks the data against the torrents, then serves it until interrupted, as far as it goes. Never writes to it.",
    )
    .usage("[options] <torrent...> <dir>")
    .argument(
      "<torrent>",
      "path or http(s) URL of a .torrent, magnet link, info-hash, or - for standard input; repeatable",
    )
    .argument("<dir...>", DATA_ARGUMENT)
    .option("--trust", "skip the check");
  addNetworkOptions(addTrackerOption(command)).action(async (first: string, others: string[], options: SeedOptions) => {
    context.verbosity = options.verbose;
    const { runTransfer } = await import("./transfer.ts");
    const sources = [first, ...others.slice(0, -1)];
    const folder = others.at(-1)!;
    await refuseSource(folder, context);
    const load = async (onBad: ReportBad) => {
      const [{ readSources }, { mergeSources }] = await Promise.all([
        import("./torrent_source.ts"),
        import("../metainfo/mod.ts"),
      ]);
      const found = byTorrent(await readSources(sources, context, { onBad, quiet: options.quiet ?? false }));
      if (!options.quiet) await reportDuplicateSources(found, context);
      const peers = await resolvePeers(options.peer ?? [], context);
      const add = {
        folder,
        peers,
        seedOnly: true,
        ...(options.tracker && { trackers: options.tracker }),
        ...(options.trust && { trust: true }),
      };
      return found.map((same) => ({ ...loadedOf(same, mergeSources), options: add }));
    };
    const session = sessionOptions(options, context);
    context.exitCode = await runTransfer(
      { load, session, show: options, seed: {}, idle: null },
      context,
    );
  });
}

/** Throws if the last argument is another source, so that the folder is missing. */
async function refuseSource(folder: string, { platform }: Context): Promise<void> {
  const isFile = /\.torrent$/i.test(folder) && (await platform.files.stat(folder))?.kind === "file";
  if (!isFile && !/^magnet:|^https?:\/\//i.test(folder)) return;
  const why = `${folder} is a torrent, and the folder with the data is needed behind it`;
  throw new ShoalError("usage", { what: "missing argument", where: "dir", why });
}
