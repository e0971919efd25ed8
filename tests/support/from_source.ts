/**
 * Deno command lines that run programs of this checkout from any folder. The command lines name the lock files, since
 * `deno.json` doesn't.
 *
 * @module
 */

const ROOT = decodeURI(new URL("../../", import.meta.url).pathname);

/** Flags for a program that uses the packages of the tests: the configuration and the lock file. */
export const TEST_FLAGS: readonly string[] = [`--config=${ROOT}deno.json`, `--lock=${ROOT}tests/deno.lock`, "--frozen"];

/**
 * Returns the command that starts Shoal from source, as the task `shoal` in `deno.json` does, but without Deno's messages
 * about packages that it downloads, so that the standard error has what Shoal writes and nothing else.
 *
 * @returns Program and first arguments, to be followed by Shoal's own arguments.
 */
export function fromSource(): string[] {
  const { tasks } = JSON.parse(Deno.readTextFileSync(`${ROOT}deno.json`));
  const words: string[] = tasks.shoal.command.split(" ");
  const args = words.slice(words.indexOf("deno") + 1, -1)
    .map((word) => word.startsWith("--lock=") ? word.replace("=", `=${ROOT}`) : word);
  return [Deno.execPath(), "run", "--quiet", ...args.slice(1), `--config=${ROOT}deno.json`, `${ROOT}${words.at(-1)}`];
}
