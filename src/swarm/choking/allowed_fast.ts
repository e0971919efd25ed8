/**
 * A few pieces for a peer that has none, so that it soon has something to trade (BEP 6, "Allowed Fast").
 *
 * @module
 */

import { parseIp } from "../../base/address.ts";
import type { Bitfield } from "../../base/bitfield.ts";
import type { Bytes } from "../../base/bytes.ts";
import type { InfoHash } from "../../base/info_hash.ts";
import type { Peer } from "../../peer/mod.ts";
import type { Platform } from "../../platform/platform.ts";

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

/** Pieces that a peer may have while it is choked; BEP 6 suggests ten. Who has as many needs no help to begin. */
const HEAD_START = 10;

/**
 * Lets a peer that has just connected have some pieces while it is choked. A seed doesn't: it serves everybody in turn anyway,
 * and neighbours are all allowed the same pieces. (Simulated: a seed with 100 leechers sent the same ten pieces to each of
 * them before it sent another.)
 *
 * @param peer Who; told what we have.
 * @param options `have`: what we have. `infoHash`: which torrent. `platform`: the hash function.
 */
export async function grantAllowedFast(
  peer: Peer,
  options: { readonly have: Bitfield; readonly infoHash: InfoHash; readonly platform: Pick<Platform, "sha1"> },
): Promise<void> {
  const { have, infoHash, platform } = options;
  if (!peer.fast || have.isEmpty || have.isFull) return;
  const indices = await allowedFastSet(peer.address.host, infoHash, {
    pieceCount: have.length,
    size: HEAD_START,
    sha1: (data) => platform.sha1(data),
  });
  if (peer.closed || peer.pieces.count > HEAD_START) return;
  peer.uploads.grant(indices.filter((index) => have.has(index)));
  peer.output.flush();
}
