/**
 * What surrounds a peer: the swarm on one side, the socket on the other.
 *
 * @module
 */

import type { Encryption } from "../transport/transport.ts";
import type { ExtensionHost } from "./extension_protocol.ts";
import type { ReceivedBlock } from "./requests.ts";
import type { UploadHost } from "./uploads.ts";

/** What a peer needs to know and tell. Calls come while a read is parsed, so they must not take long. */
export interface SwarmOf<P> extends UploadHost, ExtensionHost<P> {
  /** Pieces of the torrent; 0 while nobody knows, before the metadata is here. Then what peers say of pieces is passed by. */
  readonly pieceCount: number;
  /** Milliseconds on the clock that never jumps. */
  now(): number;
  /** The peer has one piece more. */
  peerHas(peer: P, index: number): void;
  /** The peer said what it has, all at once. */
  peerPieces(peer: P): void;
  /** The peer choked or unchoked us. */
  peerChoke(peer: P): void;
  /** The peer became interested, or not. */
  peerInterest(peer: P): void;
  /** A block came; `latency` in milliseconds since it was asked for, or -1 if it was not. */
  peerBlock(peer: P, block: ReceivedBlock): void;
  /** The peer has a node of the DHT on its address, on that port. */
  peerNode(peer: P, port: number): void;
  /** The peer won't send a block that we asked for. */
  peerRejected(peer: P, index: number, begin: number): void;
}

/** The socket's side of a peer. */
export interface PeerOutput {
  /** How much of it is encrypted; nothing when absent. */
  readonly encryption?: Encryption;
  /** Something waits in the writer. */
  flush(): void;
  /** Ends the connection. */
  close(reason: string): void;
}
