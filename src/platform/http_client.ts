/**
 * HTTP requests with redirects followed by hand, over connections of our own.
 *
 * @module
 */

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
/** Header fields that belong to the host that the caller meant, and to no other. */
const CREDENTIALS = ["authorization", "cookie"];

/** Where a request has ended. */
export interface Followed {
  /** The answer that is no redirect. */
  readonly exchange: Exchange;
  /** The magnet link that it redirects to, or `null`. */
  readonly magnet: string | null;
  /** Who answered. */
  readonly place: Located;
}

/** What is asked for. */
type FollowRequest =
  & Pick<HttpRequest, "url" | "trust" | "method" | "headers" | "body" | "keepMethod" | "takesMagnet" | "bind">
  & Pick<HttpStreamRequest, "kept">;

/** What {@linkcode follow} needs beside the request. */
export interface FollowOptions {
  /** Gives up; its reason is thrown. */
  readonly signal: AbortSignal;
  /** Where the request stands; `url` is kept up to date. */
  readonly progress: { url: string };
  /** Looks names up; the system does, when absent. */
  readonly lookup?: HostLookup | undefined;
  /** Reads the environment, which may name proxies; that of the process, when absent. */
  readonly variables?: Variables | undefined;
}

/**
 * Sends a request, and follows redirects to where it may go.
 *
 * @param request What is asked for.
 * @param options See {@linkcode FollowOptions}.
 * @returns The answer.
 * @throws {HttpError} If it leads round in circles, to what isn't HTTP, or to where it may not go; what sockets throw comes as it
 * is.
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
    // A password that a server puts there is its own, and not for others.
    target.username = target.password = "";
    const next = await located(target, trust, options);
    checkRedirect(place, next, trust);
    if (target.origin !== url.origin) { for (const name of CREDENTIALS) headers.delete(name); }
    if (exchange.status < 307) method = "GET";
    place = next;
  }
}

/** Where a URL leads. Behind a proxy nobody else may know its name, so that only what is no name is known to be near. */
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

/** A stranger's text, in quotes and on one line. */
function shown(text: string): string {
  const line = text.replace(/[^\x20-\x7e]+/g, "?");
  return `"${line.length > MAX_HTTP_SHOWN ? `${line.slice(0, MAX_HTTP_SHOWN)}...` : line}"`;
}

/** The name and password of a URL, the way in which they are sent (RFC 7617). */
function addPassword(headers: Headers, { username, password }: URL): void {
  if ((username === "" && password === "") || headers.has("authorization")) return;
  const text = utf8(`${unescaped(username)}:${unescaped(password)}`);
  headers.set("authorization", `Basic ${btoa(String.fromCharCode(...text))}`);
}

function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a lone "%" stands for itself
  }
}

/** A connection that is kept. */
export class KeptRoom implements KeptConnection {
  #connection: DialledConnection | null = null;
  #closed = false;

  /** Where the kept connection leads. */
  get place(): Located | null {
    return this.#connection?.place ?? null;
  }

  /** @returns The connection, which is the caller's now; `null` when there is none to that place. */
  take(url: URL): DialledConnection | null {
    const connection = this.#connection;
    this.#connection = null;
    if (connection?.place.url.origin === url.origin) return connection;
    connection?.close();
    return null;
  }

  /** Keeps a connection, unless it is too late for that. */
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

/** How a request is sent. */
interface SendOptions {
  readonly place: Located;
  readonly signal: AbortSignal;
  readonly request: Pick<FollowRequest, "bind" | "kept">;
}

async function send(lines: RequestLines, options: SendOptions): Promise<Exchange> {
  const { place, signal, request: { bind } } = options;
  // The runtime speaks to all kinds of proxies.
  if (place.proxy !== undefined) return await fetchBy({ bind, proxy: place.proxy }, lines, signal);
  const kept = options.request.kept instanceof KeptRoom ? options.request.kept : null;
  const old = kept?.take(place.url) ?? null;
  if (old !== null) {
    try {
      return await begin(lines, { connection: old, kept, signal });
    } catch (error) {
      // A server may have ended it at any moment since; only if it has said something is it about this request.
      if (signal.aborted || old.end > 0) throw error;
    }
  }
  // Deno can't speak TLS from a chosen address but with fetch(); older ones can't choose one in any other way.
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

/** An exchange over a connection of our own. */
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
      // Servers that end TLS without saying so are common; whether something is missing shows in the answer.
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
