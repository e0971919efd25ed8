/**
 * Requests for hashes from a peer (BEP 52): queued, answered one after the other, or rejected.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { MAX_HASH_REQUESTS, MAX_HASHES_UNSENT } from "../base/defences.ts";
import { HASH_BYTES } from "../base/merkle.ts";
import type { FrameWriter } from "../wire/frame_writer.ts";
import { encodeHashes, encodeHashRequest, type HashRequest } from "../wire/hash_messages.ts";
import { MessageId } from "../wire/messages.ts";

/** Options for {@linkcode HashUploads}. */
export interface HashUploadsOptions {
  /** Buffer for messages to the peer. */
  readonly writer: FrameWriter;
  /** Called when hashes are sent. */
  sent(): void;
}

/** Requests for hashes of one peer. One is worked on at a time, so that a peer gets no more of our time than others. */
export class HashUploads {
  readonly #prove: (request: HashRequest) => Promise<Bytes | null>;
  readonly #options: HashUploadsOptions;
  readonly #queue: HashRequest[] = [];
  #busy = false;

  /**
   * @param prove Finds hashes and their proof; `null` if there are none.
   * @param options See {@linkcode HashUploadsOptions}.
   */
  constructor(prove: (request: HashRequest) => Promise<Bytes | null>, options: HashUploadsOptions) {
    this.#prove = prove;
    this.#options = options;
  }

  /** Number of queued requests. */
  get size(): number {
    return this.#queue.length;
  }

  /** Bytes of hashes that the next answer has, without its proof; 0 if there is no request. */
  get next(): number {
    return (this.#queue[0]?.count ?? 0) * HASH_BYTES;
  }

  /** Queues a request. When the queue is full, the request is rejected. */
  request(request: HashRequest): void {
    if (this.#queue.length < MAX_HASH_REQUESTS) this.#queue.push(request);
    else this.#reject(request);
  }

  /**
   * Works on the next request, unless one is being worked on or much waits to be sent.
   *
   * @returns A promise to wait for before the next call, when the answer is in the send buffer; `null` if nothing was
   * begun.
   */
  fill(): Promise<void> | null {
    if (this.#busy || this.#options.writer.length >= MAX_HASHES_UNSENT) return null;
    const request = this.#queue.shift();
    return request === undefined ? null : this.#answer(request);
  }

  async #answer(request: HashRequest): Promise<void> {
    this.#busy = true;
    try {
      const proof = await this.#prove(request);
      if (proof === null) return this.#reject(request);
      this.#options.writer.hashMessage(MessageId.hashes, encodeHashes(request, proof));
      this.#options.sent();
    } finally {
      this.#busy = false;
    }
  }

  #reject(request: HashRequest): void {
    this.#options.writer.hashMessage(MessageId.hashReject, encodeHashRequest(request));
  }
}
