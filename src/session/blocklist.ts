/**
 * Lists of addresses that nobody wants to have to do with, in the forms in which they are passed round.
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

/** Highest level of access in a line of eMule's at which its addresses are blocked; above it they are let in. */
const MAX_BLOCKED_ACCESS = 127;
/** IPv4 addresses as IPv6 ones: `::ffff:0:0/96`. */
const MAPPED = 0xffffn << 32n;
const MAPPED_LAST = MAPPED | 0xffff_ffffn;
/** Characters of the longest address, all of IPv6's groups and a dotted quad. */
const MAX_ADDRESS_LENGTH = 45;
const MAYBE_ADDRESS = /^[\da-fA-F:.]+$/;
/** A dotted quad with zeros in front of its figures. */
const PADDED = /^(?=[\d.]*$)(?:\d+\.)*0\d/;
const PADDING = /\b0+(?=\d)/g;

/** A blocklist. */
export interface Blocklist {
  /** Whom it blocks. */
  readonly ranges: IpRanges;
  /** Lines that make no sense. */
  readonly bad: number;
  /** The first of those, counted from 1; 0 when there is none. */
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
 * Reads a blocklist: lines of PeerGuardian's P2P text (`name:1.2.3.4-1.2.3.9`), of eMule's `.dat`
 * (`1.2.3.4 - 1.2.3.9 , 100 , name`), networks (`192.0.2.0/24`, `2001:db8::/32`), ranges and single addresses, mixed as they
 * come. What follows `#` or `;` is a comment, and so is a line that begins with `//`. In P2P text with IPv6 addresses, names hold no
 * colon.
 *
 * @param text The list.
 * @param source What it is called in errors.
 * @returns The addresses.
 * @throws {ShoalError} Of kind `usage` if it names no addresses, or too many.
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
 * Reads a blocklist from a file, which may be packed with gzip.
 *
 * @param path Where it is.
 * @param files The files.
 * @returns The addresses.
 * @throws {ShoalError} Of kind `usage` if there is no such file, it can't be unpacked, or {@linkcode parseBlocklist} can't use
 * it; of kind `storage` if it can't be read.
 */
export async function readBlocklist(path: string, files: Pick<FileSystem, "readFile">): Promise<Blocklist> {
  const bytes = await read(path, files);
  // Names may be in any encoding, addresses are in ASCII; and this one maps every byte.
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

/** Without the mark that some editors put in front of UTF-8. */
function withoutMark(bytes: Bytes): Bytes {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? bytes.subarray(3) : bytes;
}

/** What a line blocks; `"allowed"` if it is there to let somebody in. */
function rangeIn(line: string): Range | "allowed" | null {
  const comma = line.indexOf(",");
  const listed = comma < 0 ? null : between(line.slice(0, comma), { named: false });
  if (listed) return Number.parseInt(line.slice(comma + 1), 10) > MAX_BLOCKED_ACCESS ? "allowed" : listed;
  return between(line, { named: true }) ?? network(line);
}

/** `a-b` or, if it may be `named`, `name:a-b`; the name may hold dashes, and colons unless the addresses do. */
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

/** `a/bits` or `a` */
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
  // The library throws, which takes its time; most of what is no address can be told at a glance.
  if (trimmed.length > MAX_ADDRESS_LENGTH || !MAYBE_ADDRESS.test(trimmed)) return null;
  try {
    // eMule fills figures up with zeros, which the library takes for octal ones and refuses.
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
