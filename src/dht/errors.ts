/**
 * Errors of the DHT.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { ShoalError } from "../base/errors.ts";

/** Error codes of KRPC error messages (BEP 5). */
export const ErrorCode = { generic: 201, server: 202, protocol: 203, unknownMethod: 204 } as const;

/** Options for {@linkcode KrpcError}. */
export interface KrpcErrorOptions {
  /** Transaction id of the invalid query, if an error message is sent in answer. */
  readonly transaction?: Bytes;
  /** The underlying error. */
  readonly cause?: unknown;
}

/** A datagram is not a valid KRPC message. */
export class KrpcError extends ShoalError {
  override name = "KrpcError";
  /** Transaction id of an invalid query that is answered with an error message; `null` for any other message. */
  readonly transaction: Bytes | null;

  constructor(why: string, options: KrpcErrorOptions = {}) {
    super("peer", { what: "not a DHT message", why, cause: options.cause });
    this.transaction = options.transaction ?? null;
  }
}

/** A saved routing table cannot be used. */
export class SavedTableError extends ShoalError {
  override name = "SavedTableError";

  constructor(why: string, options: ErrorOptions = {}) {
    super("storage", { what: "not a saved DHT table", why, cause: options.cause });
  }
}
