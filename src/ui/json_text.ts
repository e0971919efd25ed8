/**
 * JSON that can be shown.
 *
 * @module
 */

/** What `JSON.stringify()` leaves as it is and a terminal or an editor doesn't: DEL, C1, line ends, what turns or hides text. */
const HARMFUL = /[\x7f-\x9f\u2028\u2029\p{Cf}]/u;
const ALL_HARMFUL = /[\x7f-\x9f\u2028\u2029\p{Cf}]/gu;

/**
 * A value as JSON on one line, in which nothing that came from outside can do harm to who looks at it: control characters,
 * those that change the direction of text, and those that show nothing are escaped. Parsed again it is the same value.
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
  const text = JSON.stringify(value); // escapes C0 and halves of surrogate pairs by itself
  return HARMFUL.test(text) ? text.replace(ALL_HARMFUL, escaped) : text;
}

/** By units of UTF-16, as JSON has it. */
function escaped(character: string): string {
  let text = "";
  for (let i = 0; i < character.length; i++) text += `\\u${character.charCodeAt(i).toString(16).padStart(4, "0")}`;
  return text;
}
