/**
 * The body of a response with bytes of a file. Bytes are sent as they are verified and as the client takes them.
 *
 * @module
 */

import type { TorrentReader } from "../session/session_events.ts";

/**
 * Bytes per read. Large, since each read takes several turns of the event loop, which are rare while a fast download
 * keeps the processor busy.
 */
const READ = 512 * 1024;

/** Options for {@linkcode FileBody}. */
export interface FileBodyOptions {
  /** Offset of the first byte. */
  readonly begin: number;
  /** Offset after the last byte. */
  readonly end: number;
  /** Called once, when the body has ended. */
  readonly closed: () => void;
  /** Returns the time in milliseconds. */
  readonly now: () => number;
}

/** Bytes of a file that are sent to a client. */
export class FileBody {
  /** Stream to send. Ends early if bytes can't be read, which the client notices by the content length. */
  readonly stream: ReadableStream<Uint8Array<ArrayBuffer>>;
  readonly #reader: TorrentReader;
  readonly #end: number;
  readonly #closed: () => void;
  readonly #now: () => number;
  /** Time at which bytes became ready for the client; `null` while bytes are read. */
  #readySince: number | null = null;
  readonly #abort = new AbortController();
  #at: number;

  /**
   * @param reader Reader of the file. Closed at the end.
   * @param options See {@linkcode FileBodyOptions}.
   */
  constructor(reader: TorrentReader, options: FileBodyOptions) {
    this.#reader = reader;
    this.#at = options.begin;
    this.#end = options.end;
    this.#closed = options.closed;
    this.#now = options.now;
    // One read ahead, so that neither the client nor the disk waits for the other. More would only use memory.
    this.stream = new ReadableStream({
      pull: (controller) => this.#pull(controller),
      cancel: () => this.close(),
    }, { highWaterMark: 1 });
  }

  /** Milliseconds since bytes became ready that the client has not taken; 0 while bytes are read. */
  get stalled(): number {
    return this.#readySince === null ? 0 : this.#now() - this.#readySince;
  }

  /** Ends the body, because the client is gone or the server needs the slot. Does nothing if the body has ended. */
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
      // The session reports errors of the torrent. The status is sent already, so the client only sees missing bytes.
    }
    endQuietly(controller);
    this.close();
  }
}

/** Closes a stream. close() throws if the client has cancelled the stream. */
function endQuietly(controller: ReadableStreamDefaultController): void {
  try {
    controller.close();
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
}
