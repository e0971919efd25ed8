/**
 * Makes text from outside safe to print.
 *
 * @module
 */

const PRINTABLE_ASCII = /^[\x20-\x7e]*$/;
const BREAKS = /[\t\n\v\f\r\x85\u2028\u2029]+/g;
const CONTROLS = /[\p{Cc}\p{Cs}]/gu;
/**
 * Format characters change the text direction, join letters or are invisible, and terminals disagree about their
 * widths.
 */
const INVISIBLE = /[\p{Cf}\u{fe00}-\u{fe0f}\u{e0100}-\u{e01ef}\u115f\u1160\u3164\uffa0]/gu;
const TOO_MANY_MARKS = /(\p{M}{3})\p{M}+/gu;

/**
 * Makes text safe for a terminal: removes control, escape, bidirectional and invisible characters and excess combining
 * marks, and joins lines.
 *
 * @param text Text from outside, such as a file name, a client's version or a tracker's message.
 * @returns Text on one line that takes as much width as it shows.
 */
export function printable(text: string): string {
  if (PRINTABLE_ASCII.test(text)) return text;
  return text.replace(BREAKS, " ").replace(CONTROLS, "\ufffd").replace(INVISIBLE, "").replace(TOO_MANY_MARKS, "$1");
}
