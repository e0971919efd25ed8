/**
 * TCP connections in memory with a limited rate on a virtual clock, and without loss.
 *
 * @module
 */

import type { PeerAddress } from "../../src/base/address.ts";
import type { Bytes } from "../../src/base/bytes.ts";
import type { Connection, Listener, Network, UdpSocket } from "../../src/platform/platform.ts";
import type { VirtualClock } from "../support/virtual_clock.ts";

/** Largest number of bytes per write. */
const SEGMENT = 4096;

/** One direction of a connection. */
class Pipe {
  readonly #clock: VirtualClock;
  readonly #rate: number;
  readonly #arrived: Bytes[] = [];
  #reader: (() => void) | null = null;
  #writer: ((error: Error | null) => void) | null = null;
  #ended = false;

  constructor(clock: VirtualClock, rate: number) {
    this.#clock = clock;
    this.#rate = rate;
  }

  /** Sends at most {@linkcode SEGMENT} bytes, and settles when they have arrived at the other end. */
  write(bytes: Bytes): Promise<number> {
    if (this.#ended) return Promise.reject(new Error("the connection is closed"));
    const copy = bytes.slice(0, SEGMENT);
    return new Promise((resolve, reject) => {
      const arrival = this.#clock.after(copy.length / this.#rate * 1000, () => this.#writer?.(null));
      this.#writer = (error) => {
        this.#writer = null;
        arrival.cancel();
        if (error !== null) return reject(error);
        this.#arrived.push(copy);
        this.#reader?.();
        resolve(copy.length);
      };
    });
  }

  async read(into: Bytes): Promise<number | null> {
    while (this.#arrived.length === 0) {
      if (this.#ended) return null;
      await new Promise<void>((resolve) => this.#reader = resolve);
      this.#reader = null;
    }
    const first = this.#arrived[0]!;
    const count = Math.min(first.length, into.length);
    into.set(first.subarray(0, count));
    if (count === first.length) this.#arrived.shift();
    else this.#arrived[0] = first.subarray(count);
    return count;
  }

  end(): void {
    this.#ended = true;
    this.#writer?.(new Error("the connection is closed"));
    this.#reader?.();
  }
}

/** Listeners and connections of any number of sessions. Each listener has its own port. */
export class MemoryNetwork implements Network {
  readonly #clock: VirtualClock;
  readonly #rate: number;
  readonly #listeners = new Map<number, (connection: Connection) => void>();
  #lastPort = 10_000;

  /**
   * @param clock Virtual clock.
   * @param rate Bytes a second in each direction of each connection.
   */
  constructor(clock: VirtualClock, rate: number) {
    this.#clock = clock;
    this.#rate = rate;
  }

  dial(address: PeerAddress): Promise<Connection> {
    const accept = this.#listeners.get(address.port);
    if (accept === undefined) return Promise.reject(new Error("nobody listens there"));
    const there = new Pipe(this.#clock, this.#rate);
    const back = new Pipe(this.#clock, this.#rate);
    const local = { host: address.host, port: ++this.#lastPort };
    accept(connect({ remote: local, local: address }, { input: there, output: back }));
    return Promise.resolve(connect({ remote: address, local }, { input: back, output: there }));
  }

  listen({ host }: { readonly host: string }): Listener {
    const address = { host, port: ++this.#lastPort };
    const queue: (Connection | null)[] = [];
    let wake = () => {};
    const push = (connection: Connection | null) => {
      queue.push(connection);
      wake();
    };
    this.#listeners.set(address.port, push);
    return {
      address,
      async accept() {
        while (queue.length === 0) await new Promise<void>((resolve) => wake = resolve);
        return queue.shift()!;
      },
      close: () => {
        if (this.#listeners.delete(address.port)) push(null);
      },
    };
  }

  openUdp(): UdpSocket {
    throw new Error("there are no datagrams here");
  }

  resolve(host: string): Promise<string[]> {
    return Promise.reject(new Error(`nobody is called ${host}`));
  }
}

function connect(
  ends: { readonly remote: PeerAddress; readonly local: PeerAddress },
  { input, output }: { readonly input: Pipe; readonly output: Pipe },
): Connection {
  return {
    ...ends,
    read: (into) => input.read(into),
    write: (bytes) => output.write(bytes),
    close() {
      input.end();
      output.end();
    },
  };
}
