/**
 * Encodes the replies of an HTTP tracker (BEP 3, 7, 21, 23, 24, 48).
 *
 * @module
 */

import { parseIp, type PeerAddress } from "../base/address.ts";
import { type Bytes, fromHex } from "../base/bytes.ts";
import type { InfoHash } from "../base/info_hash.ts";
import { type Encodable, encode } from "../bencode/mod.ts";
import { compactText, type KnownPeer } from "./peer_pool.ts";
import type { AnnounceAnswer, ScrapeAnswer } from "./swarm_store.ts";

/** Minimum interval in seconds between announces of a peer that needs more peers. */
const MIN_INTERVAL = 60;

/** Options for {@linkcode encodeAnnounceReply}. */
export interface AnnounceReplyOptions {
  /** Seconds between announces. */
  readonly interval: number;
  /** Address of the client. */
  readonly from: PeerAddress;
  /** `true` to encode peers in compact form. */
  readonly compact: boolean;
  /** `true` to omit peer ids from the long form. */
  readonly withoutPeerIds: boolean;
}

/**
 * Encodes the reply to an announce.
 *
 * @param answer Answer of the store.
 * @param options See {@linkcode AnnounceReplyOptions}.
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
 * Encodes the reply to a scrape.
 *
 * @param swarms Info-hashes and counts of the requested torrents.
 * @returns A bencoded dictionary.
 */
export function encodeScrapeReply(swarms: readonly (readonly [InfoHash, ScrapeAnswer])[]): Bytes {
  const byHash = new Map(swarms.map(([hash, answer]) => [hash.hex, { hash, answer }]));
  return encode({
    files: new Map([...byHash.values()].map(({ hash, answer }) => [hash.bytes, { ...answer }])),
  });
}

/**
 * Encodes a failure.
 *
 * @param reason Reason, which clients show to the user.
 * @param retryMinutes Minutes until the client may try again (BEP 31); omitted when absent.
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
 * Encodes the peers of one address family in compact form (BEP 23, 7).
 *
 * @param peers Peers of any family.
 * @returns 6 or 18 bytes for each peer.
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
