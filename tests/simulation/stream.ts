/**
 * Streams between hosts, with the manners of TCP: in order, with a window, ended by either side, or broken.
 *
 * @module
 */

import type { PeerAddress } from "../../src/base/address.ts";
import type { Bytes } from "../../src/base/bytes.ts";
import type { Connection } from "../../src/platform/platform.ts";
import type { VirtualClock } from "../support/virtual_clock.ts";
import type { Line, Sender } from "./line.ts";
import type { Nic } from "./network.ts";

/** Bytes that a kernel takes from its program before they are sent. */
const SEND_BUFFER = 32 * 1024;

/** Errors are made once: they tell nothing but what happened, and thousands of them are thrown. */
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
  /** Taken from the program, not sent. */
  readonly #unsent: Bytes[] = [];
  #unsentBytes = 0;
  /** Sent, not arrived; one entry for each shutdown. `null` stands for the end of the stream. */
  readonly #onTheWay: (Bytes | null)[][] = [];
  /** Arrived, not read. */
  readonly #arrived: (Bytes | null)[] = [];
  /** Writes to come whose words were put together while others had to wait. */
  #late = 0;
  /** Told of what the sending program wrote, and whether it had to wait. */
  said: ((bytes: Bytes, isLate: boolean) => void) | null = null;
  /** Told of what the receiving program read. */
  heard: ((bytes: Bytes) => void) | null = null;
  /** Bytes on the way and arrived. */
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

  // The sending program's side.

  write(bytes: Bytes): Promise<number> {
    return new Promise((resolve, reject) => {
      if (this.#writer) throw new Error("one write at a time");
      this.#writer = { bytes, resolve, reject };
      this.#take();
      if (this.#writer !== null) this.#late = 2;
    });
  }

  /** Nothing more will be written; what was is still sent. */
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

  // The line's side.

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
      bytes ||= 1; // an empty packet isn't free either
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

  /** What is on the way from now on never arrives. */
  goSilent(): void {
    this.#silent = true;
  }

  // The receiving program's side.

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
   * The two ends of a new connection.
   *
   * @param a One host and its address.
   * @param b The other.
   * @param options `clock`, and the bytes that may be `unread`: the window.
   */
  static pair(
    a: End,
    b: End,
    options: { readonly clock: VirtualClock; readonly unread: number },
  ): [SimConnection, SimConnection] {
    const { clock, unread } = options;
    const there = new Half(a.nic.line, b.nic.line, unread);
    const back = new Half(b.nic.line, a.nic.line, unread);
    const near = new SimConnection(a, b, { out: there, in: back, clock });
    const far = new SimConnection(b, a, { out: back, in: there, clock });
    near.#other = far;
    far.#other = near;
    return [near, far];
  }

  /** Somebody wants to know what the program at this end says and hears. */
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
    // Whatever the other end still sends meets a closed socket, which says so.
    const trip = Math.ceil(this.#nic.line.latency + this.#other.#nic.line.latency);
    this.#clock.after(trip, () => this.#other.#out.breakNear(BROKEN_PIPE), this.#other.#nic.line.rank());
  }

  /** Something in between breaks the connection; both ends are told, each after its own time. */
  reset(): void {
    for (const end of [this, this.#other]) end.#break(Math.ceil(end.#nic.line.latency));
  }

  /** The program at this end is gone: it learns nothing any more, and the other end is told that nobody is there. */
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

  /** Something in between forgets the connection: neither end is told, and nothing arrives any more. */
  goSilent(): void {
    this.#in.goSilent();
    this.#out.goSilent();
  }
}
