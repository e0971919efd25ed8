/**
 * What a user is told of a connection, to a peer or to a web seed.
 *
 * @module
 */

/** A peer came, went or was banned. */
export interface PeerEvent {
  /** Which event. */
  readonly event: "peer";
  /** `null` for somebody who came to no torrent of ours. */
  readonly infohash: string | null;
  /** `host:port`, or the URL of a web seed. */
  readonly address: string;
  /** Name and version of the other program, safe to print; empty when unknown. */
  readonly client: string;
  /** What happened. */
  readonly action: "connected" | "disconnected" | "banned" | "refused";
  /** Why; empty for `connected`. */
  readonly message: string;
  /** Payload bytes that came from it; only with `disconnected`. */
  readonly downloaded?: number;
  /** Payload bytes that went to it; only with `disconnected`. */
  readonly uploaded?: number;
}
