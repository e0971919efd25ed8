/**
 * Where the hashes of single blocks come from.
 *
 * @module
 */

import type { Bytes } from "../../base/bytes.ts";

/** Where the hashes of single blocks come from: peers that have them (BEP 52). */
export interface BlockHashSource {
  /**
   * Asks for the block hashes of a piece. `known` is called once, not within this call: with the proven hashes, 32 bytes
   * for each block without padding; or with `null` if no peer gave them in time.
   */
  readonly fetch: (piece: number, known: (hashes: Bytes | null) => void) => void;
}
