/**
 * Shrinks failing inputs.
 *
 * @module
 */

import { type Bytes, concatBytes } from "../../src/base/bytes.ts";

/** The most candidates tried for one input. */
const MOST_TRIES = 20_000;
/** Replacements of a byte, plainest first. */
const PLAIN = [0x30, 0x61, 0x00];

/**
 * Removes parts of an input while it still fails, then replaces its bytes with plain ones.
 *
 * @param input An input that fails.
 * @param fails Returns `true` if an input fails in the same way.
 * @returns A smaller failing input, or the same input.
 */
export function shrink(input: Bytes, fails: (input: Bytes) => boolean): Bytes {
  let tries = 0;
  let best = input;
  const better = (candidate: Bytes): boolean => {
    if (tries >= MOST_TRIES) return false;
    tries++;
    if (!fails(candidate)) return false;
    best = candidate;
    return true;
  };
  for (let size = Math.ceil(best.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < best.length;) if (!better(without(best, at, size))) at += size;
  }
  for (let at = 0; at < best.length; at++) {
    for (const plain of PLAIN) {
      if (best[at] === plain) break;
      const candidate = best.slice();
      candidate[at] = plain;
      if (better(candidate)) break;
    }
  }
  return best;
}

function without(input: Bytes, at: number, size: number): Bytes {
  return concatBytes([input.subarray(0, at), input.subarray(at + size)]);
}
