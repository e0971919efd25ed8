/**
 * What we are called among peers.
 *
 * @module
 */

import { type Bytes, concatBytes, utf8 } from "../base/bytes.ts";
import { VERSION } from "../base/version.ts";
import type { Platform } from "../platform/platform.ts";

/**
 * A peer id that nobody else has.
 *
 * @param platform Randomness.
 * @returns `-SH0100-` and 12 random characters (BEP 20, Azureus style); the figures are the version's.
 */
export function makePeerId(platform: Pick<Platform, "randomBytes">): Bytes {
  const [major = "0", minor = "0", patch = "0"] = VERSION.split(".");
  const digits = [major, minor, patch].map((part) => Number(part).toString(36)).join("").toUpperCase();
  const tail = platform.randomBytes(12).map((byte) => "0123456789abcdefghijklmnopqrstuvwxyz".charCodeAt(byte % 36));
  return concatBytes([utf8(`-SH${digits}0-`), tail]);
}
