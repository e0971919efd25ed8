/**
 * A relay of limited speed between seeder and leecher, so that a measurement doesn't depend on the share of the CPU
 * that each program gets.
 *
 * @module
 */

import { Pace } from "./attack.ts";

/** Forwards connections to a port with a speed limit in each direction. */
export class Relay implements Disposable {
  /** Address to connect to, as `host:port`. */
  readonly address: string;
  readonly #listener: Deno.TcpListener;
  readonly #open = new Set<Deno.TcpConn>();

  /**
   * @param to Port on 127.0.0.1 to forward to.
   * @param bytesPerSecond Speed of each connection, each way.
   */
  constructor(to: number, bytesPerSecond: number) {
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.address = `127.0.0.1:${this.#listener.addr.port}`;
    this.#run(to, bytesPerSecond);
  }

  /** Closes the listener and all connections. */
  [Symbol.dispose](): void {
    this.#listener.close();
    for (const connection of this.#open) connection.close();
  }

  async #run(to: number, bytesPerSecond: number): Promise<void> {
    for await (const near of this.#listener) {
      this.#open.add(near);
      const far = await Deno.connect({ hostname: "127.0.0.1", port: to }).catch(() => null);
      if (far === null) {
        this.#hangUp(near);
        continue;
      }
      this.#open.add(far);
      for (const [from, into] of [[near, far], [far, near]] as const) {
        pass(from, into, new Pace(bytesPerSecond)).catch(() => {}).finally(() => {
          // When one end closes or fails, both are closed.
          this.#hangUp(near);
          this.#hangUp(far);
        });
      }
    }
  }

  #hangUp(connection: Deno.TcpConn): void {
    if (this.#open.delete(connection)) connection.close();
  }
}

async function pass(from: Deno.TcpConn, into: Deno.TcpConn, pace: Pace): Promise<void> {
  const buffer = new Uint8Array(64 * 1024);
  for (let count = await from.read(buffer); count !== null; count = await from.read(buffer)) {
    await pace.take(count);
    for (let sent = 0; sent < count;) sent += await into.write(buffer.subarray(sent, count));
  }
}
