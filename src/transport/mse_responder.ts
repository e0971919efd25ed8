/**
 * Message stream encryption handshake of the end that accepted the connection.
 *
 * @module
 */

import { type Bytes, concatBytes } from "../base/bytes.ts";
import type { InfoHash } from "../base/info_hash.ts";
import { MAX_FIRST_PAYLOAD } from "../base/defences.ts";
import { KEY_LENGTH, KeyPair } from "./diffie_hellman.ts";
import {
  ciphers,
  HASH_LENGTH,
  hashOf,
  Inbox,
  MAX_PADDING,
  Method,
  type MseCiphers,
  MseError,
  type MseMachine,
  type MseResult,
  type MseTools,
  padding,
  twoBytes,
  VC_LENGTH,
  xor,
} from "./mse.ts";

/** Options for {@linkcode MseResponder}. */
export interface MseResponderOptions {
  /**
   * Finds the torrent that the other end asks for.
   *
   * @param mark SHA-1("req2", info-hash).
   * @returns Info-hash of the torrent, or `null` if the session does not have it.
   */
  find(mark: Bytes): InfoHash | null;
  /**
   * Chooses the encryption of the payload.
   *
   * @param offered Bits of {@linkcode Method} (`crypto_provide`).
   * @returns One of the offered bits, or 0 if none is acceptable (`crypto_select`).
   */
  choose(offered: number): number;
}

/** The end that accepted the connection. */
export class MseResponder implements MseMachine {
  readonly #tools: MseTools;
  readonly #options: MseResponderOptions;
  readonly #inbox = new Inbox();
  #step: "key" | "mark" | "torrent" | "offer" | "padding" | "first" | "done" = "key";
  #secret: Bytes = new Uint8Array();
  #mark: Bytes = new Uint8Array();
  #infoHash: InfoHash | null = null;
  #ciphers: MseCiphers | null = null;
  #method = 0;
  /** Length of the next part in bytes. */
  #wanted = 0;
  #result: MseResult | null = null;

  constructor(tools: MseTools, options: MseResponderOptions) {
    this.#tools = tools;
    this.#options = options;
  }

  get hasPeerKey(): boolean {
    return this.#step !== "key";
  }

  get result(): MseResult | null {
    return this.#result;
  }

  received(bytes: Uint8Array): Bytes | null {
    const inbox = this.#inbox;
    const tools = this.#tools;
    inbox.add(bytes);
    let answer: Bytes | null = null;
    if (this.#step === "key") {
      if (inbox.length < KEY_LENGTH) return null;
      const keys = new KeyPair((length) => tools.randomBytes(length));
      const secret = keys.secretWith(inbox.take(KEY_LENGTH));
      if (secret === null) throw new MseError("its public key is invalid");
      this.#secret = secret;
      this.#mark = hashOf(tools, "req1", secret);
      answer = concatBytes([keys.publicKey, padding(tools)]);
      this.#step = "mark";
    }
    if (this.#step === "mark" && inbox.skipPast(this.#mark, MAX_PADDING)) this.#step = "torrent";
    if (this.#step === "torrent" && inbox.length >= HASH_LENGTH) this.#meet(inbox.take(HASH_LENGTH));
    if (this.#step === "offer" && inbox.length >= VC_LENGTH + 6) this.#offered(this.#open(VC_LENGTH + 6));
    if (this.#step === "padding" && inbox.length >= this.#wanted + 2) this.#padded(this.#open(this.#wanted + 2));
    if (this.#step === "first" && inbox.length >= this.#wanted) {
      const last = this.#finish(this.#open(this.#wanted));
      answer = answer === null ? last : concatBytes([answer, last]);
    }
    return answer;
  }

  #open(count: number): Bytes {
    const bytes = this.#inbox.take(count);
    this.#ciphers!.A.apply(bytes);
    return bytes;
  }

  #meet(hidden: Bytes): void {
    this.#infoHash = this.#options.find(xor(hidden, hashOf(this.#tools, "req3", this.#secret)));
    if (!this.#infoHash) throw new MseError("it asks for a torrent that is not here");
    this.#ciphers = ciphers(this.#tools, this.#secret, this.#infoHash);
    this.#step = "offer";
  }

  #offered(fields: Bytes): void {
    const view = new DataView(fields.buffer, fields.byteOffset);
    if (fields.subarray(0, VC_LENGTH).some((byte) => byte !== 0)) {
      throw new MseError("it did not encrypt what it offers");
    }
    const offered = view.getUint32(VC_LENGTH);
    const method = this.#options.choose(offered);
    if ((method !== Method.plain && method !== Method.rc4) || (method & offered) === 0) {
      throw new MseError(`it offers no way to encrypt that is wanted here (${offered})`);
    }
    this.#method = method;
    this.#wanted = view.getUint16(VC_LENGTH + 4);
    if (this.#wanted > MAX_PADDING) throw new MseError(`its padding has ${this.#wanted} bytes, not at most 512`);
    this.#step = "padding";
  }

  #padded(bytes: Bytes): void {
    this.#wanted = new DataView(bytes.buffer, bytes.byteOffset).getUint16(bytes.length - 2);
    if (this.#wanted > MAX_FIRST_PAYLOAD) {
      throw new MseError(`its first payload has ${this.#wanted} bytes, not at most ${MAX_FIRST_PAYLOAD}`);
    }
    this.#step = "first";
  }

  #finish(opened: Bytes): Bytes {
    const inbox = this.#inbox;
    const { A, B } = this.#ciphers!;
    this.#step = "done";
    const pad = padding(this.#tools);
    const answer = concatBytes([
      new Uint8Array(VC_LENGTH + 3), // the selected method has four bytes
      Uint8Array.of(this.#method),
      twoBytes(pad.length),
      pad,
    ]);
    B.apply(answer);
    const encrypted = this.#method === Method.rc4;
    const rest = inbox.take(inbox.length);
    if (encrypted) A.apply(rest);
    this.#result = {
      infoHash: this.#infoHash!,
      incoming: encrypted ? A : null,
      outgoing: encrypted ? B : null,
      first: concatBytes([opened, rest]),
    };
    return answer;
  }
}
