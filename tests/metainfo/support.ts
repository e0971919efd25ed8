/**
 * Valid and invalid torrents for the tests of metainfo.
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
 * Returns different made-up SHA-1 digests.
 *
 * @param count Number of digests.
 */
export function hashes(count: number): Bytes {
  return Uint8Array.from({ length: 20 * count }, (_, i) => (i * 7 + Math.floor(i / 20)) & 255);
}

/**
 * Returns a torrent file with one file.
 *
 * @param info Keys of the info dictionary to change; `undefined` removes a key.
 * @param outer Keys of the outer dictionary, which may include `info`.
 */
export function single(info: Keys = {}, outer: Keys = {}): Bytes {
  return encode({ info: { ...SINGLE, ...info }, ...outer });
}

/**
 * Returns a torrent file with a list of files and the number of 16-KiB pieces that their lengths require.
 *
 * @param files Entries; `length` is 1 if it isn't given, and `undefined` removes it.
 * @param info Other keys of the info dictionary.
 */
export function several(files: readonly FileKeys[], info: Keys = {}): Bytes {
  const entries = files.map((file): FileKeys => ({ length: 1, ...file }));
  const total = entries.reduce((sum, { length }) => sum + (typeof length === "number" && length > 0 ? length : 0), 0);
  const pieces = hashes(Math.ceil(total / 16_384));
  return encode({ info: { files: entries, name: "root", "piece length": 16_384, pieces, ...info } });
}
