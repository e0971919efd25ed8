/**
 * Sends the info dictionary to peers that have only a magnet link (BEP 9).
 *
 * @module
 */

import type { Bytes } from "../../base/bytes.ts";
import {
  encodeMetadataData,
  encodeMetadataReject,
  type Extension,
  METADATA_PART,
  metadataPartLength,
  parseMetadataMessage,
  type Peer,
} from "../../peer/mod.ts";

/** Copies of the dictionary that a connection gets for free. Further copies count against the flood limit. */
const FREE_COPIES = 2;

/**
 * Serves the metadata of one torrent. Repeated requests exceed the flood limit in the end (see {@linkcode Peer.flood}).
 */
export class MetadataServer implements Extension<Peer> {
  readonly name = "ut_metadata";
  readonly #info: Bytes;
  /** Bytes that each connection has been sent. */
  readonly #given = new WeakMap<Peer, number>();

  /** @param info The info dictionary, exactly as in the torrent. */
  constructor(info: Bytes) {
    this.#info = info;
  }

  received(peer: Peer, payload: Bytes): void {
    const message = parseMetadataMessage(payload);
    if (message.type !== "request") return; // an answer to a request that we made before we had the metadata
    const { part } = message;
    const length = metadataPartLength(this.#info.length, part);
    const here = length > 0;
    const given = this.#given.get(peer) ?? 0;
    if (here && given < FREE_COPIES * this.#info.length) {
      this.#given.set(peer, given + length);
      peer.flood.uploaded(METADATA_PART);
    }
    peer.extensions.send("ut_metadata", here ? encodeMetadataData(part, this.#info) : encodeMetadataReject(part));
  }
}
