/**
 * Deno's own command lines for programs of this checkout, from any folder: the lock files are named, since `deno.json`
 * names none.
 *
 * @module
 */

const ROOT = decodeURI(new URL("../../", import.meta.url).pathname);

/** What a program with the packages of the tests is started with: the configuration and the lock file. */
export const TEST_FLAGS: readonly string[] = [`--config=${ROOT}deno.json`, `--lock=${ROOT}tests/deno.lock`, "--frozen"];

/**
 * The command that starts Shoal from source, as the task `shoal` in `deno.json` does.
 *
 * @returns Program and first arguments; Shoal's own follow.
 */
export function fromSource(): string[] {
  const { tasks } = JSON.parse(Deno.readTextFileSync(`${ROOT}deno.json`));
  const words: string[] = tasks.shoal.command.split(" ");
  const args = words.slice(words.indexOf("deno") + 1, -1)
    .map((word) => word.startsWith("--lock=") ? word.replace("=", `=${ROOT}`) : word);
  return [Deno.execPath(), ...args, `--config=${ROOT}deno.json`, `${ROOT}${words.at(-1)}`];
}
