/**
 * A parsed torrent, as the rest of the program uses it.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { InfoHash, type InfoHashV2 } from "../base/info_hash.ts";

/** One file of a torrent. */
export interface MetainfoFile {
  /**
   * Path relative to the download folder, as safe names. Starts with the torrent's folder if the torrent has a list of
   * files, and is just the torrent's name for a single file. Unique among the files that are written, regardless of
   * case.
   */
  readonly path: readonly string[];
  /**
   * The path as written in the torrent, if we or other clients change it and some file system accepts it. The data may
   * exist at this path, since the creator of the torrent had it there.
   */
  readonly own?: readonly string[] | undefined;
  /** Length in bytes. */
  readonly length: number;
  /** Offset of the file in the torrent's data in bytes. */
  readonly offset: number;
  /** Whether the file is padding of zeros (BEP 47). Padding is never written, and its path need not be unique. */
  readonly pad: boolean;
  /**
   * Target of a symbolic link relative to the download folder, as safe names; `null` for anything else. The target is
   * in the torrent, and is reached directly or through other links of the torrent.
   */
  readonly symlink: readonly string[] | null;
  /** Whether the file should be executable. */
  readonly executable: boolean;
  /** Root of the file's Merkle tree (BEP 52), 32 bytes; absent in v1 torrents and if the file is empty, padding or a link. */
  readonly root?: Bytes | undefined;
  /**
   * Hashes of the file's pieces (BEP 52), 32 bytes each, verified against the root. Absent if the file has no more than
   * one piece, for which the root is enough, and if the torrent file lacks them, so that peers have to send them.
   */
  readonly layer?: Bytes | undefined;
}

/** Version of a torrent: BEP 3, BEP 52, or both in one. */
export type TorrentVersion = "v1" | "v2" | "hybrid";

/** A torrent (BEP 3, BEP 52) that has been parsed and validated. */
export interface Metainfo {
  /** Version of the torrent. */
  readonly version: TorrentVersion;
  /**
   * What names the torrent in handshakes, in the DHT and with trackers: the v1 info-hash, or the truncated v2 info-hash
   * of a torrent that has only that one.
   */
  readonly infoHash: InfoHash;
  /** SHA-1 of the info dictionary; `null` for a v2-only torrent. */
  readonly infoHashV1: InfoHash | null;
  /** SHA-256 of the info dictionary; `null` for a v1-only torrent. */
  readonly infoHashV2: InfoHashV2 | null;
  /** Name of the torrent, made safe. First component of every path. */
  readonly name: string;
  /** Length of a piece in bytes. The last piece may be shorter. */
  readonly pieceLength: number;
  /** Number of pieces, at least 1. */
  readonly pieceCount: number;
  /** Total length of all files in bytes, with padding, at least 1. */
  readonly totalLength: number;
  /** Total length of all files in bytes, without padding, at least 1. */
  readonly size: number;
  /** SHA-1 digests of all pieces, 20 bytes each; empty for a v2-only torrent, and for a hybrid that lacks them. */
  readonly pieces: Bytes;
  /**
   * Files in the order of the torrent, at least 1. Those of a v2-only torrent have padding between them, so that each
   * begins with a new piece; it is implied, and not in the torrent.
   */
  readonly files: readonly MetainfoFile[];
  /** Tiers of announce URLs (BEP 12), none empty. A URL may have a scheme that the client does not support. */
  readonly trackers: readonly (readonly string[])[];
  /** URLs of web seeds (BEP 19). */
  readonly webSeeds: readonly string[];
  /** DHT nodes to start from (BEP 5). */
  readonly nodes: readonly { readonly host: string; readonly port: number }[];
  /** Whether peers may come only from trackers (BEP 27). */
  readonly private: boolean;
  /** Comment. Untrusted text that may contain control characters. */
  readonly comment: string | null;
  /** Program that created the torrent. Untrusted text that may contain control characters. */
  readonly createdBy: string | null;
  /** Creation date as stated in the torrent. */
  readonly createdAt: Date | null;
  /** Tracker or site for which the torrent was made. Untrusted text that may contain control characters. */
  readonly source: string | null;
  /** The info dictionary exactly as it is in the torrent. */
  readonly info: Bytes;
  /** Problems that were tolerated, as other clients do: plain sentences that are safe to print, at most ten. */
  readonly warnings: readonly string[];
}

/**
 * Returns the SHA-1 digest of a piece.
 *
 * @param index Index of the piece.
 * @returns 20 bytes, a view of `meta.pieces`.
 * @throws {RangeError} If there is no such piece, or the torrent has no SHA-1 digests.
 */
export function pieceHash(meta: Metainfo, index: number): Bytes {
  checkIndex(meta, index);
  if (meta.pieces.length === 0) throw new RangeError("The torrent has no SHA-1 digests");
  return meta.pieces.subarray(index * InfoHash.LENGTH, (index + 1) * InfoHash.LENGTH);
}

/**
 * Returns the length of a piece.
 *
 * @param index Index of the piece.
 * @returns Length in bytes.
 * @throws {RangeError} If there is no such piece.
 */
export function pieceSize(meta: Metainfo, index: number): number {
  checkIndex(meta, index);
  return Math.min(meta.pieceLength, meta.totalLength - index * meta.pieceLength);
}

/**
 * Returns the parameters of a magnet link that name a torrent (BEP 9, BEP 52).
 *
 * @param torrent The info-hashes, one of which may be `null`.
 */
export function topicsOf(
  { infoHashV1, infoHashV2 }: Pick<Metainfo, "infoHashV1" | "infoHashV2">,
): string[] {
  return [
    ...(infoHashV1 ? [`xt=urn:btih:${infoHashV1.hex}`] : []),
    ...(infoHashV2 ? [`xt=urn:btmh:1220${infoHashV2.hex}`] : []),
  ];
}

/**
 * Returns the magnet link of a torrent (BEP 9) with info-hashes, name, trackers and web seeds.
 *
 * @param meta A torrent.
 * @returns A `magnet:` URI.
 */
export function magnetOf(meta: Metainfo): string {
  const parts = [...topicsOf(meta), `dn=${encodeURIComponent(meta.name)}`];
  for (const url of meta.trackers.flat()) parts.push(`tr=${encodeURIComponent(url)}`);
  for (const url of meta.webSeeds) parts.push(`ws=${encodeURIComponent(url)}`);
  return `magnet:?${parts.join("&")}`;
}

function checkIndex(meta: Metainfo, index: number): void {
  if (!Number.isInteger(index) || index < 0 || index >= meta.pieceCount) {
    throw new RangeError(`Pieces are numbered 0 to ${meta.pieceCount - 1}, got ${index}`);
  }
}
