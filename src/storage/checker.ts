/**
 * Hashes pieces that are on disk, on all cores where that pays, and compares them with the torrent's digests.
 *
 * @module
 */

import { Bitfield } from "../base/bitfield.ts";
import type { Bytes } from "../base/bytes.ts";
import type { DigestVerifier, PieceHashing } from "../base/piece_verifier.ts";
import { digestBytes, PieceDigests } from "../platform/piece_digests.ts";
import type { FileHashers, FileSegment, Platform } from "../platform/platform.ts";
import type { DiskFiles } from "./disk_files.ts";
import type { FileMap } from "./layout.ts";

/** Options that {@linkcode checkPieces} and {@linkcode hashPieces} share. */
interface CommonOptions {
  /** Files of the torrent. */
  readonly disk: Pick<DiskFiles, "read" | "pathOf">;
  /** Clock, digests and hashing threads. */
  readonly platform: Pick<Platform, "now" | "digest" | "startFileHashers">;
  /** Called with the progress from 0 to 1, at most ten times a second and once at the end. */
  onProgress(fraction: number): void;
  /** Aborts the hashing. */
  readonly signal?: AbortSignal | undefined;
  /** Number of bytes from which on hashing threads are worth starting. Default: 64 MiB. */
  readonly threadsFrom?: number;
}

/** Options for {@linkcode checkPieces}. */
export interface CheckOptions extends CommonOptions {
  /** Tells how pieces are hashed, and whether a digest is right. */
  readonly verifier: DigestVerifier;
}

/** Options for {@linkcode hashPieces}. */
export interface HashOptions extends CommonOptions {
  /** Returns how a piece is hashed; see {@linkcode DigestVerifier}. */
  hashing(index: number): PieceHashing;
  /** Called with the digest of each piece, in any order. */
  take(index: number, digest: Bytes): void;
}

/** Consecutive pieces. */
interface Run {
  readonly first: number;
  readonly count: number;
  /** How all of them are hashed. */
  readonly hashing: PieceHashing;
}

/** Small pieces are hashed in batches of up to this many bytes, so that a thread has a few milliseconds of work. */
const BATCH_BYTES = 4 * 1024 * 1024;
/** Largest number of files in a batch of small files, since the batch sent to a thread holds all their paths. */
const BATCH_FILES = 1000;
/** Below this many bytes, hashing threads are not worth starting. */
const THREADS_FROM = 64 * 1024 * 1024;
/** Bytes read at a time on this thread, which can do other work between two reads. */
const READ_BYTES = 1024 * 1024;
/** Milliseconds between two progress reports. */
const REPORT_INTERVAL = 100;

/**
 * Reads pieces in order and hashes them, each file once: on all cores if there is much to hash, else on this thread.
 *
 * @param map Layout of the torrent.
 * @param wanted Pieces to check. Their data must exist on disk.
 * @param options See {@linkcode CheckOptions}.
 * @returns The pieces that have the right digest.
 * @throws {ShoalError} If a file can't be read.
 * @throws The signal's reason, when it is aborted.
 */
export async function checkPieces(map: FileMap, wanted: Bitfield, options: CheckOptions): Promise<Bitfield> {
  const right = new Bitfield(wanted.length);
  const { verifier } = options;
  await hashPieces(map, wanted, {
    ...options,
    hashing: (index) => verifier.hashing(index),
    take(index, digest) {
      if (verifier.matches(index, digest)) right.set(index);
    },
  });
  return right;
}

/**
 * Reads and hashes pieces as {@linkcode checkPieces} does, and hands each digest to the caller.
 *
 * @param map Layout of the torrent.
 * @param wanted Pieces to hash. Their data must exist on disk.
 * @param options See {@linkcode HashOptions}.
 * @throws {ShoalError} If a file can't be read.
 * @throws The signal's reason, when it is aborted.
 */
export async function hashPieces(map: FileMap, wanted: Bitfield, options: HashOptions): Promise<void> {
  const isLarge = wanted.count * map.layout.pieceLength >= (options.threadsFrom ?? THREADS_FROM);
  const hashers = isLarge ? options.platform.startFileHashers?.() ?? null : null;
  try {
    await new Hashing(map, { ...options, wanted, hashers }).run();
  } finally {
    hashers?.close();
  }
}

/** Queues by platform, because each test has a platform of its own. */
const TURNS = new WeakMap<object, HashQueue>();

/**
 * Queue for hashing on this thread. Torrents read one after the other, so that one buffer is enough for all of them.
 */
class HashQueue {
  #last: Promise<void> = Promise.resolve();
  #users = 0;
  #buffer: Bytes | null = null;

  /** Returns the queue that all users of a platform share. */
  static of(platform: object): HashQueue {
    const turns = TURNS.get(platform) ?? new HashQueue();
    TURNS.set(platform, turns);
    return turns;
  }

  /** Registers a user of the queue. */
  enter(): void {
    this.#users++;
  }

  /** Removes a user of the queue. The buffer is freed with the last user. */
  leave(): void {
    if (--this.#users === 0) this.#buffer = null;
  }

  /**
   * Waits for earlier jobs, then lends the buffer to `work` until its promise settles.
   *
   * @param size Bytes that the buffer has at least, at most {@linkcode READ_BYTES}.
   */
  take<T>(size: number, work: (buffer: Bytes) => Promise<T>): Promise<T> {
    const done = this.#last.then(() => {
      if (this.#buffer === null || this.#buffer.length < size) this.#buffer = new Uint8Array(size);
      return work(this.#buffer);
    });
    this.#last = done.then(() => {}, () => {}); // the caller of `take` gets the error
    return done;
  }
}

/** Options for {@linkcode Hashing}. */
interface Parts extends HashOptions {
  readonly wanted: Bitfield;
  readonly hashers: FileHashers | null;
}

/** One run of {@linkcode hashPieces}. */
class Hashing {
  readonly #map: FileMap;
  readonly #parts: Parts;
  readonly #turns: HashQueue;
  /** Number of batches under way. */
  #running = 0;
  /** Settles when this thread has finished reading for this run. Never rejects. */
  #here: Promise<void> = Promise.resolve();
  #done = 0;
  #reported = -Infinity;
  /** Why the run ends early, if it does. From then on no batch is started and no digest is reported. */
  #failure: { readonly thrown: unknown } | null = null;
  #wake = () => {};

  constructor(map: FileMap, parts: Parts) {
    this.#map = map;
    this.#parts = parts;
    this.#turns = HashQueue.of(parts.platform);
  }

  async run(): Promise<void> {
    const { signal, wanted, hashers } = this.#parts;
    const lanes = hashers?.lanes ?? 1;
    const abort = (): void => this.#fail(signal!.reason);
    signal?.throwIfAborted();
    signal?.addEventListener("abort", abort);
    this.#turns.enter();
    try {
      for (const run of this.#runs(wanted, this.#batchSize())) {
        this.#start(run);
        while (this.#running >= lanes) await this.#change();
      }
      while (this.#running > 0) await this.#change();
      signal?.throwIfAborted();
    } finally {
      signal?.removeEventListener("abort", abort);
      // The run doesn't wait for other threads, but this thread's reads must be over before the files are closed.
      await this.#here;
      this.#turns.leave();
    }
  }

  /** Returns the number of pieces in a batch. */
  #batchSize(): number {
    const { pieceLength, pieceCount, files } = this.#map.layout;
    return Math.max(1, Math.floor(Math.min(BATCH_BYTES / pieceLength, BATCH_FILES * pieceCount / files.length)));
  }

  /** Yields runs of consecutive wanted pieces that are hashed alike, none longer than `limit`. */
  *#runs(wanted: Bitfield, limit: number): Generator<Run> {
    let first = -1;
    let count = 0;
    let hashing: PieceHashing | null = null;
    for (const piece of wanted) {
      const next = this.#parts.hashing(piece);
      if (hashing !== null && (piece !== first + count || count === limit || next !== hashing)) {
        yield { first, count, hashing };
        count = 0;
      }
      if (count++ === 0) first = piece;
      hashing = next;
    }
    if (hashing !== null) yield { first, count, hashing };
  }

  #start(run: Run): void {
    this.#running++;
    this.#check(run).then(() => {
      this.#running--;
      this.#wake();
    }, (thrown) => this.#fail(thrown));
  }

  #fail(thrown: unknown): void {
    this.#failure ??= { thrown };
    this.#wake();
  }

  /** Waits until a batch is done. */
  async #change(): Promise<void> {
    if (this.#failure === null) await new Promise<void>((resolve) => this.#wake = resolve);
    if (this.#failure !== null) throw this.#failure.thrown;
  }

  async #check(run: Run): Promise<void> {
    const { take, wanted, platform, onProgress } = this.#parts;
    const digests = await this.#hashOnThreads(run) ?? await this.#inTurn(run);
    if (this.#failure !== null) return;
    const length = digestBytes(run.hashing);
    for (let i = 0; i < run.count; i++) take(run.first + i, digests.subarray(i * length, (i + 1) * length));
    this.#done += run.count;
    const now = platform.now();
    if (now - this.#reported < REPORT_INTERVAL && this.#done < wanted.count) return;
    this.#reported = now;
    onProgress(this.#done / wanted.count);
  }

  /** Returns the digests computed by a hashing thread, or `null` when they must be computed on this thread. */
  async #hashOnThreads(run: Run): Promise<Bytes | null> {
    const { hashers, disk } = this.#parts;
    if (hashers === null) return null;
    const segments = segmentsOf(this.#map, { run, pathOf: (file) => disk.pathOf(file) });
    try {
      return await hashers.hash({ segments, pieceLength: this.#map.layout.pieceLength, hashing: run.hashing });
    } catch {
      return null; // a crashed thread loses no data, and a broken file is reported when it is read here
    }
  }

  #inTurn(run: Run): Promise<Bytes> {
    return this.#turns.take(Math.min(READ_BYTES, sizeOf(this.#map, run)), (buffer) => {
      if (this.#failure !== null) throw this.#failure.thrown;
      const digests = this.#hash(run, buffer);
      this.#here = digests.then(() => {}, () => {}); // the caller of `take` gets the error
      return digests;
    });
  }

  /** Computes the digests on this thread. */
  async #hash(run: Run, buffer: Bytes): Promise<Bytes> {
    const { disk, platform } = this.#parts;
    const { pieceLength } = this.#map.layout;
    const total = sizeOf(this.#map, run);
    const pieces = new PieceDigests((algorithm) => platform.digest(algorithm), {
      hashing: run.hashing,
      pieceLength,
      total,
    });
    for (let at = 0; at < total && this.#failure === null; at += READ_BYTES) {
      const part = buffer.subarray(0, Math.min(READ_BYTES, total - at));
      await disk.read(run.first * pieceLength + at, part);
      pieces.update(part);
    }
    return pieces.bytes;
  }
}

/** Returns the total size of some pieces in bytes. */
function sizeOf(map: FileMap, { first, count }: Run): number {
  return (count - 1) * map.layout.pieceLength + map.pieceSize(first + count - 1);
}

/** Returns where the bytes of some pieces are stored. */
function segmentsOf(
  map: FileMap,
  { run, pathOf }: { readonly run: Run; readonly pathOf: (file: number) => string },
): FileSegment[] {
  const total = sizeOf(map, run);
  const segments: FileSegment[] = [];
  let end = 0;
  const padTo = (at: number): void => {
    if (at > end) segments.push({ path: null, position: 0, length: at - end });
  };
  for (const { file, position, at, length } of map.ranges(run.first * map.layout.pieceLength, total)) {
    padTo(at);
    segments.push({ path: pathOf(file), position, length });
    end = at + length;
  }
  padTo(total);
  return segments;
}
