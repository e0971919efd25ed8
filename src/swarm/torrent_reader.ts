/**
 * Reads a file of a torrent while it is being downloaded.
 *
 * @module
 */

import { Bitfield } from "../base/bitfield.ts";
import type { Bytes } from "../base/bytes.ts";
import { ShoalError } from "../base/errors.ts";
import { plural } from "../base/plural.ts";
import { type Metainfo, type MetainfoFile, numberedFiles } from "../metainfo/mod.ts";
import { type Block, BLOCK_SIZE, type ReadTurns } from "../peer/mod.ts";
import type { Content } from "./content.ts";
import type { FileSelection } from "./file_selection.ts";
import type { BlockProofs } from "./pieces/block_proofs.ts";
import { type PieceReader, Readers } from "./pieces/time_critical.ts";
import type { Shared } from "./torrent_options.ts";

/** Bytes that a read returns at most if it doesn't say how many. */
const DEFAULT_LENGTH = 256 * 1024;
/** Bytes that are copied from the read cache at once. */
const COPY = 64 * 1024;

/** Options for {@linkcode TorrentReader.read}. */
export interface ReadOptions {
  /** Most bytes to return (default 256 KiB). */
  readonly length?: number;
  /** Aborts the wait. */
  readonly signal?: AbortSignal;
}

/** Options for opening a file for reading. */
export interface OpenFileOptions {
  /** Position after the last byte that will be read (default: the file's end). Nothing after it is fetched ahead. */
  readonly end?: number;
}

/**
 * Reads one file of a torrent while it is being downloaded. The data that is read, and the data of the following
 * seconds, is fetched before all other data. Several readers may be open at the same time, even of one file; they share
 * the download.
 *
 * @example
 * ```ts
 * const reader = torrent.open(0);
 * const head = await reader.read(0, { length: 4096 }); // waits until the first piece is verified
 * const tail = await reader.read(reader.file.length - 4096); // and now the last one comes first
 * reader.close();
 * ```
 */
export interface TorrentReader {
  /** The file. */
  readonly file: MetainfoFile;
  /**
   * Reads verified bytes: at least one, and no more than are available without waiting. In v2 torrents bytes are
   * available as soon as their block of 16 KiB is verified, if peers give the hashes of blocks; otherwise when their
   * piece is.
   *
   * @param position Position of the first byte in the file.
   * @param options See {@linkcode ReadOptions}.
   * @returns The bytes; none at the file's end.
   * @throws {ShoalError} Of kind `storage` if the file can't be read, or the torrent has ended.
   * @throws The signal's reason, when it is aborted.
   */
  read(position: number, options?: ReadOptions): Promise<Bytes>;
  /** Closes the reader. Waiting reads fail, and nothing is fetched ahead any more. May be called again. */
  close(): void;
}

/** Options for {@linkcode FileReader}. */
interface FileReaderOptions {
  /** The torrent. */
  readonly meta: Metainfo;
  /** The file. */
  readonly file: MetainfoFile;
  /** Options of the caller. */
  readonly options: OpenFileOptions;
}

/** The {@linkcode TorrentReader} of a file. */
class FileReader implements TorrentReader {
  readonly file: MetainfoFile;
  readonly #source: ReadSource;
  readonly #meta: Metainfo;
  readonly #end: number;
  readonly #pieces: PieceReader;
  readonly #ahead: ReadAhead;
  #closed = false;

  /** @param source Source of the bytes. */
  constructor(source: ReadSource, parts: FileReaderOptions) {
    this.#source = source;
    this.#meta = parts.meta;
    this.file = parts.file;
    this.#end = Math.min(parts.file.length, parts.options.end ?? Infinity);
    this.#pieces = source.readers.open();
    this.#ahead = new ReadAhead(source.now());
    source.reads.watch();
  }

  async read(position: number, { length = DEFAULT_LENGTH, signal }: ReadOptions = {}): Promise<Bytes> {
    if (!Number.isSafeInteger(position) || position < 0) throw new RangeError(`No file has a byte ${position}`);
    if (!(length > 0)) throw new RangeError(`At least 1 byte is read at a time, got ${length}`);
    const { offset } = this.file;
    const begin = offset + position;
    const end = Math.min(begin + length, offset + this.file.length);
    if (end <= begin) return new Uint8Array(0);
    for (;;) {
      const now = this.#source.now();
      const last = Math.min(begin + this.#ahead.ahead(now), offset + this.#end);
      const wanted = piecesOf(this.#meta, { begin, end: Math.max(end, last) });
      this.#pieces.move(wanted, Math.floor((begin - wanted.first * this.#meta.pieceLength) / BLOCK_SIZE));
      await this.#pieces.wait(wanted.first, signal);
      const bytes = await this.#load(begin, this.#readableTo(begin, end), signal);
      // A piece that isn't on disk may be given up at any time.
      if (bytes.length === 0) continue;
      this.#ahead.read(bytes.length, this.#source.now());
      return bytes;
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#source.reads.unwatch();
    this.#pieces.close();
  }

  /** Returns the offset where the verified bytes from an offset on end, or `end` if that comes first. */
  #readableTo(begin: number, end: number): number {
    const { pieceLength } = this.#meta;
    let at = begin;
    while (at < end) {
      const index = Math.floor(at / pieceLength);
      const start = index * pieceLength;
      if (!this.#source.have.has(index)) {
        const to = this.#source.readableTo(index, Math.floor((at - start) / BLOCK_SIZE)) * BLOCK_SIZE;
        if (to < Math.min(pieceLength, end - start)) return Math.max(begin, start + to);
      }
      at = start + pieceLength;
    }
    return end;
  }

  /**
   * Loads verified bytes of the torrent from memory or the disk; none or only the first if others can't be read any
   * more.
   */
  async #load(begin: number, end: number, signal: AbortSignal | undefined): Promise<Bytes> {
    const { pieceLength } = this.#meta;
    const bytes = new Uint8Array(end - begin);
    for (let at = begin; at < end;) {
      const index = Math.floor(at / pieceLength);
      const start = at - index * pieceLength;
      const length = Math.min(end - at, pieceLength - start, COPY);
      if (!this.#source.have.has(index)) {
        const count = await this.#loadBlock(index, start, bytes.subarray(at - begin));
        signal?.throwIfAborted();
        if (count === 0 && !this.#source.have.has(index)) return bytes.subarray(0, at - begin);
        at += count;
      } else if (this.#source.readBlock({ index, begin: start, length }, bytes, at - begin)) at += length;
      else {
        await this.#source.loadBlock(index, start, length);
        signal?.throwIfAborted();
      }
    }
    return bytes;
  }

  /**
   * Copies the rest of a block of a piece that isn't whole. Returns the number of bytes, 0 if they can't be read any
   * more.
   */
  async #loadBlock(index: number, start: number, into: Bytes): Promise<number> {
    const block = Math.floor(start / BLOCK_SIZE);
    const found = this.#source.findProven(index, start) ??
      (await this.#source.loadProven(index, block))?.subarray(start - block * BLOCK_SIZE);
    if (found === undefined) return 0;
    const count = Math.min(found.length, into.length);
    into.set(count < found.length ? found.subarray(0, count) : found);
    return count;
  }
}

/** A torrent whose files can be read while they are being downloaded. */
export interface ReadableTorrent {
  /** Indexes in `meta.files` of the files that are downloaded, without padding; none while the metadata is unknown. */
  readonly wantedFiles: readonly number[];
  /**
   * Opens a file for reading, whether its data has been downloaded or not. The caller closes the reader.
   *
   * @param file Index in `meta.files` of a file that is downloaded.
   * @param options See {@linkcode OpenFileOptions}.
   * @returns The reader.
   * @throws {ShoalError} Of kind `usage` if there is no such file, or it isn't downloaded.
   * @throws {Error} While the metadata is unknown: wait for `metadata` first.
   */
  open(file: number, options?: OpenFileOptions): TorrentReader;
}

/** What reading needs to know about a torrent. */
interface Known {
  /** Source of the bytes. */
  readonly source: ReadSource;
  /** The metadata; `null` while unknown. */
  readonly meta: Metainfo | null;
  /** The wanted files; `null` while unknown. */
  readonly choice: FileSelection | null;
}

/** Options for {@linkcode openFile}. */
export interface OpenFileParts extends Known {
  /** Options of the caller. */
  readonly options: OpenFileOptions;
}

/** Implements {@linkcode ReadableTorrent.wantedFiles}. */
export function wantedFilesOf({ meta, choice }: Pick<Known, "meta" | "choice">): readonly number[] {
  if (meta === null) return [];
  return numberedFiles(meta.files).filter((index) => choice?.files?.has(index) ?? true);
}

/**
 * Implements {@linkcode ReadableTorrent.open}.
 *
 * @param file Index in `meta.files`.
 * @throws {ShoalError} Of kind `usage` if there is no such file, or it isn't downloaded.
 * @throws {Error} While the metadata is unknown.
 */
export function openFile(file: number, known: OpenFileParts): TorrentReader {
  const { source, meta, choice, options } = known;
  if (meta === null) throw new Error("The torrent has no metadata yet");
  const found = meta.files[file];
  if (found !== undefined && !found.pad && (choice?.files?.has(file) ?? true)) {
    return new FileReader(source, { meta, file: found, options });
  }
  throw new ShoalError("usage", {
    what: "cannot read",
    where: `file ${file} of ${meta.name}`,
    why: found === undefined ? `the torrent has ${plural(meta.files.length, "file")}` : "it is not downloaded",
  });
}

/** Seconds of reading, at the rate of the last seconds, for which data is fetched ahead. */
const AHEAD_SECONDS = 20;
/** Fewest bytes that are fetched ahead, for a reader whose rate is unknown or that of a film. */
const LEAST_AHEAD = 4 * 1024 * 1024;
/** Most bytes that are fetched ahead: a reader that reads as fast as data arrives would make everything else wait. */
const MOST_AHEAD = 32 * 1024 * 1024;
/** Milliseconds over which the rate is measured. Older bytes count half, and half again after the same time. */
const MEMORY_MS = 5_000;

/** Measures a reader's rate. */
export class ReadAhead {
  #bytes = 0;
  #since: number;

  /** @param now Current time in milliseconds. */
  constructor(now: number) {
    this.#since = now;
  }

  /**
   * Notes a read.
   *
   * @param bytes Number of bytes.
   * @param now Current time in milliseconds.
   */
  read(bytes: number, now: number): void {
    this.#bytes += bytes;
    while (now - this.#since > 2 * MEMORY_MS) {
      const elapsed = now - this.#since;
      this.#bytes /= 2;
      this.#since = now - elapsed / 2;
    }
  }

  /**
   * Returns the number of bytes to fetch ahead of the next read.
   *
   * @param now Current time in milliseconds.
   */
  ahead(now: number): number {
    // Less than a second says little about the rate.
    const rate = this.#bytes / Math.max(1, (now - this.#since) / 1000);
    return Math.min(MOST_AHEAD, Math.max(LEAST_AHEAD, Math.ceil(AHEAD_SECONDS * rate)));
  }
}

/** A range of bytes that a reader wants, as offsets in the torrent. */
export interface WantedBytes {
  /** Offset of the first byte that is read next. */
  readonly begin: number;
  /** Offset after the last byte that is wanted soon. */
  readonly end: number;
}

/**
 * Returns the pieces that contain a range of bytes: the first, and the one after the last.
 *
 * @param layout Piece length of the torrent.
 */
export function piecesOf(
  { pieceLength }: Pick<Metainfo, "pieceLength">,
  { begin, end }: WantedBytes,
): { readonly first: number; readonly end: number } {
  const first = Math.floor(begin / pieceLength);
  return { first, end: Math.max(first, Math.ceil(end / pieceLength)) };
}

/** Stands for the download while there is no content. */
const NOTHING = { have: new Bitfield(0), wants: () => true, prioritise() {} };

/** Options for {@linkcode ReadSource}. */
export interface ReadSourceOptions {
  /** What the session shares. */
  readonly shared: Pick<Shared, "platform" | "reads">;
  /** Returns the present content; `null` while there is none. */
  readonly content: () => Content | null;
}

/** The reading side of one torrent, which outlives its {@linkcode Content}: an error replaces that. */
export class ReadSource {
  /** All readers of the torrent. */
  readonly readers = new Readers(
    () => this.#content()?.download ?? NOTHING,
    (index, block) => this.#proofs?.isReadable(index, block) ?? false,
  );
  readonly #shared: Pick<Shared, "platform" | "reads">;
  readonly #content: () => Content | null;

  constructor(parts: ReadSourceOptions) {
    this.#shared = parts.shared;
    this.#content = parts.content;
  }

  /** Makes reading from peers yield to readers. */
  get reads(): ReadTurns {
    return this.#shared.reads;
  }

  /** Pieces that have been verified and written. */
  get have(): Bitfield {
    return this.#content()?.have ?? NOTHING.have;
  }

  get #proofs(): BlockProofs | undefined {
    return this.#content()?.download.started.proofs;
  }

  /** Returns the number of the first block from one on that can't be read, in a piece that isn't whole. */
  readableTo(index: number, block: number): number {
    return this.#proofs?.readableTo(index, block) ?? block;
  }

  /**
   * Returns proven bytes from memory, up to the end of their block, of a piece that isn't whole; `null` if there are
   * none.
   */
  findProven(index: number, begin: number): Bytes | null {
    return this.#proofs?.find(index, begin) ?? null;
  }

  /**
   * Reads a block from disk whose piece isn't whole. Returns `null` if it can't be proven.
   *
   * @throws {ShoalError} If the disk can't be read.
   */
  async loadProven(index: number, block: number): Promise<Bytes | null> {
    return await this.#proofs?.load(index, block) ?? null;
  }

  /** Returns the current time on the monotonic clock in milliseconds. */
  now(): number {
    return this.#shared.platform.now();
  }

  /** Copies a block from the read cache. Returns `false` if the cache doesn't have it. */
  readBlock(block: Block, into: Bytes, at: number): boolean {
    return this.#content()?.readBlock(block, into, at) ?? false;
  }

  /**
   * Loads a block into the read cache.
   *
   * @throws {ShoalError} If the block can't be read.
   */
  async loadBlock(index: number, begin: number, length: number): Promise<void> {
    await this.#content()?.loadBlock(index, begin, length);
  }
}
