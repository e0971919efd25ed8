/**
 * Hashes what is on disk.
 *
 * @module
 */

import { Bitfield } from "../base/bitfield.ts";
import { type Bytes, equalBytes } from "../base/bytes.ts";
import type { PieceMap } from "./layout.ts";

/** What {@linkcode checkPieces} works with. */
export interface CheckOptions {
  /** Reads bytes of the torrent. */
  read(offset: number, into: Bytes): Promise<void>;
  /** The digest that a piece must have. */
  pieceHash(index: number): Uint8Array;
  /** Computes a digest away from this thread. */
  sha1(data: Bytes): Promise<Bytes>;
  /** Milliseconds on a clock that never jumps. */
  now(): number;
  /** Told how far the check has come, 0 to 1, ten times a second at most and once at the end. */
  onProgress(fraction: number): void;
  /** Ends the check. */
  readonly signal?: AbortSignal | undefined;
}

/** Small pieces are read together, up to this many bytes. */
const READ_BYTES = 1024 * 1024;
/** Bytes that may be in memory at one time, unless pieces are so large that two buffers are more. */
const MEMORY = 8 * 1024 * 1024;
/** Milliseconds between two reports. */
const REPORT_INTERVAL = 100;

/**
 * Reads pieces in order, each file once, and hashes them. Reading goes on while two or three buffers are being hashed.
 *
 * @param map The torrent.
 * @param wanted The pieces to check; their data must be there.
 * @param options What to work with.
 * @returns The pieces that have the right digest.
 * @throws {ShoalError} If a file can't be read.
 * @throws The signal's reason, when it is aborted.
 */
export async function checkPieces(map: PieceMap, wanted: Bitfield, options: CheckOptions): Promise<Bitfield> {
  const verified = new Bitfield(wanted.length);
  const { pieceLength } = map.layout;
  const together = Math.max(1, Math.floor(READ_BYTES / pieceLength));
  const buffers = Math.min(4, Math.max(2, Math.floor(MEMORY / (together * pieceLength))));
  const free: Bytes[] = [];
  const hashing = new Set<Promise<void>>();
  let made = 0;
  let done = 0;
  let reported = -Infinity;

  const hash = async (buffer: Bytes, first: number, count: number): Promise<void> => {
    const digests: Promise<Bytes>[] = [];
    for (let i = 0; i < count; i++) {
      const at = i * pieceLength;
      digests.push(options.sha1(buffer.subarray(at, at + map.pieceSize(first + i))));
    }
    for (const [i, digest] of (await Promise.all(digests)).entries()) {
      if (equalBytes(digest, options.pieceHash(first + i))) verified.set(first + i);
    }
    free.push(buffer);
    done += count;
    const now = options.now();
    if (now - reported < REPORT_INTERVAL && done < wanted.count) return;
    reported = now;
    options.onProgress(done / wanted.count);
  };

  try {
    for (const [first, count] of runs(wanted, together)) {
      options.signal?.throwIfAborted();
      while (free.length === 0 && made === buffers) await Promise.race(hashing);
      const buffer = free.pop() ?? (made++, new Uint8Array(together * pieceLength));
      const length = (count - 1) * pieceLength + map.pieceSize(first + count - 1);
      await options.read(first * pieceLength, buffer.subarray(0, length));
      const work = hash(buffer, first, count);
      hashing.add(work);
      work.then(() => hashing.delete(work), () => {}); // a failure stays in the set and is thrown below
    }
    options.signal?.throwIfAborted();
    await Promise.all(hashing);
  } finally {
    await Promise.allSettled(hashing);
  }
  return verified;
}

/** Runs of wanted pieces that follow each other, none longer than `limit`, as first piece and count. */
function* runs(wanted: Bitfield, limit: number): Generator<readonly [first: number, count: number]> {
  let first = -1;
  let count = 0;
  for (const piece of wanted) {
    if (count > 0 && (piece !== first + count || count === limit)) {
      yield [first, count];
      count = 0;
    }
    if (count++ === 0) first = piece;
  }
  if (count > 0) yield [first, count];
}
