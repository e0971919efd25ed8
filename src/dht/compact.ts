/**
 * Nodes and peers as bytes (BEP 5, BEP 32).
 *
 * @module
 */

import { encodeCompactPeer, parseCompactPeer, type PeerAddress } from "../base/address.ts";
import { type Bytes, concatBytes } from "../base/bytes.ts";
import { type Family, familyOf } from "./hosts.ts";
import { ID_LENGTH } from "./node_id.ts";

/** A node as others tell of it. */
export interface NodeContact {
  /** 20 bytes. */
  readonly id: Bytes;
  /** Where it is. */
  readonly address: PeerAddress;
}

/** Options for {@linkcode parseNodes}. */
export interface ParseNodesOptions {
  /** Address family of the list. */
  readonly family: Family;
  /** Maximum number of nodes to read. */
  readonly limit: number;
}

/**
 * The nodes in a compact list: 26 bytes each for IPv4, 38 for IPv6. Port 0 is left out; a broken tail is ignored.
 *
 * @param bytes The list.
 * @param options `family`: which kind of address it holds. `limit`: how many to take.
 * @returns The nodes in order; they don't hold on to `bytes`.
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
 * @param nodes Nodes of one family.
 * @returns The compact list.
 * @throws {RangeError} If there is one without a literal address.
 */
export function encodeNodes(nodes: readonly NodeContact[]): Bytes {
  return concatBytes(nodes.flatMap(({ id, address }) => [id, encodeAddress(address)]));
}

/** Nodes of both families as bytes, for those who keep many. */
export type PackedNodes = Readonly<Record<Family, Bytes>>;

/**
 * @param nodes Nodes of both families.
 * @returns The nodes of each family as bytes.
 * @throws {RangeError} If there is one without a literal address.
 */
export function packNodes(nodes: readonly NodeContact[]): PackedNodes {
  const of = (family: Family) => encodeNodes(nodes.filter(({ address }) => familyOf(address.host) === family));
  return { 4: of(4), 6: of(6) };
}

/**
 * @param packed What {@linkcode packNodes} gave.
 * @returns The nodes, those of IPv4 first.
 */
export function unpackNodes(packed: PackedNodes): NodeContact[] {
  const of = (family: Family) => parseNodes(packed[family], { family, limit: Infinity });
  return [...of(4), ...of(6)];
}

/**
 * @param address A literal address and a port.
 * @returns 6 or 18 bytes.
 * @throws {RangeError} If the host is not a literal address.
 */
export function encodeAddress(address: PeerAddress): Bytes {
  const bytes = encodeCompactPeer(address);
  if (bytes === null) throw new RangeError(`Not a literal address: ${address.host}`);
  return bytes;
}

function nodeSize(family: Family): number {
  return ID_LENGTH + (family === 4 ? 6 : 18);
}
