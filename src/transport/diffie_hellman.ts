/**
 * The exchange of keys of message stream encryption: Diffie-Hellman with a prime of 768 bits.
 *
 * @module
 */

import { type Bytes, fromHex, toHex } from "../base/bytes.ts";

/** Bytes of a public key, and of the secret that both ends come to. */
export const KEY_LENGTH = 96;
/** Bytes of a private key: more of them would make nothing harder to guess. */
const PRIVATE_LENGTH = 20;

const PRIME = BigInt(
  "0xffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74" +
    "020bbea63b139b22514a08798e3404ddef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a63a36210000000000090563",
);
const GENERATOR = 2n;

/** One end's keys, for one connection. */
export class KeyPair {
  /** What the other end is told: {@linkcode KEY_LENGTH} bytes. */
  readonly publicKey: Bytes;
  readonly #exponent: bigint;

  /**
   * @param randomBytes Makes the private key.
   */
  constructor(randomBytes: (length: number) => Uint8Array) {
    this.#exponent = toInteger(randomBytes(PRIVATE_LENGTH));
    this.publicKey = toBytes(power(GENERATOR, this.#exponent));
  }

  /**
   * The secret that both ends have in common.
   *
   * @param theirs The other end's public key, {@linkcode KEY_LENGTH} bytes.
   * @returns As many bytes, or `null` for a key that nobody comes by honestly: its secret would be known to all.
   */
  secretWith(theirs: Uint8Array): Bytes | null {
    const key = toInteger(theirs);
    if (key < 2n || key > PRIME - 2n) return null;
    return toBytes(power(key, this.#exponent));
  }
}

/** `base ** exponent % PRIME`, four bits of the exponent at a time. */
function power(base: bigint, exponent: bigint): bigint {
  const powers = [1n];
  for (let i = 1; i < 16; i++) powers.push(powers[i - 1]! * base % PRIME);
  let result = 1n;
  for (const digit of exponent.toString(16)) {
    for (let i = 0; i < 4; i++) result = result * result % PRIME;
    const factor = parseInt(digit, 16);
    if (factor > 0) result = result * powers[factor]! % PRIME;
  }
  return result;
}

function toInteger(bytes: Uint8Array): bigint {
  return BigInt(`0x${toHex(bytes)}`);
}

function toBytes(integer: bigint): Bytes {
  return fromHex(integer.toString(16).padStart(2 * KEY_LENGTH, "0"))!;
}
