/**
 * The torrents of a session, as its store sees them: which row of the database is whose.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import type { InfoHash } from "../base/info_hash.ts";
import type { InfoHashes } from "../base/info_hashes.ts";
import type { TorrentRecord } from "./store_schema.ts";

/** A torrent of the session, as the store sees it. */
export interface KeptTorrent {
  /** Info-hash of the torrent. */
  readonly infoHash: InfoHash;
  /** All info-hashes that are known; more may become known. */
  readonly infoHashes: InfoHashes;
  /** `true` once the metadata is known, and with it all info-hashes. */
  readonly isDescribed: boolean;
  /** Returns the record to store; `null` to store none. */
  record(): TorrentRecord | null;
  /** Returns the torrent file; `null` while the metadata is unknown. */
  torrentFile(): Bytes | null;
  /** Payload bytes since the torrent was added to the session. */
  readonly traffic: Traffic;
}

/** Payload traffic in bytes. */
export interface Traffic {
  /** Bytes received. */
  readonly downloaded: number;
  /** Bytes sent. */
  readonly uploaded: number;
}

/** Store's state of a torrent in the session. */
export interface Entry {
  readonly torrent: KeptTorrent;
  /** Info-hash of the row: another one of the torrent's if a run before has stored it by that. */
  readonly key: InfoHash;
  readonly addedAt: number;
  /** `true` if the row is of a permanent torrent, added as one-off in this session: only its traffic is written. */
  readonly isGuest: boolean;
  doneAt: number | null;
  /** Values of the row as JSON; `null` while unknown. */
  written: string | null;
  /** `true` if the torrent file is in the database. */
  hasFile: boolean;
  touchedAt: number;
  /** Traffic that is already in the stored totals. */
  counted: Traffic;
  /** `true` if the torrent has left the session: after one more write the entry is deleted. */
  isGone: boolean;
}

/** The entries of a store, no two of which have the same row. */
export class StoreEntries {
  readonly #all = new Map<string, Entry>();
  readonly #byKey = new Map<string, Entry>();

  /** Number of entries. */
  get size(): number {
    return this.#all.size;
  }

  /** Returns all entries. */
  values(): IterableIterator<Entry> {
    return this.#all.values();
  }

  /** Returns the entry of a torrent, given its info-hash in hex. */
  get(hex: string): Entry | undefined {
    return this.#all.get(hex);
  }

  /** Returns the entry that is stored by an info-hash. */
  at({ hex }: InfoHash): Entry | undefined {
    return this.#byKey.get(hex);
  }

  /** Adds an entry, whose row no other has. */
  add(entry: Entry): void {
    const { infoHash: { hex } } = entry.torrent;
    const before = this.#all.get(hex);
    if (before !== undefined) this.delete(before);
    this.#all.set(hex, entry);
    this.#byKey.set(entry.key.hex, entry);
  }

  /** Has a torrent stored by its own info-hash from now on, in a row to be written. */
  rename(entry: Entry): void {
    const { infoHash } = entry.torrent;
    this.#byKey.delete(entry.key.hex);
    Object.assign(entry, { key: infoHash, written: null, hasFile: false });
    this.#byKey.set(infoHash.hex, entry);
  }

  /** Deletes an entry. */
  delete(entry: Entry): void {
    this.#all.delete(entry.torrent.infoHash.hex);
    if (this.#byKey.get(entry.key.hex) === entry) this.#byKey.delete(entry.key.hex);
  }
}
