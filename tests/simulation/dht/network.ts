/**
 * A network for datagrams on a virtual clock. Every host has an address and a latency, and some datagrams are lost.
 *
 * @module
 */

import { formatAddress, type PeerAddress } from "../../../src/base/address.ts";
import type { Bytes } from "../../../src/base/bytes.ts";
import { factsOf } from "../../../src/dht/hosts.ts";
import { settle, type VirtualClock } from "../../support/virtual_clock.ts";

/** Called with each datagram that a host receives. */
export type Receiver = (bytes: Bytes, from: PeerAddress) => void;

/** Milliseconds by which the clock advances before promises get a turn. */
const STEP_MS = 50;

interface Place {
  readonly address: PeerAddress;
  /** One-way latency in milliseconds to the middle of the network. */
  readonly distance: number;
  receive: Receiver | null;
}

/** A network of hosts that send datagrams. */
export class DatagramNetwork {
  readonly clock: VirtualClock;
  readonly #places = new Map<string, Place>();
  /** Part of the datagrams that is lost, 0 to 1. */
  loss = 0;
  /** Number of datagrams sent. */
  sent = 0;
  /** Bytes of all datagrams sent. */
  bytes = 0;

  /** @param clock Virtual clock of the network. */
  constructor(clock: VirtualClock) {
    this.clock = clock;
  }

  /**
   * Adds a host at a random public address.
   *
   * @param port Port of the host.
   * @returns The address. Datagrams to it are dropped until {@linkcode DatagramNetwork.listen} is called.
   */
  addHost(port = 6881): PeerAddress {
    for (;;) {
      const host = this.clock.randomBytes(4).join(".");
      const address = { host, port };
      if (factsOf(host)?.kind !== "public" || this.#places.has(formatAddress(address))) continue;
      this.addAt(address);
      return address;
    }
  }

  /**
   * Adds a host.
   *
   * @param address Address of the host.
   */
  addAt(address: PeerAddress): void {
    const distance = 5 + 70 * this.clock.random() ** 2;
    this.#places.set(formatAddress(address), { address, distance, receive: null });
  }

  /**
   * Sets the receiver of a host.
   *
   * @param address Address of the host.
   * @param receive Called with each datagram. `null` for a dead host.
   */
  listen(address: PeerAddress, receive: Receiver | null): void {
    this.#places.get(formatAddress(address))!.receive = receive;
  }

  /**
   * Sends a datagram.
   *
   * @param from Address of the sending host.
   * @param to Address of the receiver. There may be no such host.
   * @param bytes Payload.
   */
  send(from: PeerAddress, to: PeerAddress, bytes: Bytes): void {
    this.sent++;
    this.bytes += bytes.length;
    const there = this.#places.get(formatAddress(to));
    if (!there || this.clock.random() < this.loss) return;
    const here = this.#places.get(formatAddress(from))!;
    const time = here.distance + there.distance + 10 * this.clock.random();
    this.clock.after(time, () => there.receive?.(bytes, here.address));
  }

  /**
   * Advances the clock, and lets promises settle.
   *
   * @param milliseconds Time to pass.
   */
  async pass(milliseconds: number): Promise<void> {
    for (let left = milliseconds; left > 0; left -= STEP_MS) {
      this.clock.advance(Math.min(left, STEP_MS));
      await settle();
    }
  }
}
