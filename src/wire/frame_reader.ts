/**
 * Parses the bytes from a peer into messages, in place.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { type DataMemory, PLAIN_MEMORY } from "../base/data_memory.ts";
import {
  MAX_EXTENDED,
  MAX_HASHES,
  MAX_RECEIVE_BUFFER,
  MAX_UNCLES,
  MAX_UNKNOWN,
  MAX_UNKNOWN_BITFIELD,
} from "../base/defences.ts";
import { HASH_BYTES } from "../base/merkle.ts";
import { HASH_REQUEST_LENGTH } from "./hash_messages.ts";
import { BLOCK_SIZE, FIXED_LENGTH, MessageId, messageName, PIECE_HEADER, WireError } from "./messages.ts";

/** Receives messages as they are parsed. Views of the buffer are valid only during the call. */
export interface MessageHandler {
  /** `true` once no more messages are wanted. The rest of the buffer is not parsed then. */
  readonly closed: boolean;
  /** A keep-alive: a frame of length 0. */
  onKeepAlive(): void;
  /** A message without payload: choke, unchoke, interested, not interested, have all, have none. */
  onSignal(id: number): void;
  /** A message that names a piece: have, suggest, allowed fast. */
  onPieceSignal(id: number, index: number): void;
  /** A message that names a block: request, cancel, reject. */
  onBlockSignal(id: number, index: number, begin: number, length: number): void;
  /** The pieces that the peer has. */
  onBitfield(bits: Bytes): void;
  /** A block: `length` bytes of `source` from offset `at`. */
  onBlock(index: number, begin: number, source: Bytes, at: number, length: number): void;
  /** UDP port of the peer's DHT node (BEP 5). */
  onPort(port: number): void;
  /** An extension message (BEP 10). */
  onExtended(id: number, payload: Bytes): void;
  /**
   * A message about hashes (BEP 52): hash request, hashes, hash reject. Where it is absent, these are unknown.
   *
   * @param payload The bytes after the message id, as a copy.
   */
  onHashMessage?(id: number, payload: Bytes): void;
  /** An unknown message, to be ignored. */
  onUnknown(id: number): void;
}

/** Options for {@linkcode FrameReader}. */
export interface FrameReaderOptions {
  /** Number of pieces of the torrent, which fixes the length of a bitfield; 0 while unknown. */
  readonly pieceCount: number;
  /** Where the buffer is once it is large; by default in memory of the engine. */
  readonly memory?: DataMemory;
}

/** Initial receive buffer in bytes, for a peer that sends little. */
const SMALL_BUFFER = 4 * 1024;

/**
 * A receive buffer that splits a stream into messages.
 *
 * Read into {@linkcode FrameReader.space}, then call {@linkcode FrameReader.received} with the number of bytes. The
 * buffer grows when reads fill it or a frame needs more room, never past the limits.
 */
export class FrameReader {
  readonly #handler: MessageHandler;
  #bitfieldLength = 0;
  #memory: DataMemory;
  #buffer: Bytes = new Uint8Array(SMALL_BUFFER);
  #view = new DataView(this.#buffer.buffer);
  #start = 0;
  #end = 0;
  #frames = 0;

  constructor(handler: MessageHandler, options: FrameReaderOptions) {
    this.#handler = handler;
    this.#memory = options.memory ?? PLAIN_MEMORY;
    this.setPieceCount(options.pieceCount);
  }

  /** Sets the number of pieces, once it is known. */
  setPieceCount(pieceCount: number): void {
    this.#bitfieldLength = Math.ceil(pieceCount / 8);
  }

  /** Number of frames that were parsed. */
  get frames(): number {
    return this.#frames;
  }

  /** Whether a frame has begun and is not complete. */
  get partial(): boolean {
    return this.#end > this.#start;
  }

  /** Bytes received of a block that is not complete. */
  get begun(): number {
    const bytes = this.#end - this.#start - PIECE_HEADER;
    return bytes > 0 && this.#buffer[this.#start + 4] === MessageId.piece ? bytes : 0;
  }

  /** Room for the next read; never empty. Valid until the next call of {@linkcode FrameReader.received}. */
  get space(): Bytes {
    return this.#buffer.subarray(this.#end);
  }

  /** Frees the buffer. No read may be under way, and nothing can be parsed any more. */
  close(): void {
    this.#memory.free(this.#buffer);
    this.#memory = PLAIN_MEMORY;
    this.#use(new Uint8Array(0));
    this.#start = this.#end = 0;
  }

  /**
   * Parses the bytes of a read.
   *
   * @param count Number of bytes that were read into {@linkcode FrameReader.space}.
   * @throws {WireError} If a frame is too long or has the wrong length for its message id.
   * @throws Whatever the handler throws.
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
        // The id byte has not arrived yet. Until it has, only room for it is made.
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
        // We never request more than one block, so no longer message can be an answer.
        return [PIECE_HEADER - 4, PIECE_HEADER - 4 + BLOCK_SIZE];
      case MessageId.extended:
        return [2, MAX_EXTENDED];
      case MessageId.hashes:
        return [1 + HASH_REQUEST_LENGTH, 1 + HASH_REQUEST_LENGTH + (MAX_HASHES + MAX_UNCLES) * HASH_BYTES];
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
        return this.#handler.onBitfield(this.#buffer.slice(at + 1, at + length));
      case MessageId.port:
        return this.#handler.onPort(view.getUint16(at + 1));
      case MessageId.extended:
        // Copied, since text isn't decoded where other threads could change it.
        return this.#handler.onExtended(this.#buffer[at + 1]!, this.#buffer.slice(at + 2, at + length));
      case MessageId.hashRequest:
      case MessageId.hashes:
      case MessageId.hashReject:
        if (!this.#handler.onHashMessage) return this.#handler.onUnknown(id);
        return this.#handler.onHashMessage(id, this.#buffer.slice(at + 1, at + length));
      default:
        return this.#handler.onUnknown(id);
    }
  }

  /** Moves the rest to the front, and enlarges the buffer if reads fill it or a frame needs it. */
  #compact(needed: number, filled: boolean): void {
    const left = this.#end - this.#start;
    let size = this.#buffer.length;
    if (filled && size < MAX_RECEIVE_BUFFER) size = Math.min(size * 4, MAX_RECEIVE_BUFFER);
    // The buffer grows only as fast as a long message arrives: a peer that announces a megabyte has to send it first.
    if (needed > size && left === size) size = Math.min(size * 2, needed);
    if (size !== this.#buffer.length) {
      const larger = this.#memory.allocate(size);
      this.#memory.copy(larger, 0, this.#buffer, this.#start, left);
      this.#memory.free(this.#buffer);
      this.#use(larger);
    } else if (this.#start > 0 && left > 0) {
      this.#memory.copy(this.#buffer, 0, this.#buffer, this.#start, left);
    }
    this.#start = 0;
    this.#end = left;
  }

  #use(buffer: Bytes): void {
    this.#buffer = buffer;
    this.#view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
  }
}
