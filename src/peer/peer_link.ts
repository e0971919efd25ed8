/**
 * Connects a {@linkcode Peer} to its socket: reads, writes, and waits for rate limits.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { networkFault } from "../platform/network_words.ts";
import { MAX_UNSENT } from "../base/defences.ts";
import type { Encryption, PeerStream } from "../transport/transport.ts";
import { BLOCK_SIZE, WireError } from "../wire/messages.ts";
import type { Peer } from "./peer.ts";
import type { PeerOutput } from "./peer_host.ts";
import type { ReadTurns } from "./read_turns.ts";
import type { Allowance, BandwidthParties } from "./bandwidth_limiter.ts";

/**
 * Blocks are put into the send buffer in batches, at most enough for one large write, at least two blocks. Blocks in
 * the buffer can't be taken back by a cancel or a choke, and haves and chokes wait behind them, so that slow peers get
 * small batches: the batch is halved after a slow write and doubled after a quick one. (Simulated: with large batches
 * for all peers, an eighth of what slow uplinks carried came too late to be of use.)
 */
const LARGEST_BATCH = 256 * 1024;
const SMALLEST_BATCH = 32 * 1024;
const QUICK_MS = 50;
const SLOW_MS = 250;
/**
 * With a limit, a read is as large as the credit. Without outstanding requests no credit is needed, and a read has at
 * least this many bytes.
 */
const LEAST_READ = 256;

/** Why a connection has ended. */
export interface LinkClosedOptions {
  /** Whether the peer violated the protocol. */
  readonly fault: boolean;
}

/** Events of a {@linkcode PeerLink}. */
export interface LinkEvents {
  /** Called after a read was parsed, to send more requests. */
  batch(peer: Peer): void;
  /** Called once, when the connection has ended. */
  closed(peer: Peer, reason: string, options: LinkClosedOptions): void;
}

/** Options for {@linkcode PeerLink}. */
export interface PeerLinkOptions {
  /** The connection, after the handshake. */
  readonly connection: PeerStream;
  /** Returns the time in milliseconds on a monotonic clock. */
  readonly now: () => number;
  /** Tells when to yield to the event loop; shared by all connections of a session. */
  readonly reads: ReadTurns;
  /** Rate limits of the torrent (default: none). */
  readonly limits?: BandwidthParties | undefined;
  /** Receives the events of the connection. */
  readonly events: LinkEvents;
}

/**
 * Runs a connection: one read at a time into the peer's receive buffer, one write at a time of everything queued.
 * Nothing is read while a read is being parsed, so that TCP slows down a peer that sends faster than we can process.
 */
export class PeerLink implements PeerOutput {
  readonly #peer: Peer;
  readonly #connection: PeerStream;
  readonly #events: LinkEvents;
  readonly #now: () => number;
  readonly #reads: ReadTurns;
  readonly #down: Allowance | null;
  readonly #up: Allowance | null;
  /** Whether blocks wait for the upload limit. */
  #upHeld = false;
  /** Whether the connection is counted in {@linkcode ReadTurns} as one with outstanding requests. */
  #sharing = false;
  /** Whether {@linkcode PeerLink.run} may still use the receive buffer. */
  #reading = false;
  #writing = false;
  #writingSince = 0;
  #batch = SMALLEST_BATCH;
  /** Time at which the incomplete message in the receive buffer began, or -1. */
  #messageSince = -1;
  #frames = 0;

  /**
   * @param peer State of the connection.
   * @param options See {@linkcode PeerLinkOptions}.
   */
  constructor(peer: Peer, options: PeerLinkOptions) {
    this.#peer = peer;
    this.#connection = options.connection;
    this.#now = options.now;
    this.#reads = options.reads;
    this.#events = options.events;
    this.#down = options.limits?.down.join() ?? null;
    this.#up = options.limits?.up.join() ?? null;
    peer.output = this;
  }

  get encryption(): Encryption {
    return this.#connection.encryption ?? "none";
  }

  /** Reads until the connection ends. Never rejects. */
  async run(): Promise<void> {
    const peer = this.#peer;
    this.#reading = true;
    this.flush();
    try {
      while (!peer.closed) {
        this.#share(peer.requests.size > 0);
        const limited = this.#down !== null && this.#down.limited;
        if (limited) await this.#mayRead(this.#down);
        if (peer.closed) return;
        const count = await this.#connection.read(limited ? this.#limitedSpace(this.#down) : peer.reader.space);
        if (count === null) return this.close("it closed the connection");
        if (peer.closed) return;
        peer.lastReceived = this.#now();
        const owed = peer.requests.size > 0;
        const before = peer.down.total;
        peer.reader.received(count);
        if (peer.closed) return;
        if (this.#down !== null && (limited || peer.allowed !== Infinity)) {
          this.#account(this.#down, owed || peer.down.total > before ? count : 0);
        }
        peer.flood.read(count);
        this.#noteProgress();
        this.#events.batch(peer);
        this.flush();
        if (peer.writer.length > MAX_UNSENT) throw new WireError("it asks for more than it reads");
        const turn = this.#reads.onRead(count);
        if (turn !== null) await turn;
      }
    } catch (error) {
      // A FloodError ends the connection too, but is no protocol violation.
      this.#end(networkFault(error), { fault: error instanceof WireError });
    } finally {
      this.#reading = false;
      this.#release();
    }
  }

  /** Milliseconds since the last read; 0 while reading is paused by the limit. */
  silent(now: number): number {
    return this.#peer.readPaused ? 0 : now - this.#peer.lastReceived;
  }

  /**
   * Milliseconds that the incomplete message has taken so far; 0 if there is none or reading is paused by the limit.
   */
  receiving(now: number): number {
    return this.#messageSince < 0 || this.#peer.readPaused ? 0 : now - this.#messageSince;
  }

  /** Milliseconds since the current write last made progress; 0 if nothing is being written. */
  stalled(now: number): number {
    return this.#writing ? now - this.#writingSince : 0;
  }

  flush(): void {
    if (!this.#writing && !this.#peer.closed) this.#write().catch((error) => this.close(networkFault(error)));
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
    this.#down?.leave();
    this.#up?.leave();
    this.#events.closed(peer, reason, options);
    this.#release();
  }

  /** Frees the buffers of a closed connection as soon as no read or write uses them. */
  #release(): void {
    const { closed, reader, writer } = this.#peer;
    if (!closed || this.#reading || this.#writing) return;
    reader.close();
    writer.close();
  }

  #share(wanted: boolean): void {
    if (wanted === this.#sharing) return;
    this.#sharing = wanted;
    if (wanted) this.#reads.join();
    else this.#reads.leave();
  }

  /**
   * Waits until the download limit allows a read. Shifts the peer's timestamps by that time, so that the wait isn't
   * counted against the peer.
   */
  async #mayRead(down: Allowance): Promise<void> {
    const peer = this.#peer;
    const began = this.#now();
    while (!peer.closed && peer.requests.size > 0) {
      const wait = down.wait();
      if (wait === null) break;
      peer.readPaused = true;
      await wait;
    }
    if (!peer.readPaused) return;
    peer.readPaused = false;
    const passed = this.#now() - began;
    peer.lastReceived += passed;
    peer.lastBlock += passed;
    peer.lastPayload += passed;
    peer.requests.postpone(passed);
    if (this.#messageSince >= 0) this.#messageSince += passed;
  }

  #limitedSpace(down: Allowance): Bytes {
    const peer = this.#peer;
    const { reader } = peer;
    return peer.amInterested
      ? reader.space.subarray(0, Math.max(peer.requests.size > 0 ? 1 : LEAST_READ, Math.floor(down.credit)))
      : reader.space;
  }

  #account(down: Allowance, bytes: number): void {
    const peer = this.#peer;
    peer.allowed = down.rate;
    if (!down.limited) return;
    down.consume(bytes);
    peer.down.begun(peer.reader.begun);
  }

  /** Puts blocks and hashes into the send buffer, as many as the upload limit allows, and continues when the limit allows more. */
  #fill(): void {
    const peer = this.#peer;
    const up = this.#up;
    if (up === null || !up.limited) {
      peer.fillHashes();
      return peer.fillUploads(this.#batch);
    }
    const { uploads, hashUploads } = peer;
    if (uploads.size + hashUploads.size === 0 || this.#upHeld) return;
    // Hashes cost what they weigh, when they are sent. For many of them, credit for a part will do.
    const least = uploads.size > 0 ? uploads.next : Math.min(BLOCK_SIZE, hashUploads.next);
    const wait = up.wait(least);
    if (wait === null) {
      if (uploads.size > 0) peer.fillUploads(this.#batch, up.credit);
      return peer.fillHashes();
    }
    const began = this.#now();
    this.#upHeld = true;
    wait.then(() => {
      this.#upHeld = false;
      peer.lastPayload += this.#now() - began;
      this.flush();
    });
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
        this.#fill();
        if (writer.length === 0 || this.#peer.closed) return;
        const { payload, hashes } = writer;
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
        this.#up?.consume(payload + hashes);
        this.#peer.up.add(payload);
        this.#peer.flood.uploaded(payload);
        if (payload > 0) this.#peer.lastPayload = now;
      }
    } finally {
      this.#writing = false;
      this.#release();
    }
  }
}
