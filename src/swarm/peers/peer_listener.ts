/**
 * Accepts incoming peer connections, and passes each to the torrent that its handshake names.
 *
 * @module
 */

import type { PeerAddress } from "../../base/address.ts";
import type { InfoHash } from "../../base/info_hash.ts";
import { ACCEPT_PAUSE_MS, HANDSHAKE_MS } from "../../base/defences.ts";
import { type Handshake, handshakeIn, type PeerStream } from "../../peer/mod.ts";
import { DESCRIPTORS_AGAIN, isShortage, makeRoom, OUT_OF_DESCRIPTORS } from "../../platform/descriptors.ts";
import { networkFault } from "../../platform/network_words.ts";
import type { Connection, Listener, Platform } from "../../platform/platform.ts";
import { ON_BLOCKLIST } from "./connection_manager.ts";
import { IncomingLimits, type PendingConnection } from "./incoming_limits.ts";

/** Milliseconds after the last failed accept at which the problem counts as solved. */
const TROUBLE_OVER_MS = 5000;

/** A torrent, as the listener sees it. */
export interface Acceptor {
  /** Returns our answer to the handshake of a peer that asks for the torrent. */
  answer(theirs: Handshake): Handshake;
  /** Returns why a peer at an address is refused, or `null` if it isn't. */
  refuses(host: string): string | null;
  /** Takes over an incoming connection after its handshake. */
  accept(connection: PeerStream, theirs: Handshake): void;
}

/** Options for {@linkcode PeerListener}. */
export interface PeerListenerOptions {
  /** Listening socket. */
  readonly listener: Listener;
  /** Returns the torrent with an info-hash, or `null` if the session has none. */
  readonly find: (infoHash: InfoHash) => Acceptor | null;
  /** Returns `true` if connections from an address are refused before their handshake. None are when absent. */
  readonly blocks?: (host: string) => boolean;
  /** Detects whether a connection is encrypted. All are plain when absent. */
  readonly open?: (connection: Connection) => Promise<PeerStream>;
  /** Called with connections that were refused; for many of one network, only with some. */
  readonly refused: (address: PeerAddress, message: string) => void;
  /** Called with a message when no connections can be accepted for now, and when they can be again. */
  readonly warn?: (message: string) => void;
}

/** A connection without a handshake. */
class PendingPeer implements PendingConnection {
  readonly connection: Connection;
  readonly host: string;
  /** Why we closed the connection; `null` while it is open. */
  dismissed: string | null = null;

  constructor(connection: Connection) {
    this.connection = connection;
    this.host = connection.remote.host;
  }

  dismiss(why: string): void {
    this.dismissed ??= why;
    this.connection.close();
  }
}

/** Listener for incoming peer connections of a session. */
export class PeerListener {
  readonly #platform: Pick<Platform, "after" | "now">;
  readonly #listener: Listener;
  readonly #find: (infoHash: InfoHash) => Acceptor | null;
  readonly #blocks: (host: string) => boolean;
  readonly #open: (connection: Connection) => Promise<PeerStream>;
  readonly #refused: (address: PeerAddress, message: string) => void;
  readonly #warn: (message: string) => void;
  readonly #limits = new IncomingLimits<PendingPeer>();
  /** When the last accept failed; `null` if there is no problem. */
  #trouble: number | null = null;
  #closed = false;

  /**
   * Starts to accept connections.
   *
   * @param platform Clock and timers.
   * @param options See {@linkcode PeerListenerOptions}.
   */
  constructor(platform: Pick<Platform, "after" | "now">, options: PeerListenerOptions) {
    this.#platform = platform;
    this.#listener = options.listener;
    this.#find = options.find;
    this.#blocks = options.blocks ?? (() => false);
    this.#open = options.open ?? ((connection) => Promise.resolve(connection));
    this.#refused = options.refused;
    this.#warn = options.warn ?? (() => {});
    this.#run();
  }

  /** Address on which the session listens. */
  get address(): PeerAddress {
    return this.#listener.address;
  }

  /** Stops accepting, and closes connections without a handshake. */
  close(): void {
    this.#closed = true;
    this.#listener.close();
    for (const caller of this.#limits.pending) caller.dismiss("we are stopping");
  }

  async #run(): Promise<void> {
    for (;;) {
      let connection: Connection | null;
      try {
        connection = await this.#listener.accept();
      } catch (error) {
        // The listener still works (it returns `null` when closed), but the system is out of resources: make room and
        // try again.
        this.#limits.oldest?.dismiss("there was no room for more connections");
        this.#inTrouble(error);
        await this.#pause(ACCEPT_PAUSE_MS);
        continue;
      }
      if (!connection) return;
      this.#outOfTrouble();
      this.#meet(new PendingPeer(connection));
      const wait = this.#limits.accepted(this.#platform.now());
      if (wait > 0) await this.#pause(wait);
    }
  }

  /** Warns the user, once for each time that the problem begins. */
  #inTrouble(error: unknown): void {
    if (isShortage(error)) makeRoom();
    if (this.#trouble === null && !this.#closed) {
      this.#warn(isShortage(error) ? OUT_OF_DESCRIPTORS : `cannot take connections for now: ${networkFault(error)}`);
    }
    this.#trouble = this.#platform.now();
  }

  #outOfTrouble(): void {
    if (this.#trouble === null || this.#platform.now() - this.#trouble < TROUBLE_OVER_MS) return;
    this.#trouble = null;
    this.#warn(DESCRIPTORS_AGAIN);
  }

  #pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => this.#platform.after(milliseconds, resolve));
  }

  #meet(caller: PendingPeer): void {
    const refused = this.#blocks(caller.host) ? ON_BLOCKLIST : this.#limits.admit(caller, this.#platform.now());
    if (refused !== null) {
      caller.dismiss(refused);
      return this.#tell(caller, refused);
    }
    this.#receiveHandshake(caller);
    this.#limits.surplus?.dismiss("too many connections wait for their handshake");
  }

  async #receiveHandshake(caller: PendingPeer): Promise<void> {
    const { connection, host } = caller;
    const late = `no handshake within ${HANDSHAKE_MS / 1000} s`;
    const timer = this.#platform.after(HANDSHAKE_MS, () => caller.dismiss(late));
    try {
      // A refused peer gets no handshake. Only its torrent can refuse it, so the peer has to send the info-hash first.
      let unwelcome: string | null = null;
      const answer = (theirs: Handshake) => {
        const torrent = this.#find(theirs.infoHash);
        unwelcome = torrent?.refuses(host) ?? null;
        return unwelcome === null ? torrent?.answer(theirs) ?? null : null;
      };
      const stream = await this.#open(connection);
      const theirs = await handshakeIn(stream, answer).catch((error) => {
        throw unwelcome === null ? error : new Error(unwelcome);
      });
      const torrent = this.#find(theirs.infoHash);
      if (!torrent) throw new Error("the torrent is gone");
      torrent.accept(stream, theirs);
    } catch (error) {
      connection.close();
      // Port scans end here as well. They are reported like other failures, and limited in the same way.
      this.#tell(caller, caller.dismissed ?? networkFault(error));
    } finally {
      timer.cancel();
      this.#limits.done(caller);
    }
  }

  #tell({ connection, host }: PendingPeer, message: string): void {
    if (this.#closed) return;
    const told = this.#limits.tell(host, { message, now: this.#platform.now() });
    if (told !== null) this.#refused(connection.remote, told);
  }
}
