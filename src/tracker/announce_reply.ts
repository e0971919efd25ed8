/**
 * What a tracker answers to an announce (BEP 3, 7, 23, 24, 31).
 *
 * @module
 */

import { formatIp, type HostPort, parseCompactPeers, parseIp, type PeerAddress } from "../base/address.ts";
import type { Bytes } from "../base/bytes.ts";
import { contentKind } from "../base/content_kind.ts";
import {
  MAX_NAMED_PEERS,
  MAX_TRACKER_DEPTH,
  MAX_TRACKER_ID,
  MAX_TRACKER_MESSAGE,
  MAX_TRACKER_PEERS,
} from "../base/defences.ts";
import { BencodeDict, BencodeError, type BencodeList, decodeDict } from "../bencode/mod.ts";
import { TrackerError } from "./errors.ts";

/** A successful answer. */
export interface AnnounceReply {
  /** Milliseconds until the next announce is due, as the tracker says, or `null`. */
  readonly interval: number | null;
  /** Milliseconds before which the tracker wants no other announce, or `null`. */
  readonly minInterval: number | null;
  /** To be sent back with the next announce, or `null`. */
  readonly trackerId: Bytes | null;
  /** Seeds in the swarm, or `null` when the tracker does not say. */
  readonly seeders: number | null;
  /** Other peers in the swarm, or `null` when the tracker does not say. */
  readonly leechers: number | null;
  /** Our address as the tracker sees it, or `null` (BEP 24). */
  readonly externalIp: string | null;
  /** Where peers listen; each once. */
  readonly peers: PeerAddress[];
  /** Peers that are named instead, as BEP 3 allows; few of them. Absent for none. */
  readonly names?: readonly HostPort[];
  /** A warning for the user, safe to print; empty when there is none. */
  readonly warning: string;
}

/**
 * Reads an answer. What is odd is passed over as long as the rest makes sense: a peer without a literal address, a
 * negative count.
 *
 * @param body What the tracker sent.
 * @returns What it means.
 * @throws {TrackerError} If it is no answer of a tracker, or one that says no.
 */
export function parseAnnounceReply(body: Uint8Array): AnnounceReply {
  const reply = decodeReply(body);
  const failure = failureOf(reply);
  if (failure) throw failure;
  const list = reply.getList("peers");
  const trackerId = reply.getBytes("tracker id");
  const externalIp = reply.getBytes("external ip");
  return {
    interval: milliseconds(reply.getInt("interval")),
    minInterval: milliseconds(reply.getInt("min interval")),
    trackerId: trackerId && trackerId.length <= MAX_TRACKER_ID ? trackerId.slice() : null,
    seeders: count(reply.getInt("complete")),
    leechers: count(reply.getInt("incomplete")),
    externalIp: externalIp?.length === 4 || externalIp?.length === 16 ? formatIp(externalIp) : null,
    peers: allPeers(reply),
    ...(list && { names: namedPeers(list) }),
    warning: printableMessage(reply.getText("warning message") ?? ""),
  };
}

/**
 * The reason that a tracker gives for saying no. Some send it with an HTTP status other than 200.
 *
 * @param body What the tracker sent.
 * @returns The reason as an error, or `null` when there is none in it.
 */
export function findFailure(body: Uint8Array): TrackerError | null {
  try {
    return failureOf(decodeReply(body));
  } catch (error) {
    if (error instanceof TrackerError) return null;
    throw error;
  }
}

/**
 * Whether an answer says no.
 *
 * @param reply Any answer of a tracker.
 * @returns Why, or `null`.
 */
export function failureOf(reply: BencodeDict): TrackerError | null {
  const reason = reply.getText("failure reason");
  if (reason === undefined) return null;
  return new TrackerError(printableMessage(reason) || "no reason given", { retryIn: retryIn(reply) });
}

/**
 * Reads any answer.
 *
 * @param body What the tracker sent.
 * @returns The dictionary in it.
 * @throws {TrackerError} If there is none.
 */
export function decodeReply(body: Uint8Array): BencodeDict {
  try {
    // Scripts behind a web server end their answers with a newline, or worse; every client passes over it.
    return decodeDict(body, { maxDepth: MAX_TRACKER_DEPTH, allowTrailing: true });
  } catch (error) {
    if (!(error instanceof BencodeError)) throw error;
    // What it says isn't shown: a torrent can name a server that is none of its business.
    const why = body.length === 0
      ? "the answer is empty"
      : `the answer is not that of a tracker but ${contentKind(body)}`;
    throw new TrackerError(why, { cause: error });
  }
}

/** BEP 31 has minutes as a string or "never"; an integer is understood too. */
function retryIn(reply: BencodeDict): number | null {
  const value = reply.getInt("retry in") ?? reply.getText("retry in");
  if (value === "never") return Infinity;
  const minutes = typeof value === "string" && /^\d{1,9}$/.test(value) ? Number(value) : value;
  return typeof minutes === "number" && minutes > 0 ? minutes * 60_000 : null;
}

/** Looks at no more of a list than is taken from it, since a long one of nonsense would cost as much as a good one. */
function allPeers(reply: BencodeDict): PeerAddress[] {
  const peers = new Map<string, PeerAddress>();
  const add = (found: Iterable<PeerAddress>) => {
    for (const peer of found) if (peers.size < MAX_TRACKER_PEERS) peers.set(`${peer.host} ${peer.port}`, peer);
  };
  const compact = reply.getBytes("peers");
  if (compact) add(parseCompactPeers(compact.subarray(0, 6 * MAX_TRACKER_PEERS), 4));
  const list = reply.getList("peers");
  if (list) add(listedPeers(list));
  const compact6 = reply.getBytes("peers6");
  if (compact6) add(parseCompactPeers(compact6.subarray(0, 18 * MAX_TRACKER_PEERS), 6));
  return [...peers.values()];
}

function* listedPeers(list: BencodeList): Generator<PeerAddress> {
  let left = MAX_TRACKER_PEERS;
  for (const entry of list) {
    if (left-- === 0) return;
    if (!(entry instanceof BencodeDict)) continue;
    const ip = parseIp(entry.getText("ip") ?? "");
    const port = entry.getInt("port") ?? 0;
    if (ip && port > 0 && port < 65536) yield { host: formatIp(ip), port };
  }
}

/** A list of names would make us ask a name server for each on a stranger's word, so that few are taken. */
function namedPeers(list: BencodeList): HostPort[] {
  const names: HostPort[] = [];
  let left = MAX_TRACKER_PEERS;
  for (const entry of list) {
    if (left-- === 0 || names.length === MAX_NAMED_PEERS) break;
    if (!(entry instanceof BencodeDict)) continue;
    const host = entry.getText("ip") ?? "";
    const port = entry.getInt("port") ?? 0;
    if (HOST_NAME.test(host) && parseIp(host) === null && port > 0 && port < 65536) names.push({ host, port });
  }
  return names;
}

/** Parts of letters, digits and hyphens, the last no number: else it is meant to be an address and isn't a good one. */
const HOST_NAME = /^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/i;

function milliseconds(seconds: number | undefined): number | null {
  return seconds !== undefined && seconds > 0 ? seconds * 1000 : null;
}

/**
 * A count that makes sense.
 *
 * @param value What the tracker says, if anything.
 * @returns It, or `null`.
 */
export function count(value: number | undefined): number | null {
  return value !== undefined && value >= 0 ? value : null;
}

/**
 * A stranger's text as one line without control characters.
 *
 * @param text What a tracker says.
 * @returns What can be shown of it.
 */
export function printableMessage(text: string): string {
  const line = text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]+/gu, " ").trim();
  return line.length > MAX_TRACKER_MESSAGE ? `${line.slice(0, MAX_TRACKER_MESSAGE)}...` : line;
}
