/**
 * What gzip made small, in full again.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { readLimited } from "./read_limited.ts";

/**
 * Whether bytes claim to be gzip (RFC 1952).
 *
 * @param bytes Any bytes.
 * @returns Whether they begin as it does.
 */
export function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/**
 * Unpacks gzip.
 *
 * @param packed What was packed.
 * @param maxBytes Most bytes that may come of it: a kilobyte can stand for a megabyte, a hundred megabytes for all memory.
 * @returns All of it, or `null` when there is more than that.
 * @throws {TypeError} If it is not gzip, or broken.
 */
export async function gunzip(packed: Bytes, maxBytes: number): Promise<Bytes | null> {
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return await readLimited(stream, maxBytes);
}
