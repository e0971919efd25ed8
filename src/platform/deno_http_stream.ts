/**
 * HTTP answers that come in parts, on Deno.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { explain, follow } from "./deno_fetch.ts";
import { HttpError, type HttpStream, type HttpStreamRequest } from "./platform.ts";

/**
 * Sends a `GET` and gives the answer as soon as its head is there. See `Http.stream()`.
 *
 * @param request What is asked for.
 * @returns The answer.
 * @throws {HttpError} If there is none, or it comes too late.
 */
export async function stream(request: HttpStreamRequest): Promise<HttpStream> {
  const stop = new AbortController();
  const giveUp = () => stop.abort(new HttpError("the request was given up"));
  const late = () => stop.abort(new HttpError(`no answer within ${request.timeout / 1000} s`));
  const timer = setTimeout(late, request.timeout);
  request.signal?.addEventListener("abort", giveUp, { once: true });
  if (request.signal?.aborted) giveUp();
  const progress = { url: request.url };
  let client: Deno.HttpClient | undefined;
  const release = () => {
    request.signal?.removeEventListener("abort", giveUp);
    client?.close();
    client = undefined;
  };
  const failure = (error: unknown) => {
    if (stop.signal.aborted) return stop.signal.reason;
    return error instanceof HttpError ? error : explain(error, { url: progress.url, bind: request.bind });
  };
  try {
    if (request.bind !== undefined) client = Deno.createHttpClient({ localAddress: request.bind });
    // A fetch that asks for identity decodes nothing; the caller refuses what is encoded all the same.
    const headers = { "accept-encoding": "identity", ...request.headers };
    const response = await follow({ ...request, headers }, { signal: stop.signal, client, progress });
    return new DenoStream(response, { url: progress.url, stop, release, failure });
  } catch (error) {
    release();
    throw failure(error);
  } finally {
    clearTimeout(timer);
  }
}

/** What a stream needs from the request that began it. */
interface StreamParts {
  readonly url: string;
  readonly stop: AbortController;
  /** Lets everything go that the request holds. */
  readonly release: () => void;
  /** What is thrown, in plain words. */
  readonly failure: (error: unknown) => unknown;
}

/**
 * Bytes of one read at most. Read into a buffer that is used again and again, a body costs half of what it does in parts of
 * the runtime's own choice.
 */
const READ_SIZE = 256 * 1024;

class DenoStream implements HttpStream {
  readonly status: number;
  readonly headers: Headers;
  readonly url: string;
  readonly #parts: StreamParts;
  readonly #reader: ReadableStreamBYOBReader | null;
  #buffer: Bytes = new Uint8Array(READ_SIZE);
  #ended = false;

  constructor(response: Response, parts: StreamParts) {
    this.status = response.status;
    this.headers = response.headers;
    this.url = parts.url;
    this.#parts = parts;
    this.#reader = response.body?.getReader({ mode: "byob" }) ?? null;
  }

  async read(): Promise<Bytes | null> {
    if (this.#reader === null || this.#ended) return this.#end();
    try {
      for (;;) {
        const { done, value } = await this.#reader.read(this.#buffer);
        if (value) this.#buffer = new Uint8Array(value.buffer as ArrayBuffer);
        if (done) {
          // A body that was cancelled ends like one that is complete.
          this.#parts.stop.signal.throwIfAborted();
          return this.#end();
        }
        if (value.length > 0) return value as Bytes;
      }
    } catch (error) {
      this.#end();
      throw this.#parts.failure(error);
    }
  }

  cancel(): void {
    if (this.#ended) return;
    this.#end();
    this.#parts.stop.abort(new HttpError("the request was given up"));
    // Nobody reads on, so that a failure at the very end is of no interest.
    this.#reader?.cancel().catch(() => {});
  }

  #end(): null {
    if (!this.#ended) this.#parts.release();
    this.#ended = true;
    return null;
  }
}
