/**
 * The compiled Shoal, run as its users run it.
 *
 * @module
 */

import { Job, type JobResult } from "./job.ts";

/** Path of the executable: `SHOAL_BIN`, or where `deno task compile` puts it. */
export const BINARY: string = Deno.env.get("SHOAL_BIN") ||
  decodeURI(new URL("../../dist/shoal", import.meta.url).pathname);

/** Options that keep a download to the peers that a test names. */
export const OFFLINE = ["--no-dht", "--no-pex", "--no-lsd", "--no-utp", "--no-port-map"];

/**
 * Environment that keeps Shoal's own files in a test's folder.
 *
 * @param folder The test's folder.
 * @returns Variables to set.
 */
export function environment(folder: string): Record<string, string> {
  return { XDG_STATE_HOME: `${folder}/state`, XDG_CONFIG_HOME: `${folder}/config`, TMPDIR: folder };
}

/**
 * Starts the compiled Shoal.
 *
 * @param args Its arguments.
 * @param folder The test's folder; the working folder, too.
 * @returns The running program.
 */
export function startShoal(args: readonly string[], folder: string): Job {
  return new Job([BINARY, ...args], { name: `shoal ${args[0] ?? ""}`, cwd: folder, env: environment(folder) });
}

/**
 * Runs the compiled Shoal to its end.
 *
 * @param args Its arguments.
 * @param folder The test's folder.
 * @param seconds How long it may take.
 * @returns How it ended.
 */
export async function runShoal(args: readonly string[], folder: string, seconds = 30): Promise<JobResult> {
  await using job = startShoal(args, folder);
  return await job.exit(seconds);
}
