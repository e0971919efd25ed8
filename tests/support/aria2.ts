/**
 * aria2 as a seeder on the loopback interface, for tests that need no network of their own.
 *
 * @module
 */

import { Job } from "./job.ts";
import type { Payload } from "./payload.ts";

/** A listening seeder. */
export interface Seeder extends AsyncDisposable {
  /** Process of the seeder. */
  readonly job: Job;
  /** `host:port` for `--peer`. */
  readonly address: string;
  /** Payload bytes sent so far. */
  uploaded(): Promise<number>;
  /** Number of connected peers. */
  connections(): Promise<number>;
  /**
   * Limits the upload rate.
   *
   * @param rate Bytes per second, all peers together; 0 for no limit.
   */
  limit(rate: number): Promise<void>;
}

/** Options for a seeder. */
export interface SeederOptions {
  /** Path of the torrent file. */
  readonly torrent: string;
  /** Bytes per second, all peers together; no limit when absent. */
  readonly uploadLimit?: number;
}

/**
 * Starts aria2 as a seeder.
 *
 * @param payload Files to seed.
 * @returns The listening seeder; dispose of it.
 */
export async function seedWithAria2(payload: Payload, options: SeederOptions): Promise<Seeder> {
  const control = freePort();
  const job = new Job([
    "aria2c",
    "--no-conf",
    "--enable-dht=false",
    "--bt-enable-lpd=false",
    "--enable-peer-exchange=false",
    "--disable-ipv6=true",
    "--listen-port=20000-32000", // aria2 picks a free port of the range at random
    `--dir=${payload.folder}`,
    "--file-allocation=none",
    "--allow-overwrite=true",
    "--summary-interval=0",
    "--show-console-readout=false",
    "--enable-color=false",
    "--seed-ratio=0",
    "--bt-seed-unverified=true",
    `--stop-with-process=${Deno.pid}`,
    "--enable-rpc=true",
    `--rpc-listen-port=${control}`,
    `--max-overall-upload-limit=${options.uploadLimit ?? 0}`,
    options.torrent,
  ], { name: "aria2 seed" });
  const wanted = { seconds: 20, what: "it listened" };
  const line = await job.line((text) => text.includes("BitTorrent: listening on TCP port"), wanted);
  const port = Number(/TCP port (\d+)/.exec(line)![1]);
  return {
    job,
    address: `127.0.0.1:${port}`,
    uploaded: () => active(control, "uploadLength"),
    connections: () => active(control, "connections"),
    limit: async (rate) => {
      await call(control, "changeGlobalOption", [{ "max-overall-upload-limit": `${rate}` }]);
    },
    [Symbol.asyncDispose]: () => job.stop(),
  };
}

/** Returns a number of the only active download. */
async function active(control: number, key: string): Promise<number> {
  const [download] = await call<Record<string, string>[]>(control, "tellActive", [[key]]);
  return Number(download![key]);
}

async function call<T>(control: number, method: string, params: readonly unknown[]): Promise<T> {
  const body = JSON.stringify({ jsonrpc: "2.0", id: "1", method: `aria2.${method}`, params });
  const response = await fetch(`http://127.0.0.1:${control}/jsonrpc`, { method: "POST", body });
  const { result } = await response.json();
  return result;
}

/**
 * Finds a free TCP port below the system's ephemeral ports: thousands of ephemeral ports may be taken by connections
 * before the caller listens.
 *
 * @returns A port that was free a moment ago.
 */
export function freePort(): number {
  for (;;) {
    const port = 10_000 + crypto.getRandomValues(new Uint16Array(1))[0]! % 10_000;
    try {
      using _ = Deno.listen({ hostname: "0.0.0.0", port });
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
}
