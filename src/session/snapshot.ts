/**
 * What a torrent looks like at one moment, for those who draw it.
 *
 * @module
 */

import type { Metainfo } from "../metainfo/mod.ts";
import type { Peer, Torrent } from "../swarm/mod.ts";
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
  const peers = Array.from(torrent.peers(), (peer) => peerSnapshot(peer));
  const rateDown = sum(peers, (peer) => peer.rateDown);
  const { verified } = torrent;
  const left = meta.size - verified;
  return {
    infoHash: meta.infoHash,
    name: meta.name,
    state,
    size: meta.size,
    verified,
    progress: state === "checking" ? torrent.checked : meta.size === 0 ? 1 : verified / meta.size,
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
    progress: peer.pieces.length === 0 ? 1 : peer.pieces.count / peer.pieces.length,
    rateDown: peer.down.rate,
    rateUp: peer.up.rate,
    downloaded: peer.down.total,
    uploaded: peer.up.total,
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
  return flags;
}

function sum<T>(items: readonly T[], valueOf: (item: T) => number): number {
  return items.reduce((total, item) => total + valueOf(item), 0);
}
