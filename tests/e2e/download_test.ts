import { assert, assertEquals, assertGreater, assertLess } from "@std/assert";
import { freePort, seedWithAria2 } from "../support/aria2.ts";
import { BINARY, environment, OFFLINE, runShoal, startShoal } from "../support/binary.ts";
import { eventsOf } from "../support/events.ts";
import { run } from "../support/job.ts";
import { assertSame, makeFile, makeTree } from "../support/payload.ts";
import { testWith } from "../support/requirements.ts";
import { withScratch } from "../support/scratch.ts";
import { makeTorrent } from "../support/torrents.ts";

const MIB = 1 << 20;

testWith("shoal downloads a tree from a real client", ["binary", "aria2c"], () =>
  withScratch(async (folder) => {
    const payload = await makeTree(`${folder}/source`, { name: "a tree", seed: 11 });
    const torrent = `${folder}/tree.torrent`;
    await makeTorrent(payload, { path: torrent });
    await using seeder = await seedWithAria2(payload, { torrent });

    const args = [torrent, "-o", "new/result", "-p", "0", "--peer", seeder.address, "--json", ...OFFLINE];
    const { code, stdout, stderr } = await runShoal(args, folder, 60);
    assertEquals([code, stderr], [0, []]);
    await assertSame(payload, `${folder}/new/result`);
    const kinds = eventsOf(stdout).map(({ event }) => event);
    assertEquals([kinds[0], kinds.at(-1)], ["added", "stopped"]);
    const [completed] = eventsOf(stdout, "completed");
    assertEquals(completed!.bytes, payload.size);

    // A second run finds the complete data and downloads nothing.
    const before = await seeder.uploaded();
    const again = await runShoal(args, folder, 30);
    assertEquals([again.code, again.stderr], [0, []]);
    assertEquals(await seeder.uploaded(), before);
  }));

testWith(
  "shoal prints plain lines when it is not on a terminal, and nothing with --quiet",
  ["binary", "aria2c"],
  () =>
    withScratch(async (folder) => {
      const payload = await makeFile(`${folder}/source`, { name: "file.bin", size: 9 * MIB + 1, seed: 12 });
      const torrent = `${folder}/file.torrent`;
      await makeTorrent(payload, { path: torrent });
      await using seeder = await seedWithAria2(payload, { torrent });

      const args = ["download", torrent, "-p", "0", "--peer", seeder.address, ...OFFLINE];
      const plain = await runShoal([...args, "-o", "plain"], folder, 60);
      assertEquals([plain.code, plain.stderr], [0, []]);
      assert(plain.stdout.some((line) => line.includes("file.bin")), plain.stdout.join("\n"));
      assertEquals(plain.stdout.filter((line) => line.includes("\x1b")), []);
      await assertSame(payload, `${folder}/plain`);

      const quiet = await runShoal([...args, "-o", "quiet", "--quiet"], folder, 60);
      assertEquals(quiet, { code: 0, stdout: [], stderr: [] });
      await assertSame(payload, `${folder}/quiet`);
    }),
);

testWith(
  "Ctrl-C stops a download cleanly within 3 s, and the next run downloads only missing pieces",
  ["binary", "aria2c"],
  () =>
    withScratch(async (folder) => {
      const payload = await makeFile(`${folder}/source`, { name: "file.bin", size: 64 * MIB + 321, seed: 13 });
      const torrent = `${folder}/file.torrent`;
      await makeTorrent(payload, { path: torrent });
      await using seeder = await seedWithAria2(payload, { torrent, uploadLimit: 12 * MIB });
      const args = ["download", torrent, "-o", "out", "-p", "0", "--peer", seeder.address, "--json", ...OFFLINE];

      await using first = startShoal(args, folder);
      await first.line((line) => {
        const event = JSON.parse(line);
        return event.event === "progress" && event.downloaded > 16 * MIB;
      }, { seconds: 30, what: "a quarter was there" });
      const asked = performance.now();
      first.signal("SIGINT");
      const stopped = await first.exit(10);
      assertLess(performance.now() - asked, 3500, "it took longer than 3 s to leave");
      assertEquals([stopped.code, stopped.stderr], [130, []]);
      assertEquals(eventsOf(stopped.stdout).at(-1)!.event, "stopped");
      assertEquals(eventsOf(stopped.stdout, "completed"), []);
      const fetched = await seeder.uploaded();
      assertGreater(fetched, 16 * MIB);

      const second = await runShoal(args, folder, 60);
      assertEquals([second.code, second.stderr], [0, []]);
      await assertSame(payload, `${folder}/out`);
      // Blocks in flight and unfinished pieces are downloaded again.
      assertLess(await seeder.uploaded() - payload.size, 8 * MIB, "too much was fetched twice");
    }),
);

testWith("shoal download downloads a tree from shoal seed", ["binary"], () =>
  withScratch(async (folder) => {
    const payload = await makeTree(`${folder}/source`, { name: "a tree", seed: 14 });
    const torrent = `${folder}/tree.torrent`;
    await makeTorrent(payload, { path: torrent });
    const port = freePort();
    await using seeder = startShoal(["seed", torrent, "source", "-p", `${port}`, "--json", ...OFFLINE], folder);
    await seeder.line((line) => line.includes('"completed"') || line.includes('"progress"'), {
      seconds: 30,
      what: "it had checked the data",
    });
    const args = [torrent, "-o", "out", "-p", "0", "--peer", `127.0.0.1:${port}`, "--quiet", ...OFFLINE];
    assertEquals(await runShoal(args, folder, 60), { code: 0, stdout: [], stderr: [] });
    await assertSame(payload, `${folder}/out`);
    seeder.signal("SIGINT");
    assertEquals((await seeder.exit(10)).code, 130);
  }));

testWith(
  "shoal goes on with the good sources, announces to the user's tracker, and moves what is complete to its folder",
  ["binary"],
  () =>
    withScratch(async (folder) => {
      const payload = await makeTree(`${folder}/source`, { name: "a tree", seed: 15 });
      const torrent = `${folder}/tree.torrent`;
      await makeTorrent(payload, { path: torrent });
      const other = await makeFile(`${folder}/source`, { name: "other.bin", size: MIB, seed: 16 });
      await makeTorrent(other, { path: `${folder}/other.torrent` });
      await using tracker = startShoal(["tracker", "--bind", "127.0.0.1", "-p", "0", "--json"], folder);
      const listening = await tracker.line((line) => line.includes('"listening"'), { seconds: 20, what: "it listens" });
      const { http: url } = JSON.parse(listening);
      const port = freePort();
      await using seeder = startShoal(["seed", torrent, "source", "-p", `${port}`, "--json", ...OFFLINE], folder);
      await seeder.line((line) => line.includes('"completed"'), { seconds: 30, what: "it had checked the data" });

      const peers = ["--peer", `127.0.0.1:${port}`, "--bind", "127.0.0.1", "-p", "0", ...OFFLINE];
      const sources = ["missing.torrent", torrent, "other.torrent"];
      const options = ["-o", "out", "--incomplete", "inc", "-t", url, "--files", "!OTHER.*", "--json"];
      const args = [...sources, ...options, ...peers];
      const { code, stdout, stderr } = await runShoal(args, folder, 60);
      assertEquals([code, stderr], [2, [
        "shoal: error: cannot read the torrent (missing.torrent): there is no such file",
        'shoal: error: cannot choose files (--files !OTHER.*): no file of "other.bin" is left',
      ]]);
      await assertSame(payload, `${folder}/out`);
      const left = [...Deno.readDirSync(`${folder}/inc`)].map(({ name }) => name);
      assertEquals(left, []);
      const [completed] = eventsOf(stdout, "completed");
      const paths = completed!.paths as string[];
      assertEquals(paths.length, payload.files.length);
      for (const path of paths) assert(path.startsWith(`${Deno.realPathSync(folder)}/out/a tree/`), path);
      assertEquals(eventsOf(stdout, "tracker").map(({ url, status }) => [url, status])[0], [url, "ok"]);

      // What a magnet link stands for, saved, is the same torrent.
      const link = JSON.parse((await runShoal(["info", torrent, "--json"], folder)).stdout[0]!).magnet;
      const saved = await runShoal(["info", link, "-o", "saved.torrent", "--json", ...peers], folder, 60);
      assertEquals([saved.code, saved.stderr], [0, []]);
      const piped = await run(["sh", "-c", 'echo "$LINK" | "$@"', "sh", BINARY, "info", "-", "-q", ...peers], {
        cwd: folder,
        env: { ...environment(folder), LINK: link },
      });
      assertEquals([piped.code, piped.stderr, piped.stdout[0]], [0, [], "a tree"]);
      const infohash = async (file: string) =>
        JSON.parse((await runShoal(["info", file, "--json"], folder)).stdout[0]!).infohash;
      assertEquals(await infohash("saved.torrent"), await infohash(torrent));
    }),
);

testWith(
  "shoal saves what a v2 magnet link stands for, with its piece layers, and downloads by it",
  ["binary"],
  () =>
    withScratch(async (folder) => {
      const payload = await makeTree(`${folder}/source`, { name: "a tree", seed: 17 });
      const made = await runShoal(["create", "source/a tree", "--v2", "-o", "tree.torrent", "--json"], folder);
      assertEquals([made.code, made.stderr], [0, []]);
      const { magnet } = JSON.parse(made.stdout[0]!);
      const port = freePort();
      await using seeder = startShoal(
        ["seed", "tree.torrent", "source", "-p", `${port}`, "--json", ...OFFLINE],
        folder,
      );
      await seeder.line((line) => line.includes('"completed"'), { seconds: 30, what: "it had checked the data" });
      const peers = ["--peer", `127.0.0.1:${port}`, "--bind", "127.0.0.1", "-p", "0", ...OFFLINE];
      const saved = await runShoal(["info", magnet, "-o", "saved.torrent", "--json", ...peers], folder, 60);
      assertEquals([saved.code, saved.stderr], [0, []]);
      // Without the layers there would be nothing to compare the data with.
      const verified = await runShoal(["verify", "saved.torrent", "source"], folder);
      assertEquals([verified.code, verified.stderr], [0, []]);
      const { code, stderr } = await runShoal([magnet, "-o", "out", ...peers], folder, 60);
      assertEquals([code, stderr], [0, []]);
      await assertSame(payload, `${folder}/out`);
    }),
);
