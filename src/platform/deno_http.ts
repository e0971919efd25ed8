/**
 * HTTP client and server on Deno.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { farthestReach } from "../base/networks.ts";
import { explain } from "./deno_fetch.ts";
import { type Outside, stream } from "./deno_http_stream.ts";
import { listenTcp } from "./deno_net.ts";
import { unpacked } from "./gunzip.ts";
import { follow, KeptRoom } from "./http_client.ts";
import type { HostLookup } from "./http_dial.ts";
import type { Exchange } from "./http_reply.ts";
import type { Variables } from "./http_proxy.ts";
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
import { GrowingBytes } from "./read_limited.ts";

/** {@linkcode Http} with our own client and server. */
export const denoHttp: Http = makeHttp();

/**
 * Makes an {@linkcode Http}.
 *
 * @param lookup Resolves host names; the system does by default.
 * @param variables Reads the environment, which may name proxies; that of the process by default.
 */
export function makeHttp(lookup?: HostLookup, variables?: Variables): Http {
  return {
    request: (asked) => request(asked, { lookup, variables }),
    stream: (asked) => stream(asked, { lookup, variables }),
    keep: () => new KeptRoom(),
    serve,
  };
}

async function request(request: HttpRequest, outside: Outside): Promise<HttpResponse> {
  const stop = new AbortController();
  const progress = { url: request.url, answered: false };
  const timer = setTimeout(() => stop.abort(tooLate(request.timeout, progress.answered)), request.timeout);
  const giveUp = () => stop.abort(new HttpError("the request was given up"));
  request.signal?.addEventListener("abort", giveUp, { once: true });
  if (request.signal?.aborted) giveUp();
  let exchange: Exchange | null = null;
  try {
    stop.signal.throwIfAborted();
    const headers = { "accept-encoding": "gzip", ...request.headers };
    const followed = await follow({ ...request, headers }, { signal: stop.signal, progress, ...outside });
    exchange = followed.exchange;
    progress.answered = true;
    const { status } = exchange;
    const { addresses } = followed.place;
    const reach = addresses.length === 0 ? {} : { reach: farthestReach(addresses) };
    const answer = { status, headers: exchange.headers, url: progress.url, ...reach };
    if (followed.magnet !== null) return { ...answer, body: new Uint8Array(), magnet: followed.magnet };
    return { ...answer, body: await readBody(exchange, { ...request, signal: stop.signal }) };
  } catch (error) {
    if (stop.signal.aborted) throw stop.signal.reason;
    if (error instanceof HttpError) throw error;
    throw explain(error, { url: progress.url, bind: request.bind });
  } finally {
    clearTimeout(timer);
    request.signal?.removeEventListener("abort", giveUp);
    exchange?.cancel();
  }
}

/** Reads a body in parts, so that one that is too large is never held whole. */
async function readBody(
  exchange: Exchange,
  { maxBytes, hold, signal }: Pick<HttpRequest, "maxBytes" | "hold"> & { readonly signal: AbortSignal },
): Promise<Bytes> {
  const tooLarge = () => new HttpError(`the answer is larger than ${formatSize(maxBytes)}`);
  const told = exchange.headers.get("content-length");
  const expected = told !== null && /^\d{1,15}$/.test(told) ? Number(told) : undefined;
  if (expected !== undefined && expected > maxBytes) throw tooLarge();
  const label = exchange.decoded ? null : exchange.headers.get("content-encoding");
  const plain = () => exchange.read();
  const read = label === null ? plain : await unpacked(plain, label);
  const bytes = new GrowingBytes(maxBytes, label === null ? expected : undefined);
  try {
    for (let part = await read(); part !== null; part = await read()) {
      hold?.(part.length);
      signal.throwIfAborted();
      if (!bytes.add(part)) throw tooLarge();
    }
    return bytes.done();
  } catch (error) {
    bytes.drop();
    throw error;
  }
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
