/**
 * What a swarm needs to know about the DHT.
 *
 * @module
 */

import type { PeerAddress } from "../base/address.ts";

/** Our DHT node: peers are told its port, and it is told of theirs (BEP 5). */
export interface DhtLink {
  /** UDP port of our node. */
  readonly port: number;
  /** Called when a peer tells the address of its node. */
  addNode(address: PeerAddress): void;
}

/** Ports at which peers reach us. */
export interface Ports {
  /** TCP port. */
  readonly port: number;
  /** UDP port of our node; absent if we have none. */
  readonly dhtPort?: number;
}

/** Options for {@linkcode portsFor}. */
export interface PortsForOptions {
  /** Our DHT node; `null` for none. */
  readonly dht: DhtLink | null;
  /** TCP port on which we listen. */
  readonly port: number;
  /** Returns the port at which a host reaches us. See `ConnectionPolicy`. */
  readonly portFor?: ((protocol: "tcp" | "udp", host: string) => number) | undefined;
}

/**
 * Returns the ports that a peer is told, at which it reaches us. They differ from our own if a gateway maps them.
 *
 * @param host Address of the peer.
 */
export function portsFor(
  { dht, port, portFor }: PortsForOptions,
  host: string,
): Ports {
  return {
    port: portFor?.("tcp", host) ?? port,
    ...(dht !== null && { dhtPort: portFor?.("udp", host) ?? dht.port }),
  };
}
