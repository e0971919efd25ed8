/**
 * Streams between hosts that behave like TCP: in order, with a receive window, closed by either end, or broken.
 *
 * @module
 */

import type { PeerAddress } from "../../src/base/address.ts";
import type { Bytes } from "../../src/base/bytes.ts";
import type { Connection } from "../../src/platform/platform.ts";
import type { VirtualClock } from "../support/virtual_clock.ts";
import type { Line, Sender } from "./line.ts";
import type { Nic } from "./network.ts";

/** Size in bytes of the kernel's send buffer. */
const SEND_BUFFER = 32 * 1024;

/** The errors are shared objects, since thousands are thrown and a stack trace would not help. */
const CLOSED_HERE = new Error("the connection was closed here");
const BROKEN_PIPE = new Error("broken pipe");
const RESET = new Error("connection reset by peer");

interface End {
  readonly nic: Nic;
  readonly address: PeerAddress;
}

interface Reader {
  readonly into: Bytes;
  readonly resolve: (count: number | null) => void;
  reject(error: Error): void;
}

/** One direction of a connection. */
class Half implements Sender {
  queued = false;
  readonly destination: Line;
  readonly #source: Line;
  readonly #window: number;
  /** Bytes accepted from the program and not sent. */
  readonly #unsent: Bytes[] = [];
  #unsentBytes = 0;
  /** Bytes in flight, one entry per {@linkcode Half.depart}. `null` is the end of the stream. */
  readonly #onTheWay: (Bytes | null)[][] = [];
  /** Bytes arrived and not read. `null` is the end of the stream. */
  readonly #arrived: (Bytes | null)[] = [];
  /** Number of the next writes whose bytes were composed while an earlier write was waiting. */
  #late = 0;
  /** Called with the bytes that the sending program wrote. `isLate` is `true` if they were composed earlier. */
  said: ((bytes: Bytes, isLate: boolean) => void) | null = null;
  /** Called with the bytes that the receiving program read. */
  heard: ((bytes: Bytes) => void) | null = null;
  /** Bytes in flight or arrived, which are limited by the window. */
  #unread = 0;
  #readAt = 0;
  #ending = false;
  #silent = false;
  #brokenNear: Error | null = null;
  #brokenFar: Error | null = null;
  #reader: Reader | null = null;
  #writer: { readonly bytes: Bytes; readonly resolve: (count: number) => void; reject(error: Error): void } | null =
    null;

  constructor(source: Line, destination: Line, window: number) {
    this.#source = source;
    this.destination = destination;
    this.#window = window;
  }

  // Called by the sending program.

  write(bytes: Bytes): Promise<number> {
    return new Promise((resolve, reject) => {
      if (this.#writer) throw new Error("one write at a time");
      this.#writer = { bytes, resolve, reject };
      this.#take();
      if (this.#writer !== null) this.#late = 2;
    });
  }

  /** Ends the stream after the bytes that were written. */
  end(): void {
    if (this.#ending) return;
    this.#ending = true;
    this.breakNear(CLOSED_HERE);
    this.#source.offer(this);
  }

  breakNear(error: Error): void {
    this.#brokenNear ??= error;
    this.#take();
  }

  #take(): void {
    const writer = this.#writer;
    if (!writer) return;
    const room = SEND_BUFFER - this.#unsentBytes;
    const broken = this.#brokenNear;
    if (!broken && room <= 0) return;
    this.#writer = null;
    if (broken) return this.#source.whenAwake(() => writer.reject(broken));
    const taken = writer.bytes.slice(0, room);
    this.#unsent.push(taken);
    this.#unsentBytes += taken.length;
    const isLate = this.#late > 0;
    if (isLate) this.#late--;
    if (taken.length < writer.bytes.length) this.#late = 2;
    this.said?.(taken, isLate);
    this.#source.offer(this);
    if (this.#source.isAwake) writer.resolve(taken.length);
    else this.#source.whenAwake(() => writer.resolve(taken.length));
  }

  // Called by the line.

  get hasMore(): boolean {
    return (this.#unsent.length > 0 && this.#unread < this.#window) || this.#ending;
  }

  depart(limit: number): number {
    const room = Math.min(limit, this.#window - this.#unread);
    const parts: (Bytes | null)[] = [];
    let bytes = 0;
    while (bytes < room && this.#unsent.length > 0) {
      const first = this.#unsent[0]!;
      const part = first.length <= room - bytes ? first : first.subarray(0, room - bytes);
      if (part === first) this.#unsent.shift();
      else this.#unsent[0] = first.subarray(part.length);
      parts.push(part);
      bytes += part.length;
    }
    this.#unsentBytes -= bytes;
    this.#unread += bytes;
    if (this.#ending && this.#unsent.length === 0) {
      parts.push(null);
      bytes ||= 1; // A packet without payload also takes time.
      this.#ending = false;
    }
    if (bytes === 0) return 0;
    this.#onTheWay.push(parts);
    this.#take();
    return bytes;
  }

  arrive(): void {
    const parts = this.#onTheWay.shift()!;
    if (this.#silent) return;
    this.#arrived.push(...parts);
    this.#hand();
  }

  /** Drops all bytes that arrive from now on. */
  goSilent(): void {
    this.#silent = true;
  }

  // Called by the receiving program.

  read(into: Bytes): Promise<number | null> {
    return new Promise((resolve, reject) => {
      if (this.#reader) throw new Error("one read at a time");
      this.#reader = { into, resolve, reject };
      this.#hand();
    });
  }

  breakFar(error: Error): void {
    this.#brokenFar ??= error;
    this.#hand();
  }

  #hand(): void {
    if (!this.#reader || (this.#arrived.length === 0 && !this.#brokenFar)) return;
    const reader = this.#reader;
    this.#reader = null;
    if (this.destination.isAwake) this.#give(reader);
    else this.destination.whenAwake(() => this.#give(reader));
  }

  #give(reader: Reader): void {
    if (this.#brokenFar) return reader.reject(this.#brokenFar);
    const count = this.#read(reader.into);
    if (count !== null) this.heard?.(reader.into.subarray(0, count));
    reader.resolve(count);
  }

  #read(into: Bytes): number | null {
    if (this.#arrived[0] === null) return null;
    let count = 0;
    while (count < into.length && this.#arrived.length > 0) {
      const first = this.#arrived[0];
      if (!first) break;
      const part = first.subarray(this.#readAt, this.#readAt + into.length - count);
      into.set(part, count);
      count += part.length;
      this.#readAt += part.length;
      if (this.#readAt < first.length) break;
      this.#arrived.shift();
      this.#readAt = 0;
    }
    this.#unread -= count;
    if (this.#unsent.length > 0 || this.#ending) this.#source.offer(this);
    return count;
  }
}

/** Options for {@linkcode SimConnection.pair}. */
export interface ConnectionPairOptions {
  /** Virtual clock. */
  readonly clock: VirtualClock;
  /** Receive window in bytes: limit of the bytes that are in flight or unread. */
  readonly unread: number;
}

/** One end of a connection. */
export class SimConnection implements Connection {
  readonly local: PeerAddress;
  readonly remote: PeerAddress;
  readonly #nic: Nic;
  readonly #clock: VirtualClock;
  readonly #out: Half;
  readonly #in: Half;
  #other!: SimConnection;
  #closed = false;

  private constructor(here: End, there: End, options: { out: Half; in: Half; clock: VirtualClock }) {
    this.local = here.address;
    this.remote = there.address;
    this.#nic = here.nic;
    this.#clock = options.clock;
    this.#out = options.out;
    this.#in = options.in;
    here.nic.connections.add(this);
  }

  /**
   * Makes a connection, and returns its two ends.
   *
   * @param a One host and its address.
   * @param b The other host and its address.
   * @param options See {@linkcode ConnectionPairOptions}.
   */
  static pair(a: End, b: End, options: ConnectionPairOptions): [SimConnection, SimConnection] {
    const { clock, unread } = options;
    const there = new Half(a.nic.line, b.nic.line, unread);
    const back = new Half(b.nic.line, a.nic.line, unread);
    const near = new SimConnection(a, b, { out: there, in: back, clock });
    const far = new SimConnection(b, a, { out: back, in: there, clock });
    near.#other = far;
    far.#other = near;
    return [near, far];
  }

  /** Sets a watcher that gets all bytes that the program at this end writes and reads. */
  watch(watcher: { said(bytes: Bytes, isLate: boolean): void; heard(bytes: Bytes): void }): void {
    this.#out.said = (bytes, isLate) => watcher.said(bytes, isLate);
    this.#in.heard = (bytes) => watcher.heard(bytes);
  }

  read(into: Bytes): Promise<number | null> {
    return this.#in.read(into);
  }

  write(bytes: Bytes): Promise<number> {
    return this.#out.write(bytes);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#nic.connections.delete(this);
    this.#in.breakFar(CLOSED_HERE);
    this.#out.end();
    // Bytes that the other end still sends arrive at a closed socket, which answers with a reset.
    const trip = Math.ceil(this.#nic.line.latency + this.#other.#nic.line.latency);
    this.#clock.after(trip, () => this.#other.#out.breakNear(BROKEN_PIPE), this.#other.#nic.line.rank());
  }

  /** Breaks the connection. Each end notices after the latency of its line. */
  reset(): void {
    for (const end of [this, this.#other]) end.#break(Math.ceil(end.#nic.line.latency));
  }

  /** Ends the connection because the program at this end is gone. The other end gets a reset. */
  abandon(): void {
    this.#nic.connections.delete(this);
    this.goSilent();
    this.#other.#break(Math.ceil(this.#nic.line.latency + this.#other.#nic.line.latency));
  }

  #break(milliseconds: number): void {
    this.#clock.after(milliseconds, () => {
      this.#in.breakFar(RESET);
      this.#out.breakNear(RESET);
    }, this.#nic.line.rank());
  }

  /** Makes the connection drop all bytes without notifying either end. */
  goSilent(): void {
    this.#in.goSilent();
    this.#out.goSilent();
  }
}
