/**
 * A few pieces for a peer that has none, so that it soon has something to trade (BEP 6, "Allowed Fast").
 *
 * @module
 */

import type { Bitfield } from "../../base/bitfield.ts";
import type { InfoHash } from "../../base/info_hash.ts";
import { allowedFastSet, type Peer } from "../../peer/mod.ts";
import type { Platform } from "../../platform/platform.ts";

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
