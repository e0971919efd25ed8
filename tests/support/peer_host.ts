/**
 * A swarm that takes no notice of its peers, for tests to change where they need it to.
 *
 * @module
 */

import type { PeerHost } from "../../src/peer/peer.ts";

/**
 * @param host What it has to know or do; the rest does nothing, and nothing is there to be served.
 * @returns The swarm.
 */
export function idleHost(
  host: Pick<PeerHost, "pieceCount" | "pieceSize" | "now"> & Partial<PeerHost>,
): PeerHost {
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
    peerIntroduced() {},
    canServe: () => false,
    readBlock: () => false,
    loadBlock: () => Promise.resolve(),
    ...host,
  };
}
