/**
 * Gives the info dictionary to peers that have only a magnet link (BEP 9).
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

/** Copies of the dictionary that a connection gets for nothing; whoever asks for more pays for it as for other talk. */
const FREE_COPIES = 2;

/** Serves the metadata of one torrent. Who asks again and again is broke in the end (see {@linkcode Peer.flood}). */
export class MetadataServer implements Extension<Peer> {
  readonly name = "ut_metadata";
  readonly #info: Bytes;
  /** Bytes that each connection was given. */
  readonly #given = new WeakMap<Peer, number>();

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
    const length = metadataPartLength(this.#info.length, part);
    const here = length > 0;
    const given = this.#given.get(peer) ?? 0;
    if (here && given < FREE_COPIES * this.#info.length) {
      this.#given.set(peer, given + length);
      peer.flood.gave(METADATA_PART);
    }
    peer.extensions.send("ut_metadata", here ? encodeMetadataData(part, this.#info) : encodeMetadataReject(part));
  }
}
