/**
 * `shoal seed`: serves data that is already on disk.
 *
 * @module
 */

import type { Command } from "commander";
import type { Context } from "./context.ts";
import { addNetworkOptions, type NetworkOptions, resolvePeers, sessionOptions } from "./network_options.ts";

interface SeedOptions extends NetworkOptions {
  readonly trust?: true;
}

/** Adds `shoal seed` to the program. */
export function register(program: Command, context: Context): void {
  const command = program
    .command("seed")
    .summary("serve data that is already there")
    .description("Checks the data against the torrent, then serves it until interrupted. Never writes to it.")
    .argument("<torrent>", "path or http(s) URL of a .torrent, magnet link, info-hash, or - for standard input")
    .argument("<dir>", "folder that holds the torrent's file or folder")
    .option("--trust", "skip the check");
  addNetworkOptions(command).action(async (source: string, folder: string, options: SeedOptions) => {
    context.verbosity = options.verbose;
    const { runTransfer } = await import("./transfer.ts");
    const load = async () => {
      const { readSource } = await import("./torrent_source.ts");
      const found = await readSource(source, context);
      const peers = await resolvePeers(options.peer ?? [], context);
      return [{ source: found, options: { folder, peers, seedOnly: true, ...(options.trust && { trust: true }) } }];
    };
    const session = sessionOptions(options, context);
    context.exitCode = await runTransfer(
      { load, session, show: options, seed: {}, idle: null },
      context,
    );
  });
}
