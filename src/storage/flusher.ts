/**
 * Brings what was written to safety, in the background: syncs files and gives whole ones their final names.
 *
 * @module
 */

import { Bitfield } from "../base/bitfield.ts";
import type { DiskFiles } from "./disk_files.ts";
import type { StorageError } from "./errors.ts";
import { type FileMap, holdsData } from "./layout.ts";
import { forEachLimited } from "./limited.ts";

/** Files that are synced at one time; a device takes several together better than one by one. */
const PARALLEL = 8;

/** Options for {@linkcode Flusher}. */
export interface FlusherOptions {
  /** Files of the torrent. */
  readonly disk: DiskFiles;
  /** Called when more data is on the device than before. */
  readonly onChange: () => void;
}

/** One thing at a time, so that nothing is synced while it gets another name. */
export class Flusher {
  /** Verified pieces that the device holds. */
  readonly durable: Bitfield;
  /** Verified pieces that were written and may not be on the device yet. */
  readonly unsynced: Bitfield;
  readonly #map: FileMap;
  readonly #disk: DiskFiles;
  readonly #onChange: () => void;
  /** Files that were written since they were synced last. */
  readonly #dirty = new Set<number>();
  #finishing: number[] = [];
  #syncWanted = false;
  /** Files that are wanted and don't have their final name. */
  #unfinished = 0;
  #linked = false;
  #running: Promise<void> | null = null;
  #failure: { readonly thrown: unknown } | null = null;
  #refusal: StorageError | null = null;

  /**
   * @param map The torrent.
   * @param options `disk`: its files. `onChange`: told when more is safe than before.
   */
  constructor(map: FileMap, options: FlusherOptions) {
    this.#map = map;
    this.#disk = options.disk;
    this.#onChange = options.onChange;
    this.durable = new Bitfield(map.layout.pieceCount);
    this.unsynced = new Bitfield(map.layout.pieceCount);
  }

  /** Why the work ended early, or `null` while nothing is wrong. */
  get failure(): { readonly thrown: unknown } | null {
    return this.#failure;
  }

  /** Why the first of the files could not have its final name that had another one in its place; the others go on. */
  get refusal(): StorageError | null {
    return this.#refusal;
  }

  /** Whether something waits to be synced. */
  get isDirty(): boolean {
    return this.#dirty.size > 0;
  }

  /** Begins, once it is known where each file is: with every one whole already, only the links are to be made. */
  start(): void {
    this.#unfinished =
      this.#map.layout.files.filter((file, index) =>
        holdsData(file) && this.#map.isWanted(index) && this.#disk.placeOf(index) !== "final"
      ).length;
    if (this.#unfinished === 0) this.#kick();
  }

  /**
   * Notes that a file was written to.
   *
   * @param file Its index.
   */
  wrote(file: number): void {
    this.#dirty.add(file);
  }

  /**
   * Notes that a file lacks pieces again, and has lost its final name by that.
   *
   * @param file Its index.
   */
  reopened(file: number): void {
    if (this.#map.isWanted(file)) this.#unfinished++;
  }

  /**
   * Syncs a file whose pieces are all verified and written, and gives it its final name.
   *
   * @param file Its index.
   */
  finish(file: number): void {
    this.#finishing.push(file);
    this.#kick();
  }

  /** Syncs what was written. */
  sync(): void {
    this.#syncWanted = true;
    this.#kick();
  }

  /**
   * Waits until all that was asked for is done.
   *
   * @throws {ShoalError} Why it can't be.
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

  /** Begins the next thing; `null` when there is none. */
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
    // A file under its final name is known for ours by its pieces, so those on its borders must be safe in the files
    // beside it, too, before it gets that name.
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
      // A piece on the border is safe when its other files are, too.
      const safe = piece > first && piece < end - 1 ||
        this.#map.rangesOfPiece(piece).every((range) => !this.#dirty.has(range.file));
      if (safe) this.#keep(piece);
    }
  }

  async #syncAll(): Promise<void> {
    const pieces = this.unsynced.clone(); // what is written while the device works isn't covered
    await this.#syncFiles([...this.#dirty]);
    for (const piece of pieces) if (this.unsynced.has(piece)) this.#keep(piece);
  }

  async #syncFiles(files: readonly number[]): Promise<void> {
    for (const file of files) this.#dirty.delete(file); // what is written meanwhile makes it dirty again
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
