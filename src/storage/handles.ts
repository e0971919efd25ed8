/**
 * Closing files when something has gone wrong with them.
 *
 * @module
 */

import type { FileHandle } from "../platform/platform.ts";

/**
 * Does something with an open file that others go on using when it succeeds.
 *
 * @param handle The file. Closed if `work` fails, whose failure is the one to tell.
 * @param work What to do.
 * @returns What `work` returns.
 */
export async function closingOnFailure<T>(handle: FileHandle, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    await handle.close().catch(() => {}); // what is wrong with the file has been found out already
    throw error;
  }
}

/**
 * Does something with an open file, then closes it.
 *
 * @param handle The file.
 * @param work What to do. If it fails, its failure is the one to tell, not that of closing.
 * @returns What `work` returns.
 */
export async function closingAfter<T>(handle: FileHandle, work: () => Promise<T>): Promise<T> {
  const result = await closingOnFailure(handle, work);
  await handle.close();
  return result;
}
