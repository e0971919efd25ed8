/**
 * What a torrent looks like at one moment, for those who draw it.
 *
 * @module
 */

import type { InfoHash } from "../base/info_hash.ts";
import type { Peer } from "../peer/mod.ts";
import type { TorrentState } from "./torrent_state.ts";
import type { WebSeed } from "./web_seeds/web_seed.ts";

/** One torrent at one moment; cheap to make, safe to keep. */
export interface TorrentSnapshot {
  /** Which torrent. */
  readonly infoHash: InfoHash;
  /** Its name, safe to print. */
  readonly name: string;
  /** What it is doing. */
  readonly state: TorrentState;
  /** Why it can't go on while `state` is `error`, else `null`. */
  readonly error: string | null;
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

/** What a snapshot is taken of. */
export interface SnapshotSource extends
  Pick<
    TorrentSnapshot,
    "infoHash" | "name" | "state" | "size" | "verified" | "progress" | "downloaded" | "uploaded"
  > {
  /** What it holds; `null` while nobody knows. */
  readonly meta: object | null;
  /** Why it can't go on. */
  readonly error: { readonly message: string } | null;
  /** Every open connection. */
  peers(): Iterable<Peer>;
  /** Web seeds that answer. */
  readonly webSeeds: readonly WebSeed[];
}

/**
 * Takes a snapshot.
 *
 * @param torrent The torrent.
 * @returns Plain values only.
 */
export function snapshotOf(torrent: SnapshotSource): TorrentSnapshot {
  const peers = [...Array.from(torrent.peers(), peerSnapshot), ...torrent.webSeeds.map(webSeedSnapshot)];
  const rateDown = sum(peers, (peer) => peer.rateDown);
  const { infoHash, name, state, error, size, verified, progress, downloaded, uploaded } = torrent;
  const left = size - verified;
  return {
    infoHash,
    name,
    state,
    error: error?.message ?? null,
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
