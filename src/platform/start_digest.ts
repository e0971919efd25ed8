/**
 * Incremental digests, for the main thread and workers.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { nodeCrypto } from "./node_modules.ts";
import type { Digest } from "./platform.ts";

/** Starts a digest of data that arrives in parts, computed on the caller's thread. */
export function startDigest(algorithm: "sha1" | "sha256"): Digest {
  const hash = nodeCrypto().createHash(algorithm);
  return { update: (bytes) => void hash.update(bytes), digest: () => new Uint8Array(hash.digest()) };
}

/** Computes a SHA-1 digest on the caller's thread, for small data where the caller can't await. */
export function sha1(data: Uint8Array): Bytes {
  return new Uint8Array(nodeCrypto().createHash("sha1").update(data).digest());
}

/** Computes a SHA-256 digest on the caller's thread, for small data where the caller can't await. */
export function sha256(data: Uint8Array): Bytes {
  return new Uint8Array(nodeCrypto().createHash("sha256").update(data).digest());
}

const ZEROS = new Uint8Array(16 * 1024);

/** Adds zeros to a digest, as many as `count`. */
export function addZeros(digest: Digest, count: number): void {
  for (let left = count; left > 0; left -= ZEROS.length) digest.update(ZEROS.subarray(0, left));
}
