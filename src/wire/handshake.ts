/**
 * The 68 bytes that open every connection (BEP 3, "peer protocol").
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { InfoHash } from "../base/info_hash.ts";
import { PROTOCOL } from "../base/protocol.ts";
import { WireError } from "./messages.ts";

/** Length of the handshake in bytes. */
export const HANDSHAKE_LENGTH = 68;

const RESERVED_AT = PROTOCOL.length;
const INFO_HASH_AT = RESERVED_AT + 8;
/** Bit of the last reserved byte that says that the sender supports v2 torrents (BEP 52). */
export const V2_BIT = 0x10;

const PEER_ID_AT = INFO_HASH_AT + InfoHash.LENGTH;

/** Content of a handshake. */
export interface Handshake {
  /** Info-hash of the torrent. */
  readonly infoHash: InfoHash;
  /** Peer id of the sender, 20 bytes. */
  readonly peerId: Bytes;
  /** Whether the sender supports the Fast extension (BEP 6). */
  readonly fast: boolean;
  /** Whether the sender supports the extension protocol (BEP 10). */
  readonly extended: boolean;
  /** Whether the sender has a DHT node and wants to be told the port of the receiver's (BEP 5). */
  readonly dht?: boolean;
  /** Whether the sender supports v2 torrents, and wants to use v2 if the torrent is a hybrid (BEP 52). */
  readonly v2?: boolean;
}

/**
 * Encodes a handshake.
 *
 * @param handshake Content of the handshake.
 * @returns 68 bytes.
 */
export function encodeHandshake(handshake: Handshake): Bytes {
  const out = new Uint8Array(HANDSHAKE_LENGTH);
  out.set(PROTOCOL, 0);
  if (handshake.extended) out[RESERVED_AT + 5] = 0x10;
  if (handshake.fast) out[RESERVED_AT + 7]! |= 0x04;
  if (handshake.dht) out[RESERVED_AT + 7]! |= 0x01;
  if (handshake.v2) out[RESERVED_AT + 7]! |= V2_BIT;
  out.set(handshake.infoHash.bytes, INFO_HASH_AT);
  out.set(handshake.peerId, PEER_ID_AT);
  return out;
}

/**
 * Parses a handshake.
 *
 * @param bytes 68 bytes.
 * @returns Content of the handshake.
 * @throws {WireError} If the bytes are not a handshake of the BitTorrent protocol.
 */
export function parseHandshake(bytes: Uint8Array): Handshake {
  if (bytes.length !== HANDSHAKE_LENGTH) throw new WireError(`the handshake has ${bytes.length} bytes, not 68`);
  if (!PROTOCOL.every((byte, i) => bytes[i] === byte)) {
    throw new WireError("the handshake does not name the BitTorrent protocol");
  }
  return {
    infoHash: new InfoHash(bytes.subarray(INFO_HASH_AT, PEER_ID_AT)),
    peerId: new Uint8Array(bytes.subarray(PEER_ID_AT)),
    extended: (bytes[RESERVED_AT + 5]! & 0x10) !== 0,
    fast: (bytes[RESERVED_AT + 7]! & 0x04) !== 0,
    dht: (bytes[RESERVED_AT + 7]! & 0x01) !== 0,
    v2: (bytes[RESERVED_AT + 7]! & V2_BIT) !== 0,
  };
}
