/**
 * Starting a tracker where a command wants it.
 *
 * @module
 */

import { formatAddress } from "../base/address.ts";
import { messageOf, ShoalError } from "../base/errors.ts";
import type { TrackerServer } from "../tracker_server/server.ts";

/** IPv6 sockets take IPv4 too, where the system has both. */
const ANY_HOSTS = ["::", "0.0.0.0"] as const;

/** Ports that are tried when none is asked for; the first is the one that trackers have by custom. */
const FIRST_PORT = 6969;
const LAST_PORT = 6979;

/**
 * Starts a tracker on one address, or on all of the machine, of both families if it has both.
 *
 * @param start Starts it on an address.
 * @param host The address; all when absent.
 * @returns The tracker.
 * @throws {ShoalError} Of kind `network` if it can't listen there.
 */
export function startTracker(start: (host: string) => TrackerServer, host?: string): TrackerServer {
  if (host !== undefined) return start(host);
  const [both, four] = ANY_HOSTS;
  try {
    return start(both);
  } catch (error) {
    // Without IPv6 there is no such address; if the port is in use, the second attempt says so.
    if (error instanceof ShoalError) return start(four);
    throw error;
  }
}

/**
 * Starts a tracker on the port that is asked for, or on the first that is free of those that come to mind.
 *
 * @param start Starts it on a port.
 * @param options `port`: the port; 0 for any. `flag`: the option that says which.
 * @returns The tracker.
 * @throws {ShoalError} Of kind `network` if there is none.
 */
export function startOnPort(
  start: (port: number) => TrackerServer,
  { port, flag }: { readonly port: number | undefined; readonly flag: string },
): TrackerServer {
  if (port !== undefined) return start(port);
  for (let next = FIRST_PORT;; next++) {
    try {
      return start(next);
    } catch (error) {
      if (!(error instanceof ShoalError)) throw error;
      if (next < LAST_PORT) continue;
      throw new ShoalError("network", {
        what: "cannot start the tracker",
        where: formatAddress({ host: "0.0.0.0", port: FIRST_PORT }),
        why: `none of the ports ${FIRST_PORT} to ${LAST_PORT} is free: ${messageOf(error)}`,
        hint: `choose a port with ${flag}, or 0 for any`,
      });
    }
  }
}
