/**
 * Finds the hashes that peers ask for (BEP 52), of every layer below the root. Those of the piece layer and above are in
 * the torrent. Below it, pieces are read again and hashed by the disk threads, since the hashes of all blocks may need
 * hundreds of MiB.
 *
 * @module
 */

import { type Bytes, concatBytes, equalBytes, toHex } from "../../base/bytes.ts";
import type { DataMemory } from "../../base/data_memory.ts";
import { HASH_WORK, HASHES_PER_WORK, MAX_BLOCK_HASHES_KEPT, MAX_REMEMBERED_HOSTS } from "../../base/defences.ts";
import { ShoalError } from "../../base/errors.ts";
import { LruMap } from "../../base/lru_map.ts";
import { HASH_BYTES, heightOf, MERKLE_BLOCK, pieceLayer, proofSteps, rootLayer } from "../../base/merkle.ts";
import type { MetainfoFile, V2Pieces } from "../../metainfo/mod.ts";
import { faultOfRequest, type HashRequest } from "../../peer/mod.ts";
import type { Platform } from "../../platform/platform.ts";
import { merkle } from "../../platform/start_digest.ts";
import { FileProofs } from "./file_proofs.ts";

/** Bytes of a piece that are read and hashed at once. */
const READ_BYTES = 1024 * 1024;
/** Large files whose upper layers are kept. */
const MOST_PROOFS = 64;

/** Options for {@linkcode HashServer}. */
export interface HashServerOptions {
  /** Clock, timers and hash functions. */
  readonly platform: Pick<Platform, "now" | "after" | "blockHashes" | "yieldToEventLoop">;
  /** Memory for what is read. */
  readonly memory: DataMemory;
  /** The torrent's pieces. */
  readonly pieces: V2Pieces;
  /** Returns `true` if we have a piece. */
  has(index: number): boolean;
  /**
   * Reads bytes of a piece that we have.
   *
   * @throws {ShoalError} If the bytes can't be read.
   */
  read(index: number, begin: number, into: Bytes): Promise<void>;
}

/** A file, and where its pieces are. */
interface Place {
  readonly file: MetainfoFile;
  /** Number of the file's first piece. */
  readonly first: number;
  /** Layer whose hashes stand for pieces: the piece layer, or that of the root if the file is no longer than a piece. */
  readonly layer: number;
}

/** The hashes of one torrent, for its peers. */
export class HashServer {
  readonly #options: HashServerOptions;
  readonly #pieceLayer: number;
  /** Files by their root; made for the first request. */
  #places: Map<string, Place> | null = null;
  readonly #proofs = new LruMap<string, FileProofs>(MOST_PROOFS);
  /** Block hashes by piece. */
  readonly #blocks: LruMap<number, Bytes>;
  /** Work that each network has left, and when that was counted. */
  readonly #work = new LruMap<string, { left: number; at: number }>(MAX_REMEMBERED_HOSTS);
  /** Ends the waiting of those that have caused much work. */
  readonly #waiting = new Set<() => void>();
  #stopped = false;
  /** Settles when no piece is being read: one is at a time, whatever peers ask for. */
  #lastRead: Promise<unknown> = Promise.resolve();

  constructor(options: HashServerOptions) {
    const { pieceLength } = options.pieces;
    this.#options = options;
    this.#pieceLayer = pieceLayer(pieceLength);
    const ofPiece = pieceLength / MERKLE_BLOCK * HASH_BYTES;
    this.#blocks = new LruMap(Math.max(2, Math.floor(MAX_BLOCK_HASHES_KEPT / ofPiece)));
  }

  /**
   * Finds hashes. A network that has caused much work waits.
   *
   * @param network Network of the peer that asks.
   * @returns The hashes and their proof; `null` if there are no such hashes, or we lack the pieces below them.
   */
  async prove(network: string, request: HashRequest): Promise<Bytes | null> {
    const place = this.#placeOf(request.root);
    if (place === null || faultOfRequest(request, place.file.length) !== null) return null;
    const pieces = this.#piecesBelow(place, request);
    if (pieces.some((index) => !this.#options.has(index))) return null;
    const unread = pieces.filter((index) => !this.#blocks.has(index));
    const blocks = unread.reduce(
      (sum, index) => sum + Math.ceil(this.#options.pieces.pieceSize(index) / MERKLE_BLOCK),
      0,
    );
    await this.#allowance(network, 1 + blocks + request.count / HASHES_PER_WORK);
    if (this.#stopped) return null;
    try {
      return await this.#prove(place, request, pieces);
    } catch (error) {
      // The reader has reported that the disk failed, or that the torrent is closed.
      if (error instanceof ShoalError) return null;
      throw error;
    }
  }

  /** Ends the work: whoever waits gets nothing. */
  stop(): void {
    this.#stopped = true;
    for (const end of [...this.#waiting]) end();
  }

  async #prove(place: Place, request: HashRequest, pieces: readonly number[]): Promise<Bytes | null> {
    const { layer, index, count } = request;
    const proofs = this.#proofsOf(place);
    const own = layer + heightOf(count);
    const to = own + proofSteps(request);
    if (layer >= place.layer) {
      const hashes = await proofs.range({ layer, index, count });
      const uncles = await proofs.uncles({ from: own, index: index / count, to });
      return concatBytes([merkle.slice(hashes, { layer, index: 0, count }), uncles]);
    }
    const parts: Bytes[] = [];
    for (const piece of pieces) {
      const blocks = await this.#blocksOf(place, piece);
      if (blocks === null) return null;
      parts.push(merkle.above(blocks, { from: 0, to: layer }));
    }
    const hashes = concatBytes(parts);
    // The hashes begin with those of the first piece.
    const inPiece = 2 ** (place.layer - layer);
    const at = index % inPiece;
    const range = merkle.slice(hashes, { layer, index: at, count });
    if (own >= place.layer) {
      return concatBytes([range, await proofs.uncles({ from: own, index: index / count, to })]);
    }
    const below = merkle.uncles(hashes, { layer, from: own, index: at / count, to: Math.min(to, place.layer) });
    const piece = Math.floor(index / inPiece);
    return concatBytes([range, below, await proofs.uncles({ from: place.layer, index: piece, to })]);
  }

  /** Returns the pieces that have to be hashed for a request: none from the piece layer upwards. */
  #piecesBelow({ file, first, layer }: Place, request: HashRequest): number[] {
    if (request.layer >= layer) return [];
    const inPiece = 2 ** (layer - request.layer);
    const begin = Math.floor(request.index / inPiece);
    const end = Math.max(begin + 1, Math.ceil((request.index + request.count) / inPiece));
    const last = Math.min(end, Math.ceil(file.length / this.#options.pieces.pieceLength));
    return Array.from({ length: Math.max(0, last - begin) }, (_, i) => first + begin + i);
  }

  /** Returns the hashes of a piece's blocks; `null` if the piece on disk isn't right any more. */
  async #blocksOf({ layer }: Place, piece: number): Promise<Bytes | null> {
    const kept = this.#blocks.peek(piece);
    if (kept !== undefined) return kept;
    const read = this.#lastRead.then(() => this.#blocks.peek(piece) ?? this.#readBlocks(piece));
    this.#lastRead = read.catch(() => {}); // whoever waits for the piece gets the error
    const blocks = await read;
    // Wrong hashes would make us a liar.
    if (!equalBytes(merkle.root(blocks, { from: 0, to: layer }), this.#options.pieces.hash(piece))) return null;
    this.#blocks.set(piece, blocks);
    return blocks;
  }

  async #readBlocks(piece: number): Promise<Bytes> {
    const { platform, memory, pieces } = this.#options;
    const size = pieces.pieceSize(piece);
    const buffer = memory.allocate(Math.min(size, READ_BYTES));
    try {
      const parts: Bytes[] = [];
      for (let begin = 0; begin < size; begin += READ_BYTES) {
        const data = buffer.subarray(0, Math.min(READ_BYTES, size - begin));
        await this.#options.read(piece, begin, data);
        const leaves = 2 ** heightOf(Math.ceil(data.length / MERKLE_BLOCK));
        parts.push((await platform.blockHashes(data, leaves)).blocks);
      }
      return concatBytes(parts);
    } finally {
      memory.free(buffer);
    }
  }

  /** Waits until a network may cause work. */
  async #allowance(network: string, work: number): Promise<void> {
    const { platform } = this.#options;
    const known = this.#work.peek(network) ?? { left: HASH_WORK.burst, at: platform.now() };
    this.#work.set(network, known);
    const now = platform.now();
    known.left = Math.min(HASH_WORK.burst, known.left + (now - known.at) / 1000 * HASH_WORK.perSecond);
    known.at = now;
    known.left -= work;
    if (known.left >= 0) return;
    const wait = -known.left / HASH_WORK.perSecond * 1000;
    await new Promise<void>((resolve) => {
      const end = () => {
        timer.cancel();
        this.#waiting.delete(end);
        resolve();
      };
      const timer = platform.after(wait, end);
      this.#waiting.add(end);
    });
  }

  #proofsOf({ file, layer }: Place): FileProofs {
    const root = toHex(file.root!);
    let proofs = this.#proofs.peek(root);
    if (proofs === undefined) {
      const { platform } = this.#options;
      proofs = new FileProofs(file.layer ?? file.root!, layer, () => platform.yieldToEventLoop());
      this.#proofs.set(root, proofs);
    }
    return proofs;
  }

  #placeOf(root: Bytes): Place | null {
    if (this.#places === null) {
      this.#places = new Map();
      for (const { file, first } of this.#options.pieces.filesWithPieces()) {
        const layer = Math.min(this.#pieceLayer, rootLayer(file.length));
        this.#places.set(toHex(file.root!), { file, first, layer });
      }
    }
    return this.#places.get(toHex(root)) ?? null;
  }
}
