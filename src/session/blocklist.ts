/**
 * Parses IP blocklists in the formats in which they are published.
 *
 * @module
 */

import { parseIp as parse } from "npm:ip-bigint@10.0.0";
import type { Bytes } from "../base/bytes.ts";
import { messageOf, ShoalError } from "../base/errors.ts";
import { type Ip4Range, type Ip6Range, IpRanges } from "../base/ip_ranges.ts";
import { MAX_BLOCKLIST, MAX_BLOCKLIST_RANGES } from "../base/defences.ts";
import { FileError } from "../platform/file_errors.ts";
import { gunzip, isGzip } from "../platform/gunzip.ts";
import type { FileSystem } from "../platform/platform.ts";

/** eMule `.dat` entries with an access level up to this are blocked; entries above it are allowed. */
const MAX_BLOCKED_ACCESS = 127;
/** The IPv4-mapped IPv6 range `::ffff:0:0/96`. */
const MAPPED = 0xffffn << 32n;
const MAPPED_LAST = MAPPED | 0xffff_ffffn;
/** Characters of the longest address: an IPv6 address that ends in a dotted quad. */
const MAX_ADDRESS_LENGTH = 45;
const MAYBE_ADDRESS = /^[\da-fA-F:.]+$/;
/** Matches a dotted quad that has numbers with leading zeros. */
const PADDED = /^(?=[\d.]*$)(?:\d+\.)*0\d/;
const PADDING = /\b0+(?=\d)/g;

/** A parsed blocklist. */
export interface Blocklist {
  /** Blocked addresses. */
  readonly ranges: IpRanges;
  /** Number of lines that could not be parsed. */
  readonly bad: number;
  /** Number of the first line that could not be parsed, counted from 1; 0 if there is none. */
  readonly firstBad: number;
}

interface Address {
  readonly version: 4 | 6;
  readonly number: bigint;
}

interface Range {
  readonly first: Address;
  readonly last: Address;
}

/**
 * Parses a blocklist. Lines may be PeerGuardian P2P text (`name:1.2.3.4-1.2.3.9`), eMule `.dat` (`1.2.3.4 - 1.2.3.9 ,
 * 100 , name`), networks (`192.0.2.0/24`, `2001:db8::/32`), ranges or single addresses, in any mix. Text after `#` or
 * `;` is a comment, and so is a line that begins with `//`. In P2P text with IPv6 addresses, names can't contain a
 * colon.
 *
 * @param source Name of the list in error messages.
 * @returns The blocked ranges, and the lines that could not be parsed.
 * @throws {ShoalError} Of kind `usage` if the list has no addresses to block, or more than `MAX_BLOCKLIST_RANGES`
 * ranges.
 */
export function parseBlocklist(text: string, source: string): Blocklist {
  const v4: Ip4Range[] = [];
  const v6: Ip6Range[] = [];
  let bad = 0;
  let firstBad = 0;
  let number = 0;
  for (let at = 0; at < text.length;) {
    const end = text.indexOf("\n", at);
    const line = text.slice(at, end < 0 ? text.length : end).trim();
    at = end < 0 ? text.length : end + 1;
    number++;
    if (line === "" || line.startsWith("#") || line.startsWith(";") || line.startsWith("//")) continue;
    const range = rangeIn(line) ?? rangeIn(line.replace(/\s*[#;].*$/, ""));
    if (range === null) {
      bad++;
      firstBad ||= number;
    } else if (range !== "allowed") {
      take(range, { v4, v6 });
    }
    if (v4.length + v6.length > MAX_BLOCKLIST_RANGES) {
      throw unusable(source, `it has more than ${MAX_BLOCKLIST_RANGES} ranges of addresses`);
    }
  }
  if (v4.length + v6.length > 0) return { ranges: new IpRanges(v4, v6), bad, firstBad };
  throw unusable(
    source,
    `it names no addresses to block: expected lines like name:192.0.2.1-192.0.2.9 or 192.0.2.0/24`,
  );
}

/**
 * Reads a blocklist from a file, which may be compressed with gzip.
 *
 * @returns The blocked ranges, and the lines that could not be parsed.
 * @throws {ShoalError} Of kind `usage` if the file doesn't exist, can't be unpacked, or {@linkcode parseBlocklist}
 * refuses it; of kind `storage` if the file can't be read.
 */
export async function readBlocklist(path: string, files: Pick<FileSystem, "readFile">): Promise<Blocklist> {
  const bytes = await read(path, files);
  // Names may be in any encoding and addresses are ASCII. Latin-1 decodes every byte.
  return parseBlocklist(new TextDecoder("latin1").decode(withoutMark(bytes)), path);
}

async function read(path: string, files: Pick<FileSystem, "readFile">): Promise<Bytes> {
  let bytes: Bytes;
  try {
    bytes = await files.readFile(path, MAX_BLOCKLIST);
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    if (error.fault === "missing" || error.fault === "not-a-folder") throw unusable(path, "there is no such file");
    if (error.fault === "is-a-folder") throw unusable(path, "it is a folder");
    if (error.fault === "too-large") throw unusable(path, TOO_LARGE);
    throw new ShoalError("storage", { what: "cannot read the blocklist", where: path, why: error.why, cause: error });
  }
  if (!isGzip(bytes)) return bytes;
  const unpacked = await gunzip(bytes, MAX_BLOCKLIST).catch((error) => {
    throw unusable(path, `it can't be unpacked: ${messageOf(error)}`);
  });
  if (unpacked === null) throw unusable(path, TOO_LARGE);
  return unpacked;
}

const TOO_LARGE = `it is larger than ${MAX_BLOCKLIST} bytes`;

function unusable(where: string, why: string): ShoalError {
  return new ShoalError("usage", { what: "cannot use the blocklist", where, why });
}

/** Removes the UTF-8 byte order mark that some editors write. */
function withoutMark(bytes: Bytes): Bytes {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? bytes.subarray(3) : bytes;
}

/** Returns the range that a line blocks, `"allowed"` if it allows its range, or `null` if it is invalid. */
function rangeIn(line: string): Range | "allowed" | null {
  const comma = line.indexOf(",");
  const listed = comma < 0 ? null : between(line.slice(0, comma), { named: false });
  if (listed) return Number.parseInt(line.slice(comma + 1), 10) > MAX_BLOCKED_ACCESS ? "allowed" : listed;
  return between(line, { named: true }) ?? network(line);
}

/** Parses `a-b`, or `name:a-b` if `named`. The name may contain dashes, and colons unless the addresses are IPv6. */
function between(text: string, { named }: { readonly named: boolean }): Range | null {
  const dash = text.lastIndexOf("-");
  const last = dash < 0 ? null : address(text.slice(dash + 1));
  if (last === null) return null;
  const left = text.slice(0, dash);
  const first = address(left);
  if (first !== null || !named) return rangeOf(first, last);
  const colon = last.version === 4 ? left.lastIndexOf(":") : left.indexOf(":");
  return colon < 0 ? null : rangeOf(address(left.slice(colon + 1)), last);
}

/** Parses `a/bits` or `a`. */
function network(text: string): Range | null {
  const slash = text.indexOf("/");
  const base = address(slash < 0 ? text : text.slice(0, slash));
  if (base === null) return null;
  if (slash < 0) return { first: base, last: base };
  const width = base.version === 4 ? 32 : 128;
  const bits = /^\d{1,3}$/.test(text.slice(slash + 1)) ? Number(text.slice(slash + 1)) : Infinity;
  if (bits > width) return null;
  const hosts = (1n << BigInt(width - bits)) - 1n;
  return { first: { ...base, number: base.number & ~hosts }, last: { ...base, number: base.number | hosts } };
}

function rangeOf(first: Address | null, last: Address | null): Range | null {
  if (first === null || last === null || first.version !== last.version) return null;
  return first.number <= last.number ? { first, last } : null;
}

function address(text: string): Address | null {
  const trimmed = text.trim();
  // The library throws on bad input, which is slow; this check rejects most bad input first.
  if (trimmed.length > MAX_ADDRESS_LENGTH || !MAYBE_ADDRESS.test(trimmed)) return null;
  try {
    // eMule pads numbers with zeros, which the library reads as octal and refuses.
    return parse(PADDED.test(trimmed) ? trimmed.replaceAll(PADDING, "") : trimmed);
  } catch {
    return null;
  }
}

function take({ first, last }: Range, { v4, v6 }: { readonly v4: Ip4Range[]; readonly v6: Ip6Range[] }): void {
  if (first.version === 4) {
    v4.push({ first: Number(first.number), last: Number(last.number) });
  } else if (first.number >= MAPPED && last.number <= MAPPED_LAST) {
    v4.push({ first: Number(first.number - MAPPED), last: Number(last.number - MAPPED) });
  } else {
    v6.push({ first: first.number, last: last.number });
  }
}
