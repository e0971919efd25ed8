/**
 * Interprets header fields of requests to the stream server: ranges, conditions and host (RFC 9110 sections 14, 13 and
 * 7.2).
 *
 * @module
 */

import { formatIp, parseIp } from "../base/address.ts";

/** Longest `Range` field to parse, in characters. A single range is short; a longer field contains several ranges. */
const MAX_LENGTH = 200;

/** What to send: the whole file, a part, or nothing if the file has none of the bytes. */
export type Range =
  | { readonly kind: "whole" }
  | { readonly kind: "part"; readonly begin: number; readonly end: number }
  | { readonly kind: "unsatisfiable" };

const WHOLE: Range = { kind: "whole" };

/**
 * Parses a `Range` field. A single byte range is honoured. Several ranges, other units and invalid fields are ignored,
 * as the RFC allows, and the response is the whole file.
 *
 * @param field Value of the field; `null` if the request has none.
 * @param size Bytes of the file.
 * @returns What to send; `end` is the offset after the last byte.
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

/** Header fields of a request. */
export interface Fields {
  /** Returns the value of a field by lower-case name; `null` if the request has none. */
  get(name: string): string | null;
}

/** Result of {@linkcode judgeConditions}. */
export interface ConditionResult {
  /** Status to respond with; `null` if the conditions hold and the request is to be answered. */
  readonly status: 304 | 412 | null;
  /** Whether to honour the `Range` field. */
  readonly rangeCounts: boolean;
}

/**
 * Evaluates the conditions of a request.
 *
 * @param fields Header fields of the request.
 * @param tag Entity tag of the file, with its quotes.
 * @returns See {@linkcode ConditionResult}.
 */
export function judgeConditions(fields: Fields, tag: string): ConditionResult {
  const match = fields.get("if-match");
  if (match !== null && !names(match, tag, { weak: false })) return { status: 412, rangeCounts: false };
  const noneMatch = fields.get("if-none-match");
  if (noneMatch !== null && names(noneMatch, tag, { weak: true })) return { status: 304, rangeCounts: false };
  const range = fields.get("if-range");
  return { status: null, rangeCounts: range === null || range.trim() === tag };
}

/** Returns `true` if a list of entity tags contains a tag. The list is split at commas, since our tags contain none. */
function names(field: string, tag: string, { weak }: { readonly weak: boolean }): boolean {
  return field.split(",").some((item) => {
    const text = item.trim();
    return text === "*" || text === tag || (weak && text === `W/${tag}`);
  });
}

/** Hosts that always mean this machine (`localhost`: RFC 6761 section 6.3). */
const LOCAL = ["localhost", "127.0.0.1", "::1"];

/**
 * Returns `true` if a request with a `Host` field may be answered. With DNS rebinding, a web site whose name resolves
 * to our address could read all that we serve as its own origin, but its requests carry that name.
 *
 * @param field Value of the field; `null` if the request has none.
 * @param bound Address that the server listens on.
 * @returns `true` if the field names this machine by `localhost`, a loopback address or the address that the server
 * listens on. A server on all addresses accepts any address, but no other name.
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
