/**
 * Keeps the listening ports mapped while the session runs.
 *
 * @module
 */

import { messageOf } from "../base/errors.ts";
import { isPrivate } from "../base/networks.ts";
import type { Timer } from "../platform/platform.ts";
import { PortMapError } from "./errors.ts";
import { findGateway, type NatPlatform } from "./find_gateway.ts";
import type { Gateway, Mapping, MappingRequest, PortProtocol } from "./gateway.ts";

/** Requested lifetime in seconds. A mapping that a crash leaves behind is gone after an hour. */
const LIFETIME = 3_600;
/** Fraction of a mapping's lifetime after which it is renewed (RFC 6886, section 3.3). */
const RENEW_AT = 0.5;
/** Minimum and maximum seconds between two renewals. Permanent mappings are renewed too, since gateways restart. */
const MIN_RENEW = 60;
const MAX_RENEW = LIFETIME;
/** Seconds until the next attempt, by number of consecutive failures. The last value applies to all later failures. */
const RETRY = [60, 300, 900, 3_600];
/** Milliseconds that removing the mappings may take. */
const REMOVE_MS = 1_000;
const PROTOCOLS: readonly PortProtocol[] = ["tcp", "udp"];

/** Options for {@linkcode PortKeeper}. */
export interface PortKeeperOptions {
  /** Listening port by protocol. */
  readonly ports: Readonly<Record<PortProtocol, number>>;
  /** The only local address on which we listen. All when absent. */
  readonly bind?: string;
  /** Callbacks. */
  readonly events: PortKeeperEvents;
}

/** Callbacks of a {@linkcode PortKeeper}. */
export interface PortKeeperEvents {
  /** A port has been mapped, or mapped differently. Not called for a renewal that changes nothing. */
  mapped(protocol: PortProtocol, mapping: Mapping, gateway: Gateway): void;
  /** A mapping has expired without being renewed, or is no longer needed. */
  lost(protocol: PortProtocol): void;
  /** Mapping has failed. Called again only when the reason changes. */
  failed(error: PortMapError): void;
}

/** Keeps the TCP and the UDP listening port mapped on the gateway. */
export class PortKeeper {
  readonly #platform: NatPlatform;
  readonly #ports: Record<PortProtocol, number>;
  readonly #bind: string | undefined;
  readonly #events: PortKeeperEvents;
  readonly #stop = new AbortController();
  /** Gateways that may hold a mapping of ours, and for which protocols. */
  readonly #held = new Map<Gateway, Set<PortProtocol>>();
  readonly #told = new Map<PortProtocol, string>();
  /** Time when a mapping expires unless renewed, in milliseconds, by protocol. */
  readonly #until = new Map<PortProtocol, number>();
  /** External port granted last, by protocol. Requested again, so that peers find us at the same port. */
  readonly #granted = new Map<PortProtocol, number>();
  #gateway: Gateway | null = null;
  #failures = 0;
  #problem = "";
  #timer: Timer | null = null;
  #round: Promise<void> | null = null;

  constructor(platform: NatPlatform, options: PortKeeperOptions) {
    this.#platform = platform;
    this.#ports = { ...options.ports };
    this.#bind = options.bind;
    this.#events = options.events;
  }

  /** Starts mapping, unless we listen on an address that no gateway can forward to. Does nothing if already started. */
  start(): void {
    if (this.#round !== null || this.#stop.signal.aborted) return;
    if (this.#bind !== undefined && !isPrivate(this.#bind)) return;
    this.#begin();
  }

  /** Changes the listening port. Maps the new port and removes the mapping of the old one. */
  setPort(protocol: PortProtocol, port: number): void {
    if (this.#ports[protocol] === port) return;
    const before = this.#request(protocol);
    this.#ports[protocol] = port;
    if (this.#round === null) return;
    this.#round = this.#round.then(() => this.#forget(before)).then(() => this.#mapAll())
      .catch((error) => this.#failed(error));
  }

  /** Removes a mapping. If the gateway fails to remove it, the mapping expires. */
  async #forget(request: MappingRequest): Promise<void> {
    this.#timer?.cancel();
    if (this.#until.has(request.protocol)) this.#until.set(request.protocol, this.#platform.now());
    for (const [gateway, protocols] of this.#held) {
      if (!protocols.has(request.protocol)) continue;
      try {
        await gateway.unmap(request, this.#stop.signal);
      } catch (error) {
        if (!(error instanceof PortMapError)) throw error;
      }
    }
  }

  /**
   * Stops, and removes all mappings.
   *
   * @returns Resolves when the mappings are removed or one second has passed. Never rejects.
   */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#timer?.cancel();
    const late = new AbortController();
    const timer = this.#platform.after(REMOVE_MS, () => late.abort());
    const expired = new Promise<void>((resolve) => late.signal.addEventListener("abort", () => resolve()));
    const removed = (async () => {
      await this.#round;
      await Promise.allSettled(
        [...this.#held].flatMap(([gateway, protocols]) =>
          [...protocols].map((protocol) => gateway.unmap(this.#request(protocol), late.signal))
        ),
      );
    })();
    await Promise.race([removed, expired]);
    timer.cancel();
  }

  #begin(): void {
    this.#round = this.#mapAll().catch((error) => this.#failed(error));
  }

  /** Maps or renews every port. */
  async #mapAll(): Promise<void> {
    const signal = this.#stop.signal;
    const lifetimes: number[] = [];
    for (const protocol of PROTOCOLS) {
      let mapping: Mapping;
      if (this.#gateway === null) {
        const tried: Gateway[] = [];
        const found = await findGateway(this.#platform, this.#request(protocol), {
          ...(this.#bind !== undefined && { bind: this.#bind }),
          signal,
          trying: (gateway) => {
            tried.push(gateway);
            this.#hold(gateway, protocol);
          },
        }).finally(() => {
          // A gateway that did not answer now would not answer a removal either.
          if (!signal.aborted) { for (const gateway of tried) this.#held.delete(gateway); }
        });
        if (found === null) return this.#unneeded();
        this.#hold(found.gateway, protocol);
        this.#gateway = found.gateway;
        mapping = found.mapping;
      } else {
        this.#hold(this.#gateway, protocol);
        mapping = await this.#gateway.map(this.#request(protocol), signal);
      }
      if (signal.aborted) return;
      lifetimes.push(mapping.lifetime);
      this.#tell(protocol, mapping, this.#gateway);
    }
    this.#failures = 0;
    this.#problem = "";
    this.#again(Math.min(MAX_RENEW, Math.max(MIN_RENEW, Math.min(...lifetimes) * RENEW_AT)));
  }

  /** Called when our own address is public: a mapping made in another network no longer leads to us. */
  #unneeded(): void {
    this.#lose(() => true);
    this.#again(MAX_RENEW);
  }

  #failed(error: unknown): void {
    if (this.#stop.signal.aborted) return;
    // At the next attempt there may be another gateway, or the gateway may have another address.
    this.#gateway = null;
    const known = error instanceof PortMapError ? error : new PortMapError(messageOf(error), { cause: error });
    if (known.message !== this.#problem) this.#events.failed(known);
    this.#problem = known.message;
    const now = this.#platform.now();
    this.#lose((until) => until <= now);
    const retry = RETRY[Math.min(this.#failures++, RETRY.length - 1)]!;
    // Retry no later than a mapping expires, so that an expired port is not announced for up to an hour.
    this.#again(Math.min(retry, ...[...this.#until.values()].map((until) => Math.ceil((until - now) / 1000))));
  }

  #lose(isOver: (until: number) => boolean): void {
    for (const [protocol, until] of this.#until) {
      if (!isOver(until)) continue;
      this.#until.delete(protocol);
      this.#told.delete(protocol);
      this.#events.lost(protocol);
    }
  }

  #again(seconds: number): void {
    if (this.#stop.signal.aborted) return;
    this.#timer = this.#platform.after(seconds * 1000, () => this.#begin());
  }

  /** Notes a gateway before the request is sent, since a request without an answer may have been granted. */
  #hold(gateway: Gateway, protocol: PortProtocol): void {
    const held = this.#held.get(gateway) ?? new Set();
    this.#held.set(gateway, held.add(protocol));
  }

  #tell(protocol: PortProtocol, mapping: Mapping, gateway: Gateway): void {
    // A gateway that was switched off has lost its permanent mappings as well.
    this.#until.set(protocol, this.#platform.now() + Math.min(mapping.lifetime, MAX_RENEW) * 1000);
    this.#granted.set(protocol, mapping.externalPort);
    const key = `${gateway.name} ${mapping.externalAddress} ${mapping.externalPort}`;
    if (this.#told.get(protocol) === key) return;
    this.#told.set(protocol, key);
    this.#events.mapped(protocol, mapping, gateway);
  }

  #request(protocol: PortProtocol): MappingRequest {
    const internalPort = this.#ports[protocol];
    // Request the same external port for both protocols, since many clients assume that TCP and UDP share a port.
    const other = this.#ports.tcp === this.#ports.udp ? this.#granted.get("tcp") : undefined;
    const externalPort = this.#granted.get(protocol) ?? other ?? internalPort;
    return { protocol, internalPort, externalPort, lifetime: LIFETIME };
  }
}
