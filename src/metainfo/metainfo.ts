/**
 * A torrent, as the rest of the house sees it.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { InfoHash } from "../base/info_hash.ts";

/** One file of a torrent. */
export interface MetainfoFile {
  /**
   * Where it goes, as safe names from the download folder on: the torrent's folder first when the torrent has a list of files,
   * just its name when it is a single file. No two files that are written have the same path, not even by case.
   */
  readonly path: readonly string[];
  /**
   * The path that the torrent names, where we or other clients make another one of it, and files can have it on some system.
   * The data may lie there, since whoever made the torrent had it there.
   */
  readonly own?: readonly string[] | undefined;
  /** Bytes. */
  readonly length: number;
  /** Where it begins in the torrent's stream of bytes. */
  readonly offset: number;
  /** Whether it only pads the stream with zeros (BEP 47). Never written; its path may be that of another file. */
  readonly pad: boolean;
  /**
   * For a symbolic link the target, as safe names from the download folder on. It is in the torrent and the link leads there,
   * through other links of the torrent perhaps. `null` for everything else.
   */
  readonly symlink: readonly string[] | null;
  /** Whether it should be executable. */
  readonly executable: boolean;
}

/** A v1 torrent (BEP 3) that has been checked: whatever it says about itself fits together. */
export interface Metainfo {
  /** SHA-1 of `info`. */
  readonly infoHash: InfoHash;
  /** The name, made safe; the first component of every path. */
  readonly name: string;
  /** Bytes a piece, the last one perhaps excepted. */
  readonly pieceLength: number;
  /** How many pieces; at least 1. */
  readonly pieceCount: number;
  /** Bytes of all files, padding included; at least 1. */
  readonly totalLength: number;
  /** Bytes of all files, padding left out; at least 1. */
  readonly size: number;
  /** SHA-1 digests of all pieces, 20 bytes each. */
  readonly pieces: Bytes;
  /** The files in the order of the stream; at least 1. */
  readonly files: readonly MetainfoFile[];
  /** Announce URLs by tier (BEP 12), none empty. May be of a scheme that Shoal can't use. */
  readonly trackers: readonly (readonly string[])[];
  /** URLs of web seeds (BEP 19). */
  readonly webSeeds: readonly string[];
  /** DHT nodes to start from (BEP 5). */
  readonly nodes: readonly { readonly host: string; readonly port: number }[];
  /** Whether peers may come from trackers only (BEP 27). */
  readonly private: boolean;
  /** Free text from outside: may hold control characters. */
  readonly comment: string | null;
  /** Free text from outside: may hold control characters. */
  readonly createdBy: string | null;
  /** When it was made, as it says itself. */
  readonly createdAt: Date | null;
  /** The tracker or site that it was made for. Free text from outside: may hold control characters. */
  readonly source: string | null;
  /** The info dictionary exactly as it stands in the torrent. */
  readonly info: Bytes;
  /** What is wrong with the torrent and was passed over, as other clients do: plain sentences, at most ten; safe to print. */
  readonly warnings: readonly string[];
}

/**
 * The SHA-1 digest that a piece must have.
 *
 * @param meta A torrent.
 * @param index Which piece, from 0.
 * @returns 20 bytes, a view of `meta.pieces`.
 * @throws {RangeError} If there is no such piece.
 */
export function pieceHash(meta: Metainfo, index: number): Bytes {
  checkIndex(meta, index);
  return meta.pieces.subarray(index * InfoHash.LENGTH, (index + 1) * InfoHash.LENGTH);
}

/**
 * @param meta A torrent.
 * @param index Which piece, from 0.
 * @returns How many bytes the piece has.
 * @throws {RangeError} If there is no such piece.
 */
export function pieceSize(meta: Metainfo, index: number): number {
  checkIndex(meta, index);
  return Math.min(meta.pieceLength, meta.totalLength - index * meta.pieceLength);
}

/**
 * The magnet link of a torrent (BEP 9): info-hash, name, trackers and web seeds.
 *
 * @param meta A torrent.
 * @returns A `magnet:` URI.
 */
export function magnetOf(meta: Metainfo): string {
  const parts = [`xt=urn:btih:${meta.infoHash.hex}`, `dn=${encodeURIComponent(meta.name)}`];
  for (const url of meta.trackers.flat()) parts.push(`tr=${encodeURIComponent(url)}`);
  for (const url of meta.webSeeds) parts.push(`ws=${encodeURIComponent(url)}`);
  return `magnet:?${parts.join("&")}`;
}

function checkIndex(meta: Metainfo, index: number): void {
  if (!Number.isInteger(index) || index < 0 || index >= meta.pieceCount) {
    throw new RangeError(`Pieces are numbered 0 to ${meta.pieceCount - 1}, got ${index}`);
  }
}
