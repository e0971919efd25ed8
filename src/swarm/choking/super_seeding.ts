/**
 * Super-seeding (BEP 16): the only seed of a torrent doesn't tell peers what it has but offers different pieces to each
 * of them, so that every piece is soon in the swarm once instead of some pieces many times.
 *
 * @module
 */

import type { PieceSet } from "../pieces/piece_picker.ts";

/** What super-seeding uses of a peer. */
export interface SeededPeer {
  /** Pieces that the peer has. */
  readonly pieces: PieceSet;
  /** Whether the peer has every piece. */
  readonly isSeed: boolean;
  /** Whether the peer doesn't download (BEP 21). */
  readonly uploadOnly: boolean;
  /** Whether the peer is interested in the pieces that it was offered. */
  readonly interested: boolean;
  /** Whether we choke the peer. */
  readonly amChoking: boolean;
  /** Payload sent to the peer. */
  readonly up: { readonly rate: number };
  /** When we last unchoked the peer, in milliseconds. */
  readonly unchokedAt: number;
  /** Bytes that wait to be sent to the peer. */
  readonly writer: { readonly length: number };
  /** Tells the peer that we have a piece. */
  have(index: number): void;
  /** Tells the peer that we don't download (BEP 21). */
  announceUploadOnly(): void;
  /** Sends what waits to be sent. */
  readonly output: { flush(): void };
}

/** Fewest other incomplete peers with which pieces are hidden. With fewer there is no peer to spread pieces to. */
const LEAST_AUDIENCE = 1;
/** Fewest pieces that an unchoked peer is offered. */
const LEAST_OFFERS = 2;
/** An unchoked peer is offered more pieces, enough for this many seconds at its upload rate. */
const AHEAD_SECONDS = 3;
/** Milliseconds after which a piece that one peer was offered, but hasn't got, may be offered to another peer. */
const STALE_MS = 15_000;
/** At the end an unchoked peer may also be offered the pieces of peers that are served this many times slower. */
const MUCH_FASTER = 2;
/** Milliseconds after which a peer that isn't interested in its offers, since it wants certain files, is told all. */
const INDIFFERENT_MS = 5_000;
/** Milliseconds between two counts of the pieces missing in the swarm: peers that leave take pieces with them. */
const COUNT_MS = 5_000;
/** Pieces that a peer is told of per turn while it is told all our pieces. */
const PORTION = 4_000;
/** A peer with this many bytes waiting to be sent isn't told of more pieces. */
const MAX_WAITING = 64 * 1024;

/** What a peer from which we hide pieces was offered. */
interface Offers {
  /** When each piece was offered, in milliseconds. */
  readonly pieces: Map<number, number>;
  /** When the peer was last interested, or last had all its offers, in milliseconds. */
  wantedAt: number;
}

/** Size of the torrent that {@linkcode SuperSeeding} spreads. */
export interface SeededTorrent {
  /** Pieces of the torrent. */
  readonly pieceCount: number;
  /** Bytes of a piece. */
  readonly pieceLength: number;
}

/** Options for {@linkcode SuperSeeding}. */
export interface SuperSeedingOptions {
  /** Our pieces, which are all at first. */
  readonly have: PieceSet & { readonly isFull: boolean };
  /** Returns how many peers have a piece. Peers that have everything needn't be counted. */
  readonly availability: (index: number) => number;
  /** Returns a number from 0 to 1, uniformly distributed. */
  readonly random: () => number;
}

/** Options for {@linkcode SuperSeeding.joined}. */
export interface SuperSeedingPeers<P> {
  /** Every connected peer, the new one included. */
  readonly peers: Iterable<P>;
  /** Current time in milliseconds. */
  readonly now: number;
}

/** Decides which piece the only seed offers to which peer. */
export class SuperSeeding<P extends SeededPeer> {
  readonly #pieceCount: number;
  readonly #pieceLength: number;
  /** Our pieces. */
  readonly #have: PieceSet & { readonly isFull: boolean };
  readonly #random: () => number;
  /** Returns how many peers have a piece. */
  readonly #availability: (index: number) => number;
  readonly #hidden = new Map<P, Offers>();
  /** Peers from which we hide pieces that are new or have got a piece since the last offer. */
  readonly #due = new Set<P>();
  /** Peers that are being told all our pieces, each with the pieces that it knows of and the next one to tell. */
  readonly #told = new Map<P, { readonly known: ReadonlyMap<number, number>; next: number }>();
  /** Pieces that no peer has, as far as we know. */
  #unseen: number[] = [];
  /** Position of each piece in `#unseen`. */
  readonly #place = new Map<number, number>();
  #counted = -Infinity;
  #over = false;

  /** @param torrent Size of the torrent. */
  constructor(torrent: SeededTorrent, options: SuperSeedingOptions) {
    this.#pieceCount = torrent.pieceCount;
    this.#pieceLength = torrent.pieceLength;
    this.#have = options.have;
    this.#availability = options.availability;
    this.#random = options.random;
  }

  /**
   * Adds a peer that has connected and hasn't been told of any piece.
   *
   * @returns `true` if the peer should be told that we have nothing, and be offered pieces afterwards.
   */
  joined(peer: P, options: SuperSeedingPeers<P>): boolean {
    if (this.#over || audienceOf(peer, options.peers) < LEAST_AUDIENCE) return false;
    this.#hidden.set(peer, { pieces: new Map(), wantedAt: options.now });
    this.#due.add(peer);
    return true;
  }

  /** Removes a peer that has left. */
  left(peer: P): void {
    this.#hidden.delete(peer);
    this.#told.delete(peer);
    this.#due.delete(peer);
  }

  /** Notes that a peer has a piece. */
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
   * Makes the regular offers, and tells all our pieces to peers from which it is useless to hide them.
   *
   * @param now Current time in milliseconds.
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
   * Offers pieces to a peer that is new or has got a piece since the last offer.
   *
   * @param now Current time in milliseconds.
   */
  offer(peer: P, now: number): void {
    const offers = this.#hidden.get(peer);
    if (!offers || !this.#due.delete(peer)) return;
    if (this.#counted === -Infinity) this.#count(now);
    this.#offer(peer, { offers, taken: this.#taken(now), now });
  }

  /** Ends super-seeding: every piece is in the swarm, there is another seed, or we are none. Tells all our pieces. */
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

  /** Tells a peer of the next pieces; not of all at once, so that blocks don't wait behind megabytes of haves. */
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
    // One offer is enough to make a choked peer interested, so that it gets its turn.
    for (const want = peer.amChoking ? 1 : LEAST_OFFERS + ahead; open < want; open++) {
      const isNew = (piece: number) => !pieces.has(piece) && !peer.pieces.has(piece) && this.#have.has(piece);
      let index = this.#choose((piece) => isNew(piece) && !taken.has(piece));
      // A peer shouldn't wait for a piece that another peer downloads very slowly, or have nothing to fetch.
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

  /** Returns the pieces recently offered to unchoked peers, each with the highest upload rate of these peers. */
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

  /** Returns a random piece that no peer has and that passes a test, or -1. */
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

/** Returns how many other peers still download. */
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
