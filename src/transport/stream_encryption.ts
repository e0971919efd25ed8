/**
 * Message stream encryption on real connections: who is spoken to encrypted, and who may speak without.
 *
 * @module
 */

import { formatAddress, type PeerAddress } from "../base/address.ts";
import { type Bytes, toHex } from "../base/bytes.ts";
import type { InfoHash } from "../base/info_hash.ts";
import { ENCRYPTED_HANDSHAKE_MS, MAX_REMEMBERED_HOSTS } from "../base/defences.ts";
import { LruMap } from "../base/lru_map.ts";
import { PROTOCOL } from "../base/protocol.ts";
import type { Connection, Platform } from "../platform/platform.ts";
import { hashOf, Inbox, Method, MseError, type MseMachine } from "./mse.ts";
import { MseInitiator } from "./mse_initiator.ts";
import { MseResponder } from "./mse_responder.ts";
import { OpenedStream } from "./opened_stream.ts";
import { type DialOptions, orClose, type PeerStream, type Transport, writeAll } from "./transport.ts";

/**
 * How connections to peers are encrypted.
 *
 * - `off`: not at all; nobody who encrypts is understood.
 * - `prefer`: peers are dialled with an encrypted handshake, and without one when they don't understand it. Where both ends
 *   can do without, what follows the handshake is plain, which costs nothing. Who dials us may do as it likes.
 * - `require`: everything is encrypted with RC4, and nobody who doesn't is spoken to.
 */
export type EncryptionMode = "off" | "prefer" | "require";

/** Bytes that are read at a time: more than a handshake has. */
const READ_SIZE = 2048;

const NOTHING = new Uint8Array(0);

const LATE = `it takes more than ${ENCRYPTED_HANDSHAKE_MS / 1000} s for the encrypted handshake`;

/** The encryption of a session. */
export class StreamEncryption {
  readonly #platform: Pick<Platform, "after" | "randomBytes" | "digest">;
  /** How. */
  readonly mode: EncryptionMode;
  /** By SHA-1("req2", info-hash), in hexadecimal: how a peer names the torrent that it asks for. */
  readonly #torrents = new Map<string, InfoHash>();
  /** Those that we dial and that speak without encryption only. */
  readonly #plain = new LruMap<string, true>(MAX_REMEMBERED_HOSTS);

  /**
   * @param platform Randomness, SHA-1 and timers.
   * @param mode How.
   */
  constructor(platform: Pick<Platform, "after" | "randomBytes" | "digest">, mode: EncryptionMode) {
    this.#platform = platform;
    this.mode = mode;
  }

  /** A torrent is here from now on: a peer can't say which one it wants without our knowing it. */
  add(infoHash: InfoHash): void {
    this.#torrents.set(this.#markOf(infoHash), infoHash);
  }

  /** A torrent is not here any more. */
  remove(infoHash: InfoHash): void {
    this.#torrents.delete(this.#markOf(infoHash));
  }

  /**
   * A way to reach peers that encrypts.
   *
   * @param below The way itself.
   * @returns It, with encryption; as it is when that is off.
   */
  over(below: Transport): Transport {
    if (this.mode === "off") return below;
    return { name: below.name, dial: (address, options) => this.#dial(below, address, options) };
  }

  /**
   * Finds out how somebody who connected to us speaks, and shakes hands if that is encrypted.
   *
   * @param connection A fresh one.
   * @returns The stream, from the first byte of the handshake of BEP 3 on.
   * @throws {MseError} If it is not as it has to be. Nothing is closed.
   */
  async receive(connection: Connection): Promise<PeerStream> {
    if (this.mode === "off") return connection;
    const inbox = new Inbox();
    const buffer = new Uint8Array(READ_SIZE);
    let plain: boolean | null;
    while ((plain = inbox.startsWith(PROTOCOL)) === null) {
      const count = await connection.read(buffer);
      // Whoever reads on finds the end and says what is missing.
      if (count === null) return new OpenedStream(connection, { first: inbox.take(inbox.length) });
      inbox.add(buffer.subarray(0, count));
    }
    const said = inbox.take(inbox.length);
    if (!plain) return await shake(connection, { machine: this.#responder(), said });
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
    const key = formatAddress(address);
    if (this.#plain.has(key)) return await this.#dialPlain(below, address, options);
    const { infoHash, first, signal } = options;
    const provide = this.mode === "require" ? Method.rc4 : Method.plain | Method.rc4;
    // Transmission that prefers plain payload chooses it and then can't read first words that came encrypted with the
    // handshake: only where there is nothing to choose do they save a round trip.
    const isSettled = this.mode === "require";
    const machine = new MseInitiator(this.#platform, { infoHash, provide, first: isSettled ? first : NOTHING });
    const connection = await below.dial(address, { ...options, first: machine.opening });
    let late = false;
    const timer = this.#platform.after(ENCRYPTED_HANDSHAKE_MS, () => {
      late = true;
      connection.close();
    });
    try {
      const stream = await orClose(connection, { signal, work: shake(connection, { machine }) });
      if (!isSettled) await orClose(connection, { signal, work: writeAll(stream, first.slice()) });
      return stream;
    } catch (error) {
      // Who answered with a key has understood, and doesn't want us for another reason.
      if (this.mode === "require" || machine.keyed || signal.aborted) throw late ? new MseError(LATE) : error;
    } finally {
      timer.cancel();
    }
    return await this.#dialPlain(below, address, options);
  }

  /** Remembers those that answer; and forgets them when they don't, since they may have learnt to encrypt, or require it. */
  async #dialPlain(below: Transport, address: PeerAddress, options: DialOptions): Promise<PeerStream> {
    const key = formatAddress(address);
    this.#plain.delete(key);
    const connection = await below.dial(address, options);
    const buffer = new Uint8Array(READ_SIZE);
    const count = await orClose(connection, { signal: options.signal, work: connection.read(buffer) });
    if (count !== null) this.#plain.set(key, true);
    return new OpenedStream(connection, { first: buffer.subarray(0, count ?? 0) });
  }

  #markOf(infoHash: InfoHash): string {
    return toHex(hashOf(this.#platform, "req2", infoHash.bytes));
  }
}

/** Runs one end of a handshake. `said`: what the other end has said already. */
async function shake(
  connection: Connection,
  { machine, said = null }: { readonly machine: MseMachine; readonly said?: Bytes | null },
): Promise<PeerStream> {
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
    if (count === null) throw new MseError("it closed the connection during the encrypted handshake");
    heard = buffer.subarray(0, count);
  }
}
