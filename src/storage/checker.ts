/**
 * Hashes what is on disk.
 *
 * @module
 */

import { Bitfield } from "../base/bitfield.ts";
import { type Bytes, equalBytes } from "../base/bytes.ts";
import { DIGEST_BYTES, PieceDigests } from "../platform/piece_digests.ts";
import type { FileHashers, FileSegment, Platform } from "../platform/platform.ts";
import type { DiskFiles } from "./disk_files.ts";
import type { FileMap } from "./layout.ts";

/** What both {@linkcode checkPieces} and {@linkcode hashPieces} work with. */
interface CommonOptions {
  /** The files. */
  readonly disk: Pick<DiskFiles, "read" | "pathOf">;
  /** The outside. */
  readonly platform: Pick<Platform, "now" | "digest" | "startFileHashers">;
  /** Told how far it has come, 0 to 1, ten times a second at most and once at the end. */
  onProgress(fraction: number): void;
  /** Ends it. */
  readonly signal?: AbortSignal | undefined;
  /** Bytes from which on other threads are worth their start; 64 MiB when absent. */
  readonly threadsFrom?: number;
}

/** What {@linkcode checkPieces} works with. */
export interface CheckOptions extends CommonOptions {
  /** The digest that a piece must have. */
  pieceHash(index: number): Uint8Array;
}

/** What {@linkcode hashPieces} works with. */
export interface HashOptions extends CommonOptions {
  /** Takes the digest of a piece; they come in any order. */
  take(index: number, digest: Bytes): void;
}

/** Pieces that follow each other. */
interface Run {
  readonly first: number;
  readonly count: number;
}

/** Small pieces are hashed together, up to this many bytes: enough that a thread has a few milliseconds of work. */
const BATCH_BYTES = 4 * 1024 * 1024;
/** Files in a batch, where they are small; all their names are told to the thread. */
const BATCH_FILES = 1000;
/** Bytes below which other threads are not worth their start. */
const THREADS_FROM = 64 * 1024 * 1024;
/** Bytes that are read at one time on this thread, which can do something else before the next ones. */
const READ_BYTES = 1024 * 1024;
/** Milliseconds between two reports. */
const REPORT_INTERVAL = 100;

/**
 * Reads pieces in order, each file once, and hashes them: much of it on all cores, little of it on this thread.
 *
 * @param map The torrent.
 * @param wanted The pieces to check; their data must be there.
 * @param options What to work with.
 * @returns The pieces that have the right digest.
 * @throws {ShoalError} If a file can't be read.
 * @throws The signal's reason, when it is aborted.
 */
export async function checkPieces(map: FileMap, wanted: Bitfield, options: CheckOptions): Promise<Bitfield> {
  const right = new Bitfield(wanted.length);
  await hashPieces(map, wanted, {
    ...options,
    take(index, digest) {
      if (equalBytes(digest, options.pieceHash(index))) right.set(index);
    },
  });
  return right;
}

/**
 * Does the reading and hashing of {@linkcode checkPieces}, and leaves to somebody else what comes of it.
 *
 * @param map The torrent.
 * @param wanted The pieces to hash; their data must be there.
 * @param options What to work with.
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

/** By platform: a test has its own. */
const TURNS = new WeakMap<object, HashTurns>();

/** Lets those who hash on this thread read one after the other, so that one buffer is enough for all torrents. */
class HashTurns {
  #last: Promise<void> = Promise.resolve();
  #users = 0;
  #buffer: Bytes | null = null;

  /** @returns The turns of all who use a platform. */
  static of(platform: object): HashTurns {
    const turns = TURNS.get(platform) ?? new HashTurns();
    TURNS.set(platform, turns);
    return turns;
  }

  /** Somebody may take turns from now on. */
  enter(): void {
    this.#users++;
  }

  /** Somebody takes no more turns; nobody keeps the buffer after the last one. */
  leave(): void {
    if (--this.#users === 0) this.#buffer = null;
  }

  /** Waits for those who came before, then lends the buffer out until `work` has settled. */
  take<T>(work: (buffer: Bytes) => Promise<T>): Promise<T> {
    const done = this.#last.then(() => work(this.#buffer ??= new Uint8Array(READ_BYTES)));
    this.#last = done.then(() => {}, () => {}); // who asked for it is told
    return done;
  }
}

/** What a {@linkcode Hashing} works with. */
interface Parts extends HashOptions {
  readonly wanted: Bitfield;
  readonly hashers: FileHashers | null;
}

/** Pieces that are being hashed. */
class Hashing {
  readonly #map: FileMap;
  readonly #parts: Parts;
  readonly #turns: HashTurns;
  /** Batches under way. */
  #running = 0;
  /** Settles when what this thread reads for it is over. Never fails. */
  #here: Promise<void> = Promise.resolve();
  #done = 0;
  #reported = -Infinity;
  /** Why it ends early, if it does: nothing is begun or told any more. */
  #failure: { readonly thrown: unknown } | null = null;
  #wake = () => {};

  constructor(map: FileMap, parts: Parts) {
    this.#map = map;
    this.#parts = parts;
    this.#turns = HashTurns.of(parts.platform);
  }

  async run(): Promise<void> {
    const { signal, wanted, hashers } = this.#parts;
    const lanes = hashers?.lanes ?? 1;
    const abort = (): void => this.#fail(signal!.reason);
    signal?.throwIfAborted();
    signal?.addEventListener("abort", abort);
    this.#turns.enter();
    try {
      for (const run of runs(wanted, this.#together())) {
        this.#start(run);
        while (this.#running >= lanes) await this.#change();
      }
      while (this.#running > 0) await this.#change();
      signal?.throwIfAborted();
    } finally {
      signal?.removeEventListener("abort", abort);
      // Nobody waits for other threads, but what this one reads must be over before the files are closed.
      await this.#here;
      this.#turns.leave();
    }
  }

  /** How many pieces are hashed together. */
  #together(): number {
    const { pieceLength, pieceCount, files } = this.#map.layout;
    return Math.max(1, Math.floor(Math.min(BATCH_BYTES / pieceLength, BATCH_FILES * pieceCount / files.length)));
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
    const digests = await this.#elsewhere(run) ?? await this.#inTurn(run);
    if (this.#failure !== null) return;
    for (let i = 0; i < run.count; i++) {
      take(run.first + i, digests.subarray(i * DIGEST_BYTES, (i + 1) * DIGEST_BYTES));
    }
    this.#done += run.count;
    const now = platform.now();
    if (now - this.#reported < REPORT_INTERVAL && this.#done < wanted.count) return;
    this.#reported = now;
    onProgress(this.#done / wanted.count);
  }

  /** The digests from another thread; `null` when they are to be computed here. */
  async #elsewhere(run: Run): Promise<Bytes | null> {
    const { hashers, disk } = this.#parts;
    if (hashers === null) return null;
    const segments = segmentsOf(this.#map, { run, pathOf: (file) => disk.pathOf(file) });
    try {
      return await hashers.hash({ segments, pieceLength: this.#map.layout.pieceLength });
    } catch {
      return null; // a lost thread loses nothing, and what is wrong with a file shows when it is read here
    }
  }

  #inTurn(run: Run): Promise<Bytes> {
    return this.#turns.take((buffer) => {
      if (this.#failure !== null) throw this.#failure.thrown;
      const digests = this.#hash(run, buffer);
      this.#here = digests.then(() => {}, () => {}); // who asked for it is told
      return digests;
    });
  }

  /** The digests, computed on this thread. */
  async #hash(run: Run, buffer: Bytes): Promise<Bytes> {
    const { disk, platform } = this.#parts;
    const { pieceLength } = this.#map.layout;
    const total = sizeOf(this.#map, run);
    const pieces = new PieceDigests(() => platform.digest("sha1"), { pieceLength, total });
    for (let at = 0; at < total && this.#failure === null; at += READ_BYTES) {
      const part = buffer.subarray(0, Math.min(READ_BYTES, total - at));
      await disk.read(run.first * pieceLength + at, part);
      pieces.update(part);
    }
    return pieces.bytes;
  }
}

/** How many bytes some pieces have together. */
function sizeOf(map: FileMap, { first, count }: Run): number {
  return (count - 1) * map.layout.pieceLength + map.pieceSize(first + count - 1);
}

/** Where the bytes of pieces are. */
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

/** Runs of wanted pieces that follow each other, none longer than `limit`. */
function* runs(wanted: Bitfield, limit: number): Generator<Run> {
  let first = -1;
  let count = 0;
  for (const piece of wanted) {
    if (count > 0 && (piece !== first + count || count === limit)) {
      yield { first, count };
      count = 0;
    }
    if (count++ === 0) first = piece;
  }
  if (count > 0) yield { first, count };
}
