/**
 * A torrent as the `info` command prints it.
 *
 * @module
 */

import { magnetOf, type Metainfo } from "./metainfo.ts";

/** One object of `info --json`. Field names are those of the command-line contract. */
export interface TorrentDescription {
  /** Safe to print. */
  readonly name: string;
  /** Hexadecimal, or `null` when there is no v1 half. */
  readonly infohash: string | null;
  /** Hexadecimal, or `null` when there is no v2 half. */
  readonly infohash_v2: string | null;
  /** Which kind of torrent. */
  readonly version: "v1" | "v2" | "hybrid";
  /** Bytes. */
  readonly piece_length: number;
  /** How many. */
  readonly pieces: number;
  /** Bytes, padding left out. */
  readonly size: number;
  /** Whether peers come from its trackers only (BEP 27). */
  readonly private: boolean;
  /** In the order of the torrent; `path` joined with `/`, `length` in bytes. */
  readonly files: readonly { readonly path: string; readonly length: number; readonly pad: boolean }[];
  /** Tiers of URLs. */
  readonly trackers: readonly (readonly string[])[];
  /** URLs. */
  readonly web_seeds: readonly string[];
  /** Nodes of the DHT (BEP 5). */
  readonly nodes: readonly { readonly host: string; readonly port: number }[];
  /** Free text from outside; may hold control characters. */
  readonly comment: string | null;
  /** The program that made it; free text, too. */
  readonly created_by: string | null;
  /** ISO 8601. */
  readonly created_at: string | null;
  /** The magnet link. */
  readonly magnet: string;
}

/**
 * Describes a torrent in terms that survive JSON.
 *
 * @param meta A torrent.
 * @returns A plain object.
 */
export function describe(meta: Metainfo): TorrentDescription {
  return {
    name: meta.name,
    infohash: meta.infoHash.hex,
    infohash_v2: null,
    version: "v1",
    piece_length: meta.pieceLength,
    pieces: meta.pieceCount,
    size: meta.size,
    private: meta.private,
    files: meta.files.map(({ path, length, pad }) => ({ path: path.join("/"), length, pad })),
    trackers: meta.trackers,
    web_seeds: meta.webSeeds,
    nodes: meta.nodes,
    comment: meta.comment,
    created_by: meta.createdBy,
    created_at: meta.createdAt?.toISOString() ?? null,
    magnet: magnetOf(meta),
  };
}
