/**
 * HTTP responses on Deno whose body is read in parts.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { explain } from "./deno_fetch.ts";
import type { Exchange } from "./http_reply.ts";
import { follow, type FollowOptions } from "./http_client.ts";
import { HttpError, type HttpStream, type HttpStreamRequest } from "./platform.ts";

/** How host names are resolved and the environment is read. */
export type Outside = Pick<FollowOptions, "lookup" | "variables">;

/**
 * Sends a `GET` and returns the response as soon as its head has arrived; see `Http.stream()`.
 *
 * @param request The request.
 * @param outside Resolver and environment; those of the process by default.
 * @throws {HttpError} If there is no response in time.
 */
export async function stream(request: HttpStreamRequest, outside: Outside = {}): Promise<HttpStream> {
  const stop = new AbortController();
  const giveUp = () => stop.abort(new HttpError("the request was given up"));
  const late = () => stop.abort(new HttpError(`no answer within ${request.timeout / 1000} s`));
  const timer = setTimeout(late, request.timeout);
  request.signal?.addEventListener("abort", giveUp, { once: true });
  if (request.signal?.aborted) giveUp();
  const progress = { url: request.url };
  const release = () => request.signal?.removeEventListener("abort", giveUp);
  const failure = (error: unknown) => {
    if (stop.signal.aborted) return stop.signal.reason;
    return error instanceof HttpError ? error : explain(error, { url: progress.url, bind: request.bind });
  };
  try {
    stop.signal.throwIfAborted();
    const headers = { "accept-encoding": "identity", ...request.headers };
    const { exchange } = await follow({ ...request, headers }, { signal: stop.signal, progress, ...outside });
    return new DenoStream(exchange, { url: progress.url, stop, release, failure });
  } catch (error) {
    release();
    throw failure(error);
  } finally {
    clearTimeout(timer);
  }
}

/** Parts of the request that its stream needs. */
interface StreamParts {
  readonly url: string;
  readonly stop: AbortController;
  /** Releases all that the request holds. */
  readonly release: () => void;
  /** Converts a thrown value to an error in plain words. */
  readonly failure: (error: unknown) => unknown;
}

class DenoStream implements HttpStream {
  readonly status: number;
  readonly headers: Headers;
  readonly url: string;
  readonly #parts: StreamParts;
  readonly #exchange: Exchange;
  #ended = false;

  constructor(exchange: Exchange, parts: StreamParts) {
    this.status = exchange.status;
    this.headers = exchange.headers;
    this.url = parts.url;
    this.#parts = parts;
    this.#exchange = exchange;
  }

  async read(): Promise<Bytes | null> {
    if (this.#ended) return null;
    try {
      const bytes = await this.#exchange.read();
      this.#parts.stop.signal.throwIfAborted();
      if (bytes === null) this.#end();
      return bytes;
    } catch (error) {
      this.#end();
      throw this.#parts.failure(error);
    }
  }

  cancel(): void {
    if (this.#ended) return;
    this.#end();
    this.#parts.stop.abort(new HttpError("the request was given up"));
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#parts.release();
    this.#exchange.cancel();
  }
}
