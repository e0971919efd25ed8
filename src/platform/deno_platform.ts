/**
 * The {@linkcode Platform} of the running program.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { arenaData, collectResults, diskThreads, hashBlocksInThread, openMemory } from "./arena.ts";
import { startFileHashers, startTreeHashers } from "./deno_file_hashers.ts";
import { denoFiles } from "./deno_files.ts";
import { denoHttp } from "./deno_http.ts";
import { denoNetwork } from "./deno_net.ts";
import { hashBlocks } from "./merkle_digest.ts";
import { nodeTimers } from "./node_modules.ts";
import type { Platform } from "./platform.ts";
import { sha1, startDigest } from "./start_digest.ts";

/** Most bytes that one call of `crypto.getRandomValues` returns. */
const RANDOM_LIMIT = 65_536;

/** A timer of more than this many milliseconds, which are 25 days, would run at once. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** V8 provides this function if it was started with `--expose-gc`. */
const { gc } = globalThis as { readonly gc?: () => void };

/** {@linkcode Platform} on Deno. */
export const denoPlatform: Platform = {
  now: () => performance.now(),
  wallClock: () => Date.now(),
  after(milliseconds, run) {
    const id = setTimeout(run, Math.min(milliseconds, LONGEST_TIMER));
    return { cancel: () => clearTimeout(id) };
  },
  ...(gc !== undefined && { collectGarbage: () => gc() }),
  yieldToEventLoop: () => new Promise((resolve) => void nodeTimers().setImmediate(resolve)),
  randomBytes(length) {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; at += RANDOM_LIMIT) crypto.getRandomValues(bytes.subarray(at, at + RANDOM_LIMIT));
    return bytes;
  },
  random: () => Math.random(),
  async sha1(data: Bytes) {
    const buffer: ArrayBufferLike = data.buffer;
    if (!(buffer instanceof SharedArrayBuffer)) return new Uint8Array(await crypto.subtle.digest("SHA-1", data));
    const shared = arenaData(data);
    return await (shared && diskThreads()?.hash(shared)) ?? sha1(data);
  },
  async blockHashes(data, leaves, options = {}) {
    return await hashBlocksInThread(data, leaves, options) ?? hashBlocks(data, leaves, startDigest, options);
  },
  openMemory,
  collectResults,
  digest: startDigest,
  startFileHashers,
  startTreeHashers,
  net: denoNetwork,
  http: denoHttp,
  files: denoFiles,
  async openDatabase(path) {
    // Loaded on demand, as only sessions that keep state need SQLite.
    const { openDatabase } = await import("./deno_database.ts");
    return openDatabase(path);
  },
};
