/**
 * `fetch` with redirects followed by hand, and its failures in plain words.
 *
 * @module
 */

import { messageOf } from "../base/errors.ts";
import { VERSION } from "../base/version.ts";
import { HttpError, type HttpRequest, type HttpStreamRequest } from "./platform.ts";

/** How often one request may be sent elsewhere; more is a loop or a game. */
const MAX_REDIRECTS = 5;
const REDIRECTS = [301, 302, 303, 307, 308];
/** Header fields that belong to the host that the caller meant, and to no other. */
const CREDENTIALS = ["authorization", "cookie"];

/** What is asked for. */
type FollowRequest =
  & Pick<HttpRequest, "url" | "method" | "headers" | "body" | "keepMethod">
  & Pick<HttpStreamRequest, "beforeRedirect">;

/** What {@linkcode follow} needs beside the request. */
export interface FollowOptions {
  readonly signal: AbortSignal;
  readonly client: Deno.HttpClient | undefined;
  /** Where the request stands; `url` is kept up to date. */
  readonly progress: { url: string };
}

/**
 * Follows redirects by hand, since `fetch` follows twenty of them and does not let itself be told otherwise.
 *
 * @param request What is asked for.
 * @param options See {@linkcode FollowOptions}.
 * @returns The answer that is no redirect.
 * @throws {HttpError} If it leads round in circles, to what isn't HTTP, or to where `beforeRedirect` won't go; what `fetch`
 * throws comes as it is.
 */
export async function follow(
  request: FollowRequest,
  { signal, client, progress }: FollowOptions,
): Promise<Response> {
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
    if (request.keepMethod && method === "POST" && response.status < 307) return response;
    await response.body?.cancel();
    if (hops === MAX_REDIRECTS) throw new HttpError(`redirected more than ${MAX_REDIRECTS} times`);
    const next = httpUrl(location, url);
    await request.beforeRedirect?.(url, next);
    signal.throwIfAborted();
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

/**
 * Says in plain words why there is no answer.
 *
 * @param error What `fetch`, or the reading of a body, threw.
 * @param place `url`: what was asked. `bind`: from which address.
 * @returns The error to throw.
 */
export function explain(error: unknown, place: Place): HttpError {
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
