/**
 * How connections to peers fail.
 *
 * @module
 */

/**
 * How a connection to a peer failed. `refused`: nothing listens there. `silent`: no answer in time. `unreachable`: the
 * network has no way there. `ended`: the connection was made, and ended during or soon after the handshake.
 */
export type DialFault = "refused" | "silent" | "unreachable" | "ended";

/** Codes of Node sockets and names of Deno's errors, by what they mean. */
const FAULTS: Readonly<Record<string, DialFault>> = {
  ConnectionRefused: "refused",
  ECONNREFUSED: "refused",
  TimedOut: "silent",
  ETIMEDOUT: "silent",
  NetworkUnreachable: "unreachable",
  ENETUNREACH: "unreachable",
  EHOSTUNREACH: "unreachable",
  EADDRNOTAVAIL: "unreachable",
  AddrNotAvailable: "unreachable",
};

/**
 * Returns how a dial failed.
 *
 * @param error What was thrown by the dial or the handshake.
 */
export function dialFaultOf(error: unknown): DialFault {
  if (!(error instanceof Error)) return "ended";
  const { code = "" } = error as Error & { readonly code?: string };
  const known = FAULTS[error.name] ?? FAULTS[code];
  if (known !== undefined) return known;
  if (/refused/i.test(error.message)) return "refused";
  return /unreachable|no route/i.test(error.message) ? "unreachable" : "ended";
}
