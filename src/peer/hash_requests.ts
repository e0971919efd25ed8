/**
 * Requests for hashes to a peer (BEP 52).
 *
 * @module
 */

import { toHex } from "../base/bytes.ts";
import type { FrameWriter } from "../wire/frame_writer.ts";
import { encodeHashRequest, type HashRequest } from "../wire/hash_messages.ts";
import { MessageId, WireError } from "../wire/messages.ts";

/** Returns a name of a request, the same for equal requests. */
export function keyOfHashRequest({ root, layer, index, count, proofLayers }: HashRequest): string {
  return `${toHex(root)} ${layer} ${index} ${count} ${proofLayers}`;
}

/** The requests for hashes that a peer has not answered. They are never withdrawn, and may be answered late. */
export class HashRequests {
  readonly #writer: FrameWriter;
  /** Times of the requests, in milliseconds, by {@linkcode keyOfHashRequest}. */
  readonly #open = new Map<string, number>();

  /** @param writer Buffer for messages to the peer. */
  constructor(writer: FrameWriter) {
    this.#writer = writer;
  }

  /** Number of requests without an answer. */
  get size(): number {
    return this.#open.size;
  }

  /** Returns `true` if the peer has not answered an equal request. */
  has(request: HashRequest): boolean {
    return this.#open.has(keyOfHashRequest(request));
  }

  /**
   * Sends a request.
   *
   * @param request A request that is not open.
   * @param now Milliseconds.
   */
  ask(request: HashRequest, now: number): void {
    this.#open.set(keyOfHashRequest(request), now);
    this.#writer.hashMessage(MessageId.hashRequest, encodeHashRequest(request));
  }

  /**
   * Called when the peer answers a request, with hashes or a reject.
   *
   * @param now Milliseconds.
   * @returns Milliseconds since the request.
   * @throws {WireError} If there is no such request.
   */
  answered(request: HashRequest, now: number): number {
    const key = keyOfHashRequest(request);
    const since = this.#open.get(key);
    const { layer, index, count } = request;
    if (since === undefined) {
      throw new WireError(`it answers for hashes that it was not asked for (layer ${layer}, ${count} from ${index})`);
    }
    this.#open.delete(key);
    return now - since;
  }
}
