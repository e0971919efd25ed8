/**
 * A network in memory: hosts with an uplink and a downlink, and streams between them. Every event is a timer of one
 * virtual clock, so a run is reproducible by its seed.
 *
 * @module
 */

import { formatAddress, type PeerAddress } from "../../src/base/address.ts";
import { ShoalError } from "../../src/base/errors.ts";
import type { Connection, Listener, Network, UdpSocket } from "../../src/platform/platform.ts";
import type { VirtualClock } from "../support/virtual_clock.ts";
import { Line, type LineSpeed } from "./line.ts";
import { SimConnection } from "./stream.ts";

/** Line of a host, and its reachability. */
export interface HostProfile extends LineSpeed {
  /** `true` if the host can't accept connections, as behind a NAT without port mapping. Default `false`. */
  readonly nat?: boolean;
}

/** Options for {@linkcode Nic}. */
export interface NicOptions {
  /** IP address of the host. */
  readonly ip: string;
  /** Line of the host. */
  readonly profile: HostProfile;
  /** Returns the rank of an event of the host among events of the same millisecond. */
  readonly rank: () => number;
}

/** Milliseconds until an unanswered connection attempt fails, as with Linux's defaults. */
const DIAL_TIMEOUT_MS = 127_000;
/** Milliseconds after which a lost SYN packet is sent again. */
const SYN_RETRY_MS = 1_000;
const FIRST_EPHEMERAL_PORT = 32_768;

/** The network interface of one host, which is `platform.net` of the program. */
export class Nic implements Network {
  /** The only address. */
  readonly ip: string;
  /** Line and reachability. */
  readonly profile: HostProfile;
  /** Line that all connections share. */
  readonly line: Line;
  /** This host's ends of its connections. */
  readonly connections = new Set<SimConnection>();
  /** Called with every connection before the program gets it, so that it can be watched. */
  opened: (connection: SimConnection) => void = () => {};
  /** Number of connection attempts by address. */
  readonly dials = new Map<string, number>();
  readonly #network: SimNetwork;
  readonly #listeners = new Map<number, SimListener>();
  #nextPort = FIRST_EPHEMERAL_PORT;
  #gone = false;

  /**
   * @param network Network that the host belongs to.
   * @param options See {@linkcode NicOptions}.
   */
  constructor(network: SimNetwork, options: NicOptions) {
    this.#network = network;
    this.ip = options.ip;
    this.profile = options.profile;
    this.line = new Line(network.clock, { ...options.profile, random: network.random, rank: options.rank });
  }

  /** `true` if the host has vanished. It sends nothing then, not even a reset. */
  get gone(): boolean {
    return this.#gone;
  }

  /** Number of open listening sockets and connections. */
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

  /** Disconnects the host from the network. Connections go silent without a reset. */
  vanish(): void {
    this.#gone = true;
    for (const connection of this.connections) connection.goSilent();
  }

  /** Reconnects the host after a reboot, without its former connections. */
  comeBack(): void {
    this.#gone = false;
    for (const listener of [...this.#listeners.values()]) listener.close();
    this.connections.clear();
  }

  /** Closes all sockets, as the system does when the program is killed. */
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

/** A network of hosts. */
export class SimNetwork {
  /** Part of the connection attempts whose SYN packet is lost, 0 to 1. */
  synLoss = 0;
  /** Receive window in bytes. */
  window = 128 * 1024;
  readonly clock: VirtualClock;
  readonly random: () => number;
  readonly #nics = new Map<string, Nic>();

  /**
   * @param clock Virtual clock of the network.
   * @param random Returns uniform random numbers from 0 to 1.
   */
  constructor(clock: VirtualClock, random: () => number) {
    this.clock = clock;
    this.random = random;
  }

  /**
   * Adds a host.
   *
   * @param ip Unused address.
   * @param options See {@linkcode NicOptions}.
   */
  add(ip: string, options: Omit<NicOptions, "ip">): Nic {
    const nic = new Nic(this, { ip, ...options });
    this.#nics.set(ip, nic);
    return nic;
  }

  /** Returns the host with an address, or `null`. */
  find(ip: string): Nic | null {
    return this.#nics.get(ip) ?? null;
  }
}
