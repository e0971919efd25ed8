/**
 * Message ids, lengths and names of the peer wire protocol, and its error.
 *
 * @module
 */

import { ShoalError } from "../base/errors.ts";

/** A peer violated the protocol. */
export class WireError extends ShoalError {
  override name = "WireError";

  /** @param why What the peer did, in a plain sentence that names the bad value. */
  constructor(why: string) {
    super("peer", { what: "protocol error", why });
  }
}

/** Size of a block in bytes, the unit of requests. The last block of a piece may be shorter. */
export const BLOCK_SIZE = 16 * 1024;

/** Message ids: BEP 3, BEP 5 (port), BEP 6 (suggest to allowed fast), BEP 10 (extended), BEP 52 (hashes). */
export const MessageId = {
  choke: 0,
  unchoke: 1,
  interested: 2,
  notInterested: 3,
  have: 4,
  bitfield: 5,
  request: 6,
  piece: 7,
  cancel: 8,
  port: 9,
  suggest: 13,
  haveAll: 14,
  haveNone: 15,
  reject: 16,
  allowedFast: 17,
  extended: 20,
  hashRequest: 21,
  hashes: 22,
  hashReject: 23,
} as const;

/**
 * Length of each message of fixed length in bytes, including its id. The length of other messages varies or is unknown.
 */
export const FIXED_LENGTH: ReadonlyMap<number, number> = new Map([
  [MessageId.choke, 1],
  [MessageId.unchoke, 1],
  [MessageId.interested, 1],
  [MessageId.notInterested, 1],
  [MessageId.have, 5],
  [MessageId.request, 13],
  [MessageId.cancel, 13],
  [MessageId.port, 3],
  [MessageId.suggest, 5],
  [MessageId.haveAll, 1],
  [MessageId.haveNone, 1],
  [MessageId.reject, 13],
  [MessageId.allowedFast, 5],
  [MessageId.hashRequest, 49],
  [MessageId.hashReject, 49],
]);

const NAMES = new Map<number, string>(Object.entries(MessageId).map(([name, id]) => [id, name]));

/**
 * Returns the name of a message for an error message.
 *
 * @param id Message id.
 * @returns The name, or the number if the id is unknown.
 */
export function messageName(id: number): string {
  return NAMES.get(id) ?? `message ${id}`;
}

/** Bytes of a frame with a block before the block itself: length prefix, id, index and begin. */
export const PIECE_HEADER = 13;
