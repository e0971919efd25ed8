/**
 * The messages that carry hashes of Merkle trees (BEP 52): `hash request`, `hashes` and `hash reject`.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { MAX_HASHES_ASKED } from "../base/defences.ts";
import { HASH_BYTES, heightOf, isPowerOfTwo, type MerkleRange, proofSteps, rootLayer } from "../base/merkle.ts";
import { WireError } from "./messages.ts";

/** Hashes that are wanted: a range of a layer, and the uncles that prove it. */
export interface HashRequest extends MerkleRange {
  /** Root of the file's tree, 32 bytes. */
  readonly root: Bytes;
  /** Number of layers above `layer` whose uncles are wanted; those that can be computed from the range are left out. */
  readonly proofLayers: number;
}

/** Hashes that a peer sent. */
export interface Hashes extends HashRequest {
  /** The hashes of the range, padding included. */
  readonly hashes: Bytes;
  /** The uncles, from the range's own root upwards. */
  readonly uncles: Bytes;
}

/** Length of a request without the message id, in bytes; `hashes` begins with the same fields. */
export const HASH_REQUEST_LENGTH = HASH_BYTES + 4 * 4;

/**
 * Encodes the payload of `hash request` or `hash reject`.
 *
 * @returns The bytes after the message id.
 */
export function encodeHashRequest(request: HashRequest): Bytes {
  const payload = new Uint8Array(HASH_REQUEST_LENGTH);
  writeRequest(payload, request);
  return payload;
}

/**
 * Parses the payload of `hash request` or `hash reject`. Whether there are such hashes, {@linkcode faultOfRequest} tells.
 *
 * @param payload The bytes after the message id.
 * @returns The request. Its root is a view of the payload.
 * @throws {WireError} If the payload has another length.
 */
export function parseHashRequest(payload: Bytes): HashRequest {
  if (payload.length !== HASH_REQUEST_LENGTH) {
    throw new WireError(`a hash request has ${payload.length} bytes, not ${HASH_REQUEST_LENGTH}`);
  }
  return readRequest(payload);
}

/**
 * Encodes the payload of `hashes`.
 *
 * @param request The request that is answered.
 * @param proof The hashes of the range and their uncles, as `MerkleHasher.prove()` returns them.
 * @returns The bytes after the message id.
 */
export function encodeHashes(request: HashRequest, proof: Uint8Array): Bytes {
  const payload = new Uint8Array(HASH_REQUEST_LENGTH + proof.length);
  writeRequest(payload, request);
  payload.set(proof, HASH_REQUEST_LENGTH);
  return payload;
}

/**
 * Parses the payload of `hashes`. Nothing is proven by it yet.
 *
 * @param payload The bytes after the message id.
 * @returns The hashes. They are views of the payload.
 * @throws {WireError} If the payload is too short, or has not as many hashes as its fields say.
 */
export function parseHashes(payload: Bytes): Hashes {
  if (payload.length < HASH_REQUEST_LENGTH) {
    throw new WireError(`hashes has ${payload.length} bytes, at least ${HASH_REQUEST_LENGTH} are expected`);
  }
  const request = readRequest(payload);
  const { count } = request;
  if (!isPowerOfTwo(count)) throw new WireError(`hashes has a range of ${count} hashes, which is no power of two`);
  const bytes = payload.length - HASH_REQUEST_LENGTH;
  const expected = (count + proofSteps(request)) * HASH_BYTES;
  if (bytes !== expected) throw new WireError(`hashes has ${bytes} bytes of hashes, not ${expected}`);
  const end = HASH_REQUEST_LENGTH + count * HASH_BYTES;
  return { ...request, hashes: payload.subarray(HASH_REQUEST_LENGTH, end), uncles: payload.subarray(end) };
}

/**
 * Returns why a file has no such hashes, or `null` if it has.
 *
 * @param request The request. Its root is not looked at.
 * @param length Length of the file in bytes, at least 1.
 */
export function faultOfRequest({ layer, index, count, proofLayers }: HashRequest, length: number): string | null {
  const height = rootLayer(length);
  if (layer >= height) return `there is no layer ${layer} below a root in layer ${height}`;
  if (count < 2 || count > MAX_HASHES_ASKED || !isPowerOfTwo(count)) {
    return `a range has a power of two from 2 to ${MAX_HASHES_ASKED} hashes, not ${count}`;
  }
  if (index % count !== 0) return `a range of ${count} hashes does not begin at ${index}`;
  const width = 2 ** (height - layer);
  if (index + count > width) return `layer ${layer} has ${width} hashes, the range ends at ${index + count}`;
  if (proofLayers >= height - layer) return `there are no ${proofLayers} layers between layer ${layer} and the root`;
  return null;
}

/**
 * Returns the number of layers to ask for so that the uncles lead from a range to a trusted hash.
 *
 * @param range The range.
 * @param trusted Layer of the trusted hash, above the range's own root or equal to it.
 */
export function proofLayersTo({ layer, count }: MerkleRange, trusted: number): number {
  const own = layer + heightOf(count);
  return trusted > own ? trusted - layer - 1 : 0;
}

function writeRequest(payload: Bytes, { root, layer, index, count, proofLayers }: HashRequest): void {
  payload.set(root, 0);
  const view = new DataView(payload.buffer, payload.byteOffset);
  for (const [i, field] of [layer, index, count, proofLayers].entries()) view.setUint32(HASH_BYTES + 4 * i, field);
}

function readRequest(payload: Bytes): HashRequest {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  return {
    root: payload.subarray(0, HASH_BYTES),
    layer: view.getUint32(HASH_BYTES),
    index: view.getUint32(HASH_BYTES + 4),
    count: view.getUint32(HASH_BYTES + 8),
    proofLayers: view.getUint32(HASH_BYTES + 12),
  };
}
