/**
 * A network in memory: hosts with an uplink and a downlink, and streams between them. Everything that happens on it is
 * a timer of one virtual clock, so a seed decides it all.
 *
 * @module
 */

import { formatAddress, type PeerAddress } from "../../src/base/address.ts";
import { ShoalError } from "../../src/base/errors.ts";
import type { Connection, Listener, Network, UdpSocket } from "../../src/platform/platform.ts";
import type { VirtualClock } from "../support/virtual_clock.ts";
import { Line, type LineSpeed } from "./line.ts";
import { SimConnection } from "./stream.ts";

/** How a host is connected. */
export interface HostProfile extends LineSpeed {
  /** Whether nobody can connect to it, as behind a NAT without port mapping. */
  readonly nat?: boolean;
}

/** Milliseconds until a connection attempt that nobody answers fails, as with Linux's defaults. */
const DIAL_TIMEOUT_MS = 127_000;
/** Milliseconds after which a lost first packet is sent again. */
const SYN_RETRY_MS = 1_000;
const FIRST_EPHEMERAL_PORT = 32_768;

/** One host's place in the network; what `platform.net` is to the program on it. */
export class Nic implements Network {
  /** Its only address. */
  readonly ip: string;
  /** How it is connected. */
  readonly profile: HostProfile;
  /** Its line: what its connections share. */
  readonly line: Line;
  /** The connections that it has, one end each. */
  readonly connections = new Set<SimConnection>();
  /** Is shown every connection before the program is; lets somebody watch what is said. */
  opened: (connection: SimConnection) => void = () => {};
  /** Times that it tried to connect to somebody, by address. */
  readonly dials = new Map<string, number>();
  readonly #network: SimNetwork;
  readonly #listeners = new Map<number, SimListener>();
  #nextPort = FIRST_EPHEMERAL_PORT;
  #gone = false;

  /**
   * @param network What it is part of.
   * @param options `ip`, `profile`, and a `rank` among events of the same millisecond.
   */
  constructor(
    network: SimNetwork,
    options: { readonly ip: string; readonly profile: HostProfile; rank: () => number },
  ) {
    this.#network = network;
    this.ip = options.ip;
    this.profile = options.profile;
    this.line = new Line(network.clock, { ...options.profile, random: network.random, rank: options.rank });
  }

  /** Whether the host has vanished: it answers nothing and tells nobody. */
  get gone(): boolean {
    return this.#gone;
  }

  /** How many listening sockets and connections are open. */
  get openSockets(): number {
    return this.#listeners.size + this.connections.size;
  }

  async dial(address: PeerAddress, options: { readonly signal: AbortSignal }): Promise<Connection> {
    const { signal } = options;
    const { clock, random } = this.#network;
    signal.throwIfAborted();
    this.dials.set(address.host, (this.dials.get(address.host) ?? 0) + 1);
    const target = this.#network.find(address.host);
    const trip = this.line.latency + (target?.line.latency ?? this.line.latency);
    const lost = random() < this.#network.synLoss ? SYN_RETRY_MS : 0;
    await new Promise<void>((resolve, reject) => {
      const wait = () => target && target.#isReachable(this) ? 2 * trip + lost : DIAL_TIMEOUT_MS;
      const timer = clock.after(Math.ceil(wait()), () => this.line.whenAwake(resolve), this.line.rank());
      signal.addEventListener("abort", () => {
        timer.cancel();
        reject(signal.reason);
      }, { once: true });
    });
    signal.throwIfAborted();
    if (!target || !target.#isReachable(this)) throw new Error("the connection timed out");
    const listener = target.#listeners.get(address.port);
    if (!listener) throw new Error("connection refused");
    const from = { host: this.ip, port: this.#nextPort++ };
    const [near, far] = SimConnection.pair(
      { nic: this, address: from },
      { nic: target, address: { ...address } },
      { clock, unread: this.#network.window },
    );
    listener.arrived(far);
    this.opened(near);
    return near;
  }

  listen(options: { readonly host: string; readonly port: number }): Listener {
    const port = options.port === 0 ? this.#nextPort++ : options.port;
    if (this.#listeners.has(port)) {
      const where = formatAddress({ host: this.ip, port });
      throw new ShoalError("network", { what: "cannot listen", where, why: "the port is taken" });
    }
    const listener = new SimListener(this, { host: this.ip, port }, () => this.#listeners.delete(port));
    this.#listeners.set(port, listener);
    return listener;
  }

  openUdp(): UdpSocket {
    throw new Error("there are no datagrams here");
  }

  resolve(host: string): Promise<string[]> {
    return Promise.reject(new Error(`there is no name service here: ${host}`));
  }

  /** The cable is pulled: nothing comes in or goes out any more, and nobody is told. */
  vanish(): void {
    this.#gone = true;
    for (const connection of this.connections) connection.goSilent();
  }

  /** The cable is back, after a restart of the machine: it remembers no connection. */
  comeBack(): void {
    this.#gone = false;
    for (const listener of [...this.#listeners.values()]) listener.close();
    this.connections.clear();
  }

  /** The program that used it is gone: the system closes what it leaves. */
  abandon(): void {
    for (const listener of [...this.#listeners.values()]) listener.close();
    for (const connection of [...this.connections]) connection.abandon();
  }

  #isReachable(from: Nic): boolean {
    return !this.#gone && !from.#gone && !this.profile.nat;
  }
}

class SimListener implements Listener {
  readonly address: PeerAddress;
  readonly #nic: Nic;
  readonly #forget: () => void;
  readonly #queue: SimConnection[] = [];
  #waiting: ((connection: Connection | null) => void) | null = null;
  #closed = false;

  constructor(nic: Nic, address: PeerAddress, forget: () => void) {
    this.#nic = nic;
    this.address = address;
    this.#forget = forget;
  }

  arrived(connection: SimConnection): void {
    this.#queue.push(connection);
    this.#hand();
  }

  accept(): Promise<Connection | null> {
    return new Promise((resolve) => {
      this.#waiting = resolve;
      this.#nic.line.whenAwake(() => this.#hand());
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#forget();
    for (const connection of this.#queue.splice(0)) connection.abandon();
    this.#hand();
  }

  #hand(): void {
    const waiting = this.#waiting;
    if (!waiting) return;
    const next = this.#closed ? null : this.#queue.shift();
    if (next === undefined) return;
    this.#waiting = null;
    if (next) this.#nic.opened(next);
    waiting(next);
  }
}

/** All hosts. */
export class SimNetwork {
  /** Part of the connection attempts whose first packet is lost. */
  synLoss = 0;
  /** Bytes that a receiver takes before its program reads them. */
  window = 128 * 1024;
  readonly clock: VirtualClock;
  readonly random: () => number;
  readonly #nics = new Map<string, Nic>();

  /**
   * @param clock Moves everything.
   * @param random Uniform in 0 to 1.
   */
  constructor(clock: VirtualClock, random: () => number) {
    this.clock = clock;
    this.random = random;
  }

  /**
   * A new host.
   *
   * @param ip Its address, not in use.
   * @param options `profile`: its line. `rank`: its place among events of the same millisecond.
   */
  add(ip: string, options: { readonly profile: HostProfile; readonly rank: () => number }): Nic {
    const nic = new Nic(this, { ip, ...options });
    this.#nics.set(ip, nic);
    return nic;
  }

  /** The host at an address. */
  find(ip: string): Nic | null {
    return this.#nics.get(ip) ?? null;
  }
}
