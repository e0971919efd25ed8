/**
 * Starts a tracker on the address and port that a command asks for.
 *
 * @module
 */

import { formatAddress } from "../base/address.ts";
import { messageOf, ShoalError } from "../base/errors.ts";
import { ListenError } from "../platform/listen_error.ts";
import type { TrackerServer } from "../tracker_server/server.ts";

/** IPv6 sockets accept IPv4 too, if the system supports both. */
const ANY_HOSTS = ["::", "0.0.0.0"] as const;

/** Ports to try if none is given. 6969 is the customary port of trackers. */
const FIRST_PORT = 6969;
const LAST_PORT = 6979;

/**
 * Starts a tracker on one address, or on all addresses of the machine.
 *
 * @param start Starts the tracker on an address.
 * @param host The address; all addresses, IPv4 and IPv6, when absent.
 * @returns The tracker.
 * @throws {ShoalError} Of kind `network` if the tracker can't listen there.
 */
export function startTracker(start: (host: string) => TrackerServer, host?: string): TrackerServer {
  if (host !== undefined) return start(host);
  const [both, four] = ANY_HOSTS;
  try {
    return start(both);
  } catch (error) {
    // Without IPv6, `::` fails. If the port is in use, the second attempt fails too.
    if (error instanceof ShoalError) return start(four);
    throw error;
  }
}

/** Options for {@linkcode startOnPort}. */
export interface StartOnPortOptions {
  /** Port to listen on; 0 for any port, `undefined` for the first free one of 6969 to 6979. */
  readonly port: number | undefined;
  /** Option that sets the port, for the error. */
  readonly flag: string;
}

/**
 * Starts a tracker on a port, or on the first free one of 6969 to 6979.
 *
 * @param start Starts the tracker on a port.
 * @param options See {@linkcode StartOnPortOptions}.
 * @returns The tracker.
 * @throws {ShoalError} Of kind `network` if no port is free.
 */
export function startOnPort(
  start: (port: number) => TrackerServer,
  { port, flag }: StartOnPortOptions,
): TrackerServer {
  for (let next = port ?? FIRST_PORT;; next++) {
    try {
      return start(next);
    } catch (error) {
      const isPort = error instanceof ShoalError && !(error instanceof ListenError && error.fault === "no-address");
      if (!isPort) throw error;
      if (port !== undefined) throw error instanceof ListenError ? error.withPortFlag(flag) : error;
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
