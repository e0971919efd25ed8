/**
 * What the session gives each of its torrents.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import type { MemoryBudget } from "../base/memory_budget.ts";
import type { ReadBudget } from "../base/read_budget.ts";
import type { LocalDiscovery } from "../discovery/local_discovery.ts";
import type { Magnet, Metainfo } from "../metainfo/mod.ts";
import type { Platform } from "../platform/platform.ts";
import type { ConnectionPolicy, MetadataBudget, ReadShare, ThrottleParties } from "../swarm/mod.ts";
import type { TrackerEncryption } from "../tracker/announce_request.ts";
import type { UdpTrackers } from "../tracker/udp_trackers.ts";
import type { Transport } from "../transport/transport.ts";
import type { DhtService } from "./dht_service.ts";
import type { EventOptions, EventStream } from "./event_stream.ts";
import type { ExternalAddress } from "./external_address.ts";
import type { AddOptions } from "./options.ts";
import type { SessionStore } from "./session_store.ts";
import type { SessionEvent } from "./types.ts";

/** What the session gives a torrent. */
export interface SessionTorrentOptions {
  /** The outside. */
  readonly platform: Platform;
  /** What it holds, or where to find that out. */
  readonly source: Metainfo | Magnet;
  /** How it was added. */
  readonly add: AddOptions;
  /** The session's. */
  readonly peerId: Bytes;
  readonly port: number;
  readonly bind?: string;
  readonly encryption?: TrackerEncryption;
  readonly policy: ConnectionPolicy;
  readonly budget: MemoryBudget;
  readonly metadataMemory: MetadataBudget;
  readonly reads: ReadShare;
  readonly metainfoReads: ReadBudget;
  readonly limits: ThrottleParties;
  readonly stateFolder: string | null;
  readonly store: Pick<SessionStore, "load" | "save">;
  readonly portable: boolean;
  readonly transport: Transport;
  readonly dht: DhtService | null;
  readonly local: LocalDiscovery | null;
  readonly externalAddress: ExternalAddress;
  readonly udpTrackers: UdpTrackers;
  readonly pex: boolean;
  /** Takes what happens. */
  readonly emit: (event: SessionEvent) => void;
  /** Events of one torrent, to be iterated over. */
  readonly events: (options: EventOptions) => EventStream;
  /** The torrent has stopped. */
  readonly gone: () => void;
}
