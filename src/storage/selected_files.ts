/**
 * The files of a torrent as they are worked with while the same ones are wanted.
 *
 * @module
 */

import { Bitfield } from "../base/bitfield.ts";
import type { InfoHash } from "../base/info_hash.ts";
import type { Platform } from "../platform/platform.ts";
import { DiskFiles } from "./disk_files.ts";
import { NOTHING } from "./find_file.ts";
import { FileMap, holdsData, type StorageLayout } from "./layout.ts";
import { partFileName } from "./names.ts";
import { PieceWriter } from "./piece_writer.ts";
import type { ResumeState } from "./resume_state.ts";
import { Flusher } from "./flusher.ts";
import { bringHome, findPieces, type StartOptions } from "./find_pieces.ts";

/** Settings of an {@linkcode SelectedFiles}. */
export interface SelectedFilesOptions {
  /** Clocks and files. */
  readonly platform: Pick<Platform, "now" | "wallClock" | "files">;
  /** The download folder. */
  readonly folder: string;
  /** Which torrent. */
  readonly infoHash: InfoHash;
  /** How many files may be open at one time. */
  readonly maxOpenFiles: number;
  /** Whether nothing is written to the folder. */
  readonly readOnly: boolean;
  /** All paths at which a file may lie already; see `StorageOptions`. */
  pathsOf?(index: number): readonly (readonly string[])[];
  /** Told when there is something new to remember. */
  onChange(): void;
  /** Told when the last piece of all was written. */
  onComplete(): void;
}

/** How {@linkcode SelectedFiles.find} finds out what is there. */
export type FindPiecesOptions = Omit<StartOptions, "disk" | "readOnly">;

/** Milliseconds between two rounds of syncing. */
const SYNC_INTERVAL = 5000;

/**
 * Knows which pieces are there, which of them are safe, and what each file lacks. When other files are wanted, or what is
 * on disk is to be looked at again, another arrangement takes the place of this one; until then it goes on serving.
 */
export class SelectedFiles {
  /** Which bytes live where. */
  readonly map: FileMap;
  /** The files on disk. */
  readonly disk: DiskFiles;
  /** Writes pieces. */
  readonly writer: PieceWriter;
  /** Syncs and names files. */
  readonly flusher: Flusher;
  /** Indexes of the files that are wanted; all when absent. */
  readonly wanted: ReadonlySet<number> | undefined;
  /** The verified pieces. */
  readonly have: Bitfield;
  readonly #options: SelectedFilesOptions;
  /** For each file, how many of its pieces aren't there. */
  readonly #missing: Uint32Array;
  /** Pieces with bytes in the partfile although there is a file for them. */
  readonly #split: Bitfield;
  #lastSync = 0;

  /**
   * @param layout The torrent; the objects of `metainfo/` fit.
   * @param options Where, and with what.
   * @param wanted Indexes of the files that are wanted; all when absent.
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
      beforeEnd: (file, handle) => this.disk.checkSize(file, handle),
      onWrote: (file) => {
        this.flusher.wrote(file);
        this.disk.wrote(file);
      },
      onPiece: (index) => this.#onPiece(index),
    });
  }

  /**
   * Finds out what is there; the folder has been scanned. Nothing is written before it is clear that nothing of the
   * user's is in the way.
   *
   * @param options How.
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
   * Moves what is wanted out of the partfile, which goes when nothing needs it. Resume state must have been saved before.
   *
   * @param save Saves it again, once everything that was moved is safe.
   * @throws {ShoalError} If that can't be done.
   */
  async bringHome(save: () => Promise<void>): Promise<void> {
    if (await bringHome(this.map, { disk: this.disk, have: this.have })) await save();
    if (!this.map.usesPartFile) await this.disk.removePartFile();
  }

  /** Counts what is missing, and finishes what is whole. */
  startSettling(): void {
    this.flusher.start();
    for (const [index, file] of this.map.layout.files.entries()) {
      if (!holdsData(file) || !this.#isCounted(index)) continue;
      const { first, end } = this.map.piecesOfFile(index);
      for (let piece = first; piece < end; piece++) if (!this.have.has(piece)) this.#missing[index]!++;
      if (this.#missing[index] === 0 && this.disk.placeOf(index) === "part") this.flusher.finish(index);
    }
    if (this.flusher.isDirty) this.#options.onChange();
  }

  /** Syncs what was written, if that is due. */
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
   * What is to be remembered at this moment.
   *
   * @param clean Whether nothing will be written after this.
   * @returns Resume state.
   */
  snapshot(clean: boolean): ResumeState {
    // A file that wasn't filled yet from the partfile when the last process ended will be: until then it counts as one
    // that isn't there, and the next start looks for its bytes in the partfile again.
    const isUnfilled = (index: number) => this.map.isDiverted(index) && this.disk.placeOf(index) === "part";
    const records = this.disk.records().map((record, index) => isUnfilled(index) ? NOTHING : record);
    const partFile = records.pop()!;
    const { durable, unsynced } = this.flusher;
    const [pieces, toCheck] = this.#split.isEmpty ? [durable, unsynced] : [durable.clone(), unsynced.clone()];
    // The next start finds a file in the place of what the partfile has, and must not believe that it is the same.
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

  /**
   * Pieces aren't there any more. What is under a final name keeps it; see {@linkcode SelectedFiles.unfinish}.
   *
   * @param pieces Which.
   */
  disclaim(pieces: Iterable<number>): void {
    for (const piece of pieces) {
      if (!this.have.clear(piece)) continue;
      this.flusher.durable.clear(piece);
      this.flusher.unsynced.clear(piece);
      for (const { file } of this.map.rangesOfPiece(piece)) if (this.#isCounted(file)) this.#missing[file]!++;
    }
  }

  /**
   * Takes the final names of the files that lack pieces which were lost. What has gone with them, because a file is gone
   * or has become shorter, isn't claimed any more either.
   *
   * @param lost The pieces; they aren't claimed any more.
   * @throws {StorageError} If a file isn't ours any more, or can't be renamed; the others are renamed all the same.
   */
  async unfinish(lost: readonly number[]): Promise<void> {
    const files = new Set<number>(); // grows with the pieces that are found to be lost
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
        this.disclaim(cut);
        addFiles(cut);
        if (this.disk.placeOf(file) !== "final") this.flusher.reopened(file);
      } catch (thrown) {
        failure ??= { thrown };
      }
    }
    if (failure !== null) throw failure.thrown;
  }

  /**
   * A piece is there that was written in parts.
   *
   * @param index Which.
   */
  claim(index: number): void {
    if (this.have.has(index)) return;
    // A sync between the last part and now doesn't count: the piece is safe after the next one.
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

  /** Whether it is counted what a file lacks; of the partfile it isn't, nor of a file whose bytes are there. */
  #isCounted(file: number): boolean {
    return file !== this.map.partFile && !this.map.isDiverted(file);
  }
}

/**
 * @param whole Pieces.
 * @param part Others.
 * @returns Whether all of `part` are in `whole`.
 */
export function isSuperset(whole: Bitfield, part: Bitfield): boolean {
  for (const index of part) if (!whole.has(index)) return false;
  return true;
}
