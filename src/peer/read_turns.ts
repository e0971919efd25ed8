/**
 * How much is read before others have their turn.
 *
 * @module
 */

/**
 * Bytes that all peers together may bring before timers have their turn, and so redraws and new connections. Sockets that
 * always have more would keep the event loop for some 130 reads on end: tens of milliseconds.
 */
const TURN_BYTES = 2 * 1024 * 1024;
/** With fewer peers that are asked for something their sockets are soon empty, and giving way would cost more than it brings. */
const MANY = 8;

/** Keeps the connections of a session from taking the event loop for themselves. */
export class ReadTurns {
  readonly #giveWay: () => Promise<void>;
  #senders = 0;
  #watchers = 0;
  #left = TURN_BYTES;
  #turn: Promise<void> | null = null;

  /**
   * @param giveWay Settles when everything else that waits has had its turn; see `Platform.giveWay`.
   */
  constructor(giveWay: () => Promise<void>) {
    this.#giveWay = giveWay;
  }

  /** A connection more has been asked for something. */
  join(): void {
    this.#senders++;
  }

  /** A connection that had been asked owes nothing any more, or is over. */
  leave(): void {
    this.#senders--;
  }

  /** Somebody reads what has come, and is to be served while more comes: there are always others that wait for a turn. */
  watch(): void {
    this.#watchers++;
  }

  /** One of those has gone. */
  unwatch(): void {
    this.#watchers--;
  }

  /**
   * A read was taken in.
   *
   * @param bytes What it brought.
   * @returns When to go on reading; `null` for at once.
   */
  took(bytes: number): Promise<void> | null {
    if (this.#senders < MANY && this.#watchers === 0) return this.#turn;
    this.#left -= bytes;
    if (this.#left > 0) return null;
    this.#turn ??= this.#giveWay().then(() => {
      this.#turn = null;
      this.#left = TURN_BYTES;
    });
    return this.#turn;
  }
}
