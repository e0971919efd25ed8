/**
 * Compact node info and compact peer info (BEP 5, BEP 32).
 *
 * @module
 */

import {
  type AddressFamily,
  encodeCompactPeer,
  familyOf,
  parseCompactPeer,
  type PeerAddress,
} from "../base/address.ts";
import { type Bytes, concatBytes } from "../base/bytes.ts";
import { ID_LENGTH } from "./node_id.ts";

/** A node as other nodes report it. */
export interface NodeContact {
  /** Node id, 20 bytes. */
  readonly id: Bytes;
  /** Address and port of the node. */
  readonly address: PeerAddress;
}

/** Options for {@linkcode parseNodes}. */
export interface ParseNodesOptions {
  /** Address family of the list. */
  readonly family: AddressFamily;
  /** Maximum number of nodes to read. */
  readonly limit: number;
}

/**
 * Decodes compact node info: 26 bytes per IPv4 node, 38 per IPv6 node. Nodes with port 0 and an incomplete last entry
 * are skipped.
 *
 * @returns The nodes in order. The result holds no reference to `bytes`.
 */
export function parseNodes(bytes: Uint8Array, options: ParseNodesOptions): NodeContact[] {
  const size = nodeSize(options.family);
  const nodes: NodeContact[] = [];
  for (let at = 0; at + size <= bytes.length && nodes.length < options.limit; at += size) {
    const address = parseCompactPeer(bytes.subarray(at + ID_LENGTH, at + size));
    if (address !== null) nodes.push({ id: new Uint8Array(bytes.subarray(at, at + ID_LENGTH)), address });
  }
  return nodes;
}

/**
 * Encodes compact node info.
 *
 * @param nodes Nodes of one address family.
 * @throws {RangeError} If a node has no literal IP address.
 */
export function encodeNodes(nodes: readonly NodeContact[]): Bytes {
  return concatBytes(nodes.flatMap(({ id, address }) => [id, encodeAddress(address)]));
}

/** Nodes of both families as compact node info, which takes far less memory than an object per node. */
export type PackedNodes = Readonly<Record<AddressFamily, Bytes>>;

/**
 * Encodes nodes of both families.
 *
 * @throws {RangeError} If a node has no literal IP address.
 */
export function packNodes(nodes: readonly NodeContact[]): PackedNodes {
  const of = (family: AddressFamily) => encodeNodes(nodes.filter(({ address }) => familyOf(address.host) === family));
  return { 4: of(4), 6: of(6) };
}

/**
 * Decodes the result of {@linkcode packNodes}.
 *
 * @returns The nodes, IPv4 first.
 */
export function unpackNodes(packed: PackedNodes): NodeContact[] {
  const of = (family: AddressFamily) => parseNodes(packed[family], { family, limit: Infinity });
  return [...of(4), ...of(6)];
}

/**
 * Encodes compact peer info.
 *
 * @param address Literal IP address and port.
 * @returns 6 bytes for IPv4, 18 for IPv6.
 * @throws {RangeError} If the host is not a literal IP address.
 */
export function encodeAddress(address: PeerAddress): Bytes {
  const bytes = encodeCompactPeer(address);
  if (bytes === null) throw new RangeError(`Not a literal address: ${address.host}`);
  return bytes;
}

function nodeSize(family: AddressFamily): number {
  return ID_LENGTH + (family === 4 ? 6 : 18);
}
