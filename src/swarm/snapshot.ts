/**
 * The state of a torrent at one moment, for display.
 *
 * @module
 */

import type { InfoHash } from "../base/info_hash.ts";
import type { InfoHashes } from "../base/info_hashes.ts";
import type { Peer } from "../peer/mod.ts";
import type { TorrentState } from "./torrent_state.ts";
import type { WebSeed } from "./web_seeds/web_seed.ts";

/** A torrent at one moment. Cheap to create, and never changes. */
export interface TorrentSnapshot {
  /** Info-hash that names the torrent; see {@linkcode TorrentHandle.infoHash}. */
  readonly infoHash: InfoHash;
  /** All info-hashes that are known; see {@linkcode TorrentHandle.infoHashes}. */
  readonly infoHashes: InfoHashes;
  /** Name of the torrent, safe to print. */
  readonly name: string;
  /** State of the torrent. */
  readonly state: TorrentState;
  /** Why the torrent can't continue while `state` is `error`; otherwise `null`. */
  readonly error: string | null;
  /**
   * Why nothing arrives, safe to print: one sentence, as `8 peers, all choke us`, or several phrases with middle dots
   * between them, the most useful first. `null` while data arrives, and for a torrent that waits for nothing.
   */
  readonly waiting: string | null;
  /** Bytes of the wanted files; 0 while `state` is `metadata`. */
  readonly size: number;
  /** Verified bytes, without padding. */
  readonly verified: number;
  /** Progress, 0 to 1: of the check in state `checking`, of the metadata in `metadata`, else `verified / size`. */
  readonly progress: number;
  /** Payload bytes received from peers and web seeds since the start, including wasted ones. */
  readonly downloaded: number;
  /** Payload bytes sent to peers since the start. */
  readonly uploaded: number;
  /** Present download rate in payload bytes per second. */
  readonly rateDown: number;
  /** Present upload rate in payload bytes per second. */
  readonly rateUp: number;
  /** Seconds until completion; `null` if unknown. */
  readonly eta: number | null;
  /** Number of connected peers, including seeds and web seeds. */
  readonly peerCount: number;
  /** Number of connected peers and web seeds that have everything. */
  readonly seedCount: number;
  /** Connected peers and web seeds, in no particular order. */
  readonly peers: readonly PeerSnapshot[];
}

/** A connected peer, or a web seed that answers, at one moment. */
export interface PeerSnapshot {
  /** `host:port`. */
  readonly address: string;
  /** Client name and version, safe to print; empty if unknown. */
  readonly client: string;
  /**
   * Letters as in other clients: `D` we download from the peer, `d` we want to but the peer chokes us, `U` we upload to
   * the peer, `u` the peer wants to download but we choke it, `O` optimistic unchoke, `S` snubbed, `I` incoming
   * connection, `F` fast extension, `E` everything is encrypted, `e` only the handshake was, `W` web seed.
   */
  readonly flags: string;
  /** Part of the torrent that the peer has, 0 to 1. */
  readonly progress: number;
  /** Present download rate from the peer in payload bytes per second. */
  readonly rateDown: number;
  /** Present upload rate to the peer in payload bytes per second. */
  readonly rateUp: number;
  /** Payload bytes received from the peer. */
  readonly downloaded: number;
  /** Payload bytes sent to the peer. */
  readonly uploaded: number;
}

/** What a snapshot is made from. */
export interface SnapshotSource extends
  Pick<
    TorrentSnapshot,
    "infoHash" | "infoHashes" | "name" | "state" | "size" | "verified" | "progress" | "downloaded" | "uploaded"
  > {
  /** The metadata; `null` while unknown. */
  readonly meta: object | null;
  /** The error that stopped the torrent; `null` if there is none. */
  readonly error: { readonly message: string } | null;
  /** Why nothing arrives. See {@linkcode TorrentSnapshot.waiting}. */
  readonly waiting: string | null;
  /** Returns every connected peer. */
  peers(): Iterable<Peer>;
  /** Web seeds that answer. */
  readonly webSeeds: readonly WebSeed[];
}

/** Creates a snapshot, which contains plain values only. */
export function snapshotOf(torrent: SnapshotSource): TorrentSnapshot {
  const peers = [...Array.from(torrent.peers(), peerSnapshot), ...torrent.webSeeds.map(webSeedSnapshot)];
  const rateDown = sum(peers, (peer) => peer.rateDown);
  const { infoHash, infoHashes, name, state, error, size, verified, progress, downloaded, uploaded } = torrent;
  const left = size - verified;
  return {
    infoHash,
    infoHashes,
    name,
    state,
    error: error?.message ?? null,
    waiting: torrent.waiting,
    size,
    verified,
    progress,
    downloaded,
    uploaded,
    rateDown,
    rateUp: sum(peers, (peer) => peer.rateUp),
    eta: torrent.meta === null ? null : left === 0 ? 0 : rateDown > 0 ? left / rateDown : null,
    peerCount: peers.length,
    seedCount: torrent.meta === null ? 0 : peers.filter((peer) => peer.progress === 1).length,
    peers,
  };
}

function peerSnapshot(peer: Peer): PeerSnapshot {
  return {
    address: peer.name,
    client: peer.client,
    flags: flagsOf(peer),
    progress: peer.progress,
    rateDown: peer.down.rate,
    rateUp: peer.up.rate,
    downloaded: peer.down.total,
    uploaded: peer.up.total,
  };
}

function webSeedSnapshot(seed: WebSeed): PeerSnapshot {
  return {
    address: seed.name,
    client: "web seed",
    flags: seed.connections > 0 ? "DW" : "W",
    progress: seed.pieces.count / seed.pieces.length,
    rateDown: seed.down.rate,
    rateUp: 0,
    downloaded: seed.down.total,
    uploaded: 0,
  };
}

/** Returns the letters for {@linkcode PeerSnapshot.flags}. */
function flagsOf(peer: Peer): string {
  let flags = "";
  if (peer.amInterested) flags += peer.choking ? "d" : "D";
  if (peer.interested) flags += peer.amChoking ? "u" : "U";
  if (peer.optimistic) flags += "O";
  if (peer.snubbed) flags += "S";
  if (peer.incoming) flags += "I";
  if (peer.fast) flags += "F";
  if (peer.output.encryption === "rc4") flags += "E";
  else if (peer.output.encryption === "handshake") flags += "e";
  return flags;
}

function sum<T>(items: readonly T[], valueOf: (item: T) => number): number {
  return items.reduce((total, item) => total + valueOf(item), 0);
}
