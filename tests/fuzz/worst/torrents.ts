/**
 * The most expensive inputs for the parser of torrent files.
 *
 * @module
 */

import type { Bytes } from "../../../src/base/bytes.ts";
import { MetainfoError, parseMetainfo } from "../../../src/metainfo/mod.ts";
import { torrentOf, torrentOfNames, torrentWith } from "../shapes/large_torrents.ts";
import { torrentOfTree } from "../shapes/large_trees.ts";
import { attempt } from "../target.ts";
import { key, type WorstShape } from "./shape.ts";

function metainfo(input: Bytes): void {
  attempt(MetainfoError, () => parseMetainfo(input));
}

/** Shapes for {@linkcode parseMetainfo}. */
export const WORST_TORRENTS: readonly WorstShape[] = [
  { name: "torrent: empty files", make: (n) => torrentOfNames(n, (i) => [key(i, 1)]), run: metainfo },
  { name: "torrent: files that all have one name", make: (n) => torrentOfNames(n, () => ["a"]), run: metainfo },
  {
    name: "torrent: files apart by case alone",
    make: (n) => torrentOfNames(n, (i) => [i % 2 ? "\u00e9A" : "e\u0301a"]),
    run: metainfo,
  },
  {
    name: "torrent: files that have the numbers of others",
    make: (n) => torrentOfNames(n, (i) => [i % 2 ? "a" : `a.${i}`]),
    run: metainfo,
  },
  {
    name: "torrent: paths of 100 names",
    make: (n) => torrentOfNames(n, (i) => [...new Array(99).fill("a"), key(i, 1)]),
    run: metainfo,
  },
  {
    name: "torrent: paths of 100 folders of their own",
    make: (n) => torrentOfNames(n, (i) => Array.from({ length: 100 }, (_, level) => key(i * 100 + level, 1))),
    run: metainfo,
  },
  {
    name: "torrent: paths of 100 folders, not ASCII",
    make: (n) =>
      torrentOfNames(n, (i) => Array.from({ length: 100 }, (_, level) => `\u00e9${key(i * 100 + level, 1)}`)),
    run: metainfo,
  },
  {
    name: "torrent: paths of 100 names, accents to put together",
    make: (n) =>
      torrentOfNames(n, (i) => Array.from({ length: 100 }, (_, level) => `e\u0301${(i * 100 + level).toString(36)}`)),
    run: metainfo,
  },
  {
    name: "torrent: names that come to nothing",
    make: (n) => torrentOfNames(n, () => [".", "..", "/"]),
    run: metainfo,
  },
  { name: "torrent: names of 240 separators", make: (n) => torrentOfNames(n, () => ["/".repeat(240)]), run: metainfo },
  {
    name: "torrent: names of 250 accents",
    make: (n) => torrentOfNames(n, () => ["\u0301\u0316".repeat(60)]),
    run: metainfo,
  },
  {
    name: "torrent: names that are cut",
    make: (n) => torrentOfNames(n, (i) => ["\u65e5".repeat(200) + i]),
    run: metainfo,
  },
  {
    name: "torrent: a name of the whole length",
    make: (n) => torrentOfNames(n, () => ["\u0301".repeat(n / 2 - 500)]),
    run: metainfo,
  },
  {
    name: "torrent: names that are not UTF-8",
    make: (n) => torrentOf(n, () => ({ length: 0, path: [Uint8Array.of(0xff)] })),
    run: metainfo,
  },
  {
    name: "torrent: names in GBK",
    make: (n) =>
      torrentOf(n, (i) => ({ length: 0, path: [Uint8Array.of(0xc4, 0xe3, 0x30 + i % 10)] }), { encoding: "GBK" }),
    run: metainfo,
  },
  {
    name: "torrent: links in a chain",
    make: (n) => torrentOf(n, (i) => ({ attr: "l", path: [`l${i}`], "symlink path": [`l${i + 1}`] })),
    run: metainfo,
  },
  {
    name: "torrent: links in a chain, last first",
    make: (n) => torrentOf(n, (i) => ({ attr: "l", path: [`l${i + 1}`], "symlink path": [`l${i}`] })),
    run: metainfo,
  },
  {
    name: "torrent: links over 100 links",
    make: (n) =>
      torrentOf(n, (i) => ({ attr: "l", path: [`l${i}`], "symlink path": [...new Array(98).fill("a"), "b"] })),
    run: metainfo,
  },
  {
    name: "torrent: links to a folder and back",
    make: (n) =>
      torrentOf(
        n,
        (i) =>
          i === 0
            ? { length: 0, path: ["d", "f"] }
            : { attr: "l", path: [`l${i}`], "symlink path": i === 1 ? ["d"] : [`l${i - 1}`, "f"] },
      ),
    run: metainfo,
  },
  { name: "torrent: hashes", make: (n) => torrentWith(n, "pieces"), run: metainfo },
  ...([
    "empty files",
    "files",
    "empty folders",
    "folders in each other",
    "names that are not ASCII",
    "files in 90 folders",
    "files of one content",
    "names with separators",
    "links over links",
    "a hybrid",
    "a hybrid whose names differ by separators",
    "a hybrid of empty files",
    "a piece layer",
    "piece layers of no file",
  ] as const).map((filling): WorstShape => ({
    name: `torrent with a tree: ${filling}`,
    make: (n) => torrentOfTree(n, filling),
    run: metainfo,
  })),
  { name: "torrent: trackers", make: (n) => torrentWith(n, "trackers"), run: metainfo },
  { name: "torrent: the same tracker", make: (n) => torrentWith(n, "same tracker"), run: metainfo },
  { name: "torrent: trackers of long names", make: (n) => torrentWith(n, "long hosts"), run: metainfo },
  { name: "torrent: trackers that are no URLs", make: (n) => torrentWith(n, "no URLs"), run: metainfo },
  { name: "torrent: empty tiers", make: (n) => torrentWith(n, "empty tiers"), run: metainfo },
  { name: "torrent: web seeds", make: (n) => torrentWith(n, "web seeds"), run: metainfo },
  { name: "torrent: nodes", make: (n) => torrentWith(n, "nodes"), run: metainfo },
  { name: "torrent: a comment", make: (n) => torrentWith(n, "comment"), run: metainfo },
  { name: "torrent: a comment in GBK", make: (n) => torrentWith(n, "comment in GBK"), run: metainfo },
  { name: "torrent: a name of its own", make: (n) => torrentWith(n, "name"), run: metainfo },
];
