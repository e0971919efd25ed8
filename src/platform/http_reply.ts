/**
 * HTTP/1.1 on the wire (RFC 9112): a request as bytes, and an answer taken apart as it comes.
 *
 * The runtime's own client can't be used for what strangers send: it decompresses whatever is labelled as compressed, also a
 * stored archive, and it takes interim answers and header fields for as long as somebody sends them.
 *
 * @module
 */

import { type Bytes, concatBytes, fromUtf8, utf8 } from "../base/bytes.ts";
import { MAX_REPLY_FIELDS, MAX_REPLY_OVERHEAD } from "../base/defences.ts";
import { HttpError } from "./platform.ts";

/** What a request says. */
export interface RequestLines {
  /** `GET` or `POST`. */
  readonly method: string;
  /** Where to. */
  readonly url: URL;
  /** Header fields; `host` and the length of the body are added. */
  readonly headers: Headers;
  /** What is posted. */
  readonly body?: string;
}

/** An answer whose head is here. */
export interface Exchange {
  /** Status code. */
  readonly status: number;
  /** Header fields. */
  readonly headers: Headers;
  /** Whether the runtime has decoded the body by what it is labelled as. */
  readonly decoded: boolean;
  /** Reads on. @returns at least one byte, to be used before the next call, or `null` at the end. */
  read(): Promise<Bytes | null>;
  /** Ends it early. Harmless when it has ended. */
  cancel(): void;
}

/**
 * Encodes a request.
 *
 * @param request What it says.
 * @returns The bytes to send.
 */
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

/** What comes next in an answer. */
type Part = "status" | "field" | "counted" | "chunk size" | "chunk" | "chunk end" | "trailer" | "rest" | "end";

/**
 * Takes an answer apart. Bytes go in by {@linkcode AnswerReader.next}, which stops at the end of the head, after each stretch
 * of the body, and at the end.
 */
export class AnswerReader {
  /** Status code; 0 before the head is here. */
  status = 0;
  /** Header fields. */
  headers = new Headers();
  /** First byte of the stretch of the body that the last call found. */
  from = 0;
  /** The byte after it; equal to `from` when the last call found none. */
  to = 0;
  #part: Part = "status";
  /** The beginning of a line whose end hasn't come. */
  #line = "";
  /** The field that the next line may go on with. */
  #field: { readonly name: string; value: string } | null = null;
  #fields = 0;
  /** Bytes that may still come and be no payload. */
  #overhead = MAX_REPLY_OVERHEAD;
  /** Bytes that are left of the body, or of the chunk. */
  #left = 0;
  #persistent = true;

  /** Whether the head is complete. */
  get hasHead(): boolean {
    return this.#part !== "status" && this.#part !== "field";
  }

  /** Whether the whole answer is here. */
  get ended(): boolean {
    return this.#part === "end";
  }

  /** Whether the connection may carry another request after this answer. */
  get persistent(): boolean {
    return this.ended && this.#persistent;
  }

  /**
   * Takes bytes.
   *
   * @param buffer Where they are.
   * @param at The first one.
   * @param end The byte after the last one.
   * @returns Up to where they were taken.
   * @throws {HttpError} If it is no HTTP, or has more around its payload than anybody needs.
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
      // what speaks another protocol need not be waited for
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
   * The connection has ended.
   *
   * @throws {HttpError} If something is missing.
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
        if (line === "") return; // some servers send one too many after an earlier answer
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
        if (!(error instanceof TypeError)) throw error; // a name or a value that no field may have: nobody needs it
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
      // An interim answer (RFC 9110, 15.2): the real one follows. What all of them have is counted.
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
      // Whoever says both is not to be trusted with where the next answer begins (RFC 9112, 6.3).
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

/** Bytes as characters of the same number, which is how header fields are written. */
function latin1(bytes: Bytes): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 4096) text += String.fromCharCode(...bytes.subarray(at, at + 4096));
  return text;
}

/**
 * The text of a header field that was written in UTF-8, as some servers do with `Location`.
 *
 * @param value The field, a character for each byte.
 * @returns The text; the same when it isn't UTF-8.
 */
export function fieldText(value: string): string {
  if (!/[\x80-\xff]/.test(value)) return value;
  return fromUtf8(Uint8Array.from(value, (character) => character.charCodeAt(0))) ?? value;
}
