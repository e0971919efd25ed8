import { assert, assertEquals } from "@std/assert";
import { type Bytes, utf8 } from "../../src/base/bytes.ts";
import { InfoHash } from "../../src/base/info_hash.ts";
import { BandwidthLimiter } from "../../src/peer/bandwidth_limiter.ts";
import { Peer } from "../../src/peer/peer.ts";
import { PeerLink } from "../../src/peer/peer_link.ts";
import { ReadTurns } from "../../src/peer/read_turns.ts";
import type { Connection } from "../../src/platform/platform.ts";
import { encodeHashRequest } from "../../src/wire/hash_messages.ts";
import { idleHost } from "../support/peer_host.ts";
import { settle, VirtualClock } from "../support/virtual_clock.ts";
import { frame } from "../support/wire.ts";

/** A peer that sends the same bytes again and again, and reads nothing. */
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
  now: () => time += 1000, // slow enough not to reach the flood limit
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
    reads: new ReadTurns(() => Promise.resolve()),
    events: { batch() {}, closed: (_, reason, { fault }) => void reasons.push(`${fault ? "fault: " : ""}${reason}`) },
  });
  peer.unchoke(); // the write of the unchoke never ends
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
    reads: new ReadTurns(() => Promise.resolve()),
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

Deno.test("PeerLink sends hashes no faster than the upload limit, and all at once without one", async () => {
  for (const [rate, most] of [[100_000, 900_000], [null, 16 * 262_000]] as const) {
    const clock = new VirtualClock();
    const proving = { ...host, now: () => clock.now(), proveHashes: () => Promise.resolve(new Uint8Array(8192 * 32)) };
    const handshake = {
      infoHash: new InfoHash(new Uint8Array(20)),
      peerId: utf8("x".repeat(20)),
      fast: true,
      extended: false,
      v2: true,
    };
    const peer = new Peer(proving, { address: { host: "10.0.0.1", port: 1 }, incoming: true, handshake, number: 1 });
    let written = 0;
    const connection: Connection = {
      remote: { host: "10.0.0.1", port: 1 },
      local: { host: "10.0.0.2", port: 2 },
      read: () => new Promise(() => {}),
      write: (bytes) => {
        written += bytes.length;
        return Promise.resolve(bytes.length);
      },
      close() {},
    };
    const link = new PeerLink(peer, {
      connection,
      now: () => clock.now(),
      reads: new ReadTurns(() => Promise.resolve()),
      limits: {
        up: new BandwidthLimiter(clock, rate).party(),
        down: new BandwidthLimiter(clock, null).party(),
      },
      events: { batch() {}, closed() {} },
    });
    link.run();
    for (let i = 0; i < 16; i++) {
      const request = { root: new Uint8Array(32), layer: 0, index: 8192 * i, count: 8192, proofLayers: 0 };
      peer.onHashMessage(21, encodeHashRequest(request));
    }
    for (let i = 0; i < 50; i++) {
      clock.advance(100);
      await settle();
    }
    assert(written > most / 2 && written <= most * 1.01, `${written} bytes at ${rate}`);
    link.close("the test is over");
  }
});

/** Returns links to peers that answer requests and keep sending, with the bytes sent by each. */
function sources(count: number, reads: ReadTurns) {
  const handshake = {
    infoHash: new InfoHash(new Uint8Array(20)),
    peerId: utf8("x".repeat(20)),
    fast: true,
    extended: false,
  };
  return Array.from({ length: count }, (_, number) => {
    const source = { said: 0, link: null as PeerLink | null };
    // Blocks that the host ignores, since the test is only about reading.
    const block = frame(7, ...new Uint8Array(8 + 16384));
    const peer = new Peer(host, { address: { host: "10.0.0.1", port: 1 }, incoming: true, handshake, number });
    const connection: Connection = {
      remote: { host: "10.0.0.1", port: 1 },
      local: { host: "10.0.0.2", port: 2 },
      read: (into) => {
        if (peer.closed) return Promise.reject(new Error("closed"));
        const at = source.said % block.length;
        const bytes = block.subarray(at, at + into.length);
        into.set(bytes);
        source.said += bytes.length;
        return Promise.resolve(bytes.length);
      },
      write: (bytes) => Promise.resolve(bytes.length),
      close() {},
    };
    source.link = new PeerLink(peer, {
      connection,
      now: () => 0,
      reads,
      events: { batch: () => peer.request(0, 0, 16384, 0), closed() {} },
    });
    peer.request(0, 0, 16384, 0);
    return source;
  });
}

for (const [who, count] of [["many peers send, all of them together", 10], ["somebody watches", 1]] as const) {
  Deno.test(`PeerLink gives way after 2 MiB when ${who}`, () => givesWay(count));
}

async function givesWay(count: number): Promise<void> {
  const MIB = 1024 * 1024;
  let go = () => {};
  let turns = 0;
  const reads = new ReadTurns(() => {
    turns++;
    return new Promise((resolve) => go = resolve);
  });
  if (count === 1) reads.watch();
  const peers = sources(count, reads);
  const runs = peers.map(({ link }) => link!.run());
  const said = () => peers.reduce((sum, one) => sum + one.said, 0) / MIB;
  const quiet = async () => {
    for (let before = -1; before !== said();) {
      before = said();
      await settle();
    }
  };
  for (let turn = 1; turn <= 3; turn++) {
    await quiet();
    assertEquals(turns, turn);
    assert(said() >= 2 * turn && said() < 2 * turn + 1, `${said()} MiB after ${turn} turns`);
    go();
  }
  await quiet();
  for (const { link } of peers) link!.close("it is enough");
  go();
  await Promise.all(runs);
}
