/**
 * The thin shell round a {@linkcode Peer}: its socket, read and written.
 *
 * @module
 */

import { messageOf } from "../base/errors.ts";
import { MAX_UNSENT } from "../base/limits.ts";
import type { Connection } from "../platform/platform.ts";
import { WireError } from "../wire/messages.ts";
import type { Peer, PeerOutput } from "./peer.ts";

/** What happens to a connection as a whole. */
export interface LinkEvents {
  /** A read was parsed; now is the time to ask for more. */
  batch(peer: Peer): void;
  /** The connection is over; called once. `fault`: because the peer broke the protocol. */
  closed(peer: Peer, reason: string, options: { readonly fault: boolean }): void;
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
  /** When the message began that isn't here whole, or -1. */
  #messageSince = -1;
  #frames = 0;

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
        peer.chatter.read(count);
        this.#noteProgress();
        this.#events.batch(peer);
        this.flush();
        if (peer.writer.length > MAX_UNSENT) throw new WireError("it asks for more than it reads");
      }
    } catch (error) {
      this.#end(messageOf(error), { fault: error instanceof WireError });
    }
  }

  /** Milliseconds that the message which is coming in has taken so far, 0 when there is none. */
  receiving(now: number): number {
    return this.#messageSince < 0 ? 0 : now - this.#messageSince;
  }

  /** Milliseconds that the write under way has not made progress, 0 when there is none. */
  stalled(now: number): number {
    return this.#writing ? now - this.#writingSince : 0;
  }

  flush(): void {
    if (!this.#writing && !this.#peer.closed) this.#write().catch((error) => this.close(messageOf(error)));
  }

  close(reason: string): void {
    this.#end(reason, { fault: false });
  }

  #end(reason: string, options: { readonly fault: boolean }): void {
    const peer = this.#peer;
    if (peer.closed) return;
    peer.closed = true;
    this.#connection.close();
    this.#events.closed(peer, reason, options);
  }

  #noteProgress(): void {
    const { reader, lastReceived } = this.#peer;
    if (!reader.partial) this.#messageSince = -1;
    else if (this.#messageSince < 0 || reader.frames !== this.#frames) this.#messageSince = lastReceived;
    this.#frames = reader.frames;
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
        this.#peer.chatter.traded(payload);
        if (payload > 0) this.#peer.lastPayload = this.#peer.lastSent;
      }
    } finally {
      this.#writing = false;
    }
  }
}
