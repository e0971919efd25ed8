/**
 * The real outside.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { setImmediate } from "node:timers";
import type { Bytes } from "../base/bytes.ts";
import { startFileHashers } from "./deno_file_hashers.ts";
import { denoFiles } from "./deno_files.ts";
import { denoHttp } from "./deno_http.ts";
import { denoNetwork } from "./deno_net.ts";
import type { Platform } from "./platform.ts";

/** Most bytes that one call of `crypto.getRandomValues` gives. */
const RANDOM_LIMIT = 65_536;

/** {@linkcode Platform} on Deno. */
export const denoPlatform: Platform = {
  now: () => performance.now(),
  wallClock: () => Date.now(),
  after(milliseconds, run) {
    const id = setTimeout(run, milliseconds);
    return { cancel: () => clearTimeout(id) };
  },
  giveWay: () => new Promise((resolve) => void setImmediate(resolve)),
  randomBytes(length) {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; at += RANDOM_LIMIT) crypto.getRandomValues(bytes.subarray(at, at + RANDOM_LIMIT));
    return bytes;
  },
  random: () => Math.random(),
  async sha1(data: Bytes) {
    return new Uint8Array(await crypto.subtle.digest("SHA-1", data));
  },
  digest(algorithm) {
    const hash = createHash(algorithm);
    return { update: (bytes) => void hash.update(bytes), digest: () => new Uint8Array(hash.digest()) };
  },
  startFileHashers,
  net: denoNetwork,
  http: denoHttp,
  files: denoFiles,
};
