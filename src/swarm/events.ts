/**
 * What a torrent tells. The session adds which torrent it was.
 *
 * @module
 */

/** Something happened in a torrent. */
export type TorrentEvent =
  | { readonly event: "checking"; readonly progress: number }
  | {
    readonly event: "peer";
    readonly address: string;
    readonly client: string;
    readonly action: "connected" | "disconnected" | "banned" | "refused";
    readonly message: string;
    readonly downloaded?: number;
    readonly uploaded?: number;
  }
  | { readonly event: "hash_failed"; readonly piece: number; readonly peers: readonly string[] }
  | { readonly event: "completed" }
  | { readonly event: "failed"; readonly error: unknown };
