/**
 * Decides which blocks are requested from each peer.
 *
 * @module
 */

import type { PieceVerifier } from "../../base/piece_verifier.ts";
import { PROVEN_MS } from "../../base/defences.ts";
import { BLOCK_SIZE, type Peer } from "../../peer/mod.ts";
import type { PartialPiece } from "./partial_piece.ts";
import type { BufferPool } from "./buffer_pool.ts";
import { askAgain, Waits } from "./endgame.ts";
import { depthAllowed } from "./expected_speed.ts";
import { isSlowPeer, slowPieces } from "./piece_eviction.ts";
import { ownerOf, wouldAnySend } from "./parole.ts";
import type { PiecePicker } from "./piece_picker.ts";
import { NO_URGENCY, shareOf, type Urgency } from "./time_critical.ts";
import type { PartialPieces } from "./partial_pieces.ts";

/** Pieces picked at random, not by rarity, at the start of a download, so that there is soon something to trade. */
const RANDOM_FIRST = 4;
/**
 * Requests that a peer may reject before it is asked for nothing until the next tick. Some clients reject requests that
 * they are too busy for; asked again at once, both sides would do nothing else.
 */
const MAX_TURNED_DOWN = 16;
/** Blocks of a piece that peers share among them where a reader waits for single blocks. */
const STRETCH = 16;
/** Failed pieces that are looked at each time that a peer takes more requests. */
const MOST_FAILED = 8;

/** What {@linkcode RequestStrategy} needs from the torrent. */
export interface RequestStrategyHost {
  /** Returns every connected peer. */
  peers(): Iterable<Peer>;
}

/** Options for {@linkcode RequestStrategy}. */
export interface RequestStrategyOptions {
  /** Tells how long pieces are. */
  readonly verifier: Pick<PieceVerifier, "pieceSize">;
  /** Returns the current time in milliseconds. */
  readonly now: () => number;
}

/** Options for requests of blocks that readers need next. */
interface AskFromOptions {
  /** Blocks at which readers are. */
  readonly positions: readonly number[];
  /** Whether the peer may be asked for all blocks, since no reader waits. */
  readonly isAlone: boolean;
  /** How many more requests the peer takes. */
  readonly want: number;
  /** Current time in milliseconds. */
  readonly now: number;
}

/** Decides which blocks are requested from each peer, and starts pieces for that. */
export class RequestStrategy {
  /** Estimates of when the outstanding blocks will arrive. */
  readonly waits = new Waits();
  /** Pieces that are requested before all others, as far as they are wanted. */
  urgency: Urgency = NO_URGENCY;
  /** Called when a new peer has to wait for the hashes of blocks that others were asked for. */
  held: () => void = () => {};
  /** Whether a peer could have been asked for more if there had been memory. */
  starved = false;
  readonly #host: RequestStrategyHost;
  readonly #now: () => number;
  readonly #verifier: Pick<PieceVerifier, "pieceSize">;
  readonly #started: PartialPieces;
  readonly #active: ReadonlyMap<number, PartialPiece>;
  readonly #open: Set<PartialPiece>;
  readonly #picker: PiecePicker;
  readonly #pool: BufferPool;

  /**
   * @param started The pieces.
   * @param options See {@linkcode RequestStrategyOptions}.
   */
  constructor(host: RequestStrategyHost, started: PartialPieces, options: RequestStrategyOptions) {
    this.#host = host;
    this.#now = options.now;
    this.#verifier = options.verifier;
    this.#started = started;
    this.#active = started.active;
    this.#open = started.open;
    this.#picker = started.picker;
    this.#pool = started.pool;
  }

  /**
   * Requests as many blocks from a peer as it should be working on. The requests wait in the peer's send buffer.
   *
   * @param peer A peer whose connection isn't closed.
   */
  fill(peer: Peer): void {
    if (!peer.amInterested || (peer.choking && peer.allowedFast.size === 0)) return;
    if (peer.turnedDown >= MAX_TURNED_DOWN) return;
    const least = peer.quiet || peer.snubbed || this.#hasStalled(peer);
    const depth = least ? 1 : Math.min(peer.requests.depth, depthAllowed(peer));
    let want = depth - peer.requests.size;
    if (peer.probePending && !peer.requests.full) want = Math.max(1, want);
    // Requests go out in batches: none before a quarter of the queue is free.
    else if (want <= 0 || (want < depth / 4 && peer.requests.size > 0)) return;
    peer.probePending = false;
    const now = this.#now();
    if (this.urgency.pieces.length > 0) want = this.#fillUrgent(peer, { want, depth, now });
    if (this.#isHeld(peer)) return this.held();
    if (this.#started.failed.size > 0) want = this.#fillFailed(peer, want, now);
    if (peer.proven) want = this.#join(peer, this.#started.parole.tried(), want, now);
    else if (this.#started.parole.awaits(peer.network, now)) return;
    // An unproven peer starts pieces of its own, as long as there are any.
    else want = this.#startPieces(peer, want, now);
    if (peer.proven || this.#started.parole.of(peer).length === 0) {
      for (const piece of this.#open) {
        if (want <= 0) return;
        if (peer.pieces.has(piece.index) && peer.wouldSend(piece.index)) want = this.#ask(peer, piece, want, now);
      }
    }
    if (peer.proven) want = this.#startPieces(peer, want, now);
    if (want <= 0) return;
    if (this.#join(peer, this.#started.parole.joinable(peer, now), want, now) <= 0) return;
    if (this.#pool.isBehind && this.#picker.size > 0) {
      this.starved = true;
      return;
    }
    if (!this.#pool.available) {
      this.starved = true;
      if (this.#picker.size > 0 || this.#open.size > 0) this.#pool.wants();
    }
    askAgain(peer, {
      active: this.#active.values(),
      peers: () => this.#host.peers(),
      waits: this.waits,
      ending: this.#picker.size === 0,
      stuck: !this.#pool.available,
      depth,
      now,
    });
  }

  /** Returns `true` if a peer of which little is known is to wait until what it sends can be checked block by block. */
  #isHeld(peer: Peer): boolean {
    return this.#started.proofs.isBehind && this.#started.trust.isNew(peer.network);
  }

  /** Returns `true` if a peer has never sent payload and its network has stalled as an owner before. */
  #hasStalled(peer: Peer): boolean {
    return peer.down.total === 0 && this.#started.trust.stalled(peer.network);
  }

  /**
   * Starts new pieces with a peer, which owns them if it isn't proven. Returns how many more requests the peer takes.
   */
  #startPieces(peer: Peer, want: number, now: number): number {
    const { parole } = this.#started;
    if (!peer.proven) {
      for (const piece of parole.of(peer)) if (want > 0) want = this.#ask(peer, piece, want, now);
    }
    if (peer.quiet && this.#open.size > 0) return want;
    while (
      want > 0 && this.#picker.size > 0 && this.#pool.available && !this.#pool.isBehind && !this.#isHeld(peer)
    ) {
      const alone = !peer.proven && !peer.quiet && parole.size < this.#mostOwned;
      if (!peer.proven && (!parole.mayOwnNewPiece(peer) || (!alone && (peer.onParole || this.#open.size > 0)))) break;
      const index = this.pick(peer);
      if (index < 0 || !this.mayStart(peer, index)) break;
      const piece = this.#started.start(index, now);
      if (alone) parole.hold(piece, ownerOf(peer), now);
      want = this.#ask(peer, piece, want, now);
    }
    return want;
  }

  /** Requests the rest of other owners' pieces from a peer. Returns how many more requests the peer takes. */
  #join(peer: Peer, pieces: Iterable<PartialPiece>, want: number, now: number): number {
    for (const piece of pieces) {
      if (want <= 0) break;
      if (!peer.pieces.has(piece.index) || !peer.wouldSend(piece.index)) continue;
      if (peer.proven) this.#started.parole.judge(piece, now);
      this.#started.share(piece);
      want = this.#ask(peer, piece, want, now);
    }
    return want;
  }

  /** Pieces that may have an owner: half of those for which there is memory. */
  get #mostOwned(): number {
    return Math.ceil(this.#pool.capacity / 2);
  }

  /** Starts failed pieces with a peer that may own them. Returns how many more requests the peer takes. */
  #fillFailed(peer: Peer, want: number, now: number): number {
    const { parole, failed } = this.#started;
    let left = MOST_FAILED;
    for (const index of failed.pieces) {
      if (want <= 0) break;
      if (!this.#started.wants(index)) continue;
      if (left-- === 0) break;
      if (!peer.pieces.has(index) || !peer.wouldSend(index)) continue;
      let piece = this.#active.get(index);
      if (piece === undefined) {
        if (!this.#picker.has(index) || !this.#pool.available) continue;
        if (!peer.proven && !parole.mayOwnNewPiece(peer)) break;
        if (!parole.mayOwn(index, ownerOf(peer), { peers: this.#host.peers(), now })) continue;
        piece = this.#started.start(index, now);
      }
      want = this.#ask(peer, piece, want, now);
    }
    return want;
  }

  /** Requests blocks of urgent pieces from a peer. Returns how many more requests the peer takes. */
  #fillUrgent(peer: Peer, parts: { readonly want: number; readonly depth: number; readonly now: number }): number {
    const { depth, now } = parts;
    const { pieces, awaited } = this.urgency;
    const late: PartialPiece[] = [];
    let { want } = parts;
    for (const index of pieces) {
      if (want <= 0) return want;
      if (!peer.pieces.has(index) || !peer.wouldSend(index)) continue;
      const piece = this.#active.get(index) ?? this.#startUrgent(peer, index, now);
      if (!piece) continue;
      if (this.#leavesToProven(peer, piece, now)) continue;
      const positions = this.urgency.positions?.get(index);
      if (positions !== undefined && this.#started.proofs.mayProve(index)) {
        const isAlone = !awaited.has(index);
        want = this.#askFrom(peer, piece, { positions, isAlone, want, now });
        if (!isAlone) late.push(piece);
        continue;
      }
      if (!awaited.has(index)) want = this.#ask(peer, piece, want, now);
      else {
        const most = Math.min(want, shareOf(peer, piece, this.#host.peers()));
        want -= most - this.#ask(peer, piece, most, now);
        late.push(piece);
      }
    }
    if (late.length === 0 || want <= 0) return want;
    const free = want + peer.requests.size;
    const peers = () => this.#host.peers();
    askAgain(peer, { active: late, peers, waits: this.waits, ending: true, urgent: true, depth, now });
    return free - peer.requests.size;
  }

  #startUrgent(peer: Peer, index: number, now: number): PartialPiece | null {
    if (!this.#picker.has(index) || !this.#pool.available || !this.mayStart(peer, index)) return null;
    const { parole } = this.#started;
    if (this.#started.suspects(index)) {
      const may = parole.mayOwn(index, ownerOf(peer), { peers: this.#host.peers(), now });
      return may ? this.#started.start(index, now) : null;
    }
    // An awaited piece is shared by all peers, or by the proven ones if there are any.
    const alone = !peer.proven && !this.urgency.awaited.has(index);
    if (alone && !(parole.mayOwnNewPiece(peer) && parole.size < this.#mostOwned)) return null;
    if (!alone && this.#hasBetter(peer, index, now)) return null;
    const piece = this.#started.start(index, now);
    if (alone) parole.hold(piece, ownerOf(peer), now);
    return piece;
  }

  /** Returns `true` if an urgent piece without an owner is left to proven peers for a moment. */
  #leavesToProven(peer: Peer, piece: PartialPiece, now: number): boolean {
    return piece.owner === null && now - piece.lastBlockAt < PROVEN_MS && this.#hasBetter(peer, piece.index, now);
  }

  /** Returns `true` if a peer isn't proven and a proven one would send a piece. */
  #hasBetter(peer: Peer, index: number, now: number): boolean {
    return !peer.proven && this.hasProven(index, now);
  }

  /** Returns `true` if a proven peer that hasn't gone quiet would send a piece. */
  hasProven(index: number, now: number): boolean {
    return wouldAnySend(index, { peers: this.#host.peers(), now, isOfKind: ({ proven }) => proven });
  }

  /**
   * Returns `true` if a peer may start a piece; a slow peer only while slow pieces take less than half of the memory.
   */
  mayStart(peer: Peer, index: number): boolean {
    if (!isSlowPeer(this.#verifier.pieceSize(index), peer.down)) return true;
    return slowPieces(this.#active.values(), this.#now()).length < this.slowLimit;
  }

  /** Number of slow pieces that may be started. */
  get slowLimit(): number {
    return Math.ceil(this.#pool.capacity / 2);
  }

  /** Returns the best piece to start with a peer, or -1. Vain searches, which look at all pieces, are remembered. */
  pick(peer: Peer): number {
    if (peer.choking) {
      for (const index of peer.allowedFast) {
        if (peer.pieces.has(index) && this.#picker.has(index) && !this.#started.suspects(index)) return index;
      }
      return -1;
    }
    const state = this.#started.returned + peer.pieces.count;
    if (peer.emptyPickState === state) return -1;
    const { failed } = this.#started;
    // Failed pieces are assigned by {@linkcode Parole.mayOwn} instead.
    const from = failed.size === 0
      ? peer.pieces
      : { has: (index: number) => peer.pieces.has(index) && !this.#started.suspects(index) };
    const index = this.#picker.pick(from, { anywhere: this.#started.have.count < RANDOM_FIRST });
    if (failed.size > 0) return index;
    if (index < 0) peer.emptyPickState = state;
    return index;
  }

  /**
   * Requests the blocks of a piece that come next for readers. Each peer sends a share of each stretch of blocks, so
   * that they arrive in the order in which they are needed. Returns how many more requests the peer takes.
   */
  #askFrom(peer: Peer, piece: PartialPiece, options: AskFromOptions): number {
    const { now } = options;
    let { want } = options;
    if (!this.#mayAsk(peer, piece, now)) return want;
    const share = options.isAlone ? STRETCH : shareOf(peer, piece, this.#host.peers(), STRETCH);
    const starts = [...options.positions];
    for (let isDone = false; !isDone && want > 0;) {
      isDone = true;
      for (const [reader, start] of starts.entries()) {
        if (start >= piece.blockCount) continue;
        isDone = false;
        const end = starts[reader] = Math.min(start + STRETCH, piece.blockCount);
        let left = Math.min(share, want);
        for (let block = start; block < end && left > 0; block++) {
          if (!piece.take(block)) continue;
          peer.request(piece.index, block * BLOCK_SIZE, piece.blockLength(block), now);
          left--;
          want--;
        }
      }
    }
    if (piece.free === 0) this.#open.delete(piece);
    return want;
  }

  #ask(peer: Peer, piece: PartialPiece, want: number, now: number): number {
    if (!this.#mayAsk(peer, piece, now)) return want;
    const isTrial = !peer.proven && piece.owner !== null && this.urgency.pieces.length === 0;
    const most = isTrial ? this.#started.parole.trial(piece, { peers: this.#host.peers(), now }) : Infinity;
    const rest = Math.max(0, want - most);
    for (; want > rest; want--) {
      const block = piece.takeFree();
      if (block < 0) break;
      peer.request(piece.index, block * BLOCK_SIZE, piece.blockLength(block), now);
    }
    if (piece.free === 0) this.#open.delete(piece);
    return rest > 0 ? 0 : want;
  }

  /** Returns `true` if a peer may be asked for blocks of a piece; it becomes the owner of a failed piece then. */
  #mayAsk(peer: Peer, piece: PartialPiece, now: number): boolean {
    if (!this.maySend(peer, piece, now)) return false;
    const { proofs, trust } = this.#started;
    // What a peer of which little is known sends is checked block by block, so that a liar is known by its first wrong
    // one.
    if (proofs.obtainable && piece.hashes === null && trust.isNew(peer.network)) proofs.want(piece.index);
    if (!piece.failed || piece.owner !== null || piece.provenOnly) return true;
    if (!peer.proven && !this.#started.parole.mayOwnNewPiece(peer)) return false;
    return this.#started.parole.take(piece, ownerOf(peer), { peers: this.#host.peers(), now });
  }

  /**
   * Returns `true` if a peer may send blocks of a piece. A piece with an owner comes only from that source. A peer on
   * parole shares a piece with others only if no other peer would send it, or if the piece has failed before.
   */
  maySend(peer: Peer, piece: PartialPiece, now: number): boolean {
    if (piece.owner !== null) return piece.owner === peer.number;
    if (piece.provenOnly) return peer.proven;
    return !peer.onParole || piece.failed ||
      !wouldAnySend(piece.index, { peers: this.#host.peers(), now, isOfKind: (other) => !other.onParole });
  }
}
