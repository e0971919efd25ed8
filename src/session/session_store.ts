/**
 * What a session keeps between runs: its torrents, their torrent files, and sums of traffic, in one database in the state folder.
 * Resume files and the table of the DHT lie beside it.
 *
 * Several processes share the database. So everything is written in short transactions, sums are added to what is there, and a
 * process that finds it locked tries again later. Nothing depends on it while a session runs: what is wrong with it is told once, and the
 * session goes on without.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { ShoalError } from "../base/errors.ts";
import type { InfoHash } from "../base/info_hash.ts";
import { isDatabaseFault } from "../platform/database_error.ts";
import type { Database, Platform, SqlValue, Timer } from "../platform/platform.ts";
import { importTorrents, sweepFiles } from "./state_files.ts";
import { openSound, patiently } from "./store_opening.ts";
import { PUT_TORRENT, type StoredTorrent, torrentOf, type TorrentRecord, valuesOf } from "./store_schema.ts";

export type { StoredTorrent, TorrentRecord };

/** Name of the database in the state folder. */
const DATABASE_NAME = "session.db";
/** Milliseconds between a change and its transaction, so that what changes together is written together. */
const SOON_MS = 20;
/** Milliseconds between two transactions while there is always something new. */
const WRITE_INTERVAL_MS = 1_000;
/** Milliseconds between two looks at the traffic of all torrents. */
const TRAFFIC_INTERVAL_MS = 5_000;
/** Milliseconds until something that can't be written is tried again, unless it is only locked. */
const FAILED_INTERVAL_MS = 30_000;
/** Times that a damaged database is replaced in one run: a device that damages every one is no place to keep something. */
const MAX_REPAIRS = 2;
/** Torrents, and bytes of torrent files, that are written in one transaction: the event loop stands still meanwhile. */
const BATCH_TORRENTS = 100;
const BATCH_BYTES = 1024 * 1024;
/** Milliseconds after which a torrent that is at work is marked so again, and the state folder looked through. */
const DAY_MS = 24 * 60 * 60 * 1000;
/** Milliseconds after which goes what belongs to no torrent, and a torrent of one run. */
export const FORGET_MS = 30 * DAY_MS;

/** Events after which a torrent is to be kept as it was before. */
const PASSING: ReadonlySet<string> = new Set(["peer", "tracker", "checking", "hash_failed", "warning"]);

/** A torrent of the session, as the store asks it. */
export interface KeptTorrent {
  /** Which torrent. */
  readonly infoHash: InfoHash;
  /** What is to be kept of it now; `null` for none of it. */
  record(): TorrentRecord | null;
  /** Its torrent file; `null` while nobody knows what it holds. */
  torrentFile(): Bytes | null;
  /** Payload bytes since it was added to the session. */
  readonly traffic: Traffic;
}

/** Payload bytes. */
export interface Traffic {
  /** That came. */
  readonly downloaded: number;
  /** That were sent. */
  readonly uploaded: number;
}

/** What is looked at of an event. */
interface HeardEvent {
  readonly event: string;
  readonly infohash: string | null;
  readonly what?: string;
}

/** What a {@linkcode SessionStore} works with. */
export interface SessionStoreOptions {
  /** The outside. */
  readonly platform: Pick<Platform, "files" | "openDatabase" | "now" | "wallClock" | "after" | "giveWay">;
  /** Where the session keeps what it remembers; `null` to keep nothing. */
  readonly stateFolder: string | null;
  /** Told once when something can't be kept, and of what is wrong with what was kept. */
  onWarning(error: ShoalError): void;
}

/** A torrent that is in the session. */
interface Entry {
  readonly torrent: KeptTorrent;
  readonly addedAt: number;
  /** Whether the row is a lasting one, and this torrent there for one run: then only traffic is written. */
  readonly isGuest: boolean;
  doneAt: number | null;
  /** What the row holds, as JSON; `null` while that isn't known. */
  written: string | null;
  /** Whether its torrent file is in the database. */
  hasFile: boolean;
  touchedAt: number;
  /** Traffic that is in the sums already. */
  counted: Traffic;
  /** The torrent has left the session: written once more, it is forgotten here. */
  isGone: boolean;
}

/** Torrents that are written together, with what is to be kept of them; `null` for their traffic alone. */
type Batch = readonly (readonly [entry: Entry, record: TorrentRecord | null])[];

/** The database of a session. */
export class SessionStore {
  readonly #options: SessionStoreOptions;
  readonly #platform: SessionStoreOptions["platform"];
  readonly #path: string;
  #database: Database | null = null;
  /** The folder that relative paths start from; the next run may start elsewhere. */
  #here: string | null = null;
  readonly #entries = new Map<string, Entry>();
  readonly #dirty = new Set<Entry>();
  /** Torrent files that wait to be written, of torrents that may not be in the session. */
  readonly #files = new Map<string, { readonly infoHash: InfoHash; readonly bytes: Bytes }>();
  /** Torrents that wait to be removed. */
  readonly #removed = new Map<string, InfoHash>();
  #timer: Timer | null = null;
  #trafficTimer: Timer | null = null;
  #writtenAt = -Infinity;
  #writing: Promise<void> | null = null;
  #hasFailed = false;
  #isClosed = false;
  /** Whether something in the database was found damaged. */
  #isBroken = false;
  #repairs = 0;
  /** Settles when what older versions left is in the database. */
  #imported: Promise<void> = Promise.resolve();
  #swept: Promise<void> = Promise.resolve();

  /** @param options What to work with. */
  constructor(options: SessionStoreOptions) {
    this.#options = options;
    this.#platform = options.platform;
    this.#path = `${options.stateFolder}/${DATABASE_NAME}`;
  }

  /** Whether anything is kept. */
  get isOpen(): boolean {
    return this.#database !== null;
  }

  /** Opens the database. Never fails: a session that can't keep anything goes on without. */
  async open(): Promise<void> {
    const { stateFolder } = this.#options;
    if (stateFolder === null || this.#platform.openDatabase === undefined) return;
    try {
      await this.#platform.files.makeFolder(stateFolder, { secret: true });
      this.#database = await this.#open(false);
    } catch (error) {
      return this.#warn(error);
    }
    if (this.#isClosed) return this.#shut(); // meanwhile
    this.#imported = this.#import(stateFolder);
    this.#swept = this.#sweep(stateFolder);
  }

  /** Every torrent that is kept, the oldest first. */
  torrents(): StoredTorrent[] {
    const rows = this.#read((database) => database.prepare("SELECT * FROM torrents ORDER BY added_at, rowid").all());
    const torrents = (rows ?? []).map(torrentOf);
    const bad = torrents.filter((torrent) => torrent === null).length;
    if (bad > 0) this.#warnOf(`${bad === 1 ? "a torrent in it makes" : `${bad} torrents in it make`} no sense`);
    return torrents.filter((torrent) => torrent !== null);
  }

  /** Payload bytes of all sessions so far; what runs is in it after a few seconds. */
  get totals(): Traffic {
    const row = this.#read((database) => database.prepare("SELECT downloaded, uploaded FROM session").get());
    return { downloaded: Number(row?.["downloaded"] ?? 0), uploaded: Number(row?.["uploaded"] ?? 0) };
  }

  /**
   * Keeps a torrent from now on.
   *
   * @param torrent The torrent, in the session.
   */
  add(torrent: KeptTorrent): void {
    if (this.#database === null || this.#isClosed) return;
    const there = this.#stored(torrent.infoHash);
    const now = this.#platform.wallClock();
    // One whose files were to be removed is wanted again.
    const isLasting = there !== null && !there.oneOff && there.state !== "removing";
    const entry: Entry = {
      torrent,
      addedAt: there?.addedAt ?? now,
      isGuest: isLasting && (torrent.record()?.oneOff ?? false),
      doneAt: there?.doneAt ?? null,
      written: null,
      hasFile: false,
      touchedAt: now,
      counted: { downloaded: 0, uploaded: 0 },
      isGone: false,
    };
    this.#removed.delete(torrent.infoHash.hex);
    this.#entries.set(torrent.infoHash.hex, entry);
    this.#trafficTimer ??= this.#platform.after(TRAFFIC_INTERVAL_MS, () => this.#lookAtTraffic());
    this.#touch(entry);
  }

  /**
   * Something about a torrent is another than before. Cheap; what is to be kept of it is asked for when it is written.
   *
   * @param infoHash Which torrent; one that isn't kept is passed over.
   */
  changed(infoHash: string): void {
    const entry = this.#entries.get(infoHash);
    if (entry) this.#touch(entry);
  }

  /**
   * Takes note of what happened to a torrent, after which it may be another than before.
   *
   * @param event What the session tells.
   */
  heard(event: HeardEvent): void {
    if (event.infohash === null || PASSING.has(event.event)) return;
    this.changed(event.infohash);
    // Now, not soon: from the next second on the old folder counts for nothing.
    if (event.event === "changed" && event.what === "folder") void this.flush();
  }

  /**
   * A torrent has left the session. It is kept, as it was last.
   *
   * @param infoHash Which torrent.
   */
  leave(infoHash: InfoHash): void {
    const entry = this.#entries.get(infoHash.hex);
    if (!entry) return;
    entry.isGone = true;
    this.#touch(entry);
  }

  /**
   * Keeps a torrent no longer.
   *
   * @param infoHash Which torrent.
   */
  remove(infoHash: InfoHash): void {
    if (this.#database === null) return;
    const entry = this.#entries.get(infoHash.hex);
    if (entry) this.#dirty.delete(entry);
    this.#entries.delete(infoHash.hex);
    this.#files.delete(infoHash.hex);
    this.#removed.set(infoHash.hex, infoHash);
    this.#schedule(SOON_MS);
  }

  /**
   * @param infoHash Which torrent.
   * @returns The torrent file as it was kept, or `null` when there is none. It may have been tampered with since.
   */
  async load(infoHash: InfoHash): Promise<Bytes | null> {
    await this.#imported;
    const waiting = this.#files.get(infoHash.hex);
    if (waiting) return waiting.bytes;
    const select = "SELECT bytes, used_at FROM metainfo WHERE info_hash = ?";
    const row = this.#read((database) => database.prepare(select).get(infoHash.bytes));
    const bytes = row?.["bytes"];
    if (!(bytes instanceof Uint8Array)) return null;
    const now = this.#platform.wallClock();
    if (Math.abs(now - Number(row?.["used_at"])) > DAY_MS) {
      this.#files.set(infoHash.hex, { infoHash, bytes: bytes as Bytes }); // which says that it is still used
      this.#schedule(SOON_MS);
    }
    return bytes as Bytes;
  }

  /**
   * Keeps the torrent file of a magnet link, whether or not that is in the session.
   *
   * @param infoHash Which torrent.
   * @param bytes The torrent file.
   */
  save(infoHash: InfoHash, bytes: Bytes): void {
    if (this.#database === null || this.#isClosed) return;
    this.#files.set(infoHash.hex, { infoHash, bytes });
    this.#schedule(SOON_MS);
  }

  /** Waits until all that has changed so far is written, or can't be. Never fails. */
  async flush(): Promise<void> {
    try {
      await patiently(this.#platform, () => this.#writeAll());
    } catch (error) {
      this.#warn(error);
    }
  }

  /** Writes what has changed, and closes the database. Never fails; calling it again does nothing. */
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
    return openSound({
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

  /** Sees to it that what waits is written, at once if nothing was for a while. */
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

  #lookAtTraffic(): void {
    this.#trafficTimer = null;
    if (this.#isClosed || this.#entries.size === 0) return;
    const now = this.#platform.wallClock();
    for (const entry of this.#entries.values()) {
      const { downloaded, uploaded } = entry.torrent.traffic;
      const hasMoved = downloaded !== entry.counted.downloaded || uploaded !== entry.counted.uploaded;
      if (hasMoved || now - entry.touchedAt > DAY_MS) this.#touch(entry);
    }
    this.#trafficTimer = this.#platform.after(TRAFFIC_INTERVAL_MS, () => this.#lookAtTraffic());
  }

  /**
   * Writes all that waits; one call after the other.
   *
   * @throws {DatabaseError} If that fails; with the fault `locked` if it is worth another try.
   */
  async #writeAll(): Promise<void> {
    while (this.#writing !== null) await this.#writing.catch(() => {}); // whoever began it is told
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
          continue; // meanwhile there may be something new
        }
        this.#writeBatch(this.#database, batch);
      } catch (error) {
        if (isDatabaseFault(error, "corrupt") && !this.#isBroken) {
          this.#isBroken = true;
          continue;
        }
        // They can be had again; memory is for what is needed.
        if (!isDatabaseFault(error, "locked")) this.#files.clear();
        throw error;
      }
      if (this.#hasWork) await this.#platform.giveWay();
    }
  }

  /** Begins the database anew, with all that is in the session, if it is damaged. */
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

  /** One transaction of bounded length. What it writes is no longer dirty when it is in the file. */
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
        bytes += this.#writeFile(database, entry, now);
        done.push(this.#writeTorrent(database, entry, { now, record }));
      }
    });
    for (const settle of done) settle();
  }

  /** @returns Bytes of the torrent file that were written. */
  #writeFile(database: Database, entry: Entry, now: number): number {
    if (entry.hasFile || entry.isGuest) return 0;
    const { infoHash } = entry.torrent;
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
    const { torrent: { infoHash, traffic: { downloaded, uploaded } }, counted } = entry;
    let { doneAt } = entry;
    if (record?.done === true) doneAt ??= now;
    if (record?.done === false) doneAt = null;
    const values: SqlValue[] = record
      ? [doneAt, ...valuesOf({ ...record, folder: absolutePath(record.folder, this.#here) })]
      : [];
    const written = JSON.stringify(values);
    const isOld = now - entry.touchedAt > DAY_MS;
    if (record && (written !== entry.written || isOld)) {
      database.prepare(PUT_TORRENT).run(infoHash.bytes, entry.addedAt, doneAt, now, ...values.slice(1));
    }
    const more = { downloaded: downloaded - counted.downloaded, uploaded: uploaded - counted.uploaded };
    if (more.downloaded !== 0 || more.uploaded !== 0 || entry.isGone) {
      const set = "SET downloaded = downloaded + ?, uploaded = uploaded + ?";
      database.prepare(`UPDATE torrents ${set}, touched_at = ? WHERE info_hash = ?`)
        .run(more.downloaded, more.uploaded, now, infoHash.bytes);
      database.prepare(`UPDATE session ${set}`).run(more.downloaded, more.uploaded);
    }
    return () => {
      Object.assign(entry, { doneAt, written, touchedAt: now, counted: { downloaded, uploaded } });
      this.#dirty.delete(entry);
      if (entry.isGone && this.#entries.get(infoHash.hex) === entry) this.#entries.delete(infoHash.hex);
    };
  }

  #stored(infoHash: InfoHash): StoredTorrent | null {
    const select = "SELECT * FROM torrents WHERE info_hash = ?";
    const row = this.#read((database) => database.prepare(select).get(infoHash.bytes));
    return row && torrentOf(row);
  }

  /** Reads something; what can't be read isn't there. */
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
      // The rest is for the next run.
      if (!(error instanceof ShoalError)) throw error;
      this.#options.onWarning(error);
    }
  }

  /** Once a day, by whichever process comes first, what nobody has needed for a while goes. */
  async #sweep(folder: string): Promise<void> {
    await this.#imported;
    const now = this.#platform.wallClock();
    const end = now - FORGET_MS;
    try {
      const isDue = await this.#patiently((database) =>
        database.transaction(() => {
          // A clock that was wrong must not keep things for ever.
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
      // What can't be removed today may be tomorrow, and is in nobody's way.
      if (!(error instanceof ShoalError)) throw error;
    }
  }

  /** Writes something when no other process does. @returns What `work` returned; `null` if nothing is kept. */
  #patiently<T>(work: (database: Database) => T): Promise<T | null> {
    return patiently(this.#platform, () => this.#database && work(this.#database));
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
