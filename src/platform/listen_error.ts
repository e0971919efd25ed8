/**
 * Opens sockets for one or both address families, and explains why a socket can't listen.
 *
 * @module
 */

import { formatAddress, type PeerAddress } from "../base/address.ts";
import { ShoalError } from "../base/errors.ts";
import { localAddresses } from "./deno_interfaces.ts";
import { networkFault } from "./network_words.ts";

/** Why a socket can't listen: its port is taken or not allowed, the address is of another machine, or something else. */
export type ListenFault = "taken" | "denied" | "no-address" | "other";

/** Parts of a {@linkcode ListenError}. */
interface ListenErrorParts {
  readonly where: string;
  readonly why: string;
  readonly hint?: string;
  readonly cause: unknown;
}

/** Thrown when a socket can't listen. */
export class ListenError extends ShoalError {
  override name = "ListenError";
  /** Kind of failure. */
  readonly fault: ListenFault;

  constructor(fault: ListenFault, parts: ListenErrorParts) {
    super("network", { what: "cannot listen", ...parts });
    this.fault = fault;
  }

  /**
   * Returns the error with advice to choose another port, if the port is the problem.
   *
   * @param flag Option that chooses the port, such as `--port`.
   */
  withPortFlag(flag: string): ListenError {
    if (this.fault !== "taken" && this.fault !== "denied") return this;
    const { where, why, cause } = this;
    return new ListenError(this.fault, { where, why, hint: `choose another port with ${flag}, or 0 for any`, cause });
  }
}

/** Most addresses of this machine that an error names. */
const ADDRESSES_TOLD = 6;

/**
 * Converts an error of a listening socket to one in plain words.
 *
 * @param error Thrown by the runtime.
 * @param address Address to listen on.
 */
export function listenError(error: unknown, address: PeerAddress): ListenError {
  const parts = { where: formatAddress(address), cause: error };
  const { AddrInUse, AddrNotAvailable, PermissionDenied, NotCapable } = Deno.errors;
  if (error instanceof AddrInUse) return new ListenError("taken", { ...parts, why: "the port is in use" });
  if (error instanceof AddrNotAvailable) {
    const own = localAddresses().map(({ host }) => host).slice(0, ADDRESSES_TOLD);
    const hint = own.length === 0 ? {} : { hint: `it has ${own.join(", ")}` };
    return new ListenError("no-address", { ...parts, why: "this machine does not have that address", ...hint });
  }
  const isDenied = error instanceof PermissionDenied || error instanceof NotCapable;
  if (isDenied) return new ListenError("denied", { ...parts, why: "the system does not allow this port" });
  return new ListenError("other", { ...parts, why: networkFault(error) });
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
