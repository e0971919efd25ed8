/**
 * Snapshots for tests of views.
 *
 * @module
 */

import { InfoHash } from "../../src/base/info_hash.ts";
import { InfoHashes } from "../../src/base/info_hashes.ts";
import type { PeerSnapshot, TorrentSnapshot } from "../../src/session/session_events.ts";

/** Returns a torrent that is half downloaded, with the given fields replaced. */
export function torrentSnapshot(parts: Partial<TorrentSnapshot> = {}): TorrentSnapshot {
  const { infoHash = new InfoHash(new Uint8Array(20)) } = parts;
  return {
    infoHash,
    infoHashes: new InfoHashes(infoHash, null),
    name: "debian.iso",
    state: "downloading",
    error: null,
    waiting: null,
    size: 4_000_000_000,
    verified: 2_000_000_000,
    progress: 0.5,
    downloaded: 2_000_000_000,
    uploaded: 100_000_000,
    rateDown: 12_000_000,
    rateUp: 900_000,
    eta: 166,
    peerCount: 0,
    seedCount: 0,
    peers: [],
    ...parts,
  };
}

/** Returns a peer that sends to us, with the given fields replaced. */
export function peerSnapshot(parts: Partial<PeerSnapshot> = {}): PeerSnapshot {
  return {
    address: "10.99.0.1:51413",
    client: "qBittorrent 4.5.2",
    flags: "DF",
    progress: 1,
    rateDown: 3_000_000,
    rateUp: 0,
    downloaded: 500_000_000,
    uploaded: 0,
    ...parts,
  };
}

/** Returns an info-hash of equal bytes. */
export function infoHashOf(byte: number): InfoHash {
  return new InfoHash(new Uint8Array(20).fill(byte));
}
