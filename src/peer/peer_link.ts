/**
 * The thin shell round a {@linkcode Peer}: its socket, read and written.
 *
 * @module
 */

import { messageOf } from "../base/errors.ts";
import { MAX_UNSENT } from "../base/limits.ts";
import type { Connection } from "../platform/platform.ts";
import { WireError } from "../wire/messages.ts";
import type { Peer } from "./peer.ts";
import type { PeerOutput } from "./peer_host.ts";
import type { ReadShare } from "./read_share.ts";

/**
 * Blocks that are put into the send buffer before it is written: at most enough for one large write, at least two. What is
 * in the buffer can't be taken back by a cancel or a choke, and haves and chokes wait behind it, so a slow peer gets small
 * batches: halved when one took longer than it should, doubled when it went quickly. (Simulated: with large batches for all
 * an eighth of what slow uplinks carried came too late to be of use.)
 */
const LARGEST_BATCH = 256 * 1024;
const SMALLEST_BATCH = 32 * 1024;
const QUICK_MS = 50;
const SLOW_MS = 250;

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
  readonly #reads: ReadShare;
  /** Whether it has a share of what is read. */
  #sharing = false;
  #writing = false;
  #writingSince = 0;
  #batch = SMALLEST_BATCH;
  /** When the message began that isn't here whole, or -1. */
  #messageSince = -1;
  #frames = 0;

  /**
   * @param peer The connection's state.
   * @param options `connection`: its socket, after the handshake. `now`: the clock. `reads`: when to
   * give way. `events`: who wants to know.
   */
  constructor(
    peer: Peer,
    options: {
      readonly connection: Connection;
      readonly now: () => number;
      readonly reads: ReadShare;
      readonly events: LinkEvents;
    },
  ) {
    this.#peer = peer;
    this.#connection = options.connection;
    this.#now = options.now;
    this.#reads = options.reads;
    this.#events = options.events;
    peer.output = this;
  }

  /** Reads until the connection is over. Never rejects. */
  async run(): Promise<void> {
    const peer = this.#peer;
    this.flush();
    try {
      while (!peer.closed) {
        this.#share(peer.requests.size > 0);
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
        const turn = this.#reads.took(count);
        if (turn !== null) await turn;
      }
    } catch (error) {
      // Mere talk (a ChatterError) has to end, too, but is no breach of the protocol.
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
    this.#share(false);
    this.#connection.close();
    this.#events.closed(peer, reason, options);
  }

  #share(wanted: boolean): void {
    if (wanted === this.#sharing) return;
    this.#sharing = wanted;
    if (wanted) this.#reads.join();
    else this.#reads.leave();
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
        this.#peer.fillUploads(this.#batch);
        if (writer.length === 0 || this.#peer.closed) return;
        const payload = writer.payload;
        const bytes = writer.take();
        const began = this.#now();
        for (let at = 0; at < bytes.length;) {
          this.#writingSince = this.#now();
          at += await this.#connection.write(at === 0 ? bytes : bytes.subarray(at));
        }
        const now = this.#now();
        this.#peer.lastSent = now;
        if (bytes.length >= this.#batch && now - began < QUICK_MS) {
          this.#batch = Math.min(LARGEST_BATCH, 2 * this.#batch);
        } else if (now - began > SLOW_MS) this.#batch = Math.max(SMALLEST_BATCH, this.#batch / 2);
        this.#peer.up.add(payload);
        this.#peer.chatter.gave(payload);
        if (payload > 0) this.#peer.lastPayload = now;
      }
    } finally {
      this.#writing = false;
    }
  }
}
