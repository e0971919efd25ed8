/**
 * What a torrent offers to peers beyond the basic protocol (BEP 10).
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import type { Metainfo } from "../metainfo/mod.ts";
import { type Extension, parseDontHave, type Peer } from "../peer/mod.ts";
import type { MetadataFetch } from "./metadata/metadata_fetch.ts";
import { MetadataServer } from "./metadata/metadata_server.ts";
import { type ExchangeHost, PeerExchange } from "./peers/peer_exchange.ts";

/** Extensions, and what is told of them. */
export interface OfferedExtensions {
  /** Every extension. */
  readonly extensions: readonly Extension<Peer>[];
  /** Bytes of the info dictionary; 0 when it isn't known, or isn't given away. */
  readonly metadataSize: number;
  /** The one that has something to say from time to time; `null` when peers aren't exchanged. */
  readonly exchange: PeerExchange | null;
}

/** Nothing is offered. */
export const NO_EXTENSIONS: OfferedExtensions = { extensions: [], metadataSize: 0, exchange: null };

/**
 * What is offered while nobody knows what the torrent holds: to take the metadata.
 *
 * @param fetch Who asks for it.
 * @returns What is offered.
 */
export function extensionsForMetadata(fetch: MetadataFetch): OfferedExtensions {
  const extension: Extension<Peer> = {
    name: "ut_metadata",
    received: (peer: Peer, payload: Bytes) => fetch.received(peer, payload),
  };
  return { ...NO_EXTENSIONS, extensions: [extension] };
}

/**
 * What is offered once it is known what the torrent holds. Of a private torrent neither peers nor metadata are: whom its tracker
 * doesn't name has no business with it (BEP 27), and other clients don't give the metadata away either.
 *
 * @param host The torrent.
 * @param options `meta`: what it holds. `pex`: whether peers are told of each other (BEP 11).
 * @returns What is offered.
 */
export function extensionsOf(
  host: ExchangeHost & DontHaveHost,
  { meta, pex }: { readonly meta: Metainfo; readonly pex: boolean },
): OfferedExtensions {
  const dontHave = new DontHave(host);
  if (meta.private) return { ...NO_EXTENSIONS, extensions: [dontHave] };
  const exchange = pex ? new PeerExchange(host) : null;
  const extensions = [dontHave, new MetadataServer(meta.info), ...exchange ? [exchange] : []];
  return { extensions, metadataSize: meta.info.length, exchange };
}

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
