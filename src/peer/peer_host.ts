/**
 * Interfaces between a peer and its surroundings, the swarm and the socket.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import type { DataMemory } from "../base/data_memory.ts";
import type { Encryption } from "../transport/transport.ts";
import type { Hashes, HashRequest } from "../wire/hash_messages.ts";
import type { ExtensionHost } from "./extension_protocol.ts";
import type { ReceivedBlock } from "./requests.ts";
import type { UploadHost } from "./uploads.ts";

/** The parts of the swarm that a peer uses. Methods are called while a read is parsed, so they must return quickly. */
export interface SwarmOf<P> extends UploadHost, ExtensionHost<P> {
  /** Number of pieces; 0 before the metadata is known. Until then, piece messages of peers are not reported. */
  readonly pieceCount: number;
  /** Memory for the buffers of connections; memory of the engine when absent. */
  readonly memory?: DataMemory;
  /** Returns the time in milliseconds on a monotonic clock. */
  now(): number;
  /** Called when a peer announces one more piece. */
  peerHas(peer: P, index: number): void;
  /** Called when a peer announces all of its pieces at once. */
  peerPieces(peer: P): void;
  /** Called when a peer chokes or unchokes us. */
  peerChoke(peer: P): void;
  /** Called when a peer becomes interested or not interested. */
  peerInterest(peer: P): void;
  /**
   * Called when a block arrives. `block.latency` is the time since its request in milliseconds, or -1 if it was not
   * requested.
   */
  peerBlock(peer: P, block: ReceivedBlock): void;
  /** Called when a peer announces the port of its DHT node. */
  peerNode(peer: P, port: number): void;
  /** Called when a peer rejects a request. */
  peerRejected(peer: P, index: number, begin: number): void;
  /**
   * Called when a peer sends hashes that it was asked for (BEP 52). Nothing is proven by them yet.
   *
   * @param latency Milliseconds since the request.
   */
  peerHashes(peer: P, hashes: Hashes, latency: number): void;
  /** Called when a peer rejects a request for hashes. */
  peerHashReject(peer: P, request: HashRequest): void;
  /**
   * Finds hashes that a peer has asked for, which may take long.
   *
   * @returns The hashes and their proof, as in the message; `null` if there are no such hashes, or we don't have them.
   */
  proveHashes(peer: P, request: HashRequest): Promise<Bytes | null>;
}

/** The parts of the connection that a peer uses. */
export interface PeerOutput {
  /** Which part of the connection is encrypted (default: none). */
  readonly encryption?: Encryption;
  /** Sends what is in the writer. */
  flush(): void;
  /** Closes the connection. */
  close(reason: string): void;
}
