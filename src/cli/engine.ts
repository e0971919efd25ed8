/**
 * What the commands need of the rest of the house, behind one seam: the heavy parts are loaded when they are needed, and
 * tests bring their own.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import type { InfoHash } from "../base/info_hash.ts";
import type { Magnet, Metainfo, TorrentDescription } from "../metainfo/mod.ts";
import type { CreatedTorrent, CreateOptions } from "../session/create_torrent.ts";
import type { FileSnapshot, PieceMap } from "../session/session_events.ts";
import type { AddOptions, RateLimits, SessionOptions } from "../session/session.ts";
import type { ReadableTorrent } from "../session/session_events.ts";
import type { SessionEvent, TorrentSnapshot } from "../session/session_events.ts";
import type { Verification, VerifyOptions } from "../session/verify_torrent.ts";

/** The parts of a torrent that a command uses. */
export interface TorrentLike extends ReadableTorrent {
  readonly metadata: Promise<Metainfo>;
  readonly finished: Promise<void>;
  readonly infoHash: InfoHash;
  readonly paused: boolean;
  snapshot(): TorrentSnapshot;
  pieceMap(cells: number): PieceMap | null;
  files(): readonly FileSnapshot[];
  pause(): void;
  resume(): void;
  stop(): Promise<void>;
}

/** The parts of a session that a command uses. */
export interface SessionLike {
  readonly port: number;
  start(): Promise<void>;
  add(source: Metainfo | Magnet, options: AddOptions): Promise<TorrentLike>;
  subscribe(listener: (event: SessionEvent) => void): () => void;
  readonly limits: RateLimits;
  setLimits(limits: Partial<RateLimits>): void;
  stop(deadlineMs?: number): Promise<void>;
}

/** Torrents and sessions. */
export interface Engine {
  /**
   * Parses a torrent file. `portable` keeps file names to what Windows allows; elsewhere they stay as other clients there
   * have them, so that data which one of those fetched is found.
   *
   * @throws {ShoalError} Of kind `torrent` if it is none.
   */
  parse(bytes: Bytes, options: { readonly source: string; readonly portable: boolean }): Promise<Metainfo>;
  /**
   * Parses a magnet link or an info-hash.
   *
   * @throws {ShoalError} Of kind `torrent` if it is none.
   */
  parseMagnet(text: string): Promise<Magnet>;
  /** What `info --json` prints. */
  describe(meta: Metainfo): Promise<TorrentDescription>;
  /**
   * Compares data on disk with a torrent.
   *
   * @throws {ShoalError} Of kind `storage` if it can't be read.
   */
  verify(meta: Metainfo, options: VerifyOptions): Promise<Verification>;
  /**
   * Makes a torrent of a file or a folder.
   *
   * @throws {ShoalError} Of kind `storage` if something can't be read, of kind `usage` if the options don't fit it.
   */
  create(path: string, options: CreateOptions): Promise<CreatedTorrent>;
  /** A session that has not been started. */
  createSession(options: SessionOptions): Promise<SessionLike>;
}

/** The real one. */
export const engine: Engine = {
  async parse(bytes, options) {
    const { parseMetainfo } = await import("../metainfo/mod.ts");
    return parseMetainfo(bytes, options);
  },
  async parseMagnet(text) {
    const { parseMagnet } = await import("../metainfo/mod.ts");
    return parseMagnet(text);
  },
  async describe(meta) {
    const { describe } = await import("../metainfo/mod.ts");
    return describe(meta);
  },
  async verify(meta, options) {
    const { verify } = await import("../session/verify_torrent.ts");
    return await verify(meta, options);
  },
  async create(path, options) {
    const { createTorrent } = await import("../session/create_torrent.ts");
    return await createTorrent(path, options);
  },
  async createSession(options) {
    const { Session } = await import("../session/session.ts");
    return new Session(options);
  },
};
