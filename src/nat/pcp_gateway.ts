/**
 * Gateways that speak PCP or NAT-PMP. Both use the same port and answer the other's version, so one request tells them
 * apart (RFC 6887, section 9).
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import type { Platform } from "../platform/platform.ts";
import { sendRequest } from "./datagram_request.ts";
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
 * Milliseconds between transmissions: the start of the schedule in RFC 6886, section 3.1, which goes on to 64 s. A
 * gateway is one hop away, and one that has not answered within 1.75 s most likely does not speak the protocol.
 */
const WAITS = [250, 500, 1000];

/** Addresses of a gateway and of this machine. */
export interface GatewayPlace {
  /** IPv4 address of the gateway. */
  readonly gateway: string;
  /** Our own IPv4 address on the gateway's network. */
  readonly client: string;
}

/** A gateway that speaks PCP or NAT-PMP. The first mapping finds out which. */
export class PcpGateway implements Gateway {
  readonly host: string;
  readonly #platform: Pick<Platform, "after" | "net" | "randomBytes">;
  readonly #client: string;
  /** Nonce of all requests. Renewing or removing a mapping takes the nonce that created the mapping. */
  readonly #nonce: Bytes;
  #natPmp: boolean | null = null;

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

  /** Requests a mapping with PCP. Returns `null` if NAT-PMP should be tried. */
  async #mapPcp(request: MappingRequest, signal: AbortSignal): Promise<Mapping | null> {
    const nonce = this.#nonce;
    const reply = await this.#ask(encodePcpMap(request, { nonce, client: this.#client }), signal, (bytes) => {
      // An old gateway answers every PCP request with version 0, "unsupported version".
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
      return await sendRequest(this.#platform, { host: this.#client, to, request, waits: WAITS, signal, read });
    } catch (error) {
      if (!(error instanceof PortMapError) || error.code === null) throw error;
      throw new PortMapError(error.why, { where: this.host, code: error.code });
    }
  }

  #silent(): PortMapError {
    return new PortMapError("the gateway does not answer", { where: this.host });
  }
}

/** Decodes a datagram. A refusal is thrown and ends the request; an invalid datagram is ignored and returns `null`. */
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
