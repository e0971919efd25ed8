/**
 * What a torrent looks like at one moment, for those who draw it.
 *
 * @module
 */

import type { Metainfo } from "../metainfo/mod.ts";
import type { InfoHash } from "../base/info_hash.ts";
import type { Peer } from "../peer/mod.ts";
import type { MetadataSwarm } from "./metadata_swarm.ts";
import type { Torrent } from "./torrent.ts";
import type { WebSeed } from "./web_seed.ts";

/** What a torrent is doing. */
export type TorrentState =
  | "metadata"
  | "checking"
  | "downloading"
  | "seeding"
  | "paused"
  | "stopping"
  | "stopped"
  | "failed";

/** One torrent at one moment; cheap to make, safe to keep. */
export interface TorrentSnapshot {
  /** Which torrent. */
  readonly infoHash: InfoHash;
  /** Its name, safe to print. */
  readonly name: string;
  /** What it is doing. */
  readonly state: TorrentState;
  /** Bytes of the wanted files; 0 while `state` is `metadata`. */
  readonly size: number;
  /** Bytes that are verified, padding left out. */
  readonly verified: number;
  /** 0 to 1: how far the check has come while `state` is `checking`, the metadata while it is that, else `verified / size`. */
  readonly progress: number;
  /** Payload bytes received from peers and web seeds since the start, wasted ones included. */
  readonly downloaded: number;
  /** Payload bytes sent to peers since the start. */
  readonly uploaded: number;
  /** Payload bytes a second, lately. */
  readonly rateDown: number;
  /** Payload bytes a second, lately. */
  readonly rateUp: number;
  /** Seconds until complete, or `null` when unknown. */
  readonly eta: number | null;
  /** Connected peers, seeds included, web seeds too. */
  readonly peerCount: number;
  /** Connected peers that have everything. */
  readonly seedCount: number;
  /** Every connected peer, in no order. */
  readonly peers: readonly PeerSnapshot[];
}

/** One connected peer, or a web seed that answers, at one moment. */
export interface PeerSnapshot {
  /** `host:port`. */
  readonly address: string;
  /** Client name and version, safe to print; empty when unknown. */
  readonly client: string;
  /**
   * Letters, as other clients show them: `D` we download from it, `d` we want to but it chokes us, `U` we upload to it,
   * `u` it wants to but we choke it, `O` optimistic unchoke, `S` snubbed, `I` it connected to us, `F` fast extension, `E` everything
   * is encrypted, `e` only the handshake was, `W` web seed.
   */
  readonly flags: string;
  /** Part of the torrent that it has, 0 to 1. */
  readonly progress: number;
  /** Payload bytes a second from it. */
  readonly rateDown: number;
  /** Payload bytes a second to it. */
  readonly rateUp: number;
  /** Payload bytes from it. */
  readonly downloaded: number;
  /** Payload bytes to it. */
  readonly uploaded: number;
}

/**
 * Takes a snapshot.
 *
 * @param torrent The torrent.
 * @param options `meta`: what it holds. `state`: what it is doing, as the session sees it.
 * @returns Plain values only.
 */
export function snapshotOf(
  torrent: Torrent,
  options: { readonly meta: Metainfo; readonly state: TorrentState },
): TorrentSnapshot {
  const { meta, state } = options;
  const peers = [
    ...Array.from(torrent.peers(), peerSnapshot),
    ...(torrent.webSeeds?.connected ?? []).map(webSeedSnapshot),
  ];
  const rateDown = sum(peers, (peer) => peer.rateDown);
  const { verified } = torrent;
  const { size } = torrent;
  const left = size - verified;
  return {
    infoHash: meta.infoHash,
    name: meta.name,
    state,
    size,
    verified,
    progress: state === "checking" ? torrent.checked : size === 0 ? 1 : verified / size,
    downloaded: torrent.downloaded,
    uploaded: torrent.uploaded,
    rateDown,
    rateUp: sum(peers, (peer) => peer.rateUp),
    eta: left === 0 ? 0 : rateDown > 0 ? left / rateDown : null,
    peerCount: peers.length,
    seedCount: peers.filter((peer) => peer.progress === 1).length,
    peers,
  };
}

function peerSnapshot(peer: Peer): PeerSnapshot {
  return {
    address: peer.name,
    client: peer.client,
    flags: flagsOf(peer),
    progress: peer.pieces.length === 0 ? 0 : peer.pieces.count / peer.pieces.length,
    rateDown: peer.down.rate,
    rateUp: peer.up.rate,
    downloaded: peer.down.total,
    uploaded: peer.up.total,
  };
}

/**
 * Takes a snapshot of a torrent of which nothing is known but its info-hash.
 *
 * @param search Who looks for the metadata; `null` while nobody does.
 * @param options `infoHash`, `name`, `state`: as they are told.
 * @returns Plain values only.
 */
export function searchSnapshot(
  search: MetadataSwarm | null,
  options: Pick<TorrentSnapshot, "infoHash" | "name" | "state">,
): TorrentSnapshot {
  const peers = search ? Array.from(search.peers(), (peer) => peerSnapshot(peer)) : [];
  return {
    ...options,
    size: 0,
    verified: 0,
    progress: search?.progress ?? 0,
    downloaded: 0,
    uploaded: 0,
    rateDown: 0,
    rateUp: 0,
    eta: null,
    peerCount: peers.length,
    seedCount: 0,
    peers,
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

/** The letters that {@linkcode PeerSnapshot.flags} explains. */
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
