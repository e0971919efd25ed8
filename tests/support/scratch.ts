/**
 * Temporary folders that are gone when the test is.
 *
 * @module
 */

import { Guard } from "./guard.ts";

/** Programs that were interrupted with the test may need a moment to stop writing, hence the second try. */
const REMOVE = `
for place in $(cut -d' ' -f2 /proc/mounts | grep "^$1/"); do umount "$place"; done
rm -rf "$1" 2> /dev/null || { sleep 2; rm -rf "$1"; }`;

/**
 * Runs something with a temporary folder, which other users may look into.
 *
 * It is not in /dev/shm, fast as that would be: Deno lets nobody below /dev who has not all permissions.
 *
 * @param body What to run; gets the folder's path.
 * @param options `parent`: the folder to make it in; the one for temporary files when absent.
 * @returns What `body` returns.
 */
export async function withScratch<T>(
  body: (folder: string) => Promise<T>,
  options: { readonly parent?: string } = {},
): Promise<T> {
  const { parent } = options;
  const folder = await Deno.makeTempDir({ prefix: "shoal-test-", ...(parent === undefined ? {} : { dir: parent }) });
  await using _gone = new Guard(REMOVE, folder);
  await Deno.chmod(folder, 0o755);
  return await body(folder);
}

/** A folder on another file system than that of temporary files, on most systems. */
const ELSEWHERE = "/dev/shm";

/**
 * Runs something with two temporary folders, on two file systems where that can be had.
 *
 * @param body What to run; gets the folders' paths.
 * @returns What `body` returns.
 */
export async function withTwoScratches<T>(body: (folder: string, elsewhere: string) => Promise<T>): Promise<T> {
  const isThere = await Deno.stat(ELSEWHERE).then(({ isDirectory }) => isDirectory, () => false);
  return await withScratch(
    (elsewhere) => withScratch((folder) => body(folder, elsewhere)),
    isThere ? { parent: ELSEWHERE } : {},
  );
}
