/**
 * Message stream encryption (MSE) on connections: which connections are encrypted, and which may be plain.
 *
 * @module
 */

import { formatAddress, type PeerAddress } from "../base/address.ts";
import { type Bytes, toHex } from "../base/bytes.ts";
import type { InfoHash } from "../base/info_hash.ts";
import { ENCRYPTED_HANDSHAKE_MS, MAX_REMEMBERED_HOSTS } from "../base/defences.ts";
import { LruMap } from "../base/lru_map.ts";
import { PROTOCOL } from "../base/protocol.ts";
import { networkFault } from "../platform/network_words.ts";
import type { Connection, Platform } from "../platform/platform.ts";
import { hashOf, Inbox, Method, MseError, type MseMachine } from "./mse.ts";
import { MseInitiator } from "./mse_initiator.ts";
import { MseResponder } from "./mse_responder.ts";
import { OpenedStream } from "./opened_stream.ts";
import { closeOnFailure, type DialOptions, type PeerStream, type Transport, writeAll } from "./transport.ts";

/**
 * How connections to peers are encrypted.
 *
 * - `off`: no encryption. Encrypted handshakes are not understood.
 * - `prefer`: outgoing connections use an encrypted handshake, and a plain handshake if the peer does not understand
 *   it. The payload is plain unless the peer requires RC4. Incoming connections may be encrypted or plain.
 * - `require`: everything is encrypted with RC4. Peers without encryption are rejected.
 */
export type EncryptionMode = "off" | "prefer" | "require";

/** Bytes per read, more than a handshake has. */
const READ_SIZE = 2048;

const NOTHING = new Uint8Array(0);

const LATE = `it takes more than ${ENCRYPTED_HANDSHAKE_MS / 1000} s for the encrypted handshake`;

/** The encryption of a session's connections. */
export class StreamEncryption {
  readonly #platform: Pick<Platform, "after" | "randomBytes" | "digest">;
  /** The encryption mode. */
  readonly mode: EncryptionMode;
  /** Info-hashes by SHA-1("req2", info-hash) in hexadecimal, by which a peer names the torrent. */
  readonly #torrents = new Map<string, InfoHash>();
  /**
   * What was found out about the peers that we dialled, by address: `plain` if a peer doesn't support encryption, `rc4`
   * if it rejects plain payload.
   */
  readonly #found = new LruMap<string, "plain" | "rc4">(MAX_REMEMBERED_HOSTS);

  constructor(platform: Pick<Platform, "after" | "randomBytes" | "digest">, mode: EncryptionMode) {
    this.#platform = platform;
    this.mode = mode;
  }

  /** Adds a torrent. Encrypted incoming connections are accepted only for known torrents. */
  add(infoHash: InfoHash): void {
    this.#torrents.set(this.#markOf(infoHash), infoHash);
  }

  /** Removes a torrent. */
  remove(infoHash: InfoHash): void {
    this.#torrents.delete(this.#markOf(infoHash));
  }

  /**
   * Adds encryption to a transport.
   *
   * @returns A transport with encryption, or `below` itself if encryption is off.
   */
  over(below: Transport): Transport {
    if (this.mode === "off") return below;
    return { name: below.name, dial: (address, options) => this.#dial(below, address, options) };
  }

  /**
   * Detects whether an incoming connection is encrypted, and performs the encrypted handshake if so.
   *
   * @returns The stream, starting with the handshake of BEP 3.
   * @throws {MseError} If the handshake fails, or is plain where encryption is required. The connection stays open.
   */
  async receive(connection: Connection): Promise<PeerStream> {
    if (this.mode === "off") return connection;
    const inbox = new Inbox();
    const buffer = new Uint8Array(READ_SIZE);
    let plain: boolean | null;
    while ((plain = inbox.startsWith(PROTOCOL)) === null) {
      const count = await connection.read(buffer);
      // The reader of the stream finds the end of the connection and reports what is missing.
      if (count === null) return new OpenedStream(connection, { first: inbox.take(inbox.length) });
      inbox.add(buffer.subarray(0, count));
    }
    const said = inbox.take(inbox.length);
    if (!plain) return await performHandshake(connection, { machine: this.#responder(), said });
    if (this.mode === "require") throw new MseError("it does not encrypt, which is required here");
    return new OpenedStream(connection, { first: said });
  }

  #responder(): MseResponder {
    return new MseResponder(this.#platform, {
      find: (mark) => this.#torrents.get(toHex(mark)) ?? null,
      choose: (offered) => {
        if (this.mode !== "require" && (offered & Method.plain) !== 0) return Method.plain;
        return offered & Method.rc4;
      },
    });
  }

  async #dial(below: Transport, address: PeerAddress, options: DialOptions): Promise<PeerStream> {
    if (this.mode === "require") return await this.#dialEncrypted(below, address, { ...options, provide: Method.rc4 });
    const key = formatAddress(address);
    const found = this.#found.peek(key);
    if (found === "plain") return await this.#dialPlain(below, address, options);
    if (found !== "rc4") {
      try {
        // rtorrent selects RC4 if it is offered both, which took 1.9 times as long as plain payload.
        return await this.#dialEncrypted(below, address, { ...options, provide: Method.plain });
      } catch (error) {
        if (options.signal.aborted || !(error instanceof FailedHandshake)) throw error;
        if (!error.hasPeerKey) return await this.#dialPlain(below, address, options);
        if (!error.hungUp) throw error;
      }
    }
    try {
      const stream = await this.#dialEncrypted(below, address, { ...options, provide: Method.plain | Method.rc4 });
      this.#found.set(key, "rc4");
      return stream;
    } catch (error) {
      this.#found.delete(key);
      throw error;
    }
  }

  /**
   * Dials with an encrypted handshake.
   *
   * @throws {FailedHandshake} If the handshake fails.
   */
  async #dialEncrypted(below: Transport, address: PeerAddress, options: EncryptedDialOptions): Promise<PeerStream> {
    const { infoHash, first, signal, provide } = options;
    // Transmission selects plain payload where it can, and then can't read initial payload that came encrypted with the
    // handshake. So initial payload saves a round trip only if RC4 alone is offered.
    const sendsFirst = provide === Method.rc4;
    const machine = new MseInitiator(this.#platform, { infoHash, provide, first: sendsFirst ? first : NOTHING });
    const connection = await below.dial(address, { ...options, first: machine.opening });
    let late = false;
    const timer = this.#platform.after(ENCRYPTED_HANDSHAKE_MS, () => {
      late = true;
      connection.close();
    });
    try {
      const stream = await closeOnFailure(connection, { signal, work: performHandshake(connection, { machine }) });
      if (!sendsFirst) await closeOnFailure(connection, { signal, work: writeAll(stream, first.slice()) });
      return stream;
    } catch (error) {
      const hungUp = !late && (!(error instanceof MseError) || error instanceof HungUp);
      throw new FailedHandshake(late ? LATE : networkFault(error), {
        hasPeerKey: machine.hasPeerKey,
        hungUp,
        cause: error,
      });
    } finally {
      timer.cancel();
    }
  }

  /**
   * Dials without encryption. Remembers a peer that answers, and forgets one that doesn't, since the peer may have
   * learnt to encrypt, or may now require encryption.
   */
  async #dialPlain(below: Transport, address: PeerAddress, options: DialOptions): Promise<PeerStream> {
    const key = formatAddress(address);
    this.#found.delete(key);
    const connection = await below.dial(address, options);
    const buffer = new Uint8Array(READ_SIZE);
    const count = await closeOnFailure(connection, { signal: options.signal, work: connection.read(buffer) });
    if (count !== null) this.#found.set(key, "plain");
    return new OpenedStream(connection, { first: buffer.subarray(0, count ?? 0) });
  }

  #markOf(infoHash: InfoHash): string {
    return toHex(hashOf(this.#platform, "req2", infoHash.bytes));
  }
}

interface EncryptedDialOptions extends DialOptions {
  /** Payload encryption to offer, as bits of {@linkcode Method}. */
  readonly provide: number;
}

/** Options for {@linkcode FailedHandshake}. */
interface FailedHandshakeOptions extends ErrorOptions {
  /** Whether the peer has sent its key, so that it supports encryption. */
  readonly hasPeerKey: boolean;
  /** Whether the peer closed the connection, as one does that rejects what we offer. */
  readonly hungUp: boolean;
}

/** An outgoing encrypted handshake has failed. */
class FailedHandshake extends MseError {
  readonly hasPeerKey: boolean;
  readonly hungUp: boolean;

  constructor(message: string, { hasPeerKey, hungUp, cause }: FailedHandshakeOptions) {
    super(message, { cause });
    this.hasPeerKey = hasPeerKey;
    this.hungUp = hungUp;
  }
}

/** The other end has closed the connection during the handshake. */
class HungUp extends MseError {}

interface ShakeOptions {
  /** Our end of the handshake. */
  readonly machine: MseMachine;
  /** Bytes that were already read from the connection. */
  readonly said?: Bytes | null;
}

/** Performs one end of the encrypted handshake. */
async function performHandshake(connection: Connection, { machine, said = null }: ShakeOptions): Promise<PeerStream> {
  const buffer = new Uint8Array(READ_SIZE);
  let heard = said;
  for (;;) {
    if (heard !== null) {
      const answer = machine.received(heard);
      if (answer) await writeAll(connection, answer);
      const { result } = machine;
      if (result) return new OpenedStream(connection, { first: result.first, handshake: result });
    }
    const count = await connection.read(buffer);
    if (count === null) throw new HungUp("it closed the connection during the encrypted handshake");
    heard = buffer.subarray(0, count);
  }
}
