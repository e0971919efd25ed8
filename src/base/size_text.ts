/**
 * Sizes as users write them.
 *
 * @module
 */

const POWERS = "KMGT";

/**
 * Parses a size: a number with an optional unit, in any case. K, M, G and T are 1024-based, as are KiB, MiB, GiB and
 * TiB; KB, MB, GB and TB are 1000-based.
 *
 * @param text A size such as `64M`, `1.5G`, `512KiB`, `10MB` or `4096`.
 * @returns Bytes, not rounded; `NaN` if the text is not a size.
 */
export function parseSizeText(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(?:([KMGT])(iB|B)?)?$/i.exec(text);
  if (match === null) return NaN;
  const [, number, prefix = "", suffix = ""] = match;
  const power = prefix === "" ? 0 : POWERS.indexOf(prefix.toUpperCase()) + 1;
  return Number(number) * (suffix.toUpperCase() === "B" ? 1000 : 1024) ** power;
}
