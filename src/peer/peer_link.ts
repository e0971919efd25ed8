/**
 * The thin shell round a {@linkcode Peer}: its socket, read and written.
 *
 * @module
 */

import { messageOf } from "../base/errors.ts";
import type { Connection } from "../platform/platform.ts";
import type { Peer, PeerOutput } from "./peer.ts";

/**
 * Bytes that may wait while a write is under way. Blocks keep far below it; only answers to what a peer says itself can
 * pile up, when it doesn't read them.
 */
const MAX_UNSENT = 2 * 1024 * 1024;

/** What happens to a connection as a whole. */
export interface LinkEvents {
  /** A read was parsed; now is the time to ask for more. */
  batch(peer: Peer): void;
  /** The connection is over; called once. */
  closed(peer: Peer, reason: string): void;
}

/**
 * Runs a connection: one read at a time into the peer's receive buffer, one write at a time of all that waits. Nothing
 * is read while the last read is being parsed, so a peer that sends faster than we can take it is slowed down by TCP.
 */
export class PeerLink implements PeerOutput {
  readonly #peer: Peer;
  readonly #connection: Connection;
  readonly #events: LinkEvents;
  readonly #now: () => number;
  #writing = false;
  #writingSince = 0;

  /**
   * @param peer The connection's state.
   * @param options `connection`: its socket, after the handshake. `now`: the clock. `events`: who wants to know.
   */
  constructor(
    peer: Peer,
    options: { readonly connection: Connection; readonly now: () => number; readonly events: LinkEvents },
  ) {
    this.#peer = peer;
    this.#connection = options.connection;
    this.#now = options.now;
    this.#events = options.events;
    peer.output = this;
  }

  /** Reads until the connection is over. Never rejects. */
  async run(): Promise<void> {
    const peer = this.#peer;
    this.flush();
    try {
      while (!peer.closed) {
        const count = await this.#connection.read(peer.reader.space);
        if (count === null) return this.close("it closed the connection");
        if (peer.closed) return;
        peer.lastReceived = this.#now();
        peer.reader.received(count);
        if (peer.closed) return;
        this.#events.batch(peer);
        this.flush();
        if (peer.writer.length > MAX_UNSENT) return this.close("it asks for more than it reads");
      }
    } catch (error) {
      this.close(messageOf(error));
    }
  }

  /** Milliseconds that the write under way has not made progress, 0 when there is none. */
  stalled(now: number): number {
    return this.#writing ? now - this.#writingSince : 0;
  }

  flush(): void {
    if (!this.#writing && !this.#peer.closed) this.#write().catch((error) => this.close(messageOf(error)));
  }

  close(reason: string): void {
    const peer = this.#peer;
    if (peer.closed) return;
    peer.closed = true;
    this.#connection.close();
    this.#events.closed(peer, reason);
  }

  async #write(): Promise<void> {
    const { writer } = this.#peer;
    this.#writing = true;
    try {
      for (;;) {
        this.#peer.fillUploads();
        if (writer.length === 0 || this.#peer.closed) return;
        const payload = writer.payload;
        const bytes = writer.take();
        for (let at = 0; at < bytes.length;) {
          this.#writingSince = this.#now();
          at += await this.#connection.write(at === 0 ? bytes : bytes.subarray(at));
        }
        this.#peer.lastSent = this.#now();
        this.#peer.up.add(payload);
        if (payload > 0) this.#peer.lastPayload = this.#peer.lastSent;
      }
    } finally {
      this.#writing = false;
    }
  }
}
