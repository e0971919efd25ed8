/**
 * HTTP/1.1 server on a listening socket. With the limits in `src/base/defences.ts`, an attack costs the client more
 * than the server.
 *
 * The runtime's own servers are not used (tried with Deno 2.4.2 and 2.9.6). `Deno.serve` ends for good when there is no
 * file descriptor for a connection, and never closes a silent one. `node:http` does the same on 2.4.2, and its timeouts
 * have no effect on 2.9.6.
 *
 * @module
 */

import type { PeerAddress } from "../base/address.ts";
import { ACCEPT_PAUSE_MS, MAX_HTTP_CONNECTIONS, MAX_HTTP_PER_NETWORK, MAX_HTTP_PER_PROXY } from "../base/defences.ts";
import { DESCRIPTORS_AGAIN, isShortage, makeRoom, onShortage, OUT_OF_DESCRIPTORS } from "./descriptors.ts";
import { type HttpClientConnection, ServedConnection } from "./http_connection.ts";
import { ConnectionLimit } from "./http_connection_limit.ts";
import { networkFault } from "./network_words.ts";
import type { Clock, HttpHandler, HttpServeOptions, HttpServer, Platform, Timer } from "./platform.ts";

/** Milliseconds between two searches for connections that take too long. */
const SWEEP_MS = 1000;
/** Milliseconds for responses under way when the server closes. */
const CLOSE_GRACE_MS = 250;
/** Milliseconds in which new connections can bring a request before a connection without one is closed. */
const HEAR_MS = 2;
/** Milliseconds without a shortage after which it counts as over. */
const SHORTAGE_OVER_MS = 5000;

/** Listening socket for an HTTP server. */
export interface HttpListener {
  /** Address that the socket listens on. */
  readonly address: PeerAddress;
  /** Waits for the next connection. Returns `null` once the listener is closed. */
  accept(): Promise<HttpClientConnection | null>;
  /** Stops listening. */
  close(): void;
}

/** Parts of a {@linkcode ListeningHttpServer}. */
export interface HttpServerParts extends Omit<HttpServeOptions, "host" | "port"> {
  /** Listening socket. */
  readonly listener: HttpListener;
  /** Clock and timers. */
  readonly clock: Pick<Clock, "now"> & Pick<Platform, "after">;
  /** Answers requests. */
  readonly handle: HttpHandler;
}

/** Serves HTTP on a listening socket until it is closed. */
export class ListeningHttpServer implements HttpServer {
  readonly address: PeerAddress;
  readonly #parts: HttpServerParts;
  readonly #limit: ConnectionLimit<ServedConnection>;
  readonly #forget: () => void;
  readonly #accepting: Promise<void>;
  #closed = false;
  #sweep: Timer | null = null;
  /** Time of the last shortage in milliseconds; `null` when it is over. */
  #shortage: number | null = null;

  constructor(parts: HttpServerParts) {
    this.#parts = parts;
    this.address = parts.listener.address;
    this.#limit = new ConnectionLimit({
      total: MAX_HTTP_CONNECTIONS,
      perNetwork: MAX_HTTP_PER_NETWORK,
      perProxy: MAX_HTTP_PER_PROXY,
      hasManyClients: parts.hasManyClients ?? isLoopback,
    });
    this.#forget = onShortage(() => this.#makeRoom());
    this.#accepting = this.#accept();
  }

  /** Number of open connections. */
  get connections(): number {
    return this.#limit.size;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#forget();
    this.#parts.listener.close();
    this.#sweep?.cancel();
    const all = [...this.#limit];
    const underWay = all.filter((connection) => connection.finish());
    if (underWay.length > 0) {
      await this.#within(CLOSE_GRACE_MS, Promise.all(underWay.map((connection) => connection.ended)));
    }
    for (const connection of this.#limit) connection.close();
    await Promise.all([this.#accepting, ...all.map((connection) => connection.ended)]);
  }

  async #accept(): Promise<void> {
    const { listener } = this.#parts;
    for (;;) {
      let connection;
      try {
        connection = await listener.accept();
      } catch (error) {
        // The listener still works, as it returns null when closed, but the system lacks a resource.
        if (isShortage(error)) makeRoom();
        else this.#short(`cannot take connections for now: ${networkFault(error)}`);
        await this.#pause(ACCEPT_PAUSE_MS);
        continue;
      }
      if (connection === null) return;
      if (this.#closed) connection.close();
      else await this.#admit(connection);
    }
  }

  async #admit(connection: HttpClientConnection): Promise<void> {
    const { clock, handle, maxBody } = this.#parts;
    const served = new ServedConnection(connection, {
      now: () => clock.now(),
      handle,
      ...(maxBody !== undefined && { maxBody }),
      local: this.address,
      closed: () => this.#limit.remove(served),
    });
    const tooMany = this.#limit.add(served);
    served.run();
    this.#sweepLater();
    if (!tooMany) return;
    // Connections can be accepted faster than they are read from, and one that brings a request should not be closed.
    await this.#pause(HEAR_MS);
    const victim = this.#limit.surplus(served);
    if (victim === served) served.turnAway();
    else victim?.close();
  }

  /** Closes connections that take too long, once every {@linkcode SWEEP_MS} while there are any. */
  #sweepLater(): void {
    if (this.#sweep !== null || this.#closed || (this.#limit.size === 0 && this.#shortage === null)) return;
    const { clock } = this.#parts;
    this.#sweep = clock.after(SWEEP_MS, () => {
      this.#sweep = null;
      const now = clock.now();
      for (const connection of [...this.#limit]) connection.closeIfLate(now);
      if (this.#shortage === null) this.#limit.grow();
      else if (now - this.#shortage >= SHORTAGE_OVER_MS) {
        this.#shortage = null;
        this.#parts.warn?.(DESCRIPTORS_AGAIN);
      }
      this.#sweepLater();
    });
  }

  #makeRoom(): void {
    this.#short(OUT_OF_DESCRIPTORS);
    for (const connection of this.#limit.shrink()) connection.close();
  }

  /** Reports a shortage once until it is over. */
  #short(message: string): void {
    if (this.#shortage === null) this.#parts.warn?.(message);
    this.#shortage = this.#parts.clock.now();
    this.#sweepLater();
  }

  #pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => this.#parts.clock.after(milliseconds, resolve));
  }

  async #within(milliseconds: number, work: Promise<unknown>): Promise<void> {
    let timer: Timer | undefined;
    const limit = new Promise<void>((resolve) => timer = this.#parts.clock.after(milliseconds, resolve));
    await Promise.race([work, limit]);
    timer?.cancel();
  }
}

/** Returns `true` for this machine, where a reverse proxy may run. A local attacker has simpler ways to harm us. */
function isLoopback(host: string): boolean {
  return host === "::1" || host.startsWith("127.");
}
