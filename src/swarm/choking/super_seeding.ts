/**
 * Super-seeding (BEP 16): a seed that is alone doesn't say what it has, but offers each peer other pieces, so that every
 * piece is soon in the swarm once instead of some of them many times.
 *
 * @module
 */

import type { PieceSet } from "../pieces/piece_picker.ts";

/** What super-seeding looks at and talks to. */
export interface SeededPeer {
  /** What it has. */
  readonly pieces: PieceSet;
  /** It has everything. */
  readonly isSeed: boolean;
  /** It wants nothing more. */
  readonly uploadOnly: boolean;
  /** It is interested in what it knows of. */
  readonly interested: boolean;
  /** We choke it. */
  readonly amChoking: boolean;
  /** Payload to it. */
  readonly up: { readonly rate: number };
  /** When we last unchoked it, milliseconds. */
  readonly unchokedAt: number;
  /** What waits to be sent to it. */
  readonly writer: { readonly length: number };
  /** Tells it that we have a piece. */
  have(index: number): void;
  /** Tells it that we want nothing. */
  announceUploadOnly(): void;
  /** Sends what it was told. */
  readonly output: { flush(): void };
}

/** With fewer other incomplete peers than this there is nobody to spread pieces to, and hiding them would only cost time. */
const LEAST_AUDIENCE = 1;
/** Pieces that a peer is offered at least while we serve it, ... */
const LEAST_OFFERS = 2;
/** ... and enough for this many seconds at the speed at which it is served. */
const AHEAD_SECONDS = 3;
/** Milliseconds after which a piece that was offered to one peer, and got nowhere, may be offered to another one. */
const STALE_MS = 15_000;
/** A peer that is served this many times as fast as another may be offered what was offered to that one, at the end. */
const MUCH_FASTER = 2;
/** Milliseconds after which a peer that wants nothing of what it was offered is told everything: it wants certain files only. */
const INDIFFERENT_MS = 5_000;
/** Milliseconds after which what is missing in the swarm is counted anew: who leaves takes pieces along. */
const COUNT_MS = 5_000;
/** Pieces that a peer is told of in one turn, when it is told everything, and bytes that may wait for it then. */
const PORTION = 4_000;
const MAX_WAITING = 64 * 1024;

/** What a peer was offered that we hide from. */
interface Offers {
  /** By piece: when. */
  readonly pieces: Map<number, number>;
  /** When it last was interested, or had all that it was offered. */
  wantedAt: number;
}

/** Decides whom a lone seed offers which piece. */
export class SuperSeeding<P extends SeededPeer> {
  readonly #pieceCount: number;
  readonly #pieceLength: number;
  /** What we have. */
  readonly #have: PieceSet & { readonly isFull: boolean };
  readonly #random: () => number;
  /** How many peers have a piece. */
  readonly #availability: (index: number) => number;
  readonly #hidden = new Map<P, Offers>();
  /** Those of them that are new, or have got something. */
  readonly #due = new Set<P>();
  /** Peers that are being told everything, with what they know and the next piece to tell. */
  readonly #told = new Map<P, { readonly known: ReadonlyMap<number, number>; next: number }>();
  /** Pieces that nobody has, as far as we know; where each of them is in that list. */
  #unseen: number[] = [];
  readonly #place = new Map<number, number>();
  #counted = -Infinity;
  #over = false;

  /**
   * @param torrent Its size.
   * @param options `have`: what we have, which is everything at first. `availability`: how many peers have a piece; those that have everything needn't be counted. `random`:
   * uniform in 0 to 1.
   */
  constructor(
    torrent: { readonly pieceCount: number; readonly pieceLength: number },
    options: {
      readonly have: PieceSet & { readonly isFull: boolean };
      readonly availability: (index: number) => number;
      readonly random: () => number;
    },
  ) {
    this.#pieceCount = torrent.pieceCount;
    this.#pieceLength = torrent.pieceLength;
    this.#have = options.have;
    this.#availability = options.availability;
    this.#random = options.random;
  }

  /**
   * A peer has connected, and was told nothing yet.
   *
   * @param peer Which.
   * @param options `peers`: every connected peer, this one included. `now`: milliseconds.
   * @returns Whether it is to be told that we have nothing, and then to be offered something.
   */
  joined(peer: P, options: { readonly peers: Iterable<P>; readonly now: number }): boolean {
    if (this.#over || audienceOf(peer, options.peers) < LEAST_AUDIENCE) return false;
    this.#hidden.set(peer, { pieces: new Map(), wantedAt: options.now });
    this.#due.add(peer);
    return true;
  }

  /** A peer is gone. */
  left(peer: P): void {
    this.#hidden.delete(peer);
    this.#told.delete(peer);
    this.#due.delete(peer);
  }

  /** A peer has a piece now. */
  seen(peer: P, index: number): void {
    if (this.#hidden.has(peer)) this.#due.add(peer);
    const place = this.#place.get(index);
    if (place === undefined) return;
    const last = this.#unseen.pop()!;
    if (last !== index) {
      this.#unseen[place] = last;
      this.#place.set(last, place);
    }
    this.#place.delete(index);
  }

  /**
   * Regular work: offers what is due, and tells everything to whom hiding it does no good.
   *
   * @param now Milliseconds.
   * @param peers Every connected peer.
   */
  turn(now: number, peers: Iterable<P>): void {
    this.#tellMore();
    if (this.#hidden.size === 0) return;
    if (!this.#have.isFull) return this.end();
    if (now - this.#counted >= COUNT_MS) this.#count(now);
    if (this.#unseen.length === 0) return this.end();
    const all = [...peers];
    for (const [peer, offers] of [...this.#hidden]) {
      if (peer.interested || !lacksSome(peer, offers.pieces.keys())) offers.wantedAt = now;
      const indifferent = now - offers.wantedAt >= INDIFFERENT_MS;
      if (indifferent || audienceOf(peer, all) < LEAST_AUDIENCE) this.#reveal(peer, offers);
    }
    const taken = this.#taken(now);
    for (const [peer, offers] of this.#hidden) this.#offer(peer, { offers, taken, now });
  }

  /**
   * Offers one peer what is due, if it is new or has got something since the last time.
   *
   * @param peer Which.
   * @param now Milliseconds.
   */
  offer(peer: P, now: number): void {
    const offers = this.#hidden.get(peer);
    if (!offers || !this.#due.delete(peer)) return;
    if (this.#counted === -Infinity) this.#count(now);
    this.#offer(peer, { offers, taken: this.#taken(now), now });
  }

  /** There is no need any more: every piece is in the swarm, there is another seed, or we are none. Everybody is told what we have. */
  end(): void {
    this.#over = true;
    for (const [peer, offers] of [...this.#hidden]) this.#reveal(peer, offers);
  }

  #reveal(peer: P, offers: Offers): void {
    this.#hidden.delete(peer);
    this.#told.set(peer, { known: offers.pieces, next: 0 });
    this.#tell(peer);
  }

  #tellMore(): void {
    for (const peer of [...this.#told.keys()]) if (peer.writer.length < MAX_WAITING) this.#tell(peer);
  }

  /** Tells a peer of the next pieces: not of all at once, so that blocks needn't wait behind megabytes of haves. */
  #tell(peer: P): void {
    const state = this.#told.get(peer)!;
    const end = Math.min(this.#pieceCount, state.next + PORTION);
    for (; state.next < end; state.next++) {
      if (!state.known.has(state.next) && this.#have.has(state.next)) peer.have(state.next);
    }
    if (end === this.#pieceCount) {
      this.#told.delete(peer);
      if (this.#have.isFull) peer.announceUploadOnly();
    }
    peer.output.flush();
  }

  #offer(
    peer: P,
    state: { readonly offers: Offers; readonly taken: Map<number, number>; readonly now: number },
  ): void {
    const { offers: { pieces }, taken, now } = state;
    let open = 0;
    for (const [index, since] of pieces) {
      if (!peer.pieces.has(index) && this.#place.has(index) && !isStale(peer, since, now)) open++;
    }
    const ahead = Math.ceil(AHEAD_SECONDS * peer.up.rate / this.#pieceLength);
    // One is enough to make a peer interested, so that it gets its turn.
    for (const want = peer.amChoking ? 1 : LEAST_OFFERS + ahead; open < want; open++) {
      const isNew = (piece: number) => !pieces.has(piece) && !peer.pieces.has(piece) && this.#have.has(piece);
      let index = this.#choose((piece) => isNew(piece) && !taken.has(piece));
      // Nobody is to wait for a piece that crawls to somebody else, or to have nothing to fetch.
      if (index < 0 && !peer.amChoking) {
        const mayTake = (speed: number) => open === 0 || MUCH_FASTER * speed < peer.up.rate;
        index = this.#choose((piece) => isNew(piece) && mayTake(taken.get(piece) ?? 0));
      }
      if (index < 0) break;
      pieces.set(index, now);
      if (!peer.amChoking) taken.set(index, peer.up.rate);
      peer.have(index);
    }
    peer.output.flush();
  }

  /**
   * Pieces that are offered to peers which may fetch them now, and lately enough to believe that they do, with the speed at
   * which the fastest of those is served.
   */
  #taken(now: number): Map<number, number> {
    const taken = new Map<number, number>();
    for (const [peer, { pieces }] of this.#hidden) {
      if (peer.amChoking) continue;
      for (const [index, since] of pieces) {
        if (this.#place.has(index) && !isStale(peer, since, now)) {
          taken.set(index, Math.max(taken.get(index) ?? 0, peer.up.rate));
        }
      }
    }
    return taken;
  }

  /** One of the pieces that nobody has, by chance. */
  #choose(fits: (index: number) => boolean): number {
    const { length } = this.#unseen;
    const start = Math.floor(this.#random() * length);
    for (let i = 0; i < length; i++) {
      const index = this.#unseen[(start + i) % length]!;
      if (fits(index)) return index;
    }
    return -1;
  }

  #count(now: number): void {
    this.#counted = now;
    this.#unseen = [];
    this.#place.clear();
    for (let index = 0; index < this.#pieceCount; index++) {
      if (this.#availability(index) === 0) this.#place.set(index, this.#unseen.push(index) - 1);
    }
  }
}

/** How many peers besides one still want something. */
function audienceOf<P extends SeededPeer>(peer: P, peers: Iterable<P>): number {
  let others = 0;
  for (const other of peers) if (other !== peer && !other.isSeed && !other.uploadOnly) others++;
  return others;
}

function lacksSome(peer: SeededPeer, pieces: Iterable<number>): boolean {
  for (const index of pieces) if (!peer.pieces.has(index)) return true;
  return false;
}

function isStale(peer: SeededPeer, since: number, now: number): boolean {
  return now - Math.max(since, peer.unchokedAt) >= STALE_MS;
}
