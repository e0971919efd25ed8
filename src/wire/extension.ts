/**
 * The extension handshake (BEP 10), with upload-only (BEP 21).
 *
 * @module
 */

import { parseIp } from "../base/address.ts";
import type { Bytes } from "../base/bytes.ts";
import { fromUtf8Lossy, utf8 } from "../base/bytes.ts";
import { messageOf } from "../base/errors.ts";
import { MAX_CLIENT_NAME, MAX_EXTENSION_DEPTH, MAX_EXTENSION_HANDSHAKE } from "../base/limits.ts";
import { BencodeError, decodeDict, type Encodable, encode } from "../bencode/mod.ts";
import { WireError } from "./messages.ts";

/** Extension message id of the handshake itself. */
export const EXTENSION_HANDSHAKE = 0;
/** The id under which we take `upload_only` messages (BEP 21). */
export const UPLOAD_ONLY_ID = 3;

/** What one end says in its extension handshake. Absent means that it didn't say. */
export interface ExtensionHandshake {
  /** Name and version of the client (`v`). */
  readonly version?: string;
  /** Outstanding requests that it holds without dropping any (`reqq`). */
  readonly requestQueue?: number;
  /** TCP port on which it listens (`p`). */
  readonly port?: number;
  /** It won't download anything more (BEP 21). */
  readonly uploadOnly?: boolean;
  /** The id under which it takes `upload_only` messages. */
  readonly uploadOnlyId?: number;
}

/**
 * Our extension handshake.
 *
 * @param handshake What to say.
 * @param options `remoteHost`: the other end's address as we see it, told as `yourip`.
 * @returns The payload of an extended message with id {@linkcode EXTENSION_HANDSHAKE}.
 */
export function encodeExtensionHandshake(
  handshake: ExtensionHandshake,
  options: { readonly remoteHost: string },
): Bytes {
  const dict: Record<string, Encodable> = { m: { upload_only: UPLOAD_ONLY_ID } };
  if (handshake.version !== undefined) dict.v = utf8(handshake.version);
  if (handshake.requestQueue !== undefined) dict.reqq = handshake.requestQueue;
  if (handshake.port !== undefined) dict.p = handshake.port;
  if (handshake.uploadOnly) dict.upload_only = 1;
  const ip = parseIp(options.remoteHost);
  if (ip) dict.yourip = ip;
  return encode(dict);
}

/**
 * Reads a peer's extension handshake. Fields of the wrong type count as absent, since clients differ.
 *
 * @param payload Of the extended message.
 * @returns What it said.
 * @throws {WireError} If it isn't a bencoded dictionary, or is far too long.
 */
export function parseExtensionHandshake(payload: Uint8Array): ExtensionHandshake {
  if (payload.length > MAX_EXTENSION_HANDSHAKE) {
    throw new WireError(`the extension handshake has ${payload.length} bytes, not at most ${MAX_EXTENSION_HANDSHAKE}`);
  }
  try {
    const dict = decodeDict(payload, { maxDepth: MAX_EXTENSION_DEPTH, allowTrailing: true });
    const version = dict.getBytes("v");
    const reqq = dict.getInt("reqq");
    const port = dict.getInt("p");
    const uploadOnly = dict.getInt("upload_only");
    const uploadOnlyId = dict.getDict("m")?.getInt("upload_only");
    return {
      ...(version && { version: fromUtf8Lossy(version.subarray(0, MAX_CLIENT_NAME)) }),
      ...(reqq !== undefined && reqq > 0 && { requestQueue: reqq }),
      ...(port !== undefined && port > 0 && port < 65536 && { port }),
      ...(uploadOnly !== undefined && { uploadOnly: uploadOnly !== 0 }),
      ...(uploadOnlyId !== undefined && uploadOnlyId > 0 && uploadOnlyId < 256 && { uploadOnlyId }),
    };
  } catch (error) {
    if (error instanceof BencodeError) throw new WireError(`the extension handshake is broken: ${messageOf(error)}`);
    throw error;
  }
}
