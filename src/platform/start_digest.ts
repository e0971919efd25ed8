/**
 * Digests, on whatever thread.
 *
 * @module
 */

import { createHash } from "node:crypto";
import type { Bytes } from "../base/bytes.ts";
import type { Digest } from "./platform.ts";

/**
 * Starts a digest of data that comes in parts, computed on the caller's thread.
 *
 * @param algorithm Which.
 * @returns The digest in the making.
 */
export function startDigest(algorithm: "sha1" | "sha256"): Digest {
  const hash = createHash(algorithm);
  return { update: (bytes) => void hash.update(bytes), digest: () => new Uint8Array(hash.digest()) };
}

/**
 * The SHA-1 digest of bytes, computed on the caller's thread: for what is small, where nothing can be awaited.
 *
 * @param data Any bytes.
 * @returns 20 bytes.
 */
export function sha1(data: Uint8Array): Bytes {
  return new Uint8Array(createHash("sha1").update(data).digest());
}
