/**
 * Opens sockets for one or both address families, and explains why a socket can't listen.
 *
 * @module
 */

import { formatAddress, type PeerAddress } from "../base/address.ts";
import { messageOf, ShoalError } from "../base/errors.ts";

/**
 * Converts an error of a listening socket to one in plain words.
 *
 * @param error Thrown by the runtime.
 * @param address Address to listen on.
 * @returns An error of kind `network`.
 */
export function listenError(error: unknown, address: PeerAddress): ShoalError {
  const where = formatAddress(address);
  if (error instanceof Deno.errors.AddrInUse) {
    return new ShoalError("network", {
      what: "cannot listen",
      where,
      why: "the port is in use",
      hint: "choose another port with --port, or 0 for any",
      cause: error,
    });
  }
  if (error instanceof Deno.errors.AddrNotAvailable) {
    return new ShoalError("network", {
      what: "cannot listen",
      where,
      why: "this machine does not have that address",
      cause: error,
    });
  }
  const refused = error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotCapable;
  const why = refused ? "the system does not allow this port" : messageOf(error);
  return new ShoalError("network", { what: "cannot listen", where, why, cause: error });
}

/**
 * Opens a socket. `::` stands for both families, or for IPv4 alone where the system has no IPv6.
 *
 * @param host Local address.
 * @param open Opens the socket on an address.
 * @param port Port for the error message.
 * @returns The socket.
 * @throws {ShoalError} The error of {@linkcode listenError}.
 */
export function onFamilies<S>(host: string, open: (host: string) => S, port: number): S {
  try {
    return open(host);
  } catch (error) {
    if (host === "::" && !isTaken(error)) return onFamilies("0.0.0.0", open, port);
    throw listenError(error, { host, port });
  }
}

/** Returns `true` if the port is the problem, which would be the same in the other family. */
function isTaken(error: unknown): boolean {
  const { AddrInUse, PermissionDenied, NotCapable } = Deno.errors;
  return [AddrInUse, PermissionDenied, NotCapable].some((kind) => error instanceof kind);
}
