/**
 * Messages of peer exchange (BEP 11): who is connected to the sender, and who isn't any more.
 *
 * @module
 */

import { encodeCompactPeer, parseCompactPeer, parseCompactPeers, parseIp, type PeerAddress } from "../base/address.ts";
import { type Bytes, concatBytes } from "../base/bytes.ts";
import { messageOf } from "../base/errors.ts";
import { MAX_EXTENSION_DEPTH, MAX_PEX_TAKEN } from "../base/defences.ts";
import { type BencodeDict, BencodeError, decodeDict, type Encodable, encode } from "../bencode/mod.ts";
import { WireError } from "./messages.ts";

/** What may be said of a peer, in one byte. */
export const PexFlag = { encryption: 0x01, uploadOnly: 0x02, utp: 0x04, holepunch: 0x08, reachable: 0x10 } as const;

/** A peer that the sender is connected to. */
export interface PexPeer extends PeerAddress {
  /** Of {@linkcode PexFlag}. */
  readonly flags: number;
}

/** What has changed since the last message. */
export interface PexMessage {
  /** New connections. */
  readonly added: readonly PexPeer[];
  /** Connections that are over. */
  readonly dropped: readonly PeerAddress[];
}

/**
 * A message.
 *
 * @param message What it says. Hosts are literal addresses without a zone.
 * @returns The payload of an extended message.
 */
export function encodePex({ added, dropped }: PexMessage): Bytes {
  const dict: Record<string, Encodable> = {};
  for (const [family, suffix] of [[4, ""], [16, "6"]] as const) {
    const come = added.filter(({ host }) => parseIp(host)?.length === family);
    const gone = dropped.filter(({ host }) => parseIp(host)?.length === family);
    if (come.length > 0) {
      dict[`added${suffix}`] = concatBytes(come.map((peer) => encodeCompactPeer(peer)!));
      dict[`added${suffix}.f`] = Uint8Array.from(come, ({ flags }) => flags);
    }
    if (gone.length > 0) dict[`dropped${suffix}`] = concatBytes(gone.map((peer) => encodeCompactPeer(peer)!));
  }
  return encode(dict);
}

/**
 * Reads a message; of each list no more than {@linkcode MAX_PEX_TAKEN}. Flags that are missing count as none.
 *
 * @param payload Of the extended message.
 * @returns What it says.
 * @throws {WireError} If it isn't a bencoded dictionary.
 */
export function parsePex(payload: Uint8Array): PexMessage {
  try {
    const dict = decodeDict(payload, { maxDepth: MAX_EXTENSION_DEPTH, allowTrailing: true });
    return {
      added: [...addedIn(dict, 4), ...addedIn(dict, 6)],
      dropped: [...listIn(dict, "dropped", 4), ...listIn(dict, "dropped6", 6)],
    };
  } catch (error) {
    if (error instanceof BencodeError) throw new WireError(`a peer exchange message is broken: ${messageOf(error)}`);
    throw error;
  }
}

function addedIn(dict: BencodeDict, family: 4 | 6): PexPeer[] {
  const key = family === 4 ? "added" : "added6";
  const flags = dict.getBytes(`${key}.f`);
  const size = family === 4 ? 6 : 18;
  const list = dict.getBytes(key) ?? new Uint8Array();
  const peers: PexPeer[] = [];
  for (let i = 0; i < MAX_PEX_TAKEN && (i + 1) * size <= list.length; i++) {
    // One by one: an address that is left out must not shift the flags.
    const address = parseCompactPeer(list.subarray(i * size, (i + 1) * size));
    if (address) peers.push({ ...address, flags: flags?.[i] ?? 0 });
  }
  return peers;
}

function listIn(dict: BencodeDict, key: string, family: 4 | 6): PeerAddress[] {
  const list = dict.getBytes(key) ?? new Uint8Array();
  return parseCompactPeers(list.subarray(0, MAX_PEX_TAKEN * (family === 4 ? 6 : 18)), family);
}
