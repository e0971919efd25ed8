import { assertEquals, assertThrows } from "@std/assert";
import { concatBytes, utf8 } from "../../src/base/bytes.ts";
import { ShoalError } from "../../src/base/errors.ts";
import { encode } from "../../src/bencode/mod.ts";
import { MetainfoError, parseMetainfo } from "../../src/metainfo/mod.ts";
import { hashes, several, SINGLE, single } from "./support.ts";

const whole = single();
const DAMAGED = "the file is damaged or not complete; fetch it again";

/** Returns a torrent with other bytes in one place: encoding millions of values takes a second. */
function swapped(torrent: Uint8Array, from: string, to: string): Uint8Array {
  const at = new TextDecoder("latin1").decode(torrent).indexOf(from);
  return concatBytes([torrent.subarray(0, at), utf8(to), torrent.subarray(at + from.length)]);
}

/** Torrents that must be refused, with the whole error line. The torrent's file is x.torrent. */
const MALFORMED: [name: string, torrent: Uint8Array, message: string][] = [
  // Not bencode, or not a dictionary
  [
    "nothing",
    new Uint8Array(0),
    "not a torrent (x.torrent, byte 0): expected a dictionary, found the end of the input",
  ],
  ["text", utf8("Hello\n"), `not a torrent (x.torrent, byte 0): expected a dictionary, found "H"`],
  ["HTML", utf8("<!DOCTYPE html>"), `not a torrent (x.torrent, byte 0): expected a dictionary, found "<"`],
  ["gzip", Uint8Array.of(0x1f, 0x8b, 8), "not a torrent (x.torrent, byte 0): expected a dictionary, found byte 0x1f"],
  ["a byte order mark", utf8("\ufeffde"), "not a torrent (x.torrent, byte 0): expected a dictionary, found byte 0xef"],
  ["a list", utf8("le"), `not a torrent (x.torrent, byte 0): expected a dictionary, found "l"`],
  ["a byte string", utf8("4:spam"), `not a torrent (x.torrent, byte 0): expected a dictionary, found "4"`],
  ["an integer", utf8("i1e"), `not a torrent (x.torrent, byte 0): expected a dictionary, found "i"`],
  [
    "text that begins like one",
    utf8("drafts"),
    `not a valid torrent (x.torrent, byte 1): expected a key or the end of the dictionary, found "r"`,
  ],
  [
    "a torrent cut inside the hashes",
    whole.subarray(0, whole.length - 40),
    "not a valid torrent (x.torrent, byte 70): a byte string runs past the end of the input, which has 102 bytes left",
  ],
  [
    "a torrent without its last byte",
    whole.subarray(0, whole.length - 1),
    `not a valid torrent (x.torrent, byte ${whole.length - 1}): expected a key or the end of the dictionary, ` +
    "found the end of the input",
  ],
  [
    "an endless depth",
    utf8("d4:info" + "l".repeat(1000)),
    "not a valid torrent (x.torrent, byte 106): lists and dictionaries stand more than 100 deep in each other",
  ],
  // info
  ["an empty dictionary", utf8("de"), "not a valid torrent (x.torrent, info): it is missing"],
  ["no info", encode({ announce: "http://a.example" }), "not a valid torrent (x.torrent, info): it is missing"],
  [
    "info as a list",
    encode({ info: [] }),
    "not a valid torrent (x.torrent, info): expected a dictionary, found a list",
  ],
  ["info as text", encode({ info: "x" }), `not a valid torrent (x.torrent, info): expected a dictionary, found "x"`],
  ["an empty info", encode({ info: {} }), "not a valid torrent (x.torrent, info.name): it is missing"],
  // Versions
  [
    "a v2 torrent without files",
    encode({ info: { "file tree": {}, "meta version": 2, name: "x", "piece length": 16384 } }),
    "not a valid torrent (x.torrent, info.file tree): there are no files",
  ],
  [
    "a torrent of version 3",
    encode({ info: { "meta version": 3, name: "x" } }),
    "not a valid torrent (x.torrent, info.meta version): there are versions 1 and 2, found 3",
  ],
  // name
  ["no name", single({ name: undefined }), "not a valid torrent (x.torrent, info.name): it is missing"],
  [
    "a number as name",
    single({ name: 7 }),
    "not a valid torrent (x.torrent, info.name): expected a name, found the integer 7",
  ],
  [
    "a list as name",
    single({ name: ["x"] }),
    "not a valid torrent (x.torrent, info.name): expected a name, found a list",
  ],
  // piece length
  [
    "no piece length",
    single({ "piece length": undefined }),
    "not a valid torrent (x.torrent, info.piece length): it is missing",
  ],
  [
    "a piece length of 0",
    single({ "piece length": 0 }),
    "not a valid torrent (x.torrent, info.piece length): a piece has at least 1 byte, found 0",
  ],
  [
    "a negative piece length",
    single({ "piece length": -16384 }),
    "not a valid torrent (x.torrent, info.piece length): a piece has at least 1 byte, found -16384",
  ],
  [
    "a huge piece length",
    single({ "piece length": 2 ** 29 + 1 }),
    "not a valid torrent (x.torrent, info.piece length): a piece has at most 536870912 bytes (512 MiB), found 536870913",
  ],
  [
    "a piece length past 2^64",
    single({ "piece length": 2n ** 64n }),
    "not a valid torrent (x.torrent, info.piece length): a piece has at most 536870912 bytes (512 MiB), " +
    "found 18446744073709551616",
  ],
  [
    "a piece length as text",
    single({ "piece length": "16384" }),
    `not a valid torrent (x.torrent, info.piece length): expected an integer, found "16384"`,
  ],
  // length
  [
    "no length and no files",
    single({ length: undefined }),
    "not a valid torrent (x.torrent, info.length): it is missing",
  ],
  [
    "a negative length",
    single({ length: -1 }),
    "not a valid torrent (x.torrent, info.length): a length is not negative, found -1",
  ],
  [
    "a length past 2^53",
    single({ length: 2n ** 53n }),
    "not a valid torrent (x.torrent, info.length): a file has at most 2^53 bytes, found 9007199254740992",
  ],
  [
    "a length of minus 2^63",
    single({ length: -(2n ** 63n) }),
    "not a valid torrent (x.torrent, info.length): a length is not negative, found -9223372036854775808",
  ],
  [
    "a length as text",
    single({ length: "1" }),
    `not a valid torrent (x.torrent, info.length): expected an integer, found "1"`,
  ],
  [
    "a length of 0",
    single({ length: 0, pieces: "" }),
    "not a valid torrent (x.torrent, info.length): there are no bytes to download",
  ],
  // pieces
  ["no pieces", single({ pieces: undefined }), "not a valid torrent (x.torrent, info.pieces): it is missing"],
  [
    "pieces as a list",
    single({ pieces: [] }),
    "not a valid torrent (x.torrent, info.pieces): expected a byte string, found a list",
  ],
  [
    "pieces of 19 bytes",
    single({ pieces: hashes(1).subarray(1) }),
    "not a valid torrent (x.torrent, info.pieces): hashes have 20 bytes each, 19 bytes are not a multiple of that",
  ],
  [
    "empty pieces",
    single({ pieces: "" }),
    "not a valid torrent (x.torrent, info.pieces): 100000 bytes in pieces of 16384 need 7 hashes, found 0",
  ],
  [
    "a piece too few",
    single({ pieces: hashes(6) }),
    "not a valid torrent (x.torrent, info.pieces): 100000 bytes in pieces of 16384 need 7 hashes, found 6",
  ],
  [
    "a piece too many",
    single({ pieces: hashes(8) }),
    "not a valid torrent (x.torrent, info.pieces): 100000 bytes in pieces of 16384 need 7 hashes, found 8",
  ],
  [
    "a length that is far too large for its pieces",
    single({ length: Number.MAX_SAFE_INTEGER }),
    "not a valid torrent (x.torrent, info.pieces): 9007199254740991 bytes in pieces of 16384 need 549755813888 hashes, found 7",
  ],
  // files
  [
    "files as text",
    single({ length: undefined, files: "x" }),
    `not a valid torrent (x.torrent, info.files): expected a list, found "x"`,
  ],
  [
    "files as a dictionary",
    single({ length: undefined, files: {} }),
    "not a valid torrent (x.torrent, info.files): expected a list, found a dictionary",
  ],
  ["no files", several([]), "not a valid torrent (x.torrent, info.files): the list is empty"],
  [
    "a file that is no dictionary",
    several([{ path: ["a"] }], { files: [{ length: 1, path: ["a"] }, "b"] }),
    `not a valid torrent (x.torrent, info.files[1]): expected a dictionary, found "b"`,
  ],
  [
    "a file without a length",
    several([{ path: ["a"] }, { length: undefined, path: ["b"] }]),
    "not a valid torrent (x.torrent, info.files[1].length): it is missing",
  ],
  [
    "a file with a negative length",
    several([{ path: ["a"] }, { length: -5, path: ["b"] }]),
    "not a valid torrent (x.torrent, info.files[1].length): a length is not negative, found -5",
  ],
  [
    "a file with a length past 2^53",
    several([{ length: 2n ** 60n, path: ["b"] }]),
    "not a valid torrent (x.torrent, info.files[0].length): a file has at most 2^53 bytes, found 1152921504606846976",
  ],
  [
    "files with lengths that overflow together",
    several([{ path: ["a"] }], {
      files: [{ length: 2 ** 53 - 1, path: ["a"] }, { length: 0, path: ["b"] }, { length: 1, path: ["c"] }],
    }),
    "not a valid torrent (x.torrent, info.files[2].length): the files have more than 2^53 bytes together",
  ],
  ["a file without a path", several([{}]), "not a valid torrent (x.torrent, info.files[0].path): it is missing"],
  [
    "a path as text",
    several([{ path: "a/b" }]),
    "not a valid torrent (x.torrent, info.files[0].path): expected a list of names",
  ],
  [
    "an empty path",
    several([{ path: [] }]),
    "not a valid torrent (x.torrent, info.files[0].path): the list of names is empty",
  ],
  [
    "a number in a path",
    several([{ path: ["a", 7] }]),
    "not a valid torrent (x.torrent, info.files[0].path): expected a name, found the integer 7",
  ],
  [
    "a list in a path.utf-8",
    several([{ path: ["a"], "path.utf-8": [["b"]] }]),
    "not a valid torrent (x.torrent, info.files[0].path.utf-8): expected a name, found a list",
  ],
  [
    "a path that is too long",
    several([{ path: new Array<string>(20).fill("x".repeat(200)) }]),
    "not a valid torrent (x.torrent, info.files[0].path): the path has more than 3072 bytes",
  ],
  [
    "more names in its paths than are kept",
    swapped(several([{ path: ["@"] }]), "1:@", "0:".repeat(3_000_001)),
    "not a valid torrent (x.torrent, info.files[0].path): there are more than 3000000 names in the paths of all files together",
  ],
  [
    "files without bytes",
    several([{ length: 0, path: ["a"] }, { length: 0, path: ["b"] }]),
    "not a valid torrent (x.torrent, info.files): there are no bytes to download",
  ],
  [
    "too many files",
    swapped(several([], { files: ["@"] }), "1:@", "de".repeat(500_001)),
    "not a valid torrent (x.torrent, info.files): there are 500001 files, at most 500000 are accepted",
  ],
  [
    "a number in a symlink path",
    several([{ path: ["a"] }, { attr: "l", path: ["b"], "symlink path": [1] }]),
    "not a valid torrent (x.torrent, info.files[1].symlink path): expected a name, found the integer 1",
  ],
];

for (const [name, torrent, message] of MALFORMED) {
  Deno.test(`parseMetainfo() refuses ${name}`, () => {
    const error = assertThrows(() => parseMetainfo(torrent, { source: "x.torrent" }), MetainfoError);
    assertEquals(error.message, message);
    assertEquals(error.kind, "torrent");
    assertEquals(error instanceof ShoalError, true);
    assertEquals(error.where, `x.torrent, ${error.key}`);
  });
}

Deno.test("parseMetainfo() gives the parts of the error line of the command-line contract", () => {
  const error = assertThrows(() => parseMetainfo(utf8("Hello"), { source: "notes.txt" }), MetainfoError);
  assertEquals([error.what, error.where, error.why], [
    "not a torrent",
    "notes.txt, byte 0",
    `expected a dictionary, found "H"`,
  ]);
  assertEquals(error.hint, "");
});

Deno.test("parseMetainfo() advises to fetch a damaged torrent again", () => {
  const error = assertThrows(() => parseMetainfo(whole.subarray(0, 50)), MetainfoError);
  assertEquals(error.hint, DAMAGED);
  assertEquals(error.where, error.key);
});

Deno.test("parseMetainfo() refuses a torrent file that is too large", () => {
  const error = assertThrows(() => parseMetainfo(new Uint8Array(64 * 1024 * 1024 + 1)), MetainfoError);
  assertEquals(
    error.message,
    "not a torrent (byte 67108864): it has 67108865 bytes, at most 67108864 (64 MiB) are accepted",
  );
});

Deno.test("parseMetainfo() accepts the torrent that the malformed ones are made of", () => {
  assertEquals(parseMetainfo(whole).totalLength, SINGLE.length);
  assertEquals(parseMetainfo(several([{ path: ["a"] }])).totalLength, 1);
});
