/**
 * Limits how much is read from peers before the event loop handles other work.
 *
 * @module
 */

/**
 * Bytes that all peers together may send before timers, and with them redraws and new connections, get a turn. Sockets
 * that always have more data would otherwise keep the event loop busy for some 130 reads: tens of milliseconds.
 */
const TURN_BYTES = 2 * 1024 * 1024;
/** With fewer peers that owe us blocks, sockets are soon empty, and yielding would cost more than it brings. */
const MANY = 8;

/** Keeps the peer connections of a session from monopolizing the event loop. */
export class ReadTurns {
  readonly #yieldToEventLoop: () => Promise<void>;
  readonly #collectResults: () => void;
  #senders = 0;
  #watchers = 0;
  #left = TURN_BYTES;
  #turn: Promise<void> | null = null;

  /**
   * @param yieldToEventLoop Yields to the event loop; see `Platform.yieldToEventLoop`.
   * @param collectResults Handles what other threads have done; see `Platform.collectResults`.
   */
  constructor(yieldToEventLoop: () => Promise<void>, collectResults: () => void = () => {}) {
    this.#yieldToEventLoop = yieldToEventLoop;
    this.#collectResults = collectResults;
  }

  /** Called when a connection has outstanding requests. */
  join(): void {
    this.#senders++;
  }

  /** Called when a connection has no outstanding requests any more, or has ended. */
  leave(): void {
    this.#senders--;
  }

  /**
   * Called when a reader of downloaded data opens. With readers, reads always yield, so that readers are served during
   * the download.
   */
  watch(): void {
    this.#watchers++;
  }

  /** Called when a reader closes. */
  unwatch(): void {
    this.#watchers--;
  }

  /**
   * Called after each read.
   *
   * @param bytes Bytes of the read.
   * @returns A promise to wait for before the next read; `null` if there is no need to wait.
   */
  onRead(bytes: number): Promise<void> | null {
    this.#collectResults();
    if (this.#senders < MANY && this.#watchers === 0) return this.#turn;
    this.#left -= bytes;
    if (this.#left > 0) return null;
    this.#turn ??= this.#yieldToEventLoop().then(() => {
      this.#turn = null;
      this.#left = TURN_BYTES;
    });
    return this.#turn;
  }
}
