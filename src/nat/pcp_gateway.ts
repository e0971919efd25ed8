/**
 * Gateways that speak PCP or NAT-PMP. Both have the same port and know each other's version, so one question tells which
 * it is (RFC 6887 section 9).
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import type { Platform } from "../platform/platform.ts";
import { ask } from "./datagram_request.ts";
import { PortMapError } from "./errors.ts";
import type { Gateway, Mapping, MappingRequest } from "./gateway.ts";
import {
  encodeAddressRequest,
  encodeMappingRequest,
  GATEWAY_PORT,
  type NatPmpReply,
  parseNatPmpReply,
} from "./nat_pmp.ts";
import { answersRequest, encodePcpMap, NONCE_LENGTH, parsePcpReply } from "./pcp.ts";

/**
 * Milliseconds between questions: the first of the schedule of RFC 6886 section 3.1, which goes on to 64 s. A gateway is one
 * hop away, and whoever is silent for 1.75 s has most likely never heard of it.
 */
const WAITS = [250, 500, 1000];

/** Where a gateway is, and where we are. */
export interface GatewayPlace {
  /** The gateway's IPv4 address. */
  readonly gateway: string;
  /** Our own IPv4 address on its network. */
  readonly client: string;
}

/** A gateway that may speak either; which of them is found out by the first mapping. */
export class PcpGateway implements Gateway {
  readonly host: string;
  readonly #platform: Pick<Platform, "after" | "net" | "randomBytes">;
  readonly #client: string;
  /** The same for as long as this lives, since a mapping can be renewed and removed only with its own. */
  readonly #nonce: Bytes;
  #natPmp: boolean | null = null;

  /**
   * @param platform Sockets, time and chance.
   * @param place Where it is.
   */
  constructor(platform: Pick<Platform, "after" | "net" | "randomBytes">, place: GatewayPlace) {
    this.#platform = platform;
    this.host = place.gateway;
    this.#client = place.client;
    this.#nonce = platform.randomBytes(NONCE_LENGTH);
  }

  get name(): string {
    return this.#natPmp === null ? "PCP or NAT-PMP" : this.#natPmp ? "NAT-PMP" : "PCP";
  }

  async map(request: MappingRequest, signal: AbortSignal): Promise<Mapping> {
    if (this.#natPmp !== true) {
      const mapping = await this.#mapPcp(request, signal);
      if (mapping !== null) return mapping;
    }
    return await this.#mapNatPmp(request, signal);
  }

  async unmap(request: MappingRequest, signal: AbortSignal): Promise<void> {
    await this.map({ ...request, lifetime: 0 }, signal);
  }

  /** @returns The mapping, or `null` if it should be asked in NAT-PMP. */
  async #mapPcp(request: MappingRequest, signal: AbortSignal): Promise<Mapping | null> {
    const nonce = this.#nonce;
    const reply = await this.#ask(encodePcpMap(request, { nonce, client: this.#client }), signal, (bytes) => {
      // Version 0, "unsupported version": all that an old gateway says.
      if (bytes.length >= 4 && bytes[0] === 0) return "natPmp";
      const reply = sensible(() => parsePcpReply(bytes));
      return reply !== null && answersRequest(reply, { request, nonce }) ? reply : null;
    });
    if (reply === null && this.#natPmp === false) throw this.#silent();
    this.#natPmp = reply === null ? this.#natPmp : reply === "natPmp";
    if (reply === null || reply === "natPmp") return null;
    const { externalPort, externalAddress, lifetime } = reply;
    return { externalPort, externalAddress, lifetime };
  }

  async #mapNatPmp(request: MappingRequest, signal: AbortSignal): Promise<Mapping> {
    const mapped = await this.#ask(encodeMappingRequest(request), signal, (bytes) => {
      const reply = natPmp(bytes, "mapping");
      const ours = reply?.protocol === request.protocol && reply.internalPort === request.internalPort;
      return ours ? reply : null;
    });
    if (mapped === null) throw this.#silent();
    this.#natPmp = true;
    const { externalPort, lifetime } = mapped;
    if (request.lifetime === 0) return { externalPort, lifetime, externalAddress: null };
    const told = await this.#ask(encodeAddressRequest(), signal, (bytes) => natPmp(bytes, "address"));
    return { externalPort, lifetime, externalAddress: told?.address ?? null };
  }

  async #ask<T>(request: Bytes, signal: AbortSignal, read: (bytes: Uint8Array) => T | null): Promise<T | null> {
    try {
      const to = { host: this.host, port: GATEWAY_PORT };
      return await ask(this.#platform, { host: this.#client, to, request, waits: WAITS, signal, read });
    } catch (error) {
      if (!(error instanceof PortMapError) || error.code === null) throw error;
      throw new PortMapError(error.why, { where: this.host, code: error.code });
    }
  }

  #silent(): PortMapError {
    return new PortMapError("the gateway does not answer", { where: this.host });
  }
}

/** A refusal is an answer, and ends the question; nonsense is not, and the waiting goes on. */
function sensible<T>(parse: () => T): T | null {
  try {
    return parse();
  } catch (error) {
    if (error instanceof PortMapError && error.code === null) return null;
    throw error;
  }
}

function natPmp<K extends NatPmpReply["kind"]>(bytes: Uint8Array, kind: K): Extract<NatPmpReply, { kind: K }> | null {
  const reply = sensible(() => parseNatPmpReply(bytes));
  return reply?.kind === kind ? reply as Extract<NatPmpReply, { kind: K }> : null;
}
