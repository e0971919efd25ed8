/**
 * What a swarm has to do with the DHT.
 *
 * @module
 */

import type { PeerAddress } from "../base/address.ts";

/** Our node: told to peers, and told of theirs (BEP 5). */
export interface DhtContact {
  /** The UDP port of our node. */
  readonly port: number;
  /** A peer has a node there. */
  addNode(address: PeerAddress): void;
}
