/**
 * What an HTTP server answers, as bytes.
 *
 * @module
 */

import { type Bytes, concatBytes } from "../base/bytes.ts";
import type { HttpHead } from "./http_head.ts";
import type { ShortHttpAnswer } from "./platform.ts";

/** Turns that a body gets to show that it is there as a whole; one that is takes three. */
const TURNS = 8;

const REASONS: Readonly<Record<number, string>> = {
  200: "OK",
  204: "No Content",
  206: "Partial Content",
  301: "Moved Permanently",
  302: "Found",
  304: "Not Modified",
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  409: "Conflict",
  412: "Precondition Failed",
  413: "Content Too Large",
  414: "URI Too Long",
  416: "Range Not Satisfiable",
  417: "Expectation Failed",
  421: "Misdirected Request",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  501: "Not Implemented",
  503: "Service Unavailable",
  505: "HTTP Version Not Supported",
};

/** Where a body is read from. */
export type Reader = ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;
/** Some bytes of a body, or its end. */
export type Chunk = Bytes | "end";

/** The body of an answer, chunk by chunk, and the first ones together where they are there at once. */
export class AnswerBody {
  readonly #reader: Reader;
  readonly #orGone: (work: Promise<Chunk>) => Promise<Chunk | null>;
  readonly #chunks: Bytes[] = [];
  #pending: Promise<Chunk> | null = null;

  constructor(reader: Reader, orGone: (work: Promise<Chunk>) => Promise<Chunk | null>) {
    this.#reader = reader;
    this.#orGone = orGone;
  }

  /** All of it, if it is there without waiting and no longer than that. */
  async whole(atMost: number): Promise<Bytes | null> {
    for (let length = 0; length <= atMost;) {
      const chunk = await this.#atOnce();
      if (chunk === null) return null;
      if (chunk === "end") return this.#chunks.length === 1 ? this.#chunks[0]! : concatBytes(this.#chunks);
      this.#chunks.push(chunk);
      length += chunk.length;
    }
    return null;
  }

  /** The next chunk; `null` when the client has gone. */
  async next(): Promise<Chunk | null> {
    const first = this.#chunks.shift();
    if (first !== undefined) return first;
    const pending = this.#pending ?? this.#read();
    this.#pending = null;
    return await this.#orGone(pending);
  }

  async #read(): Promise<Chunk> {
    const { done, value } = await this.#reader.read();
    return done ? "end" : value;
  }

  async #atOnce(): Promise<Chunk | null> {
    const pending = this.#pending = this.#read();
    let chunk: Chunk | null = null;
    let failed: { readonly error: unknown } | null = null;
    pending.then((value) => chunk = value, (error) => failed = { error });
    for (let turn = 0; turn < TURNS && chunk === null && failed === null; turn++) await null;
    if (failed !== null) throw (failed as { readonly error: unknown }).error;
    if (chunk !== null) this.#pending = null;
    return chunk;
  }
}

/** Fields that say how the message is sent, which is our affair. */
const OURS = new Set(["connection", "keep-alive", "transfer-encoding", "date"]);

export function headOf(
  { status, headers }: Pick<ShortHttpAnswer, "status" | "headers">,
  { length, keep, head, chunked }: {
    /** To be told, where the handler hasn't. */
    readonly length: number | null;
    readonly keep: boolean;
    readonly head: HttpHead;
    readonly chunked: boolean;
  },
): Bytes {
  let text = `HTTP/1.1 ${status} ${REASONS[status] ?? ""}\r\n`;
  for (const [name, value] of headers) if (!OURS.has(name)) text += `${name}: ${value}\r\n`;
  if (length !== null) text += `content-length: ${length}\r\n`;
  if (chunked) text += "transfer-encoding: chunked\r\n";
  if (!keep) text += "connection: close\r\n";
  else if (!head.modern) text += "connection: keep-alive\r\n";
  return asBytes(`${text}date: ${dateNow()}\r\n\r\n`);
}

export function plainAnswer(status: number, message: string): Bytes {
  const text = `${message}\n`;
  return asBytes(
    `HTTP/1.1 ${status} ${REASONS[status] ?? ""}\r\ncontent-type: text/plain\r\ncontent-length: ${text.length}\r\n` +
      `connection: close\r\ndate: ${dateNow()}\r\n\r\n${text}`,
  );
}

const date = { second: 0, text: "" };

/** The time of day, which is made once a second. */
function dateNow(): string {
  const second = Math.floor(Date.now() / 1000);
  if (second !== date.second) {
    date.second = second;
    date.text = new Date(second * 1000).toUTCString();
  }
  return date.text;
}

/** Header fields are bytes, each shown as a character. */
function asBytes(text: string): Bytes {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}
