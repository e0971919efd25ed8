/**
 * The body of an answer: bytes of a file, as they are verified and as the client takes them.
 *
 * @module
 */

import type { TorrentReader } from "../session/session_events.ts";

/**
 * Bytes that are read at a time. Each takes some turns of the event loop, which come seldom while a fast download keeps the processor
 * busy.
 */
const READ = 512 * 1024;

/** Bytes of a file on their way to a client. */
export class FileBody {
  /** To be sent. Ends early when the bytes can't be had, which the client sees by the length. */
  readonly stream: ReadableStream<Uint8Array<ArrayBuffer>>;
  readonly #reader: TorrentReader;
  readonly #end: number;
  readonly #closed: () => void;
  readonly #now: () => number;
  /** When bytes were last ready for the client; `null` while they are fetched for it. */
  #readySince: number | null = null;
  readonly #abort = new AbortController();
  #at: number;

  /**
   * @param reader Of the file; closed at the end.
   * @param options `begin`, `end`: which bytes. `closed`: called at the end, once. `now`: milliseconds.
   */
  constructor(
    reader: TorrentReader,
    options: {
      readonly begin: number;
      readonly end: number;
      readonly closed: () => void;
      readonly now: () => number;
    },
  ) {
    this.#reader = reader;
    this.#at = options.begin;
    this.#end = options.end;
    this.#closed = options.closed;
    this.#now = options.now;
    // One read ahead of the client, so that it and the disk needn't wait for each other; more would be memory for nothing.
    this.stream = new ReadableStream({
      pull: (controller) => this.#pull(controller),
      cancel: () => this.close(),
    }, { highWaterMark: 1 });
  }

  /** For how many milliseconds the client has taken nothing of what is ready for it. */
  get stalled(): number {
    return this.#readySince === null ? 0 : this.#now() - this.#readySince;
  }

  /** Ends it: the client has gone, or we have to. Harmless when it has ended. */
  close(): void {
    if (this.#abort.signal.aborted) return;
    this.#abort.abort();
    this.#reader.close();
    this.#closed();
  }

  async #pull(controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>): Promise<void> {
    const { signal } = this.#abort;
    if (signal.aborted) return endQuietly(controller);
    this.#readySince = null;
    try {
      const length = Math.min(READ, this.#end - this.#at);
      const bytes = length > 0 ? await this.#reader.read(this.#at, { length, signal }) : null;
      if (bytes !== null && bytes.length > 0) {
        this.#at += bytes.length;
        controller.enqueue(bytes);
        this.#readySince = this.#now();
        if (this.#at < this.#end) return;
      }
    } catch {
      // Whoever owns the torrent is told what is wrong with it. The client sees that bytes are missing: the status is sent already.
    }
    endQuietly(controller);
    this.close();
  }
}

/** A stream that was cancelled can't be closed, and one that we gave up has to be. */
function endQuietly(controller: ReadableStreamDefaultController): void {
  try {
    controller.close();
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
}
