/**
 * A tracker's answers as bytes (BEP 3, 7, 21, 23, 24, 48).
 *
 * @module
 */

import { parseIp, type PeerAddress } from "../base/address.ts";
import { type Bytes, fromHex } from "../base/bytes.ts";
import type { InfoHash } from "../base/info_hash.ts";
import { type Encodable, encode } from "../bencode/mod.ts";
import { compactText, type KnownPeer } from "./peer_pool.ts";
import type { AnnounceAnswer, ScrapeAnswer } from "./swarm_store.ts";

/** Seconds between announces of a peer that looks for others, at most. */
const MIN_INTERVAL = 60;

/** What an announce is answered beside the swarm. */
export interface AnnounceReplyOptions {
  /** Seconds between announces. */
  readonly interval: number;
  /** Where the client's request came from. */
  readonly from: PeerAddress;
  /** Whether peers go into a byte string. */
  readonly compact: boolean;
  /** Whether peer ids are left out of the long form. */
  readonly withoutPeerIds: boolean;
}

/**
 * The answer to an announce.
 *
 * @param answer What the tracker knows.
 * @param options How to say it.
 * @returns A bencoded dictionary.
 */
export function encodeAnnounceReply(answer: AnnounceAnswer, options: AnnounceReplyOptions): Bytes {
  const externalIp = parseIp(options.from.host);
  return encode({
    complete: answer.seeders,
    incomplete: answer.leechers,
    interval: options.interval,
    "min interval": Math.min(options.interval, MIN_INTERVAL),
    ...(externalIp ? { "external ip": externalIp } : {}),
    ...(options.compact ? compactPeers(answer.peers) : { peers: answer.peers.map((peer) => listed(peer, options)) }),
  });
}

/**
 * The answer to a scrape.
 *
 * @param swarms The torrents that were asked for.
 * @returns A bencoded dictionary.
 */
export function encodeScrapeReply(swarms: readonly (readonly [InfoHash, ScrapeAnswer])[]): Bytes {
  const byHash = new Map(swarms.map(([hash, answer]) => [hash.hex, { hash, answer }]));
  return encode({
    files: new Map([...byHash.values()].map(({ hash, answer }) => [hash.bytes, { ...answer }])),
  });
}

/**
 * The answer to what can't be answered.
 *
 * @param reason For the client's user.
 * @param retryMinutes When it may ask again (BEP 31); not said when absent.
 * @returns A bencoded dictionary.
 */
export function encodeFailure(reason: string, retryMinutes?: number): Bytes {
  return encode({ "failure reason": reason, ...(retryMinutes !== undefined && { "retry in": retryMinutes }) });
}

function compactPeers(peers: readonly KnownPeer[]): { readonly [key: string]: Encodable } {
  const peers6 = compactList(peers, 6);
  return { peers: compactList(peers, 4), ...(peers6.length > 0 && { peers6 }) };
}

/**
 * Peers of a family behind each other (BEP 23, 7).
 *
 * @param peers Peers of any family.
 * @param family Which.
 * @returns 6 bytes each, or 18.
 */
export function compactList(peers: readonly KnownPeer[], family: 4 | 6): Bytes {
  const size = family === 4 ? 6 : 18;
  const bytes = new Uint8Array(size * peers.length);
  let length = 0;
  for (const peer of peers) {
    const text = peer.compact ?? compactText(peer.address);
    if (text.length !== size) continue;
    for (let i = 0; i < size; i++) bytes[length++] = text.charCodeAt(i);
  }
  return bytes.subarray(0, length);
}

function listed(peer: KnownPeer, options: AnnounceReplyOptions): { readonly [key: string]: Encodable } {
  const { host, port } = peer.address;
  const peerId = options.withoutPeerIds ? null : fromHex(peer.peerId);
  return peerId ? { ip: host, port, "peer id": peerId } : { ip: host, port };
}
