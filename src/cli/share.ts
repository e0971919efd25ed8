/**
 * `shoal share`: makes a torrent, runs a tracker for it, and seeds it.
 *
 * @module
 */

import type { Command } from "commander";
import { parseIp } from "../base/address.ts";
import type { Context } from "./context.ts";
import { addContentOptions, collectTier } from "./creation.ts";
import { addNetworkOptions } from "./network_options.ts";
import { badValue, parsePort } from "./option_values.ts";
import type { ShareOptions } from "./share_run.ts";

/** Adds `shoal share` to the program. */
export function register(program: Command, context: Context): void {
  const command = program
    .command("share")
    .summary("share a file or folder: torrent, tracker and seed in one")
    .description(
      "Makes a torrent of a file or a folder, prints a magnet link with which any client can download it, and runs a " +
        "tracker for it (HTTP and UDP) and a seed until interrupted. Never changes the files that it shares.",
    )
    .argument("<path>", "file or folder")
    .option("-o, --output <file>", "also write the .torrent to this file")
    .option(
      "-t, --tracker <url>",
      "another tracker, repeatable: each -t is a tier, commas separate trackers of a tier",
      collectTier,
    )
    .option(
      "--host <host>",
      "address or name of this machine for the link, repeatable (default: detected)",
      collectHost,
    )
    .option(
      "--tracker-port <n>",
      "port of the tracker, TCP and UDP; 0 for any (default: first free of 6969-6979)",
      (v) => parsePort(v, "--tracker-port"),
    );
  addNetworkOptions(addContentOptions(command)).action(async (path: string, options: ShareOptions) => {
    context.verbosity = options.verbose;
    const { runShare } = await import("./share_run.ts");
    context.exitCode = await runShare(path, { options, context });
  });
}

function collectHost(value: string, hosts: readonly string[] = []): readonly string[] {
  const host = value.replace(/^\[(.*)\]$/, "$1");
  if (parseIp(host) !== null || /^[\p{L}\p{N}]([\p{L}\p{N}.-]*[\p{L}\p{N}])?\.?$/u.test(host)) return [...hosts, host];
  throw badValue("--host", { value, why: "an address or a name was expected, without a port" });
}
