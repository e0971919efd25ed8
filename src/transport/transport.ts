/**
 * Byte streams to peers. TCP is the first kind; others plug in here and nothing above notices.
 *
 * @module
 */

import type { PeerAddress } from "../base/address.ts";
import type { Connection, Network } from "../platform/platform.ts";

/** A way to reach peers. */
export interface Transport {
  /** Short name for logs and flags. */
  readonly name: string;
  /**
   * Opens a stream to a peer.
   *
   * @param address Where it listens.
   * @param signal Gives up.
   * @throws {Error} If there is no connection.
   */
  dial(address: PeerAddress, signal: AbortSignal): Promise<Connection>;
}

/**
 * Plain TCP.
 *
 * @param net The outside.
 * @param options `bind`: local address to connect from.
 * @returns The transport.
 */
export function tcpTransport(net: Network, options: { readonly bind?: string } = {}): Transport {
  return {
    name: "tcp",
    dial: (address, signal) =>
      net.dial(address, options.bind === undefined ? { signal } : { signal, bind: options.bind }),
  };
}
