/**
 * Gives the info dictionary to peers that have only a magnet link (BEP 9).
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import {
  encodeMetadataData,
  encodeMetadataReject,
  type Extension,
  metadataPartLength,
  parseMetadataMessage,
  type Peer,
} from "../peer/mod.ts";

/** Serves the metadata of one torrent. Who asks again and again is broke in the end (see {@linkcode Peer.chatter}). */
export class MetadataServer implements Extension<Peer> {
  readonly name = "ut_metadata";
  readonly #info: Bytes;

  /**
   * @param info The info dictionary, as it stands in the torrent.
   */
  constructor(info: Bytes) {
    this.#info = info;
  }

  received(peer: Peer, payload: Bytes): void {
    const message = parseMetadataMessage(payload);
    if (message.type !== "request") return; // an answer to what we asked before we had it
    const { part } = message;
    const here = metadataPartLength(this.#info.length, part) > 0;
    peer.extensions.send("ut_metadata", here ? encodeMetadataData(part, this.#info) : encodeMetadataReject(part));
  }
}
