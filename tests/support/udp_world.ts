/**
 * Datagrams without a network: sockets in memory on a virtual clock, and a function that answers what is sent.
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

/** What UDP trackers need of the outside. */
type TrackerPlatform = DatagramSocketOptions["platform"] & UdpTrackers["platform"];

/** A session's way to UDP trackers, and the socket under it. */
export class TrackerWay {
  readonly socket: DatagramSocket;
  readonly udp: UdpTrackers;

  /** @param host Local address to send from. */
  constructor(platform: TrackerPlatform, host = "::") {
    this.socket = new DatagramSocket({ platform, place: () => ({ host, port: 0 }) });
    this.udp = new UdpTrackers({ platform, socket: this.socket });
    this.socket.register("tracker", (bytes, from) => this.udp.receive(bytes, from));
  }

  /** Ends it all. */
  close(): void {
    this.udp.close();
    this.socket.close();
  }
}

/** A datagram that was sent, and how it looks to a UDP tracker (BEP 15), read without the code under test. */
export class Datagram {
  /** What is in it; a copy. */
  readonly bytes: Bytes;
  readonly #view: DataView<ArrayBuffer>;

  /** @param parts `from`: the socket. `to`: as `formatAddress` has it. `at`: when. */
  constructor(
    bytes: Bytes,
    readonly parts: { readonly from: MemorySocket; readonly to: string; readonly at: number },
  ) {
    this.bytes = bytes.slice();
    this.#view = new DataView(this.bytes.buffer);
  }

  /** Whether it asks for a connection id. */
  get isConnect(): boolean {
    return this.bytes.length === 16 && this.#view.getBigUint64(0) === 0x41727101980n && this.action === 0;
  }

  /** 0 connect, 1 announce, 2 scrape. */
  get action(): number {
    return this.#view.getUint32(8);
  }

  get transactionId(): number {
    return this.#view.getUint32(12);
  }

  get connectionId(): bigint {
    return this.#view.getBigUint64(0);
  }

  /** Of an announce. */
  get event(): string {
    return ["-", "completed", "started", "stopped"][this.#view.getUint32(80)] ?? "?";
  }

  /** When, where to and what. */
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

  /** Lets a datagram arrive. */
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

/** What a tracker sends back; from the address that was asked when `from` is absent. */
export interface Answer {
  readonly bytes: Uint8Array;
  readonly from?: PeerAddress;
}

/** See the head of this file. */
export class UdpWorld extends VirtualClock {
  /** Every datagram so far. */
  readonly sent: Datagram[] = [];
  /** Every socket so far. */
  readonly sockets: MemorySocket[] = [];
  /** Addresses by name. */
  readonly names = new Map<string, string[]>();
  /** How often a name was looked up. */
  lookUps = 0;
  /** Local addresses that can't be had. */
  readonly refused = new Set<string>();
  /** Ports that somebody else has. */
  readonly taken = new Set<number>();
  /** Decides what comes back for a datagram, at once. */
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

  /** Every datagram so far, a line each. */
  get log(): string[] {
    return this.sent.map((datagram) => datagram.line);
  }
}

/** The answer to a connect. */
export function connectReply(datagram: Datagram, id = 7n): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setUint32(4, datagram.transactionId);
  view.setBigUint64(8, id);
  return bytes;
}

/** What an announce is answered. */
export interface Swarm {
  readonly interval?: number;
  readonly seeders?: number;
  readonly leechers?: number;
  /** In the compact form. */
  readonly peers?: readonly number[];
}

/** The answer to an announce. */
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

/** A refusal. */
export function errorReply(datagram: Datagram, message: string): Uint8Array {
  const text = new TextEncoder().encode(message);
  const bytes = new Uint8Array(8 + text.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 3);
  view.setUint32(4, datagram.transactionId);
  bytes.set(text, 8);
  return bytes;
}

/** A tracker that does everything right. */
export function goodTracker(swarm: Swarm = {}): (datagram: Datagram) => readonly Answer[] {
  return (datagram) => [{ bytes: datagram.isConnect ? connectReply(datagram) : announceReply(datagram, swarm) }];
}
