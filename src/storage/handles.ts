/**
 * Closes file handles when an operation fails or ends.
 *
 * @module
 */

import type { FileHandle } from "../platform/platform.ts";

/**
 * Runs an operation on an open file, and closes the file if the operation fails.
 *
 * @param handle Open file.
 * @param work Operation to run. Its error is thrown, not an error of closing.
 * @returns Result of `work`.
 */
export async function closingOnFailure<T>(handle: FileHandle, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    await handle.close().catch(() => {}); // the error of `work` is the one to report
    throw error;
  }
}

/**
 * Runs an operation on an open file, then closes the file.
 *
 * @param handle Open file.
 * @param work Operation to run. If it fails, its error is thrown, not an error of closing.
 * @returns Result of `work`.
 */
export async function closingAfter<T>(handle: FileHandle, work: () => Promise<T>): Promise<T> {
  const result = await closingOnFailure(handle, work);
  await handle.close();
  return result;
}
