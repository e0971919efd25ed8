import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { equalBytes } from "../src/base/bytes.ts";
import { Job } from "./support/job.ts";
import { noise } from "./support/payload.ts";
import { TEST_FLAGS } from "./support/from_source.ts";

const ROOT = decodeURI(new URL("..", import.meta.url).pathname);
const SOON = 30;

/** Starts an example with only the permissions that it needs. */
function start(name: string, permissions: readonly string[], ...args: string[]): Job {
  const flags = ["--no-prompt", "--no-check", ...TEST_FLAGS, ...permissions];
  return new Job([Deno.execPath(), "run", ...flags, `${ROOT}examples/${name}.ts`, ...args], {
    name,
    reads: name === "keeper",
  });
}

Deno.test("the examples work together: a tracker, a seeder, a download", async () => {
  const folder = await Deno.makeTempDir({ prefix: "shoal_examples_" });
  try {
    const data = noise(1_000_000, 41);
    await Deno.mkdir(`${folder}/source`);
    await Deno.mkdir(`${folder}/out`);
    await Deno.writeFile(`${folder}/source/file.bin`, data);
    const torrent = `${folder}/file.torrent`;

    await using tracker = start("tracker", ["--allow-net"], "127.0.0.1:0");
    const announce = await tracker.line((line) => line.startsWith("http://"), { seconds: SOON, what: "it listens" });
    const reads = `--allow-read=${folder}`;
    const seeding = ["--allow-net", reads, `--allow-write=${torrent}`];
    await using seeder = start("create_and_seed", seeding, `${folder}/source/file.bin`, announce, torrent);
    await seeder.line((line) => line.startsWith(`${announce}: ok`), { seconds: SOON, what: "it is announced" });
    assertMatch(seeder.stdout.join("\n"), /^magnet:\?xt=urn:btih:[0-9a-f]{40}&/m);

    const downloading = ["--allow-net", reads, `--allow-write=${folder}/out`];
    await using download = start("download", downloading, torrent, `${folder}/out`);
    const { code, stdout, stderr } = await download.exit(SOON);
    assertEquals([code, stderr], [0, []]);
    assertStringIncludes(stdout.join("\n"), "100 % from");
    // A line with the progress may follow while the torrent stops.
    assertMatch(stdout.join("\n"), /^file\.bin is complete: 1000000 bytes in [\d.]+ s$/m);
    assertEquals(equalBytes(await Deno.readFile(`${folder}/out/file.bin`), data), true);

    for (const job of [seeder, tracker]) {
      job.signal("SIGINT");
      const { code, stderr } = await job.exit(SOON);
      assertEquals([code, stderr], [0, []], job.name);
    }
    await using wrong = start("download", downloading, "magnet:?dn=x", `${folder}/out`);
    const refused = await wrong.exit(SOON);
    assertEquals([refused.code, refused.stdout, refused.stderr.length], [1, [], 1]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("the example that keeps torrents changes them as it is told, and has them again the next time", async () => {
  const folder = await Deno.makeTempDir({ prefix: "shoal_keeper_" });
  try {
    const data = noise(300_000, 42);
    await Deno.mkdir(`${folder}/source`);
    await Deno.writeFile(`${folder}/source/file.bin`, data);
    await using tracker = start("tracker", ["--allow-net"], "127.0.0.1:0");
    const announce = await tracker.line((line) => line.startsWith("http://"), { seconds: SOON, what: "it listens" });
    const torrent = `${folder}/file.torrent`;
    const reads = ["--allow-net", `--allow-read=${folder}`];
    const seeding = [...reads, `--allow-write=${torrent}`];
    await using seeder = start("create_and_seed", seeding, `${folder}/source/file.bin`, announce, torrent);
    await seeder.line((line) => line.startsWith(`${announce}: ok`), { seconds: SOON, what: "it is announced" });

    const keeping = [...reads, `--allow-write=${folder}`];
    const keeper = () => start("keeper", keeping, `${folder}/out`, `${folder}/state`);
    const until = (job: Job, end: string) => job.line((line) => line.endsWith(end), { seconds: SOON, what: end });
    await using first = keeper();
    await first.write(`add ${torrent}\n`);
    const hash = (await until(first, " seeding")).split(" ")[0]!;
    await first.write(`pause ${hash.slice(0, 6)}\nmove ${hash} ${folder}/there\nlimit ${hash} 0\n`);
    await until(first, " has other folder");
    await first.write("stop\n");
    const { code, stderr } = await first.exit(SOON);
    assertEquals([code, stderr.length], [0, 1], stderr.join("\n"));

    await using second = keeper();
    await until(second, ": file.bin");
    await second.write(`resume ${hash}\n`);
    await until(second, " seeding");
    assertEquals(equalBytes(await Deno.readFile(`${folder}/there/file.bin`), data), true);
    await second.write(`remove ${hash} data\n`);
    await until(second, " removed");
    assertEquals([...Deno.readDirSync(`${folder}/there`)], []);
    for (const job of [second, seeder, tracker]) job.signal("SIGINT");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a program in another folder imports the library as docs/library.md says", async () => {
  const folder = await Deno.makeTempDir({ prefix: "shoal_library_" });
  try {
    const page = await Deno.readTextFile(`${ROOT}docs/library.md`);
    await Deno.writeTextFile(`${folder}/deno.json`, /^```json\n(.*?)^```$/ms.exec(page)![1]!);
    await Deno.symlink(ROOT, `${folder}/shoal`);
    await Deno.writeTextFile(
      `${folder}/main.ts`,
      'import { parseMagnet } from "@shoal/shoal";\nconsole.log(parseMagnet("0".repeat(40)).infoHash.hex);\n',
    );
    await using job = new Job([Deno.execPath(), "run", "--no-prompt", "--no-check", "--no-lock", "main.ts"], {
      name: "main",
      cwd: folder,
    });
    const { code, stdout } = await job.exit(SOON);
    assertEquals([code, stdout], [0, ["0".repeat(40)]], job.report);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
