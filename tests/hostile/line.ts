/**
 * One connection of an attacker, a plain TCP socket. Made with Node's sockets, since Deno's can't choose the local
 * address, and an attacker has many addresses.
 *
 * @module
 */

import { connect, createServer, type Server, type Socket } from "node:net";

/** Address of a socket. */
export interface Place {
  readonly host: string;
  readonly port: number;
}

/** A connection. No method rejects, since the victim may close the connection at any time. */
export class Line {
  /** Resolves when the connection is over. */
  readonly over: Promise<void>;
  /** Bytes that were handed to the system. */
  sent = 0;
  /** Local address. */
  readonly from: string;
  readonly #socket: Socket;
  #closed = false;
  #wake: (() => void) | null = null;
  #rest: Uint8Array | null = null;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.from = socket.localAddress ?? "";
    socket.setNoDelay(true);
    const over = Promise.withResolvers<void>();
    this.over = over.promise;
    const end = () => {
      this.#closed = true;
      socket.destroy();
      this.#wake?.();
      over.resolve();
    };
    socket.on("error", end);
    socket.on("end", end);
    socket.on("close", end);
    socket.on("readable", () => this.#wake?.());
  }

  /** `true` if the connection is over. */
  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Sends bytes.
   *
   * @returns `true` if the connection is still open once the system has taken the bytes.
   */
  send(bytes: Uint8Array): Promise<boolean> {
    if (this.#closed) return Promise.resolve(false);
    return new Promise((resolve) => {
      this.#socket.write(bytes, (error) => {
        if (!error) this.sent += bytes.length;
        resolve(!error && !this.#closed);
      });
      this.over.then(() => resolve(false));
    });
  }

  /**
   * Reads the bytes that have arrived, and waits for some if there are none.
   *
   * @returns At least one byte, or `null` when the connection is over.
   */
  async read(): Promise<Uint8Array | null> {
    for (;;) {
      const bytes = this.#rest ?? this.#socket.read() as Uint8Array | null;
      this.#rest = null;
      if (bytes !== null) return bytes;
      if (this.#closed) return null;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  /**
   * Reads a number of bytes.
   *
   * @param length Number of bytes.
   * @returns The bytes, or `null` if the connection was over before.
   */
  async readExactly(length: number): Promise<Uint8Array | null> {
    const out = new Uint8Array(length);
    for (let at = 0; at < length;) {
      const bytes = await this.read();
      if (bytes === null) return null;
      const part = bytes.subarray(0, length - at);
      out.set(part, at);
      at += part.length;
      if (part.length < bytes.length) this.#rest = bytes.subarray(part.length);
    }
    return out;
  }

  /** Reads and discards everything until the connection is over. */
  async drain(): Promise<void> {
    while (await this.read() !== null) { /* discarded */ }
  }

  /** Closes the connection. Sends a TCP reset in place of a FIN if `reset` is `true`. */
  close(options: { readonly reset?: boolean } = {}): void {
    if (options.reset) this.#socket.resetAndDestroy();
    else this.#socket.destroy();
  }
}

/**
 * Connects to an address.
 *
 * @param to Address to connect to.
 * @param from Local address.
 * @returns The connection, or `null` if it was refused.
 */
export function dial(to: Place, from: string): Promise<Line | null> {
  return new Promise((resolve) => {
    const socket = connect({ host: to.host, port: to.port, localAddress: from });
    socket.once("error", () => resolve(null));
    socket.once("connect", () => resolve(new Line(socket)));
  });
}

/**
 * Listens for connections on any free port.
 *
 * @param host Address to listen at.
 * @param take Called with each connection.
 * @returns The port and the server.
 */
export function listen(host: string, take: (line: Line) => void): Promise<{ port: number; server: Server }> {
  const server = createServer((socket) => take(new Line(socket)));
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, host, () => resolve({ port: (server.address() as { port: number }).port, server }));
  });
}
