/**
 * Worker thread that reads files and hashes them. It opens the files itself, because bytes from another thread would
 * have to be copied once more.
 *
 * @module
 */

/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />

import type { Bytes } from "../base/bytes.ts";
import { optionsOfTree, PieceDigests } from "./piece_digests.ts";
import type { FileSegment, HashBatch, TreeBatch } from "./platform.ts";
import { startDigest } from "./start_digest.ts";

/** Message to the worker. */
export interface HashOrder {
  /** Number that the answer repeats. */
  readonly id: number;
  /** Batch to hash. */
  readonly batch: HashBatch | TreeBatch;
}

/** Message from the worker. */
export interface HashAnswer {
  /** Number of the order. */
  readonly id: number;
  /** The digests of each piece, or the error message. */
  readonly outcome: Bytes | string;
}

/** Bytes of one read: few enough to be still in the core's own cache when they are hashed. */
const READ_BYTES = 256 * 1024;

const buffer = new Uint8Array(READ_BYTES);
const zeros = new Uint8Array(16 * 1024);

function hashBatch({ segments, pieceLength, hashing }: HashBatch): Bytes {
  const total = segments.reduce((sum, { length }) => sum + length, 0);
  const pieces = new PieceDigests(startDigest, { hashing, pieceLength, total });
  for (const segment of segments) {
    if (segment.path === null) hashZeros(segment.length, pieces);
    else hashFile(segment.path, segment, pieces);
  }
  return pieces.bytes;
}

function hashTree(batch: TreeBatch): Bytes {
  const pieces = new PieceDigests(startDigest, optionsOfTree(batch));
  hashFile(batch.path, batch, pieces);
  return pieces.bytes;
}

function hashZeros(length: number, pieces: PieceDigests): void {
  for (let left = length; left > 0; left -= zeros.length) pieces.update(zeros.subarray(0, left));
}

function hashFile(path: string, { position, length }: FileSegment, pieces: PieceDigests): void {
  using file = Deno.openSync(path);
  if (position > 0) file.seekSync(position, Deno.SeekMode.Start);
  for (let left = length; left > 0;) {
    const count = file.readSync(left < buffer.length ? buffer.subarray(0, left) : buffer);
    if (count === null) throw new Error(`${path} ends ${left} bytes too early`);
    pieces.update(count < buffer.length ? buffer.subarray(0, count) : buffer);
    left -= count;
  }
}

function answer({ id, batch }: HashOrder): HashAnswer {
  try {
    return { id, outcome: "segments" in batch ? hashBatch(batch) : hashTree(batch) };
  } catch (thrown) {
    // The caller gets the message only, and opens the file to find out what is wrong with it.
    return { id, outcome: thrown instanceof Error ? thrown.message : String(thrown) };
  }
}

self.addEventListener("message", ({ data }: MessageEvent<HashOrder>) => self.postMessage(answer(data)));
