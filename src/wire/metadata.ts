/**
 * Messages of the metadata extension (BEP 9): the info dictionary, sent in parts of 16 KiB.
 *
 * @module
 */

import { type Bytes, concatBytes } from "../base/bytes.ts";
import { messageOf } from "../base/errors.ts";
import { MAX_EXTENSION_DEPTH } from "../base/defences.ts";
import { BencodeError, decodeDict, encode } from "../bencode/mod.ts";
import { WireError } from "./messages.ts";

/** Bytes of a part; the last one may be shorter. */
export const METADATA_PART = 16 * 1024;

/** One message. Of a kind that BEP 9 doesn't know: `unknown`, to be ignored. */
export type MetadataMessage =
  | { readonly type: "request"; readonly part: number }
  | {
    readonly type: "data";
    readonly part: number;
    /** Bytes of all parts, when the sender says so. */
    readonly totalSize: number | null;
    /** The part; a view of the message. */
    readonly data: Bytes;
  }
  | { readonly type: "reject"; readonly part: number }
  | { readonly type: "unknown" };

/**
 * @param totalSize Bytes of the info dictionary.
 * @param part Which part, from 0.
 * @returns Bytes of that part; 0 or less when there is none.
 */
export function metadataPartLength(totalSize: number, part: number): number {
  return Math.min(METADATA_PART, totalSize - part * METADATA_PART);
}

/**
 * @param part Which part is wanted, from 0.
 * @returns The payload of an extended message.
 */
export function encodeMetadataRequest(part: number): Bytes {
  return encode({ msg_type: 0, piece: part });
}

/**
 * @param part Which part, from 0.
 * @param info The whole info dictionary.
 * @returns The payload of an extended message: a dictionary, and the part behind it.
 */
export function encodeMetadataData(part: number, info: Uint8Array): Bytes {
  const at = part * METADATA_PART;
  return concatBytes([
    encode({ msg_type: 1, piece: part, total_size: info.length }),
    info.subarray(at, at + METADATA_PART),
  ]);
}

/**
 * @param part Which part can't be had, from 0.
 * @returns The payload of an extended message.
 */
export function encodeMetadataReject(part: number): Bytes {
  return encode({ msg_type: 2, piece: part });
}

/**
 * Reads a message.
 *
 * @param payload Of the extended message.
 * @returns What it says.
 * @throws {WireError} If it isn't a bencoded dictionary that names a part.
 */
export function parseMetadataMessage(payload: Uint8Array): MetadataMessage {
  try {
    const dict = decodeDict(payload, { maxDepth: MAX_EXTENSION_DEPTH, allowTrailing: true });
    const type = dict.getInt("msg_type");
    const part = dict.getInt("piece");
    if (type === undefined) throw new WireError("a metadata message does not say what it is");
    if (type !== 0 && type !== 1 && type !== 2) return { type: "unknown" };
    if (part === undefined || part < 0) throw new WireError("a metadata message names no part");
    if (type === 0) return { type: "request", part };
    if (type === 2) return { type: "reject", part };
    const data = dict.raw.length === payload.length ? new Uint8Array(0) : payload.subarray(dict.raw.length) as Bytes;
    return { type: "data", part, totalSize: dict.getInt("total_size") ?? null, data };
  } catch (error) {
    if (error instanceof BencodeError) throw new WireError(`a metadata message is broken: ${messageOf(error)}`);
    throw error;
  }
}
