/**
 * Which bytes of a torrent live where in which file.
 *
 * Bytes of files that nobody asked for come along with pieces that cover wanted files, too. They go to one file of the
 * torrent's own, the partfile. It has a slot for each piece that covers several files, in order, so that the place of a
 * byte doesn't depend on what is wanted: the next run, which may want other files, finds it. What isn't written takes no
 * room.
 *
 * @module
 */

import type { Bitfield } from "../base/bitfield.ts";

/** A torrent as storage sees it. The objects of `metainfo/` fit. */
export interface StorageLayout {
  /** Bytes in every piece but the last. */
  readonly pieceLength: number;
  /** How many pieces. */
  readonly pieceCount: number;
  /** Bytes in all. */
  readonly totalLength: number;
  /** The files, in the order of their bytes. */
  readonly files: readonly StorageFile[];
}

/** One file of a torrent. */
export interface StorageFile {
  /** Where it goes, below the download folder: folders, then the name. */
  readonly path: readonly string[];
  /** Bytes. */
  readonly length: number;
  /** Where its first byte is among the bytes of the torrent. */
  readonly offset: number;
  /** Whether it is padding (BEP 47): zeros that are never written to disk. */
  readonly pad: boolean;
  /** Where a symbolic link (BEP 47) leads, below the download folder, or `null` when it is none. */
  readonly symlink: readonly string[] | null;
  /** Whether it is a program (BEP 47). */
  readonly executable: boolean;
}

/** A run of bytes that lies in one file. */
export interface FileRange {
  /** Index of the file. */
  readonly file: number;
  /** First byte in the file. */
  readonly position: number;
  /** First byte in the run that was asked for. */
  readonly at: number;
  /** Bytes. */
  readonly length: number;
}

/** A run of bytes of a file that has a place in the partfile. */
export interface PartFileSlot {
  /** Index of the piece that holds the bytes. */
  readonly piece: number;
  /** Offset of the first byte in the partfile. */
  readonly from: number;
  /** Offset of the first byte in the file. */
  readonly to: number;
  /** Number of bytes. */
  length: number;
}

/**
 * Whether a file holds bytes on disk: not padding, not a link, not empty.
 *
 * @param file One file of a layout.
 * @returns Whether bytes are stored in it.
 */
export function holdsData(file: StorageFile): boolean {
  return file.length > 0 && !file.pad && file.symlink === null;
}

const PLAIN = { pad: false, symlink: null, executable: false } as const;

/** Finds the files of a piece and the pieces of a file. */
export class FileMap {
  /** The torrent. */
  readonly layout: StorageLayout;
  /** Indexes of the files that aren't empty, in the order of their bytes. */
  readonly #filled: readonly number[];
  readonly #wanted: ReadonlySet<number> | null;
  /** Files whose bytes are in the partfile, but for those of some pieces perhaps. */
  readonly #diverted = new Map<number, Bitfield | null>();
  /** Where the slot of a piece begins in the partfile; made when it is needed. */
  #slots: ReadonlyMap<number, number> | null = null;

  /**
   * @param layout The torrent.
   * @param wanted Indexes of the files that are wanted; all when absent.
   * @throws {RangeError} If its numbers contradict each other.
   */
  constructor(layout: StorageLayout, wanted: ReadonlySet<number> | null = null) {
    const { pieceLength, pieceCount, totalLength, files } = layout;
    if (!(pieceLength > 0) || pieceCount !== Math.ceil(totalLength / pieceLength)) {
      throw new RangeError(`${pieceCount} pieces of ${pieceLength} bytes do not make ${totalLength} bytes`);
    }
    let end = 0;
    for (const file of files) {
      if (file.offset !== end) throw new RangeError(`A file is at byte ${file.offset}, the one before ends at ${end}`);
      end += file.length;
    }
    if (end !== totalLength) throw new RangeError(`The files have ${end} bytes, the torrent ${totalLength}`);
    this.layout = layout;
    this.#wanted = wanted;
    this.#filled = [...files.keys()].filter((index) => files[index]!.length > 0);
  }

  /** The number that stands for the partfile where files have their indexes. */
  get partFile(): number {
    return this.layout.files.length;
  }

  /** Whether bytes of any file are in the partfile. */
  get usesPartFile(): boolean {
    return this.#diverted.size > 0;
  }

  /**
   * @param index A file, or the partfile.
   * @returns What is known of it; the partfile has no path and no offset.
   */
  file(index: number): StorageFile {
    return this.layout.files[index] ??
      { path: [], length: this.#slotOf.size * this.layout.pieceLength, offset: 0, ...PLAIN };
  }

  /**
   * @param file Index of a file.
   * @returns Whether it is wanted.
   */
  isWanted(file: number): boolean {
    return this.#wanted === null || this.#wanted.has(file);
  }

  /**
   * @param file Index of a file.
   * @param piece A piece; any when absent.
   * @returns Whether its bytes in that piece are in the partfile.
   */
  isDiverted(file: number, piece?: number): boolean {
    const atHome = this.#diverted.get(file);
    return atHome !== undefined && (piece === undefined || !atHome?.has(piece));
  }

  /**
   * From here on the bytes of a file are in the partfile.
   *
   * @param file Its index.
   * @param atHome Pieces whose bytes are in the file itself nevertheless; none when absent.
   */
  divert(file: number, atHome: Bitfield | null = null): void {
    this.#diverted.set(file, atHome);
  }

  /**
   * From here on the bytes of a file are in the file itself.
   *
   * @param file Its index.
   */
  bringHome(file: number): void {
    this.#diverted.delete(file);
  }

  /**
   * @param piece A piece.
   * @returns Whether there is a place for all of its bytes: for those of a file that isn't wanted there is none, unless
   * the piece covers another file, too.
   */
  hasPlace(piece: number): boolean {
    if (this.#diverted.size === 0 || this.#slotOf.has(piece)) return true;
    const offset = piece * this.layout.pieceLength;
    for (const { file } of this.#filesIn(offset, offset + this.pieceSize(piece))) {
      if (this.isDiverted(file, piece)) return false;
    }
    return true;
  }

  /**
   * @param file Index of a file.
   * @returns What of it has a place in the partfile: which piece, from which byte in the partfile to which in the file,
   * and how many.
   */
  slotsOfFile(file: number): PartFileSlot[] {
    const { offset, length } = this.layout.files[file]!;
    const { first, end } = this.piecesOfFile(file);
    const found = [];
    // Only those at its ends can cover another file.
    for (const piece of first < end - 1 ? [first, end - 1] : [first]) {
      const slot = this.#slotOf.get(piece);
      if (slot === undefined) continue;
      const start = piece * this.layout.pieceLength;
      const from = Math.max(offset, start);
      const to = Math.min(offset + length, start + this.pieceSize(piece));
      found.push({ piece, from: slot + from - start, to: from - offset, length: to - from });
    }
    return found;
  }

  /**
   * @param index A piece.
   * @returns How many bytes it has.
   */
  pieceSize(index: number): number {
    const { pieceLength, totalLength } = this.layout;
    return Math.min(pieceLength, totalLength - index * pieceLength);
  }

  /**
   * @param index A piece.
   * @returns Where it is stored; padding is left out.
   */
  rangesOfPiece(index: number): FileRange[] {
    return this.ranges(index * this.layout.pieceLength, this.pieceSize(index));
  }

  /**
   * @param index A piece.
   * @returns Where it is stored, in words by which two answers can be compared.
   */
  placeOf(index: number): string {
    return this.rangesOfPiece(index).map(({ file, position }) => `${file}+${position}`).join();
  }

  /**
   * @param offset First byte, counted over the whole torrent.
   * @param length Bytes.
   * @returns Where they are stored, in order; padding is left out.
   */
  ranges(offset: number, length: number): FileRange[] {
    const found: FileRange[] = [];
    if (length <= 0) return found;
    for (const { file, from, to } of this.#filesIn(offset, offset + length)) {
      if (this.#diverted.has(file)) this.#addSlots(found, { file, from, to, offset });
      else found.push({ file, position: from - this.layout.files[file]!.offset, at: from - offset, length: to - from });
    }
    return found;
  }

  /**
   * @param file Index of a file.
   * @returns Its first piece, and the one after its last; equal when it is empty.
   */
  piecesOfFile(file: number): { readonly first: number; readonly end: number } {
    const { offset, length } = this.layout.files[file]!;
    const first = Math.floor(offset / this.layout.pieceLength);
    return { first, end: length === 0 ? first : Math.ceil((offset + length) / this.layout.pieceLength) };
  }

  /**
   * @param file Index of a file.
   * @returns What of it lies in pieces that hold no byte of another file: from which of its bytes to which. Empty where it has no
   * such piece.
   */
  ownStretch(file: number): { readonly from: number; readonly end: number } {
    const { offset, length } = this.layout.files[file]!;
    const { first, end } = this.piecesOfFile(file);
    const isOwn = (piece: number) => this.rangesOfPiece(piece).every((range) => range.file === file);
    const firstOwn = first < end && !isOwn(first) ? first + 1 : first;
    const endOwn = end > firstOwn && !isOwn(end - 1) ? end - 1 : end;
    if (firstOwn >= endOwn) return { from: 0, end: 0 };
    const { pieceLength } = this.layout;
    return {
      from: Math.max(0, firstOwn * pieceLength - offset),
      end: Math.min(length, endOwn * pieceLength - offset),
    };
  }

  get #slotOf(): ReadonlyMap<number, number> {
    return this.#slots ??= slotsOf(this);
  }

  /** What of a diverted file lies in a stretch, piece by piece. */
  #addSlots(found: FileRange[], part: { file: number; from: number; to: number; offset: number }): void {
    const { file, to, offset } = part;
    const { pieceLength } = this.layout;
    for (let from = part.from; from < to;) {
      const piece = Math.floor(from / pieceLength);
      const length = Math.min(to, (piece + 1) * pieceLength) - from;
      const slot = this.#slotOf.get(piece);
      if (this.#diverted.get(file)?.has(piece)) {
        found.push({ file, position: from - this.layout.files[file]!.offset, at: from - offset, length });
      } else if (slot !== undefined) {
        found.push({ file: this.partFile, position: slot + from - piece * pieceLength, at: from - offset, length });
      }
      from += length;
    }
  }

  /** The files with bytes from one byte of the torrent to another, padding left out, and what of them lies there. */
  *#filesIn(offset: number, end: number): Generator<{ readonly file: number; readonly from: number; to: number }> {
    const { files } = this.layout;
    for (let i = this.#find(offset); i < this.#filled.length; i++) {
      const index = this.#filled[i]!;
      const file = files[index]!;
      if (file.offset >= end) break;
      if (file.pad || file.symlink !== null) continue;
      yield { file: index, from: Math.max(offset, file.offset), to: Math.min(end, file.offset + file.length) };
    }
  }

  /** Where in `#filled` the first file is that ends after `offset`. */
  #find(offset: number): number {
    let low = 0;
    let high = this.#filled.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const file = this.layout.files[this.#filled[middle]!]!;
      if (file.offset + file.length <= offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Slots in the partfile: one for each piece that covers several files. */
function slotsOf(map: FileMap): Map<number, number> {
  const slots = new Map<number, number>();
  let last = -1;
  for (const [index, file] of map.layout.files.entries()) {
    if (!holdsData(file)) continue;
    const { first, end } = map.piecesOfFile(index);
    if (first === last && !slots.has(first)) slots.set(first, slots.size * map.layout.pieceLength);
    last = end - 1;
  }
  return slots;
}
