/**
 * A torrent as the session's user sees it.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { messageOf, ShoalError } from "../base/errors.ts";
import type { InfoHash } from "../base/info_hash.ts";
import { VERSION } from "../base/version.ts";
import { type Metainfo, pieceHash } from "../metainfo/mod.ts";
import type { Platform } from "../platform/platform.ts";
import { Storage } from "../storage/mod.ts";
import { type MemoryBudget, type ReadShare, Torrent as Swarm, type TorrentEvent } from "../swarm/mod.ts";
import type { TrackerReport } from "../tracker/announcer.ts";
import type { Transport } from "../transport/transport.ts";
import type { AddOptions } from "./options.ts";
import { PeerSources } from "./peer_sources.ts";
import { snapshotOf } from "./snapshot.ts";
import type { SessionEvent, TorrentSnapshot, TorrentState } from "./types.ts";

/** Milliseconds for telling trackers that we leave. */
const FAREWELL_MS = 2_000;

/** A torrent of a session. */
export interface Torrent {
  /** Which torrent. */
  readonly infoHash: InfoHash;
  /** Its name, safe to print. */
  readonly name: string;
  /** Resolves when every byte is verified and under its final name; rejects with the error that ended the torrent. */
  readonly finished: Promise<void>;
  /** What it looks like now. */
  snapshot(): TorrentSnapshot;
  /** Stops it in good order. Never rejects because of peers or trackers. */
  stop(): Promise<void>;
}

/** What the session gives a torrent. */
export interface SessionTorrentOptions {
  /** The outside. */
  readonly platform: Platform;
  /** What it holds. */
  readonly meta: Metainfo;
  /** How it was added. */
  readonly add: AddOptions;
  /** The session's. */
  readonly peerId: Bytes;
  readonly port: number;
  readonly bind?: string;
  readonly maxPeers: number;
  readonly budget: MemoryBudget;
  readonly reads: ReadShare;
  readonly readCacheBytes: number;
  readonly stateFolder: string | null;
  readonly transport: Transport;
  /** Takes what happens. */
  readonly emit: (event: SessionEvent) => void;
  /** The torrent has stopped. */
  readonly gone: () => void;
}

/** {@linkcode Torrent}, and what the session needs of it. */
export class SessionTorrent implements Torrent {
  /** The engine. */
  readonly swarm: Swarm;
  readonly finished: Promise<void>;
  readonly #options: SessionTorrentOptions;
  readonly #sources: PeerSources;
  readonly #startedAt: number;
  #finish!: () => void;
  #fail!: (error: unknown) => void;
  #state: TorrentState = "checking";
  #stopping: Promise<void> | null = null;

  /**
   * @param options Its parts.
   */
  constructor(options: SessionTorrentOptions) {
    this.#options = options;
    this.#startedAt = options.platform.now();
    this.finished = new Promise((resolve, reject) => {
      this.#finish = resolve;
      this.#fail = reject;
    });
    // Whoever doesn't wait for the end is told by the event; it must not end the program as an unhandled rejection.
    this.finished.catch(() => {});
    const { meta, add } = options;
    const storage = new Storage(meta, {
      platform: options.platform,
      folder: add.folder,
      pieceHash: (index) => pieceHash(meta, index),
      infoHash: meta.infoHash,
      stateFolder: options.stateFolder,
      readCacheBytes: options.readCacheBytes,
      readOnly: add.seedOnly ?? false,
      onWarning: (error) => this.#warn(error),
    });
    const bind = options.bind === undefined ? {} : { bind: options.bind };
    this.#sources = new PeerSources({
      platform: options.platform,
      infoHash: meta.infoHash,
      peerId: options.peerId,
      port: options.port,
      ...bind,
      trackers: meta.trackers,
      progress: () => {
        const { uploaded, downloaded, verified } = this.swarm;
        return { uploaded, downloaded, left: meta.size - verified };
      },
      wantedPeers: () => this.swarm.wantedPeers,
      onPeers: (addresses) => this.swarm.addPeers(addresses),
      onReport: (report) => this.#reported(report),
    });
    this.swarm = new Swarm({
      platform: options.platform,
      meta,
      storage,
      transport: options.transport,
      peerId: options.peerId,
      version: `Shoal ${VERSION}`,
      port: options.port,
      maxPeers: options.maxPeers,
      budget: options.budget,
      reads: options.reads,
      sources: this.#sources,
      emit: (event) => this.#happened(event),
    });
  }

  get infoHash(): InfoHash {
    return this.#options.meta.infoHash;
  }

  get name(): string {
    return this.#options.meta.name;
  }

  /** Goes to work; failures end the torrent. */
  start(): void {
    const { meta, add, emit } = this.#options;
    emit({
      event: "added",
      infohash: this.infoHash.hex,
      name: meta.name,
      size: meta.size,
      files: meta.files.filter((file) => !file.pad).length,
    });
    this.#run(add.trust ? "trust" : add.check ? "check" : "resume").catch((error) => this.#broke(error));
  }

  snapshot(): TorrentSnapshot {
    return snapshotOf(this.swarm, { meta: this.#options.meta, state: this.#state });
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #run(mode: "resume" | "check" | "trust"): Promise<void> {
    const { add, meta } = this.#options;
    await this.swarm.start(mode);
    if (this.#state !== "checking") return;
    if (add.seedOnly && !this.swarm.have.isFull) {
      const missing = this.swarm.have.length - this.swarm.have.count;
      throw new ShoalError("torrent", {
        what: "the data is not complete",
        where: `${meta.name} in ${add.folder}`,
        why: `${missing} of ${meta.pieceCount} pieces are missing or wrong`,
        hint: "download it to get what is missing, or choose the folder that holds it",
      });
    }
    if (!this.swarm.have.isFull) this.#state = "downloading";
    this.swarm.addPeers(add.peers ?? []);
  }

  async #stop(): Promise<void> {
    if (this.#state !== "failed") this.#state = "stopping";
    try {
      // A disk that fails is no reason to go without taking leave.
      const stopped = this.swarm.stop();
      await Promise.allSettled([this.#sources.stop(FAREWELL_MS), stopped]);
      await stopped;
    } catch (error) {
      this.#tellFailure(error);
    } finally {
      if (this.#state === "stopping") this.#state = "stopped";
      const { downloaded, uploaded } = this.swarm;
      this.#options.emit({ event: "stopped", infohash: this.infoHash.hex, downloaded, uploaded });
      this.#options.gone();
    }
  }

  #happened(event: TorrentEvent): void {
    const infohash = this.infoHash.hex;
    switch (event.event) {
      case "completed":
        return this.#completed();
      case "failed":
        return this.#broke(event.error);
      default:
        return this.#options.emit({ ...event, infohash });
    }
  }

  #reported({ url, status, seeders, leechers, peers, message }: TrackerReport): void {
    if (seeders !== null) this.swarm.heardOfSeeds(seeders);
    const infohash = this.infoHash.hex;
    this.#options.emit({ event: "tracker", infohash, url, status, seeders, leechers, peers, message });
  }

  #warn(error: unknown): void {
    const known = error instanceof ShoalError ? error : null;
    this.#options.emit({
      event: "warning",
      infohash: this.infoHash.hex,
      message: known ? `${known.what}: ${known.why}` : messageOf(error),
      where: known?.where ?? "",
    });
  }

  #completed(): void {
    if (this.#state === "checking" || this.#state === "downloading") this.#state = "seeding";
    const seconds = (this.#options.platform.now() - this.#startedAt) / 1000;
    const bytes = this.swarm.downloaded;
    const rate = seconds > 0 ? bytes / seconds : 0;
    const { name } = this;
    this.#options.emit({ event: "completed", infohash: this.infoHash.hex, name, seconds, bytes, rate });
    this.#finish();
  }

  #broke(error: unknown): void {
    // What goes wrong because we are stopping is no news; what went wrong before was told.
    if (this.#stopping) return;
    this.#tellFailure(error);
    this.stop();
  }

  #tellFailure(error: unknown): void {
    if (this.#state === "failed") return;
    this.#state = "failed";
    const known = error instanceof ShoalError ? error : null;
    this.#options.emit({
      event: "error",
      infohash: this.infoHash.hex,
      code: known?.kind ?? "unexpected",
      message: known ? `${known.what}: ${known.why}` : messageOf(error),
      where: known?.where ?? "",
    });
    this.#fail(error);
  }
}
