/**
 * The Deno that runs the tests, for tests that need another one.
 *
 * @module
 */

/**
 * The name under which Deno may be started: the unit tests may run `deno`, which is a path of its own where it came from
 * npm.
 *
 * @returns A path, or `deno`.
 */
export async function ownDeno(): Promise<string> {
  const own = await Deno.permissions.query({ name: "run", command: Deno.execPath() });
  return own.state === "granted" ? Deno.execPath() : "deno";
}
