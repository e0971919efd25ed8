/**
 * Makes our peer id.
 *
 * @module
 */

import { type Bytes, concatBytes, utf8 } from "../base/bytes.ts";
import { VERSION } from "../base/version.ts";
import type { Platform } from "../platform/platform.ts";

/**
 * Makes a random peer id.
 *
 * @param platform Source of randomness.
 * @returns `-SH`, the three numbers of the version in base 36, `0-` and 12 random characters (BEP 20, Azureus style),
 * as in `-SH0100-`.
 */
export function makePeerId(platform: Pick<Platform, "randomBytes">): Bytes {
  const [major = "0", minor = "0", patch = "0"] = VERSION.split(".");
  const digits = [major, minor, patch].map((part) => Number(part).toString(36)).join("").toUpperCase();
  const tail = platform.randomBytes(12).map((byte) => "0123456789abcdefghijklmnopqrstuvwxyz".charCodeAt(byte % 36));
  return concatBytes([utf8(`-SH${digits}0-`), tail]);
}
