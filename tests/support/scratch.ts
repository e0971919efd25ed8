/**
 * Temporary folders that are removed at the end of a test.
 *
 * @module
 */

import { Guard } from "./guard.ts";

/**
 * Unmounts and removes a folder. Programs that were interrupted with the test may still write for a moment, hence the
 * second try.
 */
const REMOVE = `
for place in $(cut -d' ' -f2 /proc/mounts | grep "^$1/"); do umount "$place"; done
rm -rf "$1" 2> /dev/null || { sleep 2; rm -rf "$1"; }`;

/** Options for {@linkcode withScratch}. */
export interface ScratchOptions {
  /** Parent of the folder; the system's folder for temporary files when absent. */
  readonly parent?: string;
}

/**
 * Calls a function with a temporary folder that other users may read.
 *
 * The folder is not in /dev/shm, fast as that would be: Deno denies access below /dev without all permissions.
 *
 * @param body Gets the path of the folder.
 */
export async function withScratch<T>(body: (folder: string) => Promise<T>, options: ScratchOptions = {}): Promise<T> {
  const { parent } = options;
  const folder = await Deno.makeTempDir({ prefix: "shoal-test-", ...(parent === undefined ? {} : { dir: parent }) });
  await using _gone = new Guard(REMOVE, folder);
  await Deno.chmod(folder, 0o755);
  return await body(folder);
}

/** A folder that is on another file system than temporary files, on most systems. */
const ELSEWHERE = "/dev/shm";

/**
 * Calls a function with two temporary folders, on two file systems where possible.
 *
 * @param body Gets the paths of the folders.
 */
export async function withTwoScratches<T>(body: (folder: string, elsewhere: string) => Promise<T>): Promise<T> {
  const isThere = await Deno.stat(ELSEWHERE).then(({ isDirectory }) => isDirectory, () => false);
  return await withScratch(
    (elsewhere) => withScratch((folder) => body(folder, elsewhere)),
    isThere ? { parent: ELSEWHERE } : {},
  );
}
