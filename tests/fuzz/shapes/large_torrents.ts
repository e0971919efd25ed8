/**
 * Torrents of a given length, each filled with one thing.
 *
 * @module
 */

import type { Bytes } from "../../../src/base/bytes.ts";
import { Draft } from "../draft.ts";
import { Pairs, type Shape, writeShape } from "./bencode.ts";

/** Keys of a dictionary. */
type Keys = { readonly [key: string]: Shape };

/** Bytes of a torrent in addition to its filling. */
const FRAME = 300;

/**
 * Returns a torrent filled with files.
 *
 * @param size Bytes of the torrent.
 * @param file Returns the entry of a file by its number.
 * @param outer Other keys of the outer dictionary.
 */
export function torrentOf(size: number, file: (index: number) => Keys, outer: Keys = {}): Bytes {
  const draft = new Draft();
  const files = [new Pairs({ length: 1, path: ["zzz"] })];
  const room = size - FRAME;
  // Each file is written here only to measure its length, and once more into the torrent.
  for (let i = 0; draft.length < room; i++) {
    const entry = new Pairs(file(i));
    writeShape(draft, entry);
    if (draft.length < room || files.length === 1) files.push(entry);
  }
  return write({ ...outer, info: infoOf({ files }) });
}

/**
 * Returns a torrent filled with empty files.
 *
 * @param size Bytes of the torrent.
 * @param path Returns the path of a file by its number.
 */
export function torrentOfNames(size: number, path: (index: number) => readonly string[]): Bytes {
  return torrentOf(size, (index) => ({ length: 0, path: path(index) }));
}

/** Fillings for a torrent of one file. */
export type Filling =
  | "pieces"
  | "trackers"
  | "same tracker"
  | "long hosts"
  | "no URLs"
  | "empty tiers"
  | "web seeds"
  | "nodes"
  | "comment"
  | "comment in GBK"
  | "name";

/**
 * Returns a torrent of one file, filled with something else.
 *
 * @param size Bytes of the torrent.
 */
export function torrentWith(size: number, filling: Filling): Bytes {
  const room = size - FRAME;
  const many = (length: number, item: (index: number) => Shape) =>
    Array.from({ length: Math.floor(room / length) }, (_, i) => item(i));
  switch (filling) {
    case "pieces": {
      const count = Math.floor(room / 20);
      return write({ info: infoOf({ length: count * 16_384, pieces: new Uint8Array(20 * count) }) });
    }
    case "trackers":
      return write({ "announce-list": [many(16, (i) => `http://${i.toString(36).padStart(6, "a")}`)], info: infoOf() });
    case "same tracker":
      return write({ "announce-list": many(11, () => "udp://a:1"), info: infoOf() });
    case "long hosts":
      return write({ "announce-list": many(4090, (i) => `http://${"\u00e9a".repeat(1350)}${i}`), info: infoOf() });
    case "no URLs":
      return write({ "announce-list": many(10, () => "a://[x]"), info: infoOf() });
    case "empty tiers":
      return write({ "announce-list": many(2, () => []), info: infoOf() });
    case "web seeds":
      return write({ info: infoOf(), "url-list": many(16, (i) => `http://${i.toString(36).padStart(6, "a")}`) });
    case "nodes":
      return write({ info: infoOf(), nodes: many(8, () => ["a", 1]) });
    case "comment":
      return write({ comment: "\u00e9".repeat(room / 2), info: infoOf() });
    case "comment in GBK":
      return write({ comment: new Uint8Array(room).fill(0xc4), encoding: "GBK", info: infoOf() });
    case "name":
      return write({ info: infoOf({ name: "\u0301".repeat(room / 2) }) });
  }
}

function infoOf(keys: Keys = {}): Pairs {
  return new Pairs({
    ...(keys["files"] ? {} : { length: 1 }),
    name: "n",
    "piece length": 16_384,
    pieces: new Uint8Array(20),
    ...keys,
  });
}

function write(torrent: Keys): Bytes {
  const draft = new Draft();
  writeShape(draft, new Pairs(torrent));
  return draft.take();
}
