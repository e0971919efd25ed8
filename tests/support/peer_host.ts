/**
 * A swarm that ignores its peers. Tests replace the members that they need.
 *
 * @module
 */

import type { PeerHost } from "../../src/peer/peer.ts";

/**
 * Returns a swarm that does nothing and serves no pieces.
 *
 * @param host Members of the swarm that replace the default ones.
 */
export function idleHost(host: Pick<PeerHost, "pieceCount" | "pieceSize" | "now"> & Partial<PeerHost>): PeerHost {
  return {
    extensions: [],
    metadataSize: 0,
    peerNode() {},
    peerHas() {},
    peerPieces() {},
    peerChoke() {},
    peerInterest() {},
    peerBlock() {},
    peerRejected() {},
    peerHashes() {},
    peerHashReject() {},
    proveHashes: () => Promise.resolve(null),
    peerIntroduced() {},
    canServe: () => false,
    readBlock: () => false,
    loadBlock: () => Promise.resolve(),
    servedSize: (index) => host.pieceSize(index),
    ...host,
  };
}
