/**
 * The event that reports connections to peers and web seeds to the user.
 *
 * @module
 */

/** A peer connected, disconnected, was refused or banned. */
export interface PeerEvent {
  /** Type of the event. */
  readonly event: "peer";
  /** Info-hash of the torrent; `null` if the peer asked for no torrent of the session. */
  readonly infohash: string | null;
  /** `host:port`, or the URL of a web seed. */
  readonly address: string;
  /** Name and version of the peer's client, safe to print; empty if unknown. */
  readonly client: string;
  /** Change of the connection. */
  readonly action: "connected" | "disconnected" | "banned" | "refused";
  /** Reason; empty for `connected`. */
  readonly message: string;
  /** Payload bytes received from the peer; only with `disconnected`. */
  readonly downloaded?: number;
  /** Payload bytes sent to the peer; only with `disconnected`. */
  readonly uploaded?: number;
}
