/**
 * The protocol extensions that a torrent offers to peers (BEP 10).
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import type { Metainfo } from "../metainfo/mod.ts";
import { type Extension, parseDontHave, type Peer } from "../peer/mod.ts";
import type { MetadataFetch } from "./metadata/metadata_fetch.ts";
import { MetadataServer } from "./metadata/metadata_server.ts";
import { type ExchangeHost, PeerExchange } from "./peers/peer_exchange.ts";

/** The offered extensions, and what the extension handshake says about them. */
export interface OfferedExtensions {
  /** All extensions. */
  readonly extensions: readonly Extension<Peer>[];
  /** Bytes of the info dictionary; 0 if it isn't known or isn't shared. */
  readonly metadataSize: number;
  /** Peer exchange, which has messages to send regularly; `null` if it is off. */
  readonly exchange: PeerExchange | null;
}

/** No extensions. */
export const NO_EXTENSIONS: OfferedExtensions = { extensions: [], metadataSize: 0, exchange: null };

/**
 * Returns the extensions to offer before the metadata is known: receiving metadata.
 *
 * @param fetch The search for the metadata.
 */
export function extensionsForMetadata(fetch: MetadataFetch): OfferedExtensions {
  const extension: Extension<Peer> = {
    name: "ut_metadata",
    received: (peer: Peer, payload: Bytes) => fetch.received(peer, payload),
  };
  return { ...NO_EXTENSIONS, extensions: [extension] };
}

/** Options for {@linkcode extensionsOf}. */
export interface TorrentExtensionsOptions {
  /** The torrent. */
  readonly meta: Metainfo;
  /** Whether peers are told of each other (BEP 11). */
  readonly pex: boolean;
}

/**
 * Returns the extensions to offer once the metadata is known. A private torrent shares neither peers nor metadata: only
 * peers that its tracker names may join (BEP 27), and other clients don't share the metadata either.
 */
export function extensionsOf(
  host: ExchangeHost & DontHaveHost,
  { meta, pex }: TorrentExtensionsOptions,
): OfferedExtensions {
  const dontHave = new DontHave(host);
  if (meta.private) return { ...NO_EXTENSIONS, extensions: [dontHave] };
  const exchange = pex ? new PeerExchange(host) : null;
  const extensions = [dontHave, new MetadataServer(meta.info), ...exchange ? [exchange] : []];
  return { extensions, metadataSize: meta.info.length, exchange };
}

/** What {@linkcode DontHave} needs from the torrent. */
export interface DontHaveHost {
  /** Pieces of the torrent. */
  readonly pieceCount: number;
  /** Called when a peer no longer has a piece that it had. */
  peerLost(peer: Peer, index: number): void;
}

/** Handles the messages of peers that lose pieces (BEP 54). */
export class DontHave implements Extension<Peer> {
  readonly name = "lt_donthave";
  readonly #host: DontHaveHost;

  constructor(host: DontHaveHost) {
    this.#host = host;
  }

  received(peer: Peer, payload: Bytes): void {
    const index = parseDontHave(payload, this.#host.pieceCount);
    peer.allowedFast.delete(index);
    if (peer.pieces.clear(index)) this.#host.peerLost(peer, index);
  }
}
