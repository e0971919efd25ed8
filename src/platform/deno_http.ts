/**
 * HTTP on Deno.
 *
 * @module
 */

import { formatIp, parseIp, type PeerAddress } from "../base/address.ts";
import type { Bytes } from "../base/bytes.ts";
import { messageOf } from "../base/errors.ts";
import { explain, follow } from "./deno_fetch.ts";
import { stream } from "./deno_http_stream.ts";
import { listenError } from "./listen_error.ts";
import { type Http, HttpError, type HttpRequest, type HttpResponse, type HttpServer } from "./platform.ts";
import { readLimited } from "./read_limited.ts";

/** How long a server that closes lets answers that are under way finish. */
const CLOSE_GRACE = 250;
/** From "completed" to the last byte on the socket: Deno 2.4 says the one before the other. */
const FLUSH = 20;

/** {@linkcode Http} over `fetch` and `Deno.serve`. */
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

function serve(
  options: { readonly host: string; readonly port: number },
  handle: (request: Request, from: PeerAddress) => Response | Promise<Response>,
): HttpServer {
  const stop = new AbortController();
  const underWay = new Set<Promise<unknown>>();
  let server: Deno.HttpServer<Deno.NetAddr>;
  try {
    server = Deno.serve({
      hostname: options.host,
      port: options.port,
      signal: stop.signal,
      onListen() {}, // says nothing; the default prints
      onError: (error) => new Response(`internal error: ${messageOf(error)}`, { status: 500 }),
    }, (request, info) => {
      const sent = info.completed.catch(() => {}); // a client that went away is served as well as can be
      underWay.add(sent);
      void sent.then(() => underWay.delete(sent));
      return handle(request, peerAddress(info.remoteAddr));
    });
  } catch (error) {
    throw listenError(error, options);
  }
  return {
    address: peerAddress(server.addr),
    async close() {
      // not server.shutdown(): that waits for every client that keeps its connection open
      if (underWay.size > 0) {
        await within(CLOSE_GRACE, Promise.all(underWay));
        await within(FLUSH, server.finished);
      }
      stop.abort();
      await server.finished;
    },
  };
}

/** Waits for something, but not longer than it may take. */
async function within(milliseconds: number, work: Promise<unknown>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const limit = new Promise<void>((resolve) => timer = setTimeout(resolve, milliseconds));
  await Promise.race([work, limit]);
  clearTimeout(timer);
}

/** An IPv4 client of a socket that listens on IPv6 arrives as `::ffff:1.2.3.4`. */
function peerAddress(address: Deno.NetAddr): PeerAddress {
  const bytes = parseIp(address.hostname);
  return { host: bytes ? formatIp(bytes) : address.hostname, port: address.port };
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
