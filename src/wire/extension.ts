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

/** Extension message id of the handshake. */
export const EXTENSION_HANDSHAKE = 0;
/**
 * The extensions that we support, with the ids under which we accept their messages: peer exchange (BEP 11), metadata
 * (BEP 9), upload-only (BEP 21), lost pieces (BEP 54).
 */
export const EXTENSION_IDS = { ut_pex: 1, ut_metadata: 2, upload_only: 3, lt_donthave: 4 } as const;
/** Name of an extension that we support. */
export type ExtensionName = keyof typeof EXTENSION_IDS;

/** Content of an extension handshake. A field is absent if the sender left it out. */
export interface ExtensionHandshake {
  /** Name and version of the client (`v`). */
  readonly version?: string;
  /** Number of outstanding requests that the sender queues without dropping any (`reqq`). */
  readonly requestQueue?: number;
  /**
   * Whether the sender prefers encrypted connections (`e`). We say so on encrypted connections, and ignore what the
   * peer says.
   */
  readonly encrypts?: boolean;
  /** TCP port on which the sender listens (`p`). */
  readonly port?: number;
  /** Whether the sender downloads nothing more (BEP 21). */
  readonly uploadOnly?: boolean;
  /** Ids under which the sender accepts extension messages (`m`); 0 for an extension that it has disabled. */
  readonly ids?: Readonly<Partial<Record<ExtensionName, number>>>;
  /** Size of the info dictionary in bytes (`metadata_size`, BEP 9). */
  readonly metadataSize?: number;
  /** The receiver's IP address as the sender sees it (`yourip`). */
  readonly yourIp?: string;
}

/** Options for {@linkcode encodeExtensionHandshake}. */
export interface ExtensionHandshakeOptions {
  /** IP address of the peer as we see it, sent as `yourip`. */
  readonly remoteHost: string;
}

/**
 * Encodes our extension handshake.
 *
 * @param handshake Content of the handshake.
 * @param options See {@linkcode ExtensionHandshakeOptions}.
 * @returns The payload of an extended message with id {@linkcode EXTENSION_HANDSHAKE}.
 */
export function encodeExtensionHandshake(handshake: ExtensionHandshake, options: ExtensionHandshakeOptions): Bytes {
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
 * Parses a peer's extension handshake. Fields of the wrong type count as absent, since clients differ.
 *
 * @param payload Payload of the extended message.
 * @returns Content of the handshake.
 * @throws {WireError} If the payload is not a bencoded dictionary, or is too long.
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

/** Returns the ids of the extensions that we support, without invalid ids. */
function readIds(dict: BencodeDict | undefined): Partial<Record<ExtensionName, number>> | null {
  const ids: Partial<Record<ExtensionName, number>> = {};
  for (const name of Object.keys(EXTENSION_IDS) as ExtensionName[]) {
    const id = dict?.getInt(name);
    if (id !== undefined && id >= 0 && id < 256) ids[name] = id;
  }
  return Object.keys(ids).length === 0 ? null : ids;
}
