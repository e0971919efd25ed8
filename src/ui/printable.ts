/**
 * Text from outside, made harmless.
 *
 * @module
 */

const PRINTABLE_ASCII = /^[\x20-\x7e]*$/;
const BREAKS = /[\t\n\v\f\r\x85\u2028\u2029]+/g;
const CONTROLS = /[\p{Cc}\p{Cs}]/gu;
/** Format characters turn the direction of text, join letters or show nothing; terminals disagree about all of them. */
const INVISIBLE = /[\p{Cf}\u{fe00}-\u{fe0f}\u{e0100}-\u{e01ef}\u115f\u1160\u3164\uffa0]/gu;
const TOO_MANY_MARKS = /(\p{M}{3})\p{M}+/gu;

/**
 * Text from outside, fit for a terminal: no control, escape or bidirectional characters, nothing invisible, no piles of
 * accents, all on one line.
 *
 * @param text A name, a client's version, a tracker's message: anything.
 * @returns Text that takes the width it shows.
 */
export function printable(text: string): string {
  if (PRINTABLE_ASCII.test(text)) return text;
  return text.replace(BREAKS, " ").replace(CONTROLS, "\ufffd").replace(INVISIBLE, "").replace(TOO_MANY_MARKS, "$1");
}
