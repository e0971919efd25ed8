import { assert, assertEquals, assertThrows } from "@std/assert";
import { type Bytes, utf8 } from "../../src/base/bytes.ts";
import { MAX_HASH_REQUESTS } from "../../src/base/defences.ts";
import { InfoHash } from "../../src/base/info_hash.ts";
import { FloodError } from "../../src/peer/flood_limit.ts";
import { Peer, type PeerHost } from "../../src/peer/peer.ts";
import { FrameReader } from "../../src/wire/frame_reader.ts";
import { FrameWriter } from "../../src/wire/frame_writer.ts";
import { encodeHashes, encodeHashRequest, type HashRequest, parseHashRequest } from "../../src/wire/hash_messages.ts";
import { MessageId, WireError } from "../../src/wire/messages.ts";
import { idleHost } from "../support/peer_host.ts";
import { settle } from "../support/virtual_clock.ts";
import { Recorder } from "../support/wire.ts";

const REQUEST: HashRequest = { root: new Uint8Array(32).fill(7), layer: 1, index: 4, count: 2, proofLayers: 0 };
const PROOF = new Uint8Array(64).fill(9);

function make(host: Partial<PeerHost> = {}, v2 = true) {
  let time = 0;
  const handshake = {
    infoHash: new InfoHash(new Uint8Array(20)),
    peerId: utf8("-TR3000-abcdefghijkl"),
    fast: true,
    extended: true,
    v2,
  };
  const peer = new Peer(idleHost({ pieceCount: 10, pieceSize: () => 65_536, now: () => time, ...host }), {
    address: { host: "10.0.0.9", port: 50_123 },
    incoming: true,
    handshake,
    number: 1,
  });
  const closed: string[] = [];
  peer.output = { flush: () => peer.fillHashes(), close: (reason) => void closed.push(reason) };
  return { peer, closed, advance: (milliseconds: number) => peer.lastReceived = time += milliseconds };
}

/** Feeds a message to a peer, as a read does. */
function say(peer: Peer, id: number, payload: Uint8Array): void {
  const writer = new FrameWriter();
  writer.hashMessage(id, payload);
  const bytes = writer.take();
  peer.reader.space.set(bytes);
  peer.reader.received(bytes.length);
}

/** Returns the ids and requests of the messages written to a peer since the last call. */
function heard(peer: Peer): [number, HashRequest][] {
  const log: [number, HashRequest][] = [];
  const recorder = new (class extends Recorder {
    override onHashMessage(id: number, payload: Bytes) {
      log.push([id, parseHashRequest(payload.slice(0, 48))]);
    }
  })();
  const reader = new FrameReader(recorder, { pieceCount: 10 });
  const bytes = peer.writer.take();
  for (let at = 0; at < bytes.length;) {
    const part = bytes.subarray(at, at + reader.space.length);
    reader.space.set(part);
    reader.received(part.length);
    at += part.length;
  }
  return log;
}

Deno.test("Peer asks for hashes, and passes on the answer with its latency, or the reject", () => {
  const log: unknown[] = [];
  const { peer, advance } = make({
    peerHashes: (_, { layer, index, hashes }, latency) => void log.push([layer, index, hashes.length, latency]),
    peerHashReject: (_, { index }) => void log.push(index),
  });
  const other = { ...REQUEST, index: 6 };
  peer.hashRequests.ask(REQUEST, 0);
  peer.hashRequests.ask(other, 0);
  assertEquals(heard(peer), [[MessageId.hashRequest, REQUEST], [MessageId.hashRequest, other]]);
  assertEquals([peer.hashRequests.size, peer.hashRequests.has(other)], [2, true]);
  advance(30);
  say(peer, MessageId.hashes, encodeHashes(REQUEST, PROOF));
  say(peer, MessageId.hashReject, encodeHashRequest(other));
  assertEquals([log, peer.hashRequests.size], [[[1, 4, 64, 30], 6], 0]);
});

Deno.test("Peer takes hashes and rejects that were not asked for as a violation of the protocol", () => {
  for (
    const [id, payload] of [
      [MessageId.hashes, encodeHashes(REQUEST, PROOF)],
      [MessageId.hashReject, encodeHashRequest(REQUEST)],
    ] as const
  ) {
    const { peer } = make();
    peer.hashRequests.ask({ ...REQUEST, index: 8 }, 0);
    assertThrows(() => say(peer, id, payload), WireError, "not asked for (layer 1, 2 from 4)");
  }
  const { peer } = make();
  peer.hashRequests.ask(REQUEST, 0);
  say(peer, MessageId.hashes, encodeHashes(REQUEST, PROOF));
  assertThrows(() => say(peer, MessageId.hashes, encodeHashes(REQUEST, PROOF)), WireError, "not asked for");
});

Deno.test("Peer answers one request for hashes at a time, and rejects what there isn't", async () => {
  const waiting: ((proof: Bytes | null) => void)[] = [];
  const { peer } = make({ proveHashes: () => new Promise((resolve) => waiting.push(resolve)) });
  const other = { ...REQUEST, index: 6 };
  say(peer, MessageId.hashRequest, encodeHashRequest(REQUEST));
  say(peer, MessageId.hashRequest, encodeHashRequest(other));
  peer.output.flush();
  peer.output.flush();
  assertEquals([waiting.length, heard(peer)], [1, []]);
  waiting[0]!(PROOF);
  await settle();
  assertEquals([waiting.length, heard(peer)], [2, [[MessageId.hashes, REQUEST]]]);
  waiting[1]!(null);
  await settle();
  assertEquals(heard(peer), [[MessageId.hashReject, other]]);
});

Deno.test("Peer rejects requests for hashes beyond its queue, and ends a flood of them", () => {
  const { peer } = make({ proveHashes: () => new Promise(() => {}) });
  const ask = (index: number) => say(peer, MessageId.hashRequest, encodeHashRequest({ ...REQUEST, index: 2 * index }));
  for (let i = 0; i <= MAX_HASH_REQUESTS; i++) ask(i);
  assertEquals([peer.hashUploads.size, heard(peer)], [MAX_HASH_REQUESTS, []], "one is worked on");
  ask(MAX_HASH_REQUESTS + 1);
  assertEquals([peer.hashUploads.size, heard(peer).map(([id]) => id)], [MAX_HASH_REQUESTS, [MessageId.hashReject]]);
  assertThrows(
    () => {
      for (let i = 0; i < 1000; i++) ask(i);
    },
    FloodError,
    "hashRequest messages",
  );
});

Deno.test("Peer serves any number of requests for hashes: what is sent pays for its request", async () => {
  const { peer } = make({ proveHashes: () => Promise.resolve(PROOF) });
  for (let i = 0; i < 2000; i++) {
    say(peer, MessageId.hashRequest, encodeHashRequest({ ...REQUEST, index: 2 * i }));
    peer.output.flush();
    await Promise.resolve();
    while (peer.hashUploads.size > 0) await settle();
    peer.writer.take();
  }
  assert(!peer.closed);
});

Deno.test("Peer takes any number of hashes that it has asked for, and no flood of rejects", () => {
  const { peer } = make();
  for (let i = 0; i < 20_000; i++) {
    const request = { ...REQUEST, index: 2 * i };
    peer.hashRequests.ask(request, 0);
    peer.writer.take();
    const answer = encodeHashes(request, PROOF);
    say(peer, MessageId.hashes, answer);
    peer.flood.read(answer.length + 5);
  }
  assertThrows(
    () => {
      for (let i = 0; i < 1_000; i++) {
        peer.hashRequests.ask(REQUEST, 0);
        peer.writer.take();
        say(peer, MessageId.hashReject, encodeHashRequest(REQUEST));
      }
    },
    FloodError,
    "hashReject messages",
  );
});

Deno.test("Peer answers no more requests for hashes while much waits to be sent", async () => {
  const { peer } = make({ proveHashes: () => Promise.resolve(new Uint8Array(8192 * 32)) });
  for (let i = 0; i < 5; i++) {
    say(peer, MessageId.hashRequest, encodeHashRequest({ ...REQUEST, index: 8192 * i, count: 8192 }));
  }
  peer.output.flush();
  await settle();
  assertEquals(peer.hashUploads.size, 4);
  peer.writer.take();
  peer.output.flush();
  await settle();
  assertEquals(peer.hashUploads.size, 3);
});

Deno.test("Peer ignores messages about hashes where v2 is not in use", () => {
  const { peer } = make({}, false);
  say(peer, MessageId.hashes, encodeHashes(REQUEST, PROOF));
  say(peer, MessageId.hashRequest, encodeHashRequest(REQUEST));
  assertEquals([peer.hashUploads.size, peer.closed], [0, false]);
});
