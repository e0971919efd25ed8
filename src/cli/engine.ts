/**
 * The interface between the commands and the rest of the program. Heavy modules are loaded on first use, and tests
 * substitute fakes.
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
import type { SessionEvent, TorrentSnapshot, TorrentSources } from "../session/session_events.ts";
import type { Verification, VerifyOptions } from "../session/verify_torrent.ts";

/** The parts of a torrent that commands use. */
export interface TorrentLike extends ReadableTorrent {
  readonly metadata: Promise<Metainfo>;
  readonly finished: Promise<void>;
  readonly infoHash: InfoHash;
  readonly folder: string;
  readonly paused: boolean;
  snapshot(): TorrentSnapshot;
  pieceMap(cells: number): PieceMap | null;
  files(): readonly FileSnapshot[];
  sources(): TorrentSources;
  pause(): void;
  resume(): void;
  stop(): Promise<void>;
}

/** The parts of a session that commands use. */
export interface SessionLike {
  readonly port: number;
  start(): Promise<void>;
  add(source: Metainfo | Magnet, options: AddOptions): Promise<TorrentLike>;
  subscribe(listener: (event: SessionEvent) => void): () => void;
  readonly limits: RateLimits;
  setLimits(limits: Partial<RateLimits>): void;
  stop(deadlineMs?: number): Promise<void>;
}

/** Options for {@linkcode Engine.parse}. */
export interface ParseTorrentOptions {
  /** Name of the torrent in errors: a path or URL. */
  readonly source: string;
  /**
   * Whether to restrict file names to those that Windows allows. Otherwise file names are those that other clients use
   * on this system, so that data downloaded by another client is found.
   */
  readonly portable: boolean;
}

/** Torrents and sessions. */
export interface Engine {
  /**
   * Parses a torrent file.
   *
   * @throws {ShoalError} Of kind `torrent` if the bytes are not a valid torrent.
   */
  parse(bytes: Bytes, options: ParseTorrentOptions): Promise<Metainfo>;
  /**
   * Parses a magnet link or an info-hash.
   *
   * @throws {ShoalError} Of kind `torrent` if the text is neither.
   */
  parseMagnet(text: string): Promise<Magnet>;
  /** Returns what `info --json` prints. */
  describe(meta: Metainfo): Promise<TorrentDescription>;
  /**
   * Compares data on disk with a torrent.
   *
   * @throws {ShoalError} Of kind `storage` if the data can't be read.
   */
  verify(meta: Metainfo, options: VerifyOptions): Promise<Verification>;
  /**
   * Makes a torrent of a file or a folder.
   *
   * @throws {ShoalError} Of kind `storage` if something can't be read, of kind `usage` if the options don't fit the
   * files.
   */
  create(path: string, options: CreateOptions): Promise<CreatedTorrent>;
  /** Creates a session that has not been started. */
  createSession(options: SessionOptions): Promise<SessionLike>;
}

/** The real engine. */
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
