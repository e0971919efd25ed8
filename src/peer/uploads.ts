/**
 * What a peer asked us for: held, served, or rejected.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { MAX_REQUEST_LENGTH, REQUEST_QUEUE_LIMIT } from "../base/defences.ts";
import type { FrameWriter } from "../wire/frame_writer.ts";
import { MessageId, WireError } from "../wire/messages.ts";
import { BlockQueue } from "./block_queue.ts";

/** A part of a piece. */
export interface Block {
  /** Which piece. */
  readonly index: number;
  /** Offset in the piece, in bytes. */
  readonly begin: number;
  /** Bytes. */
  readonly length: number;
}

/** Where blocks come from. */
export interface UploadHost {
  /** Bytes of a piece. */
  pieceSize(index: number): number;
  /** Whether we have a piece and may serve it. */
  canServe(index: number): boolean;
  /** Copies a block from the read cache, or returns `false` when it isn't there. */
  readBlock(block: Block, into: Bytes, at: number): boolean;
  /** Brings a block into the read cache. */
  loadBlock(index: number, begin: number, length: number): Promise<void>;
}

/** The serving half of a connection. */
export class Uploads {
  readonly #host: UploadHost;
  readonly #writer: FrameWriter;
  readonly #fast: boolean;
  readonly #queue = new BlockQueue(REQUEST_QUEUE_LIMIT);
  /** Pieces that it may have while it is choked, with the bytes of each that it asked for meanwhile. */
  readonly #granted = new Map<number, number>();
  #loading = false;

  /**
   * @param host Where blocks come from.
   * @param options `fast`: both ends speak BEP 6, so what isn't served is rejected. `writer`: to the peer.
   */
  constructor(host: UploadHost, options: { readonly fast: boolean; readonly writer: FrameWriter }) {
    this.#host = host;
    this.#fast = options.fast;
    this.#writer = options.writer;
  }

  /** Requests that wait. */
  get size(): number {
    return this.#queue.size;
  }

  /** Bytes of the next block; 0 when none waits. */
  get next(): number {
    return this.#queue.size === 0 ? 0 : this.#queue.length;
  }

  /** Lets the peer have pieces while it is choked (BEP 6). */
  grant(indices: readonly number[]): void {
    for (const index of indices) {
      if (this.#granted.has(index)) continue;
      this.#granted.set(index, 0);
      this.#writer.pieceSignal(MessageId.allowedFast, index);
    }
  }

  /**
   * The peer asks for a block.
   *
   * @param block Which; inside the torrent.
   * @param options `choked`: we choke it. `now`: milliseconds.
   * @throws {WireError} If it asks for nothing, or for more than anybody serves.
   */
  request(block: Block, options: { readonly choked: boolean; readonly now: number }): void {
    const { index, begin, length } = block;
    if (length === 0 || length > MAX_REQUEST_LENGTH) throw new WireError(`a request asks for ${length} bytes`);
    const served = (!options.choked || this.#isGranted(index, length)) && this.#host.canServe(index);
    if (!served || !this.#queue.push(index, begin, length, options.now)) this.#reject(index, begin, length);
  }

  /** The peer takes a request back. A block that is in the send buffer already goes out; otherwise BEP 6 wants a reject. */
  cancel(index: number, begin: number, length: number): void {
    if (this.#queue.remove(index, begin, length) >= 0) this.#reject(index, begin, length);
  }

  /** Nothing of a piece will be sent: we haven't got it any more. */
  drop(piece: number): void {
    const gone: Block[] = [];
    this.#queue.forEach((index, begin, length) => {
      if (index === piece) gone.push({ index, begin, length });
    });
    for (const { index, begin, length } of gone) this.cancel(index, begin, length);
  }

  /** Nothing of what waits will be sent. */
  rejectAll(): void {
    this.#queue.forEach((index, begin, length) => this.#reject(index, begin, length));
    this.#queue.clear();
  }

  /**
   * Moves blocks into the send buffer, as far as there is room and the read cache has them.
   *
   * @param limit Bytes in the send buffer past which nothing is added.
   * @param payload Most bytes of blocks that may be in it.
   * @returns When it is worth trying again, if the next block has to be read first.
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

  /** A gift to begin with is given once, with some tolerance for repeated requests; it is no slot for ever. */
  #isGranted(index: number, length: number): boolean {
    const asked = this.#granted.get(index);
    if (asked === undefined || asked + length > 2 * this.#host.pieceSize(index)) return false;
    this.#granted.set(index, asked + length);
    return true;
  }

  #load({ index, begin, length }: Block): Promise<void> | null {
    if (this.#loading) return null;
    this.#loading = true;
    return this.#host.loadBlock(index, begin, length).catch((error) => {
      // Who would never hear that it isn't coming has to be left. Others get the rest.
      if (!this.#fast) throw error;
      this.drop(index);
    }).finally(() => this.#loading = false);
  }

  #reject(index: number, begin: number, length: number): void {
    if (this.#fast) this.#writer.blockSignal(MessageId.reject, index, begin, length);
  }
}
