/**
 * Which bytes of a torrent live where in which file.
 *
 * @module
 */

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

/**
 * Whether a file holds bytes on disk: not padding, not a link, not empty.
 *
 * @param file One file of a layout.
 * @returns Whether bytes are stored in it.
 */
export function holdsData(file: StorageFile): boolean {
  return file.length > 0 && !file.pad && file.symlink === null;
}

/** Finds the files of a piece and the pieces of a file. */
export class PieceMap {
  /** The torrent. */
  readonly layout: StorageLayout;
  /** Indexes of the files that aren't empty, in the order of their bytes. */
  readonly #filled: readonly number[];

  /**
   * @param layout The torrent.
   * @throws {RangeError} If its numbers contradict each other.
   */
  constructor(layout: StorageLayout) {
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
    this.#filled = [...files.keys()].filter((index) => files[index]!.length > 0);
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
   * @param offset First byte, counted over the whole torrent.
   * @param length Bytes.
   * @returns Where they are stored, in order; padding is left out.
   */
  ranges(offset: number, length: number): FileRange[] {
    const found: FileRange[] = [];
    if (length <= 0) return found;
    const end = offset + length;
    const { files } = this.layout;
    for (let i = this.#find(offset); i < this.#filled.length; i++) {
      const index = this.#filled[i]!;
      const file = files[index]!;
      if (file.offset >= end) break;
      if (file.pad || file.symlink !== null) continue;
      const from = Math.max(offset, file.offset);
      const to = Math.min(end, file.offset + file.length);
      found.push({ file: index, position: from - file.offset, at: from - offset, length: to - from });
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
