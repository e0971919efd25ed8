/**
 * Pieces that one peer alone may send: after a failed hash, so that the next failure has one culprit.
 *
 * @module
 */

import type { Peer } from "../peer/mod.ts";
import type { ActivePiece } from "./active_piece.ts";

/** Milliseconds that an owner has for a block before the piece goes to somebody else. */
const OWNER_MS = 20_000;

/** Who owns which piece, and who has had a turn. */
export class Owners {
  readonly #owned = new Set<ActivePiece>();
  /** By piece: connections that owned it and didn't finish it. */
  readonly #former = new Map<number, Set<number>>();

  /**
   * Makes a peer the owner of a piece. Whoever had it and didn't finish it gets it again only when nobody else has it.
   *
   * @param piece A suspect one, without an owner.
   * @param peer Who would send it.
   * @param peers Every connected peer.
   * @returns Whether the piece is the peer's now.
   */
  take(piece: ActivePiece, peer: Pick<Peer, "number">, peers: Iterable<Peer>): boolean {
    const former = this.#former.get(piece.index);
    if (former?.has(peer.number)) {
      for (const other of peers) {
        if (!other.closed && !former.has(other.number) && other.pieces.has(piece.index)) return false;
      }
      former.clear();
    }
    piece.owner = peer.number;
    this.#owned.add(piece);
    return true;
  }

  /** Pieces that a peer owns. */
  of(peer: Peer): ActivePiece[] {
    return [...this.#owned].filter((piece) => piece.owner === peer.number);
  }

  /** Pieces whose owner takes too long. */
  late(now: number): ActivePiece[] {
    return [...this.#owned].filter((piece) => now - piece.touched > OWNER_MS);
  }

  /** A piece is no longer in the works: complete, or to be started anew by somebody else. */
  release(piece: ActivePiece, options: { readonly complete: boolean }): void {
    if (!this.#owned.delete(piece)) return;
    if (options.complete) return void this.#former.delete(piece.index);
    const former = this.#former.get(piece.index) ?? new Set();
    if (piece.owner !== null) former.add(piece.owner);
    this.#former.set(piece.index, former);
  }
}
