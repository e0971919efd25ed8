/**
 * Collects the facts by which `waiting.ts` says why nothing arrives. Called for each snapshot, so that what takes long
 * is collected only where it decides something.
 *
 * @module
 */

import type { Peer } from "../peer/mod.ts";
import type { Content } from "./content.ts";
import type { HashProgress } from "./metadata_resolver.ts";
import type { AddressFacts } from "./peers/address_facts.ts";
import type { TorrentFailure } from "./torrent_failure.ts";
import type { PeerSourcesSnapshot } from "./torrent_sources.ts";
import type { TorrentState } from "./torrent_state.ts";
import type { PeerFacts, PieceFacts, WaitingFacts } from "./waiting.ts";

/** What {@linkcode waitingFactsOf} collects from. */
export interface WaitingParts {
  /** State of the torrent. */
  readonly state: TorrentState;
  /** Why the torrent has failed; `null` if it hasn't. */
  readonly error: TorrentFailure | null;
  /** Seconds since something arrived; `null` if nothing has arrived since the torrent went to work. */
  readonly sinceArrival: number | null;
  /** Seconds since the torrent went to work. */
  readonly sinceStart: number;
  /** The content; `null` while the metadata is unknown. */
  readonly content: Content | null;
  /** Progress of fetching hashes of pieces, without which there is no content; `null` if none are fetched. */
  readonly hashes: HashProgress | null;
  /** `true` if the torrent is known to be private. */
  readonly isPrivate: boolean;
  /** Returns every connected peer. */
  peers(): Iterable<Peer>;
  /** Returns what is known about other peers. */
  addresses(): AddressFacts;
  /** Returns the state of trackers, DHT and local discovery. */
  sources(): PeerSourcesSnapshot;
}

/** Collects the facts. */
export function waitingFactsOf(parts: WaitingParts): WaitingFacts {
  const { state, error, sinceArrival, sinceStart, content, hashes, isPrivate } = parts;
  const isActive = state === "metadata" || state === "downloading";
  const peers = isActive ? peerFactsOf(parts.peers(), content === null) : NO_PEERS;
  const isAlone = isActive && peers.connected === 0;
  const webSeeds = isActive && content?.webSeeds ? content.webSeeds.sources() : [];
  return {
    state,
    error: error && (error.where === "" ? error.message : `${error.message} (${error.where})`),
    inLine: content?.inLine ?? false,
    sinceArrival,
    sinceStart,
    pieces: isActive && content !== null ? pieceFactsOf(content, peers) : null,
    hashes: content === null ? hashes : null,
    peers,
    addresses: isAlone ? parts.addresses() : NO_ADDRESSES,
    isPrivate,
    sources: isAlone ? parts.sources() : NO_SOURCES,
    webSeeds,
  };
}

const NO_PEERS: PeerFacts = { connected: 0, useful: 0, choking: 0, asked: 0, held: 0 };
const NO_ADDRESSES: AddressFacts = {
  known: 0,
  dialling: 0,
  ready: 0,
  faults: { refused: 0, silent: 0, unreachable: 0, ended: 0 },
  secondsUntilNext: null,
  only: null,
  blocked: 0,
};
const NO_SOURCES: PeerSourcesSnapshot = { active: false, trackers: [], dht: null, lsd: null };

function peerFactsOf(peers: Iterable<Peer>, seeksMetadata: boolean): PeerFacts {
  let [connected, useful, choking, asked, held] = [0, 0, 0, 0, 0];
  for (const peer of peers) {
    connected++;
    if (peer.readPaused) held++;
    if (peer.requests.size > 0) asked++;
    const isUseful = seeksMetadata
      ? peer.extensions.metadataSize > 0 && peer.extensions.speaks("ut_metadata")
      : peer.wanted > 0;
    if (!isUseful) continue;
    useful++;
    if (peer.choking) choking++;
  }
  return { connected, useful, choking, asked, held };
}

function pieceFactsOf(content: Content, { connected }: PeerFacts): PieceFacts {
  const { started } = content.download;
  const { pool, verifying } = started;
  const missing = Math.max(0, started.missing.count - verifying);
  return {
    missing,
    nowhere: connected === 0 ? 0 : Math.min(missing, content.unavailable),
    writing: verifying,
    isBehind: pool.isBehind,
    noMemory: !pool.available,
  };
}
