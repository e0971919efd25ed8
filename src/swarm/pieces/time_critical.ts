/**
 * Who reads a torrent while it is being downloaded, and what that makes urgent. Decides only.
 *
 * @module
 */

import { MAX_URGENT_PIECES } from "../../base/defences.ts";
import { ShoalError } from "../../base/errors.ts";
import type { Peer } from "../../peer/mod.ts";
import type { PartialPiece } from "./partial_piece.ts";

/** Pieces in a row. */
export interface PieceRange {
  /** The first. */
  readonly first: number;
  /** The one after the last. */
  readonly end: number;
}

/** What readers make urgent. */
export interface Urgency {
  /** Missing pieces that come before all others, the most urgent first. */
  readonly pieces: readonly number[];
  /** Those of them that somebody waits for at this moment. */
  readonly awaited: ReadonlySet<number>;
}

/** Nothing is. */
export const NO_URGENCY: Urgency = { pieces: [], awaited: new Set() };

/** What readers need of a download. */
export interface ReadersHost {
  /** Pieces that are verified and written. */
  readonly have: { has(index: number): boolean };
  /** Whether a piece that isn't there is to come. */
  wants(index: number): boolean;
  /** Something else is urgent from now on. */
  prioritise(urgency: Urgency): void;
}

/** Somebody who waits for a piece. */
interface Waiter {
  readonly reader: PieceReader;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

/** All readers of a torrent. */
export class Readers {
  readonly #host: () => ReadersHost;
  readonly #readers = new Set<PieceReader>();
  /** By piece, in the order in which the pieces were waited for. */
  readonly #waiters = new Map<number, Set<Waiter>>();
  #over = false;

  /** @param host Gives the download, which is another one when it was found out what is there. */
  constructor(host: () => ReadersHost) {
    this.#host = host;
  }

  /** What is urgent now. */
  get urgency(): Urgency {
    const awaited = new Set(this.#waiters.keys());
    if (this.#readers.size === 0) return NO_URGENCY;
    const windows = Array.from(this.#readers, (reader) => reader.window);
    const pieces = new Set(awaited);
    for (const index of merge(windows, (index) => !this.#host().have.has(index))) {
      if (pieces.size >= MAX_URGENT_PIECES) break;
      pieces.add(index);
    }
    return { pieces: [...pieces], awaited };
  }

  /** @returns Another reader, whose window is empty at first. Close it. */
  open(): PieceReader {
    const reader: PieceReader = new PieceReader({
      moved: () => this.#changed(),
      wait: (index, signal) => this.#wait(reader, index, signal),
      close: () => this.#close(reader),
    });
    this.#readers.add(reader);
    return reader;
  }

  /** A piece is verified and written. */
  arrived(index: number): void {
    const waiters = this.#waiters.get(index);
    if (!waiters) return;
    this.#waiters.delete(index);
    for (const { resolve } of waiters) resolve();
    this.#changed();
  }

  /** It was found out what is there already, or other pieces are to come: those who wait for what isn't are told so. */
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

  /** Nothing more will come: the torrent was stopped. Those who wait are told so. */
  end(): void {
    this.#over = true;
    for (const waiters of this.#waiters.values()) for (const { reject } of waiters) reject(stoppedError());
    this.#waiters.clear();
    this.#readers.clear();
  }

  #changed(): void {
    this.#host().prioritise(this.urgency);
  }

  #wait(reader: PieceReader, index: number, signal: AbortSignal | undefined): Promise<void> {
    if (this.#over) return Promise.reject(stoppedError());
    if (!this.#readers.has(reader)) return Promise.reject(closedError());
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#host().have.has(index)) return Promise.resolve();
    if (!this.#host().wants(index)) return Promise.reject(unwantedError());
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter = { reader, resolve, reject };
    const waiters = this.#waiters.get(index) ?? new Set();
    this.#waiters.set(index, waiters.add(waiter));
    const giveUp = () => {
      if (this.#forget(index, waiter)) this.#changed();
      reject(signal?.reason);
    };
    signal?.addEventListener("abort", giveUp, { once: true });
    if (waiters.size === 1) this.#changed();
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

  /** @returns Whether nobody waits for the piece any more. */
  #forget(index: number, waiter: Waiter): boolean {
    const waiters = this.#waiters.get(index);
    if (!waiters?.delete(waiter) || waiters.size > 0) return false;
    return this.#waiters.delete(index);
  }
}

/** One who reads: has a window of pieces that are to be here soon, and waits for single ones. */
export class PieceReader {
  readonly #host: {
    moved(): void;
    wait(index: number, signal: AbortSignal | undefined): Promise<void>;
    close(): void;
  };
  #window: PieceRange = { first: 0, end: 0 };

  /** @param host {@linkcode Readers}, which makes it. */
  constructor(
    host: { moved(): void; wait(index: number, signal: AbortSignal | undefined): Promise<void>; close(): void },
  ) {
    this.#host = host;
  }

  /** Pieces that it will want, the first first. */
  get window(): PieceRange {
    return this.#window;
  }

  /** Wants other pieces from now on. */
  move(window: PieceRange): void {
    const { first, end } = this.#window;
    if (window.first === first && window.end === end) return;
    this.#window = window;
    this.#host.moved();
  }

  /**
   * Waits for a piece.
   *
   * @param index Which.
   * @param signal Gives up.
   * @throws The signal's reason, or why the piece won't come.
   */
  wait(index: number, signal?: AbortSignal): Promise<void> {
    return this.#host.wait(index, signal);
  }

  /** It wants nothing any more; whoever still waits is told so. Harmless when called again. */
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

/** The missing pieces of several windows: the first of each, then the second of each, and so on; none comes twice. */
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
 * How many free blocks of a piece one peer may be asked for, so that all who have the piece send a part of it, as large as they
 * are fast. Asked for all of it, the first one that has time would take as long as everybody together for everything.
 *
 * @param peer The one that has time.
 * @param piece The piece.
 * @param peers Every connected peer.
 * @returns Blocks, 4 or more; all when nobody else would send any.
 */
export function shareOf(peer: Peer, piece: PartialPiece, peers: Iterable<Peer>): number {
  let total = 0;
  let count = 0;
  for (const other of peers) {
    if (other.closed || other.snubbed || !other.pieces.has(piece.index) || !other.wouldSend(piece.index)) continue;
    total += other.down.rate;
    count++;
  }
  if (count <= 1) return piece.blockCount;
  // While nobody's speed is known all are alike.
  const part = total > 0 ? peer.down.rate / total : 1 / count;
  return Math.max(LEAST_SHARE, Math.ceil(piece.blockCount * part));
}

/**
 * Those who would send a piece but are busy with something.
 *
 * @param index The piece.
 * @param peers Every connected peer.
 * @returns Them.
 */
export function busyWithOthers(index: number, peers: Iterable<Peer>): Peer[] {
  const isBusy = (peer: Peer) => !peer.closed && peer.requests.size > 0;
  return Array.from(peers).filter((peer) => isBusy(peer) && peer.pieces.has(index) && peer.wouldSend(index));
}

/**
 * The piece whose memory goes to one that somebody waits for.
 *
 * @param active Pieces that have been started.
 * @param urgent Those that nobody may give up.
 * @returns The one of the others of which the least is here; `null` when there is none.
 */
export function leastNeeded(active: Iterable<PartialPiece>, urgent: ReadonlySet<number>): PartialPiece | null {
  let least: PartialPiece | null = null;
  for (const piece of active) {
    if (!urgent.has(piece.index) && piece.inMemory && (!least || piece.received < least.received)) least = piece;
  }
  return least;
}
