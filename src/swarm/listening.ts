/**
 * Peers that connect to us: accepted, heard, handed to the torrent that they ask for.
 *
 * @module
 */

import type { PeerAddress } from "../base/address.ts";
import type { InfoHash } from "../base/info_hash.ts";
import { handshakeIn } from "../peer/mod.ts";
import type { Connection, Listener, Platform } from "../platform/platform.ts";
import { HANDSHAKE_MS } from "./peer_set.ts";
import type { Torrent } from "./torrent.ts";

/** Connections that may be silent at the same time; past that the oldest one has to go. */
const MAX_PENDING = 128;
/** Milliseconds to wait when the system can't give us another connection, for want of file descriptors most likely. */
const ACCEPT_PAUSE_MS = 200;

/** The accepting end of a session. */
export class Listening {
  readonly #platform: Pick<Platform, "after">;
  readonly #listener: Listener;
  readonly #find: (infoHash: InfoHash) => Torrent | null;
  readonly #pending = new Set<Connection>();

  /**
   * Starts to accept.
   *
   * @param platform Timers.
   * @param options `listener`: the socket. `find`: the torrent that a peer asks for.
   */
  constructor(
    platform: Pick<Platform, "after">,
    options: { readonly listener: Listener; readonly find: (infoHash: InfoHash) => Torrent | null },
  ) {
    this.#platform = platform;
    this.#listener = options.listener;
    this.#find = options.find;
    this.#run();
  }

  /** Where it listens. */
  get address(): PeerAddress {
    return this.#listener.address;
  }

  /** Stops accepting, and forgets those that have not said what they want. */
  close(): void {
    this.#listener.close();
    for (const connection of this.#pending) connection.close();
  }

  async #run(): Promise<void> {
    for (;;) {
      let connection: Connection | null;
      try {
        connection = await this.#listener.accept();
      } catch {
        // The listener is well (it gives null when closed) but the system is out of something: make room and try again.
        this.#closeOldest();
        await new Promise<void>((resolve) => this.#platform.after(ACCEPT_PAUSE_MS, resolve));
        continue;
      }
      if (!connection) return;
      if (this.#pending.size >= MAX_PENDING) this.#closeOldest();
      this.#greet(connection);
    }
  }

  #closeOldest(): void {
    const [oldest] = this.#pending;
    oldest?.close();
  }

  async #greet(connection: Connection): Promise<void> {
    this.#pending.add(connection);
    const timer = this.#platform.after(HANDSHAKE_MS, () => connection.close());
    try {
      const welcome = (infoHash: InfoHash) => {
        const torrent = this.#find(infoHash);
        return torrent?.welcomes(connection.remote.host) ? torrent : null;
      };
      const theirs = await handshakeIn(connection, (infoHash) => welcome(infoHash)?.handshake ?? null);
      const torrent = welcome(theirs.infoHash);
      if (torrent) torrent.accept(connection, theirs);
      else connection.close();
    } catch {
      // Whatever was said, it was no handshake for a torrent of ours: scanners and strangers are no news.
      connection.close();
    } finally {
      timer.cancel();
      this.#pending.delete(connection);
    }
  }
}
