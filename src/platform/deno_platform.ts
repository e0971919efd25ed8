/**
 * The real outside.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { denoFiles } from "./deno_files.ts";
import { denoHttp } from "./deno_http.ts";
import { denoNetwork } from "./deno_net.ts";
import type { Platform } from "./platform.ts";

/** {@linkcode Platform} on Deno. */
export const denoPlatform: Platform = {
  now: () => performance.now(),
  wallClock: () => Date.now(),
  after(milliseconds, run) {
    const id = setTimeout(run, milliseconds);
    return { cancel: () => clearTimeout(id) };
  },
  randomBytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
  random: () => Math.random(),
  async sha1(data: Bytes) {
    return new Uint8Array(await crypto.subtle.digest("SHA-1", data));
  },
  net: denoNetwork,
  http: denoHttp,
  files: denoFiles,
};
