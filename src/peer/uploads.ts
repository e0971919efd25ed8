/**
 * Requests of a peer: queued, served or rejected.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { MAX_REQUEST_LENGTH, REQUEST_QUEUE_LIMIT } from "../base/defences.ts";
import { plural } from "../base/plural.ts";
import type { FrameWriter } from "../wire/frame_writer.ts";
import { MessageId, WireError } from "../wire/messages.ts";
import { BlockQueue } from "./block_queue.ts";

/** A part of a piece. */
export interface Block {
  /** Index of the piece. */
  readonly index: number;
  /** Offset in the piece, in bytes. */
  readonly begin: number;
  /** Length in bytes. */
  readonly length: number;
}

/** The parts of the swarm that uploads use. */
export interface UploadHost {
  /** Returns the length of a piece in bytes. */
  pieceSize(index: number): number;
  /** Returns how many bytes of a piece a peer may ask for; see `PieceVerifier.servedSize()`. */
  servedSize(index: number): number;
  /** Returns `true` if we have a piece and may serve it. */
  canServe(index: number): boolean;
  /** Copies a block from the read cache. Returns `false` if the block isn't there. */
  readBlock(block: Block, into: Bytes, at: number): boolean;
  /** Loads a block into the read cache. */
  loadBlock(index: number, begin: number, length: number): Promise<void>;
}

/** Options for {@linkcode Uploads}. */
export interface UploadsOptions {
  /** Whether both ends support the Fast extension (BEP 6), so that requests that aren't served are rejected. */
  readonly fast: boolean;
  /** Buffer for messages to the peer. */
  readonly writer: FrameWriter;
}

/** Options for {@linkcode Uploads.request}. */
export interface UploadRequestOptions {
  /** Whether we choke the peer. */
  readonly choked: boolean;
  /** Milliseconds. */
  readonly now: number;
}

/** Requests of one peer. */
export class Uploads {
  readonly #host: UploadHost;
  readonly #writer: FrameWriter;
  readonly #fast: boolean;
  readonly #queue = new BlockQueue(REQUEST_QUEUE_LIMIT);
  /** Bytes requested of each allowed-fast piece while the peer was choked. */
  readonly #granted = new Map<number, number>();
  #loading = false;

  constructor(host: UploadHost, options: UploadsOptions) {
    this.#host = host;
    this.#fast = options.fast;
    this.#writer = options.writer;
  }

  /** Number of queued requests. */
  get size(): number {
    return this.#queue.size;
  }

  /** Length of the next block in bytes; 0 if the queue is empty. */
  get next(): number {
    return this.#queue.size === 0 ? 0 : this.#queue.length;
  }

  /** Allows the peer to request pieces while it is choked (allowed fast, BEP 6). */
  grant(indices: readonly number[]): void {
    for (const index of indices) {
      if (this.#granted.has(index)) continue;
      this.#granted.set(index, 0);
      this.#writer.pieceSignal(MessageId.allowedFast, index);
    }
  }

  /**
   * Queues or rejects a request.
   *
   * @param block A block inside the torrent.
   * @param options See {@linkcode UploadRequestOptions}.
   * @throws {WireError} If the length is 0 or longer than clients serve.
   */
  request(block: Block, options: UploadRequestOptions): void {
    const { index, begin, length } = block;
    if (length === 0 || length > MAX_REQUEST_LENGTH) {
      throw new WireError(`a request asks for ${plural(length, "byte")}`);
    }
    const served = (!options.choked || this.#isGranted(index, length)) && this.#host.canServe(index);
    if (!served || !this.#queue.push(index, begin, length, options.now)) this.#reject(index, begin, length);
  }

  /**
   * Cancels a request. The request is answered with a reject (BEP 6), unless the block is in the send buffer already.
   */
  cancel(index: number, begin: number, length: number): void {
    if (this.#queue.remove(index, begin, length) >= 0) this.#reject(index, begin, length);
  }

  /** Drops all requests for a piece, which we no longer have. */
  drop(piece: number): void {
    const gone: Block[] = [];
    this.#queue.forEach((index, begin, length) => {
      if (index === piece) gone.push({ index, begin, length });
    });
    for (const { index, begin, length } of gone) this.cancel(index, begin, length);
  }

  /** Drops all requests. */
  rejectAll(): void {
    this.#queue.forEach((index, begin, length) => this.#reject(index, begin, length));
    this.#queue.clear();
  }

  /**
   * Moves blocks into the send buffer, as long as there is room and the read cache has them.
   *
   * @param limit Size of the send buffer, in bytes, from which on no block is added.
   * @param payload Most bytes of blocks in the send buffer (default: no limit).
   * @returns A promise to wait for before the next call, if a block has to be loaded first; otherwise `null`.
   */
  fill(limit: number, payload = Infinity): Promise<void> | null {
    const queue = this.#queue;
    while (queue.size > 0 && this.#writer.length < limit && this.#writer.payload + queue.length <= payload) {
      const { index, begin, length } = queue;
      const at = this.#writer.reserveBlock(index, begin, length);
      if (!this.#host.readBlock(queue, this.#writer.buffer, at)) {
        this.#writer.unreserveBlock(length);
        return this.#load({ index, begin, length });
      }
      queue.shift();
    }
    return null;
  }

  /**
   * Returns `true` if a choked peer may request a block. Each allowed-fast piece is served about once (twice its size,
   * for repeated requests), so that it doesn't replace an unchoke slot.
   */
  #isGranted(index: number, length: number): boolean {
    const asked = this.#granted.get(index);
    if (asked === undefined || asked + length > 2 * this.#host.servedSize(index)) return false;
    this.#granted.set(index, asked + length);
    return true;
  }

  #load({ index, begin, length }: Block): Promise<void> | null {
    if (this.#loading) return null;
    this.#loading = true;
    return this.#host.loadBlock(index, begin, length).catch((error) => {
      // Without BEP 6 the peer can't be told that the block isn't coming, so the connection ends. With BEP 6 only this
      // piece is dropped.
      if (!this.#fast) throw error;
      this.drop(index);
    }).finally(() => this.#loading = false);
  }

  #reject(index: number, begin: number, length: number): void {
    if (this.#fast) this.#writer.blockSignal(MessageId.reject, index, begin, length);
  }
}
