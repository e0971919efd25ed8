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

/**
 * The port of our node that a peer is told: the one that a gateway forwards, if the node has the port on which we listen.
 *
 * @param parts `dht`: our node. `port`: the one on which we listen. `portFor`: see `ConnectionPolicy`.
 * @param host The peer's address.
 * @returns A UDP port.
 */
export function nodePort(
  { dht, port, portFor }: {
    readonly dht?: DhtContact;
    readonly port: number;
    readonly portFor?: ((protocol: "tcp" | "udp", host: string) => number) | undefined;
  },
  host: string,
): number {
  return dht !== undefined && dht.port !== port ? dht.port : portFor?.("udp", host) ?? port;
}
