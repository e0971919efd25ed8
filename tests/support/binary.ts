/**
 * Runs the compiled Shoal as users run it.
 *
 * @module
 */

import { Job, type JobResult } from "./job.ts";

/** Path of the executable: `SHOAL_BIN`, or where `deno task compile` puts it. */
export const BINARY: string = Deno.env.get("SHOAL_BIN") ||
  decodeURI(new URL("../../dist/shoal", import.meta.url).pathname);

/** Options that restrict a download to the peers that a test names. */
export const OFFLINE = ["--no-dht", "--no-pex", "--no-lsd", "--no-utp", "--no-port-map"];

/**
 * Returns environment variables that keep Shoal's own files in a test's folder.
 *
 * @param folder The test's folder.
 */
export function environment(folder: string): Record<string, string> {
  return { XDG_STATE_HOME: `${folder}/state`, XDG_CONFIG_HOME: `${folder}/config`, TMPDIR: folder };
}

/**
 * Starts the compiled Shoal.
 *
 * @param folder The test's folder, which is also the working folder.
 */
export function startShoal(args: readonly string[], folder: string): Job {
  return new Job([BINARY, ...args], { name: `shoal ${args[0] ?? ""}`, cwd: folder, env: environment(folder) });
}

/**
 * Runs the compiled Shoal until it exits.
 *
 * @param folder The test's folder, which is also the working folder.
 * @param seconds Time limit.
 */
export async function runShoal(args: readonly string[], folder: string, seconds = 30): Promise<JobResult> {
  await using job = startShoal(args, folder);
  return await job.exit(seconds);
}
