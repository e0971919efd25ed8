/**
 * One connection of an HTTP server: reads requests and writes responses, one after the other.
 *
 * @module
 */

import { formatAddress, type PeerAddress } from "../base/address.ts";
import { type Bytes, concatBytes, utf8 } from "../base/bytes.ts";
import { messageOf } from "../base/errors.ts";
import {
  HTTP_BODY_BYTES_PER_SECOND,
  HTTP_BODY_MS,
  HTTP_HEAD_MS,
  HTTP_IDLE_MS,
  HTTP_SHORT_STALL_MS,
  HTTP_STALL_MS,
  MAX_HTTP_BODY,
  MAX_HTTP_HEAD,
  SMALL_HTTP_ANSWER,
} from "../base/defences.ts";
import { AnswerBody, headOf, plainAnswer, type Reader } from "./http_answer.ts";
import { BodyDecoder } from "./http_body.ts";
import type { ConnectionState, LimitedConnection } from "./http_connection_limit.ts";
import { beginsRequest, emptyLines, endOfHead, type HttpHead, HttpRefusal, parseHead } from "./http_head.ts";
import type { Connection, HttpAnswer, HttpHandler, HttpServerRequest } from "./platform.ts";

/** Initial size of the read buffer in bytes. A request of a BitTorrent client has 300 to 500. */
const FIRST_READ = 1024;
/** Milliseconds for a client to receive an error response before its connection is closed. */
const LINGER_MS = 2000;
/** Bytes of the client that are discarded in that time. */
const LINGER_BYTES = 256 * 1024;

/** Connection from a client. */
export interface HttpClientConnection extends Connection {
  /** Shuts down the sending direction. Data can still be read. */
  closeWrite(): Promise<void>;
}

/** Parts of a {@linkcode ServedConnection}. */
export interface ServedConnectionParts {
  /** Monotonic clock in milliseconds. */
  readonly now: () => number;
  /** Answers requests. */
  readonly handle: HttpHandler;
  /** Largest body of a request in bytes; {@linkcode MAX_HTTP_BODY} by default. */
  readonly maxBody?: number;
  /** Address that the server listens on. */
  readonly local: PeerAddress;
  /** Called once when the connection is closed. */
  readonly closed: () => void;
}

type Phase = "silent" | "head" | "body" | "busy" | "linger";

/** Serves one connection. */
export class ServedConnection implements LimitedConnection {
  readonly host: string;
  readonly #connection: HttpClientConnection;
  readonly #parts: ServedConnectionParts;
  readonly #ended = Promise.withResolvers<void>();
  #closed = false;
  #finishing = false;

  // Received bytes that were not consumed yet: from #start to #end. While a read is under way nothing is moved.
  #bytes: Bytes = new Uint8Array(FIRST_READ);
  #start = 0;
  #end = 0;
  #reading: Promise<boolean> | null = null;
  #inputEnded = false;
  /** `true` while a request is answered and the connection is read to notice when the client goes away. */
  #watching = false;

  #phase: Phase = "silent";
  #since: number;
  /** Time at which the body has to be complete. */
  #deadline = Infinity;
  /** Time of the last progress of a write; `null` while nothing is written. */
  #writingSince: number | null = null;
  /** `true` if the response is small enough to be received at once. */
  #small = false;
  #answerBegan = 0;
  /** Called when the client goes away while a result is awaited. */
  #onGone: (() => void) | null = null;
  #request: ServedRequest | null = null;

  constructor(connection: HttpClientConnection, parts: ServedConnectionParts) {
    this.#connection = connection;
    this.#parts = parts;
    this.host = connection.remote.host;
    this.#since = parts.now();
  }

  /** Settles when the connection has ended. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  get state(): ConnectionState {
    if (this.#phase === "silent" || this.#phase === "linger") return "silent";
    if (this.#phase === "head" || this.#phase === "body") return "asking";
    const patience = this.#small ? HTTP_SHORT_STALL_MS : HTTP_STALL_MS;
    const stalled = this.#writingSince !== null && this.#parts.now() - this.#writingSince >= patience;
    return stalled ? "stalled" : "busy";
  }

  get since(): number {
    return this.#writingSince ?? this.#since;
  }

  /** Starts to serve the connection. */
  run(): void {
    void this.#run();
  }

  /** Answers that there are too many connections, and closes the connection. */
  turnAway(): void {
    if (this.#closed) return;
    if (this.#phase === "busy" || this.#phase === "body") this.close(); // a part of a response may have been sent
    else void this.#end503();
  }

  /** Closes the connection at once and aborts the current request. Harmless when closed. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#connection.close();
    this.#parts.closed();
    this.#gone();
  }

  /**
   * Closes the connection after the current request is answered, or at once if there is none.
   *
   * @returns `true` if a request is being answered.
   */
  finish(): boolean {
    this.#finishing = true;
    if (this.#phase === "busy" || this.#phase === "body") return true;
    this.close();
    return false;
  }

  /**
   * Closes the connection if the client takes too long.
   *
   * @param now Monotonic time in milliseconds.
   */
  closeIfLate(now: number): void {
    const age = now - this.#since;
    const late = this.#phase === "silent"
      ? age >= HTTP_IDLE_MS
      : this.#phase === "head"
      ? age >= HTTP_HEAD_MS
      : this.#phase === "linger"
      ? age >= LINGER_MS
      : this.#phase === "body"
      ? now >= this.#deadline
      : this.#writingSince !== null && this.#small && now - this.#answerBegan >= HTTP_IDLE_MS;
    if (late) this.close();
  }

  async #run(): Promise<void> {
    try {
      for (;;) {
        this.#enter("silent");
        const head = await this.#readHead();
        if (head === null || !(await this.#answer(head))) break;
      }
    } catch (error) {
      // The client is told what is wrong with its request. Any other error means that the connection broke.
      if (error instanceof HttpRefusal && !this.#closed) await this.#refuse(error);
    } finally {
      this.#request = null;
      this.close();
      this.#ended.resolve();
    }
  }

  #enter(phase: Phase): void {
    this.#phase = phase;
    this.#since = this.#parts.now();
  }

  get #have(): Bytes {
    return this.#bytes.subarray(this.#start, this.#end);
  }

  async #readHead(): Promise<HttpHead | null> {
    let looked = 0;
    for (;;) {
      if (this.#phase === "silent") this.#start += emptyLines(this.#have);
      if (this.#start < this.#end) {
        const have = this.#have;
        if (this.#phase === "silent") {
          if (!beginsRequest(have[0]!)) throw new HttpRefusal(400, "this is no request of HTTP/1.1");
          this.#enter("head");
        }
        const end = endOfHead(have, looked);
        if (end >= 0) {
          const head = parseHead(have.subarray(0, end), formatAddress(this.#parts.local));
          this.#start += end;
          return head;
        }
        looked = have.length;
        if (looked >= MAX_HTTP_HEAD) throw new HttpRefusal(431, `the head is longer than ${MAX_HTTP_HEAD} bytes`);
      }
      if (!(await this.#fill())) return null;
    }
  }

  /** Waits for more bytes. Returns `false` if the client has closed the connection. */
  #fill(): Promise<boolean> {
    if (this.#inputEnded || this.#closed) return Promise.resolve(false);
    return this.#reading ??= this.#read();
  }

  async #read(): Promise<boolean> {
    this.#makeSpace();
    let count: number | null = null;
    try {
      count = await this.#connection.read(this.#bytes.subarray(this.#end));
    } catch {
      // The connection was reset, or we have closed it. There is nothing more to read, as at the end of the stream.
    }
    this.#reading = null;
    if (count === null) {
      this.#inputEnded = true;
      this.#gone();
      return false;
    }
    this.#end += count;
    this.#watch();
    return true;
  }

  #makeSpace(): void {
    if (this.#start === this.#end) this.#start = this.#end = 0;
    if (this.#end < this.#bytes.length) return;
    if (this.#start > 0) {
      this.#bytes.copyWithin(0, this.#start, this.#end);
    } else {
      const larger = new Uint8Array(Math.min(MAX_HTTP_HEAD, this.#bytes.length * 2));
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#end -= this.#start;
    this.#start = 0;
  }

  /** Reads on while a request is answered, but no more than one pipelined request. */
  #watch(): void {
    if (this.#watching && !this.#inputEnded && this.#end - this.#start < FIRST_READ) void this.#fill();
  }

  /** Called when the client has closed its sending direction or gone away. A response under way is still sent. */
  #gone(): void {
    this.#onGone?.();
    this.#onGone = null;
    this.#request?.abort();
  }

  /** Returns the result of `work`, or `null` if the client goes away first. */
  #orGone<T>(work: Promise<T>): Promise<T | null> {
    return new Promise((resolve, reject) => {
      if (this.#inputEnded || this.#closed) resolve(null);
      else this.#onGone = () => resolve(null);
      work.then(resolve, reject);
    });
  }

  /** Answers a request. Returns `true` if the connection stays open. */
  async #answer(head: HttpHead): Promise<boolean> {
    this.#enter("busy");
    const body = new BodyDecoder(head.body);
    const { maxBody = MAX_HTTP_BODY } = this.#parts;
    if (typeof head.body === "number" && head.body > maxBody) throw tooLong(maxBody);
    if (body.done) {
      this.#watching = true;
      this.#watch();
    }
    const request = this.#request = new ServedRequest(head, body.done ? null : () => this.#bodyOf(head, body));
    const response = await this.#handle(request);
    if (response === null) return false;
    this.#discardBody(body);
    const keep = head.keepAlive && body.done && !this.#finishing;
    const complete = await this.#send(response, { head, keep });
    this.#watching = false;
    this.#request = null;
    if (!complete || keep) return complete && keep;
    if (!body.done) await this.#linger();
    return false;
  }

  async #handle(request: HttpServerRequest): Promise<HttpAnswer | null> {
    let answer: Promise<HttpAnswer> | undefined;
    try {
      const response = this.#parts.handle(request, this.#connection.remote);
      if (!(response instanceof Promise)) return response;
      answer = response;
      const settled = await this.#orGone(response);
      this.#onGone = null;
      if (settled === null) { // the client has gone away
        void answer.then((late) => late instanceof Response ? late.body?.cancel() : undefined).catch(() => {});
      }
      return settled;
    } catch (error) {
      if (error instanceof HttpRefusal) throw error;
      return new Response(`internal error: ${messageOf(error)}`, { status: 500 });
    }
  }

  #bodyOf(head: HttpHead, decoder: BodyDecoder): ReadableStream<Bytes> {
    const { maxBody = MAX_HTTP_BODY } = this.#parts;
    let left = maxBody;
    let welcome = !head.awaitsContinue;
    this.#deadline = this.#parts.now() + HTTP_BODY_MS;
    return new ReadableStream<Bytes>({
      pull: async (controller) => {
        this.#phase = "body";
        if (!welcome) {
          welcome = true;
          await this.#write(utf8("HTTP/1.1 100 Continue\r\n\r\n"));
        }
        for (;;) {
          const { data, used } = decoder.take(this.#have);
          this.#start += used;
          left -= data.length;
          if (left < 0) throw tooLong(maxBody);
          this.#deadline += data.length / HTTP_BODY_BYTES_PER_SECOND * 1000;
          if (data.length > 0) controller.enqueue(data.slice());
          if (decoder.done) {
            controller.close();
            this.#watching = true;
            this.#watch();
          }
          if (decoder.done || data.length > 0) break;
          if (used === 0 && !(await this.#fill())) throw new Error("the client went away");
        }
        this.#phase = "busy";
      },
    }, { highWaterMark: 0 });
  }

  /** Discards what has arrived of a body that the handler didn't read. */
  #discardBody(body: BodyDecoder): void {
    while (!body.done) {
      const { used } = body.take(this.#have);
      this.#start += used;
      if (used === 0) return;
    }
  }

  /** Sends a response. Returns `true` if it was sent completely, so that another one may follow. */
  async #send(
    response: HttpAnswer,
    { head, keep }: { readonly head: HttpHead; readonly keep: boolean },
  ): Promise<boolean> {
    this.#phase = "busy";
    this.#answerBegan = this.#parts.now();
    if (!(response instanceof Response)) {
      const { content } = response;
      this.#small = content.length <= SMALL_HTTP_ANSWER;
      const answer = headOf(response, { length: content.length, keep, head, chunked: false });
      await this.#write(head.method === "HEAD" ? answer : concatBytes([answer, content]));
      return true;
    }
    const { status, headers } = response;
    const isBare = head.method === "HEAD" || status === 204 || status === 304;
    if (isBare || response.body === null) {
      await response.body?.cancel();
      const length = isBare || headers.has("content-length") ? null : 0;
      this.#small = true;
      await this.#write(headOf(response, { length, keep, head, chunked: false }));
      return true;
    }
    const declared = headers.get("content-length");
    const reader = response.body.getReader() as Reader;
    const body = new AnswerBody(reader, (chunk) => this.#orGone(chunk));
    try {
      const whole = await body.whole(
        declared === null ? SMALL_HTTP_ANSWER : Math.min(Number(declared), SMALL_HTTP_ANSWER),
      );
      if (whole !== null) {
        const length = declared === null ? whole.length : null;
        this.#small = whole.length <= SMALL_HTTP_ANSWER;
        await this.#write(concatBytes([headOf(response, { length, keep, head, chunked: false }), whole]));
        return declared === null || whole.length === Number(declared);
      }
      this.#small = false;
      const chunked = declared === null && head.modern;
      await this.#write(
        headOf(response, { length: null, keep: keep && (declared !== null || chunked), head, chunked }),
      );
      let left = declared === null ? Infinity : Number(declared);
      for (;;) {
        const chunk = await body.next();
        if (chunk === null) return false;
        if (chunk === "end") break;
        const bytes = chunk.subarray(0, left);
        left -= bytes.length;
        if (bytes.length === 0) continue;
        if (!chunked) await this.#write(bytes);
        else await this.#write(concatBytes([utf8(`${bytes.length.toString(16)}\r\n`), bytes, CRLF]));
      }
      if (chunked) await this.#write(LAST_CHUNK);
      return chunked || left === 0;
    } finally {
      this.#onGone = null;
      // Harmless for a body that has ended. Any other body isn't needed any more.
      void reader.cancel().catch(() => {});
    }
  }

  async #write(bytes: Bytes): Promise<void> {
    try {
      for (let at = 0; at < bytes.length;) {
        this.#writingSince = this.#parts.now();
        at += await this.#connection.write(at === 0 ? bytes : bytes.subarray(at));
      }
    } finally {
      this.#writingSince = null;
    }
  }

  async #refuse({ status, message }: HttpRefusal): Promise<void> {
    this.#enter("linger");
    try {
      await this.#write(plainAnswer(status, message));
      await this.#linger();
    } catch {
      // It has gone before it was told.
    }
  }

  async #end503(): Promise<void> {
    this.#enter("linger");
    try {
      await this.#write(plainAnswer(503, "there are too many connections"));
    } catch {
      // It has gone before it was told.
    }
    this.close();
  }

  /** Reads on before closing. A connection closed with unread bytes is reset, and the response may be lost. */
  async #linger(): Promise<void> {
    this.#enter("linger");
    this.#watching = false;
    await this.#connection.closeWrite();
    for (let passed = 0; passed < LINGER_BYTES;) {
      passed += this.#end - this.#start;
      this.#start = this.#end;
      if (!(await this.#fill())) return;
    }
  }
}

const CRLF = utf8("\r\n");
const LAST_CHUNK = utf8("0\r\n\r\n");

function tooLong(maxBody: number): HttpRefusal {
  return new HttpRefusal(413, `a body may have ${maxBody} bytes`);
}

/** Request as the handler sees it. Headers, body and signal are made on first use. */
class ServedRequest implements HttpServerRequest {
  readonly method: string;
  readonly url: string;
  readonly #fields: HttpHead["fields"];
  readonly #makeBody: (() => ReadableStream<Bytes>) | null;
  #body: ReadableStream<Bytes> | null = null;
  #headers: Headers | null = null;
  #stop: AbortController | null = null;
  #aborted = false;

  constructor(head: HttpHead, body: (() => ReadableStream<Bytes>) | null) {
    this.method = head.method;
    this.url = head.url;
    this.#fields = head.fields;
    this.#makeBody = body;
  }

  get headers(): Headers {
    return this.#headers ??= new Headers(this.#fields.map(([name, value]): [string, string] => [name, value]));
  }

  get body(): ReadableStream<Bytes> | null {
    if (this.#makeBody !== null) this.#body ??= this.#makeBody();
    return this.#body;
  }

  get signal(): AbortSignal {
    if (this.#stop === null) {
      this.#stop = new AbortController();
      if (this.#aborted) this.#stop.abort();
    }
    return this.#stop.signal;
  }

  text(): Promise<string> {
    return new Response(this.body).text();
  }

  json(): Promise<unknown> {
    return new Response(this.body).json();
  }

  arrayBuffer(): Promise<ArrayBuffer> {
    return new Response(this.body).arrayBuffer();
  }

  abort(): void {
    this.#aborted = true;
    this.#stop?.abort();
  }
}
