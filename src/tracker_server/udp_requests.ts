/**
 * Parses and encodes the datagrams of the UDP tracker protocol, for the tracker (BEP 15).
 *
 * @module
 */

import { formatIp, type PeerAddress } from "../base/address.ts";
import { type Bytes, concatBytes, utf8 } from "../base/bytes.ts";
import { InfoHash } from "../base/info_hash.ts";
import { MAX_UDP_SCRAPE } from "../base/defences.ts";
import { ACTION, ANNOUNCE_LENGTH, CONNECTION_ID_LENGTH, PROTOCOL_ID } from "../tracker/udp_messages.ts";
import { compactList } from "./replies.ts";
import type { AnnounceAnswer, AnnounceQuery, ScrapeAnswer } from "./swarm_store.ts";
import { Trust } from "./address_trust.ts";

const REQUEST_HEADER = 16;
const NOBODY = new Trust();
/** The first four are from BEP 15. libtorrent sends the fifth for a partial seed (BEP 21). */
const EVENTS = ["", "completed", "started", "stopped", "paused"];

/** A request of a client. */
export type UdpRequest =
  | { readonly kind: "connect"; readonly transactionId: number }
  | (Identified & { readonly kind: "announce"; readonly query: AnnounceQuery })
  | (Identified & { readonly kind: "scrape"; readonly infoHashes: readonly InfoHash[] })
  /** A request that is answered with an error, if its connection id is valid. */
  | (Identified & { readonly kind: "refused"; readonly why: string });

/** Fields of all requests except connect. */
interface Identified {
  readonly transactionId: number;
  /** Connection id as sent by the client, 8 bytes. */
  readonly connectionId: Uint8Array;
}

/**
 * Parses a request. The options after an announce (BEP 41) are ignored: this tracker has only one path.
 *
 * @param from Source address.
 * @param trust Clients that may name another address than their own; none when absent.
 * @returns The request, or `null` if the datagram is none.
 */
export function parseUdpRequest(bytes: Uint8Array, from: PeerAddress, trust = NOBODY): UdpRequest | null {
  if (bytes.length < REQUEST_HEADER) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const action = view.getUint32(8);
  const transactionId = view.getUint32(12);
  if (action === ACTION.connect) {
    return view.getBigUint64(0) === PROTOCOL_ID ? { kind: "connect", transactionId } : null;
  }
  const identified = { transactionId, connectionId: bytes.slice(0, CONNECTION_ID_LENGTH) };
  if (action === ACTION.announce) return parseAnnounce(bytes, { view, from, identified, trust });
  if (action === ACTION.scrape) return parseScrape(bytes, identified);
  return { kind: "refused", ...identified, why: "only announce and scrape are understood" };
}

function parseAnnounce(
  bytes: Uint8Array,
  { view, from, identified, trust }: {
    readonly view: DataView;
    readonly from: PeerAddress;
    readonly identified: Identified;
    readonly trust: Trust;
  },
): UdpRequest {
  if (bytes.length < ANNOUNCE_LENGTH) {
    return { kind: "refused", ...identified, why: `an announce has at least ${ANNOUNCE_LENGTH} bytes` };
  }
  const port = view.getUint16(96);
  if (port === 0) return { kind: "refused", ...identified, why: "port must be 1 to 65535" };
  const left = view.getBigInt64(64);
  const numwant = view.getInt32(92);
  const named = formatIp(bytes.subarray(84, 88));
  return {
    kind: "announce",
    ...identified,
    query: {
      infoHash: new InfoHash(bytes.subarray(16, 36)),
      peerId: bytes.slice(36, 56),
      address: { host: named === "0.0.0.0" ? from.host : trust.hostOf(from.host, named), port },
      left: left < 0n ? Infinity : Number(left),
      event: EVENTS[view.getUint32(80)] ?? "",
      numwant: numwant < 0 ? null : numwant,
      // The reply has room for peers of one family only: that of the source address.
      family: from.host.includes(":") ? 6 : 4,
    },
  };
}

function parseScrape(bytes: Uint8Array, identified: Identified): UdpRequest {
  const count = Math.floor((bytes.length - REQUEST_HEADER) / InfoHash.LENGTH);
  if (count === 0) return { kind: "refused", ...identified, why: "info_hash is missing" };
  if (count > MAX_UDP_SCRAPE) {
    return { kind: "refused", ...identified, why: `at most ${MAX_UDP_SCRAPE} torrents can be asked for at once` };
  }
  const infoHashes = Array.from({ length: count }, (_, i) => {
    const at = REQUEST_HEADER + i * InfoHash.LENGTH;
    return new InfoHash(bytes.subarray(at, at + InfoHash.LENGTH));
  });
  return { kind: "scrape", ...identified, infoHashes };
}

/**
 * Encodes the reply to a connect.
 *
 * @param transactionId Transaction id of the request.
 * @param connectionId 8 bytes.
 * @returns 16 bytes, no more than the request, so that forged requests gain no amplification.
 */
export function encodeConnectReply(transactionId: number, connectionId: Uint8Array): Bytes {
  return concatBytes([header(ACTION.connect, transactionId), connectionId]);
}

/** Options for {@linkcode encodeUdpAnnounceReply}. */
export interface UdpAnnounceReplyOptions {
  /** Transaction id of the request. */
  readonly transactionId: number;
  /** Seconds between announces. */
  readonly interval: number;
}

/**
 * Encodes the reply to an announce.
 *
 * @param answer Answer of the store, with peers of the client's family only.
 * @param options See {@linkcode UdpAnnounceReplyOptions}.
 */
export function encodeUdpAnnounceReply(answer: AnnounceAnswer, options: UdpAnnounceReplyOptions): Bytes {
  const counts = words([options.interval, answer.leechers, answer.seeders]);
  // All peers are of one family, so one of the lists is empty.
  const peers = [compactList(answer.peers, 4), compactList(answer.peers, 6)];
  return concatBytes([header(ACTION.announce, options.transactionId), counts, ...peers]);
}

/**
 * Encodes the reply to a scrape.
 *
 * @param transactionId Transaction id of the request.
 * @param swarms Counts of the requested torrents, in the order of the request.
 */
export function encodeUdpScrapeReply(transactionId: number, swarms: readonly ScrapeAnswer[]): Bytes {
  const counts = swarms.flatMap(({ complete, downloaded, incomplete }) => [complete, downloaded, incomplete]);
  return concatBytes([header(ACTION.scrape, transactionId), words(counts)]);
}

/**
 * Encodes an error.
 *
 * @param transactionId Transaction id of the request.
 * @param why Reason, which clients show to the user.
 */
export function encodeUdpError(transactionId: number, why: string): Bytes {
  return concatBytes([header(ACTION.error, transactionId), utf8(why)]);
}

function header(action: number, transactionId: number): Bytes {
  return words([action, transactionId]);
}

function words(values: readonly number[]): Bytes {
  const bytes = new Uint8Array(4 * values.length);
  const view = new DataView(bytes.buffer);
  for (const [i, value] of values.entries()) view.setUint32(4 * i, value);
  return bytes;
}
