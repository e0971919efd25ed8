/** What goes wrong outside Shoal gives the exit code of the contract and one clear line. */

import { assert, assertEquals, assertLess, assertMatch, assertStringIncludes } from "@std/assert";
import { freePort, seedWithAria2 } from "../support/aria2.ts";
import { BINARY, environment, OFFLINE, runShoal } from "../support/binary.ts";
import { eventsOf } from "../support/events.ts";
import { serve } from "../support/http.ts";
import { type JobResult, must, run } from "../support/job.ts";
import { assertSame, makeFile, makeTree } from "../support/payload.ts";
import { testWith } from "../support/requirements.ts";
import { withScratch } from "../support/scratch.ts";
import { makeTorrent } from "../support/torrents.ts";

const MIB = 1 << 20;
const DOWNLOAD = ["-p", "0", ...OFFLINE];

function assertFailure(result: JobResult, code: number, ...words: string[]): void {
  const text = result.stderr.join("\n");
  assertEquals(result.code, code, text);
  assertEquals(result.stderr.filter((line) => line.startsWith("shoal: error: ")).length, 1, text);
  assertEquals(result.stderr.filter((line) => /^\s+at /.test(line)), [], "a stack trace without -v");
  for (const word of words) assertStringIncludes(text, word);
}

testWith(
  "what is not a torrent is refused: truncated, HTML, empty, not there",
  ["binary"],
  () =>
    withScratch(async (folder) => {
      const payload = await makeFile(`${folder}/source`, { name: "file.bin", size: MIB, seed: 21 });
      await makeTorrent(payload, { path: `${folder}/good.torrent` });
      const good = await Deno.readFile(`${folder}/good.torrent`);
      await Deno.writeFile(`${folder}/truncated.torrent`, good.subarray(0, good.length - 20));
      await Deno.writeTextFile(`${folder}/page.torrent`, "<!DOCTYPE html><html><body>Log in</body></html>");
      await Deno.writeTextFile(`${folder}/empty.torrent`, "");
      for (const command of ["download", "info"]) {
        const options = command === "download" ? DOWNLOAD : [];
        for (const name of ["truncated.torrent", "page.torrent", "empty.torrent"]) {
          assertFailure(await runShoal([command, name, ...options], folder), 3, name);
        }
        assertFailure(await runShoal([command, "missing.torrent", ...options], folder), 2, "missing.torrent");
      }
      assertFailure(await runShoal(["info", "page.torrent"], folder), 3, "not a torrent", "byte 0");
    }),
);

testWith(
  "seed with data that is not the torrent's, or not there, says so",
  ["binary"],
  () =>
    withScratch(async (folder) => {
      const payload = await makeFile(`${folder}/source`, { name: "file.bin", size: MIB, seed: 22 });
      await makeTorrent(payload, { path: `${folder}/good.torrent` });
      await makeFile(`${folder}/other`, { name: "file.bin", size: MIB, seed: 23 });
      await Deno.mkdir(`${folder}/nothing`);
      for (const place of ["other", "nothing"]) {
        const result = await runShoal(["seed", "good.torrent", place, ...DOWNLOAD], folder);
        assert(result.code === 3 || result.code === 4, `${place}: ${result.code}`);
        assertFailure(result, result.code);
      }
    }),
);

testWith(
  "options that are not there yet, unknown or wrong are refused by name",
  ["binary"],
  () =>
    withScratch(async (folder) => {
      const payload = await makeFile(`${folder}/source`, { name: "file.bin", size: MIB, seed: 24 });
      await makeTorrent(payload, { path: `${folder}/good.torrent` });
      const cases = [
        ["--frobnicate"],
        ["--stream", "here"],
        ["--on-complete", "ftp://127.0.0.1/"],
        ["--port", "70000"],
        ["--port", "ssh"],
        ["--timeout", "soon"],
        ["--cache", "-1"],
        ["--max-peers", "many"],
        ["--peer", "nowhere"],
      ];
      for (const options of cases) {
        assertFailure(await runShoal(["download", "good.torrent", ...options], folder), 2, options[0]!);
      }
      assertFailure(await runShoal(["download"], folder), 2);
      assertFailure(await runShoal(["seed", "good.torrent"], folder), 2);
    }),
);

testWith(
  "a tracker that is down: tries on until --timeout, and says what the tracker said",
  ["binary"],
  () =>
    withScratch(async (folder) => {
      const payload = await makeFile(`${folder}/source`, { name: "file.bin", size: MIB, seed: 25 });
      const tracker = `http://127.0.0.1:${freePort()}/announce`;
      await makeTorrent(payload, { path: `${folder}/file.torrent`, tracker });
      const started = performance.now();
      const args = ["download", "file.torrent", "-o", "out", "--timeout", "3s", "--json", ...DOWNLOAD];
      const result = await runShoal(args, folder, 20);
      assertFailure(result, 5, "refused");
      assert(performance.now() - started >= 3000, "it gave up before its time");
      assertLess(performance.now() - started, 9000, "it gave up too late");
      const [failed] = eventsOf(result.stdout, "tracker");
      assertEquals([failed!.status, failed!.url], ["error", tracker]);
      assertMatch(String(failed!.message), /refused/i);
    }),
);

const RUBBISH: readonly (readonly [name: string, answer: () => Response, says: string])[] = [
  ["HTML", () => new Response("<html>Welcome</html>", { headers: { "content-type": "text/html" } }), ""],
  ["an error page", () => new Response("gone", { status: 503 }), "503"],
  ["a failure reason", () => new Response("d14:failure reason18:not here, my frende"), "not here, my frend"],
  ["a list of wrong length", () => new Response("d8:intervali5e5:peers7:1234567e"), ""],
  ["too much", () => new Response(`d1:x${8 * MIB}:${"y".repeat(8 * MIB)}e`), ""],
];

for (const [name, answer, says] of RUBBISH) {
  testWith(
    `a tracker that answers ${name}: --timeout ends it with exit code 5 and the reason`,
    ["binary"],
    () =>
      withScratch(async (folder) => {
        await using server = serve(answer);
        const payload = await makeFile(`${folder}/source`, { name: "file.bin", size: MIB, seed: 26 });
        await makeTorrent(payload, { path: `${folder}/file.torrent`, tracker: `${server.url}/announce` });
        const args = ["download", "file.torrent", "-o", "out", "--timeout", "2s", ...DOWNLOAD];
        assertFailure(await runShoal(args, folder, 20), 5, says);
        assert(server.requests.length > 0 && server.requests[0]!.startsWith("/announce?"), server.requests.join());
      }),
  );
}

testWith(
  "a tracker that is down does not stop a download from a peer that is known",
  ["binary", "aria2c"],
  () =>
    withScratch(async (folder) => {
      const payload = await makeFile(`${folder}/source`, { name: "file.bin", size: 3 * MIB + 5, seed: 27 });
      const torrent = `${folder}/file.torrent`;
      await makeTorrent(payload, { path: torrent, tracker: `http://127.0.0.1:${freePort()}/announce` });
      await using seeder = await seedWithAria2(payload, { torrent });
      const args = ["download", torrent, "-o", "out", "--peer", seeder.address, "--timeout", "20s", ...DOWNLOAD];
      assertEquals((await runShoal(args, folder, 30)).code, 0);
      await assertSame(payload, `${folder}/out`);
    }),
);

testWith("a port that is in use ends it with exit code 6", ["binary"], () =>
  withScratch(async (folder) => {
    using taken = Deno.listen({ hostname: "0.0.0.0", port: 0 });
    const payload = await makeFile(`${folder}/source`, { name: "file.bin", size: MIB, seed: 28 });
    await makeTorrent(payload, { path: `${folder}/file.torrent` });
    const args = ["download", "file.torrent", "-o", "out", ...OFFLINE, "-p", `${taken.addr.port}`];
    assertFailure(await runShoal(args, folder), 6, `${taken.addr.port}`);
  }));

testWith(
  "a folder that can't be: below a file, or where a file already has the name",
  ["binary", "aria2c"],
  () =>
    withScratch(async (folder) => {
      const payload = await makeTree(`${folder}/source`, { name: "a tree", seed: 29 });
      const torrent = `${folder}/tree.torrent`;
      await makeTorrent(payload, { path: torrent });
      await using seeder = await seedWithAria2(payload, { torrent });
      const args = ["download", torrent, "--peer", seeder.address, "--timeout", "20s", ...DOWNLOAD];
      await Deno.writeTextFile(`${folder}/plain.txt`, "here");
      assertFailure(await runShoal([...args, "-o", "plain.txt/below"], folder), 4, "plain.txt");
      await Deno.mkdir(`${folder}/out`);
      await Deno.writeTextFile(`${folder}/out/a tree`, "a file where a folder has to be");
      assertFailure(await runShoal([...args, "-o", "out"], folder), 4, "a tree");
      assertEquals(await Deno.readTextFile(`${folder}/out/a tree`), "a file where a folder has to be");
    }),
);

testWith(
  "a folder without permission ends it with exit code 4",
  ["binary", "aria2c", "root", "setpriv"],
  () =>
    withScratch(async (folder) => {
      const payload = await makeFile(`${folder}/source`, { name: "file.bin", size: MIB, seed: 30 });
      const torrent = `${folder}/file.torrent`;
      await makeTorrent(payload, { path: torrent });
      await using seeder = await seedWithAria2(payload, { torrent });
      await Deno.mkdir(`${folder}/forbidden`, { mode: 0o755 });
      await Deno.mkdir(`${folder}/own`);
      await Deno.chmod(`${folder}/own`, 0o777);
      // The executable may lie where only root can look.
      await Deno.copyFile(BINARY, `${folder}/shoal`);
      await Deno.chmod(`${folder}/shoal`, 0o755);
      const user = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        `${folder}/shoal`,
        "download",
        torrent,
      ];
      const options = ["--peer", seeder.address, "--timeout", "20s", ...DOWNLOAD];
      const env = { ...environment(`${folder}/own`), HOME: `${folder}/own` };
      const result = await run([...user, "-o", `${folder}/forbidden`, ...options], { env, cwd: folder });
      assertFailure(result, 4, "forbidden", "permission");
      assertEquals((await run([...user, "-o", `${folder}/own`, ...options], { env, cwd: folder })).code, 0);
    }),
);

testWith(
  "a full disk ends it with exit code 4, and with more room it goes on from there",
  ["binary", "aria2c", "root"],
  () =>
    withScratch(async (folder) => {
      const payload = await makeFile(`${folder}/source`, { name: "file.bin", size: 24 * MIB + 77, seed: 31 });
      const torrent = `${folder}/file.torrent`;
      await makeTorrent(payload, { path: torrent });
      await using seeder = await seedWithAria2(payload, { torrent });
      const disk = `${folder}/disk`;
      await Deno.mkdir(disk);
      await must("mount", "-t", "tmpfs", "-o", "size=10m", "tmpfs", disk);
      try {
        const args = ["download", torrent, "-o", disk, "--peer", seeder.address, "--timeout", "20s", ...DOWNLOAD];
        const full = await runShoal(args, folder, 60);
        assertFailure(full, 4, "space");
        const fetched = await seeder.uploaded();
        await must("mount", "-o", "remount,size=40m", disk);
        const again = await runShoal(args, folder, 60);
        assertEquals(again.code, 0, again.stderr.join("\n"));
        await assertSame(payload, disk);
        // At least half of what had room is still there.
        assertLess(await seeder.uploaded() - fetched, payload.size - 5 * MIB);
      } finally {
        await must("umount", disk);
      }
    }),
);
