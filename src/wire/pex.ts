/**
 * Messages of peer exchange (BEP 11): the peers that the sender has connected to and disconnected from.
 *
 * @module
 */

import { encodeCompactPeer, parseCompactPeer, parseCompactPeers, parseIp, type PeerAddress } from "../base/address.ts";
import { type Bytes, concatBytes } from "../base/bytes.ts";
import { messageOf } from "../base/errors.ts";
import { MAX_EXTENSION_DEPTH, MAX_PEX_TAKEN } from "../base/defences.ts";
import { type BencodeDict, BencodeError, decodeDict, type Encodable, encode } from "../bencode/mod.ts";
import { WireError } from "./messages.ts";

/** Flags of a peer, in one byte. */
export const PexFlag = { encryption: 0x01, uploadOnly: 0x02, utp: 0x04, holepunch: 0x08, reachable: 0x10 } as const;

/** A peer that the sender is connected to. */
export interface PexPeer extends PeerAddress {
  /** Bits of {@linkcode PexFlag}. */
  readonly flags: number;
}

/** Changes since the last message. */
export interface PexMessage {
  /** New connections. */
  readonly added: readonly PexPeer[];
  /** Closed connections. */
  readonly dropped: readonly PeerAddress[];
}

/**
 * Encodes a peer exchange message.
 *
 * @param message Content of the message. Hosts are literal addresses without a zone.
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
 * Parses a peer exchange message. Takes at most {@linkcode MAX_PEX_TAKEN} peers of each list. Missing flags count as 0.
 *
 * @param payload Payload of the extended message.
 * @returns The message.
 * @throws {WireError} If the payload is not a bencoded dictionary.
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
    // Addresses are parsed one at a time, because an address that is left out must not shift the flags.
    const address = parseCompactPeer(list.subarray(i * size, (i + 1) * size));
    if (address) peers.push({ ...address, flags: flags?.[i] ?? 0 });
  }
  return peers;
}

function listIn(dict: BencodeDict, key: string, family: 4 | 6): PeerAddress[] {
  const list = dict.getBytes(key) ?? new Uint8Array();
  return parseCompactPeers(list.subarray(0, MAX_PEX_TAKEN * (family === 4 ? 6 : 18)), family);
}
