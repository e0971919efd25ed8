/**
 * Announce tokens, by which a peer proves that it receives datagrams at its address (BEP 5).
 *
 * @module
 */

import { equalBytes } from "../base/bytes.ts";
import type { Bytes } from "../base/bytes.ts";
import type { Platform } from "../platform/platform.ts";

/** Milliseconds for which a secret is used (BEP 5). Its tokens are accepted for the same time again. */
export const SECRET_MS = 5 * 60_000;
const SECRET_LENGTH = 16;
const TOKEN_LENGTH = 8;

/** What a token is bound to. */
export interface TokenOwner {
  /** Address of the querying node, 4 or 16 bytes. */
  readonly ip: Uint8Array;
  /** Info-hash that was queried. */
  readonly infoHash: Uint8Array;
}

/** Issues tokens and verifies them. */
export class TokenKeeper {
  readonly #platform: Pick<Platform, "randomBytes" | "digest">;
  #secret: Bytes;
  #previous: Bytes;
  #since: number;

  /** @param now Current time in milliseconds. */
  constructor(platform: Pick<Platform, "randomBytes" | "digest">, now: number) {
    this.#platform = platform;
    this.#secret = platform.randomBytes(SECRET_LENGTH);
    this.#previous = platform.randomBytes(SECRET_LENGTH);
    this.#since = now;
  }

  /**
   * Issues a token.
   *
   * @param now Current time in milliseconds.
   * @returns A token that is valid for 5 to 10 minutes.
   */
  issue(owner: TokenOwner, now: number): Bytes {
    this.#rotate(now);
    return this.#tokenOf(this.#secret, owner);
  }

  /**
   * Returns `true` if a token is valid.
   *
   * @param now Current time in milliseconds.
   */
  accepts(token: Uint8Array, owner: TokenOwner, now: number): boolean {
    if (token.length !== TOKEN_LENGTH) return false;
    this.#rotate(now);
    return equalBytes(token, this.#tokenOf(this.#secret, owner)) ||
      equalBytes(token, this.#tokenOf(this.#previous, owner));
  }

  #rotate(now: number): void {
    const age = now - this.#since;
    if (age < SECRET_MS) return;
    this.#previous = age < 2 * SECRET_MS ? this.#secret : this.#platform.randomBytes(SECRET_LENGTH);
    this.#secret = this.#platform.randomBytes(SECRET_LENGTH);
    this.#since = now;
  }

  #tokenOf(secret: Bytes, { ip, infoHash }: TokenOwner): Bytes {
    const whole = new Uint8Array(SECRET_LENGTH + infoHash.length + ip.length);
    whole.set(secret);
    whole.set(infoHash, SECRET_LENGTH);
    whole.set(ip, SECRET_LENGTH + infoHash.length);
    const digest = this.#platform.digest("sha1");
    digest.update(whole);
    return digest.digest().slice(0, TOKEN_LENGTH);
  }
}
