/**
 * What a torrent offers to peers beyond the basic protocol (BEP 10).
 *
 * @module
 */

import type { Extension, Peer } from "../peer/mod.ts";
import { MetadataServer } from "./metadata_server.ts";
import { type ExchangeHost, PeerExchange } from "./peer_exchange.ts";
import type { TorrentOptions } from "./torrent_options.ts";

/** Extensions, and what is told of them. */
export interface Offers {
  /** Every extension. */
  readonly extensions: readonly Extension<Peer>[];
  /** Bytes of the info dictionary; 0 when it isn't given away. */
  readonly metadataSize: number;
  /** The one that has something to say from time to time. */
  readonly exchange: PeerExchange | null;
}

/**
 * Of a private torrent nothing is offered: whom its tracker doesn't name has no business with it (BEP 27), and other clients
 * don't give the metadata away either.
 *
 * @param host The torrent.
 * @param options What it is made of.
 * @returns What it offers.
 */
export function offersOf(host: ExchangeHost, { meta, pex }: Pick<TorrentOptions, "meta" | "pex">): Offers {
  if (meta.private) return { extensions: [], metadataSize: 0, exchange: null };
  const exchange = pex ? new PeerExchange(host) : null;
  const extensions = [new MetadataServer(meta.info), ...exchange ? [exchange] : []];
  return { extensions, metadataSize: meta.info.length, exchange };
}
