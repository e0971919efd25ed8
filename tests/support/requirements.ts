/**
 * What a test needs from the machine. In CI nothing may be missing; elsewhere a test that can't run is skipped, and its
 * name says why.
 *
 * @module
 */

import { BINARY } from "./binary.ts";

/** Debian packages by the program that they bring. */
const PACKAGES = {
  aria2c: "aria2",
  ip: "iproute2",
  mktorrent: "mktorrent",
  opentracker: "opentracker",
  rtorrent: "rtorrent",
  setpriv: "util-linux",
  strace: "strace",
  tmux: "tmux",
  "transmission-cli": "transmission-cli",
} as const;

/** Something that a test can't do without: a program, Python's libtorrent, root, or the compiled Shoal. */
export type Requirement = keyof typeof PACKAGES | "python3-libtorrent" | "root" | "binary";

/**
 * Defines a test that needs programs or rights.
 *
 * @param name Name of the test.
 * @param needs What it needs. A program that is missing is a failure when `CI` is `true`, else a reason to skip.
 * @param body The test.
 */
export function testWith(name: string, needs: readonly Requirement[], body: () => Promise<void>): void {
  const missing = missingOf(needs);
  if (missing.length === 0) {
    Deno.test(name, body);
  } else if (Deno.env.get("CI") === "true") {
    Deno.test(name, () => {
      throw new Error(`This test can't run here: ${missing.join(", ")}`);
    });
  } else {
    // Skipped for the reason that its name gives; never in CI.
    Deno.test({ name: `${name} (skipped: ${missing.join(", ")})`, ignore: true, fn: body });
  }
}

/**
 * What is missing of what somebody needs.
 *
 * @param needs What is needed.
 * @returns What to do about each thing that is missing; empty when nothing is.
 */
export function missingOf(needs: readonly Requirement[]): string[] {
  return needs.flatMap(reasonAgainst);
}

function reasonAgainst(need: Requirement): string[] {
  if (need === "root") return Deno.uid() === 0 ? [] : ["run it as root"];
  if (need === "binary") return isFile(BINARY) ? [] : ["deno task compile"];
  if (need === "python3-libtorrent") return hasLibtorrent() ? [] : [`apt-get install ${need}`];
  return isOnPath(need) ? [] : [`apt-get install ${PACKAGES[need]}`];
}

function isOnPath(program: string): boolean {
  const folders = `${Deno.env.get("PATH") ?? ""}:/usr/sbin:/sbin`.split(":");
  return folders.some((folder) => isFile(`${folder}/${program}`));
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return false;
    throw error;
  }
}

function hasLibtorrent(): boolean {
  if (!isFile("/usr/bin/python3")) return false;
  return new Deno.Command("/usr/bin/python3", { args: ["-c", "import libtorrent"], stderr: "null" }).outputSync()
    .success;
}
