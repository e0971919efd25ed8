/**
 * Encodes HTTP responses of our servers.
 *
 * @module
 */

import { type Bytes, concatBytes } from "../base/bytes.ts";
import type { HttpHead } from "./http_head.ts";
import type { ShortHttpAnswer } from "./platform.ts";

/** Microtask turns in which a body can show that all of it is available. Such a body takes three. */
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

/** Reader of a body. */
export type Reader = ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;
/** Bytes of a body, or its end. */
export type Chunk = Bytes | "end";

/** Reads the body of a response in chunks. Chunks that are available at once can be read together. */
export class AnswerBody {
  readonly #reader: Reader;
  readonly #orGone: (work: Promise<Chunk>) => Promise<Chunk | null>;
  readonly #chunks: Bytes[] = [];
  #pending: Promise<Chunk> | null = null;

  constructor(reader: Reader, orGone: (work: Promise<Chunk>) => Promise<Chunk | null>) {
    this.#reader = reader;
    this.#orGone = orGone;
  }

  /** Returns the whole body if it is available without waiting and no longer than `atMost` bytes, otherwise `null`. */
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

  /** Returns the next chunk, or `null` if the client has gone away. */
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

/** Header fields about the transport of the message, which the server sets itself. */
const OURS = new Set(["connection", "keep-alive", "transfer-encoding", "date"]);

/** Options for {@linkcode headOf}. */
export interface ResponseHeadOptions {
  /** Value of `content-length` to add; `null` if the handler has set one, or if there is none. */
  readonly length: number | null;
  /** `true` if the connection stays open. */
  readonly keep: boolean;
  /** Head of the request. */
  readonly head: HttpHead;
  /** `true` if the body is sent in chunks. */
  readonly chunked: boolean;
}

/** Encodes the head of a response. */
export function headOf(
  { status, headers }: Pick<ShortHttpAnswer, "status" | "headers">,
  { length, keep, head, chunked }: ResponseHeadOptions,
): Bytes {
  let text = `HTTP/1.1 ${status} ${REASONS[status] ?? ""}\r\n`;
  for (const [name, value] of headers) if (!OURS.has(name)) text += `${name}: ${value}\r\n`;
  if (length !== null) text += `content-length: ${length}\r\n`;
  if (chunked) text += "transfer-encoding: chunked\r\n";
  if (!keep) text += "connection: close\r\n";
  else if (!head.modern) text += "connection: keep-alive\r\n";
  return asBytes(`${text}date: ${dateNow()}\r\n\r\n`);
}

/** Encodes a response with a line of text, after which the connection is closed. */
export function plainAnswer(status: number, message: string): Bytes {
  const text = `${message}\n`;
  return asBytes(
    `HTTP/1.1 ${status} ${REASONS[status] ?? ""}\r\ncontent-type: text/plain\r\ncontent-length: ${text.length}\r\n` +
      `connection: close\r\ndate: ${dateNow()}\r\n\r\n${text}`,
  );
}

const date = { second: 0, text: "" };

/** Returns the value of the `date` field, which is formatted once a second. */
function dateNow(): string {
  const second = Math.floor(Date.now() / 1000);
  if (second !== date.second) {
    date.second = second;
    date.text = new Date(second * 1000).toUTCString();
  }
  return date.text;
}

/** Encodes characters as bytes of the same number, as in header fields. */
function asBytes(text: string): Bytes {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}
