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

/** Size of a part in bytes. The last part may be shorter. */
export const METADATA_PART = 16 * 1024;

/** A metadata message. The type is `unknown` if BEP 9 does not define it; such a message is ignored. */
export type MetadataMessage =
  | { readonly type: "request"; readonly part: number }
  | {
    readonly type: "data";
    readonly part: number;
    /** Total size of the info dictionary in bytes, if the sender says so. */
    readonly totalSize: number | null;
    /** Bytes of the part; a view of the message. */
    readonly data: Bytes;
  }
  | { readonly type: "reject"; readonly part: number }
  | { readonly type: "unknown" };

/**
 * Returns the size of a part in bytes; 0 or less if the part does not exist.
 *
 * @param totalSize Size of the info dictionary in bytes.
 * @param part Index of the part.
 */
export function metadataPartLength(totalSize: number, part: number): number {
  return Math.min(METADATA_PART, totalSize - part * METADATA_PART);
}

/**
 * Encodes a request for a part.
 *
 * @param part Index of the part.
 * @returns The payload of an extended message.
 */
export function encodeMetadataRequest(part: number): Bytes {
  return encode({ msg_type: 0, piece: part });
}

/**
 * Encodes an answer with a part: a dictionary, followed by the bytes of the part.
 *
 * @param part Index of the part.
 * @param info The whole info dictionary.
 * @returns The payload of an extended message.
 */
export function encodeMetadataData(part: number, info: Uint8Array): Bytes {
  const at = part * METADATA_PART;
  return concatBytes([
    encode({ msg_type: 1, piece: part, total_size: info.length }),
    info.subarray(at, at + METADATA_PART),
  ]);
}

/**
 * Encodes the refusal of a part.
 *
 * @param part Index of the part.
 * @returns The payload of an extended message.
 */
export function encodeMetadataReject(part: number): Bytes {
  return encode({ msg_type: 2, piece: part });
}

/**
 * Parses a metadata message.
 *
 * @param payload Payload of the extended message.
 * @returns The message.
 * @throws {WireError} If the payload is not a bencoded dictionary, has no type, or names no part.
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
