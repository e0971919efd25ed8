/**
 * Pieces that a peer said it has, and hasn't any more (BEP 54).
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { type Extension, parseDontHave, type Peer } from "../peer/mod.ts";

/** What is done about pieces that peers lose. */
export interface DontHaveHost {
  /** Pieces of the torrent. */
  readonly pieceCount: number;
  /** A peer hasn't a piece any more, and had it before. */
  peerLost(peer: Peer, index: number): void;
}

/** Takes note of what peers lose. */
export class DontHave implements Extension<Peer> {
  readonly name = "lt_donthave";
  readonly #host: DontHaveHost;

  /** @param host The torrent. */
  constructor(host: DontHaveHost) {
    this.#host = host;
  }

  received(peer: Peer, payload: Bytes): void {
    const index = parseDontHave(payload, this.#host.pieceCount);
    peer.allowedFast.delete(index);
    if (peer.pieces.clear(index)) this.#host.peerLost(peer, index);
  }
}
