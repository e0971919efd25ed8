/**
 * Connections for the HTTP client: made to addresses that were checked before, over TLS for `https:`.
 *
 * @module
 */

import { raceAbort } from "../base/abort.ts";
import { canonicalHost, parseIp } from "../base/address.ts";
import type { Bytes } from "../base/bytes.ts";
import { MAX_HTTP_ADDRESSES } from "../base/defences.ts";
import { NEARNESS, nearnessOf } from "../base/networks.ts";
import { denoNetwork } from "./deno_net.ts";
import type { RequestTarget } from "./http_guard.ts";
import { nodeDns } from "./node_modules.ts";
import { HttpError } from "./platform.ts";

/** Bytes of one read. A fast web seed fills such a buffer. */
const READ_SIZE = 256 * 1024;
/** Bytes of one read for short responses, as hundreds of torrents may ask their trackers at once. */
const SMALL_READ_SIZE = 8 * 1024;
/** Milliseconds after which the next address of a host is tried in parallel (RFC 8305). */
const STAGGER_MS = 250;

/** URL whose host was resolved. */
export interface Located extends RequestTarget {
  /** Literal addresses. Empty if a proxy resolves the host. */
  readonly addresses: readonly string[];
  /** URL of the proxy to go through. */
  readonly proxy?: string;
}

/** Resolves a host name. Throws if the name is unknown. */
export type HostLookup = (host: string) => Promise<readonly string[]>;

/**
 * Resolves the host of a URL.
 *
 * @param url Absolute URL.
 * @param signal Aborts the lookup.
 * @param find Resolves host names; the system does by default.
 * @returns The addresses. The nearest address decides the nearness of the host.
 * @throws {HttpError} If the name is unknown.
 */
export async function locate(url: URL, signal: AbortSignal, find: HostLookup = systemLookup): Promise<Located> {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const addresses = parseIp(host) === null ? await raceAbort(named(host, find), signal) : [host];
  const ranks = addresses.map((address) => NEARNESS.indexOf(nearnessOf(address)));
  return { url, addresses, nearness: NEARNESS[Math.max(...ranks)]! };
}

async function named(host: string, find: HostLookup): Promise<string[]> {
  let found: readonly string[] = [];
  let cause: unknown;
  try {
    found = await find(host);
  } catch (error) {
    cause = error;
  }
  const addresses = [...new Set(found.map(canonicalHost))].slice(0, MAX_HTTP_ADDRESSES);
  if (addresses.length === 0) throw new HttpError(`no address is known for the host "${host}"`, { cause });
  return addresses;
}

/** Resolves a name with `node:dns`, since old runtimes print a warning for `node:dns/promises`. */
function systemLookup(host: string): Promise<string[]> {
  return new Promise((resolve, reject) => {
    nodeDns().lookup(host, { all: true }, (error, found) => {
      if (error) reject(error);
      else resolve(found.map(({ address }) => address));
    });
  });
}

/** Bidirectional stream of bytes. */
interface ByteStream {
  read(into: Bytes): Promise<number | null>;
  write(bytes: Bytes): Promise<number>;
  close(): void;
}

/** Options for {@linkcode DialledConnection.open}. */
export interface DialledConnectionOptions {
  /** Aborts the attempt. */
  readonly signal: AbortSignal;
  /** Local address to connect from, for `http:` only. */
  readonly bind?: string | undefined;
  /** `true` if large responses are expected. */
  readonly large: boolean;
}

/** Connection to a server with its read buffer. */
export class DialledConnection {
  /** Location of the server. */
  readonly place: Located;
  /** Bytes of the last read. */
  readonly buffer: Bytes;
  /** Offset of the first byte that was not consumed. */
  at = 0;
  /** Offset after the last byte that was read. */
  end = 0;
  readonly #stream: ByteStream;
  #closed = false;

  private constructor(stream: ByteStream, place: Located, size: number) {
    this.#stream = stream;
    this.place = place;
    this.buffer = new Uint8Array(size);
  }

  /**
   * Connects to the first address that answers.
   *
   * @param place Location of the server.
   * @param options See {@linkcode DialledConnectionOptions}.
   * @throws {Error} If no address answers, or TLS fails.
   */
  static async open(
    place: Located,
    { signal, bind, large }: DialledConnectionOptions,
  ): Promise<DialledConnection> {
    const secure = place.url.protocol === "https:";
    const port = Number(place.url.port) || (secure ? 443 : 80);
    const dial = (host: string, signal: AbortSignal): Promise<ByteStream> =>
      bind === undefined
        ? connect({ host, port, signal })
        : denoNetwork.dial({ host: bare(host), port }, { bind, signal });
    let stream = await dialAny(place.addresses, dial, signal);
    if (secure) stream = await startTls(stream as Deno.TcpConn, place.url.hostname, signal);
    return new DialledConnection(stream, place, large ? READ_SIZE : SMALL_READ_SIZE);
  }

  /**
   * Reads more bytes after all were consumed.
   *
   * @returns `false` at the end of the stream.
   */
  async fill(): Promise<boolean> {
    const length = await this.#stream.read(this.buffer);
    this.at = 0;
    this.end = length ?? 0;
    return length !== null;
  }

  /** Writes all bytes. */
  async write(bytes: Bytes): Promise<void> {
    for (let at = 0; at < bytes.length;) at += await this.#stream.write(bytes.subarray(at));
  }

  /** Closes the connection. Reads and writes under way fail. Harmless when closed. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stream.close();
  }
}

function bare(host: string): string {
  return host.replace(/^\[|\]$/g, "");
}

async function connect(
  { host, port, signal }: { readonly host: string; readonly port: number; readonly signal: AbortSignal },
): Promise<Deno.TcpConn> {
  const connection = await Deno.connect({ hostname: bare(host), port, signal });
  if (signal.aborted) {
    connection.close();
    throw signal.reason;
  }
  return connection;
}

/**
 * Connects to the first address that answers. Each address is tried {@linkcode STAGGER_MS} after the one before it, or
 * as soon as that fails.
 */
async function dialAny(
  addresses: readonly string[],
  dial: (host: string, signal: AbortSignal) => Promise<ByteStream>,
  signal: AbortSignal,
): Promise<ByteStream> {
  const losers = new AbortController();
  const both = AbortSignal.any([signal, losers.signal]);
  const timers: ReturnType<typeof setTimeout>[] = [];
  let winner: ByteStream | null = null;
  const failed = addresses.map(() => Promise.withResolvers<void>());
  const attempts = addresses.map(async (host, i) => {
    if (i > 0) {
      const moment = new Promise<void>((resolve) => timers.push(setTimeout(resolve, STAGGER_MS * i)));
      await raceAbort(Promise.race([moment, failed[i - 1]!.promise]), both);
    }
    try {
      const stream = await dial(host, both);
      if (winner !== null) {
        stream.close();
        throw new Error("another address was faster");
      }
      return winner = stream;
    } catch (error) {
      failed[i]!.resolve();
      throw error;
    }
  });
  try {
    return await Promise.any(attempts);
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof AggregateError ? error.errors[0] : error;
  } finally {
    for (const timer of timers) clearTimeout(timer);
    losers.abort();
  }
}

async function startTls(plain: Deno.TcpConn, hostname: string, signal: AbortSignal): Promise<Deno.TlsConn> {
  const connection = await Deno.startTls(plain, { hostname: bare(hostname).replace(/\.$/, "") });
  const close = () => connection.close();
  signal.addEventListener("abort", close, { once: true });
  try {
    signal.throwIfAborted();
    await connection.handshake();
    return connection;
  } catch (error) {
    signal.removeEventListener("abort", close);
    if (!signal.aborted) close();
    throw signal.aborted ? signal.reason : error;
  } finally {
    signal.removeEventListener("abort", close);
  }
}
