/**
 * Messages of NAT-PMP (RFC 6886).
 *
 * @module
 */

import { formatIp } from "../base/address.ts";
import type { Bytes } from "../base/bytes.ts";
import { plural } from "../base/plural.ts";
import { PortMapError } from "./errors.ts";
import type { MappingRequest, PortProtocol } from "./gateway.ts";

/** UDP port of NAT-PMP and PCP on the gateway. */
export const GATEWAY_PORT = 5351;
const VERSION = 0;
const OP_ADDRESS = 0;
const OP_UDP = 1;
const OP_TCP = 2;
/** Added to the opcode in an answer. */
const ANSWER = 128;

/** Texts of the result codes (section 3.5). */
const RESULTS = [
  "success",
  "it does not speak this version",
  "port mapping is not allowed",
  "it has no address itself",
  "it has no more room for mappings",
  "it does not know the operation",
];

/** A decoded answer. */
export type NatPmpReply =
  | { readonly kind: "address"; readonly address: string }
  | {
    readonly kind: "mapping";
    readonly protocol: PortProtocol;
    readonly internalPort: number;
    readonly externalPort: number;
    /** Lifetime in seconds. */
    readonly lifetime: number;
  };

/** Encodes the request for the external address (section 3.2). */
export function encodeAddressRequest(): Bytes {
  return Uint8Array.of(VERSION, OP_ADDRESS);
}

/** Encodes a mapping request (section 3.3). A lifetime of 0 removes the mapping (section 3.4). */
export function encodeMappingRequest(request: MappingRequest): Bytes {
  const bytes = new Uint8Array(12);
  const view = new DataView(bytes.buffer);
  view.setUint8(1, request.protocol === "udp" ? OP_UDP : OP_TCP);
  view.setUint16(4, request.internalPort);
  view.setUint16(6, request.lifetime === 0 ? 0 : request.externalPort);
  view.setUint32(8, request.lifetime);
  return bytes;
}

/**
 * Decodes an answer.
 *
 * @throws {PortMapError} If the datagram is not NAT-PMP, or is a refusal; `code` is then the result code.
 */
export function parseNatPmpReply(bytes: Uint8Array): NatPmpReply {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 8) throw new PortMapError(`an answer of ${plural(bytes.length, "byte")} is too short for NAT-PMP`);
  if (view.getUint8(0) !== VERSION) throw new PortMapError(`an answer of version ${view.getUint8(0)} is not NAT-PMP`);
  const operation = view.getUint8(1) - ANSWER;
  const result = view.getUint16(2);
  if (operation < OP_ADDRESS) throw new PortMapError(`${view.getUint8(1)} is no answer of NAT-PMP`);
  if (result !== 0) {
    throw new PortMapError(`the gateway says that ${RESULTS[result] ?? `error ${result} happened`}`, { code: result });
  }
  if (operation === OP_ADDRESS && bytes.length >= 12) {
    return { kind: "address", address: formatIp(bytes.subarray(8, 12)) };
  }
  if ((operation === OP_UDP || operation === OP_TCP) && bytes.length >= 16) {
    return {
      kind: "mapping",
      protocol: operation === OP_UDP ? "udp" : "tcp",
      internalPort: view.getUint16(8),
      externalPort: view.getUint16(10),
      lifetime: view.getUint32(12),
    };
  }
  throw new PortMapError(`an answer of ${plural(bytes.length, "byte")} to operation ${operation} is not NAT-PMP`);
}
