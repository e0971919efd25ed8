/** Tests of `shoal verify`: its verdicts, its exit codes, and that it changes no file. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { freePort } from "../support/aria2.ts";
import { runShoal, startShoal } from "../support/binary.ts";
import { eventsOf } from "../support/events.ts";
import { assertSame, makeFile, makeTree } from "../support/payload.ts";
import { testWith } from "../support/requirements.ts";
import { withScratch } from "../support/scratch.ts";
import { makeTorrent } from "../support/torrents.ts";

const MIB = 1 << 20;
/** Size in bytes, large enough for hashing on several threads. */
const SIZE = 96 * MIB + 12_345;

interface FileLine {
  readonly path: string;
  readonly valid: number;
  readonly pieces: number;
  readonly verdict: string;
}

testWith(
  "shoal verify accepts good data and finds every damaged piece",
  ["binary"],
  () =>
    withScratch(async (folder) => {
      const payload = await makeFile(`${folder}/data`, { name: "file.bin", size: SIZE, seed: 31 });
      const infohash = await makeTorrent(payload, { path: `${folder}/file.torrent` });
      const good = await runShoal(["verify", "file.torrent", "data"], folder);
      assertEquals([good.code, good.stderr], [0, []]);
      assertMatch(good.stdout.at(-1)!, /^file\.bin: 96 MiB in 1 file, all 385 pieces are right, checked in /);

      using file = await Deno.open(`${folder}/data/file.bin`, { write: true });
      for (const at of [0, 50 * MIB, SIZE - 1]) {
        await file.seek(at, Deno.SeekMode.Start);
        // The payload is noise, which doesn't have the same byte 300 times in a row.
        await file.write(new Uint8Array(Math.min(300, SIZE - at)).fill(7));
      }
      const bad = await runShoal(["verify", "file.torrent", "data", "--json"], folder);
      assertEquals(bad.code, 3);
      assertEquals(bad.stderr.length, 1);
      assertStringIncludes(
        bad.stderr[0]!,
        "shoal: error: the data does not match the torrent (file.bin in data): 3 of 385",
      );
      const events = eventsOf(bad.stdout);
      const last = events.pop()!;
      assertEquals(last, {
        event: "verified",
        time: last["time"],
        infohash,
        name: "file.bin",
        pieces: 385,
        valid: 382,
        bytes: SIZE,
        files: [{ path: "file.bin", length: SIZE, pieces: 385, valid: 382, verdict: "wrong" }],
      });
      assert(events.length > 0 && events.every(({ event }) => event === "checking"));
      assertEquals(events.at(-1)!["progress"], 1);
      const quiet = await runShoal(["verify", "file.torrent", "data", "-q"], folder);
      assertEquals([quiet.code, quiet.stdout, quiet.stderr], [3, [], bad.stderr]);
    }),
);

testWith(
  "shoal verify names the missing, short and wrong files of a tree, and changes no file",
  ["binary"],
  () =>
    withScratch(async (folder) => {
      const payload = await makeTree(`${folder}/data`, { name: "a tree", seed: 32 });
      await makeTorrent(payload, { path: `${folder}/tree.torrent`, pieceLength: 1 << 16 });
      assertEquals((await runShoal(["verify", "tree.torrent", "data"], folder)).code, 0);
      await assertSame(payload, `${folder}/data`);

      const large = payload.files.filter(({ size }) => size > 300_000).map(({ path }) => path);
      const [missing, short, wrong] = large as [string, string, string];
      await Deno.remove(`${folder}/data/${missing}`);
      await Deno.truncate(`${folder}/data/${short}`, 100_000);
      using file = await Deno.open(`${folder}/data/${wrong}`, { write: true });
      await file.seek(150_000, Deno.SeekMode.Start);
      await file.write(new Uint8Array(100));
      const { code, stdout, stderr } = await runShoal(["verify", "tree.torrent", "data", "--json"], folder);
      assertEquals([code, stderr.length], [3, 1]);
      const files = eventsOf(stdout, "verified")[0]!["files"] as readonly FileLine[];
      const verdictOf = (path: string) => files.find((file) => file.path === path)!.verdict;
      assertEquals([missing, short, wrong].map(verdictOf), ["missing", "short", "wrong"]);
      assertEquals(files.length, payload.files.length);
      const others = files.filter(({ path }) => ![missing, short, wrong].includes(path));
      for (const { path, verdict } of others) assert(["right", "unproven"].includes(verdict), `${path}: ${verdict}`);
      assert(others.filter(({ verdict }) => verdict === "right").length > 150);
      const human = await runShoal(["verify", "tree.torrent", "data"], folder);
      assertStringIncludes(human.stdout.join("\n"), `  missing     ${missing}\n`);
    }),
);

testWith(
  "shoal verify has the documented exit codes and one error line",
  ["binary"],
  () =>
    withScratch(async (folder) => {
      const payload = await makeFile(`${folder}/data`, { name: "file.bin", size: MIB, seed: 33 });
      await makeTorrent(payload, { path: `${folder}/file.torrent` });
      await Deno.mkdir(`${folder}/nothing`);
      const cases: [args: string[], code: number, words: string][] = [
        [["file.torrent", "none"], 4, "there is no such file or folder"],
        [["file.torrent", "nothing"], 3, "choose the folder that holds it"],
        [["data/file.bin", "data"], 3, "not a torrent"],
        [["none.torrent", "data"], 2, "there is no such file"],
        [["file.torrent"], 2, "missing argument"],
      ];
      for (const [args, code, words] of cases) {
        const result = await runShoal(["verify", ...args], folder);
        assertEquals([result.code, result.stderr.length], [code, 1], args.join(" "));
        assertStringIncludes(result.stderr[0]!, words);
      }
    }),
);

testWith(
  "shoal verify ends with exit code 130 when it is interrupted in the middle of the data",
  ["binary"],
  () =>
    withScratch(async (folder) => {
      const payload = await makeFile(`${folder}/data`, { name: "file.bin", size: 4 * MIB, seed: 34 });
      await makeTorrent(payload, { path: `${folder}/file.torrent` });
      // A sparse file takes no space on disk, and is hashed like any other.
      const pieces = 1 << 15;
      const info = `d6:lengthi${pieces * MIB}e4:name4:huge12:piece lengthi${MIB}e6:pieces${pieces * 20}:`;
      const hashes = "x".repeat(pieces * 20);
      await Deno.writeTextFile(`${folder}/huge.torrent`, `d4:info${info}${hashes}ee`);
      await Deno.writeTextFile(`${folder}/data/huge`, "");
      await Deno.truncate(`${folder}/data/huge`, pieces * MIB);
      await using job = startShoal(["verify", "huge.torrent", "data", "--json"], folder);
      await job.line((line) => line.includes("checking"), { seconds: 30, what: "the check to be under way" });
      job.signal("SIGINT");
      const { code, stdout, stderr } = await job.exit(10);
      assertEquals([code, stderr, eventsOf(stdout, "verified")], [130, [], []]);
    }),
);

testWith(
  "shoal verify --files says 0 after a download of these files, and shoal seed serves what is there, whatever it is called",
  ["binary"],
  () =>
    withScratch(async (folder) => {
      const payload = await makeTree(`${folder}/source`, { name: "a tree", seed: 35 });
      await makeTorrent(payload, { path: `${folder}/tree.torrent`, pieceLength: 1 << 16 });
      const single = await makeFile(`${folder}/source`, { name: "file.bin", size: MIB + 7, seed: 36 });
      await makeTorrent(single, { path: `${folder}/file.torrent` });
      const port = freePort();
      const alone = ["--no-dht", "--no-lsd", "--no-pex", "--no-port-map"];
      await using seeder = startShoal(
        ["seed", "tree.torrent", "file.torrent", "source", "-p", `${port}`, "--json", ...alone],
        folder,
      );
      for (const name of ["a tree", "file.bin"]) {
        await seeder.line((line) => line.includes('"completed"') && line.includes(name), { seconds: 20, what: name });
      }
      const chosen = payload.files.toSorted((a, b) => b.size - a.size)[1]!;
      const files = ["--files", chosen.path.split("/").slice(1).join("/")];
      const peer = ["-p", "0", "--peer", `127.0.0.1:${port}`, "--timeout", "20s"];
      const got = await runShoal(["tree.torrent", "-o", "out", "-q", ...files, ...peer, ...alone], folder);
      assertEquals([got.code, got.stderr], [0, []]);
      await Deno.rename(`${folder}/out`, `${folder}/moved`);
      for (const [from, to] of [["moved/a tree", "moved/renamed"], ["source/file.bin", "source/renamed.bin"]]) {
        if (from === "moved/a tree") {
          for (const place of ["moved", "moved/a tree"]) {
            const part = await runShoal(["verify", "tree.torrent", place, ...files], folder);
            assertEquals([part.code, part.stderr], [0, []], place);
          }
        }
        await Deno.rename(`${folder}/${from}`, `${folder}/${to}`);
      }
      assertEquals((await runShoal(["verify", "tree.torrent", "moved/renamed", ...files], folder)).code, 0);
      assertEquals((await runShoal(["verify", "file.torrent", "source/renamed.bin"], folder)).code, 0);
      const all = await runShoal(["verify", "tree.torrent", "moved/renamed"], folder);
      assertEquals(all.code, 3);
      assertStringIncludes(all.stderr[0]!, "--files checks some of the files alone");
      const wrong = await runShoal(["verify", "file.torrent", "moved"], folder);
      assertStringIncludes(
        wrong.stderr[0]!,
        `none of its files is in ${await Deno.realPath(`${folder}/moved`)}, which holds "renamed"`,
      );
      const unseeded = await runShoal(["seed", "file.torrent", "moved", "-p", "0", ...alone], folder);
      assertEquals(unseeded.code, 3);
      assertStringIncludes(
        unseeded.stderr.at(-1)!,
        `there is nothing to seed (file.bin in moved): none of its files is in `,
      );

      await using partly = startShoal(["seed", "tree.torrent", "moved/renamed", "-p", "0", "--json", ...alone], folder);
      const warning = await partly.line((line) => line.includes('"warning"'), { seconds: 20, what: "what is missing" });
      assertMatch(warning, /\d+ of \d+ pieces are missing or wrong; the rest is served/);
      await partly.line((line) => line.includes('"progress"'), { seconds: 20, what: "the seed to be at work" });
      partly.signal("SIGINT");
      assertEquals((await partly.exit(10)).code, 130);
    }),
);
