/**
 * HTTP on Deno.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { explain, follow } from "./deno_fetch.ts";
import { stream } from "./deno_http_stream.ts";
import { listenTcp } from "./deno_net.ts";
import { ListeningHttpServer } from "./http_server.ts";
import { listenError } from "./listen_error.ts";
import {
  type Http,
  HttpError,
  type HttpHandler,
  type HttpRequest,
  type HttpResponse,
  type HttpServeOptions,
  type HttpServer,
} from "./platform.ts";
import { readLimited } from "./read_limited.ts";

/** {@linkcode Http} over `fetch`, and over a server of our own. */
export const denoHttp: Http = { request, stream, serve };

async function request(request: HttpRequest): Promise<HttpResponse> {
  const stop = new AbortController();
  const progress = { url: request.url, answered: false };
  const timer = setTimeout(() => stop.abort(tooLate(request.timeout, progress.answered)), request.timeout);
  const giveUp = () => stop.abort(new HttpError("the request was given up"));
  request.signal?.addEventListener("abort", giveUp, { once: true });
  if (request.signal?.aborted) giveUp();
  let client: Deno.HttpClient | undefined;
  try {
    if (request.bind !== undefined) client = Deno.createHttpClient({ localAddress: request.bind });
    const response = await follow(request, { signal: stop.signal, client, progress });
    progress.answered = true;
    const body = await readBody(response, request.maxBytes);
    return { status: response.status, headers: response.headers, body, url: progress.url };
  } catch (error) {
    if (stop.signal.aborted) throw stop.signal.reason;
    throw error instanceof HttpError ? error : explain(error, { url: progress.url, bind: request.bind });
  } finally {
    clearTimeout(timer);
    request.signal?.removeEventListener("abort", giveUp);
    client?.close();
  }
}

/** Reads a body piece by piece, so that one that is too large is never held whole. */
async function readBody(response: Response, maxBytes: number): Promise<Bytes> {
  if (response.body === null) return new Uint8Array();
  const body = await readLimited(response.body, maxBytes);
  if (!body) throw new HttpError(`the answer is larger than ${formatSize(maxBytes)}`);
  return body;
}

function serve({ host, port, ...options }: HttpServeOptions, handle: HttpHandler): HttpServer {
  const clock = {
    now: () => performance.now(),
    after(milliseconds: number, run: () => void) {
      const id = setTimeout(run, milliseconds);
      return { cancel: () => clearTimeout(id) };
    },
  };
  try {
    return new ListeningHttpServer({ ...options, handle, clock, listener: listenTcp(host, port) });
  } catch (error) {
    throw listenError(error, { host, port });
  }
}

function tooLate(timeout: number, answered: boolean): HttpError {
  const limit = `${timeout / 1000} s`;
  return new HttpError(answered ? `the answer was not complete within ${limit}` : `no answer within ${limit}`);
}

function formatSize(bytes: number): string {
  if (bytes >= 2 ** 20 && bytes % 2 ** 20 === 0) return `${bytes / 2 ** 20} MiB`;
  if (bytes >= 2 ** 10 && bytes % 2 ** 10 === 0) return `${bytes / 2 ** 10} KiB`;
  return `${bytes} bytes`;
}
