/**
 * Encodes valid and invalid messages of the peer wire protocol, without the code under test.
 *
 * @module
 */

import { type Bytes, concatBytes, utf8 } from "../../src/base/bytes.ts";

/** Message ids. */
export const ID = {
  choke: 0,
  unchoke: 1,
  interested: 2,
  notInterested: 3,
  have: 4,
  bitfield: 5,
  request: 6,
  piece: 7,
  cancel: 8,
  port: 9,
  suggest: 13,
  haveAll: 14,
  haveNone: 15,
  reject: 16,
  allowedFast: 17,
  extended: 20,
  hashRequest: 21,
  hashes: 22,
  hashReject: 23,
} as const;

/** Size of a block in bytes. */
export const BLOCK = 16384;

/** A keep-alive, which is a message of length 0. */
export const KEEP_ALIVE: Bytes = new Uint8Array(4);

const PROTOCOL = concatBytes([Uint8Array.of(19), utf8("BitTorrent protocol")]);

/** Options for {@linkcode handshake}. */
export interface HandshakeOptions {
  /** Peer id, 20 bytes. */
  readonly peerId: Uint8Array;
  /** Claims support of the Fast extension (BEP 6). Default `true`. */
  readonly fast?: boolean;
  /** Claims support of the extension protocol (BEP 10). Default `true`. */
  readonly extended?: boolean;
  /** Claims support of v2 torrents (BEP 52). Default `false`. */
  readonly v2?: boolean;
  /** Length byte and protocol name, those of BEP 3 by default. */
  readonly protocol?: Uint8Array;
}

/**
 * Returns a handshake of 68 bytes.
 *
 * @param infoHash Info-hash, 20 bytes.
 * @param options See {@linkcode HandshakeOptions}.
 */
export function handshake(infoHash: Uint8Array, options: HandshakeOptions): Bytes {
  const reserved = new Uint8Array(8);
  if (options.extended ?? true) reserved[5] = 0x10;
  if (options.fast ?? true) reserved[7] = 0x04;
  if (options.v2) reserved[7]! |= 0x10;
  return concatBytes([options.protocol ?? PROTOCOL, reserved, infoHash, options.peerId]);
}

/** Returns a message of length, id and body. `claim` is the length to write, the true length by default. */
export function frame(id: number, body: Uint8Array = new Uint8Array(), claim?: number): Bytes {
  const bytes = new Uint8Array(5 + body.length);
  new DataView(bytes.buffer).setUint32(0, claim ?? body.length + 1);
  bytes[4] = id;
  bytes.set(body, 5);
  return bytes;
}

/** Returns a message whose body is a list of 32-bit numbers. */
export function words(id: number, ...numbers: number[]): Bytes {
  const body = new Uint8Array(numbers.length * 4);
  const view = new DataView(body.buffer);
  for (const [i, number] of numbers.entries()) view.setUint32(i * 4, number);
  return frame(id, body);
}

/** Returns a piece message. */
export function block(index: number, begin: number, bytes: Uint8Array): Bytes {
  const body = new Uint8Array(8 + bytes.length);
  const view = new DataView(body.buffer);
  view.setUint32(0, index);
  view.setUint32(4, begin);
  body.set(bytes, 8);
  return frame(ID.piece, body);
}

/** Returns an extension message (BEP 10). */
export function extended(id: number, payload: Uint8Array): Bytes {
  return frame(ID.extended, concatBytes([Uint8Array.of(id), payload]));
}

/** Returns a bitfield with every piece set. */
export function everything(pieces: number): Bytes {
  const bits = new Uint8Array(Math.ceil(pieces / 8)).fill(255);
  if (pieces % 8 !== 0) bits[bits.length - 1] = 256 - (1 << (8 - pieces % 8));
  return bits;
}

/** Returns the bytes repeated `count` times. */
export function times(count: number, bytes: Uint8Array): Bytes {
  const out = new Uint8Array(count * bytes.length);
  for (let at = 0; at < out.length; at += bytes.length) out.set(bytes, at);
  return out;
}
