/**
 * Which pieces a peer may have while it is choked (BEP 6, "Generating the Allowed Fast Set").
 *
 * @module
 */

import { parseIp } from "../base/address.ts";
import type { Bytes } from "../base/bytes.ts";
import type { InfoHash } from "../base/info_hash.ts";

/**
 * The allowed-fast set of a peer. Whoever computes it for the same peer and torrent gets the same pieces, so a peer
 * gains nothing by reconnecting.
 *
 * @param host The peer's IPv4 address. Others get an empty set: the BEP defines none.
 * @param infoHash Which torrent.
 * @param options `pieceCount`: pieces of the torrent. `size`: how many to choose. `sha1`: the hash function.
 * @returns Piece indices, in the order of the BEP.
 */
export async function allowedFastSet(
  host: string,
  infoHash: InfoHash,
  options: {
    readonly pieceCount: number;
    readonly size: number;
    readonly sha1: (data: Bytes) => Promise<Bytes>;
  },
): Promise<number[]> {
  const ip = parseIp(host);
  if (ip?.length !== 4) return [];
  const size = Math.min(options.size, options.pieceCount);
  const chosen = new Set<number>();
  let x: Bytes = new Uint8Array(24);
  x.set(ip.subarray(0, 3), 0); // the last byte is masked: neighbours share a set
  x.set(infoHash.bytes, 4);
  while (chosen.size < size) {
    x = await options.sha1(x);
    const view = new DataView(x.buffer, x.byteOffset, x.byteLength);
    for (let i = 0; i < 5 && chosen.size < size; i++) chosen.add(view.getUint32(i * 4) % options.pieceCount);
  }
  return [...chosen];
}
