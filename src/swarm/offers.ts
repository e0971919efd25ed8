/**
 * What a torrent offers to peers beyond the basic protocol (BEP 10).
 *
 * @module
 */

import type { Extension, Peer } from "../peer/mod.ts";
import { DontHave, type DontHaveHost } from "./dont_have.ts";
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
 * Of a private torrent neither peers nor metadata are offered: whom its tracker doesn't name has no business with it (BEP 27), and
 * other clients don't give the metadata away either.
 *
 * @param host The torrent.
 * @param options What it is made of.
 * @returns What it offers.
 */
export function offersOf(
  host: ExchangeHost & DontHaveHost,
  { meta, pex }: Pick<TorrentOptions, "meta" | "pex">,
): Offers {
  const dontHave = new DontHave(host);
  if (meta.private) return { extensions: [dontHave], metadataSize: 0, exchange: null };
  const exchange = pex ? new PeerExchange(host) : null;
  const extensions = [dontHave, new MetadataServer(meta.info), ...exchange ? [exchange] : []];
  return { extensions, metadataSize: meta.info.length, exchange };
}
