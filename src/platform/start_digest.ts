/**
 * Incremental digests, for the main thread and workers.
 *
 * @module
 */

import { createHash } from "node:crypto";
import type { Bytes } from "../base/bytes.ts";
import type { Digest } from "./platform.ts";

/** Starts a digest of data that arrives in parts, computed on the caller's thread. */
export function startDigest(algorithm: "sha1" | "sha256"): Digest {
  const hash = createHash(algorithm);
  return { update: (bytes) => void hash.update(bytes), digest: () => new Uint8Array(hash.digest()) };
}

/** Computes a SHA-1 digest on the caller's thread, for small data where the caller can't await. */
export function sha1(data: Uint8Array): Bytes {
  return new Uint8Array(createHash("sha1").update(data).digest());
}
