import { assert } from "@std/assert";
import type { Encodable } from "../../src/bencode/mod.ts";
import { type Metainfo, MetainfoError, parseMetainfo } from "../../src/metainfo/mod.ts";
import { checkTorrent } from "../fuzz/targets/metainfo.ts";
import { fc, unicodeText } from "../support/property.ts";
import { type FileKeys, hashes, several, single } from "./support.ts";

/** Names with many harmful characters, some of them not text. */
const name = fc.oneof(
  fc.constantFrom(
    "a",
    "A",
    "b",
    "..",
    ".",
    "",
    "/",
    "C:\\",
    "a/../b",
    "CON",
    "\u202ea",
    "\u00e9",
    "e\u0301",
    "a.1",
    "a\0",
    ".pad",
  ),
  unicodeText({ maxLength: 6 }),
  fc.uint8Array({ maxLength: 6 }),
  fc.constant("\u65e5".repeat(100)),
);
const path = fc.array(name, { minLength: 1, maxLength: 4 });
const file: fc.Arbitrary<FileKeys> = fc.record(
  { attr: fc.constantFrom("", "", "p", "l", "x", "lx"), length: fc.nat(50_000), path, "symlink path": path },
  { requiredKeys: ["length", "path"] },
);

/**
 * Parses a torrent and asserts that the outcome is a valid torrent or a MetainfoError.
 *
 * @returns `true` for a torrent.
 */
function parse(bytes: Uint8Array): boolean {
  let meta: Metainfo;
  try {
    meta = parseMetainfo(bytes, { source: "x" });
  } catch (error) {
    assert(error instanceof MetainfoError, String(error));
    return false;
  }
  checkTorrent(meta);
  return true;
}

Deno.test("parseMetainfo() makes any file list safe", () => {
  let accepted = 0;
  fc.assert(
    fc.property(fc.array(file, { minLength: 1, maxLength: 12 }), name, (files, root) => {
      const total = files.reduce(
        (sum, file) => sum + (String(file["attr"] ?? "").includes("l") ? 0 : Number(file["length"])),
        0,
      );
      if (parse(several(files, { name: root, pieces: hashes(Math.ceil(total / 16_384)) }))) accepted++;
    }),
    { numRuns: 200 },
  );
  assert(accepted > 100, `only ${accepted} were accepted`);
});

const leaf = fc.oneof(fc.integer(), fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }), name);
const junk: fc.Arbitrary<Encodable> = fc.letrec<{ value: Encodable }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    leaf,
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom("length", "path", "files", "attr", "x"), tie("value"), { maxKeys: 3 }),
  ),
})).value;

Deno.test("parseMetainfo() throws nothing but MetainfoError on keys with arbitrary values", () => {
  const info = fc.constantFrom(
    "files",
    "length",
    "name",
    "name.utf-8",
    "piece length",
    "pieces",
    "private",
    "attr",
    "meta version",
  );
  const outer = fc.constantFrom(
    "announce",
    "announce-list",
    "url-list",
    "nodes",
    "comment",
    "encoding",
    "creation date",
    "info",
  );
  fc.assert(
    fc.property(
      fc.dictionary(info, junk, { maxKeys: 2 }),
      fc.dictionary(outer, junk, { maxKeys: 3 }),
      (inside, outside) => {
        parse(single(inside, outside));
        parse(several([{ path: ["a"] }], inside));
      },
    ),
    { numRuns: 500 },
  );
});

Deno.test("parseMetainfo() throws nothing but MetainfoError on file entries with arbitrary values", () => {
  const keys = fc.constantFrom("length", "path", "path.utf-8", "attr", "symlink path");
  fc.assert(
    fc.property(fc.dictionary(keys, junk, { maxKeys: 3 }), (keys) => {
      parse(several([{ path: ["a"] }, { path: ["b"], ...keys }]));
    }),
    { numRuns: 100 },
  );
});

Deno.test("parseMetainfo() throws nothing but MetainfoError on mutated torrents", () => {
  const originals = [
    single({ private: 1 }, { "announce-list": [["http://a.example"]], encoding: "GBK", nodes: [["a.example", 1]] }),
    several([{ attr: "x", path: ["d", "a"] }, { attr: "p", length: 9 }, {
      attr: "l",
      path: ["l"],
      "symlink path": ["d"],
    }]),
  ];
  const change = fc.record({
    at: fc.nat(),
    kind: fc.constantFrom("set", "digit", "cut", "insert", "drop"),
    byte: fc.nat(255),
  });
  fc.assert(
    fc.property(
      fc.constantFrom(...originals),
      fc.array(change, { minLength: 1, maxLength: 3 }),
      (original, changes) => {
        let bytes = [...original];
        for (const { at, kind, byte } of changes) {
          const index = at % (bytes.length + 1);
          if (kind === "set") bytes[index] = byte;
          if (kind === "digit") bytes[index] = 0x30 + byte % 10;
          if (kind === "cut") bytes = bytes.slice(0, index);
          if (kind === "insert") bytes.splice(index, 0, byte);
          if (kind === "drop") bytes.splice(index, 1);
        }
        parse(Uint8Array.from(bytes));
      },
    ),
    { numRuns: 1000 },
  );
});

Deno.test("parseMetainfo() throws nothing but MetainfoError on arbitrary bytes", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => void parse(bytes)));
});
