import { assert, assertEquals, assertThrows } from "@std/assert";
import { equalBytes, toHex, utf8 } from "../../src/base/bytes.ts";
import { type Encodable, encode } from "../../src/bencode/mod.ts";
import { type Metainfo, parseMetainfo, pieceHash, pieceSize } from "../../src/metainfo/mod.ts";
import { sha1 } from "../../src/platform/start_digest.ts";
import { type FileKeys, hashes, several, SINGLE, single } from "./support.ts";

function paths(meta: Metainfo): string[] {
  return meta.files.map((file) => file.path.join("/"));
}

Deno.test("parseMetainfo() reads a single file", () => {
  const meta = parseMetainfo(single());
  assertEquals(meta.name, "file.bin");
  assertEquals([meta.pieceLength, meta.pieceCount, meta.totalLength, meta.size], [16_384, 7, 100_000, 100_000]);
  assertEquals(meta.files, [
    { path: ["file.bin"], length: 100_000, offset: 0, pad: false, symlink: null, executable: false },
  ]);
  assertEquals([meta.trackers, meta.webSeeds, meta.nodes], [[], [], []]);
  assertEquals([meta.private, meta.comment, meta.createdBy, meta.createdAt, meta.source], [
    false,
    null,
    null,
    null,
    null,
  ]);
  assertEquals(toHex(meta.pieces), toHex(hashes(7)));
  assertEquals(meta.infoHash.hex, toHex(sha1(encode(SINGLE as Encodable))));
});

Deno.test("parseMetainfo() reads several files with their offsets", () => {
  const meta = parseMetainfo(several([
    { length: 10, path: ["a", "b.txt"] },
    { length: 0, path: ["empty"] },
    { attr: "x", length: 40_000, path: ["run.sh"] },
  ]));
  assertEquals(paths(meta), ["root/a/b.txt", "root/empty", "root/run.sh"]);
  assertEquals(meta.files.map((file) => file.offset), [0, 10, 10]);
  assertEquals(meta.files.map((file) => file.executable), [false, false, true]);
  assertEquals([meta.totalLength, meta.pieceCount], [40_010, 3]);
});

Deno.test("parseMetainfo() hashes the info dictionary as it stands, not a re-encoding", () => {
  // Keys are out of order, and one key is there twice: the first counts.
  const pieces = String.fromCharCode(...new Uint8Array(20).fill(0x61));
  const info = `d6:pieces20:${pieces}4:name1:x12:piece lengthi16384e6:lengthi5e4:name1:ye`;
  const meta = parseMetainfo(utf8(`d4:info${info}8:announce10:http://a/be`));
  assertEquals(meta.infoHash.hex, toHex(sha1(utf8(info))));
  assertEquals(new TextDecoder().decode(meta.info), info);
  assertEquals(meta.name, "x");
  assertEquals(meta.trackers, [["http://a/b"]]);
});

Deno.test("parseMetainfo() keeps no view of its input", () => {
  const torrent = single();
  const meta = parseMetainfo(torrent);
  const before = toHex(meta.info);
  torrent.fill(0);
  assertEquals(toHex(meta.info), before);
  assert(equalBytes(meta.pieces, hashes(7)));
});

Deno.test("pieceHash() and pieceSize() follow the piece's index", () => {
  const meta = parseMetainfo(single());
  assertEquals(toHex(pieceHash(meta, 0)), toHex(hashes(7).subarray(0, 20)));
  assertEquals(toHex(pieceHash(meta, 6)), toHex(hashes(7).subarray(120)));
  assertEquals(pieceSize(meta, 0), 16_384);
  assertEquals(pieceSize(meta, 6), 100_000 - 6 * 16_384);
  assertEquals(pieceSize(parseMetainfo(single({ length: 7 * 16_384 })), 6), 16_384);
  for (const index of [-1, 7, 0.5, NaN]) {
    assertThrows(() => pieceHash(meta, index), RangeError, `Pieces are numbered 0 to 6, got ${index}`);
    assertThrows(() => pieceSize(meta, index), RangeError, `Pieces are numbered 0 to 6, got ${index}`);
  }
});

Deno.test("parseMetainfo() takes padding files without a path, and those of BitComet", () => {
  const meta = parseMetainfo(several([
    { length: 10, path: ["a"] },
    { attr: "hp", length: 20 },
    { attr: "p", length: 20, path: [] },
    { length: 30, path: ["_____padding_file_0_if you see this file, please update____"] },
  ]));
  assertEquals(meta.files.map((file) => file.pad), [false, true, true, true]);
  assertEquals(paths(meta).slice(1, 3), ["root/.pad/20", "root/.pad/20"]);
  assertEquals(meta.size, 10);
});

Deno.test("parseMetainfo() does not rename a file for the sake of a padding file", () => {
  const meta = parseMetainfo(several([{ attr: "p", length: 5, path: ["a"] }, { length: 10, path: ["a"] }]));
  assertEquals(paths(meta), ["root/a", "root/a"]);
});

Deno.test("parseMetainfo() reads the outer keys", () => {
  const meta = parseMetainfo(single({ private: 1, source: "SITE" }, {
    comment: "h\u00e9llo",
    "created by": "Maker/1.0",
    "creation date": 1_375_363_666,
  }));
  assertEquals([meta.private, meta.source, meta.comment, meta.createdBy], [true, "SITE", "h\u00e9llo", "Maker/1.0"]);
  assertEquals(meta.createdAt?.toISOString(), "2013-08-01T13:27:46.000Z");
});

Deno.test("parseMetainfo() takes outer keys of a wrong type as missing", () => {
  const meta = parseMetainfo(single({ private: "1", source: 7 }, {
    announce: 1,
    "announce-list": "http://a.example",
    comment: [],
    "created by": {},
    "creation date": "yesterday",
    encoding: 5,
    nodes: "x",
    "url-list": {},
  }));
  assertEquals([meta.private, meta.source, meta.comment, meta.createdBy, meta.createdAt], [
    false,
    null,
    null,
    null,
    null,
  ]);
  assertEquals([meta.trackers, meta.webSeeds, meta.nodes], [[], [], []]);
});

const DATES: [seconds: number | bigint, date: string | null][] = [
  [0, "1970-01-01T00:00:00.000Z"],
  [253_402_300_799, "9999-12-31T23:59:59.000Z"],
  [1_452_468_725_091, "2016-01-10T23:32:05.091Z"], // in milliseconds, as older versions of WebTorrent wrote it
  [-1, null],
  [Number.MAX_SAFE_INTEGER, null],
  [2n ** 63n, null],
];

for (const [seconds, date] of DATES) {
  Deno.test(`parseMetainfo() reads the creation date ${seconds} as ${date}`, () => {
    const meta = parseMetainfo(single({}, { "creation date": seconds }));
    assertEquals(meta.createdAt?.toISOString() ?? null, date);
  });
}

Deno.test("parseMetainfo() prefers the UTF-8 variants of keys", () => {
  const meta = parseMetainfo(several(
    [{ path: [Uint8Array.of(0xe9)], "path.utf-8": ["\u00e9"] }, { path: ["old"], "path.utf-8": "no list" }],
    { name: Uint8Array.of(0xe9), "name.utf-8": "n\u00e4me" },
  ));
  assertEquals(paths(meta), ["n\u00e4me/\u00e9", "n\u00e4me/old"]);
});

Deno.test("parseMetainfo() reads names in the torrent's charset where they are not UTF-8", () => {
  const bytes = Uint8Array.of(0xcf, 0xf0, 0xe8, 0xe2, 0xe5, 0xf2); // windows-1251
  const torrent = (encoding: string) => single({ name: bytes }, { encoding });
  assertEquals(parseMetainfo(torrent("windows-1251")).name, "\u041f\u0440\u0438\u0432\u0435\u0442");
  assertEquals(parseMetainfo(torrent(" CP1251\n")).name, "\u041f\u0440\u0438\u0432\u0435\u0442");
  assertEquals(parseMetainfo(torrent("UTF-8")).name, "_");
  assertEquals(parseMetainfo(torrent("klingon")).name, "_");
  const gbk = single({ name: Uint8Array.of(0xc4, 0xe3) }, { comment: Uint8Array.of(0xba, 0xc3), encoding: "GBK" });
  assertEquals([parseMetainfo(gbk).name, parseMetainfo(gbk).comment], ["\u4f60", "\u597d"]);
  assertEquals(parseMetainfo(single({ name: "\u4f60" }, { encoding: "GBK" })).name, "\u4f60");
});

Deno.test("parseMetainfo() repairs names that are not UTF-8", () => {
  const name = (bytes: number[]) => parseMetainfo(single({ name: Uint8Array.from(bytes) })).name;
  assertEquals(name([0x61, 0xff, 0xfe, 0x62]), "a_b");
  assertEquals(name([0x61, 0xe2, 0x9f]), "a_");
  assertEquals(name([0xc0, 0xae, 0xc0, 0xae]), "_"); // ".." in overlong form
});

Deno.test("parseMetainfo() names a torrent by its info-hash when nothing is left of its name", () => {
  for (const name of ["", ".", "..", "//", "/..", "\\", "\u202e"]) {
    const meta = parseMetainfo(single({ name }));
    assertEquals(meta.name, meta.infoHash.hex);
    assertEquals(paths(meta), [meta.name]);
  }
});

/** Lists of files with their expected paths in the folder `root`. */
const TREES: [name: string, files: FileKeys[], paths: string[]][] = [
  ["parent folders", [{ path: ["..", "..", "etc", "passwd"] }], ["etc/passwd"]],
  ["an absolute path", [{ path: ["/etc/passwd"] }], ["etcpasswd"]],
  ["separators in a name", [{ path: ["..\\..\\a/../../b"] }], ["....a....b"]],
  ["drive letters", [{ path: ["C:", "Windows", "a.dll"] }, { path: ["C:\\a.dll"] }], ["C_/Windows/a.dll", "C_a.dll"]],
  ["NUL in a name", [{ path: ["a\0.txt"] }], ["a.txt"]],
  ["nothing that is left", [{ path: ["..", ".", ""] }, { path: [""] }], ["_", "_.1"]],
  ["equal paths", [{ path: ["a.txt"] }, { path: ["a.txt"] }, { path: ["a.txt"] }], ["a.txt", "a.1.txt", "a.2.txt"]],
  ["paths equal but for case", [{ path: ["A.TXT"] }, { path: ["a.txt"] }], ["A.TXT", "a.1.txt"]],
  ["paths equal but for their form", [{ path: ["\u00e9"] }, { path: ["e\u0301"] }], ["\u00e9", "e\u0301.1"]],
  ["paths that become equal", [{ path: ["a:b"] }, { path: ["a?b"] }], ["a_b", "a_b.1"]],
  ["a file and a folder", [{ path: ["a"] }, { path: ["a", "b"] }], ["a.1", "a/b"]],
  ["a folder and a file", [{ path: ["a", "b"] }, { path: ["A"] }], ["a/b", "A.1"]],
  ["a number that is taken", [{ path: ["a"] }, { path: ["a.1"] }, { path: ["a"] }], ["a", "a.1", "a.2"]],
  ["a number that is taken later", [{ path: ["a"] }, { path: ["a"] }, { path: ["a.1"] }], ["a", "a.1", "a.1.1"]],
];

for (const [name, files, expected] of TREES) {
  Deno.test(`parseMetainfo() makes safe ${name}`, () => {
    assertEquals(paths(parseMetainfo(several(files))), expected.map((path) => `root/${path}`));
  });
}

Deno.test("parseMetainfo() leaves names as Unix has them when asked", () => {
  const torrent = several([{ path: ["what?", "a: b. "] }, { path: ["..", "/NUL"] }]);
  assertEquals(paths(parseMetainfo(torrent, { portable: false })), ["root/what?/a: b. ", "root/NUL"]);
  assertEquals(paths(parseMetainfo(torrent)), ["root/what_/a_ b", "root/_NUL"]);
});

Deno.test("parseMetainfo() takes links, and makes empty files of those that lead out or nowhere", () => {
  const link = (path: string[], target: Encodable | undefined): FileKeys => ({
    attr: "l",
    length: 0,
    path,
    "symlink path": target,
  });
  const meta = parseMetainfo(several([
    { length: 10, path: ["lib", "real.so"] },
    link(["good.so"], ["lib", "real.so"]),
    link(["out"], ["..", "..", "etc", "passwd"]),
    link(["missing"], ["nowhere"]),
    link(["loop"], ["loop"]),
    link(["none"], undefined),
    { attr: "l", length: 99, path: ["long"], "symlink path": ["lib"] },
  ]));
  assertEquals(meta.files.map((file) => file.symlink?.join("/") ?? null), [
    null,
    "root/lib/real.so",
    null,
    null,
    null,
    null,
    "root/lib",
  ]);
  assertEquals(meta.size, 10);
  assertEquals(meta.files.length, 7);
});

Deno.test("parseMetainfo() makes an empty-handed torrent of a lone link no torrent at all", () => {
  assertThrows(
    () => parseMetainfo(single({ attr: "l", length: 0, pieces: "", "symlink path": ["x"] })),
    Error,
    "no bytes",
  );
});

Deno.test("parseMetainfo() takes paths of hundreds of folders, and keeps names that paths have in common once", () => {
  const deep = (name: string) => ({ path: [...new Array<string>(700).fill("d\u00e9"), name] });
  const files = parseMetainfo(several([deep("a"), deep("b"), { path: ["d\u00e9", "..", "c"] }])).files;
  assertEquals(files.map(({ path }) => path.length), [702, 702, 3]);
  assertEquals(files.map(({ path }) => [path[0], path[1], path.at(-1)]), [
    ["root", "d\u00e9", "a"],
    ["root", "d\u00e9", "b"],
    ["root", "d\u00e9", "c"],
  ]);
});

Deno.test("parseMetainfo() reads of a name and of a text that are far too long what can be shown", () => {
  const long = parseMetainfo(
    single({ name: `${"\u00e9".repeat(1_000_000)}.bin` }, { comment: "\u65e5".repeat(100_000) }),
  );
  assertEquals(long.name, parseMetainfo(single({ name: `${"\u00e9".repeat(1000)}.bin` })).name);
  assertEquals(long.comment, "\u65e5".repeat(Math.floor(64 * 1024 / 3)));
});
