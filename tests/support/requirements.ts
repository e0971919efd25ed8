/**
 * What a test needs from the machine. In CI nothing may be missing. Elsewhere a test that can't run is skipped, and its
 * name says why.
 *
 * @module
 */

import { BINARY } from "./binary.ts";

/** Debian packages by program. */
const PACKAGES = {
  aria2c: "aria2",
  chromium: "chromium",
  curl: "curl",
  ffmpeg: "ffmpeg",
  fish: "fish",
  ip: "iproute2",
  miniupnpd: "miniupnpd-nftables",
  mktorrent: "mktorrent",
  nft: "nftables",
  nginx: "nginx-light",
  opentracker: "opentracker",
  "qbittorrent-nox": "qbittorrent-nox",
  rtorrent: "rtorrent",
  setpriv: "util-linux",
  strace: "strace",
  tmux: "tmux",
  "transmission-cli": "transmission-cli",
  zsh: "zsh",
} as const;

/** A requirement of a test: a program, Python's libtorrent, npm's webtorrent, root, or the compiled Shoal. */
export type Requirement =
  | keyof typeof PACKAGES
  | "python3-libtorrent"
  | "libtorrent21"
  | "rqbit"
  | "webtorrent"
  | "root"
  | "binary";

/** Folder with libtorrent 2.1 or later from PyPI; empty for none. */
export const LIBTORRENT21 = Deno.env.get("LIBTORRENT21") ?? "";

/** Program of rqbit; empty for none. */
export const RQBIT = Deno.env.get("RQBIT") ?? "";

/** Copy of `tests/interop/webtorrent` with its packages installed; empty for none. */
export const WEBTORRENT = Deno.env.get("WEBTORRENT") ?? "";
const GET_WEBTORRENT =
  "cp -r tests/interop/webtorrent DIR, in DIR `npm ci --omit=optional --ignore-scripts`, WEBTORRENT=DIR";

/**
 * Defines a test that needs programs or rights.
 *
 * @param needs Requirements. A missing one fails the test when `CI` is `true`, and skips the test otherwise.
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
    // The test is skipped for the reason that its name gives; never in CI.
    Deno.test({ name: `${name} (skipped: ${missing.join(", ")})`, ignore: true, fn: body });
  }
}

/**
 * Returns instructions for everything missing, one line for each kind of remedy; empty when nothing is missing.
 *
 * @param needs Requirements.
 */
export function missingOf(needs: readonly Requirement[]): string[] {
  const remedies = needs.flatMap(remedyFor);
  const packages = remedies.flatMap((remedy) => "install" in remedy ? [remedy.install] : []);
  const others = remedies.flatMap((remedy) => "run" in remedy ? [remedy.run] : []);
  return packages.length === 0 ? others : [...others, `apt-get install ${packages.join(" ")}`];
}

/** Returns the remedy for a missing requirement; empty if the requirement is met. */
function remedyFor(need: Requirement): ({ readonly install: string } | { readonly run: string })[] {
  if (need === "root") return Deno.uid() === 0 ? [] : [{ run: "run it as root" }];
  if (need === "binary") return isFile(BINARY) ? [] : [{ run: "deno task compile" }];
  if (need === "webtorrent") {
    return WEBTORRENT !== "" && isFile(`${WEBTORRENT}/node_modules/webtorrent/index.js`)
      ? []
      : [{ run: GET_WEBTORRENT }];
  }
  if (need === "libtorrent21") {
    return LIBTORRENT21 !== "" && isFile(`${LIBTORRENT21}/libtorrent/__init__.pyi`)
      ? []
      : [{ run: "pip install --target DIR libtorrent, LIBTORRENT21=DIR" }];
  }
  if (need === "rqbit") {
    const build = "cargo install rqbit --no-default-features --features rust-tls, RQBIT=PROGRAM";
    return RQBIT !== "" && isFile(RQBIT) ? [] : [{ run: build }];
  }
  if (need === "python3-libtorrent") return hasLibtorrent() ? [] : [{ install: need }];
  return isOnPath(need) ? [] : [{ install: PACKAGES[need] }];
}

function isOnPath(program: string): boolean {
  const folders = `${Deno.env.get("PATH") ?? ""}:/usr/sbin:/sbin`.split(":");
  return folders.some((folder) => isFile(`${folder}/${program}`));
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch (error) {
    const { NotFound, NotADirectory, PermissionDenied } = Deno.errors;
    if ([NotFound, NotADirectory, PermissionDenied].some((kind) => error instanceof kind)) return false;
    throw error;
  }
}

function hasLibtorrent(): boolean {
  if (!isFile("/usr/bin/python3")) return false;
  return new Deno.Command("/usr/bin/python3", { args: ["-c", "import libtorrent"], stderr: "null" }).outputSync()
    .success;
}
