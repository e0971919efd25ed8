/**
 * Decodes the body of an HTTP request from the bytes of a connection. Contains no I/O.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { HttpRefusal, latin1 } from "./http_head.ts";

/** Longest line between chunks, in bytes: a size, and extensions, which no client uses. */
const MAX_CHUNK_LINE = 256;
/** Bytes of the trailer fields after the last chunk, which are skipped. */
const MAX_TRAILER = 4096;
const LF = 0x0a;
const CR = 0x0d;

/** Result of {@linkcode BodyDecoder.take}. */
export interface BodyPart {
  /** Bytes of the body; empty when only lines between chunks were found. */
  readonly data: Bytes;
  /** Number of input bytes that were consumed. */
  readonly used: number;
}

/** Decodes a body with a length, or in chunks (RFC 9112 section 7.1). */
export class BodyDecoder {
  #state: "data" | "data-end" | "size" | "trailer" | "done";
  /** Bytes left of the body, or of the chunk. */
  #left: number;
  #trailer = 0;
  readonly #chunked: boolean;

  /** @param body Length of the body in bytes, or `chunked`. */
  constructor(body: number | "chunked") {
    this.#chunked = body === "chunked";
    this.#left = body === "chunked" ? 0 : body;
    this.#state = body === "chunked" ? "size" : body === 0 ? "done" : "data";
  }

  /** `true` once the whole body was consumed. */
  get done(): boolean {
    return this.#state === "done";
  }

  /**
   * Decodes the next bytes.
   *
   * @param bytes Bytes that were not consumed yet. Bytes that are not consumed have to be passed again with more after
   * them.
   * @returns The decoded part. `used` is 0 if more bytes are needed.
   * @throws {HttpRefusal} If the body is invalid.
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

  /** Reads a line between chunks. It must end with CRLF, as laxness here allows request smuggling. */
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
