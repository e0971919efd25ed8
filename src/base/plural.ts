/**
 * Puts a count and its noun together.
 *
 * @module
 */

/**
 * Returns a count with its noun.
 *
 * @param count The count.
 * @param noun Singular of a noun with a plural in `s` or, after an `s`, `es`.
 * @returns Text such as `1 byte`, `12 bytes` or `2 addresses`.
 */
export function plural(count: number, noun: string): string {
  if (count === 1) return `1 ${noun}`;
  return `${count} ${noun.endsWith("s") ? `${noun}es` : `${noun}s`}`;
}
