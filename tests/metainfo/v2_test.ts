import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { toHex } from "../../src/base/bytes.ts";
import { merkle } from "../../src/base/merkle.ts";
import {
  describe,
  MetainfoError,
  originalPaths,
  parseInfo,
  parseMagnet,
  parseMetainfo,
  requireHashes,
  torrentFile,
} from "../../src/metainfo/mod.ts";
import { nodeCrypto } from "../../src/platform/node_modules.ts";
import { fc } from "../support/property.ts";
import {
  A,
  B,
  bencode,
  C,
  type Dict,
  hashFile,
  hybrid,
  layersOf,
  leaf,
  LIST,
  P,
  pad,
  TREE,
  v2,
} from "../support/v2_torrents.ts";
import { V2_CASES } from "./v2_cases.ts";

for (const { name, torrent, expected } of V2_CASES) {
  if (typeof expected === "string") {
    Deno.test(`parseMetainfo() takes it as ${expected}: ${name}`, () => {
      assertEquals(parseMetainfo(torrent).version, expected);
    });
  } else {
    Deno.test(`parseMetainfo() refuses it: ${name}`, () => {
      const error = assertThrows(() => parseMetainfo(torrent), MetainfoError);
      assertStringIncludes(error.message, expected.refused);
      assertEquals(error.kind, "torrent");
    });
  }
}

function digest(algorithm: string, data: Uint8Array): string {
  return nodeCrypto().createHash(algorithm).update(data).digest("hex");
}

Deno.test("parseMetainfo() gives a v2 torrent its hashes, aligned files, roots and layers", () => {
  const tree: Dict = { ...TREE, c: leaf(C), empty: leaf({ length: 0 }), p: leaf(P, { attr: "x" }) };
  const meta = parseMetainfo(v2(tree, { layers: layersOf(A, C) }));
  const v2Hash = digest("sha256", meta.info);
  assertEquals([meta.version, meta.infoHashV1, meta.infoHashV2!.hex], ["v2", null, v2Hash]);
  assertEquals(meta.infoHash.hex, v2Hash.slice(0, 40));
  assertEquals(meta.files.map(({ path, length, offset, pad }) => [path.join("/"), length, offset, pad]), [
    ["top/a", 100_000, 0, false],
    ["top/.pad/31072", 31_072, 100_000, true],
    ["top/c", 65_536, 131_072, false],
    ["top/d/b", 5000, 196_608, false],
    ["top/.pad/27768", 27_768, 201_608, true],
    ["top/empty", 0, 229_376, false],
    ["top/p", 32_768, 229_376, false],
  ]);
  assertEquals(meta.files.map(({ root }) => root && toHex(root)), [
    ...[toHex(A.root), undefined, toHex(C.root), toHex(B.root), undefined, undefined, toHex(P.root)],
  ]);
  assertEquals(meta.files.map(({ layer }) => layer), [
    ...[A.layer, undefined, C.layer, undefined, undefined, undefined, undefined],
  ]);
  assertEquals([meta.pieceCount, meta.totalLength, meta.size], [8, 262_144, 203_304]);
  assertEquals([meta.pieces.length, meta.files.at(-1)!.executable, meta.warnings], [0, true, []]);
});

Deno.test("parseMetainfo() gives a hybrid both hashes, and the files of its v1 half the roots of the other", () => {
  const meta = parseMetainfo(hybrid([...LIST, pad(27_768)]));
  assertEquals(meta.infoHash.hex, digest("sha1", meta.info));
  assertEquals([meta.infoHashV1!.hex, meta.infoHashV2!.hex], [meta.infoHash.hex, digest("sha256", meta.info)]);
  assertEquals(meta.files.map(({ root, layer }) => [root, layer]), [
    [A.root, A.layer],
    [undefined, undefined],
    [B.root, undefined],
    [undefined, undefined],
  ]);
  assertEquals([meta.version, meta.pieceCount, meta.size, meta.pieces.length], ["hybrid", 5, 105_000, 100]);
});

Deno.test("parseMetainfo() gives the file of a single-file torrent the name in the tree", () => {
  const meta = parseMetainfo(v2({ other: leaf(A) }));
  assertEquals([meta.name, meta.files[0]!.path], ["other", ["other"]]);
  const nameless = parseMetainfo(v2({ "..": leaf(A) }));
  assertEquals(nameless.name, nameless.infoHashV2!.hex);
  assertEquals(parseMetainfo(v2({ d: { other: leaf(A) } })).files[0]!.path, ["top", "d", "other"]);
});

Deno.test("parseMetainfo() makes names in a tree as safe as those in a list", () => {
  const names = ["..", "CON", "a:b", "x".repeat(300), "e\u0301", "\u202etxt"];
  const tree = Object.fromEntries(names.map((name) => [name, leaf(B)]));
  const sorted = parseMetainfo(v2({ d: tree }, { layers: null })).files.filter(({ pad }) => !pad);
  const list = parseMetainfo(bencode({
    info: {
      name: "top",
      "piece length": 16_384,
      files: sorted.map(({ length }, i) => {
        const ordered = names.toSorted((a, b) => (a < b ? -1 : 1));
        return { length, path: ["d", ordered[i]!] };
      }),
      pieces: new Uint8Array(40),
    },
  })).files;
  assertEquals(sorted.map(({ path, own }) => [path, own]), list.map(({ path, own }) => [path, own]));
});

Deno.test("parseInfo() takes v2 metadata, whose layers are not in it", () => {
  const { info, infoHash } = parseMetainfo(v2(TREE));
  const meta = parseInfo(info, { trackers: [], webSeeds: [] });
  assertEquals(meta.infoHash, infoHash);
  assertEquals(meta.files.map(({ root, layer }) => [root !== undefined, layer !== undefined]), [
    [true, false],
    [false, false],
    [true, false],
  ]);
});

Deno.test("parseMetainfo() says that layers are missing", () => {
  const { warnings } = parseMetainfo(v2({ a: leaf(A), b: leaf(A), c: leaf(C) }, { layers: null }));
  assertEquals(warnings, ["piece layers: those of 2 files are missing, so that peers have to send them"]);
});

Deno.test("torrentFile() keeps piece layers", () => {
  const meta = parseMetainfo(v2({ a: leaf(A), b: leaf(A), c: leaf(C) }, { layers: layersOf(A, C) }));
  const places = { trackers: [["http://a.test/"]], webSeeds: ["http://w.test/"] };
  const again = parseMetainfo(torrentFile(meta.info, { ...places, files: meta.files }));
  assertEquals(again, { ...meta, ...places });
});

Deno.test("parseMetainfo() gives the files of a hybrid the names, attributes and links of the file tree", () => {
  const link = { length: 0, attr: "l", "symlink path": ["d", "b"] };
  const tree: Dict = { a: leaf(A), d: { b: leaf(B, { attr: "x" }) }, e: leaf({ length: 0 }), l: { "": link } };
  const list: Dict[] = [{ ...LIST[0]!, attr: "x" }, pad(31_072, { path: ["q"] }), LIST[2]!, pad(27_768)];
  const meta = parseMetainfo(hybrid([...list, pad(0), { length: 0, path: ["z"] }], tree));
  assertEquals(
    meta.files.map(({ path, pad, executable, symlink }) => [path.join("/"), pad, executable, symlink?.join("/")]),
    [
      ["top/a", false, false, undefined],
      ["top/.pad/31072", true, false, undefined],
      ["top/d/b", false, true, undefined],
      ["top/.pad/27768", true, false, undefined],
      ["top/e", false, false, undefined],
      ["top/l", false, false, "top/d/b"],
    ],
  );
});

Deno.test("parseMetainfo() takes any integer but 0 for private", () => {
  for (const [value, expected] of [[0, false], [1, true], [-1, true], [2n ** 62n, true]] as const) {
    assertEquals(parseMetainfo(v2(TREE, { info: { private: value } })).private, expected);
  }
});

const text = (paths: Uint8Array[][]) => paths.map((path) => path.map((part) => new TextDecoder().decode(part)));

Deno.test("originalPaths() gives one path for each file of a hybrid", () => {
  const written = { files: [{ length: A.length, path: ["f:"] }], pieces: new Uint8Array(80) };
  const cases: [torrent: Uint8Array, paths: string[]][] = [
    [hybrid([...LIST, pad(27_768)]), ["top/a", "top/.pad/31072", "top/d/b", "top/.pad/27768"]],
    [v2({ "f:": leaf(A) }, { info: written }), ["top/f:"]],
    [v2({ "f:": leaf(A) }, { info: { ...written, files: undefined, length: A.length, name: "f:" } }), ["f:"]],
    [v2(TREE, { info: { files: [], pieces: new Uint8Array(100) } }), ["top/a", "top/.pad/31072", "top/d/b"]],
  ];
  for (const [torrent, paths] of cases) {
    const meta = parseMetainfo(torrent);
    assertEquals(text(originalPaths(meta)).map((path) => path.join("/")), paths);
    assertEquals(meta.files.length, paths.length);
  }
});

Deno.test("originalPaths() gives one path for each file of a tree", () => {
  for (const tree of [{ ...TREE, "\u00e9:": leaf(C) }, { "x:": leaf(A) }] as Dict[]) {
    const meta = parseMetainfo(v2(tree));
    const paths = text(originalPaths(meta));
    assertEquals(paths.length, meta.files.length);
    assertEquals(paths, meta.files.map(({ own, path }) => [...own ?? path]));
  }
});

Deno.test("describe() tells version and both info-hashes, and no padding that is not in the torrent", () => {
  const meta = parseMetainfo(v2(TREE));
  const told = describe(meta);
  assertEquals([told.version, told.infohash, told.infohash_v2], ["v2", null, meta.infoHashV2!.hex]);
  assertEquals(told.files.map(({ path, pad }) => [path, pad]), [["top/a", false], ["top/d/b", false]]);
  assertEquals(told.magnet, `magnet:?xt=urn:btmh:1220${meta.infoHashV2!.hex}&dn=top`);
  assertEquals(parseMagnet(told.magnet).infoHash, meta.infoHash);
  const both = parseMetainfo(hybrid(LIST));
  const { version, infohash, infohash_v2, files, magnet } = describe(both);
  assertEquals([version, infohash, infohash_v2], ["hybrid", both.infoHash.hex, both.infoHashV2!.hex]);
  assertEquals(files.map(({ pad }) => pad), [false, true, false]);
  assertEquals(magnet, `magnet:?xt=urn:btih:${infohash}&xt=urn:btmh:1220${infohash_v2}&dn=top`);
});

Deno.test("requireHashes() takes what can be verified, and says why it refuses the rest", () => {
  const both = parseMetainfo(hybrid(LIST));
  const noLayers = parseMetainfo(v2(TREE, { layers: null }));
  const unhashed = { info: { files: LIST } };
  for (
    const source of [
      both,
      parseMetainfo(hybrid(LIST, TREE, { layers: null })),
      parseMetainfo(v2(TREE)),
      parseMetainfo(v2(TREE, unhashed)),
      parseMetainfo(v2({ d: { b: leaf(B) } }, { layers: null })),
    ]
  ) requireHashes(source);
  for (const source of [noLayers, parseMetainfo(v2(TREE, { ...unhashed, layers: null }))]) {
    const error = assertThrows(() => requireHashes(source), MetainfoError, "hashes of pieces are missing (BEP 52)");
    assertEquals(error.kind, "torrent");
  }
});

Deno.test("parseMetainfo() takes the layers of files of any length, and refuses any that is changed", () => {
  const lengths = fc.array(fc.integer({ min: 1, max: 300_000 }), { minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(lengths, fc.constantFrom(16_384, 32_768, 65_536), fc.nat(), (sizes, pieceLength, at) => {
      const hashed = sizes.map((size, i) => hashFile(new Uint8Array(size).fill(i + 1), pieceLength));
      const tree = Object.fromEntries(hashed.map((file, i) => [`f${i}`, leaf(file)]));
      const long = hashed.filter(({ layer }) => layer.length > 0);
      const torrent = (files: typeof hashed) =>
        v2(tree, { info: { "piece length": pieceLength }, layers: layersOf(...files) });
      const meta = parseMetainfo(torrent(long));
      for (const [i, { root, layer }] of hashed.entries()) {
        const file = meta.files.filter(({ pad }) => !pad)[i]!;
        assertEquals(file.root, root);
        assertEquals(file.layer ?? new Uint8Array(0), layer);
        assert(file.offset % pieceLength === 0);
      }
      if (long.length === 0) return;
      const victim = long[at % long.length]!;
      const layer = victim.layer.slice();
      layer[at % layer.length]! ^= 1 + at % 255;
      const changed = long.map((file) => file === victim ? { ...file, layer } : file);
      assertThrows(() => parseMetainfo(torrent(changed)), MetainfoError, "don't lead to its root");
    }),
    { numRuns: 60 },
  );
});

Deno.test("parseMetainfo() reads the piece layer of many files with one content once", () => {
  let roots = 0;
  const { root } = merkle;
  merkle.root = (hashes, layers) => (roots++, root.call(merkle, hashes, layers));
  try {
    parseMetainfo(v2(Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`f${i}`, leaf(A)]))));
  } finally {
    merkle.root = root;
  }
  assertEquals(roots, 1);
});
