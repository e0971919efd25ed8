/**
 * How far ahead of a reader its data should be. Decides only.
 *
 * @module
 */

/** Seconds of reading, at the pace of the last seconds, that should be here before they are read ... */
const AHEAD_SECONDS = 20;
/** ... but no fewer bytes than this, that being the pace of a film, and nothing known yet ... */
const LEAST_AHEAD = 4 * 1024 * 1024;
/** ... and no more than this: who reads as fast as the data comes would have everything else wait. */
const MOST_AHEAD = 32 * 1024 * 1024;
/** Milliseconds over which the pace is measured; what lies further back counts half, and half again. */
const MEMORY_MS = 5_000;

/** Measures a reader's pace. */
export class ReadAhead {
  #bytes = 0;
  #since: number;

  /** @param now Milliseconds. */
  constructor(now: number) {
    this.#since = now;
  }

  /**
   * Takes note of what was read.
   *
   * @param bytes How many.
   * @param now Milliseconds.
   */
  read(bytes: number, now: number): void {
    this.#bytes += bytes;
    while (now - this.#since > 2 * MEMORY_MS) {
      const elapsed = now - this.#since;
      this.#bytes /= 2;
      this.#since = now - elapsed / 2;
    }
  }

  /**
   * @param now Milliseconds.
   * @returns Bytes that should be here beyond those that are read next.
   */
  ahead(now: number): number {
    // What came in less than a second says little about the pace.
    const rate = this.#bytes / Math.max(1, (now - this.#since) / 1000);
    return Math.min(MOST_AHEAD, Math.max(LEAST_AHEAD, Math.ceil(AHEAD_SECONDS * rate)));
  }
}

/**
 * The pieces that a reader wants.
 *
 * @param layout `pieceLength`: bytes of a piece.
 * @param bytes `begin`: the first that is read next. `end`: the one after the last that is wanted soon; both counted over the
 * torrent.
 * @returns From the one with the first byte to the one after that with the last; none when there are no bytes.
 */
export function piecesOf(
  { pieceLength }: { readonly pieceLength: number },
  { begin, end }: { readonly begin: number; readonly end: number },
): { readonly first: number; readonly end: number } {
  const first = Math.floor(begin / pieceLength);
  return { first, end: Math.max(first, Math.ceil(end / pieceLength)) };
}
