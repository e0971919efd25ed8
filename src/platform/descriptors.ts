/**
 * Handles a shortage of file descriptors.
 *
 * @module
 */

/** Warning when there are no descriptors left. */
export const OUT_OF_DESCRIPTORS =
  "out of file descriptors: some connections are closed, others have to wait; `ulimit -n` says how many there may be";
/** Message when there are descriptors again. */
export const DESCRIPTORS_AGAIN = "there are file descriptors again: connections are taken as before";

/** Milliseconds between two attempts to open a file. All attempts together take three seconds. */
const PAUSE = 100;
const ATTEMPTS = 30;

const holders = new Set<() => void>();

/**
 * Registers a callback that closes connections.
 *
 * @param give Called each time that there are no descriptors left. Closes connections that are of little use.
 * @returns Removes the callback.
 */
export function onShortage(give: () => void): () => void {
  holders.add(give);
  return () => holders.delete(give);
}

/** Returns `true` if an error of the runtime means that no descriptors are left, in the process or in the system. */
export function isShortage(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? error.code : null;
  return code === "EMFILE" || code === "ENFILE";
}

/** Asks all registered callbacks to close connections. */
export function makeRoom(): void {
  for (const give of holders) give();
}

/**
 * Opens a file. If no descriptor is left, connections are closed to make room, so that a flood of connections can't end
 * a download.
 *
 * @param open Opens the file.
 * @returns The result of `open`.
 * @throws What `open` threw in the last attempt.
 */
export async function withDescriptor<T>(open: () => T | Promise<T>): Promise<T> {
  for (let attempt = 1;; attempt++) {
    try {
      return await open();
    } catch (error) {
      if (!isShortage(error) || attempt >= ATTEMPTS) throw error;
      makeRoom();
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
    }
  }
}
