/** Inputs that are long rather than odd: a decoder that takes quadratic time for one takes minutes. */
import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { utf8 } from "../../src/base/bytes.ts";
import { MAX_BLOCKLIST_RANGES } from "../../src/base/defences.ts";
import { ShoalError } from "../../src/base/errors.ts";
import { BencodeDict, BencodeError, BencodeList, decode } from "../../src/bencode/mod.ts";
import { parseMetainfo } from "../../src/metainfo/mod.ts";
import { foldName } from "../../src/metainfo/safe_path.ts";
import { resolveLinks } from "../../src/metainfo/symlinks.ts";
import { uniquePaths } from "../../src/metainfo/unique_paths.ts";
import { denoPlatform } from "../../src/platform/deno_platform.ts";
import { parseBlocklist, readBlocklist } from "../../src/session/blocklist.ts";
import { type FileKeys, several } from "../metainfo/support.ts";

const MIB = 1024 * 1024;

function repeated(head: string, unit: string, tail = ""): Uint8Array {
  return utf8(head + unit.repeat(Math.floor((MIB - head.length - tail.length) / unit.length)) + tail);
}

/** Values that a careless decoder takes long for. */
const WORST_SHAPES: Record<string, Uint8Array> = {
  "empty strings": repeated("l", "0:", "e"),
  "empty lists": repeated("l", "le", "e"),
  "empty dictionaries": repeated("l", "de", "e"),
  "short strings": repeated("l", "1:a", "e"),
  "the same key again and again": repeated("d", "0:de", "e"),
  "one long integer": repeated("i", "9"),
  "long integers": repeated("l", `i${"9".repeat(64)}e`, "e"),
  "one long length": repeated("", "9"),
  "one long length of zeros": repeated("", "0"),
  "one long string": utf8(`${MIB}:${"x".repeat(MIB)}`),
  "one long key": utf8(`d${MIB}:${"x".repeat(MIB)}i1ee`),
  "open lists": repeated("", "l"),
  "long keys with one beginning": utf8(
    `d${Array.from({ length: 1000 }, (_, i) => `1003:${"x".repeat(1000)}${100 + (i % 900)}le`).join("")}e`,
  ),
};

for (const [name, input] of Object.entries(WORST_SHAPES)) {
  Deno.test(`decode() takes a MiB of ${name} in linear time`, () => {
    // Linear decoding takes some tens of milliseconds; quadratic decoding would take minutes.
    for (const strict of [false, true]) {
      try {
        const value = decode(input, { maxDepth: 1e9, strict });
        if (value instanceof BencodeDict) value.has("y");
        if (value instanceof BencodeList) value.at(-1);
      } catch (error) {
        assert(error instanceof BencodeError, String(error));
      }
    }
  });
}

/** Paths in a crowd. */
const COUNT = 20_000;
/** Paths of a torrent that are hard to tell apart. */
const CROWDS: Record<string, (i: number) => string> = {
  "equal paths": () => "r/same.txt",
  "paths equal but for case": (i) =>
    `r/${[..."abcdefghijklmnopq"].map((c, bit) => (i >> bit) & 1 ? c.toUpperCase() : c).join("")}`,
  "paths that take each other's numbers": (i) => i % 2 ? "r/a" : `r/a.${i / 2}`,
  "pairs of long paths with one beginning": (i) => `r/${"x".repeat(235)}${100_000 + (i >> 1)}.mkv`,
  "paths whose numbers have numbers": (i) => `r/a${".1".repeat(i % 100)}`,
};

for (const [name, path] of Object.entries(CROWDS)) {
  Deno.test(`uniquePaths() numbers 20,000 ${name} in linear time`, () => {
    const paths = Array.from({ length: COUNT }, (_, i) => path(i).split("/"));
    // Linear numbering takes about a hundred milliseconds; a quadratic one would take a minute.
    const made = uniquePaths(paths);
    assertEquals(new Set(made.map((parts) => foldName(parts.join("/")))).size, COUNT);
  });
}

Deno.test("resolveLinks() follows a chain of 30,000 links, and as many that share folders, in linear time", () => {
  const links = (...entries: (readonly [path: string, target?: string])[]) =>
    resolveLinks(entries.map(([path, target]) => {
      const parts = path.split("/");
      return { path: parts, finalPath: parts, target: target?.split("/") ?? null };
    }));
  const chain = Array.from({ length: 30_000 }, (_, i) => [`r/${i + 1}`, `r/${i}`] as const).reverse();
  // Linear resolution takes some hundred milliseconds; a quadratic one would take minutes.
  assertEquals(links(...chain, ["r/0"]).filter((path) => path !== null).length, 40);
  const deep = `r/${"d/".repeat(50)}`;
  assertEquals(
    links([`${deep}f`], ...Array.from({ length: 20_000 }, (_, i) => [`r/${i}`, `${deep}f`] as const)).at(-1)?.join("/"),
    `${deep}f`,
  );
});

Deno.test("parseMetainfo() takes 30,000 files that all collide in linear time", () => {
  const files = new Array<FileKeys>(30_000).fill({ path: ["some folder", "the same name.txt"] });
  const torrent = several(files);
  const meta = parseMetainfo(torrent); // a quadratic parser would take minutes
  assertEquals(meta.files.at(-1)!.path, ["root", "some folder", "the same name.29999.txt"]);
});

Deno.test("parseBlocklist() has no use for a list without end", () => {
  const long = "1.1.1.1\n".repeat(MAX_BLOCKLIST_RANGES + 1);
  assertStringIncludes(assertThrows(() => parseBlocklist(long, "my.p2p"), ShoalError).why, `${MAX_BLOCKLIST_RANGES}`);
});

Deno.test("readBlocklist() says that a packed list is larger than a list may be", async () => {
  const folder = await Deno.makeTempDir({ prefix: "shoal-test-" });
  try {
    const bomb = `${folder}/bomb.gz`;
    const packed = new Blob([new Uint8Array(65 << 20)]).stream().pipeThrough(new CompressionStream("gzip"));
    await Deno.writeFile(bomb, packed);
    const error = await assertRejects(() => readBlocklist(bomb, denoPlatform.files), ShoalError);
    assertEquals([error.kind, error.where], ["usage", bomb]);
    assertStringIncludes(error.why, "larger than");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
