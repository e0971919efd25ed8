/**
 * Readers of a torrent that is being downloaded, and the pieces that they need soon (time-critical pieces). Nothing is
 * requested here: {@linkcode ReadersHost.prioritise} does that.
 *
 * @module
 */

import { MAX_URGENT_PIECES } from "../../base/defences.ts";
import { ShoalError } from "../../base/errors.ts";
import { BLOCK_SIZE, type Peer } from "../../peer/mod.ts";
import type { PartialPiece } from "./partial_piece.ts";

/** A range of pieces. */
export interface PieceRange {
  /** Index of the first piece. */
  readonly first: number;
  /** Index after the last piece. */
  readonly end: number;
}

/** The pieces that readers need soon. */
export interface Urgency {
  /** Missing pieces that are requested before all others, the most urgent first. */
  readonly pieces: readonly number[];
  /** The pieces that a reader waits for right now. */
  readonly awaited: ReadonlySet<number>;
  /**
   * For missing pieces in which readers are or for which they wait, the blocks from which they read on. Where blocks can be proven one by one,
   * these and the following ones are requested first. No reader is inside a piece when absent.
   */
  readonly positions?: ReadonlyMap<number, readonly number[]>;
}

/** No piece is urgent. */
export const NO_URGENCY: Urgency = { pieces: [], awaited: new Set() };

/** What readers need from a download. */
export interface ReadersHost {
  /** Pieces that have been verified and written. */
  readonly have: { has(index: number): boolean };
  /** Returns `true` if a piece that isn't on disk is to come. */
  wants(index: number): boolean;
  /** Called when the urgent pieces change. */
  prioritise(urgency: Urgency): void;
}

/** A reader waiting for a piece, or for a block of it. */
interface Waiter {
  readonly reader: PieceReader;
  /** Number of the block. The reader may be elsewhere by now: it may read several places at a time. */
  readonly block: number;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

/** A reader that goes on for fewer blocks than this from where it was last told to be doesn't change what is urgent. */
const STEP = 16;

/** All readers of a torrent. */
export class Readers {
  readonly #host: () => ReadersHost;
  readonly #readers = new Set<PieceReader>();
  /** Waiters by piece, in the order in which the pieces were first waited for. */
  readonly #waiters = new Map<number, Set<Waiter>>();
  readonly #isReadable: (index: number, block: number) => boolean;
  /** The pieces that were awaited when the download was told last. */
  #told: ReadonlySet<number> = new Set();
  /** Those of them for which nobody waited at the last turn, and nobody has since. */
  #idle = new Set<number>();
  #over = false;

  /**
   * @param host Returns the current download, which is replaced when the torrent is opened again after an error.
   * @param isReadable Returns `true` if a block of a piece that isn't on disk can be read; never when absent.
   */
  constructor(host: () => ReadersHost, isReadable: (index: number, block: number) => boolean = () => false) {
    this.#host = host;
    this.#isReadable = isReadable;
  }

  /** The pieces that are urgent now. */
  get urgency(): Urgency {
    const awaited = new Set(this.#waiters.keys());
    if (this.#readers.size === 0) return NO_URGENCY;
    const windows = Array.from(this.#readers, (reader) => reader.window);
    const pieces = new Set(awaited);
    for (const index of merge(windows, (index) => !this.#host().have.has(index))) {
      if (pieces.size >= MAX_URGENT_PIECES) break;
      pieces.add(index);
    }
    return { pieces: [...pieces], awaited, positions: this.#positions() };
  }

  #positions(): ReadonlyMap<number, readonly number[]> {
    const positions = new Map<number, number[]>();
    const add = (index: number, block: number) => {
      if (this.#host().have.has(index)) return;
      const others = positions.get(index) ?? [];
      if (!others.includes(block)) positions.set(index, [...others, block]);
    };
    for (const [index, waiters] of this.#waiters) for (const { block } of waiters) add(index, block);
    for (const { window: { first, end }, position } of this.#readers) if (end > first) add(first, position);
    return positions;
  }

  /** Opens a reader with an empty window. The caller closes the reader. */
  open(): PieceReader {
    const reader: PieceReader = new PieceReader({
      moved: () => this.#changed(),
      wait: (index, signal) => this.#wait(reader, index, signal),
      close: () => this.#close(reader),
    });
    this.#readers.add(reader);
    return reader;
  }

  /** Resolves the waits for a piece that has been verified and written. */
  arrived(index: number): void {
    const waiters = this.#waiters.get(index);
    if (!waiters) return;
    this.#waiters.delete(index);
    for (const { resolve } of waiters) resolve();
    this.#changed();
  }

  /** Resolves the waits for blocks of a piece that can be read now, before the piece is whole. */
  readable(index: number): void {
    const waiters = this.#waiters.get(index);
    if (!waiters) return;
    for (const waiter of [...waiters]) {
      if (!this.#isReadable(index, waiter.block)) continue;
      // The piece stays urgent until the next turn but one: the reader goes on with its next block.
      this.#forget(index, waiter);
      waiter.resolve();
    }
  }

  /**
   * Regular work: tells the download of pieces that nobody has waited for since the last turn. A reader that stops
   * reading would keep such a piece urgent for ever.
   */
  turn(): void {
    const idle = new Set([...this.#told].filter((index) => !this.#waiters.has(index)));
    const isOver = [...idle].some((index) => this.#idle.has(index));
    this.#idle = idle;
    if (isOver) this.#changed();
  }

  /** Settles waits after a recheck or a new selection of files. Those for pieces that aren't to come are rejected. */
  checked(): void {
    for (const [index, waiters] of [...this.#waiters]) {
      if (this.#host().have.has(index)) this.arrived(index);
      else if (!this.#host().wants(index)) {
        this.#waiters.delete(index);
        for (const { reject } of waiters) reject(unwantedError());
      }
    }
    if (this.#readers.size > 0) this.#changed();
  }

  /** Rejects all waits, since the torrent was stopped. */
  end(): void {
    this.#over = true;
    for (const waiters of this.#waiters.values()) for (const { reject } of waiters) reject(stoppedError());
    this.#waiters.clear();
    this.#readers.clear();
  }

  #changed(): void {
    const { urgency } = this;
    this.#told = urgency.awaited;
    this.#host().prioritise(urgency);
  }

  #wait(reader: PieceReader, index: number, signal: AbortSignal | undefined): Promise<void> {
    if (this.#over) return Promise.reject(stoppedError());
    if (!this.#readers.has(reader)) return Promise.reject(closedError());
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#host().have.has(index)) return Promise.resolve();
    const block = index === reader.window.first ? reader.position : 0;
    if (this.#isReadable(index, block)) return Promise.resolve();
    if (!this.#host().wants(index)) return Promise.reject(unwantedError());
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#idle.delete(index);
    const waiter = { reader, block, resolve, reject };
    const waiters = this.#waiters.get(index) ?? new Set();
    this.#waiters.set(index, waiters.add(waiter));
    const giveUp = () => {
      if (this.#forget(index, waiter)) this.#changed();
      reject(signal?.reason);
    };
    signal?.addEventListener("abort", giveUp, { once: true });
    if (waiters.size === 1 && !this.#told.has(index)) this.#changed();
    return promise.finally(() => signal?.removeEventListener("abort", giveUp));
  }

  #close(reader: PieceReader): void {
    if (!this.#readers.delete(reader)) return;
    for (const [index, waiters] of [...this.#waiters]) {
      for (const waiter of [...waiters]) {
        if (waiter.reader !== reader) continue;
        this.#forget(index, waiter);
        waiter.reject(closedError());
      }
    }
    this.#changed();
  }

  /** Removes a waiter. Returns `true` if no other waiter is left for the piece. */
  #forget(index: number, waiter: Waiter): boolean {
    const waiters = this.#waiters.get(index);
    if (!waiters?.delete(waiter) || waiters.size > 0) return false;
    return this.#waiters.delete(index);
  }
}

/** What {@linkcode PieceReader} needs from {@linkcode Readers}. */
export interface PieceReaderHost {
  /** Called when the window has moved. */
  moved(): void;
  /** Waits for a piece until the signal aborts. */
  wait(index: number, signal: AbortSignal | undefined): Promise<void>;
  /** Called when the reader is closed. */
  close(): void;
}

/** One reader: a window of pieces that it will need soon, and waits for single pieces. */
export class PieceReader {
  readonly #host: PieceReaderHost;
  #window: PieceRange = { first: 0, end: 0 };
  #position = 0;
  /** The position of which the download has been told. */
  #told = 0;

  /** @param host The readers of the torrent, which create this one. */
  constructor(host: PieceReaderHost) {
    this.#host = host;
  }

  /** Pieces that the reader will need, in the order of their indexes. */
  get window(): PieceRange {
    return this.#window;
  }

  /** Number of the block of the window's first piece that the reader reads next. */
  get position(): number {
    return this.#position;
  }

  /**
   * Moves the window.
   *
   * @param window The pieces.
   * @param position See {@linkcode PieceReader.position}; 0 when absent.
   */
  move(window: PieceRange, position = 0): void {
    const { first, end } = this.#window;
    this.#position = position;
    const isNear = position >= this.#told && position < this.#told + STEP;
    if (window.first === first && window.end === end && isNear) return;
    this.#window = window;
    this.#told = position;
    this.#host.moved();
  }

  /**
   * Waits for a piece, or for the block of it at which the reader is if that can be read before.
   *
   * @param signal Aborts the wait.
   * @throws The signal's reason, or an error that says why the piece won't come.
   */
  wait(index: number, signal?: AbortSignal): Promise<void> {
    return this.#host.wait(index, signal);
  }

  /** Empties the window and rejects the reader's waits. May be called again. */
  close(): void {
    this.#window = { first: 0, end: 0 };
    this.#host.close();
  }
}

function closedError(): Error {
  return new Error("The reader was closed");
}

function unwantedError(): ShoalError {
  return new ShoalError("storage", {
    what: "cannot read",
    why: "this part of the file isn't here, and isn't downloaded",
  });
}

function stoppedError(): ShoalError {
  return new ShoalError("storage", { what: "cannot read", why: "the torrent was stopped" });
}

/**
 * Yields the missing pieces of several windows without duplicates: the first of each, then the second of each, and so
 * on.
 */
function* merge(windows: readonly PieceRange[], isMissing: (index: number) => boolean): Generator<number> {
  const given = new Set<number>();
  let rows = windows.map(({ first, end }) => ({ at: first, end }));
  while (rows.length > 0) {
    for (const row of rows) {
      while (row.at < row.end && (given.has(row.at) || !isMissing(row.at))) row.at++;
      if (row.at === row.end) continue;
      given.add(row.at);
      yield row.at++;
    }
    rows = rows.filter(({ at, end }) => at < end);
  }
}

/** Fewest blocks of a piece that one peer is asked for, so that its share is worth a request. */
const LEAST_SHARE = 4;

/**
 * Returns how many free blocks of a piece a peer may be asked for, at least 4, so that every peer that has the piece
 * sends a share in proportion to its rate. A single peer asked for the whole piece would need as long as all peers
 * together need for all their requests. Returns the number of all blocks if no other peer would send any.
 *
 * @param peer The peer that takes more requests.
 * @param peers Every connected peer.
 * @param blocks Number of blocks to share; all of the piece when absent.
 */
export function shareOf(
  peer: Peer,
  piece: PartialPiece,
  peers: Iterable<Peer>,
  blocks: number = piece.blockCount,
): number {
  let total = 0;
  let count = 0;
  for (const other of peers) {
    if (other.closed || other.snubbed || !other.pieces.has(piece.index) || !other.wouldSend(piece.index)) continue;
    total += other.down.rate;
    count++;
  }
  if (count <= 1) return blocks;
  // While no rate is known, all peers count alike.
  const part = total > 0 ? peer.down.rate / total : 1 / count;
  return Math.max(LEAST_SHARE, Math.ceil(blocks * part));
}

/**
 * Returns the peers that would send a piece but have outstanding requests.
 *
 * @param peers Every connected peer.
 */
export function busyWithOthers(index: number, peers: Iterable<Peer>): Peer[] {
  const isBusy = (peer: Peer) => !peer.closed && peer.requests.size > 0;
  return Array.from(peers).filter((peer) => isBusy(peer) && peer.pieces.has(index) && peer.wouldSend(index));
}

/** Blocks after a reader's position that it needs so soon that requests for them stand when it seeks. */
const SOON = 64;

/**
 * Returns `true` if no reader of a piece needs a block soon.
 *
 * @param begin Offset of the block in the piece.
 * @param positions Blocks at which readers are.
 */
export function isElsewhere(begin: number, positions: readonly number[]): boolean {
  const block = begin / BLOCK_SIZE;
  return positions.every((position) => block < position || block >= position + SOON);
}

/**
 * Returns the started piece whose memory an awaited piece should get: the one with the fewest blocks that isn't urgent;
 * `null` if there is none.
 *
 * @param active Pieces that have been started.
 * @param urgent Pieces that must keep their memory.
 */
export function evictionCandidate(active: Iterable<PartialPiece>, urgent: ReadonlySet<number>): PartialPiece | null {
  let least: PartialPiece | null = null;
  for (const piece of active) {
    if (!urgent.has(piece.index) && piece.inMemory && (!least || piece.received < least.received)) least = piece;
  }
  return least;
}
