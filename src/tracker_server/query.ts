/**
 * Parses the queries of announce and scrape URLs. `URLSearchParams` can't be used, because it decodes values as UTF-8
 * and an info-hash is binary.
 *
 * @module
 */

import type { PeerAddress } from "../base/address.ts";
import { type Bytes, fromUtf8, utf8 } from "../base/bytes.ts";
import { InfoHash } from "../base/info_hash.ts";
import type { AnnounceQuery } from "./swarm_store.ts";
import { Trust } from "./address_trust.ts";

/** A parsed query, or why it is refused. */
export type Parsed<T> = { readonly query: T } | { readonly refusal: string };

/** An announce, and the form in which the reply is wanted. */
export interface AnnounceForm extends AnnounceQuery {
  /** `true` if peers are returned in compact form (BEP 23). */
  readonly compact: boolean;
  /** `true` if peer ids are omitted from the long form. */
  readonly withoutPeerIds: boolean;
}

/** Maximum length of a query, far more than an announce needs; a scrape of 64 torrents fits. */
const MAX_QUERY = 8192;
/** Maximum number of parameters, far more than an announce needs; a scrape of 64 torrents fits. */
const MAX_PARAMETERS = 100;
const MAX_SCRAPE = 64;
const PEER_ID_LENGTH = 20;
const NOBODY = new Trust();

/**
 * Splits a query into parameters, and decodes the values to bytes.
 *
 * @param query Text after the `?`.
 * @returns All values of each key, in order. Parameters after the first 100 are ignored.
 */
export function parseQuery(query: string): Map<string, Bytes[]> {
  const parameters = new Map<string, Bytes[]>();
  for (const pair of query.split("&", MAX_PARAMETERS)) {
    if (pair === "") continue;
    const equals = pair.indexOf("=");
    const key = equals < 0 ? pair : pair.slice(0, equals);
    const value = percentDecode(equals < 0 ? "" : pair.slice(equals + 1));
    const values = parameters.get(key);
    if (values) values.push(value);
    else parameters.set(key, [value]);
  }
  return parameters;
}

/**
 * Parses an announce.
 *
 * @param query Text after the `?`.
 * @param from Address of the client.
 * @param trust Clients that may name another address than their own; none when absent.
 * @returns The announce, or why it is refused.
 */
export function parseAnnounceQuery(query: string, from: PeerAddress, trust = NOBODY): Parsed<AnnounceForm> {
  if (query.length > MAX_QUERY) return { refusal: "the request is too long" };
  const parameters = parseQuery(query);
  const bytes = (key: string) => parameters.get(key)?.[0];
  const text = (key: string) => fromUtf8(bytes(key) ?? utf8("")) ?? "";
  const infoHash = bytes("info_hash");
  if (infoHash?.length !== InfoHash.LENGTH) return { refusal: "info_hash must have 20 bytes" };
  const peerId = bytes("peer_id");
  if (peerId?.length !== PEER_ID_LENGTH) return { refusal: "peer_id must have 20 bytes" };
  const port = parseCount(text("port"));
  if (port === null || port < 1 || port > 65535) return { refusal: "port must be 1 to 65535" };
  const left = parseCount(text("left"));
  if (left === null && text("left") !== "") return { refusal: "left must be a number of bytes" };
  return {
    query: {
      infoHash: new InfoHash(infoHash),
      peerId,
      address: { host: trust.hostOf(from.host, text("ip")), port },
      left: left ?? Infinity, // a magnet client doesn't know yet
      event: text("event"),
      numwant: parseCount(text("numwant")),
      compact: text("compact") !== "0",
      withoutPeerIds: text("no_peer_id") === "1",
    },
  };
}

/**
 * Parses a scrape.
 *
 * @param query Text after the `?`.
 * @returns Info-hashes of the requested torrents, or why the scrape is refused.
 */
export function parseScrapeQuery(query: string): Parsed<InfoHash[]> {
  if (query.length > MAX_QUERY) return { refusal: "the request is too long" };
  const hashes = parseQuery(query).get("info_hash") ?? [];
  if (hashes.length === 0) return { refusal: "info_hash is missing; this tracker does not list all its torrents" };
  if (hashes.length > MAX_SCRAPE) return { refusal: `at most ${MAX_SCRAPE} torrents can be asked for at once` };
  if (hashes.some((hash) => hash.length !== InfoHash.LENGTH)) return { refusal: "info_hash must have 20 bytes" };
  return { query: hashes.map((hash) => new InfoHash(hash)) };
}

function parseCount(text: string): number | null {
  return /^\d{1,19}$/.test(text) ? Number(text) : null;
}

function percentDecode(text: string): Bytes {
  const source = utf8(text);
  const out = new Uint8Array(source.length);
  let length = 0;
  for (let at = 0; at < source.length; at++) {
    let byte = source[at]!;
    if (byte === PLUS) byte = SPACE;
    else if (byte === PERCENT) {
      const high = hexDigit(source[at + 1]);
      const low = hexDigit(source[at + 2]);
      if (high >= 0 && low >= 0) {
        byte = high * 16 + low;
        at += 2;
      }
    }
    out[length++] = byte;
  }
  return out.subarray(0, length);
}

/** Returns the value of a hex digit, or -1. */
function hexDigit(byte: number | undefined): number {
  if (byte === undefined) return -1;
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

const PERCENT = 0x25;
const PLUS = 0x2b;
const SPACE = 0x20;
