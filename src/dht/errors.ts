/**
 * Errors of the DHT.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { ShoalError } from "../base/errors.ts";

/** Codes of errors that nodes send each other (BEP 5). */
export const ErrorCode = { generic: 201, server: 202, protocol: 203, unknownMethod: 204 } as const;

/** Options for {@linkcode KrpcError}. */
export interface KrpcErrorOptions {
  /** Transaction id of a query that an error message can answer. */
  readonly transaction?: Bytes;
  /** The underlying error. */
  readonly cause?: unknown;
}

/** A message that makes no sense. */
export class KrpcError extends ShoalError {
  override name = "KrpcError";
  /** Of a query that deserves an error for its answer; `null` of anything else. */
  readonly transaction: Bytes | null;

  /**
   * @param why What is wrong with it.
   * @param options `transaction`: see {@linkcode KrpcError.transaction}. `cause`: the error underneath.
   */
  constructor(why: string, options: KrpcErrorOptions = {}) {
    super("peer", { what: "not a DHT message", why, cause: options.cause });
    this.transaction = options.transaction ?? null;
  }
}

/** A saved table that can't be used. */
export class SavedTableError extends ShoalError {
  override name = "SavedTableError";

  /**
   * @param why What is wrong with it.
   * @param options `cause`: the error underneath.
   */
  constructor(why: string, options: ErrorOptions = {}) {
    super("storage", { what: "not a saved DHT table", why, cause: options.cause });
  }
}
