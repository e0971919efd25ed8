/**
 * Which bytes a request asks for (RFC 9110 section 14).
 *
 * @module
 */

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
