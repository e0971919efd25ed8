/**
 * Suggests what a user who mistyped a name may have meant.
 *
 * @module
 */

/**
 * Finds the known name that is closest to a mistyped one.
 *
 * @param name The mistyped name.
 * @param known Known names.
 * @returns The closest name; `null` if none is close.
 */
export async function nearest(name: string, known: readonly string[]): Promise<string | null> {
  if (known.length === 0) return null;
  // The library is loaded only after a mistake.
  const { closestString, levenshteinDistance } = await import("@std/text");
  const closest = closestString(name, known);
  return levenshteinDistance(name, closest) <= Math.max(2, closest.length / 3) ? closest : null;
}
