import { assertEquals } from "@std/assert";
import { encode } from "../../../src/bencode/mod.ts";
import { type Metainfo, parseMetainfo } from "../../../src/metainfo/mod.ts";
import { FileParts, WebFiles } from "../../../src/swarm/web_seeds/web_files.ts";
import { hashes, several, single } from "../../metainfo/support.ts";
import { fc } from "../../support/property.ts";

// A torrent of one file, and a torrent of a folder.
const SINGLE = parseMetainfo(single({ name: "a b\u00e9.bin" }));
const FOLDER = parseMetainfo(several([{ path: ["x", "y&z?.txt"], length: 20_000 }, { path: ["100%"], length: 5 }]));

function urls(url: string, meta: Metainfo): string[] {
  const parts = new FileParts(url, new WebFiles(meta)).parts(0, meta.totalLength);
  return parts.map((part) => part.url!);
}

const RULES: [name: string, url: string, single: string, first: string][] = [
  [
    "a folder with a slash",
    "http://w.example/pub/",
    "http://w.example/pub/a%20b%C3%A9.bin",
    "http://w.example/pub/root/x/y%26z%3F.txt",
  ],
  [
    "no slash: the file itself, or a folder all the same",
    "http://w.example/pub",
    "http://w.example/pub",
    "http://w.example/pub/root/x/y%26z%3F.txt",
  ],
  [
    "a fragment, which is left out",
    "http://w.example/pub/#top",
    "http://w.example/pub/a%20b%C3%A9.bin",
    "http://w.example/pub/root/x/y%26z%3F.txt",
  ],
  [
    "a query, which stays where it is",
    "http://w.example/get?f=/",
    "http://w.example/get?f=/a%20b%C3%A9.bin",
    "http://w.example/get?f=/root/x/y%26z%3F.txt",
  ],
];

for (const [name, url, alone, first] of RULES) {
  Deno.test(`FileParts makes URLs of ${name}`, () => {
    assertEquals(urls(url, SINGLE), [alone]);
    assertEquals(urls(url, FOLDER)[0], first);
  });
}

Deno.test("FileParts asks for the names that the torrent has, not for those that were made safe", () => {
  const meta = parseMetainfo(several([
    { path: ["..", ".", "con", "a:b", "x/y"] },
    { path: [Uint8Array.of(0xff, 0x61)] },
    { path: ["old"], "path.utf-8": ["new"] },
  ], { name: "r*ot" }));
  assertEquals(urls("http://w.example/", meta), [
    "http://w.example/r%2Aot/con/a%3Ab/x%2Fy",
    "http://w.example/r%2Aot/%FFa",
    "http://w.example/r%2Aot/new",
  ]);
});

Deno.test("FileParts cuts at the borders of files, and has zeros where there is padding", () => {
  const meta = parseMetainfo(several([
    { path: ["a"], length: 10 },
    { path: [".pad", "6"], length: 6, attr: "p" },
    { path: ["empty"], length: 0 },
    { path: ["b"], length: 20 },
  ]));
  const parts = new FileParts("http://w.example", new WebFiles(meta)).parts(4, 26);
  assertEquals(parts, [
    { url: "http://w.example/root/a", at: 4, length: 6, first: 4, size: 10, file: 0 },
    { url: null, at: 10, length: 6, first: 0, size: 0, file: -1 },
    { url: "http://w.example/root/b", at: 16, length: 10, first: 0, size: 20, file: 3 },
  ]);
});

Deno.test("FileParts covers whatever it is asked for, once", () => {
  const file = fc.record({ length: fc.nat(50), pad: fc.boolean() });
  fc.assert(fc.property(fc.array(file, { minLength: 1, maxLength: 12 }), fc.nat(600), fc.nat(600), (files, a, b) => {
    const list = files.map(({ length, pad }, i) => ({ length, path: [`${i}`], ...(pad && { attr: "p" }) }));
    list.push({ length: 1, path: ["last"] });
    const total = list.reduce((sum, { length }) => sum + length, 0);
    const pieces = hashes(Math.ceil(total / 16));
    const meta = parseMetainfo(encode({ info: { files: list, name: "n", "piece length": 16, pieces } }));
    const begin = Math.min(a, b, total);
    const end = Math.min(Math.max(a, b), total);
    let at = begin;
    for (const part of new FileParts("http://w.example/", new WebFiles(meta)).parts(begin, end)) {
      assertEquals(part.at, at);
      at += part.length;
      if (part.url === null) continue;
      assertEquals(part.at - part.first, meta.files[part.file]!.offset);
      assertEquals(part.first + part.length <= part.size, true);
    }
    assertEquals(at, end);
  }));
});
