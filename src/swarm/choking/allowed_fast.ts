/**
 * Lets a peer that has just connected download a few pieces while it is choked, so that it soon has something to trade
 * (BEP 6, "Allowed Fast").
 *
 * @module
 */

import { parseIp } from "../../base/address.ts";
import type { Bitfield } from "../../base/bitfield.ts";
import type { Bytes } from "../../base/bytes.ts";
import type { InfoHash } from "../../base/info_hash.ts";
import type { Peer } from "../../peer/mod.ts";
import type { Platform } from "../../platform/platform.ts";

/** Options for {@linkcode allowedFastSet}. */
export interface AllowedFastSetOptions {
  /** Pieces of the torrent. */
  readonly pieceCount: number;
  /** Pieces to choose. */
  readonly size: number;
  /** Computes a SHA-1 hash. */
  readonly sha1: (data: Bytes) => Promise<Bytes>;
}

/**
 * Computes the allowed fast set of a peer. Every client computes the same set for the same peer and torrent, so that a
 * peer gains nothing by reconnecting.
 *
 * @param host The peer's IPv4 address. The set is empty for any other address, since the BEP defines none.
 * @param infoHash Info-hash of the torrent.
 * @returns Piece indexes in the order of the BEP.
 */
export async function allowedFastSet(
  host: string,
  infoHash: InfoHash,
  options: AllowedFastSetOptions,
): Promise<number[]> {
  const ip = parseIp(host);
  if (ip?.length !== 4) return [];
  const size = Math.min(options.size, options.pieceCount);
  const chosen = new Set<number>();
  let x: Bytes = new Uint8Array(24);
  x.set(ip.subarray(0, 3), 0); // the last byte is masked, so that peers of one network share a set
  x.set(infoHash.bytes, 4);
  while (chosen.size < size) {
    x = await options.sha1(x);
    const view = new DataView(x.buffer, x.byteOffset, x.byteLength);
    for (let i = 0; i < 5 && chosen.size < size; i++) chosen.add(view.getUint32(i * 4) % options.pieceCount);
  }
  return [...chosen];
}

/** Pieces that a peer may download while it is choked; BEP 6 suggests ten. A peer that has more needs none. */
const HEAD_START = 10;

/** Options for {@linkcode grantAllowedFast}. */
export interface GrantAllowedFastOptions {
  /** Pieces that we have. */
  readonly have: Bitfield;
  /** Info-hash of the torrent. */
  readonly infoHash: InfoHash;
  /** Hash function. */
  readonly platform: Pick<Platform, "sha1">;
}

/**
 * Sends a peer that has just connected its allowed fast set. A seed doesn't: it serves all peers in turn anyway, and
 * peers of one network are allowed the same pieces. (Simulated: a seed with 100 leechers sent the same ten pieces to
 * each of them before it sent another piece.)
 *
 * @param peer A peer that has been told which pieces we have.
 */
export async function grantAllowedFast(peer: Peer, options: GrantAllowedFastOptions): Promise<void> {
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
