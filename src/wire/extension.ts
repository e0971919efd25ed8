/**
 * The extension handshake (BEP 10), with upload-only (BEP 21).
 *
 * @module
 */

import { formatIp, parseIp } from "../base/address.ts";
import type { Bytes } from "../base/bytes.ts";
import { fromUtf8Lossy, utf8 } from "../base/bytes.ts";
import { messageOf } from "../base/errors.ts";
import { MAX_CLIENT_NAME, MAX_EXTENSION_DEPTH, MAX_EXTENSION_HANDSHAKE, MAX_METADATA } from "../base/defences.ts";
import { type BencodeDict, BencodeError, decodeDict, type Encodable, encode } from "../bencode/mod.ts";
import { WireError } from "./messages.ts";

/** Extension message id of the handshake itself. */
export const EXTENSION_HANDSHAKE = 0;
/**
 * The extensions that we speak, with the ids under which we take their messages: peer exchange (BEP 11), metadata (BEP 9),
 * upload-only (BEP 21), pieces that are lost (BEP 54).
 */
export const EXTENSION_IDS = { ut_pex: 1, ut_metadata: 2, upload_only: 3, lt_donthave: 4 } as const;
/** The name of an extension that we speak. */
export type ExtensionName = keyof typeof EXTENSION_IDS;

/** What one end says in its extension handshake. Absent means that it didn't say. */
export interface ExtensionHandshake {
  /** Name and version of the client (`v`). */
  readonly version?: string;
  /** Outstanding requests that it holds without dropping any (`reqq`). */
  readonly requestQueue?: number;
  /** It would rather be spoken to encrypted (`e`). Ours say so where the connection is; what others say is not needed. */
  readonly encrypts?: boolean;
  /** TCP port on which it listens (`p`). */
  readonly port?: number;
  /** It won't download anything more (BEP 21). */
  readonly uploadOnly?: boolean;
  /** The ids under which it takes the messages of extensions (`m`); 0 for one that it doesn't take any more. */
  readonly ids?: Readonly<Partial<Record<ExtensionName, number>>>;
  /** Bytes of the info dictionary (`metadata_size`, BEP 9). */
  readonly metadataSize?: number;
  /** Our own address as it sees it (`yourip`). */
  readonly yourIp?: string;
}

/** Options for {@linkcode encodeExtensionHandshake}. */
export interface ExtensionHandshakeOptions {
  /** IP address of the peer as we see it, sent as `yourip`. */
  readonly remoteHost: string;
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
  options: ExtensionHandshakeOptions,
): Bytes {
  const dict: Record<string, Encodable> = { m: { ...handshake.ids } };
  if (handshake.version !== undefined) dict.v = utf8(handshake.version);
  if (handshake.requestQueue !== undefined) dict.reqq = handshake.requestQueue;
  if (handshake.port !== undefined) dict.p = handshake.port;
  if (handshake.encrypts) dict.e = 1;
  if (handshake.uploadOnly) dict.upload_only = 1;
  if (handshake.metadataSize !== undefined) dict.metadata_size = handshake.metadataSize;
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
    const ids = readIds(dict.getDict("m"));
    const metadataSize = dict.getInt("metadata_size");
    const yourIp = dict.getBytes("yourip");
    return {
      ...(version && { version: fromUtf8Lossy(version.subarray(0, MAX_CLIENT_NAME)) }),
      ...(reqq !== undefined && reqq > 0 && { requestQueue: reqq }),
      ...(port !== undefined && port > 0 && port < 65536 && { port }),
      ...(uploadOnly !== undefined && { uploadOnly: uploadOnly !== 0 }),
      ...(ids && { ids }),
      ...(metadataSize !== undefined && metadataSize > 0 && metadataSize <= MAX_METADATA && { metadataSize }),
      ...((yourIp?.length === 4 || yourIp?.length === 16) && { yourIp: formatIp(yourIp) }),
    };
  } catch (error) {
    if (error instanceof BencodeError) throw new WireError(`the extension handshake is broken: ${messageOf(error)}`);
    throw error;
  }
}

/** Extensions that we don't speak are left out; so is nonsense. */
function readIds(dict: BencodeDict | undefined): Partial<Record<ExtensionName, number>> | null {
  const ids: Partial<Record<ExtensionName, number>> = {};
  for (const name of Object.keys(EXTENSION_IDS) as ExtensionName[]) {
    const id = dict?.getInt(name);
    if (id !== undefined && id >= 0 && id < 256) ids[name] = id;
  }
  return Object.keys(ids).length === 0 ? null : ids;
}
