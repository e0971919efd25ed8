/**
 * Checks the head of a web seed's answer.
 *
 * @module
 */

import { MAX_RETRY_AFTER_MS } from "../../base/defences.ts";
import { plural } from "../../base/plural.ts";
import type { WebPart } from "./web_files.ts";

/** What an answer contains. */
export type WebReply =
  /**
   * The body contains requested data: `length` bytes after `skip` other bytes, perhaps less than was requested. With
   * `more` set the body may go on after the data.
   */
  | { readonly kind: "data"; readonly skip: number; readonly length: number; readonly more: boolean }
  /** The server doesn't have the file, or has another file of that name. */
  | { readonly kind: "missing"; readonly why: string }
  /** The server can't answer now. It asks us to wait for `after` milliseconds, or doesn't say if `null`. */
  | { readonly kind: "busy"; readonly why: string; readonly after: number | null }
  /** The answer makes no sense. */
  | { readonly kind: "fault"; readonly why: string };

/**
 * Statuses that mean that the server doesn't send us the file, now or later: 401, 403, 404, 410, 451 (RFC 7725), and
 * 416, which says that the file is shorter.
 */
const MISSING = [401, 403, 404, 410, 416, 451];
/** Statuses that mean that a later request may succeed. */
const BUSY = [408, 425, 429];

/** Head of an answer. */
export interface WebReplyHead {
  /** HTTP status. */
  readonly status: number;
  /** Header fields. */
  readonly headers: Headers;
  /** Current time in milliseconds since 1970, for dates in `Retry-After`. */
  readonly wallClock: number;
}

/**
 * Decides what to do with an answer by its head.
 *
 * @param part The part that was requested.
 * @param answer Head of the answer.
 */
export function judgeReply(part: WebPart, answer: WebReplyHead): WebReply {
  const { status, headers } = answer;
  if (status === 206 || status === 200) {
    const reply = status === 206 ? judgeRange(part, headers) : judgeWhole(part, headers);
    return reply.kind === "data" ? asStored(part, answer, reply) : reply;
  }
  const why = `it answers ${status}`;
  if (MISSING.includes(status)) return { kind: "missing", why };
  if (status >= 500 || BUSY.includes(status)) {
    return { kind: "busy", why, after: retryAfter(headers.get("retry-after"), answer.wallClock) };
  }
  return { kind: "fault", why };
}

/**
 * Accepts an answer that is labelled as compressed if its size is that of the file in the torrent: archives are often
 * labelled so because their name ends in `.gz`, and are sent as stored. A server that does compress its answer, which
 * we asked it not to, sends another size.
 */
function asStored(
  part: WebPart,
  answer: { readonly status: number; readonly headers: Headers },
  reply: WebReply,
): WebReply {
  const { headers } = answer;
  const label = headers.get("content-encoding")?.trim().toLowerCase() ?? "";
  if (label === "" || label === "identity") return reply;
  const size = answer.status === 206 ? sizeIn(headers) : lengthOf(headers);
  if (size === part.size) return reply;
  return { kind: "missing", why: "it compresses what it sends" };
}

/** Returns the size of the file in `Content-Range`; `null` if there is none. */
function sizeIn(headers: Headers): number | null {
  const size = /\/(\d{1,16})$/.exec(headers.get("content-range")?.trim() ?? "")?.[1];
  return size === undefined ? null : Number(size);
}

/** Checks a 206 answer (RFC 9110, 14.4): one range, which is the one that was requested or the beginning of it. */
function judgeRange(part: WebPart, headers: Headers): WebReply {
  const text = headers.get("content-range") ?? ""; // absent for several ranges ("multipart/byteranges")
  const [, first, last, size] = /^bytes (\d{1,16})-(\d{1,16})\/(\d{1,16}|\*)$/i.exec(text.trim()) ?? [];
  if (first === undefined) return { kind: "fault", why: "it says 206 without a valid range" };
  if (size !== "*" && Number(size) !== part.size) return otherSize(part, Number(size));
  const length = Number(last) - Number(first) + 1;
  if (Number(first) !== part.first || length < 1 || length > part.length) {
    const asked = `${part.first}-${part.first + part.length - 1}`;
    return { kind: "fault", why: `it was asked for bytes ${asked} and sends "${text}"` };
  }
  const told = lengthOf(headers);
  if (told !== null && told !== length) return { kind: "fault", why: `it says ${told} bytes and sends "${text}"` };
  return { kind: "data", skip: 0, length, more: false };
}

/** Checks a 200 answer, which contains the file from its beginning whatever range was requested. */
function judgeWhole(part: WebPart, headers: Headers): WebReply {
  const size = lengthOf(headers);
  if (size !== null && size !== part.size) return otherSize(part, size);
  return { kind: "data", skip: part.first, length: part.length, more: part.first + part.length < part.size };
}

function otherSize(part: WebPart, size: number): WebReply {
  return { kind: "missing", why: `its file has ${plural(size, "byte")}, not ${part.size}` };
}

function lengthOf(headers: Headers): number | null {
  const text = headers.get("content-length");
  return text !== null && /^\d{1,16}$/.test(text) ? Number(text) : null;
}

/**
 * Reads the field `Retry-After` (RFC 9110, 10.2.3).
 *
 * @param text Seconds, or a date; `null` when there is no such field.
 * @param wallClock Milliseconds since 1970.
 * @returns Milliseconds from now, one second to one hour; `null` when it says nothing.
 */
export function retryAfter(text: string | null, wallClock: number): number | null {
  if (text === null) return null;
  const trimmed = text.trim();
  if (!/^(\d{1,9}|[A-Z][a-z]+, .{1,40} GMT)$/.test(trimmed)) return null;
  const wish = trimmed.endsWith("GMT") ? Date.parse(trimmed) - wallClock : Number(trimmed) * 1000;
  return Number.isNaN(wish) ? null : Math.min(Math.max(wish, 1000), MAX_RETRY_AFTER_MS);
}
