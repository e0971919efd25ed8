/**
 * A clock with the other platform parts that the DHT needs, and short ways to make ids and addresses.
 *
 * @module
 */

import type { PeerAddress } from "../../src/base/address.ts";
import { type Bytes, fromHex } from "../../src/base/bytes.ts";
import type { DhtPlatform } from "../../src/dht/mod.ts";
import { startDigest } from "../../src/platform/start_digest.ts";
import { VirtualClock } from "../support/virtual_clock.ts";

/** A virtual clock whose name look-ups find only {@linkcode TestPlatform.names}. */
export class TestPlatform extends VirtualClock implements DhtPlatform {
  readonly names = new Map<string, string[]>();
  readonly digest = startDigest;
  readonly net = {
    resolve: (host: string): Promise<string[]> => {
      const known = this.names.get(host);
      return known ? Promise.resolve(known) : Promise.reject(new Error(`${host} is not known`));
    },
  };
}

/**
 * Returns an id.
 *
 * @param start First bytes in hexadecimal digits.
 * @param fill Value of the other bytes.
 */
export function idOf(start: string, fill = 0): Bytes {
  const id = new Uint8Array(20).fill(fill);
  id.set(fromHex(start)!);
  return id;
}

/**
 * Parses an IPv4 address.
 *
 * @param text `host:port`; port 6881 when absent.
 */
export function at(text: string): PeerAddress {
  const [host, port] = text.split(":");
  return { host: host!, port: Number(port ?? 6881) };
}
