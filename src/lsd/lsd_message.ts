/**
 * Messages of local service discovery (BEP 14). A message has the form of an HTTP request and is sent by multicast.
 *
 * @module
 */

import { type Bytes, fromHex, fromUtf8Lossy, toHex, utf8 } from "../base/bytes.ts";
import { InfoHash } from "../base/info_hash.ts";

/** UDP port of both multicast groups. */
export const LSD_PORT = 6771;
/** Multicast groups by address family. */
export const LSD_GROUPS = { 4: "239.192.152.143", 6: "ff15::efc0:988f" } as const;
/**
 * Maximum number of info-hashes in one message. BEP 14 limits a message to 1400 bytes: each info-hash takes 52 bytes,
 * the rest at most 130.
 */
export const MAX_LSD_HASHES = 24;

const START = "BT-SEARCH * HTTP/1.1";

/** Contents of a message. */
export interface LsdMessage {
  /** Port on which the sender accepts connections. */
  readonly port: number;
  /** Torrents that the sender announces. */
  readonly infoHashes: readonly InfoHash[];
  /** Cookie by which the sender recognises its own messages; empty if absent. */
  readonly cookie: string;
}

/** A datagram is not a valid message of local service discovery. */
export class LsdError extends Error {
  override name = "LsdError";
}

/**
 * Encodes a message.
 *
 * @throws {RangeError} If there are no info-hashes, or more than {@linkcode MAX_LSD_HASHES}.
 */
export function encodeLsdMessage(message: LsdMessage, family: 4 | 6): Bytes {
  const { port, infoHashes, cookie } = message;
  if (infoHashes.length === 0 || infoHashes.length > MAX_LSD_HASHES) {
    throw new RangeError(`A message names 1 to ${MAX_LSD_HASHES} torrents, got ${infoHashes.length}`);
  }
  const host = family === 4 ? LSD_GROUPS[4] : `[${LSD_GROUPS[6]}]`;
  const lines = [
    START,
    `Host: ${host}:${LSD_PORT}`,
    `Port: ${port}`,
    ...infoHashes.map(({ hex }) => `Infohash: ${hex}`),
    `cookie: ${cookie}`,
  ];
  return utf8(`${lines.join("\r\n")}\r\n\r\n\r\n`);
}

/**
 * Decodes a message. Unknown fields and info-hashes that are not v1 are ignored.
 *
 * @returns Contents of the message, each torrent once.
 * @throws {LsdError} If the datagram is something else, or has no valid port or no valid info-hash.
 */
export function parseLsdMessage(bytes: Uint8Array): LsdMessage {
  const [start = "", ...lines] = fromUtf8Lossy(bytes).split(/\r?\n/);
  if (start.trimEnd() !== START) throw new LsdError(`a message begins with "${START}"`);
  let port = 0;
  let cookie = "";
  const infoHashes = new Map<string, InfoHash>();
  for (const line of lines) {
    if (line === "") break;
    const [, name = "", value = ""] = /^([\w-]+)[ \t]*:[ \t]*(.*?)[ \t]*$/.exec(line) ?? [];
    switch (name.toLowerCase()) {
      case "port":
        port = /^\d{1,5}$/.test(value) ? Number(value) : 0;
        break;
      case "cookie":
        cookie = value;
        break;
      case "infohash": {
        const hash = value.length === 40 ? fromHex(value.toLowerCase()) : null;
        if (hash) infoHashes.set(toHex(hash), new InfoHash(hash));
        break;
      }
    }
  }
  if (port < 1 || port > 65_535) throw new LsdError("the message names no port");
  if (infoHashes.size === 0) throw new LsdError("the message names no torrent");
  return { port, infoHashes: [...infoHashes.values()], cookie };
}
