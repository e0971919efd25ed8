/**
 * Digests for platforms that tests make up.
 *
 * @module
 */

import { createHash } from "node:crypto";
import type { Digest } from "../../src/platform/platform.ts";

/** `Platform.digest`. */
export function digestOf(algorithm: "sha1" | "sha256"): Digest {
  const hash = createHash(algorithm);
  return { update: (bytes) => void hash.update(bytes), digest: () => new Uint8Array(hash.digest()) };
}
