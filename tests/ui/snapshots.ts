/**
 * Snapshots for tests of what is drawn from them.
 *
 * @module
 */

import { InfoHash } from "../../src/base/info_hash.ts";
import type { PeerSnapshot, TorrentSnapshot } from "../../src/session/session_events.ts";

/** A downloading torrent, half way, except for what the test says. */
export function torrentSnapshot(parts: Partial<TorrentSnapshot> = {}): TorrentSnapshot {
  return {
    infoHash: new InfoHash(new Uint8Array(20)),
    name: "debian.iso",
    state: "downloading",
    error: null,
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

/** A peer that sends to us, except for what the test says. */
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

/** An info-hash whose bytes are all the same. */
export function infoHashOf(byte: number): InfoHash {
  return new InfoHash(new Uint8Array(20).fill(byte));
}
