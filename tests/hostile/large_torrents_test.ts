import { assertEquals, assertLess, assertStringIncludes } from "@std/assert";
import { withScratch } from "../support/scratch.ts";

const MAIN = new URL("../../main.ts", import.meta.url).pathname;
/** MiB for JavaScript's own values. Before there were limits, the first torrent took some 3,000. */
const HEAP = 700;
/** Seconds for one command; on a quiet machine they take one to six. */
const PATIENCE = 120;

/** A name of its own for each number, as a bencoded string. */
function name(i: number): string {
  const text = i.toString(16);
  return `${text.length}:${text}`;
}

const DEEP = "1:a".repeat(98);
const VERY_DEEP = "1:a".repeat(1490);

/** Torrents of empty files in many folders, how many there are, and what is said of them when they are refused. */
const TORRENTS: readonly [what: string, count: number, path: (i: number) => string, refusal?: string][] = [
  ["100,000 files with 99 folders of their own", 100_000, (i) => name(i) + DEEP, "names in the paths of all files"],
  ["folders without number", 450_000, (i) => `${name(i)}1:x`, "there are more than 400000 folders"],
  ["as many folders as are taken", 399_000, (i) => `${name(i)}1:x`],
  ["folders as deep as may be", 260, (i) => `${name(i)}${VERY_DEEP}`],
  ["two deep folders by turns", 1_900, (i) => `1:${"xy"[i % 2]}${VERY_DEEP}${name(i)}`],
  ["files that all have one name", 300_000, () => "8:same.txt"],
  ["names that come to nothing", 300_000, () => "2:.."],
];

function torrentOf(count: number, path: (i: number) => string): string {
  const files = Array.from({ length: count }, (_, i) => `d6:lengthi${i === 0 ? 1 : 0}e4:pathl${path(i)}ee`);
  return `d4:infod5:filesl${files.join("")}e4:name1:t12:piece lengthi16384e6:pieces20:${"x".repeat(20)}ee`;
}

for (const [what, count, path, refusal] of TORRENTS) {
  Deno.test(`a torrent of ${what} costs seconds and memory that fits it`, () =>
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
