/**
 * Connection ids that need not be remembered (BEP 15): whoever can send one back has received it, so that nobody can
 * announce in the name of another address.
 *
 * @module
 */

import { type Bytes, concatBytes, equalBytes, utf8 } from "../base/bytes.ts";
import type { Platform } from "../platform/platform.ts";
import { CONNECTION_ID_LENGTH } from "../tracker/udp_messages.ts";

/** Milliseconds after which ids change. The last ones still count, so that each is good for two minutes at least. */
const PERIOD_MS = 120_000;
const SECRET_LENGTH = 32;

/**
 * Issues connection ids, and knows them again: each is a digest of a secret, the client's address and the time.
 *
 * @example
 * ```ts
 * const ids = new ConnectionIds(platform);
 * const id = ids.issue("192.0.2.1", platform.now());
 * ids.accepts(id, { host: "192.0.2.1", now: platform.now() }); // true
 * ```
 */
export class ConnectionIds {
  readonly #secret: Bytes;
  readonly #digest: Platform["digest"];

  /** @param platform Chance and digests. */
  constructor(platform: Pick<Platform, "randomBytes" | "digest">) {
    this.#secret = platform.randomBytes(SECRET_LENGTH);
    this.#digest = (algorithm) => platform.digest(algorithm);
  }

  /**
   * @param host The client's address. Its port doesn't matter: some clients, and some NATs, change it.
   * @param now Milliseconds on a clock that never jumps.
   * @returns 8 bytes.
   */
  issue(host: string, now: number): Bytes {
    return this.#idOf(host, Math.floor(now / PERIOD_MS));
  }

  /**
   * @param id What a client sends as its id.
   * @param options `host`: its address. `now`: as in {@linkcode ConnectionIds.issue}.
   * @returns Whether it has that id from us, and not for too long.
   */
  accepts(id: Uint8Array, { host, now }: { readonly host: string; readonly now: number }): boolean {
    const period = Math.floor(now / PERIOD_MS);
    return equalBytes(id, this.#idOf(host, period)) || equalBytes(id, this.#idOf(host, period - 1));
  }

  #idOf(host: string, period: number): Bytes {
    const digest = this.#digest("sha256");
    digest.update(concatBytes([this.#secret, utf8(`${period} ${host}`)]));
    return digest.digest().slice(0, CONNECTION_ID_LENGTH);
  }
}
