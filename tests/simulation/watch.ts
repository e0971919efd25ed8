/**
 * Watches the messages that a peer sends and receives, and checks them against the rules of the protocol.
 *
 * @module
 */

import type { PeerAddress } from "../../src/base/address.ts";
import { Bitfield } from "../../src/base/bitfield.ts";
import { type Bytes, concatBytes } from "../../src/base/bytes.ts";
import { EXTENSION_HANDSHAKE, parseExtensionHandshake } from "../../src/wire/extension.ts";
import type { MessageHandler } from "../../src/wire/frame_reader.ts";
import { HANDSHAKE_LENGTH, parseHandshake } from "../../src/wire/handshake.ts";
import { BLOCK_SIZE, MessageId, messageName } from "../../src/wire/messages.ts";
import type { Truth } from "./truth.ts";

/** Request queue of a peer that sends no `reqq`. */
const DEFAULT_QUEUE = 250;

/** Longest message in bytes. Longer ones are ignored, since only liars send them. */
const LONGEST_FRAME = 1024 * 1024;
const NOTHING: Bytes = new Uint8Array(0);

/** Callbacks about the watched peer. */
export interface Watcher {
  /** Torrent of the swarm. */
  readonly truth: Truth;
  /** Called when the peer sends a message other than a keep-alive. */
  spoke(): void;
  /** Called when the peer claims to have a piece. */
  claims(index: number): void;
  /** Returns the number of the current moment, see {@linkcode World.moments}. */
  moment(): number;
  /** Called when the peer sends a request. `isOpen` returns `true` as long as the peer waits for the block. */
  asks(index: number, at: { readonly other: string; isOpen(): boolean }): void;
  /** Called when the peer unchokes the other end. */
  unchoked(): void;
  /** Called when the peer breaks a rule. */
  broke(rule: string, details: string): void;
  /** Called with each message for the trace. `direction` is `>` for sent messages. Absent without a trace. */
  readonly message?: ((direction: ">" | "<", other: string, text: string) => void) | undefined;
}

/** Listens to both directions of a connection. */
export class Listener {
  readonly #state: Conversation;
  readonly #out: Tap;
  readonly #in: Tap;

  /**
   * @param other Address of the other end.
   * @param watcher Callbacks about the watched peer.
   */
  constructor(other: PeerAddress, watcher: Watcher) {
    const state = this.#state = new Conversation(watcher, other.host);
    this.#out = new Tap(new Said(state), (fast) => state.fast &&= fast);
    this.#in = new Tap(new Heard(state), (fast) => state.fast &&= fast);
  }

  /**
   * Takes bytes that the watched peer wrote.
   *
   * @param bytes The bytes.
   * @param isLate `true` if the bytes were composed before an earlier write ended. The peer may have received messages
   * since.
   */
  said(bytes: Bytes, isLate = false): void {
    this.#state.isLate = isLate;
    this.#out.feed(bytes);
  }

  /** Takes bytes that the watched peer read. */
  heard(bytes: Bytes): void {
    this.#in.feed(bytes);
  }
}

/** State that both directions of a connection share. */
class Conversation {
  readonly watcher: Watcher;
  readonly other: string;
  fast = true;
  /** `true` if the watched peer chokes the other end. */
  choking = true;
  /** Outstanding requests of the watched peer. */
  readonly outstanding = new Set<number>();
  /** `true` if the bytes being parsed were composed earlier, see {@linkcode Listener.said}. */
  isLate = false;
  /** By received block: the moment at which it was last received. */
  readonly lastBlocks = new Map<number, number>();
  queueLimit = DEFAULT_QUEUE;
  readonly granted = new Set<number>();

  constructor(watcher: Watcher, other: string) {
    this.watcher = watcher;
    this.other = other;
  }

  note(direction: ">" | "<", id: number, details: string): void {
    if (direction === ">") this.watcher.spoke();
    this.watcher.message?.(direction, this.other, `${messageName(id)}${details}`);
  }
}

function keyOf(index: number, begin: number): number {
  return index * 65_536 + begin / BLOCK_SIZE;
}

/** One direction of a connection. */
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
    const key = keyOf(index, begin);
    state.outstanding.add(key);
    // A block that was received at the same moment has crossed the request.
    const isOpen = () => state.outstanding.has(key) && state.lastBlocks.get(key) !== state.watcher.moment();
    if (!state.isLate) state.watcher.asks(index, { other: state.other, isOpen });
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
    const key = keyOf(index, begin);
    this.state.outstanding.delete(key);
    this.state.lastBlocks.set(key, this.state.watcher.moment());
  }

  override onExtended(id: number, payload: Bytes): void {
    super.onExtended(id, payload);
    if (id !== EXTENSION_HANDSHAKE) return;
    try {
      this.state.queueLimit = parseExtensionHandshake(payload).requestQueue ?? this.state.queueLimit;
    } catch {
      // Only a liar sends this. The peer handles it.
    }
  }
}

/** Splits the bytes of one direction into messages. */
class Tap {
  readonly #handler: MessageHandler;
  readonly #fast: (fast: boolean) => void;
  /** Beginning of an incomplete message. */
  #rest: Bytes = NOTHING;
  #handshake: number[] | null = [];
  #broken = false;

  constructor(handler: MessageHandler, fast: (fast: boolean) => void) {
    this.#handler = handler;
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
    if (at === bytes.length || this.#broken) return;
    const fresh = bytes.subarray(at);
    const source = this.#rest.length === 0 ? fresh : concatBytes([this.#rest, fresh]);
    try {
      const end = this.#parse(source);
      this.#rest = end < source.length ? source.slice(end) : NOTHING;
    } catch {
      this.#broken = true; // Only a liar sends such a message. The peer closes the connection.
    }
  }

  /** Dispatches every complete message. Returns the offset of the first incomplete one. */
  #parse(source: Bytes): number {
    const view = new DataView(source.buffer, source.byteOffset, source.length);
    let at = 0;
    while (source.length - at >= 4) {
      const length = view.getUint32(at);
      if (length > LONGEST_FRAME) throw new Error("a frame is too long");
      if (source.length - at < 4 + length) break;
      at += 4;
      if (length === 0) this.#handler.onKeepAlive();
      else this.#dispatch(view, { source, at, length });
      at += length;
    }
    return at;
  }

  #dispatch(view: DataView, frame: { readonly source: Bytes; readonly at: number; readonly length: number }): void {
    const { source, at, length } = frame;
    const id = source[at]!;
    const handler = this.#handler;
    const number = (i: number) => view.getUint32(at + 1 + 4 * i);
    switch (id) {
      case MessageId.have:
      case MessageId.suggest:
      case MessageId.allowedFast:
        return handler.onPieceSignal(id, number(0));
      case MessageId.request:
      case MessageId.cancel:
      case MessageId.reject:
        return handler.onBlockSignal(id, number(0), number(1), number(2));
      case MessageId.piece:
        return handler.onBlock(number(0), number(1), source, at + 9, length - 9);
      case MessageId.bitfield:
        return handler.onBitfield(source.subarray(at + 1, at + length));
      case MessageId.port:
        return handler.onPort(view.getUint16(at + 1));
      case MessageId.extended:
        return handler.onExtended(source[at + 1]!, source.subarray(at + 2, at + length));
      default:
        return length === 1 ? handler.onSignal(id) : handler.onUnknown(id);
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
