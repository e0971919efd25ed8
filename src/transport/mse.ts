/**
 * Common parts of both ends of the message stream encryption handshake (MSE, also "protocol encryption"). MSE was
 * specified by the makers of Azureus and uTorrent, and is not a BEP.
 *
 *     1  A->B  public key, 0 to 512 bytes of padding
 *     2  B->A  public key, 0 to 512 bytes of padding
 *     3  A->B  SHA-1("req1", S), SHA-1("req2", info-hash) xor SHA-1("req3", S),
 *             RC4(8 zeros, crypto_provide, length of padding, padding, length of initial payload), RC4(initial payload)
 *     4  B->A  RC4(8 zeros, crypto_select, length of padding, padding)
 *
 * A is the initiator, B the responder, S the Diffie-Hellman secret. The payload follows, encrypted as B selected.
 *
 * @module
 */

import { type Bytes, concatBytes, utf8 } from "../base/bytes.ts";
import type { InfoHash } from "../base/info_hash.ts";
import type { Platform } from "../platform/platform.ts";
import { Rc4 } from "./rc4.ts";

/** Encryption of the payload after the handshake, as bits of `crypto_provide` and `crypto_select`. */
export const Method = { plain: 1, rc4: 2 } as const;

/** Random numbers and digests for a handshake. */
export type MseTools = Pick<Platform, "randomBytes" | "digest">;

/** Result of a handshake. */
export interface MseResult {
  /** Info-hash of the torrent. */
  readonly infoHash: InfoHash;
  /** Decrypts received payload; `null` if the payload is plain. */
  readonly incoming: Rc4 | null;
  /** Encrypts sent payload; `null` if the payload is plain. */
  readonly outgoing: Rc4 | null;
  /** First bytes of received payload, decrypted. */
  readonly first: Bytes;
}

/** One end of a handshake, as a state machine without I/O. */
export interface MseMachine {
  /** Whether the other end has sent its public key, so that it appears to support encryption. */
  readonly hasPeerKey: boolean;
  /** Result of the handshake; `null` until the handshake is complete. */
  readonly result: MseResult | null;
  /**
   * Handles received bytes. Must not be called once there is a result, or after an error.
   *
   * @returns Bytes to send, or `null`.
   * @throws {MseError} If the other end violates the handshake.
   */
  received(bytes: Uint8Array): Bytes | null;
}

/** The other end violates the encrypted handshake. */
export class MseError extends Error {
  override readonly name = "MseError";
}

/** Length of the verification constant, zeros by which an end finds where the other end starts to encrypt, in bytes. */
export const VC_LENGTH = 8;
/** Maximum length of each padding in bytes. */
export const MAX_PADDING = 512;
/** Length of a SHA-1 digest in bytes. */
export const HASH_LENGTH = 20;

/** Number of bytes discarded from the start of the RC4 key stream, since they reveal too much about the key. */
const SKIPPED = 1024;

/**
 * Computes a SHA-1 digest of a label and further parts.
 *
 * @param label Purpose of the digest, four letters.
 * @param parts Bytes that follow the label.
 * @returns {@linkcode HASH_LENGTH} bytes.
 */
export function hashOf(tools: Pick<MseTools, "digest">, label: string, ...parts: readonly Uint8Array[]): Bytes {
  const digest = tools.digest("sha1");
  digest.update(concatBytes([utf8(label), ...parts]));
  return digest.digest();
}

/** The two RC4 streams of a connection. */
export interface MseCiphers {
  /** Encrypts what the initiator sends. */
  readonly A: Rc4;
  /** Encrypts what the responder sends. */
  readonly B: Rc4;
}

/**
 * Creates the RC4 streams of a connection.
 *
 * @returns The stream of each end.
 */
export function ciphers(tools: Pick<MseTools, "digest">, secret: Bytes, infoHash: InfoHash): MseCiphers {
  const cipher = (label: string) => new Rc4(hashOf(tools, label, secret, infoHash.bytes), { skip: SKIPPED });
  return { A: cipher("keyA"), B: cipher("keyB") };
}

/**
 * Creates padding of a random length.
 *
 * @returns 0 to {@linkcode MAX_PADDING} random bytes.
 */
export function padding(tools: Pick<MseTools, "randomBytes">): Bytes {
  const [high = 0, low = 0] = tools.randomBytes(2);
  return tools.randomBytes((high * 256 + low) % (MAX_PADDING + 1));
}

/** Encodes a 16-bit number in network order. */
export function twoBytes(value: number): Bytes {
  return Uint8Array.of(value >> 8, value & 255);
}

/** Combines two byte arrays of the same length with a bitwise exclusive or. */
export function xor(a: Uint8Array, b: Uint8Array): Bytes {
  return Uint8Array.from(a, (byte, i) => byte ^ b[i]!);
}

/** Buffer of received bytes that have not been processed yet. */
export class Inbox {
  #bytes: Bytes = new Uint8Array(1024);
  #from = 0;
  #to = 0;

  /** Number of bytes in the buffer. */
  get length(): number {
    return this.#to - this.#from;
  }

  /** Appends bytes. */
  add(bytes: Uint8Array): void {
    if (this.#to + bytes.length > this.#bytes.length) {
      const larger = new Uint8Array(2 * (this.length + bytes.length));
      larger.set(this.#bytes.subarray(this.#from, this.#to));
      this.#to -= this.#from;
      this.#from = 0;
      this.#bytes = larger;
    }
    this.#bytes.set(bytes, this.#to);
    this.#to += bytes.length;
  }

  /**
   * Removes bytes from the start.
   *
   * @param count Number of bytes. The buffer must contain as many.
   */
  take(count: number): Bytes {
    const taken = this.#bytes.subarray(this.#from, this.#from + count);
    this.#from += count;
    return taken;
  }

  /**
   * Checks whether the buffer starts with certain bytes.
   *
   * @returns `null` if too few bytes have been received to decide.
   */
  startsWith(bytes: Uint8Array): boolean | null {
    const known = Math.min(bytes.length, this.length);
    for (let i = 0; i < known; i++) if (this.#bytes[this.#from + i] !== bytes[i]) return false;
    return known === bytes.length ? true : null;
  }

  /**
   * Removes everything up to and including certain bytes.
   *
   * @param most Maximum number of bytes in front of `mark`.
   * @returns `false` if `mark` has not been received yet.
   * @throws {MseError} If `mark` does not follow within `most` bytes.
   */
  skipPast(mark: Uint8Array, most: number): boolean {
    const last = Math.min(most, this.length - mark.length);
    for (let at = 0; at <= last; at++) {
      let same = 0;
      while (same < mark.length && this.#bytes[this.#from + at + same] === mark[same]) same++;
      if (same < mark.length) continue;
      this.take(at + mark.length);
      return true;
    }
    if (last < most) return false;
    throw new MseError("its encrypted handshake is invalid");
  }
}
