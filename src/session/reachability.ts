/**
 * How others reach us: the port that the gateway maps, and the address outside.
 *
 * @module
 */

import { formatAddress, type PeerAddress } from "../base/address.ts";
import { isNear } from "../base/networks.ts";
import { PortKeeper, type PortProtocol } from "../nat/mod.ts";
import type { Platform } from "../platform/platform.ts";
import { ExternalAddress } from "./external_address.ts";
import type { PortMapEvent } from "./types.ts";

/** What it needs. */
export interface ReachabilityOptions {
  /** The outside. */
  readonly platform: Platform;
  /** Where the session listens. */
  readonly listen: PeerAddress;
  /** Whether to have the port mapped. */
  readonly portMap: boolean;
  /** Takes what happens. */
  readonly emit: (event: PortMapEvent) => void;
  /** The port at which others reach us is another one. */
  readonly moved?: () => void;
}

/** Wildcards: everything that the computer has. */
const ANY = ["0.0.0.0", "::"];

/** Makes the session reachable, and knows where it is. */
export class Reachability {
  /** Our address outside. */
  readonly address: ExternalAddress;
  readonly #keeper: PortKeeper | null;
  readonly #platform: Platform;
  readonly #listen: PeerAddress;
  /** Ports outside. */
  readonly #mapped = new Map<PortProtocol, number>();

  /**
   * Begins at once, and takes nobody's time.
   *
   * @param address Counts the votes.
   * @param options What it needs.
   */
  constructor(address: ExternalAddress, { platform, listen, portMap, emit, moved }: ReachabilityOptions) {
    this.address = address;
    this.#platform = platform;
    this.#listen = listen;
    const map = (protocol: PortProtocol, port: number | null) => {
      const before = this.portOutside(protocol);
      if (port === null) this.#mapped.delete(protocol);
      else this.#mapped.set(protocol, port);
      if (this.portOutside(protocol) !== before) moved?.();
    };
    this.#keeper = !portMap ? null : new PortKeeper(platform, {
      port: listen.port,
      ...(!ANY.includes(listen.host) && { bind: listen.host }),
      events: {
        mapped: (protocol, { externalAddress, externalPort }, gateway) => {
          if (externalAddress !== null) this.address.vote("gateway", gateway.host, externalAddress);
          const external = formatAddress({ host: externalAddress ?? "", port: externalPort });
          const message = `${gateway.name} gateway ${gateway.host}`;
          emit({ event: "port_map", infohash: null, status: "ok", protocol, external, message });
          map(protocol, externalPort);
        },
        lost: (protocol) => map(protocol, null),
        failed: (error) => {
          const message = error.where === "" ? error.why : `${error.why} (${error.where})`;
          emit({ event: "port_map", infohash: null, status: "error", protocol: null, external: null, message });
        },
      },
    });
    this.#keeper?.start();
  }

  /** Whether a gateway forwards a port of its own to us. */
  isMapped(protocol: PortProtocol): boolean {
    return this.#mapped.has(protocol);
  }

  /** The port at which whoever is outside of our networks reaches us: the one that the gateway forwards, if it does. */
  portOutside(protocol: PortProtocol): number {
    return this.#mapped.get(protocol) ?? this.#listen.port;
  }

  /**
   * The port at which somebody reaches us.
   *
   * @param protocol Which kind of port.
   * @param host A literal address; who is in a network of ours doesn't come through the gateway.
   */
  portFor(protocol: PortProtocol, host: string): number {
    const { port } = this.#listen;
    const outside = this.portOutside(protocol);
    return outside === port || isNear(host, this.#platform.net.localAddresses?.() ?? []) ? port : outside;
  }

  /**
   * Removes the mappings.
   *
   * @returns Settles within about a second. Never rejects.
   */
  async stop(): Promise<void> {
    await this.#keeper?.stop();
  }
}
