/**
 * Parses the head of an HTTP/1 request (RFC 9112). Contains no I/O.
 *
 * Ambiguous input is refused, to prevent request smuggling past a reverse proxy (section 11.2).
 *
 * @module
 */

import { MAX_HTTP_FIELDS } from "../base/defences.ts";

/** Request without its body. */
export interface HttpHead {
  /** Method as received, such as `GET`. */
  readonly method: string;
  /** `http://host/path?query`, with path and query as received. Bytes above 0x7F are percent-encoded. */
  readonly url: string;
  /** Header fields in order, with names in lower case and each byte as a character. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  /** `true` for HTTP/1.1, `false` for HTTP/1.0. */
  readonly modern: boolean;
  /** `true` if the client wants to keep the connection open. */
  readonly keepAlive: boolean;
  /** Length of the body in bytes, or `chunked`. */
  readonly body: number | "chunked";
  /** `true` if the client waits for `100 Continue` before it sends the body. */
  readonly awaitsContinue: boolean;
}

/** Thrown for a request that is not passed to the handler. The connection is closed after the response. */
export class HttpRefusal extends Error {
  /** Name of the class, as shown with the error. */
  override name = "HttpRefusal";
  /** Status code of the response. */
  readonly status: number;

  /**
   * @param status Status code of the response.
   * @param why Text of the response, for the author of the client.
   */
  constructor(status: number, why: string) {
    super(why);
    this.status = status;
  }
}

const LF = 0x0a;
const CR = 0x0d;

/**
 * Finds the empty line at the end of a head. Lines end with CRLF, or with a bare LF, which RFC 9112 section 2.2 allows
 * and other servers accept.
 *
 * @param bytes Received bytes.
 * @param from Where to begin to search. Earlier bytes were searched before.
 * @returns Offset of the body, or -1.
 */
export function endOfHead(bytes: Uint8Array, from: number): number {
  // The empty line may have begun before `from`.
  for (let at = bytes.indexOf(LF, Math.max(0, from - 2)); at >= 0; at = bytes.indexOf(LF, at + 1)) {
    if (bytes[at + 1] === LF) return at + 2;
    if (bytes[at + 1] === CR && bytes[at + 2] === LF) return at + 3;
  }
  return -1;
}

/**
 * Returns the number of bytes of empty lines before a request. Old clients sent an empty line after a body (RFC 9112
 * section 2.2).
 *
 * @param bytes Received bytes.
 */
export function emptyLines(bytes: Uint8Array): number {
  let at = 0;
  for (;;) {
    if (bytes[at] === LF) at++;
    else if (bytes[at] === CR && bytes[at + 1] === LF) at += 2;
    else return at;
  }
}

/** Returns `true` if a request can begin with a byte: methods begin with a letter, unlike TLS, for example. */
export function beginsRequest(byte: number): boolean {
  return byte === CR || byte === LF || (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a);
}

/**
 * Parses a head.
 *
 * @param bytes The whole head with its empty line.
 * @param local Host for the URL if the client doesn't send one.
 * @throws {HttpRefusal} If the head is invalid or not supported.
 */
export function parseHead(bytes: Uint8Array, local: string): HttpHead {
  const lines = latin1(bytes).split("\n");
  const { method, target, minor } = parseRequestLine(withoutReturn(lines[0]!));
  const fields: (readonly [string, string])[] = [];
  for (let i = 1; i < lines.length; i++) {
    const line = withoutReturn(lines[i]!);
    if (line === "") break;
    if (fields.length >= MAX_HTTP_FIELDS) throw new HttpRefusal(431, `more than ${MAX_HTTP_FIELDS} header fields`);
    fields.push(parseField(line));
  }
  const modern = minor > 0;
  const wanted = values(fields, "connection").flatMap((value) => value.toLowerCase().split(/[\t ]*,[\t ]*/));
  const expectation = values(fields, "expect")[0]?.toLowerCase();
  if (expectation !== undefined && expectation !== "100-continue") {
    throw new HttpRefusal(417, "only 100-continue can be expected");
  }
  return {
    method,
    url: urlOf(target, { method, fields, local }),
    fields,
    modern,
    keepAlive: modern ? !wanted.includes("close") : wanted.includes("keep-alive"),
    body: bodyOf(fields, modern),
    awaitsContinue: modern && expectation !== undefined,
  };
}

function parseRequestLine(line: string): { readonly method: string; readonly target: string; readonly minor: number } {
  const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) ([!-~\x80-\xff]+) HTTP\/(\d)\.(\d)$/.exec(line);
  if (match === null) throw new HttpRefusal(400, "this is no request of HTTP/1.1");
  if (match[3] !== "1") throw new HttpRefusal(505, "only HTTP/1.1 and HTTP/1.0 are understood");
  return { method: match[1]!, target: match[2]!, minor: Number(match[4]) };
}

function parseField(line: string): readonly [string, string] {
  const colon = line.indexOf(":");
  const name = line.slice(0, Math.max(0, colon));
  // A line that begins with a space would continue the line before, and a space before the colon is ambiguous.
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) throw new HttpRefusal(400, "a header field has no proper name");
  const value = line.slice(colon + 1).replace(/^[\t ]+|[\t ]+$/g, "");
  // deno-lint-ignore no-control-regex
  if (/[\x00-\x08\x0a-\x1f\x7f]/.test(value)) throw new HttpRefusal(400, "a header field has control characters");
  return [name.toLowerCase(), value];
}

/** Returns the URL of a request (RFC 9112 section 3.2): `/path`, `http://host/path`, or `*` with `OPTIONS`. */
function urlOf(
  target: string,
  { method, fields, local }: {
    readonly method: string;
    readonly fields: (readonly [string, string])[];
    readonly local: string;
  },
): string {
  if (method === "CONNECT") throw new HttpRefusal(405, "this is no proxy");
  const hosts = values(fields, "host");
  if (hosts.length > 1) throw new HttpRefusal(400, "there is more than one host");
  let path = target;
  const absolute = /^https?:\/\/([^/?#]+)(.*)$/is.exec(target);
  if (absolute !== null) {
    // The host of the target overrides the field (section 3.2.2).
    const field = fields.findIndex(([name]) => name === "host");
    if (field >= 0) fields[field] = ["host", absolute[1]!];
    else fields.push(["host", absolute[1]!]);
    path = absolute[2]!.startsWith("/") ? absolute[2]! : `/${absolute[2]!}`;
  } else if (target === "*" && method === "OPTIONS") path = "/";
  else if (!target.startsWith("/")) throw new HttpRefusal(400, "the target is neither a path nor a URL");
  const host = absolute?.[1] ?? (hosts[0] || local);
  if (!/^[\w.~!$&'()*+,;=:[\]%-]+$/.test(host)) throw new HttpRefusal(400, "the host is none");
  const ascii = path.replace(/[\x80-\xff]/g, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase()}`);
  return `http://${host}${ascii}`;
}

/** Returns the length of the body (RFC 9112 section 6.3). */
function bodyOf(fields: readonly (readonly [string, string])[], modern: boolean): number | "chunked" {
  const lengths = new Set(values(fields, "content-length").flatMap((value) => value.split(/[\t ]*,[\t ]*/)));
  const codings = values(fields, "transfer-encoding");
  if (codings.length > 0) {
    if (lengths.size > 0) throw new HttpRefusal(400, "a body has a length or comes in chunks, not both");
    if (!modern) throw new HttpRefusal(400, "HTTP/1.0 has no chunks");
    if (codings.length > 1 || codings[0]!.toLowerCase() !== "chunked") {
      throw new HttpRefusal(501, "only chunked is understood");
    }
    return "chunked";
  }
  if (lengths.size === 0) return 0;
  const [length = ""] = lengths;
  if (lengths.size > 1 || !/^\d{1,15}$/.test(length)) throw new HttpRefusal(400, "content-length is not one number");
  return Number(length);
}

function values(fields: readonly (readonly [string, string])[], wanted: string): string[] {
  const found: string[] = [];
  for (const [name, value] of fields) if (name === wanted) found.push(value);
  return found;
}

function withoutReturn(line: string): string {
  return line.endsWith("\r") ? line.slice(0, -1) : line;
}

/** Most characters that one call of `String.fromCharCode` takes as arguments. */
const PART = 4096;

/** Decodes each byte as a character. */
export function latin1(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += PART) text += String.fromCharCode(...bytes.subarray(at, at + PART));
  return text;
}
