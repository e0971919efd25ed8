/**
 * Reading a file of a torrent while it is being downloaded.
 *
 * @module
 */

import { Bitfield } from "../base/bitfield.ts";
import type { Bytes } from "../base/bytes.ts";
import { ShoalError } from "../base/errors.ts";
import { type Metainfo, type MetainfoFile, numberedFiles } from "../metainfo/mod.ts";
import type { Block, ReadTurns } from "../peer/mod.ts";
import type { Content } from "./content.ts";
import type { FileSelection } from "./file_selection.ts";
import { type PieceReader, Readers } from "./pieces/time_critical.ts";
import type { Shared } from "./torrent_options.ts";

/** Bytes of a read that doesn't say how many it wants. */
const DEFAULT_LENGTH = 256 * 1024;
/** Bytes that are copied from the read cache at a time. */
const COPY = 64 * 1024;

/** How {@linkcode TorrentReader.read} reads. */
export interface ReadOptions {
  /** Most bytes to return (default 256 KiB). */
  readonly length?: number;
  /** Gives up waiting. */
  readonly signal?: AbortSignal;
}

/** How a file is opened for reading. */
export interface OpenFileOptions {
  /** The byte after the last that will be read (default: the file's end): nothing is fetched ahead past it. */
  readonly end?: number;
}

/**
 * Reads one file of a torrent while it is being downloaded: what is read, and some seconds of what follows, is fetched before all
 * else. Several may be open at the same time, of one file, too; each has its share.
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
  /** Which file. */
  readonly file: MetainfoFile;
  /**
   * Reads bytes, as a file does: at least one, and no more than are there without waiting for another piece. Only verified data
   * is read.
   *
   * @param position Where the first is in the file.
   * @param options How many, and when to give up.
   * @returns Them; none at the file's end.
   * @throws {ShoalError} Of kind `storage` if the file can't be read, or the torrent has ended.
   * @throws The signal's reason, when it is aborted.
   */
  read(position: number, options?: ReadOptions): Promise<Bytes>;
  /** Wants nothing any more: what it would have read next is urgent no more. Reads that wait fail. Harmless when closed. */
  close(): void;
}

/** {@linkcode TorrentReader} over a torrent. */
class FileReader implements TorrentReader {
  readonly file: MetainfoFile;
  readonly #source: ReadSource;
  readonly #meta: Metainfo;
  readonly #end: number;
  readonly #pieces: PieceReader;
  readonly #ahead: ReadAhead;
  #closed = false;

  /**
   * @param source Where the bytes come from.
   * @param parts `meta`: what the torrent holds. `file`: which of it. `options`: how it is opened.
   */
  constructor(
    source: ReadSource,
    parts: {
      readonly meta: Metainfo;
      readonly file: MetainfoFile;
      readonly options: OpenFileOptions;
    },
  ) {
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
    let end = Math.min(begin + length, offset + this.file.length);
    if (end <= begin) return new Uint8Array(0);
    const now = this.#source.now();
    const last = Math.min(begin + this.#ahead.ahead(now), offset + this.#end);
    const wanted = piecesOf(this.#meta, { begin, end: Math.max(end, last) });
    this.#pieces.move(wanted);
    await this.#pieces.wait(wanted.first, signal);
    end = Math.min(end, this.#verifiedFrom(wanted.first, end));
    const bytes = await this.#load(begin, end, signal);
    this.#ahead.read(bytes.length, this.#source.now());
    return bytes;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#source.reads.unwatch();
    this.#pieces.close();
  }

  /** Where the row of verified pieces that begins with one ends, or `end` when that comes first. */
  #verifiedFrom(index: number, end: number): number {
    const { pieceLength } = this.#meta;
    while (index * pieceLength < end && this.#source.have.has(index)) index++;
    return index * pieceLength;
  }

  /** Brings verified bytes of the torrent from disk or cache. */
  async #load(begin: number, end: number, signal: AbortSignal | undefined): Promise<Bytes> {
    const { pieceLength } = this.#meta;
    const bytes = new Uint8Array(end - begin);
    for (let at = begin; at < end;) {
      const index = Math.floor(at / pieceLength);
      const start = at - index * pieceLength;
      const length = Math.min(end - at, pieceLength - start, COPY);
      if (this.#source.readBlock({ index, begin: start, length }, bytes, at - begin)) at += length;
      else {
        await this.#source.loadBlock(index, start, length);
        signal?.throwIfAborted();
      }
    }
    return bytes;
  }
}

/** A torrent whose files can be read while they are being downloaded. */
export interface ReadableTorrent {
  /**
   * Indexes into `meta.files` of those that are downloaded, padding left out; none while it isn't known what the torrent holds.
   */
  readonly wantedFiles: readonly number[];
  /**
   * Opens one of its files for reading, whatever of it is here. Close the reader when it isn't needed any more.
   *
   * @param file Index into `meta.files`, of one that is downloaded.
   * @param options How much of it is going to be read.
   * @returns The reader.
   * @throws {ShoalError} Of kind `usage` if there is no such file, or it isn't downloaded.
   * @throws {Error} While it isn't known what the torrent holds: wait for `metadata` first.
   */
  open(file: number, options?: OpenFileOptions): TorrentReader;
}

/** What is known of a torrent, as far as reading goes. */
interface Known {
  readonly source: ReadSource;
  readonly meta: Metainfo | null;
  readonly choice: FileSelection | null;
}

/**
 * What {@linkcode ReadableTorrent.wantedFiles} is.
 *
 * @param known `meta`: what the torrent holds. `choice`: which of it is wanted.
 * @returns Indexes.
 */
export function wantedFilesOf({ meta, choice }: Pick<Known, "meta" | "choice">): readonly number[] {
  if (meta === null) return [];
  return numberedFiles(meta.files).filter((index) => choice?.files?.has(index) ?? true);
}

/**
 * Does {@linkcode ReadableTorrent.open}.
 *
 * @param file Index into `meta.files`.
 * @param known `source`: where the bytes come from. `meta`: what the torrent holds. `choice`: which of it is wanted. `options`: how it
 * is opened.
 * @returns The reader.
 * @throws {ShoalError} Of kind `usage` if there is no such file, or it isn't downloaded.
 * @throws {Error} While it isn't known what the torrent holds.
 */
export function openFile(file: number, known: Known & { readonly options: OpenFileOptions }): TorrentReader {
  const { source, meta, choice, options } = known;
  if (meta === null) throw new Error("The torrent has no metadata yet");
  const found = meta.files[file];
  if (found !== undefined && !found.pad && (choice?.files?.has(file) ?? true)) {
    return new FileReader(source, { meta, file: found, options });
  }
  throw new ShoalError("usage", {
    what: "cannot read",
    where: `file ${file} of ${meta.name}`,
    why: found === undefined ? `the torrent has ${meta.files.length} files` : "it is not downloaded",
  });
}

/** Seconds of reading, at the pace of the last seconds, that should be here before they are read ... */
const AHEAD_SECONDS = 20;
/** ... but no fewer bytes than this, that being the pace of a film, and nothing known yet ... */
const LEAST_AHEAD = 4 * 1024 * 1024;
/** ... and no more than this: who reads as fast as the data comes would have everything else wait. */
const MOST_AHEAD = 32 * 1024 * 1024;
/** Milliseconds over which the pace is measured; what lies further back counts half, and half again. */
const MEMORY_MS = 5_000;

/** Measures a reader's pace. */
export class ReadAhead {
  #bytes = 0;
  #since: number;

  /** @param now Milliseconds. */
  constructor(now: number) {
    this.#since = now;
  }

  /**
   * Takes note of what was read.
   *
   * @param bytes How many.
   * @param now Milliseconds.
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
   * @param now Milliseconds.
   * @returns Bytes that should be here beyond those that are read next.
   */
  ahead(now: number): number {
    // What came in less than a second says little about the pace.
    const rate = this.#bytes / Math.max(1, (now - this.#since) / 1000);
    return Math.min(MOST_AHEAD, Math.max(LEAST_AHEAD, Math.ceil(AHEAD_SECONDS * rate)));
  }
}

/**
 * The pieces that a reader wants.
 *
 * @param layout `pieceLength`: bytes of a piece.
 * @param bytes `begin`: the first that is read next. `end`: the one after the last that is wanted soon; both counted over the
 * torrent.
 * @returns From the one with the first byte to the one after that with the last; none when there are no bytes.
 */
export function piecesOf(
  { pieceLength }: { readonly pieceLength: number },
  { begin, end }: { readonly begin: number; readonly end: number },
): { readonly first: number; readonly end: number } {
  const first = Math.floor(begin / pieceLength);
  return { first, end: Math.max(first, Math.ceil(end / pieceLength)) };
}

/** What nobody has found out yet. */
const NOTHING = { have: new Bitfield(0), wants: () => true, prioritise() {} };

/** The reading side of one torrent; outlives its {@linkcode Content}, which is another one after an error or a re-check. */
export class ReadSource {
  /** Who reads. */
  readonly readers = new Readers(() => this.#content()?.download ?? NOTHING);
  readonly #shared: Pick<Shared, "platform" | "reads">;
  readonly #content: () => Content | null;

  /** @param parts `shared`: what the session shares. `content`: gives what the torrent holds; `null` while nobody knows. */
  constructor(parts: { readonly shared: Pick<Shared, "platform" | "reads">; readonly content: () => Content | null }) {
    this.#shared = parts.shared;
    this.#content = parts.content;
  }

  /** Lets others have a turn while peers send. */
  get reads(): ReadTurns {
    return this.#shared.reads;
  }

  /** Pieces that are verified and written. */
  get have(): Bitfield {
    return this.#content()?.have ?? NOTHING.have;
  }

  /** Milliseconds on the clock that never jumps. */
  now(): number {
    return this.#shared.platform.now();
  }

  /** Copies a block from the read cache, or returns `false` when it isn't there. */
  readBlock(block: Block, into: Bytes, at: number): boolean {
    return this.#content()?.readBlock(block, into, at) ?? false;
  }

  /**
   * Brings a block into the read cache.
   *
   * @throws {ShoalError} If it can't be read.
   */
  async loadBlock(index: number, begin: number, length: number): Promise<void> {
    await this.#content()?.loadBlock(index, begin, length);
  }
}
