/**
 * Says in one sentence why no data arrives: the decision which reason is the most useful one. Pure; the facts are
 * collected in `waiting_facts.ts`, and phrases about peers that are not connected are in `source_phrases.ts`.
 *
 * @module
 */

import { plural } from "../base/plural.ts";
import { addressesPhrase, dhtPhrase, inWords, trackersPhrase, webSeedsPhrase } from "./source_phrases.ts";
import type { HashProgress } from "./metadata_resolver.ts";
import type { PeerSourcesSnapshot } from "./torrent_sources.ts";
import type { TorrentState } from "./torrent_state.ts";
import type { WebSeedSource } from "./web_seeds/web_seed.ts";
import type { AddressFacts } from "./peers/address_facts.ts";

/** What {@linkcode waitingFor} decides by. */
export interface WaitingFacts {
  /** State of the torrent. */
  readonly state: TorrentState;
  /** Why the torrent has failed; `null` if it hasn't. */
  readonly error: string | null;
  /** `true` if other torrents are checked first. */
  readonly inLine: boolean;
  /** Seconds since something arrived; `null` if nothing has arrived since the torrent went to work. */
  readonly sinceArrival: number | null;
  /** Seconds since the torrent went to work. */
  readonly sinceStart: number;
  /** The missing pieces; `null` while the metadata is unknown. */
  readonly pieces: PieceFacts | null;
  /** Progress of fetching hashes of pieces, before there are pieces; `null` if none are fetched. */
  readonly hashes: HashProgress | null;
  /** Connected peers. */
  readonly peers: PeerFacts;
  /** Peers that are not connected. */
  readonly addresses: AddressFacts;
  /** `true` if the torrent is known to be private. */
  readonly isPrivate: boolean;
  /** Trackers, DHT and local discovery. */
  readonly sources: PeerSourcesSnapshot;
  /** Web seeds. */
  readonly webSeeds: readonly WebSeedSource[];
}

/** The missing pieces of a torrent. */
export interface PieceFacts {
  /** Pieces that are wanted and neither verified nor complete in memory. */
  readonly missing: number;
  /** Number of these that neither a connected peer nor a web seed has. */
  readonly nowhere: number;
  /** Complete pieces that are being checked and written. */
  readonly writing: number;
  /** `true` if so many complete pieces wait for the disk that no further piece is started. */
  readonly isBehind: boolean;
  /** `true` if all memory for pieces is used up. */
  readonly noMemory: boolean;
}

/** The connected peers of a torrent. */
export interface PeerFacts {
  /** Connected peers. */
  readonly connected: number;
  /** Peers that have a missing piece; in the state `metadata`, peers that offer the metadata. */
  readonly useful: number;
  /** Useful peers that choke us. */
  readonly choking: number;
  /** Peers with unanswered requests. */
  readonly asked: number;
  /** Peers that aren't read from, because a rate limit is used up. */
  readonly held: number;
}

/** Data counts as moving if something arrived within so many seconds. */
const MOVING_S = 3;
/** Between phrases. */
const AND = " \u00b7 ";

/**
 * Says why nothing arrives.
 *
 * @param facts See {@linkcode WaitingFacts}.
 * @returns One sentence, or several phrases with dots between them, the most useful first; `null` while data arrives,
 * for a torrent that waits for nothing, and for one that has been stopped.
 *
 * @example
 * ```ts
 * waitingFor(facts); // "8 peers, all choke us"
 * ```
 */
export function waitingFor(facts: WaitingFacts): string | null {
  switch (facts.state) {
    case "error":
      return facts.error;
    case "paused":
      return "it is paused";
    case "queued":
      return "it waits in the queue";
    case "checking":
      return facts.inLine ? "other torrents are checked first" : null;
    case "metadata":
    case "downloading":
      return whileActive(facts);
    default:
      return null;
  }
}

function whileActive(facts: WaitingFacts): string | null {
  const { pieces, peers, sinceArrival, webSeeds } = facts;
  const fromDisk = pieces && diskSentence(pieces, peers);
  if (fromDisk && (pieces.missing === 0 || !isMoving(sinceArrival))) return fromDisk;
  if (isMoving(sinceArrival)) return null;
  if (peers.connected === 0) {
    const busy = webSeeds.filter(({ status }) => status === "sending").length;
    return busy > 0 ? webSeedsStall(facts, busy) : whileAlone(facts);
  }
  const sentence = pieces !== null
    ? peersSentence(facts, pieces)
    : facts.hashes !== null
    ? hashesSentence(facts, facts.hashes)
    : metadataSentence(facts);
  return joined([sentence, webSeedsPhrase(webSeeds)]);
}

/** Returns `true` if something arrived a moment ago. */
export function isMoving(sinceArrival: number | null): boolean {
  return sinceArrival !== null && sinceArrival < MOVING_S;
}

function diskSentence({ missing, writing, isBehind, noMemory }: PieceFacts, { asked }: PeerFacts): string | null {
  if (missing === 0) {
    return writing > 0
      ? `waiting for the disk: ${plural(writing, "piece")} to check and write`
      : "waiting for the disk";
  }
  if (isBehind) return `waiting for the disk: ${plural(writing, "complete piece")} to check and write`;
  if (!noMemory || asked > 0) return null;
  return writing > 0
    ? `waiting for the disk: all memory is taken, and ${plural(writing, "complete piece")} to write`
    : "waiting for memory, which other torrents use";
}

function metadataSentence({ peers: { connected, useful }, ...facts }: WaitingFacts): string {
  if (useful === 0) {
    return connected === 1
      ? "1 peer, which doesn't offer the metadata"
      : `${connected} peers, none offers the metadata`;
  }
  const quiet = quietFor(facts);
  if (quiet < MOVING_S) return `asking ${plural(useful, "peer")} for the metadata`;
  return `stalled for ${inWords(quiet)}: ${plural(useful, "peer")} asked for the metadata, no answer`;
}

function hashesSentence(
  { peers: { connected }, ...facts }: WaitingFacts,
  { done, total, peers }: HashProgress,
): string {
  if (peers === 0) {
    return connected === 1
      ? "1 peer, which can't send the hashes of pieces"
      : `${connected} peers, none can send the hashes of pieces`;
  }
  const what = `waiting for hashes from peers: ${done} of ${plural(total, "file")}`;
  const quiet = quietFor(facts);
  return quiet < MOVING_S ? what : `${what}, stalled for ${inWords(quiet)}`;
}

function peersSentence(facts: WaitingFacts, { missing, nowhere }: PieceFacts): string {
  const { connected, useful, choking, asked, held } = facts.peers;
  const quiet = quietFor(facts);
  if (held > 0) return "the download rate limit holds the peers back";
  const lacking = nowhere === 0 || missing === 0
    ? null
    : nowhere < missing
    ? `nobody has ${nowhere} of the ${missing} missing pieces`
    : missing === 1
    ? "nobody has the piece that is missing"
    : `nobody has the ${missing} pieces that are missing`;
  if (lacking !== null && nowhere >= missing) {
    return quiet < MOVING_S ? `${plural(connected, "peer")}, ${lacking}` : `stalled for ${inWords(quiet)}: ${lacking}`;
  }
  return joined([usefulSentence({ connected, useful, choking, asked }, quiet), lacking])!;
}

function usefulSentence({ connected, useful, choking, asked }: Omit<PeerFacts, "held">, quiet: number): string {
  if (useful === 0) {
    return connected === 1 ? "1 peer, which lacks what is missing" : `${connected} peers, all lack what is missing`;
  }
  if (choking === connected) {
    return connected === 1
      ? "1 peer, which chokes us"
      : connected === 2
      ? "2 peers, both choke us"
      : `${connected} peers, all choke us`;
  }
  if (choking === useful) {
    const others = connected - useful;
    const choke = choking === 1 ? "1 chokes us" : `${choking} choke us`;
    return `${plural(connected, "peer")}: ${choke}, ${others} ${others === 1 ? "lacks" : "lack"} what is missing`;
  }
  if (quiet < MOVING_S) return `asking ${plural(useful - choking, "peer")} for data`;
  const whose = asked > 0 ? `${plural(asked, "peer")} asked, no answer` : `${plural(connected, "peer")}, none is asked`;
  return `stalled for ${inWords(quiet)}: ${whose}`;
}

function webSeedsStall(facts: WaitingFacts, busy: number): string {
  const quiet = quietFor(facts);
  const others = webSeedsPhrase(facts.webSeeds);
  const asked = `${plural(busy, "web seed")} asked`;
  return joined([quiet < MOVING_S ? asked : `stalled for ${inWords(quiet)}: ${asked}, no answer`, others])!;
}

/** Says why there are no peers. */
function whileAlone(facts: WaitingFacts): string {
  const { addresses, sources, isPrivate, webSeeds } = facts;
  const { blocked, known } = addresses;
  const found = { hasAddresses: known > 0 };
  const trackers = trackersPhrase(sources.trackers, found);
  const dht = sources.dht && dhtPhrase(sources.dht, found);
  const phrases = joined([addressesPhrase(addresses), webSeedsPhrase(webSeeds), trackers, dht]);
  const isNamed = sources.trackers.some(({ others }) => others) || (sources.dht?.last?.peers ?? 0) > 0;
  const none = sources.trackers.length === 0 && sources.dht === null
    ? noSources(isPrivate, sources.lsd !== null)
    : null;
  if (blocked > 0 && known === 0 && (isNamed || none !== null)) {
    const all = blocked === 1
      ? "the only peer that was found is blocked"
      : `all ${blocked} peers that were found are blocked`;
    return joined([all, phrases, none])!;
  }
  return joined([phrases, none, blocked > 0 ? `${plural(blocked, "peer")} blocked` : null]) ?? "no peers yet";
}

/** Says that a torrent has neither trackers nor the DHT. */
function noSources(isPrivate: boolean, hasLsd: boolean): string {
  if (isPrivate) return "it is private and has no trackers, so nobody can be found";
  if (hasLsd) return "it has no trackers and the DHT is off: only peers in the local network can be found";
  return "it has no trackers, the DHT and local discovery are off: nobody can be found";
}

/** Seconds for which nothing has arrived. */
function quietFor({ sinceArrival, sinceStart }: Pick<WaitingFacts, "sinceArrival" | "sinceStart">): number {
  return sinceArrival ?? sinceStart;
}

function joined(phrases: readonly (string | null)[]): string | null {
  return phrases.filter((phrase) => phrase !== null).join(AND) || null;
}

/**
 * Returns `true` if two sentences give the same reason, whatever their numbers: most sentences contain a time, which
 * changes each second.
 */
export function isSameReason(one: string | null, other: string | null): boolean {
  if (one === null || other === null) return one === other;
  return one === other || withoutNumbers(one) === withoutNumbers(other);
}

function withoutNumbers(sentence: string): string {
  return sentence.replace(/\d+ (?:s|min|h|d)\b/g, "#");
}
