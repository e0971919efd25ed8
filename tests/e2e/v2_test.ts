/** The life of v2-only and hybrid torrents (BEP 52) in the compiled binary. */

import { assertEquals, assertLess, assertStringIncludes } from "@std/assert";
import { freePort } from "../support/aria2.ts";
import { OFFLINE, runShoal, startShoal } from "../support/binary.ts";
import { eventsOf } from "../support/events.ts";
import { assertSame, makeFile, makeTree, type Payload } from "../support/payload.ts";
import { testWith } from "../support/requirements.ts";
import { withScratch } from "../support/scratch.ts";

const MIB = 1 << 20;

/** A torrent that the binary has made, and a seed of it. */
interface Scene {
  readonly folder: string;
  readonly payload: Payload;
  /** Path of the torrent file. */
  readonly torrent: string;
  /** What `create --json` said. */
  readonly told: Record<string, unknown> & { readonly magnet: string };
  /** Arguments of a download from the seed into the folder `out`. */
  download(source: string, ...more: string[]): string[];
}

/** Runs a test with a seed of a payload at a limited rate (bytes a second). */
function withSeed(
  version: string,
  make: (folder: string) => Promise<Payload>,
  rate: number,
  body: (scene: Scene) => Promise<void>,
): Promise<void> {
  return withScratch(async (folder) => {
    const payload = await make(`${folder}/source`);
    const torrent = `${folder}/${version}.torrent`;
    const what = [
      "create",
      `source/${payload.name}`,
      `--${version}`,
      "--piece-length",
      "128K",
      "-o",
      torrent,
      "--json",
    ];
    const made = await runShoal(what, folder);
    assertEquals([made.code, made.stderr], [0, []]);
    const port = freePort();
    const limit = ["--max-up", `${rate}`, "--bind", "127.0.0.1", "-p", `${port}`];
    await using seed = startShoal(["seed", torrent, "source", ...limit, "--json", ...OFFLINE], `${folder}`);
    await seed.line((line) => line.includes('"completed"'), { seconds: 30, what: "it seeded" });
    const download = (source: string, ...more: string[]) => {
      const place = ["-o", "out", "-p", "0", "--bind", "127.0.0.1", "--peer", `127.0.0.1:${port}`];
      return ["download", source, ...place, "--json", ...OFFLINE, ...more];
    };
    await body({ folder, payload, torrent, told: JSON.parse(made.stdout[0]!), download });
  });
}

const tree = (folder: string) => makeTree(folder, { name: "a tree", seed: 21 });
const file = (folder: string) => makeFile(folder, { name: "file.bin", size: 24 * MIB + 321, seed: 22 });

for (const version of ["v2", "hybrid"]) {
  testWith(
    `shoal makes a ${version} torrent, seeds and downloads it, and verifies the result`,
    ["binary"],
    () =>
      withSeed(version, tree, 100 * MIB, async ({ folder, payload, torrent, told, download }) => {
        const info = await runShoal(["info", torrent, "--json"], folder);
        const { torrent: _, ...rest } = told;
        assertEquals([info.code, JSON.parse(info.stdout[0]!)], [0, rest]);
        assertEquals([told.version, told.infohash === null, told.size], [version, version === "v2", payload.size]);
        const { code, stdout, stderr } = await runShoal(download(torrent), folder, 60);
        assertEquals([code, stderr], [0, []]);
        await assertSame(payload, `${folder}/out`);
        const [added] = eventsOf(stdout, "added");
        assertEquals([added!.size, eventsOf(stdout, "completed")[0]!.bytes], [payload.size, payload.size]);

        const text = await runShoal(["verify", torrent, "out"], folder);
        assertEquals([text.code, text.stderr], [0, []]);
        const right = await runShoal(["verify", torrent, "out", "--json"], folder);
        const [verified] = eventsOf(right.stdout, "verified");
        assertEquals([right.code, verified!.valid], [0, verified!.pieces]);
        // One byte of one file is wrong, and nothing else.
        const hurt = payload.files.find(({ size }) => size > 300_000)!;
        using handle = await Deno.open(`${folder}/out/${hurt.path}`, { read: true, write: true });
        await handle.seek(200_000, Deno.SeekMode.Start);
        const byte = new Uint8Array(1);
        await handle.read(byte);
        await handle.seek(200_000, Deno.SeekMode.Start);
        await handle.write(byte.map((value) => value ^ 1));
        const wrong = await runShoal(["verify", torrent, "out", "--json"], folder);
        const [found] = eventsOf(wrong.stdout, "verified");
        assertEquals([wrong.code, Number(found!.pieces) - Number(found!.valid)], [3, 1]);
        const verdicts = (found!.files as { path: string; verdict: string }[]).filter(({ verdict }) =>
          verdict !== "right"
        );
        assertEquals(verdicts.map(({ path }) => path), [hurt.path]);
      }),
  );

  testWith(
    `Ctrl-C stops the download of a ${version} torrent, and the next run downloads only missing pieces`,
    ["binary"],
    () =>
      withSeed(version, file, 6 * MIB, async ({ folder, payload, torrent, download }) => {
        await using first = startShoal(download(torrent), folder);
        const isThere = (line: string) => {
          const { event, downloaded } = JSON.parse(line);
          return event === "progress" && downloaded > 6 * MIB;
        };
        await first.line(isThere, { seconds: 60, what: "a quarter was there" });
        first.signal("SIGINT");
        const stopped = await first.exit(30);
        assertEquals([stopped.code, stopped.stderr], [130, []]);
        const last = await runShoal(download(torrent), folder, 60);
        assertEquals([last.code, last.stderr], [0, []]);
        assertEquals(eventsOf(last.stdout, "checking").length, 0, "it checked");
        assertLess(Number(eventsOf(last.stdout, "completed")[0]!.bytes), payload.size - 5 * MIB);
        await assertSame(payload, `${folder}/out`);
      }),
  );

  testWith(
    `shoal download --stream serves the end of a file of a ${version} torrent before its middle is there`,
    ["binary"],
    () =>
      withSeed(version, file, 3 * MIB, async ({ folder, payload, torrent, download }) => {
        await using shoal = startShoal(download(torrent, "--stream", "0"), folder);
        const line = await shoal.line((text) => text.includes('"event":"stream"'), {
          seconds: 60,
          what: "it said where",
        });
        const source = await Deno.readFile(`${payload.folder}/${payload.name}`);
        const begin = payload.size - 200_000;
        const reply = await fetch(JSON.parse(line).largest, { headers: { range: `bytes=${begin}-` } });
        assertEquals(reply.status, 206);
        assertEquals(await reply.bytes(), source.slice(begin));
        const progress = eventsOf(shoal.stdout, "progress").at(-1)?.progress ?? 0;
        assertLess(Number(progress), 0.9);
      }),
  );
}

for (const version of ["v2", "hybrid"]) {
  testWith(
    `shoal downloads a ${version} torrent by its magnet link, which has all info-hashes`,
    ["binary"],
    () =>
      withSeed(version, tree, 100 * MIB, async ({ folder, payload, told, download }) => {
        if (version === "hybrid") assertStringIncludes(told.magnet, `urn:btih:${told.infohash}`);
        assertStringIncludes(told.magnet, `urn:btmh:1220${told.infohash_v2}`);
        const { code, stdout, stderr } = await runShoal(download(told.magnet), folder, 60);
        assertEquals([code, stderr], [0, []]);
        assertEquals(eventsOf(stdout, "metadata").length, 1);
        await assertSame(payload, `${folder}/out`);
      }),
  );
}
