/**
 * Scripted peers that misbehave in different ways.
 *
 * @module
 */

import { type Bytes, concatBytes, equalBytes } from "../../src/base/bytes.ts";
import { HASH_BYTES, merkle, rootLayer } from "../../src/base/merkle.ts";
import { sha256 } from "../../src/platform/start_digest.ts";
import { pieceSize } from "../../src/metainfo/mod.ts";
import type { Connection, Listener } from "../../src/platform/platform.ts";
import { encodeExtensionHandshake, EXTENSION_HANDSHAKE } from "../../src/wire/extension.ts";
import { FrameReader, type MessageHandler } from "../../src/wire/frame_reader.ts";
import { FrameWriter } from "../../src/wire/frame_writer.ts";
import { encodeHandshake, HANDSHAKE_LENGTH } from "../../src/wire/handshake.ts";
import { encodeHashes, encodeHashRequest, type HashRequest, parseHashRequest } from "../../src/wire/hash_messages.ts";
import { BLOCK_SIZE, MessageId } from "../../src/wire/messages.ts";
import { PORT, type SimHost } from "./host.ts";
import type { HostProfile, Nic } from "./network.ts";
import type { World } from "./world.ts";

/** Ways to misbehave. */
export const LIES = [
  "wrong data",
  "some wrong data",
  "rejects all",
  "never answers",
  "silent",
  "flaps",
  "oversized",
  "slow loris",
  "duplicates",
  "unrequested",
  "small queue",
  "rubbish",
  "deaf",
  "floods",
  "nonsense",
] as const;

/** Further ways, for scenarios that are about one of them. */
export const SLY_LIES = [
  "zeros",
  "one bad block",
  "one bad block, then chokes",
  "one bad block, then leaves",
  "first blocks only",
  "drips",
  "drips wrong data",
  "turncoat",
] as const;

/** Ways to misbehave with hashes of Merkle trees (BEP 52), by peers whose data is right. */
export const HASH_LIES = [
  "wrong hashes",
  "wrong proofs",
  "unasked hashes",
  "rejects hashes",
  "never sends hashes",
  "asks for hashes",
] as const;

/** A way to misbehave. */
export type Lie = typeof LIES[number] | typeof SLY_LIES[number] | typeof HASH_LIES[number] | "none";

/** Reaction to a request for which a queue has no room. */
export type Overflow = "newest is dropped" | "oldest is dropped" | "rejects" | "hangs up";

/** Request queue of a liar. */
export interface QueueLimit {
  /** Number of requests that the queue holds. */
  readonly size: number;
  readonly overflow: Overflow;
  /** Milliseconds for each block. */
  readonly blockMs: number;
  /** Queue size to claim (`reqq`). Not sent when absent. */
  readonly claim?: number;
}

/** Options for {@linkcode Liar}. */
export interface LiarOptions {
  readonly name: string;
  /** Way to misbehave. */
  readonly lie: Lie;
  /** Line of the liar. */
  readonly profile: HostProfile;
  /** Request queue, unlimited by default. */
  readonly queue?: QueueLimit;
}

/** Milliseconds between two blocks of a liar that drips. */
const DRIP_MS = 2_900;
/** A turncoat sends wrong data after this many right blocks. */
const RIGHT_FIRST = 24;

/** A host with a peer that misbehaves. */
export class Liar {
  readonly lie: Lie;
  readonly name: string;
  readonly nic: Nic;
  readonly world: World;
  readonly queue: QueueLimit | null;
  peerId: Bytes;
  left = false;
  /** Addresses that were still connected a minute after false hashes had been sent to them. */
  readonly unpunished = new Set<string>();
  /** Number of requests received. */
  asked = 0;
  readonly #listener: Listener;
  readonly #lines = new Set<LiarLine>();

  /**
   * @param world World that the liar belongs to.
   * @param options See {@linkcode LiarOptions}.
   */
  constructor(world: World, options: LiarOptions) {
    this.world = world;
    this.lie = options.lie;
    this.queue = options.queue ?? null;
    this.name = options.name;
    this.nic = world.addStranger(options.name, options.profile);
    this.peerId = world.clock.randomBytes(20);
    this.#listener = this.nic.listen({ host: this.nic.ip, port: PORT });
    for (const tracker of world.trackers) tracker.extra.push({ ip: this.nic.ip, port: PORT });
    world.trace(null, `${this.name} at ${this.nic.ip} lies: ${this.lie}`);
    world.go(this.#accept());
  }

  /** Connects to a host. */
  async visit(host: SimHost): Promise<void> {
    if (this.left) return;
    const giveUp = new AbortController();
    this.world.later(5_000, () => giveUp.abort());
    const dialled = await this.nic.dial({ host: host.ip, port: PORT }, { signal: giveUp.signal }).catch(() => null);
    if (dialled) this.#open(dialled);
  }

  /** Closes the listener and all connections for good. */
  leave(): void {
    this.left = true;
    this.#listener.close();
    for (const line of this.#lines) line.end();
  }

  async #accept(): Promise<void> {
    for (;;) {
      const connection = await this.#listener.accept();
      if (!connection) return;
      this.#open(connection);
    }
  }

  #open(connection: Connection): void {
    const line = new LiarLine(this, connection);
    this.#lines.add(line);
    if (this.left) line.end();
    else this.world.go(line.run().finally(() => this.#lines.delete(line)));
  }
}

function isHashLie(lie: Lie): boolean {
  return (HASH_LIES as readonly Lie[]).includes(lie);
}

/** One connection of a liar. */
class LiarLine implements MessageHandler {
  closed = false;
  readonly #liar: Liar;
  readonly #connection: Connection;
  readonly #writer = new FrameWriter();
  readonly #fast: boolean;
  #writing = false;
  #choking = true;
  #held = 0;
  #served = 0;
  #dripping = false;
  readonly #waiting: [index: number, begin: number, length: number][] = [];

  constructor(liar: Liar, connection: Connection) {
    this.#liar = liar;
    this.#connection = connection;
    this.#fast = liar.queue ? liar.queue.overflow === "rejects" : liar.world.chance(0.5);
  }

  end(): void {
    this.closed = true;
    this.#connection.close();
  }

  /** Runs until the connection is over. Errors of the connection are ignored. */
  async run(): Promise<void> {
    try {
      if (this.#liar.lie === "silent") return await this.#listen(null);
      await this.#greet();
      this.#liar.world.go(this.#act().catch(() => this.end()));
      if (this.#liar.lie !== "deaf") await this.#listen(new FrameReader(this, this.#torrent));
    } catch {
      this.end(); // The other end has closed or reset the connection.
    }
  }

  get #torrent() {
    return this.#liar.world.truth.meta;
  }

  async #greet(): Promise<void> {
    const { peerId, lie, world } = this.#liar;
    const victim = world.hosts.find(({ ip }) => ip === this.#connection.remote.host);
    const known = victim?.meta ?? this.#torrent;
    const v2 = isHashLie(lie);
    const infoHash = v2 && known.infoHashV2 !== null ? known.infoHashV2.truncated : known.infoHash;
    const handshake = encodeHandshake({ infoHash, peerId, fast: this.#fast, extended: true, v2 });
    if (lie === "rubbish" && world.chance(0.5)) {
      return await this.#write(world.clock.randomBytes(world.pick(1, 500)));
    }
    if (lie === "slow loris") await this.#drip(handshake);
    else await this.#write(handshake);
    if (lie === "deaf") return;
    for (let left = HANDSHAKE_LENGTH; left > 0;) {
      const count = await this.#connection.read(new Uint8Array(left));
      if (count === null) throw new Error("it hung up");
      left -= count;
    }
  }

  async #drip(bytes: Bytes): Promise<void> {
    for (let at = 0; at < bytes.length && !this.closed; at++) {
      await this.#connection.write(bytes.subarray(at, at + 1));
      await this.#liar.world.sleep(this.#liar.world.between(10, 2_000));
    }
  }

  /** Announces all pieces, unchokes, and then misbehaves at random times until the connection is over. */
  async #act(): Promise<void> {
    const { lie, world } = this.#liar;
    const { pieceCount } = this.#torrent;
    const reqq = lie === "small queue" ? 4 : world.oneOf([1, 50, 250, 100_000]);
    const { queue } = this.#liar;
    const said = !queue ? { requestQueue: reqq } : queue.claim === undefined ? {} : { requestQueue: queue.claim };
    const extension = encodeExtensionHandshake(said, { remoteHost: this.#connection.remote.host });
    const bits = new Uint8Array(Math.ceil(pieceCount / 8)).fill(255);
    if (pieceCount % 8 > 0) bits[bits.length - 1] = 255 << (8 - pieceCount % 8);
    if (this.#fast) this.#writer.signal(MessageId.haveAll);
    else this.#writer.bitfield(bits);
    this.#writer.extended(EXTENSION_HANDSHAKE, extension);
    if (lie === "slow loris") return await this.#drip(this.#writer.take().slice());
    this.#choke(false);
    if (world.chance(0.5)) this.#writer.signal(MessageId.interested);
    this.#flush();
    while (!this.closed && !this.#liar.left) {
      await world.sleep(world.between(50, 3_000));
      if (!this.closed) this.#misbehave();
    }
  }

  #misbehave(): void {
    const { lie, world } = this.#liar;
    const { pieceCount } = this.#torrent;
    const index = world.pick(0, pieceCount - 1);
    if (lie === "flaps") this.#choke(!this.#choking);
    if (lie === "unrequested") this.#serve(index, 0, Math.min(BLOCK_SIZE, pieceSize(this.#torrent, index)));
    if (lie === "oversized" && world.chance(0.2)) {
      const header = new Uint8Array(5);
      new DataView(header.buffer).setUint32(0, world.oneOf([2 ** 32 - 1, 2 ** 31, 2 ** 24, 200_000]));
      header[4] = world.oneOf([MessageId.piece, MessageId.have, MessageId.bitfield, MessageId.extended, 99]);
      this.#writer.raw(header);
    }
    if (lie === "rubbish") this.#writer.raw(world.clock.randomBytes(world.pick(1, 300)));
    if (lie === "deaf" || lie === "floods") {
      this.#writer.signal(MessageId.interested);
      for (let i = world.pick(1, 600); i > 0; i--) {
        this.#writer.blockSignal(MessageId.request, world.pick(0, pieceCount - 1), 0, world.pick(1, 1_000));
      }
    }
    if (lie === "nonsense") this.#talkNonsense(index);
    if (lie === "unasked hashes" && world.chance(0.3)) this.#answer(this.#anyHashes());
    if (lie === "asks for hashes") {
      for (let i = world.pick(1, 40); i > 0; i--) {
        this.#writer.hashMessage(MessageId.hashRequest, encodeHashRequest(this.#anyHashes()));
      }
    }
    this.#flush();
  }

  /** Sends a well-formed message that makes no sense. */
  #talkNonsense(index: number): void {
    const { world } = this.#liar;
    const writer = this.#writer;
    const anywhere = world.oneOf([index, this.#torrent.pieceCount, 2 ** 31]);
    switch (world.pick(0, 7)) {
      case 0:
        return writer.pieceSignal(MessageId.have, anywhere);
      case 1:
        return writer.blockSignal(MessageId.cancel, anywhere, world.pick(0, 100_000), world.pick(0, 100_000));
      case 2:
        return writer.blockSignal(
          MessageId.request,
          anywhere,
          world.oneOf([0, 2 ** 30]),
          world.oneOf([0, 2 ** 17 + 1]),
        );
      case 3:
        return writer.blockSignal(MessageId.reject, anywhere, 0, BLOCK_SIZE);
      case 4:
        return writer.pieceSignal(MessageId.suggest, anywhere);
      case 5:
        return writer.pieceSignal(MessageId.allowedFast, anywhere);
      case 6:
        return writer.extended(world.pick(0, 5), world.clock.randomBytes(world.pick(0, 40)));
      default:
        for (let i = 0; i < 20; i++) writer.signal(world.oneOf([MessageId.interested, MessageId.notInterested]));
    }
  }

  /** Draws a request for hashes of any layer, mostly one that makes sense. */
  #anyHashes(): HashRequest {
    const { world } = this.#liar;
    const file = world.oneOf(this.#torrent.files.filter(({ root }) => root));
    const height = rootLayer(file.length);
    const layer = world.pick(0, Math.max(0, height - 1));
    const count = 2 ** world.pick(1, Math.max(1, height - layer));
    const index = count * world.pick(0, Math.max(0, 2 ** (height - layer) / count - 1));
    const proofLayers = world.chance(0.1) ? world.pick(0, 60) : Math.max(0, height - layer - 1);
    return { root: file.root!, layer, index, count: world.chance(0.05) ? world.pick(0, 2 ** 31) : count, proofLayers };
  }

  /** Sends hashes and their proof, which may be false. */
  #answer(request: HashRequest): void {
    const { lie, world } = this.#liar;
    const { data } = world.truth.files.find(({ index }) => {
      const { root } = this.#torrent.files[index]!;
      return root && equalBytes(root, request.root);
    })!;
    const blocks: Bytes[] = [];
    for (let at = 0; at < data.length; at += BLOCK_SIZE) blocks.push(sha256(data.subarray(at, at + BLOCK_SIZE)));
    const layer = merkle.above(concatBytes(blocks), { from: 0, to: request.layer });
    if (request.count > 8192) return;
    const proof = merkle.prove(layer, request);
    const own = request.count * HASH_BYTES;
    if (lie === "wrong hashes") proof[world.pick(0, own - 1)]! ^= 1;
    if (lie === "wrong proofs") proof[proof.length > own ? world.pick(own, proof.length - 1) : 0]! ^= 1;
    this.#writer.hashMessage(MessageId.hashes, encodeHashes(request, proof));
  }

  #choke(choking: boolean): void {
    this.#choking = choking;
    this.#writer.signal(choking ? MessageId.choke : MessageId.unchoke);
  }

  #serve(index: number, begin: number, length: number): void {
    const { lie, world } = this.#liar;
    const offset = index * this.#torrent.pieceLength + begin;
    const at = this.#writer.reserveBlock(index, begin, length);
    this.#writer.buffer.set(world.truth.data.subarray(offset, offset + length), at);
    const wrong = lie === "wrong data" || lie.startsWith("one bad block") || lie === "drips wrong data" ||
      (lie === "turncoat" && this.#served > RIGHT_FIRST) || (lie === "some wrong data" && world.chance(0.3));
    if (wrong) this.#writer.buffer[at + world.pick(0, length - 1)]! ^= 1 << world.pick(0, 7);
    if (lie === "zeros") this.#writer.buffer.fill(0, at, at + length);
  }

  async #listen(reader: FrameReader | null): Promise<void> {
    const nowhere = new Uint8Array(1024);
    while (!this.closed) {
      const count = await this.#connection.read(reader?.space ?? nowhere);
      if (count === null) return this.end();
      reader?.received(count);
      this.#flush();
    }
  }

  #flush(): void {
    if (this.#writing || this.closed) return;
    this.#writing = true;
    const all = async () => {
      while (this.#writer.length > 0 && !this.closed) await this.#write(this.#writer.take().slice());
      this.#writing = false;
    };
    this.#liar.world.go(all().catch(() => this.end()));
  }

  async #write(bytes: Bytes): Promise<void> {
    for (let at = 0; at < bytes.length;) at += await this.#connection.write(bytes.subarray(at));
  }

  // Handlers of received messages.

  onBlockSignal(id: number, index: number, begin: number, length: number): void {
    if (id !== MessageId.request || this.closed) return;
    const { lie, world, queue } = this.#liar;
    this.#liar.asked++;
    if (queue) return this.#enqueue([index, begin, length], queue);
    if (lie === "never answers" || lie === "oversized" || lie === "rubbish" || lie === "slow loris") return;
    if (lie === "rejects all" || (this.#choking && lie === "flaps")) {
      if (this.#fast) this.#writer.blockSignal(MessageId.reject, index, begin, length);
      return;
    }
    if (lie === "small queue") {
      if (this.#held >= 4) return;
      this.#held++;
      world.later(world.between(10, 300), () => {
        this.#held--;
        this.#serve(index, begin, length);
        this.#flush();
      });
      return;
    }
    if (lie === "first blocks only" && begin > 0) return;
    if (lie.startsWith("one bad block") && this.#served > 0) return;
    if (lie.startsWith("drips")) {
      this.#waiting.push([index, begin, length]);
      return this.#drop();
    }
    this.#served++;
    if (lie === "one bad block, then chokes") world.later(50, () => this.#afterwards(() => this.#choke(true)));
    if (lie === "one bad block, then leaves") world.later(50, () => this.#comeBack());
    for (let times = lie === "duplicates" ? world.pick(1, 3) : 1; times > 0; times--) this.#serve(index, begin, length);
  }

  #afterwards(say: () => void): void {
    if (this.closed) return;
    say();
    this.#flush();
  }

  /** Closes the connection, and connects to all hosts with a new peer id. */
  #comeBack(): void {
    const { world, left } = this.#liar;
    if (this.closed || left) return;
    this.end();
    this.#liar.peerId = world.clock.randomBytes(20);
    world.later(200, () => world.hosts.map((host) => this.#liar.visit(host)));
  }

  /** Sends waiting blocks one by one, with a pause before each. */
  #drop(): void {
    if (this.#dripping) return;
    const { world } = this.#liar;
    this.#dripping = true;
    world.later(DRIP_MS, () => {
      this.#dripping = false;
      const next = this.#waiting.shift();
      if (!next || this.closed) return;
      this.#serve(...next);
      this.#flush();
      if (this.#waiting.length > 0) this.#drop();
    });
  }

  /** Adds a request to the queue, or handles its overflow. */
  #enqueue(request: [index: number, begin: number, length: number], queue: QueueLimit): void {
    if (this.#waiting.length >= queue.size) {
      if (queue.overflow === "hangs up") return this.end();
      if (queue.overflow === "rejects") return this.#writer.blockSignal(MessageId.reject, ...request);
      if (queue.overflow === "newest is dropped") return;
      this.#waiting.shift();
    }
    this.#waiting.push(request);
    this.#work(queue);
  }

  #work(queue: QueueLimit): void {
    if (this.#dripping) return;
    this.#dripping = true;
    this.#liar.world.later(queue.blockMs, () => {
      this.#dripping = false;
      const next = this.#waiting.shift();
      if (!next || this.closed) return;
      this.#serve(...next);
      this.#flush();
      if (this.#waiting.length > 0) this.#work(queue);
    });
  }

  onHashMessage(id: number, payload: Bytes): void {
    const { lie } = this.#liar;
    if (id !== MessageId.hashRequest || this.closed || !isHashLie(lie) || lie === "never sends hashes") return;
    const request = parseHashRequest(payload);
    if (lie === "rejects hashes") this.#writer.hashMessage(MessageId.hashReject, encodeHashRequest(request));
    else {
      this.#answer(request);
      if (lie !== "wrong hashes" && lie !== "wrong proofs") return;
      this.#liar.world.later(60_000, () => this.closed || this.#liar.unpunished.add(this.#connection.remote.host));
    }
  }

  onKeepAlive(): void {}
  onSignal(): void {}
  onPieceSignal(): void {}
  onBitfield(): void {}
  onBlock(): void {}
  onPort(): void {}
  onExtended(): void {}
  onUnknown(): void {}
}
