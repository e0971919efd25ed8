/**
 * The version of Shoal. `deno.json` repeats it, and a test compares the two.
 *
 * @module
 */

/** Semantic version. */
export const VERSION = "0.1.0";

/** Output of `--version`. */
export const VERSION_LINE = `shoal ${VERSION}`;
