/** `shoal download --stream` with a slow seeder, read by curl and by a browser. */

import { assert, assertEquals, assertGreater, assertLess } from "@std/assert";
import { seedWithAria2 } from "../support/aria2.ts";
import { OFFLINE } from "../support/binary.ts";
import { eventsOf } from "../support/events.ts";
import { Job, run } from "../support/job.ts";
import { makeFile, type Payload } from "../support/payload.ts";
import { testWith } from "../support/requirements.ts";
import { withScratch } from "../support/scratch.ts";
import { makeTorrent } from "../support/torrents.ts";
import { Chromium } from "./chromium.ts";
import { shoalCommand } from "./clients.ts";

const MIB = 1024 * 1024;

/** A running download, and the URLs of its stream. */
interface Watched {
  readonly shoal: Job;
  /** URL of the largest file. */
  readonly url: string;
  /** URL of the page that lists all files. */
  readonly page: string;
  /** Returns the downloaded part of the torrent, 0 to 1, by the last `progress` event. */
  progress(): number;
}

/** Runs a test while Shoal downloads a payload from aria2 at a limited rate (bytes a second), and streams it. */
async function watch(
  payload: Payload,
  options: { readonly folder: string; readonly rate: number; readonly source?: (hash: string) => string },
  body: (watched: Watched) => Promise<void>,
): Promise<void> {
  const { folder, rate, source } = options;
  const torrent = `${folder}/t.torrent`;
  const hash = await makeTorrent(payload, { path: torrent, pieceLength: 128 * 1024 });
  await using seeder = await seedWithAria2(payload, { torrent, uploadLimit: rate });
  const peers = ["--peer", seeder.address, "--port", "0", "--bind", "127.0.0.1"];
  const what = source?.(hash) ?? torrent;
  await using shoal = new Job(
    [...shoalCommand(), "download", what, "-o", `${folder}/out`, "--stream", "0", "--json", ...OFFLINE, ...peers],
    { name: "shoal", cwd: folder, env: { XDG_STATE_HOME: folder, XDG_CONFIG_HOME: folder } },
  );
  const line = await shoal.line((text) => text.includes('"event":"stream"'), { seconds: 60, what: "it said where" });
  const { largest, url } = JSON.parse(line);
  const progress = () => Number(eventsOf(shoal.stdout, "progress").at(-1)?.progress ?? 0);
  await body({ shoal, url: largest, page: url, progress });
}

async function curl(...args: string[]): Promise<readonly string[]> {
  const { code, stdout, stderr } = await run(["curl", "--silent", "--show-error", ...args], { seconds: 120 });
  assertEquals([code, stderr], [0, []], args.join(" "));
  return stdout.map((line) => line.trimEnd());
}

testWith(
  "curl gets the right bytes for ranges of a file from --stream while the file is downloaded",
  ["aria2c", "curl"],
  () =>
    withScratch(async (folder) => {
      const show = `${folder}/source/show`;
      const film = await makeFile(show, { name: "film (1).mkv", size: 24 * MIB + 17, seed: 61 });
      const notes = await makeFile(show, { name: "notes & more.txt", size: 1000, seed: 62 });
      const files = [...film.files, ...notes.files].map((file) => ({ ...file, path: `show/${file.path}` }));
      const payload = { name: "show", folder: `${folder}/source`, size: film.size + notes.size, files };
      const source = await Deno.readFile(`${show}/${film.name}`);
      const link = (hash: string) => `magnet:?xt=urn:btih:${hash}&dn=show`;
      await watch(payload, { folder, rate: 3 * MIB, source: link }, async ({ shoal, url, page, progress }) => {
        const size = source.length;
        const ranges: [string, number, number][] = [
          [`${size - 65_536}-`, size - 65_536, size],
          ["-1", size - 1, size],
          ["0-0", 0, 1],
          [`${16 * MIB + 5}-${17 * MIB}`, 16 * MIB + 5, 17 * MIB + 1],
          ["131000-132000", 131_000, 132_001],
        ];
        // The requests run at the same time, as a player requests the end of a file while it reads the beginning.
        await Promise.all(ranges.map(async ([range, begin, end], i) => {
          const head = await curl("-r", range, "-D", "-", "-o", `${folder}/${i}`, url);
          assert(head[0]!.startsWith("HTTP/1.1 206"), head[0]);
          assert(head.some((line) => line === `content-range: bytes ${begin}-${end - 1}/${size}`), head.join("\n"));
          assertEquals(await Deno.readFile(`${folder}/${i}`), source.slice(begin, end), range);
        }));
        assertLess(progress(), 0.9);
        const [status, ...fields] = await curl("-I", url);
        assert(status!.startsWith("HTTP/1.1 200"), status);
        assert(fields.includes(`content-length: ${size}`) && fields.includes("content-type: video/x-matroska"));
        assertEquals(await curl("-o", "/dev/null", "-w", "%{http_code}\n", "-r", `${size}-`, url), ["416"]);
        assertEquals(await curl("-o", "/dev/null", "-w", "%{http_code}\n", "-H", "Host: evil.example", url), ["421"]);
        assertEquals(await curl("-o", "/dev/null", "-w", "%{http_code}\n", "--path-as-is", `${page}../../etc/passwd`), [
          "404",
        ]);
        const listed = (await curl(page)).join("\n");
        assert(listed.includes("notes%20%26%20more.txt") && listed.includes("notes &#38; more.txt"), listed);
        // The file becomes complete and gets its final name during this request.
        await curl("-o", `${folder}/whole`, url);
        assertEquals(await Deno.readFile(`${folder}/whole`), source);
        await shoal.line((line) => line.includes('"event":"completed"'), { seconds: 60, what: "it was complete" });
        // Shoal goes on streaming after completion.
        await curl("-o", `${folder}/again`, url);
        assertEquals(await Deno.readFile(`${folder}/again`), source);
        assertEquals(eventsOf(shoal.stdout, "stopped"), []);
      });
    }),
);

/** Makes a video with its index at the end, as cameras write it. A player has to request the end before it starts. */
async function makeClip(path: string): Promise<void> {
  const video = "testsrc2=size=320x180:rate=25,noise=alls=60:allf=t";
  const { code, stderr } = await run([
    ...["ffmpeg", "-v", "error", "-f", "lavfi", "-i", video, "-f", "lavfi", "-i", "sine=frequency=440", "-t", "60"],
    ...["-c:v", "libx264", "-preset", "ultrafast", "-b:v", "1600k", "-pix_fmt", "yuv420p", "-g", "25"],
    ...["-c:a", "aac", "-b:a", "64k", path],
  ], { seconds: 120 });
  assertEquals([code, stderr], [0, []]);
}

/** Result of {@linkcode PLAY}: positions and times in seconds. */
interface Seen {
  readonly duration: number;
  readonly width: number;
  readonly begun: number;
  readonly seeked: number;
  readonly went: number;
  readonly seconds: number;
}

/** Script that plays the video of the page, and seeks to its middle. */
const PLAY = `
  if (document.readyState !== "complete") await new Promise((resolve) => addEventListener("load", resolve));
  const video = document.querySelector("video");
  const failed = new Promise((_, reject) => video.addEventListener("error", () => reject(new Error(video.error.message))));
  const until = (name, reached = () => true) => Promise.race([failed, new Promise((resolve) => {
    const look = () => reached() && (video.removeEventListener(name, look), resolve());
    video.addEventListener(name, look);
  })]);
  if (video.readyState < 1) await until("loadedmetadata");
  video.muted = true;
  await video.play();
  if (video.currentTime < 0.5) await until("timeupdate", () => video.currentTime > 0.5);
  const begun = video.currentTime;
  const at = performance.now();
  const seeking = until("seeked");
  video.currentTime = video.duration / 2;
  await seeking;
  const seconds = (performance.now() - at) / 1000;
  const seeked = video.currentTime;
  await until("timeupdate", () => video.currentTime > seeked + 0.5);
  return { duration: video.duration, width: video.videoWidth, begun, seeked, seconds, went: video.currentTime };
`;

testWith(
  "Chromium plays a video from --stream while the video is downloaded, and seeks to its middle",
  ["aria2c", "chromium", "ffmpeg"],
  () =>
    withScratch(async (folder) => {
      await Deno.mkdir(`${folder}/source`);
      const path = `${folder}/source/clip.mp4`;
      await makeClip(path);
      const { size } = await Deno.stat(path);
      assertGreater(size, 8 * MIB);
      const payload: Payload = {
        folder: `${folder}/source`,
        name: "clip.mp4",
        size,
        files: [{ path: "clip.mp4", size }],
      };
      await watch(payload, { folder, rate: 512 * 1024 }, async ({ url, progress }) => {
        await using browser = await Chromium.open(`${folder}/profile`, url);
        const seen = await browser.run<Seen>(PLAY, 60);
        assert(Math.abs(seen.duration - 60) < 1, JSON.stringify(seen));
        assertEquals(seen.width, 320);
        assert(seen.begun < 5 && Math.abs(seen.seeked - seen.duration / 2) < 0.1, JSON.stringify(seen));
        assertGreater(seen.went, seen.seeked);
        assertLess(progress(), 0.7, "there was nothing to wait for");
      });
    }),
);
