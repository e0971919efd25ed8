/**
 * Torrents for the tests of this room, right or wrong as asked.
 *
 * @module
 */

import type { Bytes } from "../../src/base/bytes.ts";
import { type Encodable, encode } from "../../src/bencode/mod.ts";

type Keys = { readonly [key: string]: Encodable | undefined };

/** A file entry of an info dictionary. */
export type FileKeys = Keys;

/** Keys of an info dictionary with one file of 100,000 bytes: 7 pieces. */
export const SINGLE: Keys = { length: 100_000, name: "file.bin", "piece length": 16_384, pieces: hashes(7) };

/**
 * @param count How many.
 * @returns So many different made-up SHA-1 digests.
 */
export function hashes(count: number): Bytes {
  return Uint8Array.from({ length: 20 * count }, (_, i) => (i * 7 + Math.floor(i / 20)) & 255);
}

/**
 * A torrent with one file.
 *
 * @param info Keys of the info dictionary to change, or to leave out where `undefined`.
 * @param outer Keys of the outer dictionary, `info` included.
 * @returns The torrent file.
 */
export function single(info: Keys = {}, outer: Keys = {}): Bytes {
  return encode({ info: { ...SINGLE, ...info }, ...outer });
}

/**
 * A torrent with a list of files and as many pieces of 16 KiB as their lengths ask for.
 *
 * @param files Entries; `length` is 1 where it isn't given, and `undefined` leaves it out.
 * @param info Other keys of the info dictionary.
 * @returns The torrent file.
 */
export function several(files: readonly FileKeys[], info: Keys = {}): Bytes {
  const entries = files.map((file): FileKeys => ({ length: 1, ...file }));
  const total = entries.reduce((sum, { length }) => sum + (typeof length === "number" && length > 0 ? length : 0), 0);
  const pieces = hashes(Math.ceil(total / 16_384));
  return encode({ info: { files: entries, name: "root", "piece length": 16_384, pieces, ...info } });
}
