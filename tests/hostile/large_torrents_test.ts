import { assertEquals, assertLess, assertStringIncludes } from "@std/assert";
import { withScratch } from "../support/scratch.ts";

const MAIN = new URL("../../main.ts", import.meta.url).pathname;
/** Heap limit in MiB. Without limits in the parser, the first torrent took about 3,000 MiB. */
const HEAP = 700;
/** Seconds for one command. On a quiet machine a command takes 1 to 6 s. */
const PATIENCE = 120;

/** Returns a distinct name for each number, as a bencoded string. */
function name(i: number): string {
  const text = i.toString(16);
  return `${text.length}:${text}`;
}

const DEEP = "1:a".repeat(98);
const VERY_DEEP = "1:a".repeat(1490);

/** Torrents of empty files: description, number of files, path of a file, and part of the error if it is refused. */
const TORRENTS: readonly [what: string, count: number, path: (i: number) => string, refusal?: string][] = [
  ["100,000 files with 99 folders of their own", 100_000, (i) => name(i) + DEEP, "names in the paths of all files"],
  ["450,000 folders", 450_000, (i) => `${name(i)}1:x`, "there are more than 400000 folders"],
  ["399,000 folders", 399_000, (i) => `${name(i)}1:x`],
  ["folders of the greatest depth allowed", 260, (i) => `${name(i)}${VERY_DEEP}`],
  ["files in two deep folders in alternation", 1_900, (i) => `1:${"xy"[i % 2]}${VERY_DEEP}${name(i)}`],
  ["files with the same name", 300_000, () => "8:same.txt"],
  ["files named `..`", 300_000, () => "2:.."],
];

function torrentOf(count: number, path: (i: number) => string): string {
  const files = Array.from({ length: count }, (_, i) => `d6:lengthi${i === 0 ? 1 : 0}e4:pathl${path(i)}ee`);
  return `d4:infod5:filesl${files.join("")}e4:name1:t12:piece lengthi16384e6:pieces20:${"x".repeat(20)}ee`;
}

for (const [what, count, path, refusal] of TORRENTS) {
  Deno.test(`info and download --list take bounded time, memory and output for a torrent of ${what}`, () =>
    withScratch(async (folder) => {
      const torrent = `${folder}/x.torrent`;
      await Deno.writeTextFile(torrent, torrentOf(count, path));
      const { size } = await Deno.stat(torrent);
      for (const args of [["info", torrent], ["info", "--json", torrent], ["download", "--list", torrent]]) {
        const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
          args: ["run", "-A", `--v8-flags=--max-old-space-size=${HEAP}`, MAIN, ...args],
          signal: AbortSignal.timeout(PATIENCE * 1000),
          env: { NO_COLOR: "1" },
        }).output();
        const said = new TextDecoder().decode(stderr);
        assertEquals(code, refusal === undefined ? 0 : 3, `${args}: ${said.slice(0, 500)}`);
        if (refusal !== undefined) assertStringIncludes(said, refusal);
        assertLess(stdout.length, 10 * size + 10_000);
      }
    }));
}
