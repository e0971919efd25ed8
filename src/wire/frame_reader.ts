/**
 * Bytes from a peer to messages, parsed in place.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { MAX_EXTENDED, MAX_RECEIVE_BUFFER, MAX_UNKNOWN, MAX_UNKNOWN_BITFIELD } from "../base/defences.ts";
import { BLOCK_SIZE, FIXED_LENGTH, MessageId, messageName, PIECE_HEADER, WireError } from "./messages.ts";

/** Takes messages as they are parsed. Views of the buffer are good only during the call. */
export interface MessageHandler {
  /** `true` once no more messages are wanted; what is left in the buffer is then not parsed. */
  readonly closed: boolean;
  /** A keep-alive: a frame of length 0. */
  onKeepAlive(): void;
  /** Any message of one byte: choke, unchoke, interested, not interested, have all, have none. */
  onSignal(id: number): void;
  /** Any message that names a piece: have, suggest, allowed fast. */
  onPieceSignal(id: number, index: number): void;
  /** Any message that names a block: request, cancel, reject. */
  onBlockSignal(id: number, index: number, begin: number, length: number): void;
  /** The pieces that the peer has. */
  onBitfield(bits: Bytes): void;
  /** A block: `length` bytes of `source` from `at`. */
  onBlock(index: number, begin: number, source: Bytes, at: number, length: number): void;
  /** The UDP port of the peer's DHT node. */
  onPort(port: number): void;
  /** An extension message (BEP 10). */
  onExtended(id: number, payload: Bytes): void;
  /** A message that we don't know, to be ignored. */
  onUnknown(id: number): void;
}

/** Options for {@linkcode FrameReader}. */
export interface FrameReaderOptions {
  /** Number of pieces of the torrent, which fixes the length of a bitfield; 0 while unknown. */
  readonly pieceCount: number;
}

/** Receive buffer of a peer that has not sent much. */
const SMALL_BUFFER = 4 * 1024;

/**
 * A receive buffer that cuts a stream into messages.
 *
 * Call {@linkcode FrameReader.space} for room, read into it, and report how much came with
 * {@linkcode FrameReader.received}. The buffer grows when reads fill it and frames need it, never past the limits.
 */
export class FrameReader {
  readonly #handler: MessageHandler;
  #bitfieldLength = 0;
  #buffer: Bytes = new Uint8Array(SMALL_BUFFER);
  #view = new DataView(this.#buffer.buffer);
  #start = 0;
  #end = 0;
  #frames = 0;

  /**
   * @param handler Takes the messages.
   * @param options `pieceCount`: pieces of the torrent, which fixes the length of a bitfield; 0 while nobody knows.
   */
  constructor(handler: MessageHandler, options: FrameReaderOptions) {
    this.#handler = handler;
    this.setPieceCount(options.pieceCount);
  }

  /** How many pieces there are, once that is known. */
  setPieceCount(pieceCount: number): void {
    this.#bitfieldLength = Math.ceil(pieceCount / 8);
  }

  /** Frames that have been parsed. */
  get frames(): number {
    return this.#frames;
  }

  /** Whether a frame has begun and isn't here whole. */
  get partial(): boolean {
    return this.#end > this.#start;
  }

  /** Bytes of a block that has begun and isn't here whole. */
  get begun(): number {
    const bytes = this.#end - this.#start - PIECE_HEADER;
    return bytes > 0 && this.#buffer[this.#start + 4] === MessageId.piece ? bytes : 0;
  }

  /** Room for the next read; never empty. Good until the next call of {@linkcode FrameReader.received}. */
  get space(): Bytes {
    return this.#buffer.subarray(this.#end);
  }

  /**
   * Parses what a read brought.
   *
   * @param count How many bytes were put into {@linkcode FrameReader.space}.
   * @throws {WireError} If a frame is too long or has the wrong length for its kind, and what the handler throws.
   */
  received(count: number): void {
    const filled = this.#end + count === this.#buffer.length;
    this.#end += count;
    let needed = 4;
    while (this.#end - this.#start >= 4 && !this.#handler.closed) {
      const length = this.#view.getUint32(this.#start);
      if (length > 0 && this.#end - this.#start > 4) this.#checkLength(this.#buffer[this.#start + 4]!, length);
      needed = 4 + length;
      if (this.#end - this.#start < needed) {
        // The id byte may not be here yet: until it is, only room for it is made.
        if (this.#end - this.#start === 4) needed = 5;
        break;
      }
      const at = this.#start + 4;
      this.#start += needed;
      needed = 4;
      this.#frames++;
      if (length === 0) this.#handler.onKeepAlive();
      else this.#dispatch(at, length);
    }
    this.#compact(needed, filled);
  }

  #checkLength(id: number, length: number): void {
    const fixed = FIXED_LENGTH.get(id);
    if (fixed !== undefined) {
      if (length !== fixed) throw new WireError(`${messageName(id)} has ${length} bytes, not ${fixed}`);
      return;
    }
    const [least, most] = this.#lengths(id);
    if (length < least || length > most) {
      throw new WireError(
        `${messageName(id)} has ${length} bytes, not ${least === most ? least : `${least} to ${most}`}`,
      );
    }
  }

  #lengths(id: number): [least: number, most: number] {
    switch (id) {
      case MessageId.bitfield:
        if (this.#bitfieldLength === 0) return [2, 1 + MAX_UNKNOWN_BITFIELD];
        return [1 + this.#bitfieldLength, 1 + this.#bitfieldLength];
      case MessageId.piece:
        // We never ask for more than one block, so nothing longer can be an answer.
        return [PIECE_HEADER - 4, PIECE_HEADER - 4 + BLOCK_SIZE];
      case MessageId.extended:
        return [2, MAX_EXTENDED];
      default:
        return [1, MAX_UNKNOWN];
    }
  }

  #dispatch(at: number, length: number): void {
    const view = this.#view;
    const id = this.#buffer[at]!;
    switch (id) {
      case MessageId.piece:
        return this.#handler.onBlock(
          view.getUint32(at + 1),
          view.getUint32(at + 5),
          this.#buffer,
          at + 9,
          length - 9,
        );
      case MessageId.choke:
      case MessageId.unchoke:
      case MessageId.interested:
      case MessageId.notInterested:
      case MessageId.haveAll:
      case MessageId.haveNone:
        return this.#handler.onSignal(id);
      case MessageId.have:
      case MessageId.suggest:
      case MessageId.allowedFast:
        return this.#handler.onPieceSignal(id, view.getUint32(at + 1));
      case MessageId.request:
      case MessageId.cancel:
      case MessageId.reject:
        return this.#handler.onBlockSignal(
          id,
          view.getUint32(at + 1),
          view.getUint32(at + 5),
          view.getUint32(at + 9),
        );
      case MessageId.bitfield:
        return this.#handler.onBitfield(this.#buffer.subarray(at + 1, at + length));
      case MessageId.port:
        return this.#handler.onPort(view.getUint16(at + 1));
      case MessageId.extended:
        return this.#handler.onExtended(this.#buffer[at + 1]!, this.#buffer.subarray(at + 2, at + length));
      default:
        return this.#handler.onUnknown(id);
    }
  }

  /** Moves what is left to the front, and makes the buffer larger when reads fill it or a frame needs it. */
  #compact(needed: number, filled: boolean): void {
    const left = this.#end - this.#start;
    let size = this.#buffer.length;
    if (filled && size < MAX_RECEIVE_BUFFER) size = Math.min(size * 4, MAX_RECEIVE_BUFFER);
    // A long message takes memory only as fast as it arrives: a peer that claims a megabyte has to send it first.
    if (needed > size && left === size) size = Math.min(size * 2, needed);
    if (size !== this.#buffer.length) {
      const larger = new Uint8Array(size);
      larger.set(this.#buffer.subarray(this.#start, this.#end));
      this.#buffer = larger;
      this.#view = new DataView(larger.buffer);
    } else if (this.#start > 0 && left > 0) {
      this.#buffer.copyWithin(0, this.#start, this.#end);
    }
    this.#start = 0;
    this.#end = left;
  }
}
