/**
 * Maps the bytes of a torrent to positions in its files and in the partfile.
 *
 * Pieces that cover wanted files also bring bytes of unwanted files. These bytes go to one extra file of the torrent,
 * the partfile. It has a slot for each piece that covers several files, in the order of the pieces, so that the
 * position of a byte doesn't depend on which files are wanted: the next run, which may want other files, finds it.
 * Slots that are not written take no space.
 *
 * @module
 */

import type { Bitfield } from "../base/bitfield.ts";

/** A torrent as storage sees it. The objects of `metainfo/` have this shape. */
export interface StorageLayout {
  /** Piece length in bytes. */
  readonly pieceLength: number;
  /** Number of pieces. */
  readonly pieceCount: number;
  /** Total size in bytes, with the gaps before files. */
  readonly totalLength: number;
  /**
   * Files, in the order of their bytes. Each begins where the one before ends, or at the next piece. A gap between two
   * files belongs to no piece.
   */
  readonly files: readonly StorageFile[];
  /** Returns the size of a piece in bytes. When absent, every piece but the last has the piece length. */
  pieceSize?(index: number): number;
  /**
   * Returns how many bytes of a piece may be read: its size, and the padding after it. When absent, the piece length, up
   * to the last byte of the torrent.
   */
  servedSize?(index: number): number;
}

/** One file of a torrent. */
export interface StorageFile {
  /** Path below the download folder: folders, then the file name. */
  readonly path: readonly string[];
  /** Size in bytes. */
  readonly length: number;
  /** Offset of the first byte in the torrent. */
  readonly offset: number;
  /** Whether the file is padding (BEP 47): zeros that are never written to disk. */
  readonly pad: boolean;
  /** Target of a symbolic link (BEP 47), as a path below the download folder; `null` if the file is no link. */
  readonly symlink: readonly string[] | null;
  /** Whether the file is executable (BEP 47). */
  readonly executable: boolean;
}

/** A run of bytes that is stored in one file. */
export interface FileRange {
  /** Index of the file. */
  readonly file: number;
  /** Offset of the first byte in the file. */
  readonly position: number;
  /** Offset of the first byte in the range that was asked for. */
  readonly at: number;
  /** Number of bytes. */
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
 * Returns `true` if a file holds bytes on disk: it is not padding, not a link and not empty.
 *
 * @param file A file of a layout.
 */
export function holdsData(file: StorageFile): boolean {
  return file.length > 0 && !file.pad && file.symlink === null;
}

const PLAIN = { pad: false, symlink: null, executable: false } as const;

/** Maps pieces to files, and files to pieces. */
export class FileMap {
  /** Layout of the torrent. */
  readonly layout: StorageLayout;
  /** Indexes of the files that aren't empty, in the order of their bytes. */
  readonly #filled: readonly number[];
  readonly #wanted: ReadonlySet<number> | null;
  /**
   * Files whose bytes are in the partfile, each with the pieces whose bytes are in the file itself nevertheless, or
   * `null` for none.
   */
  readonly #diverted = new Map<number, Bitfield | null>();
  /** Offsets of the slots in the partfile by piece; computed on first use. */
  #slots: ReadonlyMap<number, number> | null = null;

  /**
   * @param layout Layout of the torrent.
   * @param wanted Indexes of the wanted files; all when absent.
   * @throws {RangeError} If the numbers of the layout contradict each other.
   */
  constructor(layout: StorageLayout, wanted: ReadonlySet<number> | null = null) {
    const { pieceLength, pieceCount, totalLength, files } = layout;
    if (!(pieceLength > 0) || pieceCount !== Math.ceil(totalLength / pieceLength)) {
      throw new RangeError(`${pieceCount} pieces of ${pieceLength} bytes do not make ${totalLength} bytes`);
    }
    let end = 0;
    for (const file of files) {
      const next = layout.pieceSize ? Math.ceil(end / pieceLength) * pieceLength : end;
      if (file.offset !== end && file.offset !== next) {
        throw new RangeError(`A file is at byte ${file.offset}, the one before ends at ${end}`);
      }
      end = file.offset + file.length;
    }
    if (end !== totalLength) throw new RangeError(`The files have ${end} bytes, the torrent ${totalLength}`);
    this.layout = layout;
    this.#wanted = wanted;
    this.#filled = [...files.keys()].filter((index) => files[index]!.length > 0);
  }

  /** Index that stands for the partfile wherever file indexes are used. */
  get partFile(): number {
    return this.layout.files.length;
  }

  /** Whether bytes of any file are in the partfile. */
  get usesPartFile(): boolean {
    return this.#diverted.size > 0;
  }

  /**
   * Returns a file of the layout, or a substitute for the partfile, which has no path and no offset.
   *
   * @param index Index of a file, or of the partfile.
   */
  file(index: number): StorageFile {
    return this.layout.files[index] ??
      { path: [], length: this.#slotOf.size * this.layout.pieceLength, offset: 0, ...PLAIN };
  }

  /** Returns `true` if a file is wanted. */
  isWanted(file: number): boolean {
    return this.#wanted === null || this.#wanted.has(file);
  }

  /**
   * Returns `true` if the bytes of a file are in the partfile.
   *
   * @param file Index of the file.
   * @param piece Index of a piece, to ask only about the bytes in that piece.
   */
  isDiverted(file: number, piece?: number): boolean {
    const atHome = this.#diverted.get(file);
    return atHome !== undefined && (piece === undefined || !atHome?.has(piece));
  }

  /**
   * Stores the bytes of a file in the partfile from now on.
   *
   * @param file Index of the file.
   * @param atHome Pieces whose bytes are in the file itself nevertheless; none when absent.
   */
  divert(file: number, atHome: Bitfield | null = null): void {
    this.#diverted.set(file, atHome);
  }

  /** Stores the bytes of a file in the file itself from now on. */
  storeInFile(file: number): void {
    this.#diverted.delete(file);
  }

  /**
   * Returns `true` if all bytes of a piece can be stored. Bytes of a file in the partfile can be stored only if their
   * piece covers another file, too.
   */
  hasPlace(piece: number): boolean {
    if (this.#diverted.size === 0 || this.#slotOf.has(piece)) return true;
    const offset = piece * this.layout.pieceLength;
    for (const { file } of this.#filesIn(offset, offset + this.pieceSize(piece))) {
      if (this.isDiverted(file, piece)) return false;
    }
    return true;
  }

  /** Returns the runs of a file that have a place in the partfile. */
  slotsOfFile(file: number): PartFileSlot[] {
    const { offset, length } = this.layout.files[file]!;
    const { first, end } = this.piecesOfFile(file);
    const found = [];
    // Only the first and the last piece of a file can cover another file.
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

  /** Returns the size of a piece in bytes. */
  pieceSize(index: number): number {
    const { pieceLength, totalLength } = this.layout;
    return this.layout.pieceSize?.(index) ?? Math.min(pieceLength, totalLength - index * pieceLength);
  }

  /** Returns where a piece is stored, padding left out. */
  rangesOfPiece(index: number): FileRange[] {
    return this.ranges(index * this.layout.pieceLength, this.pieceSize(index));
  }

  /** Returns a string that stands for where a piece is stored. Two strings are equal if the places are. */
  placeOf(index: number): string {
    return this.rangesOfPiece(index).map(({ file, position }) => `${file}+${position}`).join();
  }

  /**
   * Returns where bytes of the torrent are stored, in order, padding left out.
   *
   * @param offset Offset of the first byte in the torrent.
   * @param length Number of bytes.
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

  /** Returns the first piece of a file and the piece after its last one. The two are equal if the file is empty. */
  piecesOfFile(file: number): { readonly first: number; readonly end: number } {
    const { offset, length } = this.layout.files[file]!;
    const first = Math.floor(offset / this.layout.pieceLength);
    return { first, end: length === 0 ? first : Math.ceil((offset + length) / this.layout.pieceLength) };
  }

  /**
   * Returns the range of a file, in bytes from its start, that lies in pieces without bytes of another file. The range
   * is empty if the file has no such piece.
   */
  ownRange(file: number): { readonly from: number; readonly end: number } {
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

  /** Adds the ranges that store a part of a diverted file, piece by piece. */
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

  /** Yields the files, padding left out, that have bytes in a range of the torrent, each with its part of the range. */
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

  /** Returns the index in `#filled` of the first file that ends after `offset`. */
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

/** Returns the offsets of the slots in the partfile, one for each piece that covers several files. */
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
