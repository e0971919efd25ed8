/**
 * Waiting for work that an abort signal ends.
 *
 * @module
 */

/**
 * Waits for a promise until a signal is aborted.
 *
 * @param work The promise. The work itself isn't stopped.
 * @param signal The signal. If it is aborted already, the promise is not waited for.
 * @returns The value of the promise.
 * @throws The reason of the signal, once it is aborted.
 */
export async function raceAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const giveUp = () => reject(signal.reason);
  signal.addEventListener("abort", giveUp, { once: true });
  if (signal.aborted) giveUp();
  try {
    return await Promise.race([aborted, work]);
  } finally {
    signal.removeEventListener("abort", giveUp);
  }
}
