/**
 * HTTP on Deno.
 *
 * @module
 */

import { formatIp, parseIp, type PeerAddress } from "../base/address.ts";
import type { Bytes } from "../base/bytes.ts";
import { messageOf } from "../base/errors.ts";
import { VERSION } from "../base/version.ts";
import { listenError } from "./listen_error.ts";
import { type Http, HttpError, type HttpRequest, type HttpResponse, type HttpServer } from "./platform.ts";
import { readLimited } from "./read_limited.ts";

/** How often one request may be sent elsewhere; more is a loop or a game. */
const MAX_REDIRECTS = 5;
/** How long a server that closes lets answers that are under way finish. */
const CLOSE_GRACE = 250;
/** From "completed" to the last byte on the socket: Deno 2.4 says the one before the other. */
const FLUSH = 20;
const REDIRECTS = [301, 302, 303, 307, 308];
/** Header fields that belong to the host that the caller meant, and to no other. */
const CREDENTIALS = ["authorization", "cookie"];

/** {@linkcode Http} over `fetch` and `Deno.serve`. */
export const denoHttp: Http = { request, serve };

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

/** What {@linkcode follow} needs beside the request. */
interface FollowOptions {
  readonly signal: AbortSignal;
  readonly client: Deno.HttpClient | undefined;
  /** Where the request stands; `url` is kept up to date. */
  readonly progress: { url: string };
}

/** Follows redirects by hand, since `fetch` follows twenty of them and does not let itself be told otherwise. */
async function follow(request: HttpRequest, { signal, client, progress }: FollowOptions): Promise<Response> {
  const headers = new Headers(request.headers);
  if (!headers.has("user-agent")) headers.set("user-agent", `Shoal/${VERSION}`);
  let method = request.method ?? "GET";
  let url = httpUrl(request.url);
  for (let hops = 0;; hops++) {
    progress.url = url.href;
    const init: RequestInit & { client?: Deno.HttpClient } = { method, headers, redirect: "manual", signal };
    if (method === "POST" && request.body !== undefined) init.body = request.body;
    if (client !== undefined) init.client = client;
    const response = await fetch(url, init);
    const location = response.headers.get("location");
    if (!REDIRECTS.includes(response.status) || location === null) return response;
    await response.body?.cancel();
    if (hops === MAX_REDIRECTS) throw new HttpError(`redirected more than ${MAX_REDIRECTS} times`);
    const next = httpUrl(location, url);
    if (next.origin !== url.origin) { for (const name of CREDENTIALS) headers.delete(name); }
    if (response.status < 307) method = "GET";
    url = next;
  }
}

function httpUrl(text: string, base?: URL): URL {
  const url = URL.parse(text, base);
  const name = base ? "redirected to" : "the URL is";
  if (url === null) throw new HttpError(`${name} "${text}", which is not a valid URL`);
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new HttpError(`${name} "${text}", which is neither http nor https`);
  }
  return url;
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

/** What the texts of `fetch` mean. They differ between versions and systems, so a part of each must do. */
const MEANINGS: readonly (readonly [RegExp, string | ((place: Place) => string)])[] = [
  [/localAddress|invalid address|bind local error/i, ({ bind }) => `cannot connect from ${bind}`],
  [/connection refused|actively refused/i, "connection refused"],
  [/dns error|failed to lookup/i, ({ url }) => `no address is known for the host "${hostOf(url)}"`],
  [/certificate|UnknownIssuer/i, "the server's certificate is not valid"],
  [/corrupt message|tls|handshake/i, "the server does not answer in TLS"],
  [/network is unreachable|no route to host/i, "the network is unreachable"],
  [/timed out/i, "the connection timed out"],
  [/gzip|deflate|brotli|decompress|decode|unexpected end of file/i, "the answer is not compressed as it says"],
  [/reset by peer|before message completed|reading a body|broken pipe|aborted/i, "the connection was cut off"],
  [/parsed|parse error|invalid http/i, "the answer is not HTTP"],
  [/are blocked/i, ({ url }) => `port ${new URL(url).port} is not allowed for HTTP`],
];

/** What an error text can name. */
interface Place {
  readonly url: string;
  readonly bind: string | undefined;
}

function explain(error: unknown, place: Place): HttpError {
  const text = error instanceof Error && error.cause ? messageOf(error.cause) : messageOf(error);
  // the URL is in most texts, and could hold any of the words
  const plain = text.replaceAll(place.url, "").replace(/\([^()]*:\/\/[^()]*\)/g, "");
  const meaning = MEANINGS.find(([pattern]) => pattern.test(plain))?.[1];
  const message = meaning === undefined ? text : typeof meaning === "string" ? meaning : meaning(place);
  return new HttpError(message, { cause: error });
}

function hostOf(url: string): string {
  return new URL(url).hostname;
}

function formatSize(bytes: number): string {
  if (bytes >= 2 ** 20 && bytes % 2 ** 20 === 0) return `${bytes / 2 ** 20} MiB`;
  if (bytes >= 2 ** 10 && bytes % 2 ** 10 === 0) return `${bytes / 2 ** 10} KiB`;
  return `${bytes} bytes`;
}
