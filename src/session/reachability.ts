/**
 * Tracks our external address and ports, which differ from the local ones when a gateway maps them. Everything that
 * tells other hosts where we are uses it: trackers, the DHT, the extension handshake (BEP 10), and peer priority (BEP
 * 40).
 *
 * @module
 */

import { type AddressFamily, canonicalHost, formatAddress, type PeerAddress } from "../base/address.ts";
import { isNear } from "../base/networks.ts";
import { PortKeeper, type PortProtocol } from "../nat/mod.ts";
import type { LocalAddress, Platform } from "../platform/platform.ts";
import type { PortSource } from "../swarm/mod.ts";
import type { ExternalAddress } from "./external_address.ts";
import type { PortMapEvent } from "./session_events.ts";

/** Options for {@linkcode Reachability}. */
export interface ReachabilityOptions {
  /** System services. */
  readonly platform: Platform;
  /** Address on which the session listens. */
  readonly listen: PeerAddress;
  /** `true` to have a gateway map the ports. */
  readonly portMap: boolean;
  /** Called with the events of the port mapping. */
  readonly emit: (event: PortMapEvent) => void;
  /** Called when the external port of a protocol changes. */
  readonly moved?: (protocol: PortProtocol) => void;
}

/** Listen addresses that stand for all of the computer's addresses. */
const ANY = ["0.0.0.0", "::"];
/** Milliseconds for which this machine's addresses are cached, because the system is slow to list them. */
const LOCAL_LIFE_MS = 10_000;

/** Keeps the session's ports mapped, and knows under which address and ports it can be reached. */
export class Reachability {
  /** Our external address. */
  readonly address: ExternalAddress;
  readonly #keeper: PortKeeper | null;
  readonly #platform: Platform;
  readonly #moved: (protocol: PortProtocol) => void;
  /** Local ports. */
  readonly #ports: Record<PortProtocol, number>;
  /** External ports of mapped protocols. */
  readonly #mapped = new Map<PortProtocol, number>();
  /** What the last event of the port mapping said; empty before the first. */
  #message = "";
  #hasFailed = false;
  #local: readonly LocalAddress[] = [];
  #localAt = -Infinity;

  /**
   * Starts mapping the ports in the background.
   *
   * @param address Our external address, as the votes determine it.
   * @param options See {@linkcode ReachabilityOptions}.
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
          this.#message = message;
          this.#hasFailed = false;
          emit({ event: "port_map", infohash: null, status: "ok", protocol, external, message });
          this.#change(protocol, () => this.#mapped.set(protocol, externalPort));
        },
        lost: (protocol) => this.#change(protocol, () => this.#mapped.delete(protocol)),
        failed: (error) => {
          const message = error.where === "" ? error.why : `${error.why} (${error.where})`;
          this.#message = message;
          this.#hasFailed = true;
          emit({ event: "port_map", infohash: null, status: "error", protocol: null, external: null, message });
        },
      },
    });
    this.#keeper?.start();
  }

  /** Called when the local UDP port changes, or differs from the TCP port. */
  setUdpPort(port: number): void {
    this.#change("udp", () => this.#ports.udp = port);
    this.#keeper?.setPort("udp", port);
  }

  /** Returns the ports and how their mapping goes, for display. */
  source(): PortSource {
    const external = this.#mapped.get("tcp");
    const mapping = external !== undefined
      ? "mapped"
      : this.#keeper === null
      ? "off"
      : this.#hasFailed
      ? "failed"
      : "asking";
    return {
      ...this.#ports,
      mapping,
      external: external === undefined ? null : formatAddress({ host: this.address.current(4) ?? "", port: external }),
      message: this.#message,
    };
  }

  /** Returns `true` if a gateway forwards an external port to us. */
  isMapped(protocol: PortProtocol): boolean {
    return this.#mapped.has(protocol);
  }

  /** Returns the port for IPv4 hosts outside our networks: the external port if a gateway maps it. */
  portOutside(protocol: PortProtocol): number {
    return this.#mapped.get(protocol) ?? this.#ports[protocol];
  }

  /**
   * Returns the port under which a host reaches us.
   *
   * @param protocol TCP or UDP.
   * @param host A literal address; empty for any IPv4 host outside our networks. Hosts in our own networks don't come
   * through the gateway, and the gateway's port is for IPv4 only, so these and IPv6 hosts get the local port.
   */
  portFor(protocol: PortProtocol, host: string): number {
    const port = this.#ports[protocol];
    const outside = this.portOutside(protocol);
    return outside === port || canonicalHost(host).includes(":") || isNear(host, this.#localAddresses())
      ? port
      : outside;
  }

  /**
   * Returns our own external address.
   *
   * @returns External address and TCP port, or `null` while the address is unknown.
   */
  ownAddress(family: AddressFamily): PeerAddress | null {
    const host = this.address.current(family);
    return host === null ? null : { host, port: family === 4 ? this.portOutside("tcp") : this.#ports.tcp };
  }

  /**
   * Removes the mappings.
   *
   * @returns Resolves within about a second. Never rejects.
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
