/**
 * What a torrent is made of: what the session shares among all of them, and what is its own.
 *
 * @module
 */

import type { PeerAddress } from "../base/address.ts";
import type { Bytes } from "../base/bytes.ts";
import type { InfoHash } from "../base/info_hash.ts";
import type { MemoryBudget } from "../base/memory_budget.ts";
import type { Magnet, Metainfo } from "../metainfo/mod.ts";
import type { BandwidthParties, ReadTurns, Transport } from "../peer/mod.ts";
import type { Platform } from "../platform/platform.ts";
import type { DhtContact } from "./dht_contact.ts";
import type { TorrentEvent } from "./events.ts";
import type { MetadataBudget } from "./metadata/metadata_budget.ts";
import type { OpeningQueue } from "./opening_queue.ts";
import type { PeerSource } from "./peers/candidates.ts";
import type { ConnectionPolicy } from "./peers/connection_manager.ts";
import type { Ticker } from "./ticker.ts";

/** How a torrent is added. */
export interface AddOptions {
  /** Folder that its files, or its own folder, go into. */
  readonly folder: string;
  /** Peers to try besides those that the tracker names. */
  readonly peers?: readonly PeerAddress[];
  /**
   * Indexes into `meta.files` of those that are wanted, as `selectFiles()` gives them, or what finds them when the metadata
   * of a magnet link is here. When absent what the magnet link says, or all.
   */
  readonly files?: ReadonlySet<number> | ((meta: Metainfo) => ReadonlySet<number>);
  /** Fetch pieces in order instead of the rarest first. */
  readonly sequential?: boolean;
  /** Hash what is there instead of believing the resume state. */
  readonly check?: boolean;
  /** Believe that everything is there. */
  readonly trust?: boolean;
  /** Find out what a magnet link stands for, and no more. */
  readonly metadataOnly?: boolean;
  /** Never write: the data must be there. */
  readonly seedOnly?: boolean;
}

/** A {@linkcode TorrentEvent} that doesn't say yet of which torrent it is. */
export type UnnamedEvent = WithoutName<TorrentEvent>;
type WithoutName<Event> = Event extends unknown ? Omit<Event, "infohash"> : never;

/** What the torrents of a session borrow from it. */
export interface Shared {
  /** The outside. */
  readonly platform: Platform;
  /** 20 bytes that name this run. */
  readonly peerId: Bytes;
  /** Client name and version, told to peers. */
  readonly version: string;
  /** TCP port on which the session listens. */
  readonly port: number;
  /** Local address to connect from, when one was chosen. */
  readonly bind: string | undefined;
  /** How to reach peers. */
  readonly transport: Transport;
  /** Whom torrents may connect to, and as whom. */
  readonly policy: ConnectionPolicy;
  /** Gives each torrent its turns. */
  readonly ticker: Ticker;
  /** Lets a few torrents look at their files at a time. */
  readonly openings: OpeningQueue;
  /** Memory for pieces in flight and for reading. */
  readonly budget: MemoryBudget;
  /** Memory for metadata in flight. */
  readonly metadataMemory: MetadataBudget;
  /** When to give way to others than peers. */
  readonly reads: ReadTurns;
  /** Folder for resume state; `null` for none. */
  readonly stateFolder: string | null;
  /** Our node of the DHT; `null` when there is none. */
  readonly dht: (DhtContact & { addHosts(nodes: Metainfo["nodes"]): void }) | null;
  /** Whether peers are asked for other peers, and told of them (BEP 11). */
  readonly pex: boolean;
  /** Is told which address of ours somebody sees. */
  seenAs(source: "peer" | "tracker", voter: string, address: string): void;
}

/** What a torrent asks of those who find peers for it; they come through {@linkcode PeerFinderHost.onPeers}. */
export interface PeerFinder {
  /** Begins, after the pause if it is paused. Harmless when called again. */
  start(): void;
  /** Takes leave until it is resumed. Harmless when called again. */
  pause(): void;
  /** Goes on after a pause; a tracker that is still being told of it hears of us after that. Harmless when called again. */
  resume(): void;
  /**
   * Takes leave for good.
   *
   * @param deadlineMs Milliseconds after which it settles whatever happens.
   */
  stop(deadlineMs: number): Promise<void>;
  /** Takes other trackers from now on; those that are named no more are told that we leave. */
  setTrackers(tiers: readonly (readonly string[])[]): void;
  /** Announce URLs in tiers, as they are now. */
  readonly trackers: readonly (readonly string[])[];
  /** Asks more trackers; those that are known already are left out. */
  addTrackers(tiers: readonly (readonly string[])[]): void;
  /** The download is complete. */
  completed(): void;
  /** There are few peers, or trackers are to hear soon how things stand. */
  needPeers(): void;
  /** The torrent turned out to be private: nobody but its trackers hears of it any more (BEP 27). */
  keepPrivate(): void;
  /** The port at which others reach us is another one. */
  moved(): void;
}

/** What those who find peers need of the torrent. */
export interface PeerFinderHost {
  /** Which torrent. */
  readonly infoHash: InfoHash;
  /** Announce URLs in tiers. */
  readonly trackers: readonly (readonly string[])[];
  /** Whether all trackers are asked rather than one after the other; asked each time. */
  asksAllTrackers(): boolean;
  /** Whether it is known to be a private torrent. */
  isPrivate(): boolean;
  /** How far we are, in bytes. */
  progress(): { uploaded: number; downloaded: number; left: number; partialSeed?: boolean };
  /** How many more peers would be welcome; 0 for none. */
  wantedPeers(): number;
  /** Bytes that have come so far while more are wanted, else `null`. */
  received(): number | null;
  /** Takes the peers that were found. */
  onPeers(addresses: readonly PeerAddress[], source: PeerSource): void;
  /** Somebody says how many seeds there are, us perhaps among them. */
  heardOfSeeds(count: number): void;
}

/** How a magnet link's torrent file is looked for besides asking peers. */
export interface MetadataSearch {
  /** Gives up. */
  readonly signal: AbortSignal;
  /** Asks peers for the info dictionary; never settles when nobody gives it. Called when nothing is remembered. */
  askPeers(): Promise<Bytes>;
  /** Resolves with the torrent when the user has it after all; never settles otherwise. */
  readonly given: Promise<Metainfo>;
  /** Is told what does not work and is not needed. */
  onWarning(error: unknown): void;
}

/** What is a torrent's own. */
export interface TorrentOptions {
  /** What the session shares. */
  readonly shared: Shared;
  /** What it holds, or where to find that out. */
  readonly source: Metainfo | Magnet;
  /** How it was added. */
  readonly add: AddOptions;
  /** How fast it may be, with the other torrents. */
  readonly limits: BandwidthParties;
  /** Makes what finds peers for it. */
  findPeers(host: PeerFinderHost): PeerFinder;
  /**
   * Finds out what a magnet link stands for.
   *
   * @throws {MetainfoError} If the metadata is what the info-hash names, and no valid torrent all the same.
   */
  findMetadata(magnet: Magnet, search: MetadataSearch): Promise<Metainfo>;
  /** Takes what happens. */
  emit(event: TorrentEvent): void;
  /** Tells a listener of what happens in all torrents of the session; gives back what ends that. */
  subscribe(listener: (event: TorrentEvent) => void): () => void;
  /** Settles when the session is over. */
  readonly over: Promise<void>;
  /** It has left the session. */
  gone(): void;
}
