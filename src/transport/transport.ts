/**
 * Byte streams to peers. TCP is the first kind; others plug in here and nothing above notices.
 *
 * @module
 */

import type { PeerAddress } from "../base/address.ts";
import type { Bytes } from "../base/bytes.ts";
import type { InfoHash } from "../base/info_hash.ts";
import type { Connection, Network } from "../platform/platform.ts";

/** How much of a stream is encrypted: nothing, the handshake, or everything. */
export type Encryption = "none" | "handshake" | "rc4";

/**
 * A stream to a peer. What is written may be changed by that: whoever writes gives the bytes away. After a write that took
 * a part of them, the next one has to begin with the rest.
 */
export interface PeerStream extends Connection {
  /** How much of it is encrypted; nothing when absent. */
  readonly encryption?: Encryption;
  /** The torrent that it can be for and no other; absent when that isn't known before the handshake of BEP 3. */
  readonly infoHash?: InfoHash;
}

/** How a stream is opened. */
export interface DialOptions {
  /** Gives up. */
  readonly signal: AbortSignal;
  /** The torrent that it is for. */
  readonly infoHash: InfoHash;
  /** Our first words; they may be said several times, on several connections. */
  readonly first: Bytes;
}

/** A way to reach peers. */
export interface Transport {
  /** Short name for logs and flags. */
  readonly name: string;
  /**
   * Opens a stream to a peer and says our first words.
   *
   * @param address Where it listens.
   * @param options For what, and how.
   * @throws {Error} If there is no connection.
   */
  dial(address: PeerAddress, options: DialOptions): Promise<PeerStream>;
}

/** Options for {@linkcode tcpTransport}. */
export interface TcpTransportOptions {
  /** Local address to connect from. The system chooses when absent. */
  readonly bind?: string;
}

/**
 * Plain TCP.
 *
 * @param net The outside.
 * @param options `bind`: local address to connect from.
 * @returns The transport.
 */
export function tcpTransport(net: Network, options: TcpTransportOptions = {}): Transport {
  return {
    name: "tcp",
    async dial(address, { signal, first }) {
      const connection = await net.dial(address, { signal, ...options });
      await orClose(connection, { signal, work: writeAll(connection, first) });
      return connection;
    },
  };
}

/** Options for {@linkcode orClose}. */
export interface OrCloseOptions<T> {
  /** Closes the connection, which ends the work. */
  readonly signal: AbortSignal;
  /** The operation on the connection. */
  readonly work: Promise<T>;
}

/**
 * Waits for something that is done with a connection, which is closed if that fails or somebody gives up.
 *
 * @param connection The connection.
 * @param options `signal`: gives up. `work`: what to wait for.
 * @returns What came of it.
 * @throws {Error} What went wrong.
 */
export async function orClose<T>(connection: Connection, { signal, work }: OrCloseOptions<T>): Promise<T> {
  const abort = () => connection.close();
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  try {
    return await work;
  } catch (error) {
    connection.close();
    throw error;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/**
 * Writes to the last byte.
 *
 * @param connection Where to.
 * @param bytes What.
 */
export async function writeAll(connection: Connection, bytes: Bytes): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
}
