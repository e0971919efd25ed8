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

/** Where peers reach us. */
export interface Ports {
  /** The TCP port. */
  readonly port: number;
  /** The UDP port of our node, if we have one. */
  readonly dhtPort?: number;
}

/**
 * The ports that a peer is told.
 *
 * @param parts `dht`: our node. `port`: the one on which we listen. `portFor`: see `ConnectionPolicy`.
 * @param host The peer's address.
 * @returns Those at which it reaches us, which are others than ours when a gateway maps them so.
 */
export function portsFor(
  { dht, port, portFor }: {
    readonly dht: DhtContact | null;
    readonly port: number;
    readonly portFor?: ((protocol: "tcp" | "udp", host: string) => number) | undefined;
  },
  host: string,
): Ports {
  return {
    port: portFor?.("tcp", host) ?? port,
    ...(dht !== null && { dhtPort: portFor?.("udp", host) ?? dht.port }),
  };
}
