/**
 * UDP without a network: sockets in memory on a virtual clock, and a function that answers each datagram.
 *
 * @module
 */

import { formatAddress, type PeerAddress } from "../../src/base/address.ts";
import type { Bytes } from "../../src/base/bytes.ts";
import { ShoalError } from "../../src/base/errors.ts";
import { HttpError, type HttpRequest, type UdpOptions, type UdpSocket } from "../../src/platform/platform.ts";
import { UdpTrackers } from "../../src/tracker/udp_trackers.ts";
import { DatagramSocket, type DatagramSocketOptions } from "../../src/transport/datagram_socket.ts";
import { VirtualClock } from "./virtual_clock.ts";

/** The parts of the platform that UDP trackers need. */
type TrackerPlatform = DatagramSocketOptions["platform"] & UdpTrackers["platform"];

/** A session's UDP tracker client, with its socket. */
export class TrackerWay {
  readonly socket: DatagramSocket;
  readonly udp: UdpTrackers;

  /** @param host Local address of the socket. */
  constructor(platform: TrackerPlatform, host = "::") {
    this.socket = new DatagramSocket({ platform, place: () => ({ host, port: 0 }) });
    this.udp = new UdpTrackers({ platform, socket: this.socket });
    this.socket.register("tracker", (bytes, from) => this.udp.receive(bytes, from));
  }

  /** Closes the client and the socket. */
  close(): void {
    this.udp.close();
    this.socket.close();
  }
}

/** How a {@linkcode Datagram} was sent. */
export interface DatagramParts {
  /** Socket that sent the datagram. */
  readonly from: MemorySocket;
  /** Destination in the format of `formatAddress`. */
  readonly to: string;
  /** Time of sending, in milliseconds. */
  readonly at: number;
}

/** A sent datagram as a UDP tracker reads it (BEP 15), parsed without the code under test. */
export class Datagram {
  /** Copy of the contents. */
  readonly bytes: Bytes;
  readonly #view: DataView<ArrayBuffer>;

  constructor(bytes: Bytes, readonly parts: DatagramParts) {
    this.bytes = bytes.slice();
    this.#view = new DataView(this.bytes.buffer);
  }

  /** `true` for a connect request. */
  get isConnect(): boolean {
    return this.bytes.length === 16 && this.#view.getBigUint64(0) === 0x41727101980n && this.action === 0;
  }

  /** Action: 0 connect, 1 announce, 2 scrape. */
  get action(): number {
    return this.#view.getUint32(8);
  }

  get transactionId(): number {
    return this.#view.getUint32(12);
  }

  get connectionId(): bigint {
    return this.#view.getBigUint64(0);
  }

  /** Event of an announce. */
  get event(): string {
    return ["-", "completed", "started", "stopped"][this.#view.getUint32(80)] ?? "?";
  }

  /** Time, destination and kind, as a line of text. */
  get line(): string {
    const { at, to } = this.parts;
    return `${at} ${to} ${this.isConnect ? "connect" : this.event}`;
  }
}

/** A socket of a {@linkcode UdpWorld}. */
export class MemorySocket implements UdpSocket {
  readonly address: PeerAddress;
  closed = false;
  readonly #world: UdpWorld;
  readonly #arrived: { readonly bytes: Uint8Array; readonly from: PeerAddress }[] = [];
  #wake = () => {};

  constructor(world: UdpWorld, address: PeerAddress) {
    this.#world = world;
    this.address = address;
  }

  send(bytes: Bytes, to: PeerAddress): Promise<void> {
    const datagram = new Datagram(bytes, { from: this, to: formatAddress(to), at: this.#world.now() });
    this.#world.sent.push(datagram);
    for (const { bytes, from } of this.#world.answer(datagram)) this.deliver(bytes, from ?? to);
    return Promise.resolve();
  }

  /** Delivers a datagram to the socket. */
  deliver(bytes: Uint8Array, from: PeerAddress): void {
    this.#arrived.push({ bytes: bytes.slice(), from });
    this.#wake();
  }

  async receive(into: Bytes): Promise<{ readonly length: number; readonly from: PeerAddress } | null> {
    while (!this.closed) {
      const next = this.#arrived.shift();
      if (next === undefined) {
        await new Promise<void>((resolve) => this.#wake = resolve);
        continue;
      }
      into.set(next.bytes.subarray(0, into.length));
      return { length: Math.min(next.bytes.length, into.length), from: next.from };
    }
    return null;
  }

  join(): Promise<void> {
    return Promise.reject(new Error("no multicast here"));
  }

  close(): void {
    this.closed = true;
    this.#wake();
  }
}

/** Datagram from a tracker; from the requested address when `from` is absent. */
export interface Answer {
  readonly bytes: Uint8Array;
  readonly from?: PeerAddress;
}

/** A virtual clock with UDP sockets in memory and a scripted answer to each datagram. */
export class UdpWorld extends VirtualClock {
  /** Every datagram sent so far. */
  readonly sent: Datagram[] = [];
  /** Every socket opened so far. */
  readonly sockets: MemorySocket[] = [];
  /** Addresses by host name. */
  readonly names = new Map<string, string[]>();
  /** Number of name look-ups. */
  lookUps = 0;
  /** Local addresses that can't be bound. */
  readonly refused = new Set<string>();
  /** Ports that are in use by other programs. */
  readonly taken = new Set<number>();
  /** Returns the answers to a datagram, which arrive at once. */
  answer: (datagram: Datagram) => readonly Answer[] = () => [];
  readonly net = {
    openUdp: ({ host, port }: UdpOptions): UdpSocket => {
      if (this.refused.has(host) || this.taken.has(port)) {
        throw new ShoalError("network", { what: "cannot listen", where: host, why: "not on this machine" });
      }
      const socket = new MemorySocket(this, { host, port: port || 40_000 + this.sockets.length });
      this.sockets.push(socket);
      return socket;
    },
    resolve: (host: string): Promise<string[]> => {
      this.lookUps++;
      const found = this.names.get(host);
      return found ? Promise.resolve(found) : Promise.reject(new Error("not known"));
    },
  };
  readonly http = {
    request: (_: HttpRequest) => Promise.reject(new HttpError("no HTTP here")),
    stream: () => Promise.reject(new HttpError("no HTTP here")),
    serve: () => {
      throw new Error("no HTTP here");
    },
  };

  /** Every datagram so far, one line each. */
  get log(): string[] {
    return this.sent.map((datagram) => datagram.line);
  }
}

/** Returns the answer to a connect request. */
export function connectReply(datagram: Datagram, id = 7n): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setUint32(4, datagram.transactionId);
  view.setBigUint64(8, id);
  return bytes;
}

/** Contents of an announce reply. */
export interface Swarm {
  readonly interval?: number;
  readonly seeders?: number;
  readonly leechers?: number;
  /** Peers in the compact format. */
  readonly peers?: readonly number[];
}

/** Returns the answer to an announce. */
export function announceReply(datagram: Datagram, swarm: Swarm = {}): Uint8Array {
  const { interval = 1800, seeders = 1, leechers = 2, peers = [] } = swarm;
  const bytes = new Uint8Array(20 + peers.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 1);
  view.setUint32(4, datagram.transactionId);
  view.setInt32(8, interval);
  view.setInt32(12, leechers);
  view.setInt32(16, seeders);
  bytes.set(peers, 20);
  return bytes;
}

/** Returns an error reply. */
export function errorReply(datagram: Datagram, message: string): Uint8Array {
  const text = new TextEncoder().encode(message);
  const bytes = new Uint8Array(8 + text.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 3);
  view.setUint32(4, datagram.transactionId);
  bytes.set(text, 8);
  return bytes;
}

/** Returns a tracker that answers every request correctly. */
export function goodTracker(swarm: Swarm = {}): (datagram: Datagram) => readonly Answer[] {
  return (datagram) => [{ bytes: datagram.isConnect ? connectReply(datagram) : announceReply(datagram, swarm) }];
}
