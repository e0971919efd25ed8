/**
 * What a torrent looks like at one moment, for those who draw it.
 *
 * @module
 */

import type { Metainfo } from "../metainfo/mod.ts";
import type { MetadataSwarm, Peer, Torrent, WebSeed } from "../swarm/mod.ts";
import type { PeerSnapshot, TorrentSnapshot, TorrentState } from "./types.ts";

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
