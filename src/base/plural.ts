/**
 * Puts a count and its noun together.
 *
 * @module
 */

/**
 * Returns a count with its noun.
 *
 * @param count The count.
 * @param noun Singular of a noun with a plural in `s`.
 * @returns Text such as `1 byte` or `12 bytes`.
 */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
