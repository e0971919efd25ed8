/**
 * Large sets of addresses, such as a blocklist.
 *
 * @module
 */

import { parseIp } from "./address.ts";

/** Addresses from the first to the last, both included, as numbers of 32 bits. */
export interface Ip4Range {
  readonly first: number;
  readonly last: number;
}

/** Addresses from the first to the last, both included, as numbers of 128 bits. */
export interface Ip6Range {
  readonly first: bigint;
  readonly last: bigint;
}

/** Addresses in ranges: half a million of them take 4 MB (IPv6: 16 MB), and a look-up a microsecond. */
export class IpRanges {
  readonly #v4: Table;
  readonly #v6: Table;

  /**
   * Makes a set.
   *
   * @param v4 Ranges of IPv4 addresses, in any order; they may overlap.
   * @param v6 Ranges of IPv6 addresses.
   */
  constructor(v4: readonly Ip4Range[], v6: readonly Ip6Range[]) {
    this.#v4 = new Table(merged(v4), { words: 1 });
    this.#v6 = new Table(merged(v6), { words: 4 });
  }

  /** How many ranges there are, those that overlap taken as one. */
  get size(): number {
    return this.#v4.size + this.#v6.size;
  }

  /**
   * Whether an address is in one of the ranges.
   *
   * @param host A literal address in its canonical form, IPv6 with or without a zone; anything else is in none.
   */
  has(host: string): boolean {
    const bytes = parseIp(host.split("%", 1)[0]!);
    if (bytes === null) return false;
    return bytes.length === 4 ? this.#v4.has(bytes) : this.#v6.has(bytes);
  }
}

/** Ranges of one family, sorted, none touching another's addresses. An address is one word of 32 bits, or four. */
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
    // How many ranges begin at the address or before it; the last of those is the only one that can hold it.
    let low = 0;
    let high = this.size;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#compare(this.#firsts, middle, address) <= 0) low = middle + 1;
      else high = middle;
    }
    return low > 0 && this.#compare(this.#lasts, low - 1, address) >= 0;
  }

  /** Below 0 if the entry comes before the address, 0 if it is the address. */
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
 * Reads addresses and networks.
 *
 * @param text Like `127.0.0.1, 10.0.0.0/8, 2001:db8::/32`; commas or spaces between them.
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
    // Clients over IPv4 are known by that address, also where the socket is one of IPv6.
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
