/**
 * SHA-1 for what is small, where there is no `Platform`. Pieces go through `Platform.digest()`, which is faster.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";

const BLOCK = 64;

/**
 * The SHA-1 digest of some bytes (FIPS 180-4).
 *
 * @param data Any bytes.
 * @returns 20 bytes.
 */
export function sha1(data: Uint8Array): Bytes {
  const state = Uint32Array.of(0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0);
  const words = new Int32Array(80);
  const whole = data.length - (data.length % BLOCK);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  for (let at = 0; at < whole; at += BLOCK) compress(state, words, view, at);

  const rest = data.length - whole;
  const tail = new DataView(new ArrayBuffer(rest + 9 > BLOCK ? 2 * BLOCK : BLOCK));
  for (let i = 0; i < rest; i++) tail.setUint8(i, data[whole + i]!);
  tail.setUint8(rest, 0x80);
  tail.setBigUint64(tail.byteLength - 8, BigInt(data.length) * 8n);
  for (let at = 0; at < tail.byteLength; at += BLOCK) compress(state, words, tail, at);

  const digest = new DataView(new ArrayBuffer(20));
  for (let i = 0; i < 5; i++) digest.setUint32(4 * i, state[i]!);
  return new Uint8Array(digest.buffer);
}

function compress(state: Uint32Array, words: Int32Array, data: DataView, offset: number): void {
  for (let i = 0; i < 16; i++) words[i] = data.getInt32(offset + 4 * i);
  for (let i = 16; i < 80; i++) {
    const mixed = words[i - 3]! ^ words[i - 8]! ^ words[i - 14]! ^ words[i - 16]!;
    words[i] = (mixed << 1) | (mixed >>> 31);
  }
  let a = state[0]! | 0;
  let b = state[1]! | 0;
  let c = state[2]! | 0;
  let d = state[3]! | 0;
  let e = state[4]! | 0;
  for (let i = 0; i < 80; i++) {
    let mixed: number;
    if (i < 20) mixed = ((b & c) | (~b & d)) + 0x5a827999;
    else if (i < 40) mixed = (b ^ c ^ d) + 0x6ed9eba1;
    else if (i < 60) mixed = ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc;
    else mixed = (b ^ c ^ d) + 0xca62c1d6;
    const next = (((a << 5) | (a >>> 27)) + mixed + e + words[i]!) | 0;
    e = d;
    d = c;
    c = (b << 30) | (b >>> 2);
    b = a;
    a = next;
  }
  state[0]! += a;
  state[1]! += b;
  state[2]! += c;
  state[3]! += d;
  state[4]! += e;
}
