import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { BINARY, runShoal } from "../support/binary.ts";
import { makeTree, noise } from "../support/payload.ts";
import { testWith } from "../support/requirements.ts";
import { withScratch } from "../support/scratch.ts";
import { makeTorrent } from "../support/torrents.ts";

const COMMANDS = ["download", "seed", "info", "verify", "demo", "help"];

testWith(
  "shoal --version prints the name and the version of deno.json",
  ["binary"],
  () =>
    withScratch(async (folder) => {
      const { version } = JSON.parse(await Deno.readTextFile(new URL("../../deno.json", import.meta.url)));
      const { code, stdout, stderr } = await runShoal(["--version"], folder);
      assertEquals([code, stderr], [0, []]);
      assertStringIncludes(stdout.join("\n"), version);
    }),
);

testWith(
  "shoal --help names every command, and no line is longer than 100 columns",
  ["binary"],
  () =>
    withScratch(async (folder) => {
      const { code, stdout, stderr } = await runShoal(["--help"], folder);
      assertEquals([code, stderr], [0, []]);
      for (const command of COMMANDS) assertMatch(stdout.join("\n"), new RegExp(`^  ${command}\\b`, "m"));
      assertEquals(stdout.filter((line) => line.length > 100), []);
    }),
);

for (const command of COMMANDS) {
  testWith(`shoal ${command} --help prints the help of the command`, ["binary"], () =>
    withScratch(async (folder) => {
      const { code, stdout, stderr } = await runShoal([command, "--help"], folder);
      assertEquals([code, stderr], [0, []]);
      assertStringIncludes(stdout.join("\n"), command);
      assertStringIncludes(stdout.join("\n"), "--help");
    }));
}

testWith(
  "shoal without arguments is a usage error that points to --help",
  ["binary"],
  () =>
    withScratch(async (folder) => {
      const { code, stdout, stderr } = await runShoal([], folder);
      assertEquals([code, stdout], [2, []]);
      // The last line is there: exiting doesn't cut off output.
      for (const part of ["--help", "130 interrupted"]) assertStringIncludes(stderr.join("\n"), part);
    }),
);

testWith(
  "shoal info prints a torrent as text, and as JSON with --json",
  ["binary"],
  () =>
    withScratch(async (folder) => {
      const payload = await makeTree(folder, { name: "a tree", seed: 7 });
      const tracker = "http://127.0.0.1:1/announce";
      const infohash = await makeTorrent(payload, { path: `${folder}/tree.torrent`, tracker });

      const human = await runShoal(["info", "tree.torrent"], folder);
      assertEquals([human.code, human.stderr], [0, []]);
      const text = human.stdout.join("\n");
      for (const part of ["a tree", infohash, tracker, "de\u0301compose\u0301"]) assertStringIncludes(text, part);

      const json = await runShoal(["info", "--json", "tree.torrent"], folder);
      assertEquals([json.code, json.stderr], [0, []]);
      const info = JSON.parse(json.stdout.join("\n"));
      assertEquals(info.name, "a tree");
      assertEquals(info.infohash, infohash);
      assertEquals(info.infohash_v2, null);
      assertEquals(info.version, "v1");
      assertEquals(info.size, payload.size);
      assertEquals(info.piece_length, 1 << 18);
      assertEquals(info.pieces, Math.ceil(payload.size / (1 << 18)));
      assertEquals(info.private, false);
      assertEquals(info.trackers, [[tracker]]);
      assertEquals(info.files.length, payload.files.length);
      assertEquals(info.files[0].length, payload.files[0]!.size);
      assertStringIncludes(info.magnet, infohash);
    }),
);

testWith(
  "shoal create makes v2 and hybrid torrents, info shows and verify takes them",
  ["binary"],
  () =>
    withScratch(async (folder) => {
      await Deno.mkdir(`${folder}/top/d`, { recursive: true });
      await Deno.writeFile(`${folder}/top/a`, noise(100_000, 1));
      await Deno.writeFile(`${folder}/top/d/b`, noise(5000, 2));
      for (const version of ["v2", "hybrid"]) {
        const file = `${version}.torrent`;
        const made = await runShoal(["create", "top", `--${version}`, "-o", file, "--json"], folder);
        assertEquals([made.code, made.stderr], [0, []]);
        const { torrent, ...told } = JSON.parse(made.stdout[0]!);
        assertEquals([torrent, told.version, told.infohash === null], [file, version, version === "v2"]);
        const { code, stdout } = await runShoal(["info", file, "--json"], folder);
        assertEquals([code, JSON.parse(stdout[0]!)], [0, told]);
        assertStringIncludes(told.magnet, `xt=urn:btmh:1220${told.infohash_v2}`);

        const verified = await runShoal(["verify", file, "."], folder);
        assertEquals([verified.code, verified.stderr], [0, []]);
      }
    }),
);

testWith(
  "shoal demo downloads from a swarm, checks the result, and removes its files",
  ["binary"],
  () =>
    withScratch(async (folder) => {
      const { code, stdout, stderr } = await runShoal(["demo", "--size", "32M"], folder, 120);
      assertEquals([code, stderr], [0, []], stdout.join("\n"));
      assertStringIncludes(stdout.join("\n"), "SHA-256");
      const left = [];
      for await (const entry of Deno.readDir(folder)) left.push(entry.name);
      // The last is Deno's cache of compiled code.
      const expected = ["config", "state", "deno-compile-shoal.cache"];
      assertEquals(left.filter((name) => !expected.includes(name)), []);
    }),
);

testWith("the binary has no permission to run programs or to load libraries", ["binary"], async () => {
  const bytes = await Deno.readFile(BINARY);
  // `deno compile` stores the permissions as JSON behind the runtime. A runtime that was taken from another compiled
  // program still contains that program's permissions, before the new ones.
  const text = new TextDecoder("latin1").decode(bytes.subarray(-64 << 20));
  const found = [...text.matchAll(/"permissions":(\{[^{}]*\})/g)].at(-1);
  assert(found !== undefined, "no permissions in the binary");
  const permissions = JSON.parse(found[1]!);
  assertEquals([permissions.allow_all, permissions.allow_run, permissions.allow_ffi], [false, null, null]);
});
