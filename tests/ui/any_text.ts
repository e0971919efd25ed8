/**
 * Hostile text.
 *
 * @module
 */

import { fc } from "../support/property.ts";

const DANGEROUS = ["\x1b", "[", "3", "1", "m", "\n", "\u202e", "\u2066", "\u0301", "\u200d", "\ufe0f", "\u6f22", "a"];

/**
 * Returns arbitrary strings, including lone surrogates, with many characters that do harm to a terminal.
 *
 * @param maxLength The most code points.
 */
export function anyText(maxLength = 40): fc.Arbitrary<string> {
  const code = fc.oneof(
    fc.integer({ min: 0, max: 0x10ffff }),
    fc.integer({ min: 0, max: 0x3ff }),
    fc.constantFrom(...DANGEROUS).map((character) => character.codePointAt(0)!),
  );
  return fc.array(code, { maxLength }).map((codes) => String.fromCodePoint(...codes));
}
