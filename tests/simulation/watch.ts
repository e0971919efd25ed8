/**
 * Watches what an honest peer says and hears, and holds it to its word.
 *
 * @module
 */

import type { PeerAddress } from "../../src/base/address.ts";
import { Bitfield } from "../../src/base/bitfield.ts";
import type { Bytes } from "../../src/base/bytes.ts";
import type { Connection } from "../../src/platform/platform.ts";
import { EXTENSION_HANDSHAKE, parseExtensionHandshake } from "../../src/wire/extension.ts";
import { FrameReader, type MessageHandler } from "../../src/wire/frame_reader.ts";
import { HANDSHAKE_LENGTH, parseHandshake } from "../../src/wire/handshake.ts";
import { BLOCK_SIZE, MessageId, messageName } from "../../src/wire/messages.ts";
import type { Truth } from "./truth.ts";

/** Requests that a peer holds when it doesn't say. */
const DEFAULT_QUEUE = 250;

/** Who wants to know. */
export interface Watcher {
  /** What everybody shares. */
  readonly truth: Truth;
  /** The peer claims to have a piece. */
  claims(index: number): void;
  /** The peer unchoked somebody. */
  unchoked(): void;
  /** The peer did what it must not do. */
  broke(rule: string, details: string): void;
  /** A message, for the trace; `direction` is `>` for what the peer says. Absent when nobody reads the trace. */
  readonly message?: ((direction: ">" | "<", other: string, text: string) => void) | undefined;
}

/** A connection that is watched. */
export class WatchedConnection implements Connection {
  readonly local: PeerAddress;
  readonly remote: PeerAddress;
  readonly #inner: Connection;
  readonly #out: Tap;
  readonly #in: Tap;

  /**
   * @param inner The connection.
   * @param watcher Who wants to know.
   */
  constructor(inner: Connection, watcher: Watcher) {
    this.#inner = inner;
    this.local = inner.local;
    this.remote = inner.remote;
    const state = new Conversation(watcher, inner.remote.host);
    this.#out = new Tap(new Said(state), watcher.truth.meta.pieceCount, (fast) => state.fast &&= fast);
    this.#in = new Tap(new Heard(state), watcher.truth.meta.pieceCount, (fast) => state.fast &&= fast);
  }

  async read(into: Bytes): Promise<number | null> {
    const count = await this.#inner.read(into);
    if (count !== null) this.#in.feed(into.subarray(0, count));
    return count;
  }

  async write(bytes: Bytes): Promise<number> {
    const count = await this.#inner.write(bytes);
    this.#out.feed(bytes.subarray(0, count));
    return count;
  }

  close(): void {
    this.#inner.close();
  }
}

/** What both directions have to know of each other. */
class Conversation {
  readonly watcher: Watcher;
  readonly other: string;
  fast = true;
  /** Whether the watched peer chokes the other. */
  choking = true;
  /** Requests that the other holds, as the watched peer must see it. */
  readonly outstanding = new Set<number>();
  queueLimit = DEFAULT_QUEUE;
  readonly granted = new Set<number>();

  constructor(watcher: Watcher, other: string) {
    this.watcher = watcher;
    this.other = other;
  }

  note(direction: ">" | "<", id: number, details: string): void {
    this.watcher.message?.(direction, this.other, `${messageName(id)}${details}`);
  }
}

function keyOf(index: number, begin: number): number {
  return index * 65_536 + begin / BLOCK_SIZE;
}

/** One direction of a conversation. */
abstract class Side implements MessageHandler {
  readonly closed = false;
  constructor(readonly state: Conversation, readonly direction: ">" | "<") {}
  onKeepAlive(): void {
    this.state.watcher.message?.(this.direction, this.state.other, "keep-alive");
  }
  onSignal(id: number): void {
    this.state.note(this.direction, id, "");
  }
  onPieceSignal(id: number, index: number): void {
    this.state.note(this.direction, id, ` ${index}`);
  }
  onBlockSignal(id: number, index: number, begin: number, length: number): void {
    this.state.note(this.direction, id, ` ${index}:${begin}+${length}`);
  }
  onBitfield(bits: Bytes): void {
    this.state.note(this.direction, MessageId.bitfield, ` of ${bits.length} bytes`);
  }
  onBlock(index: number, begin: number, _source: Bytes, _at: number, length: number): void {
    this.state.note(this.direction, MessageId.piece, ` ${index}:${begin}+${length}`);
  }
  onPort(port: number): void {
    this.state.note(this.direction, MessageId.port, ` ${port}`);
  }
  onExtended(id: number, payload: Bytes): void {
    this.state.note(this.direction, MessageId.extended, ` ${id}, ${payload.length} bytes`);
  }
  onUnknown(id: number): void {
    this.state.note(this.direction, id, "");
  }
}

class Said extends Side {
  constructor(state: Conversation) {
    super(state, ">");
  }

  override onSignal(id: number): void {
    super.onSignal(id);
    const { state } = this;
    if (id === MessageId.haveAll) {
      for (let i = 0; i < state.watcher.truth.meta.pieceCount; i++) state.watcher.claims(i);
    }
    if (id === MessageId.choke) state.choking = true;
    if (id === MessageId.unchoke) {
      state.choking = false;
      state.watcher.unchoked();
    }
  }

  override onPieceSignal(id: number, index: number): void {
    super.onPieceSignal(id, index);
    if (id === MessageId.have) this.state.watcher.claims(index);
    if (id === MessageId.allowedFast) this.state.granted.add(index);
  }

  override onBitfield(bits: Bytes): void {
    super.onBitfield(bits);
    const pieces = Bitfield.fromBytes(bits, this.state.watcher.truth.meta.pieceCount);
    if (!pieces) this.state.watcher.broke("honest words", "it sent a bitfield with bits past the end");
    else for (const index of pieces) this.state.watcher.claims(index);
  }

  override onBlockSignal(id: number, index: number, begin: number, length: number): void {
    super.onBlockSignal(id, index, begin, length);
    const { state } = this;
    if (id === MessageId.cancel) state.outstanding.delete(keyOf(index, begin));
    if (id !== MessageId.request) return;
    state.outstanding.add(keyOf(index, begin));
    if (state.outstanding.size <= state.queueLimit) return;
    state.watcher.broke(
      "no request beyond reqq",
      `${state.outstanding.size} requests are outstanding at ${state.other}, which holds ${state.queueLimit}`,
    );
  }

  override onBlock(index: number, begin: number, source: Bytes, at: number, length: number): void {
    super.onBlock(index, begin, source, at, length);
    const { watcher, choking, granted, other } = this.state;
    const offset = index * watcher.truth.meta.pieceLength + begin;
    if (!watcher.truth.matches(source.subarray(at, at + length), offset)) {
      watcher.broke("no byte wrong", `it sent wrong bytes of piece ${index} at ${begin} to ${other}`);
    }
    if (choking && !granted.has(index)) {
      watcher.broke("nothing for the choked", `it sent piece ${index} at ${begin} to ${other}, which it chokes`);
    }
  }
}

class Heard extends Side {
  constructor(state: Conversation) {
    super(state, "<");
  }

  override onSignal(id: number): void {
    super.onSignal(id);
    if (id === MessageId.choke && !this.state.fast) this.state.outstanding.clear();
  }

  override onBlockSignal(id: number, index: number, begin: number, length: number): void {
    super.onBlockSignal(id, index, begin, length);
    if (id === MessageId.reject) this.state.outstanding.delete(keyOf(index, begin));
  }

  override onBlock(index: number, begin: number, source: Bytes, at: number, length: number): void {
    super.onBlock(index, begin, source, at, length);
    this.state.outstanding.delete(keyOf(index, begin));
  }

  override onExtended(id: number, payload: Bytes): void {
    super.onExtended(id, payload);
    if (id !== EXTENSION_HANDSHAKE) return;
    try {
      this.state.queueLimit = parseExtensionHandshake(payload).requestQueue ?? this.state.queueLimit;
    } catch {
      // A liar's rubbish: what the peer makes of it is its business.
    }
  }
}

/** Cuts one direction into messages. */
class Tap {
  readonly #reader: FrameReader;
  readonly #fast: (fast: boolean) => void;
  #handshake: number[] | null = [];
  #broken = false;

  constructor(handler: MessageHandler, pieceCount: number, fast: (fast: boolean) => void) {
    this.#reader = new FrameReader(handler, { pieceCount });
    this.#fast = fast;
  }

  feed(bytes: Bytes): void {
    let at = 0;
    while (this.#handshake !== null && at < bytes.length) {
      this.#handshake.push(bytes[at++]!);
      if (this.#handshake.length < HANDSHAKE_LENGTH) continue;
      this.#open(Uint8Array.from(this.#handshake));
      this.#handshake = null;
    }
    while (at < bytes.length && !this.#broken) {
      const { space } = this.#reader;
      const part = bytes.subarray(at, at + space.length);
      space.set(part);
      at += part.length;
      try {
        this.#reader.received(part.length);
      } catch {
        this.#broken = true; // a liar's frame that is none; the peer ends the connection over it
      }
    }
  }

  #open(handshake: Bytes): void {
    try {
      this.#fast(parseHandshake(handshake).fast);
    } catch {
      this.#broken = true;
    }
  }
}
