/**
 * A line of a certain speed between two honest programs, so that what is measured is not who gets more of this machine's CPU.
 *
 * @module
 */

import { Pace } from "./attack.ts";

/** Passes everything on, in both directions, no faster than it may. */
export class Relay implements Disposable {
  /** `host:port` to connect to. */
  readonly address: string;
  readonly #listener: Deno.TcpListener;
  readonly #open = new Set<Deno.TcpConn>();

  /**
   * @param to Port on this machine that is behind it.
   * @param bytesPerSecond Its speed, each way.
   */
  constructor(to: number, bytesPerSecond: number) {
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.address = `127.0.0.1:${this.#listener.addr.port}`;
    this.#run(to, bytesPerSecond);
  }

  /** Cuts the line. */
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
          // Whoever hung up, or was cut off: both ends go.
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
