/**
 * What a torrent at work is made of.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import type { MemoryBudget } from "../base/memory_budget.ts";
import type { Metainfo } from "../metainfo/mod.ts";
import type { ReadShare, ThrottleParties, Transport } from "../peer/mod.ts";
import type { Platform } from "../platform/platform.ts";
import type { Storage } from "../storage/mod.ts";
import type { ConnectionPolicy } from "./connection_manager.ts";
import type { DhtContact } from "./dht_contact.ts";
import type { TorrentEvent } from "./events.ts";

/** Who finds peers for a torrent; they come through {@linkcode Torrent.addPeers}. */
export interface PeerFinder {
  /** The torrent is at work. */
  start(): void;
  /** The torrent is complete. */
  completed(): void;
  /** There are few peers. */
  needPeers(): void;
}

/** What a torrent is made of. */
export interface TorrentOptions extends ConnectionPolicy {
  /** The outside. */
  readonly platform: Platform;
  /** What the torrent holds. */
  readonly meta: Metainfo;
  /** Indexes of the files that are wanted; all when absent. */
  readonly files?: ReadonlySet<number>;
  /** Whether pieces are fetched in order. */
  readonly sequential?: boolean;
  /** Where its data lives. */
  readonly storage: Storage;
  /** How to reach peers. */
  readonly transport: Transport;
  /** 20 bytes that name this run. */
  readonly peerId: Bytes;
  /** Client name and version, told to peers. */
  readonly version: string;
  /** TCP port on which the session listens. */
  readonly port: number;
  /** Local address for web seeds, when one was chosen. */
  readonly bind?: string;
  /** Memory for pieces in flight and for reading, of all torrents. */
  readonly budget: MemoryBudget;
  /** When to give way to others than peers. */
  readonly reads: ReadShare;
  /** How fast it may be, with the other torrents; as fast as it can when absent. */
  readonly limits?: ThrottleParties;
  /** Our node of the DHT; absent when there is none, or the torrent is private (BEP 27). */
  readonly dht?: DhtContact;
  /** Who finds peers. */
  readonly sources: PeerFinder;
  /** Whether peers are asked for other peers, and told of them (BEP 11); not done for a private torrent. */
  readonly pex?: boolean;
  /** Takes what happens. */
  readonly emit: (event: TorrentEvent) => void;
  /** Is told which address of ours a peer sees (`yourip`, BEP 10). */
  readonly seenAs?: (peer: string, address: string) => void;
}
