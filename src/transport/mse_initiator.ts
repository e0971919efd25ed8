/**
 * Message stream encryption handshake of the end that opened the connection.
 *
 * @module
 */

import { type Bytes, concatBytes } from "../base/bytes.ts";
import type { InfoHash } from "../base/info_hash.ts";
import { PROTOCOL } from "../base/protocol.ts";
import { KEY_LENGTH, KeyPair } from "./diffie_hellman.ts";
import {
  ciphers,
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

/** Options for {@linkcode MseInitiator}. */
export interface InitiatorOptions {
  /** Info-hash of the torrent. */
  readonly infoHash: InfoHash;
  /** Offered encryption, as bits of {@linkcode Method} (`crypto_provide`). */
  readonly provide: number;
  /** Initial payload, sent with the handshake to save a round trip. */
  readonly first: Bytes;
}

/** The end that opened the connection. */
export class MseInitiator implements MseMachine {
  /** First bytes to send. */
  readonly opening: Bytes;
  readonly #tools: MseTools;
  readonly #options: InitiatorOptions;
  readonly #keys: KeyPair;
  readonly #inbox = new Inbox();
  #step: "key" | "mark" | "choice" | "padding" | "done" = "key";
  #ciphers: MseCiphers | null = null;
  /** Verification constant as encrypted by the other end. */
  readonly #mark: Bytes = new Uint8Array(VC_LENGTH);
  #method = 0;
  #padding = 0;
  #result: MseResult | null = null;

  constructor(tools: MseTools, options: InitiatorOptions) {
    this.#tools = tools;
    this.#options = options;
    this.#keys = new KeyPair((length) => tools.randomBytes(length));
    this.opening = concatBytes([this.#keys.publicKey, padding(tools)]);
  }

  get hasPeerKey(): boolean {
    return this.#step !== "key";
  }

  get result(): MseResult | null {
    return this.#result;
  }

  received(bytes: Uint8Array): Bytes | null {
    const inbox = this.#inbox;
    inbox.add(bytes);
    let answer: Bytes | null = null;
    if (this.#step === "key") {
      if (inbox.startsWith(PROTOCOL)) throw new MseError("it speaks without encryption");
      if (inbox.length < KEY_LENGTH) return null;
      answer = this.#answer(inbox.take(KEY_LENGTH));
      this.#step = "mark";
    }
    const { B } = this.#ciphers!;
    if (this.#step === "mark" && inbox.skipPast(this.#mark, MAX_PADDING)) this.#step = "choice";
    if (this.#step === "choice" && inbox.length >= 6) {
      const fields = inbox.take(6);
      B.apply(fields);
      const view = new DataView(fields.buffer, fields.byteOffset);
      this.#method = this.#chosen(view.getUint32(0));
      this.#padding = view.getUint16(4);
      if (this.#padding > MAX_PADDING) throw new MseError(`its padding has ${this.#padding} bytes, not at most 512`);
      this.#step = "padding";
    }
    if (this.#step === "padding" && inbox.length >= this.#padding) this.#finish();
    return answer;
  }

  #answer(theirKey: Bytes): Bytes {
    const tools = this.#tools;
    const { infoHash, provide, first } = this.#options;
    const secret = this.#keys.secretWith(theirKey);
    if (secret === null) throw new MseError("its public key is invalid");
    const { A, B } = this.#ciphers = ciphers(tools, secret, infoHash);
    B.apply(this.#mark);
    const pad = padding(tools);
    const sealed = concatBytes([
      new Uint8Array(VC_LENGTH + 3), // `provide` has four bytes
      Uint8Array.of(provide),
      twoBytes(pad.length),
      pad,
      twoBytes(first.length),
      first,
    ]);
    A.apply(sealed);
    return concatBytes([
      hashOf(tools, "req1", secret),
      xor(hashOf(tools, "req2", infoHash.bytes), hashOf(tools, "req3", secret)),
      sealed,
    ]);
  }

  #chosen(method: number): number {
    const offered = (method === Method.plain || method === Method.rc4) && (method & this.#options.provide) !== 0;
    if (!offered) throw new MseError(`it chose a way to encrypt that was not offered (${method})`);
    return method;
  }

  #finish(): void {
    const inbox = this.#inbox;
    const { A, B } = this.#ciphers!;
    B.apply(inbox.take(this.#padding));
    this.#step = "done";
    const encrypted = this.#method === Method.rc4;
    const first = inbox.take(inbox.length);
    if (encrypted) B.apply(first);
    this.#result = {
      infoHash: this.#options.infoHash,
      incoming: encrypted ? B : null,
      outgoing: encrypted ? A : null,
      first,
    };
  }
}
