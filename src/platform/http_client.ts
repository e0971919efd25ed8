/**
 * HTTP requests over our own connections, with redirects checked before they are followed.
 *
 * @module
 */

import { encodeBase64 } from "npm:deno-std@1.4.0/encoding/base64.js";
import { utf8 } from "../base/bytes.ts";
import { parseIp } from "../base/address.ts";
import type { Bytes } from "../base/bytes.ts";
import { MAX_HTTP_REDIRECTS, MAX_HTTP_SHOWN } from "../base/defences.ts";
import { nearnessOf } from "../base/networks.ts";
import { VERSION } from "../base/version.ts";
import { fetchBy } from "./deno_fetch.ts";
import { CHOOSES_SOURCE } from "./deno_net.ts";
import { AnswerReader, encodeRequest, type Exchange, fieldText, type RequestLines } from "./http_reply.ts";
import { DialledConnection, type HostLookup, locate, type Located } from "./http_dial.ts";
import { checkRedirect, checkTarget } from "./http_guard.ts";
import { proxyFor, systemVariables, type Variables } from "./http_proxy.ts";
import { HttpError, type HttpRequest, type HttpStreamRequest, type KeptConnection, type UrlTrust } from "./platform.ts";

const REDIRECTS = [301, 302, 303, 307, 308];
/** Header fields that are meant for the original host only. */
const CREDENTIALS = ["authorization", "cookie"];

/** Result of {@linkcode follow}. */
export interface Followed {
  /** Response that is not a followed redirect. */
  readonly exchange: Exchange;
  /** Magnet link that the response redirects to, or `null`. */
  readonly magnet: string | null;
  /** Location of the server. */
  readonly place: Located;
}

/** Request for {@linkcode follow}. */
type FollowRequest =
  & Pick<HttpRequest, "url" | "trust" | "method" | "headers" | "body" | "keepMethod" | "takesMagnet" | "bind">
  & Pick<HttpStreamRequest, "kept">;

/** Options for {@linkcode follow}. */
export interface FollowOptions {
  /** Aborts the request. Its reason is thrown. */
  readonly signal: AbortSignal;
  /** State of the request. `url` is updated with each redirect. */
  readonly progress: { url: string };
  /** Resolves host names; the system does by default. */
  readonly lookup?: HostLookup | undefined;
  /** Reads the environment, which may name proxies; that of the process by default. */
  readonly variables?: Variables | undefined;
}

/**
 * Sends a request, and follows redirects as far as they are allowed.
 *
 * @param request The request.
 * @param options See {@linkcode FollowOptions}.
 * @throws {HttpError} If there are too many redirects, or one leads to another protocol or to a forbidden address.
 * Errors of sockets are thrown unchanged.
 */
export async function follow(request: FollowRequest, options: FollowOptions): Promise<Followed> {
  const { signal, progress } = options;
  const trust = request.trust ?? { by: "file" };
  const headers = new Headers(request.headers);
  if (!headers.has("user-agent")) headers.set("user-agent", `Shoal/${VERSION}`);
  if (!headers.has("accept")) headers.set("accept", "*/*");
  headers.set("connection", request.kept === undefined ? "close" : "keep-alive");
  let method: string = request.method ?? "GET";
  const first = httpUrl(request.url);
  let place = keptPlace(first, request.kept) ?? await located(first, trust, options);
  checkTarget(place, trust);
  addPassword(headers, first);
  for (let hops = 0;; hops++) {
    const { url } = place;
    progress.url = url.href;
    const posted = method === "POST" && request.body !== undefined ? { body: request.body } : {};
    const exchange = await send({ method, url, headers, ...posted }, { place, signal, request });
    const location = exchange.headers.get("location");
    if (!REDIRECTS.includes(exchange.status) || location === null) return { exchange, magnet: null, place };
    if (request.keepMethod && method === "POST" && exchange.status < 307) return { exchange, magnet: null, place };
    const text = fieldText(location).trim();
    if (request.takesMagnet && /^magnet:/i.test(text)) return { exchange, magnet: text, place };
    exchange.cancel();
    if (hops === MAX_HTTP_REDIRECTS) throw new HttpError(`redirected more than ${MAX_HTTP_REDIRECTS} times`);
    const target = httpUrl(text, url);
    // A password in a server's redirect is not for another server.
    target.username = target.password = "";
    const next = await located(target, trust, options);
    checkRedirect(place, next, trust);
    if (target.origin !== url.origin) { for (const name of CREDENTIALS) headers.delete(name); }
    if (exchange.status < 307) method = "GET";
    place = next;
  }
}

/** Resolves the host of a URL. Behind a proxy, only a literal address can be known to be near. */
async function located(url: URL, { by }: UrlTrust, options: FollowOptions): Promise<Located> {
  const proxy = by === "gateway" ? null : proxyFor(url, options.variables ?? systemVariables);
  if (proxy === null) return await locate(url, options.signal, options.lookup);
  const host = url.hostname.replace(/^\[|\]$/g, "");
  return { url, addresses: [], nearness: parseIp(host) === null ? "internet" : nearnessOf(host), proxy };
}

function httpUrl(text: string, base?: URL): URL {
  const url = URL.parse(text, base);
  const name = base ? "redirected to" : "the URL is";
  if (url === null) throw new HttpError(`${name} ${shown(text)}, which is not a valid URL`);
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new HttpError(`${name} ${shown(text)}, which is neither http nor https`);
  }
  return url;
}

/** Quotes text of a remote server on one line. */
function shown(text: string): string {
  const line = text.replace(/[^\x20-\x7e]+/g, "?");
  return `"${line.length > MAX_HTTP_SHOWN ? `${line.slice(0, MAX_HTTP_SHOWN)}...` : line}"`;
}

/** Sends the user and password of a URL as basic authentication (RFC 7617). */
function addPassword(headers: Headers, { username, password }: URL): void {
  if ((username === "" && password === "") || headers.has("authorization")) return;
  const text = utf8(`${unescaped(username)}:${unescaped(password)}`);
  headers.set("authorization", `Basic ${encodeBase64(text)}`);
}

function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a lone "%" stands for itself
  }
}

/** Holds one connection between requests. */
export class KeptRoom implements KeptConnection {
  #connection: DialledConnection | null = null;
  #closed = false;

  /** Location of the kept connection. */
  get place(): Located | null {
    return this.#connection?.place ?? null;
  }

  /** Hands the connection over to the caller. Returns `null` if there is none to the origin of the URL. */
  take(url: URL): DialledConnection | null {
    const connection = this.#connection;
    this.#connection = null;
    if (connection?.place.url.origin === url.origin) return connection;
    connection?.close();
    return null;
  }

  /** Keeps a connection, or closes it if the room is closed. */
  put(connection: DialledConnection): void {
    this.#connection?.close();
    this.#connection = connection;
    if (this.#closed) this.close();
  }

  close(): void {
    this.#closed = true;
    this.#connection?.close();
    this.#connection = null;
  }
}

function keptPlace(url: URL, kept: KeptConnection | undefined): Located | null {
  const place = kept instanceof KeptRoom ? kept.place : null;
  return place?.url.origin === url.origin ? { ...place, url } : null;
}

/** Options for {@linkcode send}. */
interface SendOptions {
  readonly place: Located;
  readonly signal: AbortSignal;
  readonly request: Pick<FollowRequest, "bind" | "kept">;
}

async function send(lines: RequestLines, options: SendOptions): Promise<Exchange> {
  const { place, signal, request: { bind } } = options;
  // The runtime supports all kinds of proxies.
  if (place.proxy !== undefined) return await fetchBy({ bind, proxy: place.proxy }, lines, signal);
  const kept = options.request.kept instanceof KeptRoom ? options.request.kept : null;
  const old = kept?.take(place.url) ?? null;
  if (old !== null) {
    try {
      return await begin(lines, { connection: old, kept, signal });
    } catch (error) {
      // The server may have closed the kept connection at any time. The error concerns this request only if data was
      // received.
      if (signal.aborted || old.end > 0) throw error;
    }
  }
  // Deno can't use TLS from a chosen address except with fetch(), and older versions can't choose an address otherwise.
  if (bind !== undefined && (place.url.protocol === "https:" || !CHOOSES_SOURCE)) {
    return await fetchBy({ bind }, lines, signal);
  }
  const connection = await DialledConnection.open(place, { signal, bind, large: kept !== null });
  return await begin(lines, { connection, kept, signal });
}

interface ExchangeParts {
  readonly connection: DialledConnection;
  readonly kept: KeptRoom | null;
  readonly signal: AbortSignal;
}

async function begin(lines: RequestLines, parts: ExchangeParts): Promise<Exchange> {
  const exchange = new SocketExchange(parts);
  try {
    await parts.connection.write(encodeRequest(lines));
    await exchange.readHead();
    return exchange;
  } catch (error) {
    exchange.cancel();
    throw error;
  }
}

/** Exchange over a connection of our own. */
class SocketExchange implements Exchange {
  readonly decoded = false;
  readonly #reader = new AnswerReader();
  readonly #connection: DialledConnection;
  readonly #kept: KeptRoom | null;
  readonly #signal: AbortSignal;
  readonly #giveUp = () => this.cancel();
  #over = false;

  constructor({ connection, kept, signal }: ExchangeParts) {
    this.#connection = connection;
    this.#kept = kept;
    this.#signal = signal;
    connection.at = connection.end = 0;
    signal.addEventListener("abort", this.#giveUp, { once: true });
    if (signal.aborted) this.cancel();
  }

  get status(): number {
    return this.#reader.status;
  }

  get headers(): Headers {
    return this.#reader.headers;
  }

  async readHead(): Promise<void> {
    while (!this.#reader.hasHead) await this.#step();
  }

  async read(): Promise<Bytes | null> {
    while (!this.#over && !this.#reader.ended) {
      await this.#step();
      const { from, to } = this.#reader;
      if (to > from) return this.#connection.buffer.subarray(from, to);
    }
    this.#finish();
    return null;
  }

  cancel(): void {
    if (this.#over) return;
    this.#over = true;
    this.#signal.removeEventListener("abort", this.#giveUp);
    this.#connection.close();
  }

  async #step(): Promise<void> {
    const connection = this.#connection;
    if (connection.at === connection.end && !await this.#fill()) return this.#reader.close();
    connection.at = this.#reader.next(connection.buffer, connection.at, connection.end);
  }

  async #fill(): Promise<boolean> {
    try {
      return await this.#connection.fill();
    } catch (error) {
      this.#signal.throwIfAborted();
      // Many servers close TLS without a close_notify. The response shows whether anything is missing.
      if (error instanceof Deno.errors.UnexpectedEof) return false;
      throw error;
    }
  }

  #finish(): void {
    if (this.#over) return;
    const { persistent } = this.#reader;
    const connection = this.#connection;
    if (!persistent || this.#kept === null || connection.at < connection.end) return this.cancel();
    this.#over = true;
    this.#signal.removeEventListener("abort", this.#giveUp);
    this.#kept.put(connection);
  }
}
