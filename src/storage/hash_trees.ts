/**
 * Hashes the files that a new v2 or hybrid torrent (BEP 52) is made of.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { HASH_BYTES, merkle, pieceLayer, rootLayer } from "../base/merkle.ts";
import { DIGEST_BYTES, optionsOfTree, PieceDigests } from "../platform/piece_digests.ts";
import type { Platform, TreeBatch, TreeHashers } from "../platform/platform.ts";
import { forEachLimited } from "./concurrency.ts";
import type { ScannedFile } from "./file_scan.ts";
import { checkUnchanged } from "./hash_files.ts";

/** Options for {@linkcode hashTrees}. */
export interface HashTreesOptions {
  /** Clock, files, digests and hashing threads. */
  readonly platform: Pick<Platform, "now" | "files" | "digest" | "startTreeHashers">;
  /** Piece length in bytes: a power of two, at least 16 KiB. */
  readonly pieceLength: number;
  /** Whether SHA-1 digests are wanted as well, for a hybrid torrent. */
  readonly isHybrid: boolean;
  /** Called with the progress, from 0 to 1 and in bytes, at most ten times a second. */
  onProgress(fraction: number, bytes: number): void;
  /** Aborts the hashing. */
  readonly signal?: AbortSignal | undefined;
}

/** Hashes of a file. */
export interface FileTree {
  /** Root of the Merkle tree, 32 bytes. */
  readonly root: Bytes;
  /** Hashes of the pieces, 32 bytes each; empty for a file of one piece. */
  readonly layer: Bytes;
}

/** Result of {@linkcode hashTrees}. */
export interface HashedTrees {
  /** Hashes of each file; `null` for an empty one. */
  readonly trees: readonly (FileTree | null)[];
  /** SHA-1 digests of all pieces, with padding behind each file of several; empty if they weren't wanted. */
  readonly pieces: Bytes;
}

/** Bytes of several pieces that are hashed in one go, so that a thread has a few milliseconds of work. */
const BATCH_BYTES = 4 * 1024 * 1024;
/** Below this many bytes, hashing threads are not worth starting. */
const THREADS_FROM = 64 * 1024 * 1024;
/** Bytes read at a time on this thread, which can do other work between two reads. */
const READ_BYTES = 1024 * 1024;
/** Milliseconds between two progress reports. */
const REPORT_INTERVAL = 100;

/** Pieces of a file, and where their hashes go. */
interface Job extends Omit<TreeBatch, "path"> {
  /** Index of the file. */
  readonly file: number;
  /** Index of the first piece in the file. */
  readonly piece: number;
}

/** A file's place in the torrent, and its hashes of the piece layer. */
interface Place {
  readonly firstPiece: number;
  readonly hashes: Bytes;
}

/**
 * Hashes files by blocks, on all cores if there is much to hash. Each file is read once.
 *
 * @param files Files in the order of the torrent.
 * @param options See {@linkcode HashTreesOptions}.
 * @returns The trees, and the digests of a hybrid.
 * @throws {ShoalError} Of kind `storage` if a file can't be read, or has changed since it was found.
 * @throws The signal's reason, when it is aborted.
 */
export async function hashTrees(files: readonly ScannedFile[], options: HashTreesOptions): Promise<HashedTrees> {
  const { platform, pieceLength, isHybrid, signal } = options;
  const total = files.reduce((sum, { length }) => sum + length, 0);
  const places: Place[] = [];
  let pieceCount = 0;
  for (const { length } of files) {
    const count = Math.ceil(length / pieceLength);
    places.push({ firstPiece: pieceCount, hashes: new Uint8Array(count * HASH_BYTES) });
    pieceCount += count;
  }
  const pieces = new Uint8Array(isHybrid ? pieceCount * DIGEST_BYTES : 0);
  const hashers = total >= THREADS_FROM ? platform.startTreeHashers?.() ?? null : null;
  const progress = new Progress(total, options);
  try {
    await forEachLimited(jobsOf(files, options), hashers?.lanes ?? 1, async (job) => {
      signal?.throwIfAborted();
      const batch = { ...job, path: files[job.file]!.source };
      const digests = await onThreads(batch, hashers) ?? await hashHere(batch, options);
      signal?.throwIfAborted();
      store(digests, job, { ...places[job.file]!, pieces });
      progress.add(job.length);
    });
  } catch (error) {
    // If the read failed because a file was truncated or removed, reporting that change is more helpful.
    signal?.throwIfAborted();
    await checkUnchanged(files, { fs: platform.files });
    throw error;
  } finally {
    hashers?.close();
  }
  await checkUnchanged(files, { fs: platform.files });
  return { trees: places.map(({ hashes }, i) => treeOf(hashes, { length: files[i]!.length, pieceLength })), pieces };
}

/** Cuts files into batches of whole pieces. */
function jobsOf(files: readonly ScannedFile[], { pieceLength, isHybrid }: HashTreesOptions): Job[] {
  const size = Math.max(pieceLength, BATCH_BYTES);
  const jobs: Job[] = [];
  for (const [file, { length }] of files.entries()) {
    const layer = length <= pieceLength ? rootLayer(length) : pieceLayer(pieceLength);
    // The v1 half of a hybrid has padding behind every file of several, and none behind a file that is alone.
    const behind = files.length > 1 ? (pieceLength - length % pieceLength) % pieceLength : 0;
    for (let position = 0; position < length; position += size) {
      const end = Math.min(length, position + size);
      const padding = isHybrid ? (end === length ? behind : 0) : null;
      jobs.push({ file, piece: position / pieceLength, position, length: end - position, pieceLength, layer, padding });
    }
  }
  return jobs;
}

async function onThreads(batch: TreeBatch, hashers: TreeHashers | null): Promise<Bytes | null> {
  try {
    return await hashers?.hashTree(batch) ?? null;
  } catch {
    return null; // a crashed thread loses no data, and a broken file is reported when it is read here
  }
}

async function hashHere(batch: TreeBatch, { platform, signal }: HashTreesOptions): Promise<Bytes> {
  const digests = new PieceDigests((algorithm) => platform.digest(algorithm), optionsOfTree(batch));
  const file = await platform.files.open(batch.path, "read");
  try {
    const buffer = new Uint8Array(Math.min(READ_BYTES, batch.length));
    for (let done = 0; done < batch.length;) {
      const count = await file.read(buffer.subarray(0, batch.length - done), batch.position + done);
      if (count === 0) throw new Error(`${batch.path} ends ${batch.length - done} bytes too early`);
      signal?.throwIfAborted();
      digests.update(buffer.subarray(0, count));
      done += count;
    }
  } finally {
    await file.close();
  }
  return digests.bytes;
}

/** Stores the hashes of a file's pieces in its layer, and SHA-1 digests with those of all pieces. */
function store(
  digests: Bytes,
  job: Job,
  { hashes, firstPiece, pieces }: Place & { readonly pieces: Bytes },
): void {
  const size = HASH_BYTES + (job.padding === null ? 0 : DIGEST_BYTES);
  for (let at = 0, piece = job.piece; at < digests.length; at += size, piece++) {
    hashes.set(digests.subarray(at, at + HASH_BYTES), piece * HASH_BYTES);
    if (size > HASH_BYTES) {
      pieces.set(digests.subarray(at + HASH_BYTES, at + size), (firstPiece + piece) * DIGEST_BYTES);
    }
  }
}

function treeOf(
  hashes: Bytes,
  { length, pieceLength }: { readonly length: number; readonly pieceLength: number },
): FileTree | null {
  if (length === 0) return null;
  if (length <= pieceLength) return { root: hashes, layer: new Uint8Array(0) };
  return { root: merkle.root(hashes, { from: pieceLayer(pieceLength), to: rootLayer(length) }), layer: hashes };
}

/** Reports the progress, but not too often. */
class Progress {
  readonly #total: number;
  readonly #options: Pick<HashTreesOptions, "platform" | "onProgress">;
  #done = 0;
  #reported = -Infinity;

  constructor(total: number, options: Pick<HashTreesOptions, "platform" | "onProgress">) {
    this.#total = total;
    this.#options = options;
  }

  add(bytes: number): void {
    this.#done += bytes;
    const now = this.#options.platform.now();
    if (now - this.#reported < REPORT_INTERVAL && this.#done < this.#total) return;
    this.#reported = now;
    this.#options.onProgress(this.#done / this.#total, this.#done);
  }
}
