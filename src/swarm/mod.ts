/**
 * Torrents and their swarms: what other folders use of this one.
 *
 * @module
 */

export {
  BandwidthLimiter,
  type BandwidthParties,
  checkedRate,
  type Peer,
  type RateLimits,
  ratesOf,
  ReadTurns,
  setRates,
  type Transport,
} from "../peer/mod.ts";
export type { MoveProgress } from "../storage/mod.ts";
export type { DhtLink } from "./dht_link.ts";
export { duplicateError } from "./duplicate_add.ts";
export {
  type AnyEvent,
  type EventOptions,
  type EventStream,
  type MissedEvent,
  type StreamedEvent,
  streamEvents,
} from "./event_stream.ts";
export type * from "./events.ts";
export { type ProgressEvent, progressOf } from "./events.ts";
export type { PeerSource } from "./peers/candidates.ts";
export type { ConnectionPolicy } from "./peers/connection_manager.ts";
export { ConnectionQuota } from "./peers/connection_quota.ts";
export { type Acceptor, PeerListener } from "./peers/peer_listener.ts";
export { MetadataBudget } from "./metadata/metadata_budget.ts";
export type { PieceRange, PieceReader } from "./pieces/time_critical.ts";
export type { AddOptions } from "./torrent_options.ts";
export type { FileSnapshot, PieceCell, PieceMap } from "./piece_map.ts";
export type { PeerSnapshot, TorrentSnapshot } from "./snapshot.ts";
export type {
  DhtSource,
  LsdSource,
  PeerSourcesSnapshot,
  PortSource,
  TorrentSources,
  TrackerSource,
} from "./torrent_sources.ts";
export type { WebSeedSource } from "./web_seeds/web_seed.ts";
export { Torrent } from "./torrent.ts";
export type { TorrentHandle } from "./torrent_handle.ts";
export type { OpenFileOptions, ReadableTorrent, ReadOptions, TorrentReader } from "./torrent_reader.ts";
export type { MetadataSearch, PeerFinder, PeerFinderHost, Shared, TorrentOptions } from "./torrent_options.ts";
export { OpeningQueue } from "./opening_queue.ts";
export { Ticker } from "./ticker.ts";
export type { TorrentFailure } from "./torrent_failure.ts";
export { FILE_PRIORITIES, type FilePriority } from "./wanted_pieces.ts";
export type { TorrentState } from "./torrent_state.ts";
export type { WebSeed } from "./web_seeds/web_seed.ts";
