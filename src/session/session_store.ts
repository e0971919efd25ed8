/**
 * Stores what a session keeps between runs: its torrents, their torrent files, and traffic totals, in one database in
 * the state folder. Resume files and the DHT's routing table are separate files in the same folder.
 *
 * Several processes can share the database. Transactions are short, traffic is added to the stored totals, and a locked
 * database is tried again later. The running session doesn't depend on the database: the first failure is reported, and
 * the session goes on without it.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { ShoalError } from "../base/errors.ts";
import type { InfoHash } from "../base/info_hash.ts";
import { isDatabaseFault } from "../platform/database_error.ts";
import type { Database, Platform, SqlValue, Timer } from "../platform/platform.ts";
import { type Entry, type KeptTorrent, StoreEntries, type Traffic } from "./store_entries.ts";
import { importTorrents, sweepFiles } from "./state_files.ts";
import { openOrReplaceDatabase, retryWhileLocked } from "./store_opening.ts";
import {
  PUT_TORRENT,
  SELECT_TORRENT,
  type StoredTorrent,
  torrentOf,
  type TorrentRecord,
  valuesOf,
} from "./store_schema.ts";

export type { KeptTorrent, StoredTorrent, TorrentRecord, Traffic };

/** Name of the database in the state folder. */
const DATABASE_NAME = "session.db";
/** Milliseconds between a change and its transaction, so that changes made together are written together. */
const SOON_MS = 20;
/** Milliseconds between transactions while changes keep coming. */
const WRITE_INTERVAL_MS = 1_000;
/** Milliseconds between checks of the torrents' traffic counters. */
const TRAFFIC_INTERVAL_MS = 5_000;
/** Milliseconds until a failed write is tried again, unless the database was only locked. */
const FAILED_INTERVAL_MS = 30_000;
/** Damaged databases replaced in one run. A device that damages each of them is not fit to store anything. */
const MAX_REPAIRS = 2;
/** Torrents written in one transaction. The event loop is blocked during a transaction. */
const BATCH_TORRENTS = 100;
/** Bytes of torrent files after which a transaction takes no more. */
const BATCH_BYTES = 1024 * 1024;
/** Interval of refreshing an active torrent's `touched_at`, and of sweeping the state folder. */
const DAY_MS = 24 * 60 * 60 * 1000;
/** Milliseconds without use after which one-off torrents, and data that belongs to no torrent, are deleted. */
export const FORGET_MS = 30 * DAY_MS;

/** Events that don't change a torrent's record. */
const PASSING: ReadonlySet<string> = new Set(["peer", "tracker", "checking", "hash_failed", "warning"]);

/** Fields of an event that the store uses. */
interface HeardEvent {
  readonly event: string;
  readonly infohash: string | null;
  readonly what?: string;
}

/** Options for {@linkcode SessionStore}. */
export interface SessionStoreOptions {
  /** System services: files, database, clocks and timers. */
  readonly platform: Pick<Platform, "files" | "openDatabase" | "now" | "wallClock" | "after" | "yieldToEventLoop">;
  /** State folder of the session; `null` to keep nothing. */
  readonly stateFolder: string | null;
  /** Called once when the store can't be written, and with damage found in stored data. */
  onWarning(error: ShoalError): void;
}

/** Torrents written in one transaction, each with its record, or `null` to write its traffic only. */
type Batch = readonly (readonly [entry: Entry, record: TorrentRecord | null])[];

/** The session's database. */
export class SessionStore {
  readonly #options: SessionStoreOptions;
  readonly #platform: SessionStoreOptions["platform"];
  readonly #path: string;
  #database: Database | null = null;
  /** Folder of relative paths, which are stored absolute because the next run may start in another folder. */
  #here: string | null = null;
  readonly #entries = new StoreEntries();
  readonly #dirty = new Set<Entry>();
  /** Torrent files to be written, possibly of torrents that are not in the session. */
  readonly #files = new Map<string, { readonly infoHash: InfoHash; readonly bytes: Bytes }>();
  /** Torrents to be deleted from the database. */
  readonly #removed = new Map<string, InfoHash>();
  #timer: Timer | null = null;
  #trafficTimer: Timer | null = null;
  #writtenAt = -Infinity;
  #writing: Promise<void> | null = null;
  #hasFailed = false;
  #isClosed = false;
  /** `true` if a read or write found the database damaged. */
  #isBroken = false;
  #repairs = 0;
  /** Resolves when the torrent files of older versions have been imported. */
  #imported: Promise<void> = Promise.resolve();
  #swept: Promise<void> = Promise.resolve();

  constructor(options: SessionStoreOptions) {
    this.#options = options;
    this.#platform = options.platform;
    this.#path = `${options.stateFolder}/${DATABASE_NAME}`;
  }

  /** Returns `true` if the database is open. */
  get isOpen(): boolean {
    return this.#database !== null;
  }

  /** Opens the database. Never rejects: the session goes on without a store. */
  async open(): Promise<void> {
    const { stateFolder } = this.#options;
    if (stateFolder === null || this.#platform.openDatabase === undefined) return;
    try {
      await this.#platform.files.makeFolder(stateFolder, { secret: true });
      this.#database = await this.#open(false);
    } catch (error) {
      return this.#warn(error);
    }
    if (this.#isClosed) return this.#shut(); // closed in the meantime
    this.#imported = this.#import(stateFolder);
    this.#swept = this.#sweep(stateFolder);
  }

  /** Returns all stored torrents, oldest first. */
  torrents(): StoredTorrent[] {
    const rows = this.#read((database) => database.prepare("SELECT * FROM torrents ORDER BY added_at, rowid").all());
    const torrents = (rows ?? []).map(torrentOf);
    const bad = torrents.filter((torrent) => torrent === null).length;
    if (bad > 0) this.#warnOf(`${bad === 1 ? "a torrent in it makes" : `${bad} torrents in it make`} no sense`);
    return torrents.filter((torrent) => torrent !== null);
  }

  /** Payload traffic of all sessions so far. The traffic of running torrents is added every few seconds. */
  get totals(): Traffic {
    const row = this.#read((database) => database.prepare("SELECT downloaded, uploaded FROM session").get());
    return { downloaded: Number(row?.["downloaded"] ?? 0), uploaded: Number(row?.["uploaded"] ?? 0) };
  }

  /** Starts storing a torrent of the session. */
  add(torrent: KeptTorrent): void {
    if (this.#database === null || this.#isClosed) return;
    const { infoHash, infoHashes } = torrent;
    // The row of the own info-hash goes to the torrent, if another one has it.
    const other = this.#entries.at(infoHash);
    if (other !== undefined && other.torrent.infoHash.hex !== infoHash.hex) this.#rename(other);
    const there = infoHashes.onWire.map((one) => this.#stored(one))
      .find((row) => row?.infoHashes.agreesWith(infoHashes) && this.#isFree(row.infoHash, infoHash)) ?? null;
    const now = this.#platform.wallClock();
    // A torrent that is being removed with its files counts as new when it is added again.
    const isLasting = there !== null && !there.oneOff && there.state !== "removing";
    const entry: Entry = {
      torrent,
      key: there?.infoHash ?? infoHash,
      addedAt: there?.addedAt ?? now,
      isGuest: isLasting && (torrent.record()?.oneOff ?? false),
      doneAt: there?.doneAt ?? null,
      written: null,
      hasFile: false,
      touchedAt: now,
      counted: { downloaded: 0, uploaded: 0 },
      isGone: false,
    };
    for (const { hex } of [entry.key, ...infoHashes.onWire]) this.#removed.delete(hex);
    this.#entries.add(entry);
    this.#trafficTimer ??= this.#platform.after(TRAFFIC_INTERVAL_MS, () => this.#pollTraffic());
    this.#touch(entry);
  }

  /** Returns `true` if a torrent of the session is stored by an info-hash. */
  holds(infoHash: InfoHash): boolean {
    return this.#entries.at(infoHash) !== undefined;
  }

  /** Returns `true` if no other torrent than that of `infoHash` has a row. */
  #isFree(key: InfoHash, infoHash: InfoHash): boolean {
    return this.#entries.at(key)?.torrent.infoHash.equals(infoHash) ?? true;
  }

  #rename(entry: Entry): void {
    this.#entries.rename(entry);
    this.#touch(entry);
  }

  /**
   * Called when a torrent has changed. This is cheap: the record is read when it is written.
   *
   * @param infoHash Info-hash in hex; ignored if the torrent isn't stored.
   */
  markDirty(infoHash: string): void {
    const entry = this.#entries.get(infoHash);
    if (entry) this.#touch(entry);
  }

  /** Handles an event of the session, which may mean that a torrent has changed. */
  handleEvent(event: HeardEvent): void {
    if (event.infohash === null || PASSING.has(event.event)) return;
    this.markDirty(event.infohash);
    // Written at once: after the move, the stored folder is wrong.
    if (event.event === "changed" && event.what === "folder") void this.flush();
  }

  /** Called when a torrent leaves the session. Its last state stays stored. */
  leave(infoHash: InfoHash): void {
    const entry = this.#entries.get(infoHash.hex);
    if (!entry) return;
    entry.isGone = true;
    this.#touch(entry);
  }

  /** Deletes a torrent from the store. */
  remove(infoHash: InfoHash): void {
    if (this.#database === null) return;
    const entry = this.#entries.get(infoHash.hex);
    if (entry) {
      this.#dirty.delete(entry);
      this.#entries.delete(entry);
    }
    for (const key of [infoHash, ...(entry ? [entry.key, ...entry.torrent.infoHashes.onWire] : [])]) {
      if (this.holds(key)) continue; // of a torrent that goes on for the removed one
      this.#files.delete(key.hex);
      this.#removed.set(key.hex, key);
    }
    this.#schedule(SOON_MS);
  }

  /**
   * Loads a stored torrent file.
   *
   * @returns The torrent file, unchecked, or `null` if there is none.
   */
  async load(infoHash: InfoHash): Promise<Bytes | null> {
    await this.#imported;
    const waiting = this.#files.get(infoHash.hex);
    if (waiting) return waiting.bytes;
    const select = "SELECT bytes, used_at FROM metainfo WHERE info_hash = ?";
    const row = this.#read((database) => database.prepare(select).get(infoHash.bytes));
    const bytes = row?.["bytes"];
    if (!(bytes instanceof Uint8Array)) {
      const other = this.#stored(infoHash)?.infoHash;
      return other === undefined || other.equals(infoHash) ? null : await this.load(other);
    }
    const now = this.#platform.wallClock();
    if (Math.abs(now - Number(row?.["used_at"])) > DAY_MS) {
      this.#files.set(infoHash.hex, { infoHash, bytes: bytes as Bytes }); // writing it again updates `used_at`
      this.#schedule(SOON_MS);
    }
    return bytes as Bytes;
  }

  /** Stores the torrent file of a magnet link, whether or not the torrent is in the session. */
  save(infoHash: InfoHash, bytes: Bytes): void {
    if (this.#database === null || this.#isClosed) return;
    this.#files.set(infoHash.hex, { infoHash, bytes });
    this.#schedule(SOON_MS);
  }

  /** Writes all changes so far. Never rejects, even if the write fails. */
  async flush(): Promise<void> {
    try {
      await retryWhileLocked(this.#platform, () => this.#writeAll());
    } catch (error) {
      this.#warn(error);
    }
  }

  /** Writes all changes and closes the database. Never rejects; calling it again has no effect. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#trafficTimer?.cancel();
    await Promise.all([this.#imported, this.#swept]);
    for (const entry of this.#entries.values()) this.#dirty.add(entry);
    await this.flush();
    this.#shut();
  }

  #open(isSuspect: boolean): Promise<Database> {
    return openOrReplaceDatabase({
      platform: this.#platform,
      path: this.#path,
      isSuspect,
      putAside: (why, name) => this.#warnOf(`${why}; it was renamed to ${name}, and a new one begun`),
    });
  }

  #touch(entry: Entry): void {
    if (this.#database === null || this.#isClosed) return;
    this.#dirty.add(entry);
    this.#schedule(SOON_MS);
  }

  /** Schedules a write, after the given time and no sooner than the minimum interval since the last write. */
  #schedule(milliseconds: number): void {
    if (this.#timer !== null || this.#isClosed || this.#database === null) return;
    const wait = Math.max(milliseconds, this.#writtenAt + WRITE_INTERVAL_MS - this.#platform.now());
    this.#timer = this.#platform.after(wait, () => void this.#tick());
  }

  async #tick(): Promise<void> {
    let wait = SOON_MS;
    try {
      await this.#writeAll();
    } catch (error) {
      if (!isDatabaseFault(error, "locked")) wait = FAILED_INTERVAL_MS;
      if (wait > SOON_MS) this.#warn(error);
    }
    this.#timer = null;
    if (this.#hasWork) this.#schedule(wait);
  }

  get #hasWork(): boolean {
    return this.#dirty.size > 0 || this.#files.size > 0 || this.#removed.size > 0;
  }

  #pollTraffic(): void {
    this.#trafficTimer = null;
    if (this.#isClosed || this.#entries.size === 0) return;
    const now = this.#platform.wallClock();
    for (const entry of this.#entries.values()) {
      const { downloaded, uploaded } = entry.torrent.traffic;
      const hasMoved = downloaded !== entry.counted.downloaded || uploaded !== entry.counted.uploaded;
      if (hasMoved || now - entry.touchedAt > DAY_MS) this.#touch(entry);
    }
    this.#trafficTimer = this.#platform.after(TRAFFIC_INTERVAL_MS, () => this.#pollTraffic());
  }

  /**
   * Writes all changes. Concurrent calls run one after the other.
   *
   * @throws {DatabaseError} If the write fails; with the fault `locked` if a retry may succeed.
   */
  async #writeAll(): Promise<void> {
    while (this.#writing !== null) await this.#writing.catch(() => {}); // the call that started it gets the error
    this.#writing = this.#write();
    try {
      await this.#writing;
      this.#hasFailed = false;
    } finally {
      this.#writing = null;
      this.#writtenAt = this.#platform.now();
    }
  }

  async #write(): Promise<void> {
    while (this.#database !== null && (this.#hasWork || this.#isBroken)) {
      try {
        if (this.#isBroken) {
          await this.#repair();
          continue;
        }
        const batch = this.#nextBatch();
        if (this.#here === null && batch.some(([, record]) => record && !isAbsolute(record.folder))) {
          this.#here = await this.#platform.files.realPath(".");
          continue; // something may have changed in the meantime
        }
        this.#writeBatch(this.#database, batch);
      } catch (error) {
        if (isDatabaseFault(error, "corrupt") && !this.#isBroken) {
          this.#isBroken = true;
          continue;
        }
        // These torrent files can be fetched again, and must not pile up in memory.
        if (!isDatabaseFault(error, "locked")) this.#files.clear();
        throw error;
      }
      if (this.#hasWork) await this.#platform.yieldToEventLoop();
    }
  }

  /** Replaces a damaged database with a new one, and writes all torrents of the session to it. */
  async #repair(): Promise<void> {
    this.#shut();
    this.#isBroken = false;
    if (this.#repairs++ >= MAX_REPAIRS) {
      throw new ShoalError("storage", { what: "damaged", where: this.#path, why: "it is damaged time and again" });
    }
    this.#database = await this.#open(true);
    for (const entry of this.#entries.values()) {
      entry.written = null;
      entry.hasFile = false;
      this.#dirty.add(entry);
    }
  }

  #nextBatch(): Batch {
    const entries = this.#dirty.values().take(BATCH_TORRENTS);
    return entries.map((entry) => [entry, entry.isGuest ? null : entry.torrent.record()] as const).toArray();
  }

  /** Writes one transaction of bounded length. What it wrote is marked clean after the commit. */
  #writeBatch(database: Database, batch: Batch): void {
    const now = this.#platform.wallClock();
    const done: (() => void)[] = [];
    let bytes = 0;
    database.transaction(() => {
      for (const [hex, infoHash] of this.#removed) {
        database.prepare("DELETE FROM torrents WHERE info_hash = ?").run(infoHash.bytes);
        database.prepare("DELETE FROM metainfo WHERE info_hash = ?").run(infoHash.bytes);
        done.push(() => void this.#removed.delete(hex));
      }
      for (const [hex, file] of this.#files) {
        if (bytes > BATCH_BYTES) break;
        bytes += file.bytes.length;
        database.prepare("INSERT OR REPLACE INTO metainfo VALUES (?, ?, ?)").run(file.infoHash.bytes, now, file.bytes);
        done.push(() => this.#files.get(hex) === file && this.#files.delete(hex));
      }
      for (const [entry, record] of batch) {
        if (bytes > BATCH_BYTES) break;
        // The row was of a link that named info-hashes of two torrents.
        if (entry.torrent.isDescribed && !entry.torrent.infoHashes.has(entry.key)) this.#rename(entry);
        bytes += this.#writeFile(database, entry, now);
        done.push(this.#writeTorrent(database, entry, { now, record }));
      }
    });
    for (const settle of done) settle();
  }

  /** Returns the number of bytes of the torrent file written. */
  #writeFile(database: Database, entry: Entry, now: number): number {
    if (entry.hasFile || entry.isGuest) return 0;
    const infoHash = entry.key;
    const there = database.prepare("SELECT 1 FROM metainfo WHERE info_hash = ?").get(infoHash.bytes);
    const file = there === null ? entry.torrent.torrentFile() : null;
    if (there === null && file === null) return 0;
    if (file) database.prepare("INSERT INTO metainfo VALUES (?, ?, ?)").run(infoHash.bytes, now, file);
    entry.hasFile = true;
    return file?.length ?? 0;
  }

  #writeTorrent(
    database: Database,
    entry: Entry,
    { now, record }: { readonly now: number; readonly record: TorrentRecord | null },
  ): () => void {
    const { key, torrent: { infoHash, infoHashes: { v1, v2 }, traffic: { downloaded, uploaded } }, counted } = entry;
    let { doneAt } = entry;
    if (record?.done === true) doneAt ??= now;
    if (record?.done === false) doneAt = null;
    const values: SqlValue[] = record
      ? [
        doneAt,
        v1?.bytes ?? null,
        v2?.bytes ?? null,
        ...valuesOf({ ...record, folder: absolutePath(record.folder, this.#here) }),
      ]
      : [];
    const written = JSON.stringify(values);
    const isOld = now - entry.touchedAt > DAY_MS;
    if (record && (written !== entry.written || isOld)) {
      database.prepare(PUT_TORRENT).run(key.bytes, entry.addedAt, doneAt, now, ...values.slice(1));
      // The link of an earlier run may have named one that the torrent doesn't have.
      const set = "UPDATE torrents SET info_hash_v1 = ?, info_hash_v2 = ? WHERE info_hash = ?";
      if (entry.torrent.isDescribed) database.prepare(set).run(v1?.bytes ?? null, v2?.bytes ?? null, key.bytes);
    }
    const more = { downloaded: downloaded - counted.downloaded, uploaded: uploaded - counted.uploaded };
    if (more.downloaded !== 0 || more.uploaded !== 0 || entry.isGone) {
      const set = "SET downloaded = downloaded + ?, uploaded = uploaded + ?";
      database.prepare(`UPDATE torrents ${set}, touched_at = ? WHERE info_hash = ?`)
        .run(more.downloaded, more.uploaded, now, key.bytes);
      database.prepare(`UPDATE session ${set}`).run(more.downloaded, more.uploaded);
    }
    return () => {
      Object.assign(entry, { doneAt, written, touchedAt: now, counted: { downloaded, uploaded } });
      this.#dirty.delete(entry);
      if (entry.isGone && this.#entries.get(infoHash.hex) === entry) this.#entries.delete(entry);
    };
  }

  #stored(infoHash: InfoHash): StoredTorrent | null {
    const { bytes } = infoHash;
    const rows = this.#read((database) => database.prepare(SELECT_TORRENT).all(bytes, bytes, bytes));
    const torrents = (rows ?? []).map(torrentOf).filter((torrent) => torrent !== null);
    return torrents.find((torrent) => torrent.infoHash.equals(infoHash)) ?? torrents[0] ?? null;
  }

  /** Runs a query; returns `null` if the database can't be read. */
  #read<T>(work: (database: Database) => T): T | null {
    if (this.#database === null) return null;
    try {
      return work(this.#database);
    } catch (error) {
      if (!isDatabaseFault(error, "corrupt")) this.#warn(error);
      else {
        this.#isBroken = true;
        this.#schedule(SOON_MS);
      }
      return null;
    }
  }

  async #import(folder: string): Promise<void> {
    const insert = "INSERT OR IGNORE INTO metainfo VALUES (?, ?, ?)";
    try {
      await importTorrents(this.#platform.files, folder, {
        isOver: () => this.#isClosed,
        take: async ({ infoHash, modified, bytes }) => {
          await this.#patiently((database) => database.prepare(insert).run(infoHash.bytes, modified, bytes));
        },
      });
    } catch (error) {
      // The next run imports the rest.
      if (!(error instanceof ShoalError)) throw error;
      this.#options.onWarning(error);
    }
  }

  /** Deletes unused data, once a day, in whichever process comes first. */
  async #sweep(folder: string): Promise<void> {
    await this.#imported;
    const now = this.#platform.wallClock();
    const end = now - FORGET_MS;
    try {
      const isDue = await this.#patiently((database) =>
        database.transaction(() => {
          // The third condition is for a clock that was set too far ahead once, which would prevent all sweeps.
          const due = "UPDATE session SET swept_at = ? WHERE swept_at < ? OR swept_at > ?";
          if (database.prepare(due).run(now, now - DAY_MS, now + DAY_MS) === 0) return false;
          database.prepare("DELETE FROM torrents WHERE one_off = 1 AND touched_at < ?").run(end);
          const unused = "used_at < ? AND info_hash NOT IN (SELECT info_hash FROM torrents)";
          database.prepare(`DELETE FROM metainfo WHERE ${unused}`).run(end);
          return true;
        })
      );
      if (!isDue) return;
      await sweepFiles(this.#platform.files, folder, {
        before: end,
        isKept: (infoHash) => this.#stored(infoHash) !== null,
        isOver: () => this.#isClosed,
      });
    } catch (error) {
      // What can't be deleted today may be deleted tomorrow, and does no harm.
      if (!(error instanceof ShoalError)) throw error;
    }
  }

  /** Writes to the database, and waits while another process has locked it. Returns `null` if there is no database. */
  #patiently<T>(work: (database: Database) => T): Promise<T | null> {
    return retryWhileLocked(this.#platform, () => this.#database && work(this.#database));
  }

  #shut(): void {
    const database = this.#database;
    this.#database = null;
    try {
      database?.close();
    } catch (error) {
      this.#warn(error);
    }
  }

  #warnOf(why: string): void {
    this.#options.onWarning(new ShoalError("storage", { what: "something is lost", where: this.#path, why }));
  }

  #warn(error: unknown): void {
    if (!(error instanceof ShoalError)) throw error;
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    const { where, why } = error;
    const what = "torrents and their settings can't be kept for the next run";
    this.#options.onWarning(new ShoalError("storage", { what, where, why, cause: error }));
  }
}

function isAbsolute(path: string): boolean {
  return /^(?:[a-z]:)?[/\\]/i.test(path);
}

function absolutePath(path: string, here: string | null): string {
  if (here === null || isAbsolute(path)) return path;
  const below = path.replace(/^(?:\.[/\\]+)+/, "");
  return below === "." || below === "" ? here : `${here.replace(/[/\\]$/, "")}/${below}`;
}
