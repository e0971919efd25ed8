/**
 * Messages of local service discovery (BEP 14): who is here, in the form of an HTTP request sent to everybody.
 *
 * @module
 */

import { type Bytes, fromHex, fromUtf8Lossy, toHex, utf8 } from "../base/bytes.ts";
import { InfoHash } from "../base/info_hash.ts";

/** Port of both groups. */
export const LSD_PORT = 6771;
/** The multicast groups, by family. */
export const LSD_GROUPS = { 4: "239.192.152.143", 6: "ff15::efc0:988f" } as const;
/**
 * Info-hashes that go into one message. BEP 14 wants it within 1400 bytes: each takes 52, and the rest at most 130.
 */
export const MAX_LSD_HASHES = 24;

const START = "BT-SEARCH * HTTP/1.1";

/** What a message says. */
export interface LsdMessage {
  /** Port on which the sender takes connections. */
  readonly port: number;
  /** The torrents that it is at work on. */
  readonly infoHashes: readonly InfoHash[];
  /** By this the sender knows its own messages; empty when it doesn't care. */
  readonly cookie: string;
}

/** Something came that is no message of local discovery. */
export class LsdError extends Error {
  override name = "LsdError";
}

/**
 * A message.
 *
 * @param message What it says.
 * @param family Which group it goes to.
 * @returns Its bytes.
 * @throws {RangeError} If there are none or more than {@linkcode MAX_LSD_HASHES} info-hashes.
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
 * Reads a message. What it has beside the fields of BEP 14 is passed over, and so is an info-hash of another kind.
 *
 * @param bytes One datagram.
 * @returns What it says; each torrent once.
 * @throws {LsdError} If it is something else, names no torrent, or no port that one can connect to.
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
