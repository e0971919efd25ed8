/**
 * Bencode (BEP 3): the encoding of torrent files, tracker replies, extension messages and DHT messages.
 *
 * @example
 * ```ts
 * const reply = decodeDict(body);
 * const interval = reply.getInt("interval") ?? 1800;
 * const request = encode({ m: { ut_pex: 1 }, reqq: 512, v: "Shoal" });
 * ```
 *
 * @module
 */

export { decode, decodeDict, type DecodeOptions } from "./decode.ts";
export { type Encodable, encode } from "./encode.ts";
export { BencodeError } from "./errors.ts";
export { BencodeDict, BencodeList, type BencodeValue, keyOf } from "./value.ts";
