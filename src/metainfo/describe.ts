/**
 * The description of a torrent that the `info` command prints.
 *
 * @module
 */

import { magnetOf, type Metainfo } from "./metainfo.ts";

/** One object of `info --json`. The field names are part of the command-line contract. */
export interface TorrentDescription {
  /** Name of the torrent, safe to print. */
  readonly name: string;
  /** v1 info-hash in hexadecimal, or `null` for a v2-only torrent. */
  readonly infohash: string | null;
  /** v2 info-hash in hexadecimal, or `null` for a v1-only torrent. */
  readonly infohash_v2: string | null;
  /** Version of the torrent. */
  readonly version: "v1" | "v2" | "hybrid";
  /** Length of a piece in bytes. */
  readonly piece_length: number;
  /** Number of pieces. */
  readonly pieces: number;
  /** Total length of the files in bytes, without padding. */
  readonly size: number;
  /** Whether peers may come only from the torrent's trackers (BEP 27). */
  readonly private: boolean;
  /** Files in the torrent's order. `path` is joined with `/`, `length` is in bytes. */
  readonly files: readonly { readonly path: string; readonly length: number; readonly pad: boolean }[];
  /** Tiers of announce URLs. */
  readonly trackers: readonly (readonly string[])[];
  /** URLs of web seeds. */
  readonly web_seeds: readonly string[];
  /** DHT nodes (BEP 5). */
  readonly nodes: readonly { readonly host: string; readonly port: number }[];
  /** Comment. Untrusted text that may contain control characters. */
  readonly comment: string | null;
  /** Program that created the torrent. Untrusted text that may contain control characters. */
  readonly created_by: string | null;
  /** Creation date in ISO 8601. */
  readonly created_at: string | null;
  /** Magnet link. */
  readonly magnet: string;
}

/**
 * Describes a torrent as a plain object that can be converted to JSON.
 *
 * @param meta A torrent.
 * @returns The description.
 */
export function describe(meta: Metainfo): TorrentDescription {
  return {
    name: meta.name,
    infohash: meta.infoHashV1?.hex ?? null,
    infohash_v2: meta.infoHashV2?.hex ?? null,
    version: meta.version,
    piece_length: meta.pieceLength,
    pieces: meta.pieceCount,
    size: meta.size,
    private: meta.private,
    // The padding of a v2-only torrent is implied, and not in the torrent.
    files: meta.files.filter(({ pad }) => !pad || meta.version !== "v2")
      .map(({ path, length, pad }) => ({ path: path.join("/"), length, pad })),
    trackers: meta.trackers,
    web_seeds: meta.webSeeds,
    nodes: meta.nodes,
    comment: meta.comment,
    created_by: meta.createdBy,
    created_at: meta.createdAt?.toISOString() ?? null,
    magnet: magnetOf(meta),
  };
}
