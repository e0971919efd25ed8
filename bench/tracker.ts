/**
 * Measures what a request costs `shoal tracker` when it knows many peers, without sockets: in one swarm, and in as many
 * swarms as peers.
 *
 *     deno task bench:tracker --peers 60000 --rounds 300
 *
 * @module
 */

// deno-lint-ignore-file no-console

import { utf8 } from "../src/base/bytes.ts";
import { denoPlatform as platform } from "../src/platform/deno_platform.ts";
import type { Http, UdpSocket } from "../src/platform/platform.ts";
import { TrackerServer } from "../src/tracker_server/server.ts";

const value = (flag: string, otherwise: number) => {
  const at = Deno.args.indexOf(flag);
  return at < 0 ? otherwise : Number(Deno.args[at + 1]);
};
const PEERS = value("--peers", 60_000);
const ROUNDS = value("--rounds", 300);

type Handler = Parameters<Http["serve"]>[1];
type Datagram = { readonly length: number; readonly from: { readonly host: string; readonly port: number } };

/** A tracker whose requests are function calls. */
class Bench {
  readonly tracker: TrackerServer;
  handle!: Handler;
  #receive: ((datagram: Datagram | null) => void) | null = null;
  #into: Uint8Array = new Uint8Array();
  #answer: Uint8Array = new Uint8Array();
  #sent = (_: Uint8Array) => {};

  constructor() {
    const http = {
      serve: (address: { readonly host: string; readonly port: number }, handle: Handler) => {
        this.handle = handle;
        return { address, close: () => Promise.resolve() };
      },
    };
    const socket: Pick<UdpSocket, "address" | "receive" | "send" | "close"> = {
      address: { host: "0.0.0.0", port: 1 },
      receive: (into) => {
        this.#into = into;
        this.#sent(this.#answer);
        return new Promise((resolve) => this.#receive = resolve);
      },
      send: (bytes) => {
        this.#answer = bytes;
        return Promise.resolve();
      },
      close: () => this.#receive?.(null),
    };
    const net = { openUdp: () => socket as UdpSocket };
    this.tracker = TrackerServer.start({ ...platform, http: http as unknown as Http }, {
      host: "0.0.0.0",
      port: 1,
      maxTorrents: 10_000_000,
      maxPeers: 10_000_000,
      udp: { now: platform.now, randomBytes: platform.randomBytes, digest: platform.digest, net },
    });
  }

  async http(path: string, host: string): Promise<number> {
    const answer = await this.handle(new Request(`http://x:1${path}`), { host, port: 4000 });
    return answer instanceof Response ? (await answer.arrayBuffer()).byteLength : answer.content.length;
  }

  udp(bytes: Uint8Array, host: string): Promise<Uint8Array> {
    return new Promise((resolve) => {
      this.#sent = resolve;
      this.#into.set(bytes);
      this.#receive!({ length: bytes.length, from: { host, port: 4000 } });
    });
  }

  async connect(host: string): Promise<Uint8Array> {
    const bytes = new Uint8Array(16);
    new DataView(bytes.buffer).setBigUint64(0, 0x41727101980n);
    return (await this.udp(bytes, host)).slice(8, 16);
  }
}

const hashOf = (n: number) => `%${(n >> 16 & 255).toString(16).padStart(2, "0")}${String(n).padStart(19, "0")}`;
const hostOf = (n: number) => `11.${n >> 16 & 255}.${n >> 8 & 255}.${n & 255}`;
const idOf = (n: number) => `-XX0001-${String(n).padStart(12, "0")}`;
const announce = (swarm: number, peer: number, more: string) =>
  `/announce?info_hash=${hashOf(swarm)}&peer_id=${idOf(peer)}&port=6881&compact=1${more}`;

function udpAnnounce(id: Uint8Array, peer: number, left: bigint): Uint8Array {
  const bytes = new Uint8Array(98);
  const view = new DataView(bytes.buffer);
  bytes.set(id);
  view.setUint32(8, 1);
  bytes.set(rawHash(0), 16);
  bytes.set(utf8(idOf(peer)), 36);
  view.setBigInt64(64, left);
  view.setInt32(92, -1);
  view.setUint16(96, 6881);
  return bytes;
}

function udpScrape(id: Uint8Array, count: number): Uint8Array {
  const bytes = new Uint8Array(16 + 20 * count);
  bytes.set(id);
  new DataView(bytes.buffer).setUint32(8, 2);
  for (let i = 0; i < count; i++) bytes.set(rawHash(0), 16 + 20 * i);
  return bytes;
}

function rawHash(n: number): Uint8Array {
  const bytes = new Uint8Array(20).fill(0x30);
  bytes[0] = n >> 16 & 255;
  return bytes;
}

async function measure(name: string, run: (i: number) => Promise<unknown>, rounds = ROUNDS): Promise<void> {
  for (let i = 0; i < Math.min(20, rounds); i++) await run(i);
  const times: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const began = performance.now();
    await run(i);
    times.push(performance.now() - began);
  }
  times.sort((a, b) => a - b);
  const ms = (part: number) => times[Math.min(times.length - 1, Math.floor(times.length * part))]!.toFixed(3);
  console.log(`${name.padEnd(58)} median ${ms(0.5).padStart(8)} ms   99% ${ms(0.99).padStart(8)} ms`);
}

const heap = () => {
  (globalThis as { gc?: () => void }).gc?.();
  return Deno.memoryUsage().heapUsed;
};

async function oneSwarm(kind: "downloading" | "complete" | "partial seeds"): Promise<void> {
  const bench = new Bench();
  const more = kind === "complete" ? "&left=0" : kind === "downloading" ? "&left=5" : "&left=5&event=paused";
  const before = heap();
  const began = performance.now();
  for (let i = 0; i < PEERS; i++) await bench.http(announce(0, i, more), hostOf(i));
  const each = (performance.now() - began) / PEERS;
  const bytes = (heap() - before) / PEERS;
  console.log(
    `\none swarm of ${PEERS} peers, ${kind}: ${each.toFixed(3)} ms each to fill it, ${bytes.toFixed(0)} bytes each`,
  );
  const asker = (i: number) => hostOf(PEERS + i);
  await measure("HTTP announce, downloading", (i) => bench.http(announce(0, PEERS + i, "&left=5"), asker(i)));
  await measure(
    "HTTP announce, downloading, 200 peers, long form",
    (i) => bench.http(announce(0, PEERS + i, "&left=5&numwant=200").replace("compact=1", "compact=0"), asker(i)),
  );
  await measure("HTTP announce, complete", (i) => bench.http(announce(0, PEERS + i, "&left=0"), asker(i)));
  await measure("HTTP stopped and back", async (i) => {
    await bench.http(announce(0, i, "&left=0&event=stopped"), hostOf(i));
    await bench.http(announce(0, i, more), hostOf(i));
  });
  await measure("HTTP scrape", (i) => bench.http(`/scrape?info_hash=${hashOf(0)}`, asker(i)));
  const many = `/scrape?${Array.from({ length: 64 }, () => `info_hash=${hashOf(0)}`).join("&")}`;
  await measure("HTTP scrape, 64 times the same", (i) => bench.http(many, asker(i)), ROUNDS / 3);
  const id4 = await bench.connect("203.0.113.1");
  const id6 = await bench.connect("2001:db8::1");
  await measure("UDP announce, IPv4", (i) => bench.udp(udpAnnounce(id4, PEERS + i, 5n), "203.0.113.1"));
  await measure(
    "UDP announce, IPv6 where all others are IPv4",
    (i) => bench.udp(udpAnnounce(id6, PEERS + i, 5n), "2001:db8::1"),
  );
  await measure("UDP announce, IPv6, complete", (i) => bench.udp(udpAnnounce(id6, PEERS + i, 0n), "2001:db8::1"));
  const id = await bench.connect("203.0.113.2");
  await measure("UDP scrape, 74 times the same", () => bench.udp(udpScrape(id, 74), "203.0.113.2"), ROUNDS / 3);
  await measure("statistics", () => Promise.resolve(bench.tracker.statistics));
  await bench.tracker.close();
}

async function manySwarms(): Promise<void> {
  const bench = new Bench();
  const before = heap();
  for (let i = 0; i < PEERS; i++) await bench.http(announce(i, i, "&left=5"), hostOf(i));
  const bytes = (heap() - before) / PEERS;
  console.log(`\n${PEERS} swarms of one peer: ${bytes.toFixed(0)} bytes each`);
  await measure("HTTP announce", (i) => bench.http(announce(i, PEERS + i, "&left=5"), hostOf(PEERS + i)));
  await measure("HTTP scrape", (i) => bench.http(`/scrape?info_hash=${hashOf(i)}`, hostOf(PEERS + i)));
  await measure("statistics", () => Promise.resolve(bench.tracker.statistics));
  await bench.tracker.close();
}

await oneSwarm("downloading");
await oneSwarm("complete");
await oneSwarm("partial seeds");
await manySwarms();
