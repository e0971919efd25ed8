import { assert, assertEquals } from "@std/assert";
import { type Bytes, utf8 } from "../../src/base/bytes.ts";
import { InfoHash } from "../../src/base/info_hash.ts";
import { Peer } from "../../src/peer/peer.ts";
import { PeerLink } from "../../src/peer/peer_link.ts";
import { ReadShare } from "../../src/peer/read_share.ts";
import type { Connection } from "../../src/platform/platform.ts";
import { idleHost } from "../support/peer_host.ts";
import { settle } from "../support/virtual_clock.ts";
import { frame } from "../support/wire.ts";

/** A peer that says the same thing again and again, and reads nothing. */
class Chatterbox implements Connection {
  readonly remote = { host: "10.0.0.1", port: 1 };
  readonly local = { host: "10.0.0.2", port: 2 };
  closed = false;
  said = 0;
  readonly #words: Bytes;

  constructor(words: Bytes) {
    this.#words = words;
  }

  read(into: Bytes): Promise<number | null> {
    if (this.closed) return Promise.reject(new Error("closed"));
    const count = Math.floor(into.length / this.#words.length) * this.#words.length;
    for (let at = 0; at < count; at += this.#words.length) into.set(this.#words, at);
    this.said += count;
    return Promise.resolve(count);
  }
  write(): Promise<number> {
    return new Promise(() => {});
  }
  close(): void {
    this.closed = true;
  }
}

let time = 0;
const host = idleHost({
  pieceCount: 10,
  pieceSize: () => 65536,
  now: () => time += 1000, // slow enough that nobody minds how much it says
});

Deno.test("PeerLink closes on a peer that asks on and on and doesn't read the answers", async () => {
  const handshake = {
    infoHash: new InfoHash(new Uint8Array(20)),
    peerId: utf8("x".repeat(20)),
    fast: true,
    extended: false,
  };
  const peer = new Peer(host, { address: { host: "10.0.0.1", port: 1 }, incoming: true, handshake, number: 1 });
  const request = frame(6, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x40, 0);
  const connection = new Chatterbox(request);
  const reasons: string[] = [];
  const link = new PeerLink(peer, {
    connection,
    now: () => 0,
    reads: new ReadShare(),
    events: { batch() {}, closed: (_, reason, { fault }) => void reasons.push(`${fault ? "fault: " : ""}${reason}`) },
  });
  peer.unchoke(); // the write of this never ends
  await link.run();
  await settle();
  assertEquals(reasons, ["fault: protocol error: it asks for more than it reads"]);
  assert(connection.closed && connection.said < 16 * 1024 * 1024, `${connection.said} bytes`);
});

Deno.test("PeerLink writes large batches of blocks to a quick peer and small ones to a slow peer", async () => {
  const BLOCK = 16384;
  let now = 0;
  const handshake = {
    infoHash: new InfoHash(new Uint8Array(20)),
    peerId: utf8("x".repeat(20)),
    fast: true,
    extended: false,
  };
  const serving = { ...host, now: () => now, canServe: () => true, readBlock: () => true };
  const peer = new Peer(serving, { address: { host: "10.0.0.1", port: 1 }, incoming: true, handshake, number: 1 });
  const writes: number[] = [];
  let wrote = (_: number) => {};
  const connection: Connection = {
    remote: { host: "10.0.0.1", port: 1 },
    local: { host: "10.0.0.2", port: 2 },
    read: () => new Promise(() => {}),
    write: (bytes) => {
      writes.push(Math.round(bytes.length / BLOCK));
      return new Promise((resolve) => wrote = () => resolve(bytes.length));
    },
    close() {},
  };
  const link = new PeerLink(peer, {
    connection,
    now: () => now,
    reads: new ReadShare(),
    events: { batch() {}, closed() {} },
  });
  link.run();
  peer.unchoke();
  for (let i = 0; i < 200; i++) peer.onBlockSignal(6, i % 10, BLOCK * (i % 4), BLOCK);
  link.flush();
  for (const milliseconds of [1, 1, 1, 1, 1, 1000, 1000, 1000, 1000, 100, 1]) {
    now += milliseconds;
    wrote(0);
    await settle();
  }
  assertEquals(writes, [2, 4, 8, 16, 16, 16, 8, 4, 2, 2, 2, 4]);
});

Deno.test("PeerLink reads less at a time when many peers are asked, and more again when they leave", async () => {
  const reads = new ReadShare();
  const links: PeerLink[] = [];
  const rooms = new Map<PeerLink, number>();
  const handshake = {
    infoHash: new InfoHash(new Uint8Array(20)),
    peerId: utf8("x".repeat(20)),
    fast: true,
    extended: false,
  };
  const bring = new Map<PeerLink, (count: number) => void>();
  for (let number = 1; number <= 200; number++) {
    const peer = new Peer(host, { address: { host: "10.0.0.1", port: 1 }, incoming: true, handshake, number });
    const connection: Connection = {
      remote: { host: "10.0.0.1", port: 1 },
      local: { host: "10.0.0.2", port: 2 },
      read: (into) => {
        rooms.set(link, into.length);
        return new Promise((resolve) => bring.set(link, resolve));
      },
      write: (bytes) => Promise.resolve(bytes.length),
      close() {},
    };
    const link = new PeerLink(peer, { connection, now: () => 0, reads, events: { batch() {}, closed() {} } });
    for (let i = 0; i < 64; i++) peer.request(0, 0, 16384);
    links.push(link);
    void link.run();
  }
  /** Reads that are full, of keep-alives, until the buffer has grown as far as it does. */
  const roomOf = async (link: PeerLink) => {
    for (let i = 0; i < 4; i++) {
      bring.get(link)!(rooms.get(link)!);
      await settle();
    }
    return rooms.get(link);
  };
  assertEquals(await roomOf(links[0]!), 64 * 1024);
  for (const link of links.slice(100)) link.close("it is enough");
  assertEquals(reads.bytes, 64 * 1024);
  for (const link of links.slice(1, 100)) link.close("it is enough");
  assertEquals(reads.bytes, 256 * 1024);
  assertEquals(await roomOf(links[0]!), 256 * 1024);
  links[0]!.close("that was all");
});
