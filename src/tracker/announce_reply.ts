/**
 * Parses announce replies of HTTP trackers (BEP 3, 7, 23, 24, 31).
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

/** Reply to a successful announce. */
export interface AnnounceReply {
  /** Milliseconds until the next regular announce, or `null`. */
  readonly interval: number | null;
  /** Milliseconds before which no other announce is allowed, or `null`. */
  readonly minInterval: number | null;
  /** Tracker id to send with the next announce, or `null`. */
  readonly trackerId: Bytes | null;
  /** Number of seeds in the swarm, or `null` if the tracker doesn't say. */
  readonly seeders: number | null;
  /** Number of other peers in the swarm, or `null` if the tracker doesn't say. */
  readonly leechers: number | null;
  /** Our external address as the tracker sees it, or `null` (BEP 24). */
  readonly externalIp: string | null;
  /** Listen addresses of peers, without duplicates. */
  readonly peers: PeerAddress[];
  /** Peers given by host name, which BEP 3 allows; only the first few. Absent for none. */
  readonly names?: readonly HostPort[];
  /** Warning for the user, safe to print; empty if there is none. */
  readonly warning: string;
}

/**
 * Parses an announce reply. Invalid parts, such as a peer without an address or a negative count, are ignored.
 *
 * @throws {TrackerError} If the body is no tracker reply, or the reply has a failure reason.
 */
export function parseAnnounceReply(body: Uint8Array): AnnounceReply {
  const reply = decodeReply(body);
  const failure = failureIn(reply);
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
 * Finds the failure reason in a response body. Some trackers send one with an HTTP status other than 200.
 *
 * @returns The failure as an error, or `null` if the body has none.
 */
export function findFailure(body: Uint8Array): TrackerError | null {
  try {
    return failureIn(decodeReply(body));
  } catch (error) {
    if (error instanceof TrackerError) return null;
    throw error;
  }
}

/**
 * Checks a reply for a failure reason.
 *
 * @returns The failure as an error, or `null` if there is none.
 */
export function failureIn(reply: BencodeDict): TrackerError | null {
  const reason = reply.getText("failure reason");
  if (reason === undefined) return null;
  return new TrackerError(printableMessage(reason) || "no reason given", { retryIn: retryIn(reply) });
}

/**
 * Decodes a reply.
 *
 * @returns The reply's dictionary.
 * @throws {TrackerError} If the body is not a bencoded dictionary.
 */
export function decodeReply(body: Uint8Array): BencodeDict {
  try {
    // Tracker scripts often append a newline or more to the reply. All clients ignore that.
    return decodeDict(body, { maxDepth: MAX_TRACKER_DEPTH, allowTrailing: true });
  } catch (error) {
    if (!(error instanceof BencodeError)) throw error;
    // The content isn't shown: a torrent may name a private server as its tracker.
    const why = body.length === 0
      ? "the answer is empty"
      : `the answer is not that of a tracker but ${contentKind(body)}`;
    throw new TrackerError(why, { cause: error });
  }
}

/** Parses `retry in`, which BEP 31 defines as a string of minutes or "never". An integer is accepted as well. */
function retryIn(reply: BencodeDict): number | null {
  const value = reply.getInt("retry in") ?? reply.getText("retry in");
  if (value === "never") return Infinity;
  const minutes = typeof value === "string" && /^\d{1,9}$/.test(value) ? Number(value) : value;
  return typeof minutes === "number" && minutes > 0 ? minutes * 60_000 : null;
}

/** Collects the peers. No more entries are read than are kept, since invalid ones take as long as valid ones. */
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

/** Collects peers with a host name. Each name costs a DNS lookup on the tracker's word, so only a few are taken. */
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

/** Matches a host name. The last label must begin with a letter: otherwise the name is a malformed address. */
const HOST_NAME = /^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/i;

function milliseconds(seconds: number | undefined): number | null {
  return seconds !== undefined && seconds > 0 ? seconds * 1000 : null;
}

/**
 * Validates a count.
 *
 * @returns The count, or `null` if it is absent or negative.
 */
export function count(value: number | undefined): number | null {
  return value !== undefined && value >= 0 ? value : null;
}

/** Makes a tracker's text printable: one line, without control characters, of limited length. */
export function printableMessage(text: string): string {
  const line = text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]+/gu, " ").trim();
  return line.length > MAX_TRACKER_MESSAGE ? `${line.slice(0, MAX_TRACKER_MESSAGE)}...` : line;
}
