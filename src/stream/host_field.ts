/**
 * Whether a request was meant for us.
 *
 * @module
 */

import { formatIp, parseIp } from "../base/address.ts";

/** Names that lead to this machine and nowhere else (RFC 6761 section 6.3), and its addresses. */
const LOCAL = ["localhost", "127.0.0.1", "::1"];

/**
 * Whether a `Host` field may be answered. A page of somebody's whose name leads to our address (DNS rebinding) could read all that
 * we serve, as if it were its own; but its requests bear that name.
 *
 * @param field The field; `null` when there is none.
 * @param bound The address that we listen on.
 * @returns Whether it names this machine by `localhost`, or the address that we listen on; when we listen on all, any address will do,
 * but no name.
 */
export function isOurHost(field: string | null, bound: string): boolean {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::\d{1,5})?$/.exec(field ?? "");
  if (match === null) return false;
  const host = (match[1] ?? match[2]!).toLowerCase();
  if (LOCAL.includes(host)) return true;
  const address = canonical(host);
  if (address === null) return false;
  return LOCAL.includes(address) || address === canonical(bound) || ["0.0.0.0", "::"].includes(bound);
}

function canonical(host: string): string | null {
  const bytes = parseIp(host);
  return bytes && formatIp(bytes);
}
