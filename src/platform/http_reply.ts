/**
 * HTTP/1.1 on the client side (RFC 9112): encodes requests, and parses responses as they arrive.
 *
 * The runtime's own client is not used for untrusted servers: it decompresses all that is labelled as compressed, even
 * a stored archive, and it accepts interim responses and header fields without end.
 *
 * @module
 */

import { type Bytes, concatBytes, fromUtf8, utf8 } from "../base/bytes.ts";
import { MAX_REPLY_FIELDS, MAX_REPLY_OVERHEAD } from "../base/defences.ts";
import { HttpError } from "./platform.ts";

/** Request to encode. */
export interface RequestLines {
  /** `GET` or `POST`. */
  readonly method: string;
  /** Target. */
  readonly url: URL;
  /** Header fields. `host` and `content-length` are added. */
  readonly headers: Headers;
  /** Body of a `POST`. */
  readonly body?: string;
}

/** Response whose head has arrived. */
export interface Exchange {
  /** Status code. */
  readonly status: number;
  /** Header fields. */
  readonly headers: Headers;
  /** `true` if the runtime has decompressed the body. */
  readonly decoded: boolean;
  /** Reads at least one byte, to be used before the next call. Returns `null` at the end. */
  read(): Promise<Bytes | null>;
  /** Ends the exchange early. Harmless when it has ended. */
  cancel(): void;
}

/** Encodes a request. */
export function encodeRequest({ method, url, headers, body }: RequestLines): Bytes {
  const payload = body === undefined ? new Uint8Array() : utf8(body);
  const lines = [`${method} ${url.pathname}${url.search} HTTP/1.1`, `Host: ${url.host}`];
  for (const [name, value] of headers) lines.push(`${name}: ${value}`);
  if (method === "POST") lines.push(`content-length: ${payload.length}`);
  const head = `${lines.join("\r\n")}\r\n\r\n`;
  return concatBytes([Uint8Array.from(head, (character) => character.charCodeAt(0)), payload]);
}

const LF = 0x0a;
const NOT_HTTP = "the answer is not HTTP";

/** What comes next in a response. */
type Part = "status" | "field" | "counted" | "chunk size" | "chunk" | "chunk end" | "trailer" | "rest" | "end";

/**
 * Parses a response. Bytes are passed to {@linkcode AnswerReader.next}, which stops at the end of the head, after each
 * part of the body, and at the end.
 */
export class AnswerReader {
  /** Status code; 0 before the head has arrived. */
  status = 0;
  /** Header fields. */
  headers = new Headers();
  /** Offset of the part of the body that the last call found. */
  from = 0;
  /** Offset after that part. Equal to `from` if the last call found none. */
  to = 0;
  #part: Part = "status";
  /** Beginning of a line whose end has not arrived. */
  #line = "";
  /** Field that the next line may continue. */
  #field: { readonly name: string; value: string } | null = null;
  #fields = 0;
  /** Bytes that may still arrive without being payload. */
  #overhead = MAX_REPLY_OVERHEAD;
  /** Bytes left of the body, or of the chunk. */
  #left = 0;
  #persistent = true;

  /** `true` once the head is complete. */
  get hasHead(): boolean {
    return this.#part !== "status" && this.#part !== "field";
  }

  /** `true` once the response is complete. */
  get ended(): boolean {
    return this.#part === "end";
  }

  /** `true` if the connection may carry another request after this response. */
  get persistent(): boolean {
    return this.ended && this.#persistent;
  }

  /**
   * Parses bytes.
   *
   * @param buffer Buffer with the bytes.
   * @param at Offset of the first byte.
   * @param end Offset after the last byte.
   * @returns Offset after the parsed bytes.
   * @throws {HttpError} If the response is not HTTP, or has too many bytes besides its payload.
   */
  next(buffer: Bytes, at: number, end: number): number {
    this.from = this.to = 0;
    while (at < end && this.#part !== "end") {
      if (this.#part === "counted" || this.#part === "chunk" || this.#part === "rest") {
        const length = this.#part === "rest" ? end - at : Math.min(this.#left, end - at);
        this.from = at;
        this.to = at + length;
        this.#left -= length;
        this.#overhead = Math.min(MAX_REPLY_OVERHEAD, this.#overhead + length);
        if (this.#left === 0 && this.#part !== "rest") this.#part = this.#part === "chunk" ? "chunk end" : "end";
        return this.to;
      }
      const found = buffer.subarray(at, end).indexOf(LF);
      const stop = found < 0 ? end : at + found + 1;
      this.#overhead -= stop - at;
      if (this.#overhead < 0) {
        const what = this.hasHead ? "the answer has more around its body" : "the head of the answer is longer";
        throw new HttpError(`${what} than ${MAX_REPLY_OVERHEAD / 1024} KiB`);
      }
      this.#line += latin1(buffer.subarray(at, stop));
      at = stop;
      // Another protocol is recognized without waiting for the end of a line.
      if (found < 0 && this.#part === "status" && !/^\s*(H|HT|HTT|HTTP.*)?$/s.test(this.#line.slice(0, 8))) {
        throw new HttpError(NOT_HTTP);
      }
      if (found < 0) return at;
      const line = this.#line.replace(/\r?\n$/, "");
      this.#line = "";
      const hadHead = this.hasHead;
      this.#takeLine(line);
      if (!hadHead && this.hasHead) return at;
    }
    return at;
  }

  /**
   * Called when the connection has ended.
   *
   * @throws {HttpError} If the response is incomplete.
   */
  close(): void {
    if (this.#part !== "rest" && this.#part !== "end") throw new HttpError("the connection was cut off");
    this.from = this.to = 0;
    this.#part = "end";
    this.#persistent = false;
  }

  #takeLine(line: string): void {
    switch (this.#part) {
      case "status": {
        if (line === "") return; // some servers send an extra one after an earlier response
        const [, minor, status] = /^HTTP\/1\.([01]) +(\d{3})(?: |$)/.exec(line) ?? [];
        if (status === undefined) throw new HttpError(NOT_HTTP);
        this.status = Number(status);
        this.#persistent = minor === "1";
        this.#part = "field";
        return;
      }
      case "field":
        return this.#takeField(line);
      case "chunk size": {
        const size = /^([0-9a-f]{1,12})\s*(?:;|$)/i.exec(line)?.[1];
        if (size === undefined) throw new HttpError(NOT_HTTP);
        this.#left = parseInt(size, 16);
        this.#part = this.#left === 0 ? "trailer" : "chunk";
        return;
      }
      case "chunk end":
        if (line !== "") throw new HttpError(NOT_HTTP);
        this.#part = "chunk size";
        return;
      default: // trailer
        if (line === "") this.#part = "end";
    }
  }

  #takeField(line: string): void {
    if (this.#field !== null && /^[ \t]/.test(line)) {
      this.#field.value += ` ${line.trim()}`;
      return;
    }
    if (this.#field !== null) {
      try {
        this.headers.append(this.#field.name, this.#field.value);
      } catch (error) {
        if (!(error instanceof TypeError)) throw error; // a field with an invalid name or value is skipped
      }
      this.#field = null;
    }
    if (line === "") return this.#endHead();
    if (++this.#fields > MAX_REPLY_FIELDS) {
      throw new HttpError(`the answer has more than ${MAX_REPLY_FIELDS} header fields`);
    }
    const colon = line.indexOf(":");
    if (colon > 0) this.#field = { name: line.slice(0, colon).trim(), value: line.slice(colon + 1).trim() };
  }

  #endHead(): void {
    const { status, headers } = this;
    if (status === 101) throw new HttpError("the answer wants to speak another protocol than HTTP");
    if (status < 200) {
      // An interim response (RFC 9110, 15.2). The final one follows, and the limits apply to all of them together.
      this.status = 0;
      this.headers = new Headers();
      this.#part = "status";
      return;
    }
    if (/(^|,)\s*close\s*(,|$)/i.test(headers.get("connection") ?? "")) this.#persistent = false;
    const coding = headers.get("transfer-encoding")?.trim().toLowerCase();
    const length = headers.get("content-length");
    if (status === 204 || status === 304) this.#part = "end";
    else if (coding !== undefined && coding !== "identity") {
      if (coding !== "chunked") throw new HttpError("the answer is sent in an unknown coding");
      // With both fields it is unsafe to rely on where the next response begins (RFC 9112, 6.3).
      if (length !== null) this.#persistent = false;
      this.#part = "chunk size";
    } else if (length !== null) {
      const [first = "", ...others] = length.split(",").map((text) => text.trim());
      if (!/^\d{1,15}$/.test(first) || others.some((other) => other !== first)) {
        throw new HttpError("the answer has no valid length");
      }
      this.#left = Number(first);
      this.#part = this.#left === 0 ? "end" : "counted";
    } else {
      this.#part = "rest";
    }
  }
}

/** Decodes each byte as a character, which is how header fields are encoded. */
function latin1(bytes: Bytes): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 4096) text += String.fromCharCode(...bytes.subarray(at, at + 4096));
  return text;
}

/**
 * Returns the text of a header field that may be in UTF-8, as some servers send `Location`.
 *
 * @param value The field, with a character for each byte.
 * @returns The decoded text, or `value` if it is not UTF-8.
 */
export function fieldText(value: string): string {
  if (!/[\x80-\xff]/.test(value)) return value;
  return fromUtf8(Uint8Array.from(value, (character) => character.charCodeAt(0))) ?? value;
}
