/**
 * Connections for HTTP: made to addresses that were looked at before, over TLS where the URL asks for it.
 *
 * @module
 */

import { lookup } from "node:dns";
import { canonicalHost, parseIp } from "../base/address.ts";
import type { Bytes } from "../base/bytes.ts";
import { MAX_HTTP_ADDRESSES } from "../base/defences.ts";
import { NEARNESS, nearnessOf } from "../base/networks.ts";
import { denoNetwork } from "./deno_net.ts";
import type { RequestTarget } from "./http_guard.ts";
import { HttpError } from "./platform.ts";

/** Bytes of one read at most: a fast web seed fills them. */
const READ_SIZE = 256 * 1024;
/** The same for an answer that is short: hundreds of torrents may ask their trackers at once. */
const SMALL_READ_SIZE = 8 * 1024;
/** Milliseconds after which the next address of a host is tried beside the one that doesn't answer (RFC 8305). */
const STAGGER_MS = 250;

/** A URL whose host was looked up. */
export interface Located extends RequestTarget {
  /** Literal addresses, at least one; none where a proxy looks the host up. */
  readonly addresses: readonly string[];
  /** URL of the proxy that leads there. */
  readonly proxy?: string;
}

/** Looks a host name up; throws if it isn't known. */
export type HostLookup = (host: string) => Promise<readonly string[]>;

/**
 * Looks the host of a URL up.
 *
 * @param url Absolute.
 * @param signal Gives up.
 * @param find Looks names up; the system does, when absent.
 * @returns Where it leads. A host with a near address is near.
 * @throws {HttpError} If the name is not known.
 */
export async function locate(url: URL, signal: AbortSignal, find: HostLookup = systemLookup): Promise<Located> {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const addresses = parseIp(host) === null ? await raced(named(host, find), signal) : [host];
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

/** Not the one of `node:dns/promises`, which has old runtimes print a warning. */
function systemLookup(host: string): Promise<string[]> {
  return new Promise((resolve, reject) => {
    lookup(host, { all: true }, (error, found) => {
      if (error) reject(error);
      else resolve(found.map(({ address }) => address));
    });
  });
}

/** What comes first: the outcome, or that nobody waits for it any more. */
async function raced<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const stop = () => reject(signal.reason);
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** A stream of bytes in both directions. */
interface ByteStream {
  read(into: Bytes): Promise<number | null>;
  write(bytes: Bytes): Promise<number>;
  close(): void;
}

/** A connection to a server, and what has come of it and not been looked at. */
export class DialledConnection {
  /** To whom it is. */
  readonly place: Located;
  /** What came last. */
  readonly buffer: Bytes;
  /** First byte that was not looked at. */
  at = 0;
  /** The byte after the last one that came. */
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
   * @param place Where to.
   * @param options `bind`: local address to connect from, for `http:` alone. `large`: whether it is to bring much.
   * @returns The connection.
   * @throws {Error} If there is none.
   */
  static async open(
    place: Located,
    { signal, bind, large }: {
      readonly signal: AbortSignal;
      readonly bind?: string | undefined;
      readonly large: boolean;
    },
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
   * Reads on, once all was looked at.
   *
   * @returns Whether something came; `false` at the end.
   */
  async fill(): Promise<boolean> {
    const length = await this.#stream.read(this.buffer);
    this.at = 0;
    this.end = length ?? 0;
    return length !== null;
  }

  /** Writes all of it. */
  async write(bytes: Bytes): Promise<void> {
    for (let at = 0; at < bytes.length;) at += await this.#stream.write(bytes.subarray(at));
  }

  /** Closes it; reads and writes that are under way fail. Harmless when closed. */
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

/** The first of them that answers; each is given a moment before the next one is tried, too. */
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
      await raced(Promise.race([moment, failed[i - 1]!.promise]), both);
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
