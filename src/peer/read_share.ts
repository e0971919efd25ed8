/**
 * How much one read may bring when many peers send at the same time.
 *
 * @module
 */

import { MAX_RECEIVE_BUFFER } from "../base/limits.ts";

/**
 * Bytes that all peers together may bring in one turn of the event loop, in which every socket that has something is read
 * once: taking them in keeps timers, and so redraws and new connections, waiting for some milliseconds.
 */
const TURN_BYTES = 4 * 1024 * 1024;
/** However many send: each read has costs of its own. */
const LEAST_BYTES = 64 * 1024;

/** Shares out what is read in a turn among the connections of a session that are expected to send. */
export class ReadShare {
  #senders = 0;

  /** Bytes for one read. */
  get bytes(): number {
    return Math.min(MAX_RECEIVE_BUFFER, Math.max(LEAST_BYTES, Math.floor(TURN_BYTES / this.#senders)));
  }

  /** A connection more has been asked for something. */
  join(): void {
    this.#senders++;
  }

  /** A connection that had been asked owes nothing any more, or is over. */
  leave(): void {
    this.#senders--;
  }
}
