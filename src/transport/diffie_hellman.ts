/**
 * Diffie-Hellman key exchange of message stream encryption, with a 768-bit prime.
 *
 * @module
 */

import { type Bytes, fromHex, toHex } from "../base/bytes.ts";

/** Length of a public key and of the shared secret in bytes. */
export const KEY_LENGTH = 96;
/** Length of a private key in bytes. A longer key would not be harder to guess. */
const PRIVATE_LENGTH = 20;

const PRIME = BigInt(
  "0xffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74" +
    "020bbea63b139b22514a08798e3404ddef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a63a36210000000000090563",
);
const GENERATOR = 2n;

/** Key pair of one end of a connection. */
export class KeyPair {
  /** Public key, {@linkcode KEY_LENGTH} bytes. */
  readonly publicKey: Bytes;
  readonly #exponent: bigint;

  /** @param randomBytes Creates the private key. */
  constructor(randomBytes: (length: number) => Uint8Array) {
    this.#exponent = toInteger(randomBytes(PRIVATE_LENGTH));
    this.publicKey = toBytes(power(GENERATOR, this.#exponent));
  }

  /**
   * Computes the shared secret.
   *
   * @param theirs Public key of the other end, {@linkcode KEY_LENGTH} bytes.
   * @returns {@linkcode KEY_LENGTH} bytes, or `null` for a degenerate public key, whose secret anyone could compute.
   */
  secretWith(theirs: Uint8Array): Bytes | null {
    const key = toInteger(theirs);
    if (key < 2n || key > PRIME - 2n) return null;
    return toBytes(power(key, this.#exponent));
  }
}

/** Computes `base ** exponent % PRIME`, four bits of the exponent at a time. */
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
