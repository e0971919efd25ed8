/**
 * A connection whose first bytes have been read already, and that may be encrypted.
 *
 * @module
 */

import type { PeerAddress } from "../base/address.ts";
import type { Bytes } from "../base/bytes.ts";
import type { InfoHash } from "../base/info_hash.ts";
import type { Connection } from "../platform/platform.ts";
import type { MseResult } from "./mse.ts";
import type { Rc4 } from "./rc4.ts";
import type { Encryption, PeerStream } from "./transport.ts";

/** What has been read and negotiated on a connection. */
export interface Opening {
  /** First bytes of payload, decrypted. */
  readonly first: Bytes;
  /** Result of the encrypted handshake, if there was one. */
  readonly handshake?: MseResult;
}

/** A stream that returns the bytes read earlier first. Decrypts after reading and encrypts before writing, in place. */
export class OpenedStream implements PeerStream {
  readonly encryption: Encryption;
  readonly infoHash?: InfoHash;
  readonly remote: PeerAddress;
  readonly local: PeerAddress;
  readonly #connection: Connection;
  readonly #incoming: Rc4 | null;
  readonly #outgoing: Rc4 | null;
  #first: Bytes;
  /** Number of bytes that the last write has encrypted but not written. The next write starts with these bytes. */
  #encrypted = 0;

  constructor(connection: Connection, { first, handshake }: Opening) {
    this.#connection = connection;
    this.remote = connection.remote;
    this.local = connection.local;
    this.#first = first;
    this.#incoming = handshake?.incoming ?? null;
    this.#outgoing = handshake?.outgoing ?? null;
    this.encryption = handshake === undefined ? "none" : handshake.outgoing ? "rc4" : "handshake";
    if (handshake) this.infoHash = handshake.infoHash;
  }

  read(into: Bytes): Promise<number | null> {
    if (this.#first.length > 0) return Promise.resolve(this.#readFirst(into));
    return this.#incoming ? this.#decrypted(into, this.#incoming) : this.#connection.read(into);
  }

  write(bytes: Bytes): Promise<number> {
    return this.#outgoing ? this.#writeEncrypted(bytes, this.#outgoing) : this.#connection.write(bytes);
  }

  close(): void {
    this.#connection.close();
  }

  #readFirst(into: Bytes): number {
    const taken = this.#first.subarray(0, into.length);
    into.set(taken);
    // Release the buffer once all of its bytes have been returned.
    this.#first = taken.length < this.#first.length ? this.#first.subarray(taken.length) : new Uint8Array();
    return taken.length;
  }

  async #decrypted(into: Bytes, cipher: Rc4): Promise<number | null> {
    const count = await this.#connection.read(into);
    if (count !== null) cipher.apply(into, 0, count);
    return count;
  }

  async #writeEncrypted(bytes: Bytes, cipher: Rc4): Promise<number> {
    const ready = this.#encrypted;
    if (bytes.length > ready) cipher.apply(bytes, ready);
    const count = await this.#connection.write(bytes);
    this.#encrypted = Math.max(ready, bytes.length) - count;
    return count;
  }
}
