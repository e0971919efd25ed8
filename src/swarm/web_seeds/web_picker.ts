/**
 * Which bytes to ask a web seed for: long runs of pieces that nobody has started, since every request costs the server more
 * than a block costs a peer; and what others have left lying.
 *
 * @module
 */

import type { Bitfield } from "../../base/bitfield.ts";
import { BLOCK_SIZE, type Peer } from "../../peer/mod.ts";
import type { PartialPiece } from "../pieces/partial_piece.ts";
import type { PieceDownload } from "../pieces/piece_download.ts";
import { keyOf } from "../pieces/endgame.ts";
import { WebRun, type WebRunHost } from "./web_run.ts";

/** Bytes of the first run, of a web seed whose speed isn't known yet. */
const FIRST_RUN = 4 * 1024 * 1024;
/** A run is to take so many seconds ... */
const RUN_SECONDS = 10;
/** ... and to have no more bytes than this, that many being as good as more. */
const MAX_RUN = 64 * 1024 * 1024;
/** Part of what is missing, shared among all who fetch, that one run may take: so that all are done at about the same time ... */
const FAIR_SHARE = 0.5;
/** ... unless it takes no more seconds than this anyway. */
const SHORT_RUN_SECONDS = 0.25;
/** Milliseconds without a block after which a started piece counts as left lying. */
const LEFT_MS = 3_000;
/** Near the end what would take more milliseconds than this from somebody else is fetched as well. */
const LONG_MS = 5_000;
/** A piece's time with a run, in milliseconds, above which idle peers are given some of the pieces ahead. */
const YIELD_MS = 1_000;

/** What has to be known of a web seed to choose for it. */
export interface WebSource {
  /** Its number, below 0. */
  readonly number: number;
  /** Pieces that it has, as far as is known. */
  readonly pieces: Bitfield;
  /** Bytes a second of one connection; 0 when not known. */
  readonly rate: number;
  /** Whether it sends files from their beginning only. */
  readonly wholeOnly: boolean;
  /** The byte after its last run; -1 when there was none. */
  readonly last: number;
  /** Whether it hasn't sent anything for some time. */
  readonly quiet: boolean;
}

/** All runs of a torrent. */
export class WebPicker implements WebRunHost {
  readonly started: PieceDownload["started"];
  readonly pieceLength: number;
  readonly totalLength: number;
  readonly #download: PieceDownload;
  readonly #options: {
    readonly peers: () => Iterable<Peer>;
    readonly now: () => number;
    readonly random: () => number;
  };
  readonly #runs = new Map<WebRun, WebSource>();

  /**
   * @param download The pieces that are left.
   * @param options `pieceLength`, `totalLength`: the torrent's. `peers`: every connected peer. `now`: milliseconds. `random`: 0 to 1.
   */
  constructor(
    download: PieceDownload,
    options: {
      readonly pieceLength: number;
      readonly totalLength: number;
      readonly peers: () => Iterable<Peer>;
      readonly now: () => number;
      readonly random: () => number;
    },
  ) {
    this.#download = download;
    this.started = download.started;
    this.pieceLength = options.pieceLength;
    this.totalLength = options.totalLength;
    this.#options = options;
    download.waits.others.push((tell) => {
      for (const [run, source] of this.#runs) run.waits(tell, waitOf(source));
    });
  }

  peers(): Iterable<Peer> {
    return this.#options.peers();
  }

  now(): number {
    return this.#options.now();
  }

  mayOwn(piece: PartialPiece, number: number): boolean {
    const owner = { number, source: this.started.sourceOf(number) };
    return this.started.parole.take(piece, owner, { peers: this.peers(), now: this.now() });
  }

  changed(run: WebRun): void {
    if (run.over) this.#runs.delete(run);
  }

  /**
   * Chooses what a web seed is to send next: what others have left lying comes first, then a row of new pieces, and at the end
   * what it would send sooner than those who were asked.
   *
   * @param source Which web seed; looked at again as long as the run lasts.
   * @returns The run, or `null` when there is nothing for it.
   */
  claim(source: WebSource): WebRun | null {
    const run = this.#urgent(source) ?? this.#leftLying(source, { ending: false }) ?? this.#fresh(source) ??
      this.#leftLying(source, { ending: true });
    if (run) this.#runs.set(run, source);
    return run;
  }

  /**
   * Ends a run; peers may have what it hasn't brought.
   *
   * @param run Which; harmless when it has ended.
   */
  release(run: WebRun): void {
    if (run.over) return void this.#runs.delete(run);
    run.release();
    this.#download.fillAll();
  }

  /**
   * While others have nothing to do, the longest run lets them have half of what is ahead of it.
   *
   * @param idle Web seeds that have nothing to do.
   */
  share(idle: number): void {
    if (this.started.picker.size > 0 || this.#runs.size === 0) return;
    if (idle === 0 && !this.#hasIdlePeer()) return;
    let most = 0;
    let longest: WebRun | null = null;
    for (const [run, source] of this.#runs) {
      const slowness = run.ahead * waitOf(source);
      if (run.ahead === 0 || slowness * this.pieceLength / BLOCK_SIZE < YIELD_MS || slowness <= most) continue;
      most = slowness;
      longest = run;
    }
    if (!longest) return;
    longest.yieldLast(Math.ceil(longest.ahead / 2));
    this.#download.fillAll();
  }

  /** Other pieces are wanted: no run goes on to one that isn't. */
  trim(): void {
    for (const run of [...this.#runs.keys()]) run.trim();
  }

  #hasIdlePeer(): boolean {
    for (const peer of this.peers()) {
      if (!peer.closed && !peer.choking && peer.amInterested && !peer.snubbed && peer.requests.size === 0) return true;
    }
    return false;
  }

  /**
   * Somebody waits for pieces: the runs that have one of them far ahead end, and so does one of those that have none of what is
   * urgent, if nobody else has begun the piece. Those who had them choose anew.
   */
  hurry(): void {
    const { pieces, awaited } = this.#download.urgency;
    const urgent = new Set(pieces);
    for (const index of awaited) {
      const ahead = this.#runs.keys().find((run) => run.holds(index));
      const other = () => this.#runs.keys().find((run) => !urgent.has(Math.floor(run.at / this.pieceLength)));
      const late = ahead ?? (this.started.picker.has(index) ? other() : undefined);
      if (late && Math.floor(late.at / this.pieceLength) !== index) late.release();
    }
  }

  /** A row of new pieces that begins with the most urgent one. */
  #urgent(source: WebSource): WebRun | null {
    const { picker, have } = this.started;
    const isFree = (index: number) => index < have.length && picker.has(index) && source.pieces.has(index);
    if (source.wholeOnly) return null;
    const first = this.#download.urgency.pieces.find(isFree);
    if (first === undefined) return null;
    let end = first;
    while (isFree(end)) end++;
    return this.#row({ first, end }, source);
  }

  /** Blocks of a started piece, next to each other; the piece that was left for the longest time comes first. */
  #leftLying(source: WebSource, options: { readonly ending: boolean }): WebRun | null {
    const now = this.now();
    const busy = new Set(Array.from(this.#runs.keys(), (run) => run.piece));
    const patience = 2 * waitOf(source);
    const waits = options.ending ? this.#download.waits.at(now, () => this.peers()) : null;
    let best: { piece: PartialPiece; first: number; end: number } | null = null;
    for (const piece of this.started.active.values()) {
      if (piece.owner !== null || piece.guarded || busy.has(piece) || !source.pieces.has(piece.index)) continue;
      if (best && piece.touched >= best.piece.touched) continue;
      const left = now - piece.touched >= LEFT_MS;
      if (!left && !options.ending) continue;
      const wanted = (block: number) => {
        if (piece.has(block)) return false;
        if (piece.asked(block) === 0) return left || options.ending;
        if (!waits) return false;
        const wait = waits.get(keyOf(piece.index, block)) ?? 0;
        return wait > Math.max(LONG_MS, patience);
      };
      const stretch = longestStretch(piece.blockCount, wanted);
      if (stretch.end > stretch.first) best = { piece, ...stretch };
    }
    if (!best) return null;
    const { piece, first, end } = best;
    if (this.started.suspects(piece.index)) {
      // From one alone, and all of it.
      if (piece.received > 0 || !this.mayOwn(piece, source.number)) return null;
    }
    const start = piece.index * this.pieceLength;
    return new WebRun(this, {
      source: source.number,
      begin: start + first * BLOCK_SIZE,
      end: start + Math.min(end * BLOCK_SIZE, piece.size),
      piece,
    });
  }

  /** A row of pieces that nobody has started. */
  #fresh(source: WebSource): WebRun | null {
    const gap = this.#gapFor(source);
    return gap && this.#row(gap, source);
  }

  /** As much of a gap as one run should have. */
  #row(gap: Gap, source: WebSource): WebRun {
    const count = Math.min(gap.end - gap.first, this.#runLength(source));
    for (let index = gap.first; index < gap.first + count; index++) this.started.reserve(index);
    const begin = gap.first * this.pieceLength;
    const end = Math.min((gap.first + count) * this.pieceLength, this.totalLength);
    return new WebRun(this, { source: source.number, begin, end });
  }

  /** How many pieces at most. */
  #runLength(source: WebSource): number {
    if (source.wholeOnly) return Infinity;
    const bytes = source.rate > 0 ? Math.min(MAX_RUN, source.rate * RUN_SECONDS) : FIRST_RUN;
    let others = this.#runs.size;
    for (const peer of this.peers()) if (!peer.closed && !peer.choking && peer.amInterested) others++;
    const share = others === 0 ? Infinity : FAIR_SHARE * this.started.picker.size / (others + 1);
    const short = source.rate * SHORT_RUN_SECONDS / this.pieceLength;
    return Math.max(1, Math.ceil(Math.min(bytes / this.pieceLength, Math.max(share, short))));
  }

  /**
   * Of the pieces of the highest level: where it goes on, when there is much to be had; else the largest gap (BEP 19), from its beginning, or from its middle when
   * another run will soon come to its beginning. The very first begins anywhere, so that two who begin at the same time have
   * something to trade.
   */
  #gapFor(source: WebSource): Gap | null {
    const { picker, have } = this.started;
    const next = source.last < 0 ? -1 : Math.ceil(source.last / this.pieceLength);
    let largest: Gap | null = null;
    let following: Gap | null = null;
    let highest = -Infinity;
    const isFree = (index: number) => picker.has(index) && source.pieces.has(index);
    for (let index = 0; index < have.length;) {
      const first = index++;
      const level = picker.levelOf(first);
      if (level < highest || !isFree(first)) continue;
      while (index < have.length && isFree(index) && picker.levelOf(index) === level) index++;
      const gap = { first, end: index };
      if (level > highest) {
        highest = level;
        largest = following = null;
      }
      if (!largest || (lengthOf(gap) > lengthOf(largest) && !source.wholeOnly)) largest = gap;
      if (next >= first && next < index) following = { first: next, end: index };
    }
    if (!largest) return null;
    if (source.wholeOnly) return largest;
    if (following && lengthOf(following) >= Math.min(this.#runLength(source), lengthOf(largest) / 2)) return following;
    const { first, end } = largest;
    if (have.isEmpty && this.#runs.size === 0 && this.started.active.size === 0 && next < 0) {
      return { first: first + Math.floor(this.#options.random() * (end - first)), end };
    }
    for (const run of this.#runs.keys()) {
      if (Math.ceil(run.end / this.pieceLength) === first) return { first: Math.floor((first + end) / 2), end };
    }
    return largest;
  }
}

/** Pieces in a row. */
interface Gap {
  readonly first: number;
  /** The one after the last. */
  readonly end: number;
}

function lengthOf(gap: Gap): number {
  return gap.end - gap.first;
}

/** Milliseconds that a web seed needs for a block. */
function waitOf(source: WebSource): number {
  if (source.quiet) return Infinity;
  return source.rate > 0 ? 1000 * BLOCK_SIZE / source.rate : 0;
}

/** The longest row of numbers below `count` that are wanted. */
function longestStretch(count: number, wanted: (at: number) => boolean): Gap {
  let best: Gap = { first: 0, end: 0 };
  for (let at = 0; at < count; at++) {
    if (!wanted(at)) continue;
    const first = at;
    while (at < count && wanted(at)) at++;
    if (at - first > lengthOf(best)) best = { first, end: at };
  }
  return best;
}
