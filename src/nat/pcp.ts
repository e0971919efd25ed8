/**
 * MAP messages of the Port Control Protocol (RFC 6887), for IPv4.
 *
 * @module
 */

import { formatIp, parseIp } from "../base/address.ts";
import { type Bytes, equalBytes } from "../base/bytes.ts";
import { plural } from "../base/plural.ts";
import { PortMapError } from "./errors.ts";
import type { MappingRequest, PortProtocol } from "./gateway.ts";

const VERSION = 2;
const OP_MAP = 1;
const ANSWER = 0x80;
const HEADER = 24;
const MAP = 36;
/** Maximum length of a message in bytes (section 7). */
const MAX_LENGTH = 1100;
/** Length of a nonce in bytes (section 11.1). */
export const NONCE_LENGTH = 12;
const PROTOCOLS = { tcp: 6, udp: 17 } as const;
const MAPPED = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/** Texts of the result codes (section 7.4). */
const RESULTS = [
  "success",
  "it does not speak this version",
  "port mapping is not allowed",
  "the request is malformed",
  "it does not know the operation",
  "it does not know the option",
  "the option is malformed",
  "it has no network itself",
  "it has no more room for mappings",
  "it does not map this protocol",
  "this computer has too many mappings",
  "it cannot give that port",
  "the request came by way of another address",
  "there are too many peers",
];

/** A decoded answer. */
export interface PcpReply {
  /** Nonce of the request. */
  readonly nonce: Bytes;
  readonly protocol: PortProtocol;
  readonly internalPort: number;
  readonly externalPort: number;
  /** Literal IP address. */
  readonly externalAddress: string;
  /** Lifetime in seconds. */
  readonly lifetime: number;
}

/** Options for {@linkcode encodePcpMap}. */
export interface PcpMapOptions {
  /** 12 random bytes. Renewing or removing a mapping takes the nonce that created the mapping. */
  readonly nonce: Bytes;
  /** Our IPv4 address as the gateway sees it. */
  readonly client: string;
}

/**
 * Encodes a mapping request (section 11.1). A lifetime of 0 removes the mapping.
 *
 * @throws {RangeError} If `client` is not an IPv4 address.
 */
export function encodePcpMap(
  request: MappingRequest,
  { nonce, client }: PcpMapOptions,
): Bytes {
  const address = parseIp(client);
  if (address?.length !== 4) throw new RangeError(`"${client}" is not an IPv4 address`);
  const bytes = new Uint8Array(HEADER + MAP);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, VERSION);
  view.setUint8(1, OP_MAP);
  view.setUint32(4, request.lifetime);
  bytes.set([...MAPPED, ...address], 8);
  bytes.set(nonce, HEADER);
  view.setUint8(HEADER + 12, PROTOCOLS[request.protocol]);
  view.setUint16(HEADER + 16, request.internalPort);
  view.setUint16(HEADER + 18, request.lifetime === 0 ? 0 : request.externalPort);
  bytes.set(MAPPED, HEADER + 20); // no preferred external address: any IPv4 address
  return bytes;
}

/**
 * Decodes an answer.
 *
 * @throws {PortMapError} If the datagram is not PCP, or is a refusal; `code` is then the result code.
 */
export function parsePcpReply(bytes: Uint8Array): PcpReply {
  if (bytes.length < HEADER || bytes.length > MAX_LENGTH) {
    throw new PortMapError(`an answer of ${plural(bytes.length, "byte")} is not PCP`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint8(0) !== VERSION) throw new PortMapError(`an answer of version ${view.getUint8(0)} is not PCP`);
  if (view.getUint8(1) !== (ANSWER | OP_MAP)) {
    throw new PortMapError(`${view.getUint8(1)} is no answer to a MAP request`);
  }
  const result = view.getUint8(3);
  if (result !== 0) {
    throw new PortMapError(`the gateway says that ${RESULTS[result] ?? `error ${result} happened`}`, { code: result });
  }
  const protocol = view.byteLength < HEADER + MAP ? 0 : view.getUint8(HEADER + 12);
  if (protocol !== PROTOCOLS.tcp && protocol !== PROTOCOLS.udp) {
    throw new PortMapError(`an answer of ${plural(bytes.length, "byte")} for protocol ${protocol} is no mapping`);
  }
  return {
    nonce: bytes.slice(HEADER, HEADER + NONCE_LENGTH),
    protocol: protocol === PROTOCOLS.udp ? "udp" : "tcp",
    internalPort: view.getUint16(HEADER + 16),
    externalPort: view.getUint16(HEADER + 18),
    externalAddress: formatIp(bytes.subarray(HEADER + 20, HEADER + 36)),
    lifetime: view.getUint32(4),
  };
}

/** A request that was sent to a gateway. */
export interface SentPcpRequest {
  /** The mapping that was requested. */
  readonly request: MappingRequest;
  /** The nonce that was sent with the request. */
  readonly nonce: Bytes;
}

/**
 * Returns `true` if an answer belongs to a request. Any host can send a datagram, but only the gateway knows the nonce
 * (section 18.1).
 */
export function answersRequest(reply: PcpReply, { request, nonce }: SentPcpRequest): boolean {
  return equalBytes(reply.nonce, nonce) && reply.protocol === request.protocol &&
    reply.internalPort === request.internalPort;
}
