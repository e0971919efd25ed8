/**
 * Magnet links (BEP 9, BEP 53) and bare info-hashes.
 *
 * @module
 */

import { decodeBase32 } from "npm:deno-std@1.4.0/encoding/base32.js";
import { formatAddress, type HostPort, parseHostPort } from "../base/address.ts";
import { fromHex } from "../base/bytes.ts";
import { ShoalError } from "../base/errors.ts";
import { InfoHash, InfoHashV2 } from "../base/info_hash.ts";
import { topicsOf } from "./metainfo.ts";
import { MAX_SOURCES } from "./sources.ts";

/** A parsed magnet link. */
export interface Magnet {
  /**
   * What names the torrent in handshakes, in the DHT and with trackers: the v1 info-hash, or the truncated v2 info-hash if
   * the link has only that one.
   */
  readonly infoHash: InfoHash;
  /** v1 info-hash (`btih`), or `null`. */
  readonly infoHashV1: InfoHash | null;
  /** v2 info-hash (`btmh`, BEP 52), or `null`. A link with both is one of a hybrid torrent. */
  readonly infoHashV2: InfoHashV2 | null;
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
 * @param text `magnet:?xt=urn:btih:...` or `magnet:?xt=urn:btmh:1220...`, or an info-hash as {@linkcode isInfoHash}
 * describes it. Parameters may be numbered (`tr.1`). Unknown parameters and invalid trackers, web seeds and peers are
 * ignored.
 * @returns The magnet link.
 * @throws {ShoalError} Of kind `torrent`, if the link names no torrent or more than one.
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
  const v1 = parseInfoHash(text);
  if (v1 !== null) return { ...EMPTY, infoHash: v1, infoHashV1: v1, infoHashV2: null };
  const v2 = parseInfoHashV2(text);
  if (v2 !== null) return { ...EMPTY, infoHash: v2.truncated, infoHashV1: null, infoHashV2: v2 };
  const parameters = readParameters(text);
  if (parameters === null) return fail(wrongInfoHash(text) ?? 'expected "magnet:?"');
  return {
    ...readTopics(parameters.get("xt") ?? [], fail),
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
  let link = `magnet:?${topicsOf(magnet).join("&")}`;
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

/**
 * Returns `true` if a text is an info-hash: of v1 as 40 hexadecimal digits or 32 base32 characters; of v2 (BEP 52) as 64
 * hexadecimal digits or 52 base32 characters, or as a multihash, which is the same with `1220` before the digits.
 */
export function isInfoHash(text: string): boolean {
  return parseInfoHash(text) !== null || parseInfoHashV2(text) !== null;
}

/** Hexadecimal digits that are too many for a word and too few or too many for an info-hash. */
const DIGITS = /^[0-9a-f]{32,}$/i;

/** Returns why a text that consists of hexadecimal digits is no info-hash; `null` if it is one, or is another text. */
export function wrongInfoHash(text: string): string | null {
  if (!DIGITS.test(text) || isInfoHash(text)) return null;
  return `an info-hash has 40 hexadecimal digits, or 64 of a v2 torrent, not ${text.length}`;
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

/** Code and length of a SHA-256 digest, which a v2 info-hash begins with as a multihash (BEP 52). */
const SHA256 = "1220";
/** Length of a v2 info-hash as a multihash in hexadecimal digits. */
const MULTIHASH_DIGITS = SHA256.length + 2 * InfoHashV2.LENGTH;

function readTopics(
  topics: readonly string[],
  fail: (why: string, hint?: string) => never,
): Pick<Magnet, "infoHash" | "infoHashV1" | "infoHashV2"> {
  const v1 = new Map<string, InfoHash>();
  const v2 = new Map<string, InfoHashV2>();
  for (const topic of topics) {
    const [, kind, text] = /^urn:(btih|btmh):(.*)$/i.exec(topic) ?? [];
    if (kind === undefined || text === undefined) continue;
    if (kind.toLowerCase() === "btih") {
      const infoHash = parseInfoHash(text) ??
        fail(`"${text}" is no info-hash: it has neither 40 hexadecimal digits nor 32 base32 characters`);
      v1.set(infoHash.hex, infoHash);
    } else if (text.startsWith(SHA256)) { // Links with other digests name no torrent that anyone can verify.
      const infoHash = text.length === MULTIHASH_DIGITS ? parseInfoHashV2(text) : null;
      if (infoHash === null) return fail(`"${text}" is no v2 info-hash: it is not "1220" and 64 hexadecimal digits`);
      v2.set(infoHash.hex, infoHash);
    }
  }
  const [infoHashV1 = null] = v1.values();
  const [infoHashV2 = null] = v2.values();
  if (v1.size > 1 || v2.size > 1) return fail("it names more than one torrent");
  const infoHash = infoHashV1 ?? infoHashV2?.truncated ??
    fail("it names no torrent", 'a link to a torrent has "xt=urn:btih:" and the info-hash in it');
  return { infoHash, infoHashV1, infoHashV2 };
}

/** Parses 40 hexadecimal digits or 32 base32 characters. Returns `null` for any other text. */
function parseInfoHash(text: string): InfoHash | null {
  const bytes = text.length === 40 ? fromHex(text) : null;
  if (bytes !== null) return new InfoHash(bytes);
  if (/^[a-z2-7]{32}$/i.test(text)) return new InfoHash(decodeBase32(text.toUpperCase()));
  return null;
}

/** Parses a v2 info-hash as {@linkcode isInfoHash} describes it. Returns `null` for any other text. */
function parseInfoHashV2(text: string): InfoHashV2 | null {
  const digits = text.length === MULTIHASH_DIGITS && text.startsWith(SHA256) ? text.slice(SHA256.length) : text;
  const bytes = digits.length === 2 * InfoHashV2.LENGTH
    ? fromHex(digits)
    : /^[a-z2-7]{52}$/i.test(text)
    ? decodeBase32(`${text.toUpperCase()}====`)
    : null;
  return bytes === null ? null : new InfoHashV2(bytes);
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
