/**
 * Chooses the bytes to request from a web seed: long runs of pieces that haven't been started, since a request costs
 * the server more than a block costs a peer, and blocks of started pieces that other sources don't send.
 *
 * @module
 */

import type { Bitfield } from "../../base/bitfield.ts";
import { BLOCK_SIZE, type Peer } from "../../peer/mod.ts";
import type { PartialPiece } from "../pieces/partial_piece.ts";
import type { PieceDownload } from "../pieces/piece_download.ts";
import { blockKey } from "../pieces/endgame.ts";
import { WebRun, type WebRunHost } from "./web_run.ts";

/** Bytes of the first run of a web seed, whose speed isn't known yet. */
const FIRST_RUN = 4 * 1024 * 1024;
/** A run is as long as the web seed sends in this many seconds. */
const RUN_SECONDS = 10;
/** Upper bound for the bytes of a run; longer runs bring nothing more. */
const MAX_RUN = 64 * 1024 * 1024;
/**
 * Part of its fair share of the missing pieces that one run may take, so that all sources end at about the same time.
 */
const FAIR_SHARE = 0.5;
/** A run may exceed its fair share if it takes no more seconds than this. */
const SHORT_RUN_SECONDS = 0.25;
/** A started piece counts as left after this many milliseconds without a block. */
const LEFT_MS = 3_000;
/** Near the end, blocks that would take more milliseconds than this from another source are requested as well. */
const LONG_MS = 5_000;
/** A run yields pieces ahead to idle sources only if all of them would take at least this many milliseconds. */
const YIELD_MS = 1_000;

/** What the picker uses of a web seed. */
export interface WebSource {
  /** Number of the web seed; negative. */
  readonly number: number;
  /** Pieces that the web seed has, as far as is known. */
  readonly pieces: Bitfield;
  /** Bytes per second of one connection; 0 if unknown. */
  readonly rate: number;
  /** Whether the web seed sends files only from their beginning. */
  readonly wholeOnly: boolean;
  /** Offset after the end of the connection's last run; -1 if there was none. */
  readonly last: number;
  /** Whether nothing has arrived for some time. */
  readonly quiet: boolean;
}

/** Options for {@linkcode WebPicker}. */
export interface WebPickerOptions {
  /** Bytes of a piece. */
  readonly pieceLength: number;
  /** Bytes of the torrent. */
  readonly totalLength: number;
  /** Returns every connected peer. */
  readonly peers: () => Iterable<Peer>;
  /** Returns the current time in milliseconds. */
  readonly now: () => number;
  /** Returns a number from 0 to 1, uniformly distributed. */
  readonly random: () => number;
}

/** Chooses and keeps all runs of a torrent. */
export class WebPicker implements WebRunHost {
  readonly started: PieceDownload["started"];
  readonly pieceLength: number;
  readonly totalLength: number;
  readonly #download: PieceDownload;
  readonly #options: WebPickerOptions;
  readonly #runs = new Map<WebRun, WebSource>();

  constructor(download: PieceDownload, options: WebPickerOptions) {
    this.#download = download;
    this.started = download.started;
    this.pieceLength = options.pieceLength;
    this.totalLength = options.totalLength;
    this.#options = options;
    download.started.pieceRestarted.push((piece) => {
      for (const run of [...this.#runs.keys()]) run.restarted(piece);
    });
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
   * Chooses the next run of a web seed. Urgent pieces come first, then blocks that other sources have left, then new
   * pieces, and at the end blocks that the web seed would send sooner than the sources that were asked for them.
   *
   * @param source The web seed, whose state is read again while the run lasts.
   * @returns The run, or `null` if there is nothing to request.
   */
  claim(source: WebSource): WebRun | null {
    const run = this.#urgent(source) ?? this.#stalledBlocks(source, { ending: false }) ?? this.#fresh(source) ??
      this.#stalledBlocks(source, { ending: true });
    if (run) this.#runs.set(run, source);
    return run;
  }

  /**
   * Ends a run. Peers may be asked for what it hasn't brought.
   *
   * @param run The run; may have ended.
   */
  release(run: WebRun): void {
    if (run.over) return void this.#runs.delete(run);
    run.release();
    this.#download.fillAll();
  }

  /**
   * Takes half of the pieces ahead from the longest run if peers or web seeds are idle.
   *
   * @param idle Number of idle web seeds.
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

  /** Ends each run before a piece that isn't wanted any more. */
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
   * Called when readers wait for pieces. If a run has an awaited piece ahead, that run ends. If no source has started
   * the piece, a run without urgent pieces ends. The web seeds of the ended runs choose again.
   */
  yieldToUrgent(): void {
    const { pieces, awaited } = this.#download.urgency;
    const urgent = new Set(pieces);
    for (const index of awaited) {
      const ahead = this.#runs.keys().find((run) => run.holds(index));
      const other = () => this.#runs.keys().find((run) => !urgent.has(Math.floor(run.at / this.pieceLength)));
      const late = ahead ?? (this.started.picker.has(index) ? other() : undefined);
      if (late && Math.floor(late.at / this.pieceLength) !== index) late.release();
    }
  }

  /** Returns a run of new pieces that begins with the most urgent one. */
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

  /** Returns a run of neighbouring blocks in a started piece; the piece that has been left for longest comes first. */
  #stalledBlocks(source: WebSource, options: { readonly ending: boolean }): WebRun | null {
    const now = this.now();
    const busy = new Set(Array.from(this.#runs.keys(), (run) => run.piece));
    const patience = 2 * waitOf(source);
    const waits = options.ending ? this.#download.waits.at(now, () => this.peers()) : null;
    let best: { piece: PartialPiece; first: number; end: number } | null = null;
    for (const piece of this.started.active.values()) {
      if (piece.owner !== null || piece.provenOnly || busy.has(piece) || !source.pieces.has(piece.index)) continue;
      if (best && piece.lastBlockAt >= best.piece.lastBlockAt) continue;
      const left = now - piece.lastBlockAt >= LEFT_MS;
      if (!left && !options.ending) continue;
      const wanted = (block: number) => {
        if (piece.has(block)) return false;
        if (piece.asked(block) === 0) return left || options.ending;
        if (!waits) return false;
        const wait = waits.get(blockKey(piece.index, block)) ?? 0;
        return wait > Math.max(LONG_MS, patience);
      };
      const stretch = longestStretch(piece.blockCount, wanted);
      if (stretch.end > stretch.first) best = { piece, ...stretch };
    }
    if (!best) return null;
    const { piece, first, end } = best;
    if (piece.failed) {
      // A failed piece must come from one source completely.
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

  /** Returns a run of pieces that haven't been started. */
  #fresh(source: WebSource): WebRun | null {
    const gap = this.#gapFor(source);
    return gap && this.#row(gap, source);
  }

  /** Returns a run of suitable length at the beginning of a gap. */
  #row(gap: Gap, source: WebSource): WebRun {
    const count = Math.min(gap.end - gap.first, this.#runLength(source));
    for (let index = gap.first; index < gap.first + count; index++) this.started.reserve(index);
    const begin = gap.first * this.pieceLength;
    const end = Math.min((gap.first + count) * this.pieceLength, this.totalLength);
    return new WebRun(this, { source: source.number, begin, end });
  }

  /** Returns the number of pieces in a run at most. */
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
   * Chooses a gap among the pieces of the highest level: the one that follows the connection's last run if it is long
   * enough, otherwise the largest (BEP 19), from its beginning, or from its middle if another run will soon reach its
   * beginning. The first run of a download begins at a random piece, so that two clients that begin at the same time
   * have something to trade.
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

/** A range of pieces. */
interface Gap {
  readonly first: number;
  /** Index after the last piece. */
  readonly end: number;
}

function lengthOf(gap: Gap): number {
  return gap.end - gap.first;
}

/** Returns the milliseconds that a web seed needs for a block. */
function waitOf(source: WebSource): number {
  if (source.quiet) return Infinity;
  return source.rate > 0 ? 1000 * BLOCK_SIZE / source.rate : 0;
}

/** Returns the longest range of numbers below `count` that are wanted. */
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
