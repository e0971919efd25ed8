/**
 * Fetches the hashes of single blocks from peers (BEP 52), proven by the hash of their piece.
 *
 * @module
 */

import type { Bytes } from "../../base/bytes.ts";
import { BLOCK_HASHES_MS, MAX_HASHES } from "../../base/defences.ts";
import { HASH_BYTES, heightOf, layerSize, type MerkleRange } from "../../base/merkle.ts";
import type { V2Pieces } from "../../metainfo/mod.ts";
import { proofLayersTo } from "../../peer/mod.ts";
import type { Platform, Timer } from "../../platform/platform.ts";
import type { BlockHashSource } from "../pieces/block_hash_source.ts";
import type { HashFetch, HashPeer, HashWant } from "./hash_fetch.ts";

/** Takes the hashes of a piece, or `null`. */
type Known = (hashes: Bytes | null) => void;

/** A peer that says which pieces it has. */
export interface PiecePeer extends HashPeer {
  /** The pieces of the peer. */
  readonly pieces: { has(index: number): boolean };
}

/** A piece whose hashes are being fetched. */
interface OpenPiece<P> {
  readonly wants: Set<HashWant<P>>;
  readonly hashes: Bytes;
  readonly known: Known[];
  readonly timer: Timer;
}

/** Options for {@linkcode BlockHashFetch}. */
export interface BlockHashFetchOptions<P extends PiecePeer> {
  /** Timers. */
  readonly platform: Pick<Platform, "after">;
  /** The torrent's pieces. */
  readonly pieces: V2Pieces;
  /** Asks the torrent's peers. */
  readonly fetch: HashFetch<P>;
}

/** The block hashes of one torrent's pieces. */
export class BlockHashFetch<P extends PiecePeer> implements BlockHashSource {
  readonly #options: BlockHashFetchOptions<P>;
  readonly #open = new Map<number, OpenPiece<P>>();
  #stopped = false;

  constructor(options: BlockHashFetchOptions<P>) {
    this.#options = options;
  }

  /** Asks peers that have the piece, those that aren't suspects and answer fastest first. */
  readonly fetch = (piece: number, known: Known): void => {
    const { pieces, platform, fetch } = this.#options;
    const open = this.#open.get(piece);
    if (open !== undefined) return void open.known.push(known);
    const count = layerSize(pieces.pieceSize(piece), 0);
    if (count === 1 && pieces.leaves(piece) === 1) return queueMicrotask(() => known(pieces.hash(piece).slice()));
    const mayAsk = (peer: P) => peer.pieces.has(piece);
    if (this.#stopped || !fetch.hasPeerFor({ mayAsk })) return queueMicrotask(() => known(null));
    const wants = new Set<HashWant<P>>();
    const hashes = new Uint8Array(count * HASH_BYTES);
    const timer = platform.after(BLOCK_HASHES_MS, () => this.#end(piece, null));
    this.#open.set(piece, { wants, hashes, known: [known], timer });
    for (const want of this.#wants(piece, { count, mayAsk })) wants.add(want);
    fetch.add([...wants]);
  };

  /** Gives up everything. */
  stop(): void {
    this.#stopped = true;
    for (const piece of [...this.#open.keys()]) this.#end(piece, null);
  }

  *#wants(
    piece: number,
    { count, mayAsk }: { readonly count: number; readonly mayAsk: (peer: P) => boolean },
  ): Generator<HashWant<P>, void> {
    const { pieces } = this.#options;
    const { file: { root }, indexInFile } = pieces.placeOf(piece);
    const leaves = pieces.leaves(piece);
    const trusted = heightOf(leaves);
    for (let at = 0; at < count; at += MAX_HASHES) {
      const size = 2 ** heightOf(Math.max(2, Math.min(MAX_HASHES, count - at)));
      const range: MerkleRange = { layer: 0, index: indexInFile * leaves + at, count: size };
      const want: HashWant<P> = {
        request: { root: root!, ...range, proofLayers: proofLayersTo(range, trusted) },
        expected: pieces.hash(piece),
        urgent: true,
        mayAsk,
        done: (hashes) => this.#received(piece, { want, at, hashes }),
        hopeless: () => this.#end(piece, null),
      };
      yield want;
    }
  }

  #received(
    piece: number,
    { want, at, hashes }: { readonly want: HashWant<P>; readonly at: number; readonly hashes: Bytes },
  ): void {
    const open = this.#open.get(piece)!;
    open.wants.delete(want);
    const begin = at * HASH_BYTES;
    open.hashes.set(hashes.subarray(0, open.hashes.length - begin), begin);
    if (open.wants.size === 0) this.#end(piece, open.hashes);
  }

  #end(piece: number, hashes: Bytes | null): void {
    const open = this.#open.get(piece);
    if (open === undefined) return;
    this.#open.delete(piece);
    open.timer.cancel();
    for (const want of open.wants) this.#options.fetch.remove(want);
    for (const known of open.known) known(hashes);
  }
}
