/**
 * Encodes and parses the datagrams of the UDP tracker protocol, for the client (BEP 15, 41).
 *
 * @module
 */

import { parseCompactPeers } from "../base/address.ts";
import { type Bytes, concatBytes, fromUtf8Lossy, utf8 } from "../base/bytes.ts";
import { MAX_TRACKER_PEERS, MAX_UDP_URL_DATA } from "../base/defences.ts";
import { plural } from "../base/plural.ts";
import { type AnnounceReply, printableMessage } from "./announce_reply.ts";
import type { AnnounceEvent, AnnounceRequest } from "./announce_request.ts";
import { TrackerError } from "./errors.ts";

/** Magic constant at the start of a connect request (BEP 15). */
export const PROTOCOL_ID = 0x41727101980n;

/** Action codes. */
export const ACTION = { connect: 0, announce: 1, scrape: 2, error: 3 } as const;

/** Length of a connection id in bytes. */
export const CONNECTION_ID_LENGTH = 8;
/** Length of an announce request without its options, in bytes. */
export const ANNOUNCE_LENGTH = 98;
/** Event codes. BEP 15 has none for `paused` (BEP 21), so `left` alone shows a partial seed's state. */
const EVENTS: Readonly<Record<NonNullable<AnnounceEvent>, number>> = {
  paused: 0,
  completed: 1,
  started: 2,
  stopped: 3,
};
/** Option types (BEP 41). */
const OPTION = { end: 0, urlData: 2 } as const;
const MAX_OPTION_LENGTH = 255;
/** Largest signed 64-bit integer. */
const MAX_INT64 = 2n ** 63n - 1n;

/**
 * Encodes a connect request.
 *
 * @param transactionId 32 bits, which the reply repeats.
 * @returns 16 bytes.
 */
export function encodeConnect(transactionId: number): Bytes {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, PROTOCOL_ID);
  view.setUint32(8, ACTION.connect);
  view.setUint32(12, transactionId);
  return bytes;
}

/** Content of a UDP announce. */
export type UdpAnnounce = Omit<AnnounceRequest, "trackerId"> & {
  /** Path and query of the announce URL (BEP 41); empty for none. */
  readonly urlData: string;
};

/** Ids of a request to a UDP tracker. */
export interface UdpRequestIds {
  /** 8 bytes that the tracker sent in its connect reply. */
  readonly connectionId: Uint8Array;
  /** 32 bits, which the reply repeats. */
  readonly transactionId: number;
}

/**
 * Encodes an announce request.
 *
 * @param announce Content of the announce.
 * @param ids See {@linkcode UdpRequestIds}.
 * @returns 98 bytes and the options.
 */
export function encodeAnnounce(announce: UdpAnnounce, ids: UdpRequestIds): Bytes {
  const { infoHash, peerId, port, progress, event, numwant, key, urlData } = announce;
  const bytes = new Uint8Array(ANNOUNCE_LENGTH);
  const view = new DataView(bytes.buffer);
  bytes.set(ids.connectionId);
  view.setUint32(8, ACTION.announce);
  view.setUint32(12, ids.transactionId);
  bytes.set(infoHash.bytes, 16);
  bytes.set(peerId, 36);
  view.setBigInt64(56, int64(progress.downloaded));
  view.setBigInt64(64, int64(progress.left));
  view.setBigInt64(72, int64(progress.uploaded));
  view.setUint32(80, event === null ? 0 : EVENTS[event]);
  view.setUint32(84, 0); // 0: the tracker takes the source address
  view.setUint32(88, parseInt(key, 16));
  view.setInt32(92, numwant);
  view.setUint16(96, port);
  return concatBytes([bytes, encodeUrlData(urlData)]);
}

/** Converts to a non-negative integer that fits; `Infinity`, for unknown, becomes the largest one. */
function int64(value: number): bigint {
  return Number.isFinite(value) ? BigInt(Math.max(0, Math.trunc(value))) : MAX_INT64;
}

/** Encodes URL data. Text longer than 255 bytes takes several options, which the tracker joins. */
function encodeUrlData(urlData: string): Bytes {
  const bytes = utf8(urlData);
  if (bytes.length === 0) return bytes;
  const parts: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += MAX_OPTION_LENGTH) {
    const part = bytes.subarray(at, at + MAX_OPTION_LENGTH);
    parts.push(Uint8Array.of(OPTION.urlData, part.length), part);
  }
  return concatBytes([...parts, Uint8Array.of(OPTION.end)]);
}

/** Parts of a UDP tracker's announce URL. */
export interface UdpTrackerUrl {
  /** Name or literal address, without brackets. */
  readonly host: string;
  /** From 1 to 65535. */
  readonly port: number;
  /** Path and query, sent with each announce (BEP 41); may be empty. */
  readonly urlData: string;
}

/**
 * Parses the announce URL of a UDP tracker.
 *
 * @param url A `udp:` URL.
 * @returns Parts of the URL, or why it is unusable, in plain words.
 */
export function parseUdpUrl(url: string): UdpTrackerUrl | { readonly fault: string } {
  const parsed = URL.parse(url);
  if (parsed?.protocol !== "udp:" || parsed.hostname === "") return { fault: "not a valid URL" };
  const port = Number(parsed.port);
  if (port === 0) return { fault: "a UDP tracker needs a port in its URL" };
  const urlData = parsed.pathname + parsed.search;
  if (urlData.length > MAX_UDP_URL_DATA) return { fault: "the URL is too long for a UDP tracker" };
  return { host: parsed.hostname.replace(/^\[(.*)\]$/, "$1"), port, urlData };
}

/** The fields that all replies begin with. */
export interface UdpReplyHeader {
  /** One of {@linkcode ACTION}, or an invalid value. */
  readonly action: number;
  /** Transaction id of the request. */
  readonly transactionId: number;
}

/**
 * Parses the start of a reply.
 *
 * @returns The header, or `null` if the datagram is too short.
 */
export function parseReplyHeader(bytes: Uint8Array): UdpReplyHeader | null {
  if (bytes.length < 8) return null;
  const view = viewOf(bytes);
  return { action: view.getUint32(0), transactionId: view.getUint32(4) };
}

/**
 * Parses the reply to {@linkcode encodeConnect}.
 *
 * @param bytes A datagram with the right transaction id.
 * @returns The connection id, 8 bytes.
 * @throws {TrackerError} If it is not a connect reply, or an error.
 */
export function parseConnectReply(bytes: Uint8Array): Bytes {
  expectAction(bytes, { action: ACTION.connect, length: 16 });
  return bytes.slice(8, 8 + CONNECTION_ID_LENGTH);
}

/**
 * Parses the reply to {@linkcode encodeAnnounce}.
 *
 * @param bytes A datagram with the right transaction id.
 * @param family Address family over which it came: over IPv6, each peer has 18 bytes.
 * @throws {TrackerError} If it is not an announce reply, or an error.
 */
export function parseUdpAnnounceReply(bytes: Uint8Array, family: 4 | 6): AnnounceReply {
  expectAction(bytes, { action: ACTION.announce, length: 20 });
  const view = viewOf(bytes);
  const interval = view.getInt32(8);
  const count = (value: number) => value >= 0 ? value : null;
  const size = family === 4 ? 6 : 18;
  const peers = parseCompactPeers(bytes.subarray(20, 20 + size * MAX_TRACKER_PEERS), family);
  return {
    interval: interval > 0 ? interval * 1000 : null,
    minInterval: null,
    trackerId: null,
    seeders: count(view.getInt32(16)),
    leechers: count(view.getInt32(12)),
    externalIp: null,
    peers: [...new Map(peers.map((peer) => [`${peer.host} ${peer.port}`, peer])).values()],
    warning: "",
  };
}

function expectAction(bytes: Uint8Array, expected: { readonly action: number; readonly length: number }): void {
  const action = parseReplyHeader(bytes)?.action;
  if (action === ACTION.error) {
    throw new TrackerError(printableMessage(fromUtf8Lossy(bytes.subarray(8))) || "no reason given");
  }
  if (action !== expected.action) throw new TrackerError("the answer is not that of a tracker");
  if (bytes.length < expected.length) {
    throw new TrackerError(`the answer is cut short: ${plural(bytes.length, "byte")} instead of ${expected.length}`);
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
