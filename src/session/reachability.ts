/**
 * How others reach us: the port that the gateway maps, and the address outside.
 *
 * @module
 */

import { formatAddress, type PeerAddress } from "../base/address.ts";
import { PortKeeper } from "../nat/mod.ts";
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
}

/** Wildcards: everything that the computer has. */
const ANY = ["0.0.0.0", "::"];

/** Makes the session reachable, and knows where it is. */
export class Reachability {
  /** Our address outside. */
  readonly address: ExternalAddress;
  readonly #keeper: PortKeeper | null;

  /**
   * Begins at once, and takes nobody's time.
   *
   * @param address Counts the votes.
   * @param options What it needs.
   */
  constructor(address: ExternalAddress, { platform, listen, portMap, emit }: ReachabilityOptions) {
    this.address = address;
    this.#keeper = !portMap ? null : new PortKeeper(platform, {
      port: listen.port,
      ...(!ANY.includes(listen.host) && { bind: listen.host }),
      events: {
        mapped: (protocol, { externalAddress, externalPort }, gateway) => {
          if (externalAddress !== null) this.address.vote("gateway", gateway.host, externalAddress);
          const external = formatAddress({ host: externalAddress ?? "", port: externalPort });
          const message = `${gateway.name} gateway ${gateway.host}`;
          emit({ event: "port_map", infohash: null, status: "ok", protocol, external, message });
        },
        failed: (error) => {
          const message = error.where === "" ? error.why : `${error.why} (${error.where})`;
          emit({ event: "port_map", infohash: null, status: "error", protocol: null, external: null, message });
        },
      },
    });
    this.#keeper?.start();
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
