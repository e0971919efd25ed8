/**
 * Keeps the listening port mapped for as long as the session runs.
 *
 * @module
 */

import { messageOf } from "../base/errors.ts";
import { isPrivate } from "../base/networks.ts";
import type { Timer } from "../platform/platform.ts";
import { PortMapError } from "./errors.ts";
import { findGateway, type NatPlatform } from "./find_gateway.ts";
import type { Gateway, Mapping, MappingRequest, PortProtocol } from "./gateway.ts";

/** Seconds for which a mapping is asked: what a crash leaves behind is gone after an hour. */
const LIFETIME = 3_600;
/** Part of a mapping's lifetime after which it is renewed (RFC 6886 section 3.3). */
const RENEW_AT = 0.5;
/** Seconds between two renewals, at least and at most; a mapping for good is looked after, too, since gateways restart. */
const MIN_RENEW = 60;
const MAX_RENEW = LIFETIME;
/** Seconds until the next try after so many failures in a row; the last one holds for all that follow. */
const RETRY = [60, 300, 900, 3_600];
/** Milliseconds that removing the mappings may take. */
const REMOVE_MS = 1_000;
const PROTOCOLS: readonly PortProtocol[] = ["tcp", "udp"];

/** What a {@linkcode PortKeeper} is to do. */
export interface PortKeeperOptions {
  /** The ports on which we listen. */
  readonly ports: Readonly<Record<PortProtocol, number>>;
  /** The one address on which we listen; absent for all. */
  readonly bind?: string;
  /** Is told what happens. */
  readonly events: PortKeeperEvents;
}

/** What happened. */
export interface PortKeeperEvents {
  /** A port is mapped, or is now another one than before. Renewals that change nothing are not told. */
  mapped(protocol: PortProtocol, mapping: Mapping, gateway: Gateway): void;
  /** A port that was mapped is so no more: it couldn't be renewed before its time was over. */
  lost(protocol: PortProtocol): void;
  /** It does not work; told again only when the reason is another. */
  failed(error: PortMapError): void;
}

/** Has the gateway send to us what comes to a port of its own, TCP and UDP. */
export class PortKeeper {
  readonly #platform: NatPlatform;
  readonly #ports: Record<PortProtocol, number>;
  readonly #bind: string | undefined;
  readonly #events: PortKeeperEvents;
  readonly #stop = new AbortController();
  /** Gateways that may hold a mapping of ours, and for which protocols. */
  readonly #held = new Map<Gateway, Set<PortProtocol>>();
  readonly #told = new Map<PortProtocol, string>();
  /** When what is mapped ends unless it is renewed, in milliseconds. */
  readonly #until = new Map<PortProtocol, number>();
  /** The ports outside that were granted last: asked for again, so that others find us where we were. */
  readonly #granted = new Map<PortProtocol, number>();
  #gateway: Gateway | null = null;
  #failures = 0;
  #problem = "";
  #timer: Timer | null = null;
  #round: Promise<void> | null = null;

  /**
   * @param platform The outside.
   * @param options What to do.
   */
  constructor(platform: NatPlatform, options: PortKeeperOptions) {
    this.#platform = platform;
    this.#ports = { ...options.ports };
    this.#bind = options.bind;
    this.#events = options.events;
  }

  /** Begins, unless we listen on an address that no gateway could send to. Harmless when called again. */
  start(): void {
    if (this.#round !== null || this.#stop.signal.aborted) return;
    if (this.#bind !== undefined && !isPrivate(this.#bind)) return;
    this.#begin();
  }

  /**
   * We listen on another port than before: has that one mapped, and not the other one any more.
   *
   * @param protocol Which kind of port.
   * @param port The new one.
   */
  setPort(protocol: PortProtocol, port: number): void {
    if (this.#ports[protocol] === port) return;
    const before = this.#request(protocol);
    this.#ports[protocol] = port;
    if (this.#round === null) return;
    this.#round = this.#round.then(() => this.#forget(before)).then(() => this.#mapAll())
      .catch((error) => this.#failed(error));
  }

  /** Removes a mapping; what a gateway doesn't remove runs out. */
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
   * Removes what was mapped.
   *
   * @returns Settles when it is removed or a second has passed. Never rejects.
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
          // Whoever was silent until now would be silent when it is to remove something, too.
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

  /** Nobody is between us and the outside, any more: what was mapped in another network leads nowhere. */
  #unneeded(): void {
    this.#lose(() => true);
    this.#again(MAX_RENEW);
  }

  #failed(error: unknown): void {
    if (this.#stop.signal.aborted) return;
    // Another gateway may be there by then, or the same with another address.
    this.#gateway = null;
    const known = error instanceof PortMapError ? error : new PortMapError(messageOf(error), { cause: error });
    if (known.message !== this.#problem) this.#events.failed(known);
    this.#problem = known.message;
    const now = this.#platform.now();
    this.#lose((until) => until <= now);
    const retry = RETRY[Math.min(this.#failures++, RETRY.length - 1)]!;
    // No later than when a mapping ends: nobody is to be told for an hour of a port that leads nowhere.
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

  /** From before the request on, since one that is not answered may have been granted. */
  #hold(gateway: Gateway, protocol: PortProtocol): void {
    const held = this.#held.get(gateway) ?? new Set();
    this.#held.set(gateway, held.add(protocol));
  }

  #tell(protocol: PortProtocol, mapping: Mapping, gateway: Gateway): void {
    // A gateway that was switched off forgets those that it made for good, too.
    this.#until.set(protocol, this.#platform.now() + Math.min(mapping.lifetime, MAX_RENEW) * 1000);
    this.#granted.set(protocol, mapping.externalPort);
    const key = `${gateway.name} ${mapping.externalAddress} ${mapping.externalPort}`;
    if (this.#told.get(protocol) === key) return;
    this.#told.set(protocol, key);
    this.#events.mapped(protocol, mapping, gateway);
  }

  #request(protocol: PortProtocol): MappingRequest {
    const internalPort = this.#ports[protocol];
    // The same port for both protocols where it can be, since many take them for one.
    const other = this.#ports.tcp === this.#ports.udp ? this.#granted.get("tcp") : undefined;
    const externalPort = this.#granted.get(protocol) ?? other ?? internalPort;
    return { protocol, internalPort, externalPort, lifetime: LIFETIME };
  }
}
