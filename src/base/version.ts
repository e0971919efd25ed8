/**
 * The version of Shoal, kept here alone; `deno.json` carries the same and a test compares them.
 *
 * @module
 */

/** The version, as in semver. */
export const VERSION = "0.1.0";

/** What `--version` says. */
export const VERSION_LINE = `shoal ${VERSION}`;
