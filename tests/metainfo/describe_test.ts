import { assertEquals } from "@std/assert";
import { encode } from "../../src/bencode/mod.ts";
import { describe, magnetOf, parseMetainfo } from "../../src/metainfo/mod.ts";
import { hashes, single } from "./support.ts";

const HASH = "infohash";

Deno.test("describe() has the fields of the command-line contract, in their order", () => {
  const description = describe(parseMetainfo(encode({
    "announce-list": [["http://a.example/announce", "udp://b.example:80"], ["http://c.example/announce"]],
    comment: "hello",
    "created by": "Maker/1.0",
    "creation date": 1_375_363_666,
    info: {
      files: [
        { length: 5, path: ["sub", "a?.txt"] },
        { attr: "p", length: 16_379, path: [".pad", "16379"] },
        { length: 7, path: ["b & c"] },
      ],
      name: "My files",
      "piece length": 16_384,
      pieces: hashes(2),
      private: 1,
    },
    nodes: [["router.example", 6881]],
    "url-list": ["http://seed.example/?a=b&c"],
  })));
  const { infohash } = description;
  assertEquals(infohash?.length, 40);
  assertEquals({ ...description, infohash: HASH, magnet: description.magnet.replace(infohash!, HASH) }, {
    name: "My files",
    infohash: HASH,
    infohash_v2: null,
    version: "v1",
    piece_length: 16_384,
    pieces: 2,
    size: 12,
    private: true,
    files: [
      { path: "My files/sub/a_.txt", length: 5, pad: false },
      { path: "My files/.pad/16379", length: 16_379, pad: true },
      { path: "My files/b & c", length: 7, pad: false },
    ],
    trackers: [["http://a.example/announce", "udp://b.example:80"], ["http://c.example/announce"]],
    web_seeds: ["http://seed.example/?a=b&c"],
    nodes: [{ host: "router.example", port: 6881 }],
    comment: "hello",
    created_by: "Maker/1.0",
    created_at: "2013-08-01T13:27:46.000Z",
    magnet:
      "magnet:?xt=urn:btih:infohash&dn=My%20files&tr=http%3A%2F%2Fa.example%2Fannounce&tr=udp%3A%2F%2Fb.example%3A80" +
      "&tr=http%3A%2F%2Fc.example%2Fannounce&ws=http%3A%2F%2Fseed.example%2F%3Fa%3Db%26c",
  });
  assertEquals(Object.keys(description), [
    "name",
    "infohash",
    "infohash_v2",
    "version",
    "piece_length",
    "pieces",
    "size",
    "private",
    "files",
    "trackers",
    "web_seeds",
    "nodes",
    "comment",
    "created_by",
    "created_at",
    "magnet",
  ]);
});

Deno.test("describe() says null for what a torrent does not say", () => {
  const { comment, created_by, created_at, trackers, web_seeds, nodes } = describe(parseMetainfo(single()));
  assertEquals([comment, created_by, created_at], [null, null, null]);
  assertEquals([trackers, web_seeds, nodes], [[], [], []]);
});

Deno.test("magnetOf() names a torrent by hash and name", () => {
  const meta = parseMetainfo(single({ name: "\u00e9 & ?" }));
  assertEquals(magnetOf(meta), `magnet:?xt=urn:btih:${meta.infoHash.hex}&dn=%C3%A9%20%26%20_`);
});
