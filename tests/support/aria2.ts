/**
 * aria2 as a seeder on the loopback interface, for tests that do not need a network of their own.
 *
 * @module
 */

import { Job } from "./job.ts";
import type { Payload } from "./payload.ts";

/** A seeder that is listening. */
export interface Seeder extends AsyncDisposable {
  /** Its process. */
  readonly job: Job;
  /** `host:port` for `--peer`. */
  readonly address: string;
  /** Payload bytes that it has sent so far. */
  uploaded(): Promise<number>;
  /** How many peers it is connected to. */
  connections(): Promise<number>;
  /**
   * Changes how fast it is.
   *
   * @param rate Bytes a second, all peers together; 0 for no limit.
   */
  limit(rate: number): Promise<void>;
}

/**
 * Starts aria2 as a seeder.
 *
 * @param payload What it has.
 * @param options `torrent`: path of its torrent. `uploadLimit`: bytes a second, all peers together.
 * @returns The seeder, listening; dispose of it.
 */
export async function seedWithAria2(
  payload: Payload,
  options: { readonly torrent: string; readonly uploadLimit?: number },
): Promise<Seeder> {
  const control = freePort();
  const job = new Job([
    "aria2c",
    "--no-conf",
    "--enable-dht=false",
    "--bt-enable-lpd=false",
    "--enable-peer-exchange=false",
    "--disable-ipv6=true",
    "--listen-port=20000-32000", // it takes one at random that is free
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

/** A number of the only download. */
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
 * A TCP port that nobody listened on a moment ago, below those that the system gives to connections: of these, thousands
 * may be in use by the time that somebody wants to listen.
 *
 * @returns Its number.
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
