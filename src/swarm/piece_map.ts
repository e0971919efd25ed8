/**
 * Summaries of a torrent's pieces and files for display.
 *
 * @module
 */

import { type Metainfo, numberedFiles } from "../metainfo/mod.ts";
import type { Bitfield } from "../base/bitfield.ts";
import type { Peer } from "../peer/mod.ts";
import type { PartialPieces } from "./pieces/partial_pieces.ts";

/** All pieces in order, divided into cells of roughly equal size. */
export interface PieceMap {
  /** Pieces of the torrent. */
  readonly pieces: number;
  /** Pieces that have been verified and written. */
  readonly have: number;
  /** Wanted pieces that are missing. */
  readonly missing: number;
  /** Pieces of which blocks have been received or requested. */
  readonly started: number;
  /** The cells; fewer than requested if there are fewer pieces. */
  readonly cells: readonly PieceCell[];
}

/** A cell of neighbouring pieces. */
export interface PieceCell {
  /** Received part of the wanted pieces, verified or not, 0 to 1: 1 only if all are verified, 0 if none is wanted. */
  readonly done: number;
  /** Whether a piece of the cell is being fetched. */
  readonly active: boolean;
  /** Whether a piece of the cell is wanted or on disk. */
  readonly wanted: boolean;
  /** Number of connected peers that have the rarest missing piece; `null` if no piece is missing. */
  readonly rarest: number | null;
}

/** A file of a torrent at one moment. */
export interface FileSnapshot {
  /** Path inside the torrent's folder, or name. Not safe to print. */
  readonly path: string;
  /** Size in bytes. */
  readonly size: number;
  /** Verified bytes. */
  readonly verified: number;
  /** Whether the file is wanted. */
  readonly wanted: boolean;
}

/** The pieces of a torrent that are drawn. */
export interface DrawnPieces {
  /** Wanted pieces. */
  readonly wanted: Bitfield;
  /** Pieces on disk, started pieces, and the availability of the others. */
  readonly started: PartialPieces;
}

/** Largest {@linkcode PieceCell.done} of a cell that isn't complete. */
const ALMOST = 0.999;

/** The peers and web seeds that {@linkcode pieceMapOf} counts. */
export interface PieceMapSource {
  /** Web seeds that answer. */
  readonly webSeeds: readonly unknown[];
  /** Returns every connected peer. */
  peers(): Iterable<Peer>;
}

/** Options for {@linkcode pieceMapOf}. */
export interface PieceMapOptions {
  /** Pieces of the torrent. */
  readonly pieces: DrawnPieces;
  /** Number of cells at most; values below 1 count as 1. */
  readonly cells: number;
}

/** Summarises the pieces of a torrent. Takes one pass over them. */
export function pieceMapOf(torrent: PieceMapSource, options: PieceMapOptions): PieceMap {
  const { pieces: { wanted, started: { have, active, picker } }, cells } = options;
  let everywhere = torrent.webSeeds.length; // the picker doesn't count peers that have everything
  for (const peer of torrent.peers()) if (peer.isSeed) everywhere++;
  const pieces = have.length;
  const count = Math.min(Math.max(1, Math.floor(cells)), pieces);
  const parts = new Float64Array(count);
  for (const piece of active.values()) parts[cellOf(piece.index)]! += piece.received / piece.blockCount;
  const isActive = new Set<number>();
  for (const index of active.keys()) isActive.add(cellOf(index));
  let missing = 0;
  const drawn: PieceCell[] = [];
  for (let cell = 0; cell < count; cell++) {
    const end = Math.ceil((cell + 1) * pieces / count);
    let here = 0;
    let lacking = 0;
    let rarest = Infinity;
    for (let index = Math.ceil(cell * pieces / count); index < end; index++) {
      if (have.has(index)) here++;
      else if (wanted.has(index)) {
        lacking++;
        rarest = Math.min(rarest, picker.availability(index));
      }
    }
    missing += lacking;
    drawn.push({
      done: lacking === 0 ? Math.sign(here) : Math.min(ALMOST, (here + parts[cell]!) / (here + lacking)),
      active: isActive.has(cell),
      wanted: here + lacking > 0,
      rarest: lacking === 0 ? null : rarest + everywhere,
    });
  }
  return { pieces, have: have.count, missing, started: active.size, cells: drawn };

  function cellOf(index: number): number {
    return Math.floor(index * count / pieces);
  }
}

/** Options for {@linkcode filesOf}. */
export interface FilesOfOptions {
  /** The torrent. */
  readonly meta: Metainfo;
  /** Indexes of the wanted files; all when absent. */
  readonly wanted?: ReadonlySet<number> | undefined;
}

/**
 * Returns the files of a torrent in order, without padding, each with its verified bytes. Takes one pass over the
 * pieces.
 *
 * @param torrent The pieces on disk.
 */
export function filesOf(
  torrent: { readonly have: Bitfield },
  options: FilesOfOptions,
): FileSnapshot[] {
  const { meta, wanted } = options;
  const { have } = torrent;
  return numberedFiles(meta.files).map((number) => {
    const { path, offset, length: size } = meta.files[number]!;
    let verified = 0;
    for (let at = offset, end = offset + size; at < end;) {
      const index = Math.floor(at / meta.pieceLength);
      const next = Math.min(end, (index + 1) * meta.pieceLength);
      if (have.has(index)) verified += next - at;
      at = next;
    }
    return {
      path: (path.length > 1 ? path.slice(1) : path).join("/"),
      size,
      verified,
      wanted: wanted?.has(number) ?? true,
    };
  });
}
