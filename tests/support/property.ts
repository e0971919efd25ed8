/**
 * Property tests, and how many of their cases run where. `deno task test` has to be quick and tries a part of the cases
 * that take long; `deno task test:fuzz` sets `THOROUGH=1` and tries all of them.
 *
 * @module
 */

import fc from "fast-check";

const THOROUGH = Deno.env.get("THOROUGH") === "1";
// The unit suite tries the same cases in every run, so that a failure comes from the change at hand; the long tests try
// new ones. A failure prints the seed, and `PROPERTY_SEED` plays it again.
const SEED = Deno.env.get("PROPERTY_SEED") ?? (THOROUGH ? undefined : "1");
if (SEED !== undefined) fc.configureGlobal({ seed: Number(SEED) });

/** Registers a test that takes long, which only `deno task test:fuzz` runs. */
export function longTest(name: string, test: () => void | Promise<void>): void {
  if (THOROUGH) Deno.test(name, test);
}

/**
 * Returns the cases to try, of a few that take long: all in `deno task test:fuzz`, else the first.
 *
 * @param cases The cases, the most telling one first.
 */
export function casesToTry<T>(cases: readonly T[]): readonly T[] {
  return THOROUGH ? cases : cases.slice(0, 1);
}

/** `deno task test` tries one in so many runs of a property. */
const SHARE = 5;
/** `deno task test` tries one in so many cases. An odd number, since some cases go in pairs. */
const CASES = 3;

/**
 * Returns how often a property that takes long runs.
 *
 * @param all Runs in `deno task test:fuzz`.
 */
export function tries(all: number): number {
  return THOROUGH ? all : Math.ceil(all / SHARE);
}

/**
 * Returns `true` if a case is to be tried, of cases that differ little from one to the next, such as the call to a disk
 * that fails.
 *
 * @param at Number of the case.
 */
export function isTried(at: number): boolean {
  return THOROUGH || at % CASES === 0;
}

/**
 * Returns the numbers of the cases to try.
 *
 * @param end Number of the case after the last; may be `Infinity` if the caller knows when to stop.
 * @param first Number of the first case.
 */
export function* cases(end: number, first = 0): Generator<number> {
  for (let at = first; at < end; at++) if (isTried(at - first)) yield at;
}

/** Any code point but a surrogate. `unit: "binary"` of fast-check means the same, but takes a second to set up. */
const codePoint = fc.integer({ min: 0, max: 0x10ffff - 0x800 })
  .map((n) => String.fromCodePoint(n < 0xd800 ? n : n + 0x800));

/**
 * Any well-formed text.
 *
 * @param size Fewest and most code points.
 */
export function unicodeText(size: { readonly minLength?: number; readonly maxLength?: number } = {}) {
  return fc.string({ ...size, unit: codePoint });
}

export { fc };
