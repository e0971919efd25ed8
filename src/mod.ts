/**
 * Shoal as a library: runs BitTorrent sessions on Deno, makes and verifies torrents, and runs a tracker.
 *
 * @example Download a torrent and print its progress
 * ```ts
 * import { denoPlatform, parseMetainfo, Session } from "@shoal/shoal";
 *
 * const session = new Session({ platform: denoPlatform });
 * await session.start();
 * const torrent = await session.add(parseMetainfo(await Deno.readFile("debian.torrent")), { folder: "." });
 * for await (const event of torrent.events()) {
 *   if (event.event === "progress") console.log(`${Math.floor(event.progress * 100)} %`);
 *   if (event.event === "completed") break;
 * }
 * await session.stop();
 * ```
 *
 * @example A magnet link
 * ```ts
 * import { denoPlatform, parseMagnet, Session } from "@shoal/shoal";
 *
 * const session = new Session({ platform: denoPlatform, discovery: { dht: {}, pex: true } });
 * await session.start();
 * const magnet = parseMagnet("magnet:?xt=urn:btih:c12fe1c06bba254a9dc9f519b335aa7c1367a88a");
 * const torrent = await session.add(magnet, { folder: "." });
 * console.log((await torrent.metadata).name);
 * await torrent.finished;
 * await session.stop();
 * ```
 *
 * @module
 */

export { IpRanges, parseNetworks } from "./base/ip_ranges.ts";
export { formatAddress, type HostPort, type PeerAddress } from "./base/address.ts";
export type { Bytes } from "./base/bytes.ts";
export { type ErrorKind, type ErrorParts, ShoalError } from "./base/errors.ts";
export { InfoHash, InfoHashV2 } from "./base/info_hash.ts";
export { InfoHashes } from "./base/info_hashes.ts";
export type { PieceHashing } from "./base/piece_verifier.ts";
export type { Reach } from "./base/networks.ts";
export { VERSION } from "./base/version.ts";
export type { ContentFile, TorrentParts, TreeParts } from "./metainfo/encode_torrent.ts";
export {
  describe,
  type Magnet,
  magnetOf,
  type Metainfo,
  MetainfoError,
  type MetainfoFile,
  parseMagnet,
  parseMetainfo,
  type ParseOptions,
  type SafePathOptions,
  type TorrentDescription,
  type TorrentVersion,
} from "./metainfo/mod.ts";
export { denoPlatform } from "./platform/deno_platform.ts";
export type { DataMemory } from "./base/data_memory.ts";
export type * from "./platform/platform.ts";
export { HttpError } from "./platform/platform.ts";
export {
  type CreatedTorrent,
  type CreateOptions,
  createTorrent,
  type LinkOut,
  type SourceFile,
} from "./session/create_torrent.ts";
export type { FoundContent } from "./session/create_torrent.ts";
export {
  type AddOptions,
  type DiscoveryOptions,
  type EncryptionMode,
  type RateLimits,
  type RemoveOptions,
  Session,
  type SessionOptions,
} from "./session/session.ts";
export type { Traffic } from "./session/session_store.ts";
export type {
  AddedEvent,
  AnyEvent,
  ChangedEvent,
  CheckingEvent,
  CompletedEvent,
  DhtEvent,
  DhtSource,
  EventOptions,
  EventStream,
  FailedEvent,
  FilePriority,
  FileSnapshot,
  HashFailedEvent,
  LsdSource,
  MetadataEvent,
  MissedEvent,
  MoveProgress,
  OpenFileOptions,
  PeerEvent,
  PeerSnapshot,
  PeerSourcesSnapshot,
  PieceCell,
  PieceMap,
  PortMapEvent,
  PortSource,
  ProgressEvent,
  ReadableTorrent,
  ReadOptions,
  RemovedEvent,
  SessionEvent,
  StateEvent,
  StoppedEvent,
  StreamedEvent,
  TorrentEvent,
  TorrentFailure,
  TorrentHandle,
  TorrentReader,
  TorrentSnapshot,
  TorrentSources,
  TorrentState,
  TrackerEvent,
  TrackerSource,
  WarningEvent,
  WebSeedSource,
} from "./session/session_events.ts";
export {
  type FileVerdict,
  type SearchedPlace,
  type Verification,
  type VerifiedFile,
  verify,
  type VerifyOptions,
} from "./session/verify_torrent.ts";
export type { TrustOptions } from "./tracker_server/address_trust.ts";
export type { UdpServerPlatform } from "./tracker_server/udp_server.ts";
export {
  type NamedSeed,
  type TrackerPlatform,
  TrackerServer,
  type TrackerServerOptions,
  type TrackerStatistics,
} from "./tracker_server/server.ts";
export {
  type StreamableTorrent,
  type StreamPlatform,
  StreamServer,
  type StreamServerOptions,
  type StreamUrls,
} from "./stream/stream_server.ts";
