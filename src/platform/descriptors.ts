/**
 * File descriptors, when the system has none left for us.
 *
 * @module
 */

/** What is said when there are none. */
export const OUT_OF_DESCRIPTORS =
  "out of file descriptors: some connections are closed, others have to wait; `ulimit -n` says how many there may be";
/** What is said when there are some again. */
export const DESCRIPTORS_AGAIN = "there are file descriptors again: connections are taken as before";

/** Milliseconds between attempts to open a file; in all it is tried for three seconds. */
const PAUSE = 100;
const ATTEMPTS = 30;

const holders = new Set<() => void>();

/**
 * Registers somebody who can do with fewer connections.
 *
 * @param give Closes some; called each time that there are no descriptors left.
 * @returns Takes that back.
 */
export function onShortage(give: () => void): () => void {
  holders.add(give);
  return () => holders.delete(give);
}

/**
 * @param error What the runtime threw.
 * @returns Whether there are no descriptors left, in the process or in the system.
 */
export function isShortage(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? error.code : null;
  return code === "EMFILE" || code === "ENFILE";
}

/** Has connections closed that can be done without. */
export function makeRoom(): void {
  for (const give of holders) give();
}

/**
 * Opens a file. When there is no descriptor for it, connections make room: a crowd of them must not end a download.
 *
 * @param open Opens it.
 * @returns What it gave.
 * @throws What it threw, at last.
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
