/**
 * Peer addresses: text, bytes, and the compact form of trackers and the DHT.
 *
 * @module
 */

/** Where a peer listens: a literal IP address, never a host name, and a TCP port. */
export interface PeerAddress {
  /** IPv4 dotted quad, or IPv6 in any valid form without brackets. */
  readonly host: string;
  /** 1 to 65535. */
  readonly port: number;
}

/** Host and port, where the host may be a name. */
export interface HostPort {
  /** Literal IP address without brackets, or a host name. */
  readonly host: string;
  /** 1 to 65535. */
  readonly port: number;
}

/** Address family: 4 for IPv4, 6 for IPv6. */
export type AddressFamily = 4 | 6;

/** Returns the family of a literal address. */
export function familyOf(host: string): AddressFamily {
  return host.includes(":") ? 6 : 4;
}

/**
 * Parses `host:port`.
 *
 * @param text `192.0.2.1:6881`, `[2001:db8::1]:6881` or `example.org:6881`.
 * @returns Host and port, or `null` if the text is invalid.
 */
export function parseHostPort(text: string): HostPort | null {
  const match = /^(?:\[([^\]]*)\]|([^:[\]\s/]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2] ?? "";
  if (match === null || (match[1] !== undefined && parseIp(host) === null) || port < 1 || port > 65535) return null;
  return { host, port };
}

/**
 * Formats an address as `host:port`, with brackets round an IPv6 host. Equal addresses give equal strings, so the
 * result can be a map key.
 */
export function formatAddress(address: PeerAddress): string {
  return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/**
 * Parses a compact list of peers: 6 bytes each for IPv4 (BEP 23), 18 for IPv6 (BEP 7). Peers with port 0 are left out,
 * as nothing can listen there. A truncated entry at the end is ignored.
 */
export function parseCompactPeers(bytes: Uint8Array, family: AddressFamily): PeerAddress[] {
  const size = family === 4 ? 6 : 18;
  const peers: PeerAddress[] = [];
  for (let at = 0; at + size <= bytes.length; at += size) {
    const peer = parseCompactPeer(bytes.subarray(at, at + size));
    if (peer !== null) peers.push(peer);
  }
  return peers;
}

/**
 * Parses one peer of a compact list.
 *
 * @param bytes 6 or 18 bytes.
 * @returns The address, or `null` for another length or port 0.
 */
export function parseCompactPeer(bytes: Uint8Array): PeerAddress | null {
  if (bytes.length !== 6 && bytes.length !== 18) return null;
  const port = bytes.at(-2)! << 8 | bytes.at(-1)!;
  return port === 0 ? null : { host: formatIp(bytes.subarray(0, -2)), port };
}

/**
 * Encodes one peer for a compact list.
 *
 * @returns 6 or 18 bytes, or `null` if the host is not a literal address.
 */
export function encodeCompactPeer({ host, port }: PeerAddress): Uint8Array<ArrayBuffer> | null {
  const ip = parseIp(host);
  if (ip === null) return null;
  const bytes = new Uint8Array(ip.length + 2);
  bytes.set(ip);
  bytes[ip.length] = port >> 8;
  bytes[ip.length + 1] = port;
  return bytes;
}

/**
 * Formats an IP address: IPv6 in the canonical form of RFC 5952, IPv4-mapped addresses as IPv4.
 *
 * @param bytes 4 or 16 bytes in network order.
 * @throws {RangeError} If `bytes` has another length.
 */
export function formatIp(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  if (bytes.length !== 16) throw new RangeError(`An IP address has 4 or 16 bytes, got ${bytes.length}`);
  const mapped = bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff;
  if (mapped) return bytes.subarray(12).join(".");
  const view = new DataView(bytes.buffer, bytes.byteOffset, 16);
  const groups = Array.from({ length: 8 }, (_, i) => view.getUint16(i * 2));
  let best = { start: -1, length: 1 };
  for (let start = 0; start < 8; start++) {
    let end = start;
    while (end < 8 && groups[end] === 0) end++;
    if (end - start > best.length) best = { start, length: end - start };
  }
  const hex = groups.map((group) => group.toString(16));
  if (best.start < 0) return hex.join(":");
  return `${hex.slice(0, best.start).join(":")}::${hex.slice(best.start + best.length).join(":")}`;
}

/** Prefix of an IPv4-mapped IPv6 address. */
const MAPPED = "::ffff:";

/**
 * Returns the canonical form of a literal address, which is equal for equal addresses: IPv4-mapped addresses as IPv4,
 * IPv6 as in RFC 5952. A zone is kept. Any other text is returned unchanged.
 */
export function canonicalHost(host: string): string {
  if (!host.includes(":")) return host;
  // A dual-stack socket reports the sender of every IPv4 datagram in this form.
  if (host.startsWith(MAPPED) && parseIpv4(host.slice(MAPPED.length)) !== null) return host.slice(MAPPED.length);
  const [address = "", zone] = host.split("%", 2);
  const bytes = parseIp(address);
  if (bytes === null) return host;
  return zone === undefined ? formatIp(bytes) : `${formatIp(bytes)}%${zone}`;
}

/**
 * Parses a literal IP address.
 *
 * @param text IPv4 or IPv6, the latter without brackets or zone.
 * @returns 4 or 16 bytes, or `null` if `text` is not a literal address.
 */
export function parseIp(text: string): Uint8Array | null {
  if (!text.includes(":")) return parseIpv4(text);
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const [head, tail] = halves.map((half, i) => parseGroups(half, i === halves.length - 1));
  if (!head || tail === null) return null;
  if (tail === undefined) return head.length === 16 ? Uint8Array.from(head) : null;
  if (head.length + tail.length > 14) return null;
  return Uint8Array.from([...head, ...new Array<number>(16 - head.length - tail.length).fill(0), ...tail]);
}

/** Parses IPv4 by hand, since the DHT reads dozens of addresses for every message. */
function parseIpv4(text: string): Uint8Array | null {
  if (text.length > 15) return null;
  const bytes = new Uint8Array(4);
  let part = 0;
  let value = -1; // no digit yet
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x2e) {
      if (value < 0 || part === 3) return null;
      bytes[part++] = value;
      value = -1;
    } else {
      if (code < 0x30 || code > 0x39 || value === 0) return null; // some parsers read "01" as octal
      value = Math.max(value, 0) * 10 + code - 0x30;
      if (value > 255) return null;
    }
  }
  if (value < 0 || part < 3) return null;
  bytes[part] = value;
  return bytes;
}

/** Parses one side of `::`. Only the last four bytes of an address may be a dotted quad. */
function parseGroups(half: string, isLast: boolean): number[] | null {
  if (half === "") return [];
  const bytes: number[] = [];
  const groups = half.split(":");
  for (const [i, group] of groups.entries()) {
    if (group.includes(".")) {
      const quad = isLast && i === groups.length - 1 ? parseIpv4(group) : null;
      if (!quad) return null;
      bytes.push(...quad);
    } else if (/^[0-9a-fA-F]{1,4}$/.test(group)) {
      const value = parseInt(group, 16);
      bytes.push(value >> 8, value & 255);
    } else {
      return null;
    }
  }
  return bytes;
}
