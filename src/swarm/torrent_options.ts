/**
 * What a torrent is made of: what all torrents of a session share, and what is its own.
 *
 * @module
 */

import type { PeerAddress } from "../base/address.ts";
import type { Bytes } from "../base/bytes.ts";
import type { InfoHash } from "../base/info_hash.ts";
import type { InfoHashes } from "../base/info_hashes.ts";
import type { MemoryBudget } from "../base/memory_budget.ts";
import type { Magnet, Metainfo } from "../metainfo/mod.ts";
import type { BandwidthParties, ReadTurns, Transport } from "../peer/mod.ts";
import type { Platform } from "../platform/platform.ts";
import type { DhtLink } from "./dht_link.ts";
import type { TorrentEvent } from "./events.ts";
import type { MetadataBudget } from "./metadata/metadata_budget.ts";
import type { OpeningQueue } from "./opening_queue.ts";
import type { PeerSource } from "./peers/candidates.ts";
import type { ConnectionPolicy } from "./peers/connection_manager.ts";
import type { Ticker } from "./ticker.ts";
import type { PeerSourcesSnapshot, PortSource } from "./torrent_sources.ts";

/** Options for adding a torrent. */
export interface AddOptions {
  /**
   * Folder for the torrent's files, or for its own folder. With `seedOnly` also the torrent's only file or its own
   * folder, under any name.
   */
  readonly folder: string;
  /**
   * Folder for the data while it is unfinished. When all wanted files are complete, they are moved to `folder`, and only
   * then the torrent is. Data that is in `folder` already stays there. Not kept between runs: a torrent that a session
   * restores stays in the folder in which its data is.
   */
  readonly incomplete?: string;
  /** Peers to try besides those that are found. */
  readonly peers?: readonly PeerAddress[];
  /**
   * Announce URLs besides those of the source, in tiers. All of them are announced to, whatever other trackers answer.
   * They are left out, with a warning, if the torrent file is private and names trackers (BEP 27).
   */
  readonly trackers?: readonly (readonly string[])[];
  /**
   * Indexes of the wanted files in `meta.files`, as returned by `selectFiles()`, or a function that selects them when
   * the metadata of a magnet link is known. When absent, those that the magnet link selects, or all.
   */
  readonly files?: ReadonlySet<number> | ((meta: Metainfo) => ReadonlySet<number>);
  /** Fetch pieces in order instead of rarest first. */
  readonly sequential?: boolean;
  /** Hash the data on disk instead of trusting the resume state. */
  readonly check?: boolean;
  /** Trust that all data is on disk. */
  readonly trust?: boolean;
  /** Only find the metadata of a magnet link. */
  readonly metadataOnly?: boolean;
  /** Never write files: serve what is on disk, which may be a part. Nothing on disk is an error. */
  readonly seedOnly?: boolean;
}

/** A {@linkcode TorrentEvent} without the info-hash. */
export type UnnamedEvent = WithoutName<TorrentEvent>;
type WithoutName<Event> = Event extends unknown ? Omit<Event, "infohash"> : never;

/** What all torrents of a session share. */
export interface Shared {
  /** Clock, file system, network and hash functions. */
  readonly platform: Platform;
  /** Our peer id, 20 bytes, new for each session. */
  readonly peerId: Bytes;
  /** Client name and version that peers are told. */
  readonly version: string;
  /** TCP port on which the session listens. */
  readonly port: number;
  /** Returns the ports on which peers reach us. */
  ports(): PortSource;
  /** Local address to connect from, if one was chosen. */
  readonly bind: string | undefined;
  /** Connects to peers. */
  readonly transport: Transport;
  /** Which peers may be connected to, and how. */
  readonly policy: ConnectionPolicy;
  /** Gives each torrent its turns. */
  readonly ticker: Ticker;
  /** Opens a few torrents at a time. */
  readonly openings: OpeningQueue;
  /** Memory for pieces in flight and for reading. */
  readonly budget: MemoryBudget;
  /** Memory for metadata in flight. */
  readonly metadataMemory: MetadataBudget;
  /** Decides when reading from peers yields to other work. */
  readonly reads: ReadTurns;
  /** Folder for resume state; `null` for none. */
  readonly stateFolder: string | null;
  /** Our DHT node; `null` for none. */
  readonly dht: (DhtLink & { addHosts(nodes: Metainfo["nodes"]): void }) | null;
  /** Whether peers are asked for other peers, and told of them (BEP 11). */
  readonly pex: boolean;
  /** Called when a peer or tracker tells which address of ours it sees. */
  seenAs(source: "peer" | "tracker", voter: string, address: string): void;
}

/** Finds peers for a torrent and passes them to {@linkcode PeerFinderHost.onPeers}. */
export interface PeerFinder {
  /** Starts, after the pause if it is paused. May be called again. */
  start(): void;
  /** Stops announcing until it is resumed, after telling trackers that we leave. May be called again. */
  pause(): void;
  /** Resumes. A tracker that is still being told that we leave is announced to after that. May be called again. */
  resume(): void;
  /**
   * Tells trackers that we leave, for good.
   *
   * @param deadlineMs Milliseconds after which the promise settles in any case.
   */
  stop(deadlineMs: number): Promise<void>;
  /** Replaces the trackers. Those that are no longer named are told that we leave. */
  setTrackers(tiers: readonly (readonly string[])[]): void;
  /** Current announce URLs in tiers. */
  readonly trackers: readonly (readonly string[])[];
  /** Returns what each source said, and when it is asked again. */
  sources(): PeerSourcesSnapshot;
  /**
   * Adds trackers; known ones are not added twice.
   *
   * @param options Whether they are announced to whatever other trackers answer (default `false`).
   */
  addTrackers(tiers: readonly (readonly string[])[], options?: { readonly always?: boolean }): void;
  /** Adds an info-hash under which the torrent is known, too. */
  addInfoHash(infoHash: InfoHash): void;
  /**
   * Called before a pause or the end if another torrent of the session goes on under the same info-hashes: trackers
   * aren't told that we leave, since they would forget that one.
   */
  handOver(): void;
  /** Called when the download is complete. */
  completed(): void;
  /** Called when there are few peers, or when trackers should hear of our progress soon. */
  needPeers(): void;
  /** Called when the torrent turns out to be private: only its trackers hear of it from now on (BEP 27). */
  keepPrivate(): void;
  /** Called when the port at which we can be reached has changed. */
  externalPortChanged(): void;
}

/** What a {@linkcode PeerFinder} needs from the torrent. */
export interface PeerFinderHost {
  /** Info-hash that names the torrent in events. */
  readonly infoHash: InfoHash;
  /** All info-hashes of the torrent that are known. */
  readonly infoHashes: InfoHashes;
  /** Announce URLs in tiers. */
  readonly trackers: readonly (readonly string[])[];
  /** Returns `true` if all trackers are asked instead of one after the other. Called each time. */
  asksAllTrackers(): boolean;
  /** Returns `true` if the torrent is known to be private. */
  isPrivate(): boolean;
  /** Returns our progress in bytes. */
  progress(): { uploaded: number; downloaded: number; left: number; partialSeed?: boolean };
  /** Returns how many more peers would be useful; 0 for none. */
  wantedPeers(): number;
  /** Returns the bytes received so far while more are wanted; otherwise `null`. */
  received(): number | null;
  /** Called with peers that were found under an info-hash of the torrent. */
  onPeers(addresses: readonly PeerAddress[], source: PeerSource, infoHash: InfoHash): void;
  /** Called when a tracker tells how many seeds there are, which may include us. */
  heardOfSeeds(count: number): void;
}

/** A search for the torrent file of a magnet link, or for the hashes that a torrent file lacks. */
export interface MetadataSearch {
  /** Aborts the search. */
  readonly signal: AbortSignal;
  /** Asks peers for the info dictionary; may never settle. Called when no torrent file is remembered. */
  askPeers(): Promise<Bytes>;
  /**
   * Asks peers for the piece layers that a torrent lacks (BEP 52); may never settle.
   *
   * @returns The torrent with them; a hybrid also without, if no peer has sent them soon.
   */
  askForHashes(meta: Metainfo): Promise<Metainfo>;
  /** Resolves with the torrent if the user adds its file; never settles otherwise. */
  readonly given: Promise<Metainfo>;
  /** Called with errors that don't end the search. */
  onWarning(error: unknown): void;
}

/** Options for `Torrent`. */
export interface TorrentOptions {
  /** What the session shares. */
  readonly shared: Shared;
  /** The torrent or magnet link. */
  readonly source: Metainfo | Magnet;
  /** How the torrent was added. */
  readonly add: AddOptions;
  /** Rate limits, shared with the other torrents. */
  readonly limits: BandwidthParties;
  /** Creates the torrent's peer finder. */
  findPeers(host: PeerFinderHost): PeerFinder;
  /**
   * Finds the metadata of a magnet link, or the hashes of pieces that a torrent lacks.
   *
   * @throws {MetainfoError} If the metadata matches the info-hash but isn't a valid torrent.
   */
  findMetadata(source: Magnet | Metainfo, search: MetadataSearch): Promise<Metainfo>;
  /** Emits an event. */
  emit(event: TorrentEvent): void;
  /** Subscribes to the events of all torrents of the session. Returns a function that unsubscribes. */
  subscribe(listener: (event: TorrentEvent) => void): () => void;
  /** Settles when the session has ended. */
  readonly over: Promise<void>;
  /** Called when the metadata tells that peers know the torrent by more info-hashes (BEP 52). */
  named(infoHashes: InfoHashes): void;
  /** Called when the torrent's link names an info-hash of another torrent, whose info-hashes are given. */
  disproved(infoHashes: InfoHashes): void;
  /** Returns the other torrents of the session that have one of these info-hashes. */
  twins(infoHashes: InfoHashes): readonly Twin[];
  /** Called when another torrent of the session goes on for this one. Nothing of it is kept for the next run. */
  joined(other: Survivor): void;
  /** Called when the torrent has left the session. */
  gone(): void;
}

/** A torrent that another torrent of the session turns out to be the same as: both halves of a hybrid (BEP 52). */
export interface Twin extends Survivor {
  /** The metadata; `null` until it is known. A torrent that has it never ends for one that has just found it. */
  readonly meta: Metainfo | null;
  /**
   * Ends the torrent: the other one goes on for both, with the trackers, web seeds and peers of both. If they can't be
   * one, as with two folders, or if the metadata doesn't have all info-hashes of the torrent's link, the torrent fails
   * with the reason.
   *
   * @param other The torrent that goes on.
   * @param meta Metadata of both.
   */
  join(other: Survivor, meta: Metainfo): void;
}

/** A torrent that goes on for itself and a {@linkcode Twin}. */
export interface Survivor {
  readonly infoHash: InfoHash;
  readonly name: string;
  readonly finished: Promise<void>;
  /**
   * Takes another source.
   *
   * @throws {ShoalError} Of kind `usage` if `add` contradicts how the torrent was added.
   */
  merge(source: Metainfo | Magnet, add: AddOptions): void;
}
