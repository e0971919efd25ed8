/**
 * The pieces and files of a torrent, summed up for those who draw them.
 *
 * @module
 */

import { type Metainfo, numberedFiles } from "../metainfo/mod.ts";
import type { Bitfield } from "../base/bitfield.ts";
import type { Peer } from "../peer/mod.ts";
import type { PartialPieces } from "./pieces/partial_pieces.ts";

/** All pieces in a row, cut into cells of as many pieces each, as far as that goes. */
export interface PieceMap {
  /** Pieces of the torrent. */
  readonly pieces: number;
  /** Pieces that are verified and written. */
  readonly have: number;
  /** Wanted pieces that aren't. */
  readonly missing: number;
  /** Pieces of which a part is here or asked for. */
  readonly started: number;
  /** The cells; fewer than were asked for when there are fewer pieces. */
  readonly cells: readonly PieceCell[];
}

/** Some pieces next to each other. */
export interface PieceCell {
  /** Part of the wanted bytes that is here, verified or not: 0 to 1. It is 1 only when all is verified; 0 when nothing is wanted. */
  readonly done: number;
  /** Whether a piece of it is being fetched. */
  readonly active: boolean;
  /** Whether any piece of it is wanted or here. */
  readonly wanted: boolean;
  /** How many connected peers have its rarest missing piece; `null` when none is missing. */
  readonly rarest: number | null;
}

/** A file of a torrent at one moment. */
export interface FileSnapshot {
  /** Its path inside the torrent's folder, or its name. Not made safe to print. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** Bytes of it that are verified. */
  readonly verified: number;
  /** Whether it was chosen. */
  readonly wanted: boolean;
}

/** The pieces of a torrent, for those who draw them. */
export interface DrawnPieces {
  /** Those that are to be there in the end. */
  readonly wanted: Bitfield;
  /** Those that are there, are being fetched, or are common. */
  readonly started: PartialPieces;
}

/** Most of a cell that isn't complete. */
const ALMOST = 0.999;

/**
 * Sums up the pieces of a torrent. Costs one pass over them.
 *
 * @param torrent The torrent.
 * @param options `pieces`: its pieces. `cells`: how many cells there is room for, at least 1.
 * @returns The map.
 */
export function pieceMapOf(
  torrent: { readonly webSeeds: readonly unknown[]; peers(): Iterable<Peer> },
  options: { readonly pieces: DrawnPieces; readonly cells: number },
): PieceMap {
  const { pieces: { wanted, started: { have, active, picker } }, cells } = options;
  let everywhere = torrent.webSeeds.length; // the picker doesn't count those who have everything
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

/**
 * How much is here of each file. Costs one pass over the pieces.
 *
 * @param torrent The torrent.
 * @param options `meta`: what it holds. `wanted`: indexes of the chosen files; all when absent.
 * @returns The files in their order, padding left out.
 */
export function filesOf(
  torrent: { readonly have: Bitfield },
  options: { readonly meta: Metainfo; readonly wanted?: ReadonlySet<number> | undefined },
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
