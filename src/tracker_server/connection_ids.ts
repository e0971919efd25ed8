/**
 * Stateless connection ids (BEP 15). A client that returns an id has received it, so clients can't forge their source
 * address.
 *
 * @module
 */

import { type Bytes, concatBytes, equalBytes, utf8 } from "../base/bytes.ts";
import type { Platform } from "../platform/platform.ts";
import { CONNECTION_ID_LENGTH } from "../tracker/udp_messages.ts";

/** Milliseconds after which ids change. Ids of the last period are accepted too, so each lasts at least as long. */
const PERIOD_MS = 120_000;
const SECRET_LENGTH = 32;

/** The request that a connection id comes with. */
export interface IdentifiedRequest {
  /** Address of the client. */
  readonly host: string;
  /** Milliseconds of the clock of {@linkcode ConnectionIds.issue}. */
  readonly now: number;
}

/**
 * Issues and checks connection ids. An id is a digest of a secret, the client's address and the current period.
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

  /** @param platform Random numbers and digests. */
  constructor(platform: Pick<Platform, "randomBytes" | "digest">) {
    this.#secret = platform.randomBytes(SECRET_LENGTH);
    this.#digest = (algorithm) => platform.digest(algorithm);
  }

  /**
   * Issues a connection id.
   *
   * @param host Address of the client. The port is ignored, because some clients and NATs change it.
   * @param now Milliseconds of a monotonic clock.
   * @returns 8 bytes.
   */
  issue(host: string, now: number): Bytes {
    return this.#idOf(host, Math.floor(now / PERIOD_MS));
  }

  /**
   * Returns `true` if a connection id was issued to a client and hasn't expired.
   *
   * @param id Connection id from a request.
   * @param request See {@linkcode IdentifiedRequest}.
   */
  accepts(id: Uint8Array, { host, now }: IdentifiedRequest): boolean {
    const period = Math.floor(now / PERIOD_MS);
    return equalBytes(id, this.#idOf(host, period)) || equalBytes(id, this.#idOf(host, period - 1));
  }

  #idOf(host: string, period: number): Bytes {
    const digest = this.#digest("sha256");
    digest.update(concatBytes([this.#secret, utf8(`${period} ${host}`)]));
    return digest.digest().slice(0, CONNECTION_ID_LENGTH);
  }
}
