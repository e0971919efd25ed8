/**
 * Temporary folders that are gone when the test is.
 *
 * @module
 */

/**
 * Runs something with a temporary folder, which other users may look into; in memory where the machine has such a place.
 *
 * @param body What to run; gets the folder's path.
 * @returns What `body` returns.
 */
export async function withScratch<T>(body: (folder: string) => Promise<T>): Promise<T> {
  const shm = await Deno.stat("/dev/shm").then((info) => info.isDirectory, () => false);
  const folder = await Deno.makeTempDir({ prefix: "shoal-test-", ...(shm ? { dir: "/dev/shm" } : {}) });
  try {
    await Deno.chmod(folder, 0o755);
    return await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
