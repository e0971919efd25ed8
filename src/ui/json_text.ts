/**
 * Serializes JSON that is safe to show on a terminal.
 *
 * @module
 */

/**
 * Characters that `JSON.stringify()` doesn't escape but terminals or editors interpret: DEL, C1 controls, line
 * separators, format characters.
 */
const HARMFUL = /[\x7f-\x9f\u2028\u2029\p{Cf}]/u;
const ALL_HARMFUL = /[\x7f-\x9f\u2028\u2029\p{Cf}]/gu;

/**
 * Serializes a value as JSON on one line. Escapes control characters, bidirectional controls and invisible characters,
 * so that text from outside can't do harm on a terminal. Parsing the text gives the same value.
 *
 * @param value Any value that has a JSON form.
 * @returns The text, without a line end.
 *
 * @example
 * ```ts
 * jsonText({ name: "exe.\u202etxt" }); // {"name":"exe.\\u202etxt"}
 * ```
 */
export function jsonText(value: unknown): string {
  const text = JSON.stringify(value); // escapes C0 controls and lone surrogates
  return HARMFUL.test(text) ? text.replace(ALL_HARMFUL, escaped) : text;
}

/** Escapes each UTF-16 code unit, as JSON requires. */
function escaped(character: string): string {
  let text = "";
  for (let i = 0; i < character.length; i++) text += `\\u${character.charCodeAt(i).toString(16).padStart(4, "0")}`;
  return text;
}
