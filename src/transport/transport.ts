/**
 * Byte streams to peers. TCP is one transport; others can be added without changes to their users.
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
 * A stream to a peer. `write` may change the bytes it is given, so the caller must not use them afterwards. If a write
 * takes only part of the bytes, the next write must start with the rest.
 */
export interface PeerStream extends Connection {
  /** How much of the stream is encrypted. `none` when absent. */
  readonly encryption?: Encryption;
  /** The only torrent that the stream can be for. Absent if unknown before the handshake of BEP 3. */
  readonly infoHash?: InfoHash;
}

/** Options for {@linkcode Transport.dial}. */
export interface DialOptions {
  /** Cancels the dial. */
  readonly signal: AbortSignal;
  /** Info-hash of the torrent. */
  readonly infoHash: InfoHash;
  /** First bytes to send. They may be sent several times, on several connections. */
  readonly first: Bytes;
}

/** A way to reach peers. */
export interface Transport {
  /** Short name for logs and options. */
  readonly name: string;
  /**
   * Opens a stream to a peer and sends the first bytes.
   *
   * @throws {Error} If the connection fails.
   */
  dial(address: PeerAddress, options: DialOptions): Promise<PeerStream>;
}

/** Options for {@linkcode tcpTransport}. */
export interface TcpTransportOptions {
  /** Local address to connect from. The system chooses when absent. */
  readonly bind?: string;
}

/** Creates the transport for plain TCP. */
export function tcpTransport(net: Network, options: TcpTransportOptions = {}): Transport {
  return {
    name: "tcp",
    async dial(address, { signal, first }) {
      const connection = await net.dial(address, { signal, ...options });
      await closeOnFailure(connection, { signal, work: writeAll(connection, first) });
      return connection;
    },
  };
}

/** Options for {@linkcode closeOnFailure}. */
export interface OrCloseOptions<T> {
  /** Closes the connection, which ends the work. */
  readonly signal: AbortSignal;
  /** The operation on the connection. */
  readonly work: Promise<T>;
}

/**
 * Waits for an operation on a connection. Closes the connection if the operation fails or is cancelled.
 *
 * @throws {Error} Whatever the operation throws.
 */
export async function closeOnFailure<T>(connection: Connection, { signal, work }: OrCloseOptions<T>): Promise<T> {
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
 * Writes all bytes.
 *
 * @param bytes The bytes, which the write may change.
 */
export async function writeAll(connection: Connection, bytes: Bytes): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
}
