/**
 * Magnet links (BEP 9, BEP 53) and bare info-hashes.
 *
 * @module
 */

import { decodeBase32 } from "npm:deno-std@1.4.0/encoding/base32.js";
import { formatAddress, type HostPort, parseHostPort } from "../base/address.ts";
import { fromHex } from "../base/bytes.ts";
import { ShoalError } from "../base/errors.ts";
import { InfoHash } from "../base/info_hash.ts";
import { MAX_SOURCES } from "./sources.ts";

/** A parsed magnet link. */
export interface Magnet {
  /** Info-hash of the torrent. */
  readonly infoHash: InfoHash;
  /** Display name (`dn`), or `null`. Untrusted text that may contain control characters. */
  readonly displayName: string | null;
  /** Announce URLs (`tr`), each a tier of its own. */
  readonly trackers: readonly (readonly string[])[];
  /** URLs of web seeds (`ws`). */
  readonly webSeeds: readonly string[];
  /** HTTP URLs of the torrent file (`xs`, `as`). */
  readonly exactSources: readonly string[];
  /** Peers (`x.pe`), some perhaps by host name. */
  readonly peers: readonly HostPort[];
  /** Files to download (`so`, BEP 53) as written in the link, such as `0,2,4-6`; `null` for all files. */
  readonly selectOnly: string | null;
}

/** Maximum length of a link in characters: room for a few hundred trackers. */
const MAX_LINK = 256 * 1024;

/**
 * Parses a magnet link or a bare info-hash.
 *
 * @param text `magnet:?xt=urn:btih:...`, 40 hexadecimal digits, or 32 base32 characters. Parameters may be numbered
 * (`tr.1`). Unknown parameters and invalid trackers, web seeds and peers are ignored.
 * @returns The magnet link.
 * @throws {ShoalError} Of kind `torrent`, if the link names no v1 torrent or more than one.
 *
 * @example
 * ```ts
 * parseMagnet("magnet:?xt=urn:btih:c12fe1c06bba254a9dc9f519b335aa7c1367a88a&dn=x").displayName; // "x"
 * ```
 */
export function parseMagnet(text: string): Magnet {
  const fail = (why: string, hint?: string): never => {
    const where = text.length > 80 ? `${text.slice(0, 77)}...` : text;
    throw new ShoalError("torrent", { what: "not a magnet link", where, why, ...(hint !== undefined && { hint }) });
  };
  if (text.length > MAX_LINK) return fail(`it has ${text.length} characters, at most ${MAX_LINK} are accepted`);
  const bare = parseInfoHash(text);
  if (bare !== null) return { ...EMPTY, infoHash: bare };
  const parameters = readParameters(text);
  if (parameters === null) return fail('expected "magnet:?"');
  const infoHash = readTopic(parameters.get("xt") ?? [], fail);
  return {
    infoHash,
    displayName: parameters.get("dn")?.[0]?.trim() || null,
    trackers: urlsOf(parameters.get("tr"), /^[a-z][a-z0-9+.-]*:\/\/./i).map((url) => [url]),
    webSeeds: urlsOf(parameters.get("ws"), /^https?:\/\/./i),
    exactSources: urlsOf([...parameters.get("xs") ?? [], ...parameters.get("as") ?? []], /^https?:\/\/./i),
    peers: peersOf(parameters.get("x.pe")),
    selectOnly: parameters.get("so")?.find((value) => value !== "") ?? null,
  };
}

/**
 * Formats a magnet link so that {@linkcode parseMagnet} reads the same values. Trackers and web seeds past the maximum
 * length are left out.
 *
 * @returns A `magnet:` URI.
 */
export function formatMagnet(magnet: Magnet): string {
  let link = `magnet:?xt=urn:btih:${magnet.infoHash.hex}`;
  const add = (name: string, values: readonly string[]): void => {
    for (const value of values) {
      const parameter = `&${name}=${encodeURIComponent(value)}`;
      if (link.length + parameter.length <= MAX_LINK) link += parameter;
    }
  };
  add("so", magnet.selectOnly === null ? [] : [magnet.selectOnly]);
  add("dn", magnet.displayName === null ? [] : [magnet.displayName]);
  add("x.pe", magnet.peers.map(formatAddress));
  add("xs", magnet.exactSources);
  add("tr", magnet.trackers.flat());
  add("ws", magnet.webSeeds);
  return link;
}

const EMPTY = { displayName: null, trackers: [], webSeeds: [], exactSources: [], peers: [], selectOnly: null };

/** Groups the parameters by name. Some links number repeated parameters; the numbers are removed. */
function readParameters(text: string): Map<string, string[]> | null {
  const query = /^magnet:\?(.*)$/is.exec(text.trim())?.[1];
  if (query === undefined) return null;
  const parameters = new Map<string, string[]>();
  for (const [key, value] of new URLSearchParams(query)) {
    const name = key.toLowerCase().replace(/\.\d+$/, "");
    const values = parameters.get(name) ?? [];
    if (values.length < MAX_SOURCES) values.push(value);
    parameters.set(name, values);
  }
  return parameters;
}

function readTopic(topics: readonly string[], fail: (why: string, hint?: string) => never): InfoHash {
  const found = new Map<string, InfoHash>();
  let isV2 = false;
  for (const topic of topics) {
    const btih = /^urn:btih:(.*)$/i.exec(topic)?.[1];
    isV2 ||= /^urn:btmh:/i.test(topic);
    if (btih === undefined) continue;
    const infoHash = parseInfoHash(btih) ??
      fail(`"${btih}" is no info-hash: it has neither 40 hexadecimal digits nor 32 base32 characters`);
    found.set(infoHash.hex, infoHash);
  }
  const [first, second] = found.values();
  if (second) return fail("it names more than one torrent");
  if (first) return first;
  if (isV2) return fail("it names a torrent of version 2 only (BEP 52), and v2 is not supported yet");
  return fail("it names no torrent", 'a link to a torrent has "xt=urn:btih:" and the info-hash in it');
}

/** Parses 40 hexadecimal digits or 32 base32 characters. Returns `null` for any other text. */
function parseInfoHash(text: string): InfoHash | null {
  const bytes = text.length === 40 ? fromHex(text) : null;
  if (bytes !== null) return new InfoHash(bytes);
  if (/^[a-z2-7]{32}$/i.test(text)) return new InfoHash(decodeBase32(text.toUpperCase()));
  return null;
}

function urlsOf(values: readonly string[] | undefined, shape: RegExp): string[] {
  const urls = (values ?? []).map((value) => value.trim()).filter((value) => shape.test(value) && URL.canParse(value));
  return [...new Set(urls)];
}

function peersOf(values: readonly string[] | undefined): HostPort[] {
  return (values ?? []).flatMap((value) => {
    const peer = parseHostPort(value);
    return peer === null ? [] : [peer];
  });
}
