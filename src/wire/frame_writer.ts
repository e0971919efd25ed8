/**
 * Collects messages to a peer, so that many go out in one write.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { type DataMemory, PLAIN_MEMORY } from "../base/data_memory.ts";
import { MessageId, PIECE_HEADER } from "./messages.ts";

/** Initial send buffer in bytes, for a peer that we don't upload to. */
const SMALL_BUFFER = 1024;
/** Buffers larger than this many bytes are freed once they are empty and written. */
const KEEP_BUFFER = 512 * 1024;

/**
 * A send buffer. {@linkcode FrameWriter.take} hands over all waiting messages and starts a second buffer, so that
 * messages can be appended while the first buffer is being written.
 */
export class FrameWriter {
  #memory: DataMemory;
  #buffer: Bytes = new Uint8Array(SMALL_BUFFER);
  #view = new DataView(this.#buffer.buffer);
  #spare: Bytes | null = null;
  #length = 0;
  #payload = 0;
  #hashes = 0;

  /** @param memory Where large buffers are; by default in memory of the engine. */
  constructor(memory: DataMemory = PLAIN_MEMORY) {
    this.#memory = memory;
  }

  /** Bytes that wait to be taken. */
  get length(): number {
    return this.#length;
  }

  /** Bytes of blocks among those that wait. */
  get payload(): number {
    return this.#payload;
  }

  /** Bytes of messages with hashes among those that wait. */
  get hashes(): number {
    return this.#hashes;
  }

  /** Buffer in which {@linkcode FrameWriter.reserveBlock} made room. */
  get buffer(): Bytes {
    return this.#buffer;
  }

  /**
   * Hands over all waiting bytes.
   *
   * @returns A view that is valid until the next call but one.
   */
  take(): Bytes {
    const full = this.#buffer;
    const taken = full.subarray(0, this.#length);
    let spare = this.#spare;
    if (spare !== null && spare.length > KEEP_BUFFER) {
      this.#memory.free(spare);
      spare = null;
    }
    this.#spare = full;
    this.#use(spare ?? new Uint8Array(SMALL_BUFFER));
    this.#length = 0;
    this.#payload = this.#hashes = 0;
    return taken;
  }

  /** Frees the buffers, of which none may be being written. What is appended from now on is lost. */
  close(): void {
    this.#memory.free(this.#buffer);
    if (this.#spare !== null) this.#memory.free(this.#spare);
    this.#memory = PLAIN_MEMORY;
    this.#spare = null;
    this.#use(new Uint8Array(SMALL_BUFFER));
    this.#length = this.#payload = this.#hashes = 0;
  }

  /** Appends raw bytes. */
  raw(bytes: Uint8Array): void {
    const at = this.#room(bytes.length);
    this.#buffer.set(bytes, at);
  }

  /** Appends a keep-alive. */
  keepAlive(): void {
    const at = this.#room(4);
    this.#view.setUint32(at, 0);
  }

  /** Appends a message without payload. */
  signal(id: number): void {
    const at = this.#room(5);
    this.#view.setUint32(at, 1);
    this.#buffer[at + 4] = id;
  }

  /** Appends a message that names a piece: have, suggest, allowed fast. */
  pieceSignal(id: number, index: number): void {
    const at = this.#room(9);
    this.#view.setUint32(at, 5);
    this.#buffer[at + 4] = id;
    this.#view.setUint32(at + 5, index);
  }

  /** Appends the UDP port of our DHT node (BEP 5). */
  port(port: number): void {
    const at = this.#room(7);
    this.#view.setUint32(at, 3);
    this.#buffer[at + 4] = MessageId.port;
    this.#view.setUint16(at + 5, port);
  }

  /** Appends a message that names a block: request, cancel, reject. */
  blockSignal(id: number, index: number, begin: number, length: number): void {
    const at = this.#room(17);
    this.#view.setUint32(at, 13);
    this.#buffer[at + 4] = id;
    this.#view.setUint32(at + 5, index);
    this.#view.setUint32(at + 9, begin);
    this.#view.setUint32(at + 13, length);
  }

  /** Appends a bitfield. */
  bitfield(bits: Uint8Array): void {
    const at = this.#room(5 + bits.length);
    this.#view.setUint32(at, 1 + bits.length);
    this.#buffer[at + 4] = MessageId.bitfield;
    this.#buffer.set(bits, at + 5);
  }

  /** Appends an extension message (BEP 10). */
  extended(id: number, payload: Uint8Array): void {
    const at = this.#room(6 + payload.length);
    this.#view.setUint32(at, 2 + payload.length);
    this.#buffer[at + 4] = MessageId.extended;
    this.#buffer[at + 5] = id;
    this.#buffer.set(payload, at + 6);
  }

  /** Appends a message about hashes (BEP 52): hash request, hashes, hash reject. */
  hashMessage(id: number, payload: Uint8Array): void {
    const at = this.#room(5 + payload.length);
    this.#view.setUint32(at, 1 + payload.length);
    this.#buffer[at + 4] = id;
    this.#buffer.set(payload, at + 5);
    if (id === MessageId.hashes) this.#hashes += payload.length;
  }

  /**
   * Appends the header of a block, and room for the block itself.
   *
   * @param index Index of the piece.
   * @param begin Offset of the block in the piece.
   * @param length Size of the block in bytes.
   * @returns Offset in {@linkcode FrameWriter.buffer} at which the caller puts the block.
   */
  reserveBlock(index: number, begin: number, length: number): number {
    const at = this.#room(PIECE_HEADER + length);
    this.#view.setUint32(at, PIECE_HEADER - 4 + length);
    this.#buffer[at + 4] = MessageId.piece;
    this.#view.setUint32(at + 5, index);
    this.#view.setUint32(at + 9, begin);
    this.#payload += length;
    return at + PIECE_HEADER;
  }

  /** Removes the block that was reserved last, with the `length` that was reserved. */
  unreserveBlock(length: number): void {
    this.#length -= PIECE_HEADER + length;
    this.#payload -= length;
  }

  /** Makes room, which may replace the buffer and its view, and returns its offset. */
  #room(bytes: number): number {
    const at = this.#length;
    if (at + bytes > this.#buffer.length) {
      const larger = this.#memory.allocate(Math.max(this.#buffer.length * 2, at + bytes));
      this.#memory.copy(larger, 0, this.#buffer, 0, at);
      this.#memory.free(this.#buffer);
      this.#use(larger);
    }
    this.#length = at + bytes;
    return at;
  }

  #use(buffer: Bytes): void {
    this.#buffer = buffer;
    this.#view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
  }
}
