/**
 * The body of a request, taken out of what comes over a connection. Decides only.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { HttpRefusal, latin1 } from "./http_head.ts";

/** Bytes of a line between chunks: a size, and extensions that nobody uses. */
const MAX_CHUNK_LINE = 256;
/** Bytes of the fields behind the last chunk, which are passed over. */
const MAX_TRAILER = 4096;
const LF = 0x0a;
const CR = 0x0d;

/** What was found in some bytes. */
export interface BodyPart {
  /** Bytes of the body; none when there are only lines between chunks. */
  readonly data: Bytes;
  /** How many of the bytes that were given are done with. */
  readonly used: number;
}

/** Takes a body apart that has a length or comes in chunks (RFC 9112 section 7.1). */
export class BodyDecoder {
  #state: "data" | "data-end" | "size" | "trailer" | "done";
  /** Bytes that are to come of the body, or of the chunk. */
  #left: number;
  #trailer = 0;
  readonly #chunked: boolean;

  /** @param body Bytes of it, or that it comes in chunks. */
  constructor(body: number | "chunked") {
    this.#chunked = body === "chunked";
    this.#left = body === "chunked" ? 0 : body;
    this.#state = body === "chunked" ? "size" : body === 0 ? "done" : "data";
  }

  /** Whether all of it was there. */
  get done(): boolean {
    return this.#state === "done";
  }

  /**
   * Takes in what came.
   *
   * @param bytes What came and isn't done with; what stays has to come again with more behind it.
   * @returns What was found. `used` is 0 when more is needed.
   * @throws {HttpRefusal} If it isn't what it should be.
   */
  take(bytes: Bytes): BodyPart {
    let at = 0;
    while (at < bytes.length && this.#state !== "done") {
      if (this.#state === "data") {
        const data = bytes.subarray(at, at + this.#left);
        this.#left -= data.length;
        if (this.#left === 0) this.#state = this.#chunked ? "data-end" : "done";
        return { data, used: at + data.length };
      }
      const line = this.#line(bytes, at);
      if (line === null) break;
      at = line.next;
      this.#between(line.text);
    }
    return { data: bytes.subarray(0, 0), used: at };
  }

  #between(text: string): void {
    if (this.#state === "data-end") {
      if (text !== "") throw new HttpRefusal(400, "a chunk is longer than it says");
      this.#state = "size";
    } else if (this.#state === "trailer") {
      this.#trailer += text.length;
      if (this.#trailer > MAX_TRAILER) throw new HttpRefusal(431, "there is too much behind the body");
      if (text === "") this.#state = "done";
    } else {
      const size = /^([0-9a-f]{1,12})[\t ]*(?:;.*)?$/i.exec(text)?.[1];
      if (size === undefined) throw new HttpRefusal(400, "the size of a chunk is no number");
      this.#left = parseInt(size, 16);
      this.#state = this.#left === 0 ? "trailer" : "data";
    }
  }

  /** Lines between chunks end with CRLF and with nothing else: this is where requests are smuggled. */
  #line(bytes: Bytes, at: number): { readonly text: string; readonly next: number } | null {
    const end = bytes.indexOf(LF, at);
    if ((end < 0 ? bytes.length : end) - at > MAX_CHUNK_LINE) {
      throw new HttpRefusal(400, "a line between chunks is too long");
    }
    if (end < 0) return null;
    if (end === at || bytes[end - 1] !== CR) throw new HttpRefusal(400, "a line between chunks has no CRLF");
    const text = latin1(bytes.subarray(at, end - 1));
    if (text.includes("\r")) throw new HttpRefusal(400, "a line between chunks has no CRLF");
    return { text, next: end + 1 };
  }
}
