/**
 * Large sets of addresses, such as a blocklist.
 *
 * @module
 */

import { parseIp } from "./address.ts";

/** IPv4 addresses from `first` to `last`, both included, as 32-bit numbers. */
export interface Ip4Range {
  readonly first: number;
  readonly last: number;
}

/** IPv6 addresses from `first` to `last`, both included, as 128-bit numbers. */
export interface Ip6Range {
  readonly first: bigint;
  readonly last: bigint;
}

/** A set of address ranges. Half a million ranges take 4 MB (IPv6: 16 MB), and a lookup takes a microsecond. */
export class IpRanges {
  readonly #v4: Table;
  readonly #v6: Table;

  /**
   * Makes a set of ranges.
   *
   * @param v4 Ranges of IPv4 addresses, in any order. Ranges may overlap.
   * @param v6 Ranges of IPv6 addresses, likewise.
   */
  constructor(v4: readonly Ip4Range[], v6: readonly Ip6Range[]) {
    this.#v4 = new Table(merged(v4), { words: 1 });
    this.#v6 = new Table(merged(v6), { words: 4 });
  }

  /** Number of ranges after overlapping ones are merged. */
  get size(): number {
    return this.#v4.size + this.#v6.size;
  }

  /**
   * Returns `true` if an address is in one of the ranges.
   *
   * @param host Literal address in its canonical form, IPv6 with or without a zone. Any other text is in no range.
   */
  has(host: string): boolean {
    const bytes = parseIp(host.split("%", 1)[0]!);
    if (bytes === null) return false;
    return bytes.length === 4 ? this.#v4.has(bytes) : this.#v6.has(bytes);
  }
}

/** Ranges of one family, sorted and without overlaps. An address is one word of 32 bits, or four. */
class Table {
  readonly size: number;
  readonly #words: number;
  readonly #firsts: Uint32Array;
  readonly #lasts: Uint32Array;

  constructor(
    ranges: readonly { readonly first: number | bigint; readonly last: number | bigint }[],
    options: { readonly words: 1 | 4 },
  ) {
    const { words } = options;
    this.size = ranges.length;
    this.#words = words;
    this.#firsts = new Uint32Array(words * ranges.length);
    this.#lasts = new Uint32Array(words * ranges.length);
    for (const [i, { first, last }] of ranges.entries()) {
      write(first, this.#firsts, words * i);
      write(last, this.#lasts, words * i);
    }
  }

  has(address: Uint8Array): boolean {
    // Binary search for the number of ranges that begin at or before the address. Only the last of them can contain it.
    let low = 0;
    let high = this.size;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#compare(this.#firsts, middle, address) <= 0) low = middle + 1;
      else high = middle;
    }
    return low > 0 && this.#compare(this.#lasts, low - 1, address) >= 0;
  }

  /** Returns a number below 0 if the entry comes before the address, and 0 if they are equal. */
  #compare(table: Uint32Array, entry: number, address: Uint8Array): number {
    for (let word = 0; word < this.#words; word++) {
      const at = 4 * word;
      const theirs = (address[at]! << 24 | address[at + 1]! << 16 | address[at + 2]! << 8 | address[at + 3]!) >>> 0;
      const difference = table[entry * this.#words + word]! - theirs;
      if (difference !== 0) return difference;
    }
    return 0;
  }
}

function merged<T extends Ip4Range | Ip6Range>(ranges: readonly T[]): T[] {
  // Most lists are sorted already.
  const isSorted = ranges.every(({ first }, i) => i === 0 || first >= ranges[i - 1]!.first);
  const sorted = isSorted ? ranges : [...ranges].sort((a, b) => a.first < b.first ? -1 : a.first > b.first ? 1 : 0);
  const result: T[] = [];
  for (const range of sorted) {
    const before = result.at(-1);
    if (before === undefined || range.first > before.last) result.push(range);
    else if (range.last > before.last) result[result.length - 1] = { ...before, last: range.last };
  }
  return result;
}

function write(address: number | bigint, into: Uint32Array, at: number): void {
  if (typeof address === "number") into[at] = address;
  else for (let word = 0; word < 4; word++) into[at + word] = Number(address >> BigInt(96 - 32 * word) & 0xffff_ffffn);
}

/**
 * Parses a list of addresses and networks.
 *
 * @param text Such as `127.0.0.1, 10.0.0.0/8, 2001:db8::/32`, separated by commas or spaces.
 * @returns The networks, or the first part that is neither an address nor a network.
 */
export function parseNetworks(text: string): { readonly networks: IpRanges } | { readonly bad: string } {
  const v4: Ip4Range[] = [];
  const v6: Ip6Range[] = [];
  const parts = text.split(/[\s,]+/).filter((part) => part !== "");
  for (const part of parts) {
    const match = /^\[?([^/[\]]+)\]?(?:\/(\d{1,3}))?$/.exec(part);
    const whole = match === null ? null : parseIp(match[1]!);
    if (whole === null) return { bad: part };
    const bits = match?.[2] === undefined ? 8 * whole.length : Number(match[2]);
    if (bits > 8 * whole.length) return { bad: part };
    // A dual-stack socket reports IPv4 clients by their IPv4 address.
    const mapped = whole.length === 16 && bits >= 96 && isMapped(whole);
    const bytes = mapped ? whole.subarray(12) : whole;
    const number = bytes.reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);
    const hosts = (1n << BigInt(8 * whole.length - bits)) - 1n;
    const [first, last] = [number & ~hosts, number | hosts];
    if (bytes.length === 4) v4.push({ first: Number(first), last: Number(last) });
    else v6.push({ first, last });
  }
  return parts.length === 0 ? { bad: text } : { networks: new IpRanges(v4, v6) };
}

function isMapped(ip: Uint8Array): boolean {
  return ip.subarray(0, 12).every((byte, i) => byte === (i < 10 ? 0 : 0xff));
}
