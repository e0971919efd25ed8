/**
 * Datagrams on a virtual clock: every host has an address and a distance, some are lost.
 *
 * @module
 */

import { formatAddress, type PeerAddress } from "../../../src/base/address.ts";
import type { Bytes } from "../../../src/base/bytes.ts";
import { factsOf } from "../../../src/dht/hosts.ts";
import { settle, type VirtualClock } from "../../support/virtual_clock.ts";

/** Takes datagrams. */
export type Receiver = (bytes: Bytes, from: PeerAddress) => void;

/** Milliseconds that are played in one go. */
const STEP_MS = 50;

interface Place {
  readonly address: PeerAddress;
  /** Milliseconds to the middle of the network. */
  readonly distance: number;
  receive: Receiver | null;
}

/** All hosts. */
export class DatagramNetwork {
  readonly clock: VirtualClock;
  readonly #places = new Map<string, Place>();
  /** Part of the datagrams that never arrives. */
  loss = 0;
  /** Datagrams that were sent, and their bytes. */
  sent = 0;
  bytes = 0;

  /** @param clock Moves everything. */
  constructor(clock: VirtualClock) {
    this.clock = clock;
  }

  /**
   * A new host at a public address of its own.
   *
   * @param port Where it listens.
   * @returns Its address; nobody listens there yet.
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
   * A new host.
   *
   * @param address Where.
   */
  addAt(address: PeerAddress): void {
    const distance = 5 + 70 * this.clock.random() ** 2;
    this.#places.set(formatAddress(address), { address, distance, receive: null });
  }

  /**
   * Listens, or no longer.
   *
   * @param address Of a host.
   * @param receive Takes what comes; `null` for a host that is dead.
   */
  listen(address: PeerAddress, receive: Receiver | null): void {
    this.#places.get(formatAddress(address))!.receive = receive;
  }

  /**
   * Sends a datagram.
   *
   * @param from Who.
   * @param to Whom; nobody need be there.
   * @param bytes What.
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
   * Lets time pass.
   *
   * @param milliseconds How much.
   */
  async pass(milliseconds: number): Promise<void> {
    for (let left = milliseconds; left > 0; left -= STEP_MS) {
      this.clock.advance(Math.min(left, STEP_MS));
      await settle();
    }
  }
}
