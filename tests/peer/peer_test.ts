import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { Bitfield } from "../../src/base/bitfield.ts";
import { type Bytes, fromUtf8Lossy, utf8 } from "../../src/base/bytes.ts";
import { InfoHash } from "../../src/base/info_hash.ts";
import { encode } from "../../src/bencode/mod.ts";
import { FloodError } from "../../src/peer/flood_limit.ts";
import { Peer, type PeerHost } from "../../src/peer/peer.ts";
import { MAX_REJECTS_IN_A_ROW, MAX_UNKNOWN_BITFIELD, REQUEST_QUEUE_LIMIT } from "../../src/base/defences.ts";
import { FrameReader } from "../../src/wire/frame_reader.ts";
import { MessageId, WireError } from "../../src/wire/messages.ts";
import { settle } from "../support/virtual_clock.ts";
import { frame, Recorder } from "../support/wire.ts";

const PIECES = 10;
const PIECE = 65536;
const BLOCK = 16384;
/** The most bytes of one write. */
const BATCH = 256 * 1024;

/** A torrent that logs what a peer tells it. */
class Host implements PeerHost {
  readonly extensions = [];
  readonly metadataSize = 0;
  readonly nodes: number[] = [];

  peerNode(_peer: Peer, port: number): void {
    this.nodes.push(port);
  }
  readonly pieceCount = PIECES;
  readonly log: string[] = [];
  readonly have = new Bitfield(PIECES);
  cached = true;
  time = 1000;
  loaded = () => {};

  pieceSize = () => PIECE;
  servedSize = () => PIECE;
  now = () => this.time;
  peerHas(_: Peer, index: number) {
    this.log.push(`has ${index}`);
  }
  peerPieces(peer: Peer) {
    this.log.push(`pieces ${peer.pieces.count}`);
  }
  peerChoke(peer: Peer) {
    this.log.push(peer.choking ? "choked" : "unchoked");
  }
  peerInterest(peer: Peer) {
    this.log.push(peer.interested ? "interested" : "not interested");
  }
  peerBlock(
    _: Peer,
    { index, begin, length, latency }: { index: number; begin: number; length: number; latency: number },
  ) {
    this.log.push(`block ${index} ${begin} ${length} after ${latency}`);
  }
  peerRejected(_: Peer, index: number, begin: number): void {
    this.log.push(`rejected ${index} ${begin}`);
  }
  peerHashes() {}
  peerHashReject() {}
  proveHashes = () => Promise.resolve(null);
  peerIntroduced(peer: Peer) {
    this.log.push(`is ${peer.client}`);
  }
  canServe = (index: number) => this.have.has(index);
  readBlock({ length }: { length: number }, into: Bytes, at: number) {
    if (this.cached) into.fill(7, at, at + length);
    return this.cached;
  }
  loadBlock() {
    return new Promise<void>((resolve) => this.loaded = resolve);
  }
}

function make(options: { fast?: boolean; incoming?: boolean; dht?: boolean } = {}) {
  const host = new Host();
  const { fast = true, incoming = false, dht = false } = options;
  const infoHash = new InfoHash(new Uint8Array(20));
  const handshake = { infoHash, peerId: utf8("-TR3000-abcdefghijkl"), fast, extended: true, dht };
  const peer = new Peer(host, { address: { host: "10.0.0.9", port: 50123 }, incoming, handshake, number: 1 });
  const closed: string[] = [];
  let flushed = 0;
  peer.output = {
    flush: () => void flushed++,
    close: (reason) => {
      peer.closed = true;
      closed.push(reason);
    },
  };
  return { host, peer, closed, flushes: () => flushed };
}

/** Feeds bytes to a peer, as reads do. */
function say(peer: Peer, ...frames: Bytes[]): void {
  for (const bytes of frames) {
    for (let at = 0; at < bytes.length;) {
      const { space } = peer.reader;
      const part = bytes.subarray(at, at + space.length);
      space.set(part);
      peer.reader.received(part.length);
      at += part.length;
    }
  }
}

/** Returns the messages written to a peer since the last call. */
function heard(peer: Peer): string[] {
  const recorder = new Recorder();
  const reader = new FrameReader(recorder, { pieceCount: PIECES });
  const bytes = peer.writer.take();
  for (let at = 0; at < bytes.length;) {
    const { space } = reader;
    const part = bytes.subarray(at, at + space.length);
    space.set(part);
    reader.received(part.length);
    at += part.length;
  }
  return recorder.log;
}

function block(id: number, index: number, begin: number, length = BLOCK): Bytes {
  const bytes = frame(id, ...new Array<number>(12).fill(0));
  const view = new DataView(bytes.buffer);
  view.setUint32(5, index);
  view.setUint32(9, begin);
  view.setUint32(13, length);
  return bytes;
}

function piece(index: number, begin: number, length = BLOCK): Bytes {
  const bytes = new Uint8Array(13 + length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 9 + length);
  bytes[4] = MessageId.piece;
  view.setUint32(5, index);
  view.setUint32(9, begin);
  return bytes;
}

Deno.test("Peer.open() says what we have in the shortest form that the other end understands", () => {
  const full = new Bitfield(PIECES);
  full.setAll();
  const some = new Bitfield(PIECES);
  some.set(1);
  const options = { extended: false, version: "Shoal", port: 1 };
  const opening = (have: Bitfield, fast: boolean) => {
    const { peer } = make({ fast });
    peer.open(have, options);
    return heard(peer);
  };
  assertEquals(opening(full, true), ["signal 14"]);
  assertEquals(opening(new Bitfield(PIECES), true), ["signal 15"]);
  assertEquals(opening(some, true), ["bitfield 64,0"]);
  assertEquals(opening(full, false), ["bitfield 255,192"]);
  assertEquals(opening(new Bitfield(PIECES), false), []);
});

Deno.test("Peer takes what the peer has, in every form", () => {
  const { host, peer } = make();
  say(
    peer,
    frame(MessageId.bitfield, 0b10100000, 0),
    frame(MessageId.have, 0, 0, 0, 5),
    frame(MessageId.have, 0, 0, 0, 5),
  );
  assertEquals(host.log, ["pieces 2", "has 5"]);
  const other = make();
  say(other.peer, frame(MessageId.haveAll));
  assertEquals(other.peer.isSeed, true);
});

Deno.test("Peer takes a later bitfield like as many haves, and loses nothing by it", () => {
  const { host, peer } = make();
  say(peer, frame(MessageId.bitfield, 0b10000000, 0), frame(MessageId.bitfield, 0b01100000, 0));
  assertEquals(host.log, ["pieces 1", "has 1", "has 2"]);
  assertEquals(peer.pieces.count, 3);
});

Deno.test("Peer takes a late have-all like as many haves", () => {
  const { host, peer } = make();
  say(peer, frame(MessageId.bitfield, 0b11111111, 0), frame(MessageId.haveAll));
  assertEquals(host.log, ["pieces 8", "has 8", "has 9"]);
  assert(peer.isSeed);
});

Deno.test("Peer takes no news from a choke or an unchoke that changes nothing", () => {
  const { host, peer } = make();
  say(peer, frame(MessageId.choke), frame(MessageId.unchoke), frame(MessageId.unchoke));
  assertEquals(host.log, ["unchoked"]);
});

Deno.test("Peer takes pieces that it may have although choked for no unchoke", () => {
  const { host, peer } = make();
  say(
    peer,
    frame(MessageId.unchoke),
    frame(MessageId.allowedFast, 0, 0, 0, 4),
    frame(MessageId.allowedFast, 0, 0, 0, 4),
  );
  assertEquals(host.log, ["unchoked"]);
  assertEquals([...peer.allowedFast], [4]);
});

Deno.test("Peer believes the first port that the other end names, and no other", () => {
  const { peer } = make({ incoming: true });
  for (const p of [7001, 7002]) say(peer, frame(MessageId.extended, 0, ...encode({ p })));
  assertEquals(peer.address.port, 7001);
});

Deno.test("Peer serves a granted piece no more than twice over", () => {
  const { host, peer } = make();
  host.have.setAll();
  peer.uploads.grant([6]);
  heard(peer);
  for (let i = 0; i < 12; i++) say(peer, block(MessageId.request, 6, (i % 4) * BLOCK));
  assertEquals(peer.uploads.size, 8);
  assertEquals(heard(peer).length, 4, "rejects");
});

Deno.test("Peer breaks off with those who break the protocol", () => {
  const cases: [Bytes, string][] = [
    [frame(MessageId.bitfield, 0, 0b00100000), "bits set past the last piece"],
    [frame(MessageId.have, 0, 0, 0, 10), "names piece 10 of 10"],
    [block(MessageId.request, 10, 0), "goes outside the torrent"],
    [block(MessageId.request, 1, PIECE - 1, 2), "goes outside the torrent"],
    [block(MessageId.request, 1, 0, 0), "asks for 0 bytes"],
    [piece(1, PIECE), "outside the torrent"],
    [piece(1, 5), "outside the torrent"],
    [frame(MessageId.extended, 0, 0x69, 0x31, 0x65), "extension handshake is broken"],
  ];
  for (const [bytes, why] of cases) assertThrows(() => say(make().peer, bytes), WireError, why);
});

Deno.test("Peer measures how long a block took, and tells blocks that were not asked for", () => {
  const { host, peer } = make();
  peer.request(2, BLOCK, BLOCK, host.time);
  peer.lastReceived = host.time + 40; // as PeerLink sets it before parsing a read
  say(peer, piece(2, BLOCK), piece(2, 0));
  assertEquals(host.log, ["block 2 16384 16384 after 40", "block 2 0 16384 after -1"]);
  assertEquals(peer.down.total, 2 * BLOCK);
});

Deno.test("Peer serves what it may, and rejects the rest in the words of BEP 6", () => {
  const { host, peer } = make();
  host.have.set(3);
  say(peer, block(MessageId.request, 3, 0));
  assertEquals(heard(peer), ["block-signal 16 3 0 16384"], "choked");
  peer.unchoke();
  say(peer, block(MessageId.request, 3, 0), block(MessageId.request, 4, 0));
  peer.fillUploads(BATCH);
  const told = heard(peer);
  assertEquals(told.slice(0, 2), ["signal 1", "block-signal 16 4 0 16384"]);
  assert(told[2]!.startsWith("block 3 0 16384"));
});

Deno.test("Peer says nothing to those without BEP 6 about requests that it doesn't serve", () => {
  const { peer } = make({ fast: false });
  say(peer, block(MessageId.request, 3, 0));
  assertEquals(heard(peer), []);
});

Deno.test("Peer.choke() rejects what is waiting, except what went out", () => {
  const { host, peer } = make();
  host.have.setAll();
  host.cached = false;
  peer.unchoke();
  say(peer, block(MessageId.request, 1, 0), block(MessageId.request, 1, BLOCK));
  peer.choke();
  assertEquals(heard(peer), ["signal 1", "signal 0", "block-signal 16 1 0 16384", "block-signal 16 1 16384 16384"]);
  assertEquals(peer.uploads.size, 0);
});

Deno.test("Peer serves pieces of the allowed-fast set although it chokes", () => {
  const { host, peer } = make();
  host.have.setAll();
  peer.uploads.grant([6, 6]);
  assertEquals(heard(peer), ["piece-signal 17 6"]);
  say(peer, block(MessageId.request, 6, 0), block(MessageId.request, 7, 0));
  assertEquals(peer.uploads.size, 1);
});

Deno.test("Peer drops a request that was cancelled", () => {
  const { host, peer } = make();
  host.have.setAll();
  peer.unchoke();
  say(peer, block(MessageId.request, 1, 0), block(MessageId.cancel, 1, 0), block(MessageId.cancel, 2, 0));
  assertEquals(heard(peer), ["signal 1", "block-signal 16 1 0 16384"]);
  assertEquals(peer.uploads.size, 0);
});

Deno.test("Peer holds no more requests than it said", () => {
  const { host, peer } = make();
  host.have.setAll();
  peer.unchoke();
  heard(peer);
  for (let i = 0; i < REQUEST_QUEUE_LIMIT + 3; i++) say(peer, block(MessageId.request, 1, i, 1));
  assertEquals(peer.uploads.size, REQUEST_QUEUE_LIMIT);
  assertEquals(heard(peer).length, 3);
});

Deno.test("Peer.fillUploads() waits for the disk, then goes on by itself", async () => {
  const { host, peer, flushes } = make();
  host.have.setAll();
  host.cached = false;
  peer.unchoke();
  say(peer, block(MessageId.request, 1, 0));
  peer.fillUploads(BATCH);
  peer.fillUploads(BATCH);
  assertEquals([heard(peer), peer.uploads.size, flushes()], [["signal 1"], 1, 0]);
  host.cached = true;
  host.loaded();
  await settle();
  assertEquals(flushes(), 1);
  peer.fillUploads(BATCH);
  assertEquals(peer.uploads.size, 0);
});

Deno.test("Peer.fillUploads() doesn't put more into the send buffer than it is told to", () => {
  const { host, peer } = make();
  host.have.setAll();
  peer.unchoke();
  for (let i = 0; i < 100; i++) say(peer, block(MessageId.request, i % 4, 0));
  peer.fillUploads(BATCH);
  assert(peer.writer.length <= BATCH + BLOCK + 13, `${peer.writer.length} bytes`);
  assert(peer.uploads.size > 80);
});

Deno.test("Peer.cancel() keeps the request until it is answered where BEP 6 holds, else drops it", () => {
  for (const fast of [true, false]) {
    const { peer } = make({ fast });
    peer.request(1, 0, BLOCK, 0);
    peer.requests.cancel(1, 0, BLOCK);
    peer.requests.cancel(2, 0, BLOCK);
    assertEquals(peer.requests.size, fast ? 1 : 0);
    assertEquals(heard(peer), ["block-signal 6 1 0 16384", "block-signal 8 1 0 16384"]);
  }
});

Deno.test("Peer learns from the extension handshake: client, port, request limit, upload-only", () => {
  const { host, peer } = make({ incoming: true });
  const payload = encode({ v: "Test 1", p: 7001, reqq: 3, upload_only: 1, m: { upload_only: 9 } });
  say(peer, frame(MessageId.extended, 0, ...payload));
  assertEquals(host.log, ["is Test 1"]);
  assertEquals([peer.address.port, peer.requests.depth, peer.uploadOnly], [7001, 3, true]);
  peer.announceUploadOnly();
  assertEquals(heard(peer), ["extended 9 1"]);
  say(peer, frame(MessageId.extended, 3, 0));
  assertEquals(peer.uploadOnly, false);
});

Deno.test("Peer.announcePorts() introduces us again with all that was said, when the port is another one", () => {
  const { peer } = make();
  peer.open(null, { extended: true, version: "Test 2", port: 6881 });
  say(peer, frame(MessageId.extended, 0, ...encode({ m: { upload_only: 9 } })));
  peer.announceUploadOnly();
  heard(peer);
  peer.announcePorts({ port: 6881 });
  assertEquals(heard(peer), []);
  peer.announcePorts({ port: 50_000 });
  const sent = fromUtf8Lossy(peer.writer.take());
  for (const part of ["1:pi50000e", "1:v6:Test 2", "11:upload_onlyi1e"]) assertStringIncludes(sent, part);
});

Deno.test("Peer.announcePorts() tells a peer that has a node of the DHT where ours is, each port once and none before it is open", () => {
  for (const dht of [true, false]) {
    const { peer } = make({ dht });
    const said = (port: number) => dht ? [`port ${port}`] : [];
    peer.announcePorts({ port: 6881, dhtPort: 6881 });
    assertEquals(heard(peer), []);
    peer.open(null, { extended: false, version: "Test 2", port: 6881, dhtPort: 6881 });
    assertEquals(heard(peer).filter((message) => message.startsWith("port")), said(6881));
    peer.announcePorts({ port: 6881, dhtPort: 6881 });
    peer.announcePorts({ port: 7000 });
    assertEquals(heard(peer), []);
    peer.announcePorts({ port: 6881, dhtPort: 50_000 });
    peer.open(null, { extended: false, version: "Test 2", port: 6881, dhtPort: 50_000 });
    assertEquals(heard(peer), said(50_000));
  }
});

Deno.test("Peer.setInterested() says so only when it changes", () => {
  const { peer } = make();
  for (const interested of [false, true, true, false]) peer.setInterested(interested);
  assertEquals(heard(peer), ["signal 2", "signal 3"]);
});

Deno.test("Peer sends away who turns down all that it is asked for, but not who chokes", () => {
  const refuse = (choking: boolean) => {
    const { host, peer } = make();
    host.peerRejected = (who) => {
      if (!who.choking) who.turnedDown++;
    };
    if (!choking) say(peer, frame(MessageId.unchoke));
    for (let i = 0; i <= MAX_REJECTS_IN_A_ROW; i++) {
      peer.request(1, 0, BLOCK, 0);
      say(peer, block(MessageId.reject, 1, 0));
    }
  };
  refuse(true);
  assertThrows(() => refuse(false), WireError, "it turns down all that it is asked for");
});

Deno.test("Peer forgets what was turned down once a block comes", () => {
  const { host, peer } = make();
  host.peerRejected = (who) => void who.turnedDown++;
  say(peer, frame(MessageId.unchoke));
  for (let i = 0; i <= 2 * MAX_REJECTS_IN_A_ROW; i++) {
    peer.request(1, 0, BLOCK, 0);
    say(peer, i % 100 === 0 ? piece(1, 0) : block(MessageId.reject, 1, 0));
  }
  assert(peer.turnedDown > MAX_REJECTS_IN_A_ROW, `${peer.turnedDown} in all`);
});

Deno.test("Peer has enough of choke flapping soon, and of everything else in the end", () => {
  const flap = (...ids: number[]) => {
    const { peer } = make();
    say(peer, ...Array.from({ length: 6000 }, (_, i) => frame(ids[i % ids.length]!)));
  };
  for (const ids of [[MessageId.choke, MessageId.unchoke], [MessageId.interested, MessageId.notInterested], [99]]) {
    assertThrows(() => flap(...ids), FloodError, "it says too much that brings nothing");
  }
});

/** Returns a peer of a torrent whose number of pieces isn't known yet. */
function blind(fast = true) {
  const made = make({ fast });
  Object.assign(made.host, { pieceCount: 0 });
  const handshake = { infoHash: new InfoHash(new Uint8Array(20)), peerId: made.peer.peerId, fast, extended: true };
  const peer = new Peer(made.host, { address: made.peer.address, incoming: false, handshake, number: 1 });
  const learn = (pieceCount: number) => {
    Object.assign(made.host, { pieceCount });
    peer.learnPieceCount();
    return [...peer.pieces];
  };
  return { peer, learn };
}

const have = (index: number) => frame(MessageId.have, ...[24, 16, 8, 0].map((shift) => (index >>> shift) & 255));

Deno.test("Peer.learnPieceCount() keeps what a peer said before anybody knew how many pieces there are", () => {
  const said = (frames: readonly Bytes[], pieceCount: number, fast = true) => {
    const { peer, learn } = blind(fast);
    say(peer, ...frames);
    assertEquals([peer.progress, peer.isSeed], [0, false]);
    return learn(pieceCount);
  };
  const bits = frame(MessageId.bitfield, 0b1010_0000, 0);
  assertEquals(said([], 9), []);
  assertEquals(said([bits, have(8)], 9), [0, 2, 8]);
  assertThrows(() => said([bits], 8), WireError, "the bitfield does not fit 8 pieces");
  assertThrows(() => said([bits], 17), WireError, "the bitfield does not fit 17 pieces");
  assertThrows(() => said([frame(MessageId.bitfield, 0, 1)], 15), WireError, "past the last of 15");
  assertEquals(said([frame(MessageId.haveAll)], 3), [0, 1, 2]);
  assertThrows(() => said([have(3)], 3), WireError, "past the last of 3");
});

Deno.test("Peer.learnPieceCount() knows every piece that was named by itself, and no peer names one that there can't be", () => {
  const { peer, learn } = blind();
  const indexes = Array.from({ length: 2_000 }, (_, i) => 25 * i);
  say(peer, ...indexes.map(have));
  assertEquals(learn(50_000), indexes);
  const { peer: other } = blind();
  assertThrows(() => say(other, have(8 * MAX_UNKNOWN_BITFIELD)), WireError, "more than there can be");
});

Deno.test("Peer may ask for the padding after a piece, which nobody is asked for", () => {
  const { host, peer } = make();
  host.pieceSize = () => PIECE - BLOCK;
  host.have.setAll();
  peer.unchoke();
  say(peer, block(MessageId.request, 1, PIECE - BLOCK));
  assertEquals(peer.uploads.size, 1);
  assertThrows(() => say(peer, block(MessageId.request, 1, PIECE)), WireError, "goes outside the torrent");
  assertThrows(() => say(make().peer, piece(1, PIECE)), WireError, "outside the torrent");
  const other = make();
  other.host.pieceSize = () => PIECE - BLOCK;
  assertThrows(() => say(other.peer, piece(1, PIECE - BLOCK)), WireError, "outside the torrent");
});
