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
import { HASH_BYTES, heightOf, merkle, MERKLE_BLOCK, pieceLayer, proofSteps, rootLayer } from "../../base/merkle.ts";
import type { MetainfoFile, V2Pieces } from "../../metainfo/mod.ts";
import { faultOfRequest, type HashRequest } from "../../peer/mod.ts";
import type { Platform } from "../../platform/platform.ts";
import { FileProofs } from "./file_proofs.ts";
import { HashTurns } from "./hash_turns.ts";
import { PieceTree } from "./piece_tree.ts";

/** Bytes of a piece that are read and hashed at once. */
const READ_BYTES = 1024 * 1024;
/** Files whose upper layers are kept, besides the largest. */
const MOST_PROOFS = 64;
/** The upper layers of files with more pieces are kept for good: there are few such files. */
const PIECES_OF_LARGE_FILE = 8192;

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
  readonly #proofsOfLarge = new Map<string, FileProofs>();
  /** Hashes below the pieces. */
  readonly #trees: LruMap<number, PieceTree>;
  readonly #turns: HashTurns;
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
    this.#turns = new HashTurns(options.platform);
    const ofPiece = 2 * pieceLength / MERKLE_BLOCK * HASH_BYTES;
    this.#trees = new LruMap(Math.max(2, Math.floor(MAX_BLOCK_HASHES_KEPT / ofPiece)));
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
    // What was kept may be gone when the network has waited.
    for (let paid = 0, cost = 0; paid < (cost = this.#costOf(place, request, pieces)); paid = cost) {
      await this.#allowance(network, cost - paid);
      if (this.#stopped) return null;
    }
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
    this.#turns.stop();
    for (const end of [...this.#waiting]) end();
  }

  /** Returns the work of a request, in blocks that are read: see {@linkcode HASH_WORK}. */
  #costOf(place: Place, request: HashRequest, pieces: readonly number[]): number {
    const { layer, index, count } = request;
    const own = layer + heightOf(count);
    const to = own + proofSteps(request);
    const proofs = this.#proofsOf(place);
    let blocks = 0;
    for (const piece of pieces) {
      if (!this.#trees.has(piece)) blocks += Math.ceil(this.#options.pieces.pieceSize(piece) / MERKLE_BLOCK);
    }
    const range = layer < place.layer ? blocks : proofs.costOfRange({ layer, index, count });
    const uncles = proofs.costOfUncles({ from: Math.max(own, place.layer), to });
    // Those of a large file are computed once, whoever asks first.
    const kept = proofs.unhashed <= PIECES_OF_LARGE_FILE ? proofs.unhashed : 0;
    return 1 + blocks + (count + range + uncles + kept) / HASHES_PER_WORK;
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
    const inPiece = 2 ** (place.layer - layer);
    if (own >= place.layer) {
      const parts: Bytes[] = [];
      for (const piece of pieces) {
        const tree = await this.#treeOf(place, piece);
        if (tree === null) return null;
        parts.push(tree.layer(layer));
      }
      const range = merkle.slice(concatBytes(parts), { layer, index: 0, count });
      return concatBytes([range, await proofs.uncles({ from: own, index: index / count, to })]);
    }
    const tree = await this.#treeOf(place, pieces[0]);
    if (tree === null) return null;
    const at = index % inPiece;
    const range = merkle.slice(tree.layer(layer), { layer, index: at, count });
    const below = tree.uncles({ from: own, index: at / count, to: Math.min(to, place.layer) });
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

  /** Returns the hashes below a piece; `null` if the piece on disk isn't right any more. */
  async #treeOf({ layer }: Place, piece: number | undefined): Promise<PieceTree | null> {
    if (piece === undefined) return PieceTree.padding(layer); // behind the last piece
    const kept = this.#trees.peek(piece);
    if (kept !== undefined) return kept;
    const read = this.#lastRead.then(() => this.#trees.peek(piece) ?? this.#readTree(piece, layer));
    this.#lastRead = read.catch(() => {}); // whoever waits for the piece gets the error
    const tree = await read;
    // Wrong hashes would make us a liar.
    if (!equalBytes(tree.root, this.#options.pieces.hash(piece))) return null;
    this.#trees.set(piece, tree);
    return tree;
  }

  async #readTree(piece: number, layer: number): Promise<PieceTree> {
    const { platform, memory, pieces } = this.#options;
    const size = pieces.pieceSize(piece);
    const buffer = memory.allocate(Math.min(size, READ_BYTES));
    const tree = new PieceTree(layer);
    try {
      for (let begin = 0; begin < size; begin += READ_BYTES) {
        const data = buffer.subarray(0, Math.min(READ_BYTES, size - begin));
        await this.#options.read(piece, begin, data);
        const leaves = 2 ** heightOf(Math.ceil(data.length / MERKLE_BLOCK));
        tree.add((await platform.blockHashes(data, leaves)).blocks);
      }
      tree.finish();
      return tree;
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
    const hashes = file.layer ?? file.root!;
    const kept = hashes.length > PIECES_OF_LARGE_FILE * HASH_BYTES ? this.#proofsOfLarge : this.#proofs;
    let proofs = kept instanceof LruMap ? kept.peek(root) : kept.get(root);
    if (proofs === undefined) {
      const { platform } = this.#options;
      proofs = new FileProofs(hashes, {
        layer,
        turn: (count) => this.#turns.take(count),
        pause: () => platform.yieldToEventLoop(),
      });
      kept.set(root, proofs);
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
