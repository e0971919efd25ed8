/**
 * Makes written data durable in the background: syncs files, and renames complete files to their final names.
 *
 * @module
 */

import { Bitfield } from "../base/bitfield.ts";
import type { DiskFiles } from "./disk_files.ts";
import type { StorageError } from "./errors.ts";
import { type FileMap, holdsData } from "./layout.ts";
import { forEachLimited } from "./concurrency.ts";

/** Files that are synced at one time. A device handles several together faster than one by one. */
const PARALLEL = 8;

/** Options for {@linkcode Flusher}. */
export interface FlusherOptions {
  /** Files of the torrent. */
  readonly disk: DiskFiles;
  /** Called when more data is on the device than before. */
  readonly onChange: () => void;
}

/** Does one thing at a time, so that no file is synced while it is being renamed. */
export class Flusher {
  /** Verified pieces that are on the device. */
  readonly durable: Bitfield;
  /** Verified pieces that were written but may not be on the device yet. */
  readonly unsynced: Bitfield;
  readonly #map: FileMap;
  readonly #disk: DiskFiles;
  readonly #onChange: () => void;
  /** Files that were written since their last sync. */
  readonly #dirty = new Set<number>();
  #finishing: number[] = [];
  #syncWanted = false;
  /** Number of wanted files without their final name. */
  #unfinished = 0;
  #linked = false;
  #running: Promise<void> | null = null;
  #failure: { readonly thrown: unknown } | null = null;
  #refusal: StorageError | null = null;

  constructor(map: FileMap, options: FlusherOptions) {
    this.#map = map;
    this.#disk = options.disk;
    this.#onChange = options.onChange;
    this.durable = new Bitfield(map.layout.pieceCount);
    this.unsynced = new Bitfield(map.layout.pieceCount);
  }

  /** Error that has stopped the flusher, or `null` if none has. */
  get failure(): { readonly thrown: unknown } | null {
    return this.#failure;
  }

  /** Error of the first file whose final name was taken by a different file. The other files are still finished. */
  get refusal(): StorageError | null {
    return this.#refusal;
  }

  /** Whether a file waits to be synced. */
  get isDirty(): boolean {
    return this.#dirty.size > 0;
  }

  /**
   * Starts the work, once it is known where every file is. If all wanted files are complete, only the links are
   * created.
   */
  start(): void {
    this.#unfinished =
      this.#map.layout.files.filter((file, index) =>
        holdsData(file) && this.#map.isWanted(index) && this.#disk.placeOf(index) !== "final"
      ).length;
    if (this.#unfinished === 0) this.#kick();
  }

  /** Records that a file was written. */
  wrote(file: number): void {
    this.#dirty.add(file);
  }

  /** Records that a file lost pieces, and with them its final name. */
  reopened(file: number): void {
    if (this.#map.isWanted(file)) this.#unfinished++;
  }

  /** Syncs a file whose pieces are all verified and written, and gives it its final name. */
  finish(file: number): void {
    this.#finishing.push(file);
    this.#kick();
  }

  /** Syncs all files that were written. */
  sync(): void {
    this.#syncWanted = true;
    this.#kick();
  }

  /**
   * Waits until all requested work is done.
   *
   * @throws {ShoalError} The error that has stopped the flusher.
   */
  async idle(): Promise<void> {
    while (this.#running !== null) await this.#running;
    if (this.#failure !== null) throw this.#failure.thrown;
  }

  #kick(): void {
    if (this.#failure === null) this.#running ??= this.#run();
  }

  async #run(): Promise<void> {
    try {
      for (let work = this.#next(); work !== null; work = this.#next()) {
        await work;
        this.#onChange();
      }
    } catch (thrown) {
      this.#failure = { thrown };
    }
    this.#running = null;
  }

  /** Starts the next job, or returns `null` if there is none. */
  #next(): Promise<void> | null {
    if (this.#finishing.length > 0) {
      return this.#finishSome(this.#finishing.splice(0, PARALLEL));
    }
    if (this.#syncWanted) {
      this.#syncWanted = false;
      return this.#syncAll();
    }
    if (this.#unfinished > 0 || this.#linked) return null;
    this.#linked = true;
    return this.#disk.makeLinks();
  }

  async #finishSome(files: readonly number[]): Promise<void> {
    // A file under its final name is known as ours by its pieces. So the parts of its border pieces that lie in
    // neighbouring files must be on the device before the file gets that name.
    const beside = new Set<number>();
    for (const file of files) {
      const { first, end } = this.#map.piecesOfFile(file);
      for (const piece of first < end - 1 ? [first, end - 1] : [first]) {
        for (const range of this.#map.rangesOfPiece(piece)) if (this.#dirty.has(range.file)) beside.add(range.file);
      }
    }
    for (const file of files) beside.delete(file);
    await this.#syncFiles([...beside]);
    await forEachLimited(files, PARALLEL, (file) => this.#finish(file));
  }

  async #finish(file: number): Promise<void> {
    const refusal = await this.#disk.finish(file);
    this.#refusal ??= refusal;
    if (this.#map.isWanted(file)) this.#unfinished--;
    this.#dirty.delete(file);
    const { first, end } = this.#map.piecesOfFile(file);
    for (let piece = first; piece < end; piece++) {
      if (!this.unsynced.has(piece)) continue;
      // A border piece is durable when its other files are synced, too.
      const safe = piece > first && piece < end - 1 ||
        this.#map.rangesOfPiece(piece).every((range) => !this.#dirty.has(range.file));
      if (safe) this.#keep(piece);
    }
  }

  async #syncAll(): Promise<void> {
    const pieces = this.unsynced.clone(); // pieces written during the sync are not covered by it
    await this.#syncFiles([...this.#dirty]);
    for (const piece of pieces) if (this.unsynced.has(piece)) this.#keep(piece);
  }

  async #syncFiles(files: readonly number[]): Promise<void> {
    for (const file of files) this.#dirty.delete(file); // a write during the sync makes the file dirty again
    try {
      await forEachLimited(files, PARALLEL, (file) => this.#disk.sync(file));
    } catch (error) {
      for (const file of files) this.#dirty.add(file);
      throw error;
    }
  }

  #keep(piece: number): void {
    this.unsynced.clear(piece);
    this.durable.set(piece);
  }
}
