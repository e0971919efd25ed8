/**
 * How others reach us: our address outside, and the ports there, which are others than ours when a gateway maps them so. All that
 * tells somebody where we are asks here: trackers, the DHT, the extension handshake (BEP 10), the priority of peers (BEP 40).
 *
 * @module
 */

import { canonicalHost, formatAddress, type PeerAddress } from "../base/address.ts";
import { isNear } from "../base/networks.ts";
import { PortKeeper, type PortProtocol } from "../nat/mod.ts";
import type { LocalAddress, Platform } from "../platform/platform.ts";
import type { ExternalAddress, Family } from "./external_address.ts";
import type { PortMapEvent } from "./session_events.ts";

/** What it needs. */
export interface ReachabilityOptions {
  /** The outside. */
  readonly platform: Platform;
  /** Where the session listens. */
  readonly listen: PeerAddress;
  /** Whether to have the ports mapped. */
  readonly portMap: boolean;
  /** Takes what happens. */
  readonly emit: (event: PortMapEvent) => void;
  /** The port at which others reach us is another one. */
  readonly moved?: (protocol: PortProtocol) => void;
}

/** Wildcards: everything that the computer has. */
const ANY = ["0.0.0.0", "::"];
/** Milliseconds for which the addresses of this machine are believed: the system takes its time to list them. */
const LOCAL_LIFE_MS = 10_000;

/** Makes the session reachable, and knows where it is. */
export class Reachability {
  /** Our address outside. */
  readonly address: ExternalAddress;
  readonly #keeper: PortKeeper | null;
  readonly #platform: Platform;
  readonly #moved: (protocol: PortProtocol) => void;
  /** Ports on which we listen. */
  readonly #ports: Record<PortProtocol, number>;
  /** Ports outside. */
  readonly #mapped = new Map<PortProtocol, number>();
  #local: readonly LocalAddress[] = [];
  #localAt = -Infinity;

  /**
   * Begins at once, and takes nobody's time.
   *
   * @param address Counts the votes.
   * @param options What it needs.
   */
  constructor(address: ExternalAddress, options: ReachabilityOptions) {
    const { platform, listen, portMap, emit, moved = () => {} } = options;
    this.address = address;
    this.#platform = platform;
    this.#moved = moved;
    this.#ports = { tcp: listen.port, udp: listen.port };
    this.#keeper = !portMap ? null : new PortKeeper(platform, {
      ports: this.#ports,
      ...(!ANY.includes(listen.host) && { bind: listen.host }),
      events: {
        mapped: (protocol, { externalAddress, externalPort }, gateway) => {
          if (externalAddress !== null) this.address.vote("gateway", gateway.host, externalAddress);
          const external = formatAddress({ host: externalAddress ?? "", port: externalPort });
          const message = `${gateway.name} gateway ${gateway.host}`;
          emit({ event: "port_map", infohash: null, status: "ok", protocol, external, message });
          this.#change(protocol, () => this.#mapped.set(protocol, externalPort));
        },
        lost: (protocol) => this.#change(protocol, () => this.#mapped.delete(protocol)),
        failed: (error) => {
          const message = error.where === "" ? error.why : `${error.why} (${error.where})`;
          emit({ event: "port_map", infohash: null, status: "error", protocol: null, external: null, message });
        },
      },
    });
    this.#keeper?.start();
  }

  /** Datagrams come to another port than before, or than the one on which the session listens. */
  setUdpPort(port: number): void {
    this.#change("udp", () => this.#ports.udp = port);
    this.#keeper?.setPort("udp", port);
  }

  /** Whether a gateway forwards a port of its own to us. */
  isMapped(protocol: PortProtocol): boolean {
    return this.#mapped.has(protocol);
  }

  /** The port at which whoever is outside of our networks reaches us over IPv4: the one that the gateway forwards, if it does. */
  portOutside(protocol: PortProtocol): number {
    return this.#mapped.get(protocol) ?? this.#ports[protocol];
  }

  /**
   * The port at which somebody reaches us.
   *
   * @param protocol Which kind of port.
   * @param host A literal address; empty for anybody outside over IPv4. Who is in a network of ours doesn't come through the
   * gateway, and who has an IPv6 address doesn't come to the port that the gateway has for IPv4.
   */
  portFor(protocol: PortProtocol, host: string): number {
    const port = this.#ports[protocol];
    const outside = this.portOutside(protocol);
    return outside === port || canonicalHost(host).includes(":") || isNear(host, this.#localAddresses())
      ? port
      : outside;
  }

  /**
   * Our own address to those outside.
   *
   * @param family Of which kind.
   * @returns Where they connect to, or `null` while the address is not known.
   */
  ownAddress(family: Family): PeerAddress | null {
    const host = this.address.current(family);
    return host === null ? null : { host, port: family === 4 ? this.portOutside("tcp") : this.#ports.tcp };
  }

  /**
   * Removes the mappings.
   *
   * @returns Settles within about a second. Never rejects.
   */
  async stop(): Promise<void> {
    await this.#keeper?.stop();
  }

  #change(protocol: PortProtocol, change: () => void): void {
    const before = this.portOutside(protocol);
    change();
    if (this.portOutside(protocol) !== before) this.#moved(protocol);
  }

  #localAddresses(): readonly LocalAddress[] {
    const now = this.#platform.now();
    if (now - this.#localAt >= LOCAL_LIFE_MS) {
      this.#localAt = now;
      this.#local = this.#platform.net.localAddresses?.() ?? [];
    }
    return this.#local;
  }
}
