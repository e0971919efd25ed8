/**
 * The files of a torrent and the state of its pieces, for as long as the same files are wanted.
 *
 * @module
 */

import { Bitfield } from "../base/bitfield.ts";
import type { DataMemory } from "../base/data_memory.ts";
import type { InfoHash } from "../base/info_hash.ts";
import type { Platform } from "../platform/platform.ts";
import { DiskFiles } from "./disk_files.ts";
import { ABSENT_FILE } from "./find_file.ts";
import { FileMap, holdsData, type StorageLayout } from "./layout.ts";
import { partFileName } from "./file_names.ts";
import { PieceWriter } from "./piece_writer.ts";
import type { ResumeState } from "./resume_state.ts";
import { Flusher } from "./flusher.ts";
import { fillFromPartFile, findPieces, type StartOptions } from "./find_pieces.ts";

/** Options for {@linkcode SelectedFiles}. */
export interface SelectedFilesOptions {
  /** Clocks and files. */
  readonly platform: Pick<Platform, "now" | "wallClock" | "files">;
  /** Memory for merged writes. */
  readonly memory: DataMemory;
  /** Download folder. */
  readonly folder: string;
  /** Info-hash of the torrent. */
  readonly infoHash: InfoHash;
  /** Largest number of files that are open at one time. */
  readonly maxOpenFiles: number;
  /** Whether nothing is written to the folder. */
  readonly readOnly: boolean;
  /** Returns all paths at which a file may already be; see `StorageOptions`. */
  pathsOf?(index: number): readonly (readonly string[])[];
  /** Called when the resume state has changed. */
  onChange(): void;
  /** Called when the last missing piece of the torrent was written. */
  onComplete(): void;
}

/** Options for {@linkcode SelectedFiles.find}. */
export type FindPiecesOptions = Omit<StartOptions, "disk" | "readOnly">;

/** Milliseconds between two syncs. */
const SYNC_INTERVAL = 5000;

/**
 * Knows which pieces are present, which of them are durable, and how many pieces each file lacks. When other files are
 * wanted, or the data on disk is checked again, a new object takes the place of this one, which goes on serving until
 * then.
 */
export class SelectedFiles {
  /** Maps pieces to files. */
  readonly map: FileMap;
  /** Files on disk. */
  readonly disk: DiskFiles;
  /** Writes pieces. */
  readonly writer: PieceWriter;
  /** Syncs files and gives them their final names. */
  readonly flusher: Flusher;
  /** Indexes of the wanted files; all when absent. */
  readonly wanted: ReadonlySet<number> | undefined;
  /** Verified pieces. */
  readonly have: Bitfield;
  readonly #options: SelectedFilesOptions;
  /** Number of missing pieces by file. */
  readonly #missing: Uint32Array;
  /** Pieces with bytes in the partfile although the file itself exists. */
  readonly #split: Bitfield;
  #lastSync = 0;

  /**
   * @param layout Layout of the torrent; the objects of `metainfo/` have this shape.
   * @param options See {@linkcode SelectedFilesOptions}.
   * @param wanted Indexes of the wanted files; all when absent.
   * @throws {StorageError} If a path could lead out of the folder.
   */
  constructor(layout: StorageLayout, options: SelectedFilesOptions, wanted?: ReadonlySet<number>) {
    this.#options = options;
    this.wanted = wanted;
    this.map = new FileMap(layout, wanted);
    this.have = new Bitfield(layout.pieceCount);
    this.#split = new Bitfield(layout.pieceCount);
    this.#missing = new Uint32Array(layout.files.length);
    this.disk = new DiskFiles(this.map, {
      files: options.platform.files,
      folder: options.folder,
      maxOpenFiles: options.maxOpenFiles,
      readOnly: options.readOnly,
      partName: partFileName(options.infoHash),
      ...(options.pathsOf && { pathsOf: (index) => options.pathsOf!(index) }),
    });
    this.flusher = new Flusher(this.map, { disk: this.disk, onChange: () => options.onChange() });
    this.writer = new PieceWriter(this.map, {
      open: this.disk.open,
      memory: options.memory,
      beforeEnd: (file, handle) => this.disk.checkSize(file, handle),
      onWrote: (file) => {
        this.flusher.wrote(file);
        this.disk.wrote(file);
      },
      onPiece: (index) => this.#onPiece(index),
    });
  }

  /**
   * Finds the pieces on disk, after the folder has been scanned. Nothing is written until it is certain that no file of
   * the user's is in the way.
   *
   * @throws {ShoalError} If something else is in the place of a file, or a file can't be used.
   */
  async find(options: FindPiecesOptions): Promise<void> {
    const { readOnly, platform } = this.#options;
    const { have, believed, left } = await findPieces(this.map, { ...options, disk: this.disk, readOnly });
    this.have.addAll(have);
    for (const file of left) {
      for (const { piece } of this.map.slotsOfFile(file)) {
        if (this.map.isDiverted(file, piece)) this.#split.set(piece);
      }
    }
    for (const piece of this.have) {
      const unsafe = readOnly || believed.has(piece)
        ? []
        : this.map.rangesOfPiece(piece).filter((range) => this.disk.placeOf(range.file) !== "final");
      (unsafe.length === 0 ? this.flusher.durable : this.flusher.unsynced).set(piece);
      for (const range of unsafe) this.flusher.wrote(range.file);
    }
    this.#lastSync = platform.now();
  }

  /**
   * Moves wanted data out of the partfile, and removes the partfile when it is no longer needed. The resume state must
   * be saved before.
   *
   * @param save Saves the resume state again, once the moved data is durable.
   * @throws {ShoalError} If the data can't be moved, or the partfile can't be removed.
   */
  async bringHome(save: () => Promise<void>): Promise<void> {
    if (await fillFromPartFile(this.map, { disk: this.disk, have: this.have })) await save();
    if (!this.map.usesPartFile) await this.disk.removePartFile();
  }

  /** Counts the missing pieces of each file, and starts to finish the complete files. */
  startFinishing(): void {
    this.flusher.start();
    for (const [index, file] of this.map.layout.files.entries()) {
      if (!holdsData(file) || !this.#isCounted(index)) continue;
      const { first, end } = this.map.piecesOfFile(index);
      for (let piece = first; piece < end; piece++) if (!this.have.has(piece)) this.#missing[index]!++;
      if (this.#missing[index] === 0 && this.disk.placeOf(index) === "part") this.flusher.finish(index);
    }
    if (this.flusher.isDirty) this.#options.onChange();
  }

  /** Syncs the written files, if the last sync is long enough ago. */
  syncIfDue(): void {
    const now = this.#options.platform.now();
    if (!this.flusher.isDirty || this.flusher.failure !== null) return;
    if (now - this.#lastSync >= SYNC_INTERVAL) {
      this.#lastSync = now;
      this.flusher.sync();
    } else {
      this.#options.onChange();
    }
  }

  /**
   * Returns the resume state as of now.
   *
   * @param clean Whether nothing will be written afterwards.
   */
  snapshot(clean: boolean): ResumeState {
    // A file that is not yet filled from the partfile counts as absent, so that a start after a kill looks for its
    // bytes in the partfile again.
    const isUnfilled = (index: number) => this.map.isDiverted(index) && this.disk.placeOf(index) === "part";
    const records = this.disk.records().map((record, index) => isUnfilled(index) ? ABSENT_FILE : record);
    const partFile = records.pop()!;
    const { durable, unsynced } = this.flusher;
    const [pieces, toCheck] = this.#split.isEmpty ? [durable, unsynced] : [durable.clone(), unsynced.clone()];
    // The next start will find the file itself in the place of the bytes in the partfile, so it must hash these pieces.
    for (const piece of this.#split) if (pieces.clear(piece)) toCheck.set(piece);
    return {
      infoHash: this.#options.infoHash,
      folder: this.disk.root,
      saved: Math.max(0, Math.floor(this.#options.platform.wallClock())),
      clean,
      pieces,
      unsynced: toCheck,
      files: records,
      ...(partFile.place !== "absent" && { partFile }),
    };
  }

  /** Marks pieces as missing. The files keep their final names until {@linkcode SelectedFiles.unfinish} is called. */
  markMissing(pieces: Iterable<number>): void {
    for (const piece of pieces) {
      if (!this.have.clear(piece)) continue;
      this.flusher.durable.clear(piece);
      this.flusher.unsynced.clear(piece);
      for (const { file } of this.map.rangesOfPiece(piece)) if (this.#isCounted(file)) this.#missing[file]!++;
    }
  }

  /**
   * Takes the final names from the files that lack lost pieces. Marks the pieces as missing that were lost with them
   * because a file is gone or has become shorter.
   *
   * @param lost Indexes of the lost pieces, which are already marked as missing.
   * @throws {StorageError} If a file is no longer ours or can't be renamed. The other files are renamed nevertheless.
   */
  async unfinish(lost: readonly number[]): Promise<void> {
    const files = new Set<number>(); // grows with the pieces that turn out to be lost
    const addFiles = (pieces: readonly number[]): void => {
      for (const piece of pieces) {
        for (const { file } of this.map.rangesOfPiece(piece)) if (this.disk.placeOf(file) === "final") files.add(file);
      }
    };
    addFiles(lost);
    let failure: { readonly thrown: unknown } | null = null;
    for (const file of files) {
      try {
        const { first, end } = this.map.piecesOfFile(file);
        const pieces = Array.from({ length: end - first }, (_, i) => first + i);
        const size = await this.disk.unfinish(file, { isOurs: pieces.some((piece) => this.have.has(piece)) });
        const isCut = (piece: number) =>
          this.map.rangesOfPiece(piece).some((range) => range.file === file && range.position + range.length > size);
        const cut = pieces.filter((piece) => this.have.has(piece) && isCut(piece));
        this.markMissing(cut);
        addFiles(cut);
        if (this.disk.placeOf(file) !== "final") this.flusher.reopened(file);
      } catch (thrown) {
        failure ??= { thrown };
      }
    }
    if (failure !== null) throw failure.thrown;
  }

  /** Marks a piece as present that was written in parts. */
  markPresent(index: number): void {
    if (this.have.has(index)) return;
    // A sync between the last part and now doesn't count: the piece is durable after the next one.
    for (const { file } of this.map.rangesOfPiece(index)) this.flusher.wrote(file);
    this.#onPiece(index);
  }

  #onPiece(index: number): void {
    if (!this.have.set(index)) return;
    this.flusher.unsynced.set(index);
    for (const { file } of this.map.rangesOfPiece(index)) {
      if (this.#isCounted(file) && --this.#missing[file]! === 0) this.flusher.finish(file);
    }
    if (this.have.isFull) this.#options.onComplete();
    this.#options.onChange();
  }

  /**
   * Returns `true` if missing pieces of a file are counted. They are not for the partfile, nor for a file whose bytes
   * are in it.
   */
  #isCounted(file: number): boolean {
    return file !== this.map.partFile && !this.map.isDiverted(file);
  }
}

/**
 * Returns `true` if `whole` holds all pieces of `part`.
 *
 * @param whole Pieces to search.
 * @param part Pieces to look for.
 */
export function isSuperset(whole: Bitfield, part: Bitfield): boolean {
  for (const index of part) if (!whole.has(index)) return false;
  return true;
}
