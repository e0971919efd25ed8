/**
 * Incremental digests, for the main thread and workers.
 *
 * @module
 */

import { createHash } from "node:crypto";
import type { Digest } from "./platform.ts";

/** Starts a digest of data that arrives in parts, computed on the caller's thread. */
export function startDigest(algorithm: "sha1" | "sha256"): Digest {
  const hash = createHash(algorithm);
  return { update: (bytes) => void hash.update(bytes), digest: () => new Uint8Array(hash.digest()) };
}
