/**
 * The message that says that a piece is lost (BEP 54, `lt_donthave`).
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { WireError } from "./messages.ts";

/**
 * @param index The piece that we haven't got any more.
 * @returns What follows the extension's id.
 */
export function encodeDontHave(index: number): Bytes {
  const payload = new Uint8Array(4);
  new DataView(payload.buffer).setUint32(0, index);
  return payload;
}

/**
 * @param payload What follows the extension's id.
 * @param pieceCount Pieces of the torrent.
 * @returns The piece that the peer hasn't got any more.
 * @throws {WireError} If the message isn't four bytes long, or names a piece that the torrent hasn't.
 */
export function parseDontHave(payload: Uint8Array, pieceCount: number): number {
  if (payload.length !== 4) throw new WireError(`lt_donthave has ${payload.length} bytes, not 4`);
  const index = new DataView(payload.buffer, payload.byteOffset, 4).getUint32(0);
  if (index >= pieceCount) throw new WireError(`lt_donthave names piece ${index} of ${pieceCount}`);
  return index;
}
