/** External failures end Shoal with the documented exit code and one clear error line. */

import { assert, assertEquals, assertLess, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
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
  "shoal download and info refuse a torrent file that is truncated, HTML, empty or missing",
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
  "shoal seed ends with exit code 3 or 4 and one error when the data is wrong or missing",
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
  "unknown options and bad values end with exit code 2 and an error that names the option",
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
  "shoal download retries a tracker that is down until --timeout, and reports its error",
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
    `shoal download ends after --timeout with exit code 5 and the reason when the tracker answers ${name}`,
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
  "shoal download completes from a --peer while the tracker is down",
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

testWith(
  "shoal says that the runtime closes /dev/shm, before it makes a folder there",
  ["binary"],
  () =>
    withScratch(async (folder) => {
      const payload = await makeFile(`${folder}/source`, { name: "file.bin", size: MIB, seed: 30 });
      await makeTorrent(payload, { path: `${folder}/file.torrent` });
      const place = `/dev/shm/shoal-${crypto.randomUUID()}`;
      const result = await runShoal(["file.torrent", "-o", `${place}/deep`, ...DOWNLOAD], folder);
      assertFailure(result, 4);
      assertStringIncludes(result.stderr.at(-1)!, "the Deno runtime, on which Shoal runs, lets no program into /dev");
      await assertRejects(() => Deno.stat(place), Deno.errors.NotFound);
    }),
);

testWith(
  "shoal download ends with exit code 6 when the port is in use",
  ["binary"],
  () =>
    withScratch(async (folder) => {
      using taken = Deno.listen({ hostname: "0.0.0.0", port: 0 });
      const payload = await makeFile(`${folder}/source`, { name: "file.bin", size: MIB, seed: 28 });
      await makeTorrent(payload, { path: `${folder}/file.torrent` });
      const args = ["download", "file.torrent", "-o", "out", ...OFFLINE, "-p", `${taken.addr.port}`];
      assertFailure(await runShoal(args, folder), 6, `${taken.addr.port}`);
    }),
);

testWith(
  "shoal download ends with exit code 4 when a file is in place of the output folder or of a folder in it",
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
  "shoal download ends with exit code 4 when the output folder isn't writable",
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
      // The binary may be in a folder that only root can read.
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
  "shoal download ends with exit code 4 on a full disk, and the next run continues when there is more room",
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
        // At least half of the disk's former 10 MiB needn't be downloaded again.
        assertLess(await seeder.uploaded() - fetched, payload.size - 5 * MIB);
      } finally {
        await must("umount", disk);
      }
    }),
);
