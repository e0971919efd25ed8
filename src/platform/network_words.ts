/**
 * Says in plain words why a connection failed. The runtime's own texts differ between its versions, between systems and
 * between kinds of sockets.
 *
 * @module
 */

import { messageOf, ShoalError } from "../base/errors.ts";

const CLOSED = "the connection is closed";
const CUT_OFF = "it cut the connection off";
const NO_ROUTE = "there is no route to it";
const NOT_ALLOWED = "the system does not allow the connection";

/** Words for each system error code, about the other side of the connection. */
const BY_CODE: Readonly<Record<string, string>> = {
  ECONNREFUSED: "it refuses connections",
  ECONNRESET: CUT_OFF,
  ECONNABORTED: CUT_OFF,
  EPIPE: CLOSED,
  ENOTCONN: CLOSED,
  EBADF: CLOSED,
  ETIMEDOUT: "it does not answer",
  EHOSTUNREACH: NO_ROUTE,
  EHOSTDOWN: NO_ROUTE,
  ENETUNREACH: NO_ROUTE,
  ENETDOWN: NO_ROUTE,
  EADDRNOTAVAIL: "this machine has no address from which to reach it",
  EINVAL: "it can't be reached from this machine's address",
  EAFNOSUPPORT: "the system has no addresses of its kind",
  EADDRINUSE: "the system has no port left for the connection",
  EACCES: NOT_ALLOWED,
  EPERM: NOT_ALLOWED,
  EMFILE: "no file descriptor is left",
  ENFILE: "no file descriptor is left",
  ENOBUFS: "the system has no memory left for the connection",
  ENOMEM: "the system has no memory left for the connection",
};

/** Code for each error class of the runtime, for errors without a code. */
const BY_NAME: Readonly<Record<string, string>> = {
  ConnectionRefused: "ECONNREFUSED",
  ConnectionReset: "ECONNRESET",
  ConnectionAborted: "ECONNABORTED",
  BrokenPipe: "EPIPE",
  NotConnected: "ENOTCONN",
  BadResource: "EBADF",
  Interrupted: "EBADF",
  UnexpectedEof: "EPIPE",
  TimedOut: "ETIMEDOUT",
  NetworkUnreachable: "ENETUNREACH",
  AddrNotAvailable: "EADDRNOTAVAIL",
  AddrInUse: "EADDRINUSE",
  PermissionDenied: "EACCES",
  NotCapable: "EACCES",
};

/**
 * Says why a connection failed.
 *
 * @param thrown What a socket has thrown, or anything else.
 * @returns Plain words for errors of the runtime; for all others their message.
 */
export function networkFault(thrown: unknown): string {
  if (!(thrown instanceof Error) || thrown instanceof ShoalError) return messageOf(thrown);
  const code = "code" in thrown && typeof thrown.code === "string" ? thrown.code : BY_NAME[thrown.name] ?? "";
  // Node's sockets have codes of their own for a socket that was closed meanwhile, such as ERR_STREAM_DESTROYED.
  if (/^ERR_(?:STREAM|SOCKET)/.test(code)) return CLOSED;
  return BY_CODE[code] ?? withoutNumber(thrown.message);
}

/** Removes the number of the system's error from a text of the runtime. */
export function withoutNumber(text: string): string {
  return text.replace(/ \(os error \d+\)/g, "");
}
