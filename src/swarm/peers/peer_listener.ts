/**
 * Peers that connect to us: accepted, heard, handed to the torrent that they ask for.
 *
 * @module
 */

import type { PeerAddress } from "../../base/address.ts";
import { messageOf } from "../../base/errors.ts";
import type { InfoHash } from "../../base/info_hash.ts";
import { ACCEPT_PAUSE_MS, HANDSHAKE_MS } from "../../base/defences.ts";
import { type Handshake, handshakeIn, type PeerStream } from "../../peer/mod.ts";
import { DESCRIPTORS_AGAIN, isShortage, makeRoom, OUT_OF_DESCRIPTORS } from "../../platform/descriptors.ts";
import type { Connection, Listener, Platform } from "../../platform/platform.ts";
import { ON_BLOCKLIST } from "./connection_manager.ts";
import { IncomingLimits, type PendingConnection } from "./incoming_limits.ts";

/** Milliseconds without such trouble after which it is over. */
const TROUBLE_OVER_MS = 5000;

/** Who takes connections for one torrent. */
export interface Acceptor {
  /** What we say when a connection opens. */
  readonly handshake: Handshake;
  /** Why a peer at this address would not be accepted, or `null`. */
  refuses(host: string): string | null;
  /** Takes over a connection that was made to us, after its handshake. */
  accept(connection: PeerStream, theirs: Handshake): void;
}

/** A connection that has not said what it wants. */
class PendingPeer implements PendingConnection {
  readonly connection: Connection;
  readonly host: string;
  /** Why we closed it; `null` while we haven't. */
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

/** The accepting end of a session. */
export class PeerListener {
  readonly #platform: Pick<Platform, "after" | "now">;
  readonly #listener: Listener;
  readonly #find: (infoHash: InfoHash) => Acceptor | null;
  readonly #blocks: (host: string) => boolean;
  readonly #open: (connection: Connection) => Promise<PeerStream>;
  readonly #refused: (address: PeerAddress, message: string) => void;
  readonly #warn: (message: string) => void;
  readonly #limits = new IncomingLimits<PendingPeer>();
  /** When a connection couldn't be taken last; `null` when that is over. */
  #trouble: number | null = null;
  #closed = false;

  /**
   * Starts to accept.
   *
   * @param platform Clock and timers.
   * @param options `listener`: the socket. `find`: the torrent that a peer asks for. `blocks`: who isn't heard at all.
   * `open`: finds out whether what comes is encrypted; nothing is when absent.
   * `refused`: is told of those that came to no torrent, but not of each when they are many. `warn`: is told when none can be taken
   * for now, and when they are again.
   */
  constructor(
    platform: Pick<Platform, "after" | "now">,
    options: {
      readonly listener: Listener;
      readonly find: (infoHash: InfoHash) => Acceptor | null;
      readonly blocks?: (host: string) => boolean;
      readonly open?: (connection: Connection) => Promise<PeerStream>;
      readonly refused: (address: PeerAddress, message: string) => void;
      readonly warn?: (message: string) => void;
    },
  ) {
    this.#platform = platform;
    this.#listener = options.listener;
    this.#find = options.find;
    this.#blocks = options.blocks ?? (() => false);
    this.#open = options.open ?? ((connection) => Promise.resolve(connection));
    this.#refused = options.refused;
    this.#warn = options.warn ?? (() => {});
    this.#run();
  }

  /** Where it listens. */
  get address(): PeerAddress {
    return this.#listener.address;
  }

  /** Stops accepting, and forgets those that have not said what they want. */
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
        // The listener is well (it gives null when closed) but the system is out of something: make room and try again.
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

  /** Says so, once for each time that it happens anew. */
  #inTrouble(error: unknown): void {
    if (isShortage(error)) makeRoom();
    if (this.#trouble === null && !this.#closed) {
      this.#warn(isShortage(error) ? OUT_OF_DESCRIPTORS : `cannot take connections for now: ${messageOf(error)}`);
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
    const refused = this.#blocks(caller.host) ? ON_BLOCKLIST : this.#limits.came(caller, this.#platform.now());
    if (refused !== null) {
      caller.dismiss(refused);
      return this.#tell(caller, refused);
    }
    this.#greet(caller);
    this.#limits.surplus?.dismiss("too many connections wait for their handshake");
  }

  async #greet(caller: PendingPeer): Promise<void> {
    const { connection, host } = caller;
    const late = `no handshake within ${HANDSHAKE_MS / 1000} s`;
    const timer = this.#platform.after(HANDSHAKE_MS, () => caller.dismiss(late));
    try {
      // Whoever is not welcome hears nothing. Its torrent alone knows, and it has to say which that is first.
      let unwelcome: string | null = null;
      const answer = (infoHash: InfoHash) => {
        const torrent = this.#find(infoHash);
        unwelcome = torrent?.refuses(host) ?? null;
        return unwelcome === null ? torrent?.handshake ?? null : null;
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
      // A port scan looks the same; it is told like everything else, and once.
      this.#tell(caller, caller.dismissed ?? messageOf(error));
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
