/**
 * Message stream encryption (MSE, also "protocol encryption"): what both ends of its handshake have in common. It was
 * specified by the makers of Azureus and uTorrent, and is no BEP.
 *
 *     1  A->B  public key, 0 to 512 bytes of padding
 *     2  B->A  public key, 0 to 512 bytes of padding
 *     3  A->B  SHA-1("req1", S), SHA-1("req2", info-hash) xor SHA-1("req3", S),
 *             RC4(8 zeros, what A offers, length of padding, padding, length of the first payload), RC4(first payload)
 *     4  B->A  RC4(8 zeros, what B chose, length of padding, padding)
 *
 * S is the secret that Diffie-Hellman gives. After that the payload, in what B chose.
 *
 * @module
 */

import { type Bytes, concatBytes, utf8 } from "../base/bytes.ts";
import type { InfoHash } from "../base/info_hash.ts";
import type { Platform } from "../platform/platform.ts";
import { Rc4 } from "./rc4.ts";

/** What the payload is wrapped in after the handshake; the bits of `crypto_provide` and `crypto_select`. */
export const Method = { plain: 1, rc4: 2 } as const;

/** What a handshake needs of the outside. */
export type MseTools = Pick<Platform, "randomBytes" | "digest">;

/** What a handshake came to. */
export interface MseResult {
  /** The torrent that the stream is for. */
  readonly infoHash: InfoHash;
  /** For what comes from the other end; `null` if the payload is plain. */
  readonly incoming: Rc4 | null;
  /** For what goes to the other end; `null` if the payload is plain. */
  readonly outgoing: Rc4 | null;
  /** The first bytes of payload, as they were before they were encrypted. */
  readonly first: Bytes;
}

/** One end of a handshake: bytes in, bytes out. */
export interface MseMachine {
  /** Whether the other end's public key came, so that it seems to know what this is. */
  readonly keyed: boolean;
  /** What it came to; `null` until it is over. */
  readonly result: MseResult | null;
  /**
   * Takes what the other end says. Not to be called when there is a result, or after an error.
   *
   * @param bytes Any number.
   * @returns What to answer; `null` for nothing.
   * @throws {MseError} If it isn't the handshake of message stream encryption.
   */
  received(bytes: Uint8Array): Bytes | null;
}

/** The other end does not shake hands as it should. */
export class MseError extends Error {
  override readonly name = "MseError";
}

/** Bytes of zeros by which an end finds where the other one begins to encrypt. */
export const VC_LENGTH = 8;
/** Most bytes of each padding. */
export const MAX_PADDING = 512;
/** Bytes of a SHA-1 digest. */
export const HASH_LENGTH = 20;

/** Bytes of the key stream that nobody uses: they tell too much about the key. */
const SKIPPED = 1024;

/**
 * A digest of several parts.
 *
 * @param tools Know SHA-1.
 * @param label What it is for: four letters.
 * @param parts What is hashed after that.
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
 * The ciphers of a connection.
 *
 * @param tools Know SHA-1.
 * @param secret What Diffie-Hellman gave.
 * @param infoHash The torrent.
 * @returns `A`: for what the end that dialled says. `B`: for what the other says.
 */
export function ciphers(tools: Pick<MseTools, "digest">, secret: Bytes, infoHash: InfoHash): MseCiphers {
  const cipher = (label: string) => new Rc4(hashOf(tools, label, secret, infoHash.bytes), { skip: SKIPPED });
  return { A: cipher("keyA"), B: cipher("keyB") };
}

/**
 * Padding of a random length.
 *
 * @param tools Make random bytes.
 * @returns 0 to {@linkcode MAX_PADDING} random bytes.
 */
export function padding(tools: Pick<MseTools, "randomBytes">): Bytes {
  const [high = 0, low = 0] = tools.randomBytes(2);
  return tools.randomBytes((high * 256 + low) % (MAX_PADDING + 1));
}

/** A number of two bytes, as it goes over the wire. */
export function twoBytes(value: number): Bytes {
  return Uint8Array.of(value >> 8, value & 255);
}

/** Both, bit by bit; of the same length. */
export function xor(a: Uint8Array, b: Uint8Array): Bytes {
  return Uint8Array.from(a, (byte, i) => byte ^ b[i]!);
}

/** What came and was not looked at yet. */
export class Inbox {
  #bytes: Bytes = new Uint8Array(1024);
  #from = 0;
  #to = 0;

  /** How many bytes there are. */
  get length(): number {
    return this.#to - this.#from;
  }

  /** Adds bytes at the end. */
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
   * Takes bytes from the front.
   *
   * @param count How many; as many have to be there.
   * @returns A view of them.
   */
  take(count: number): Bytes {
    const taken = this.#bytes.subarray(this.#from, this.#from + count);
    this.#from += count;
    return taken;
  }

  /**
   * Whether certain bytes come first.
   *
   * @param bytes Which.
   * @returns `null` while that can't be known.
   */
  startsWith(bytes: Uint8Array): boolean | null {
    const known = Math.min(bytes.length, this.length);
    for (let i = 0; i < known; i++) if (this.#bytes[this.#from + i] !== bytes[i]) return false;
    return known === bytes.length ? true : null;
  }

  /**
   * Throws away everything in front of certain bytes, and those, too.
   *
   * @param mark Which.
   * @param most Bytes that may be in front of them.
   * @returns Whether they were found; `false` as long as they may still come.
   * @throws {MseError} If they can't come any more.
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
    throw new MseError("it does not encrypt its handshake as it should");
  }
}
