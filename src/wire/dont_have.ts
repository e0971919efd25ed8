/**
 * The message that says that a piece was lost (BEP 54, `lt_donthave`).
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { WireError } from "./messages.ts";

/**
 * Encodes the payload of an `lt_donthave` message.
 *
 * @param index Index of the piece that we lost.
 * @returns The bytes after the extension message id.
 */
export function encodeDontHave(index: number): Bytes {
  const payload = new Uint8Array(4);
  new DataView(payload.buffer).setUint32(0, index);
  return payload;
}

/**
 * Parses the payload of an `lt_donthave` message.
 *
 * @param payload The bytes after the extension message id.
 * @param pieceCount Number of pieces of the torrent.
 * @returns Index of the piece that the peer lost.
 * @throws {WireError} If the payload is not four bytes long, or the index is out of range.
 */
export function parseDontHave(payload: Uint8Array, pieceCount: number): number {
  if (payload.length !== 4) throw new WireError(`lt_donthave has ${payload.length} bytes, not 4`);
  const index = new DataView(payload.buffer, payload.byteOffset, 4).getUint32(0);
  if (index >= pieceCount) throw new WireError(`lt_donthave names piece ${index} of ${pieceCount}`);
  return index;
}
