/**
 * Which bytes a request asks for (RFC 9110 section 14).
 *
 * @module
 */

import { formatIp, parseIp } from "../base/address.ts";

/** Characters of a header field that is looked at; a range is short, and a longer field is several of them. */
const MAX_LENGTH = 200;

/** What to send: everything, a part, or nothing, since the file has none of it. */
export type Range =
  | { readonly kind: "whole" }
  | { readonly kind: "part"; readonly begin: number; readonly end: number }
  | { readonly kind: "unsatisfiable" };

const WHOLE: Range = { kind: "whole" };

/**
 * Reads a `Range` field. One range of bytes is honoured; what is something else (several ranges, another unit, no sense) is passed
 * over, as the RFC allows: the answer is the whole file then.
 *
 * @param field Its value; `null` when there is none.
 * @param size Bytes of the file.
 * @returns What to send; `end` is the byte after the last.
 *
 * @example
 * ```ts
 * parseRange("bytes=10-19", 100); // { kind: "part", begin: 10, end: 20 }
 * parseRange("bytes=-5", 100); // { kind: "part", begin: 95, end: 100 }
 * parseRange("bytes=100-", 100); // { kind: "unsatisfiable" }
 * ```
 */
export function parseRange(field: string | null, size: number): Range {
  if (field === null || field.length > MAX_LENGTH) return WHOLE;
  const match = /^bytes=[ \t]*(\d*)-(\d*)[ \t]*$/i.exec(field);
  if (match === null) return WHOLE;
  const [, first = "", last = ""] = match;
  if (first === "") {
    if (last === "") return WHOLE;
    const length = Math.min(Number(last), size);
    return length === 0 ? { kind: "unsatisfiable" } : { kind: "part", begin: size - length, end: size };
  }
  const begin = Number(first);
  const end = last === "" ? size : Math.min(Number(last) + 1, size);
  if (last !== "" && Number(last) < begin) return WHOLE;
  return begin >= size ? { kind: "unsatisfiable" } : { kind: "part", begin, end };
}

/** The fields of a request. */
export interface Fields {
  /** Value of a field, by its name in lower case; `null` when it isn't there. */
  get(name: string): string | null;
}

/**
 * What the conditions of a request come to.
 *
 * @param fields Of the request.
 * @param tag Of the file, with its quotes.
 * @returns 412 or 304 when that is the answer, `null` when the request is to be answered; and whether its range counts.
 */
export function judgeConditions(
  fields: Fields,
  tag: string,
): { readonly status: 304 | 412 | null; readonly rangeCounts: boolean } {
  const match = fields.get("if-match");
  if (match !== null && !names(match, tag, { weak: false })) return { status: 412, rangeCounts: false };
  const noneMatch = fields.get("if-none-match");
  if (noneMatch !== null && names(noneMatch, tag, { weak: true })) return { status: 304, rangeCounts: false };
  const range = fields.get("if-range");
  return { status: null, rangeCounts: range === null || range.trim() === tag };
}

/** Whether a list of tags has one in it. A tag of ours has no comma in it. */
function names(field: string, tag: string, { weak }: { readonly weak: boolean }): boolean {
  return field.split(",").some((item) => {
    const text = item.trim();
    return text === "*" || text === tag || (weak && text === `W/${tag}`);
  });
}

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
