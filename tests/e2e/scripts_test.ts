/** The interface for scripts: JSON that matches the schemas, exit codes, `--quiet`, and the config file. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { environment, OFFLINE, runShoal, startShoal } from "../support/binary.ts";
import { serve } from "../support/http.ts";
import { type Job, type JobResult, run } from "../support/job.ts";
import { assertSame, makeFile, makeTree, type Payload } from "../support/payload.ts";
import { testWith } from "../support/requirements.ts";
import { checkLines, violations } from "../support/schemas.ts";
import { withScratch } from "../support/scratch.ts";

const ALONE = ["-p", "0", "--bind", "127.0.0.1", ...OFFLINE];
const LOST = ["download", "lost.torrent", "-o", "lost", ...ALONE, "--timeout", "1s"];
const ERROR_LINE = /^shoal: error: .+: .+$/;

/** Makes a payload, its torrent, a torrent that no peer has, and a file that is not a torrent. Returns the payload. */
async function prepare(folder: string): Promise<Payload> {
  const payload = await makeFile(`${folder}/source`, { name: "file.bin", size: 1 << 20, seed: 31 });
  await makeTree(`${folder}/source`, { name: "lost", seed: 32 });
  for (const name of ["file.bin", "lost"]) {
    const args = ["create", `source/${name}`, "-q", "-o", `${name.replace(".bin", "")}.torrent`];
    assertEquals(await runShoal(args, folder), { code: 0, stdout: [], stderr: [] });
  }
  await Deno.writeTextFile(`${folder}/notes.torrent`, "Hello");
  return payload;
}

async function listening(job: Job): Promise<string> {
  const line = await job.line((line) => line.includes('"event":"listening"'), { seconds: 20, what: "it listens" });
  return JSON.parse(line).http;
}

/** Starts to seed the payload with a torrent that has the tracker. */
async function seedAt(tracker: string, folder: string): Promise<Job> {
  const made = await runShoal(
    ["create", "source/file.bin", "-o", "announced.torrent", "-t", tracker, "--json"],
    folder,
  );
  assertEquals(violations("info#/$defs/created", JSON.parse(made.stdout.join("\n"))), "");
  const job = startShoal(["seed", "announced.torrent", "source", "--json", "-v", ...ALONE], folder);
  await job.line((line) => line.includes('"event":"tracker"'), { seconds: 20, what: "it has announced itself" });
  return job;
}

async function left(job: Job): Promise<JobResult> {
  job.signal("SIGINT");
  return await job.exit(20);
}

testWith(
  "the --json output of every command matches its schema, and --on-complete posts the completed event",
  ["binary"],
  () =>
    withScratch(async (folder) => {
      const payload = await prepare(folder);
      const posts: Promise<string>[] = [];
      await using hook = serve((request) => {
        posts.push(request.text());
        return new Response(null, { status: 204 });
      });
      await using tracker = startShoal(["tracker", "--json", "--bind", "127.0.0.1", "-p", "0"], folder);
      await using seeder = await seedAt(await listening(tracker), folder);

      const args = ["announced.torrent", "-o", "out", "--json", "-v", "--on-complete", `${hook.url}/done`, ...ALONE];
      const download = await runShoal(args, folder, 60);
      assertEquals([download.code, download.stderr], [0, []]);
      await assertSame(payload, `${folder}/out`);
      const seen = checkLines("events", download.stdout);
      for (const event of ["added", "progress", "tracker", "peer", "completed", "stopped"]) {
        assert(seen.has(event), event);
      }
      const completed = download.stdout.filter((line) => line.includes('"event":"completed"'));
      // Each takes the time when it is written.
      const untimed = (line: string) => line.replace(/"time":"[^"]*"/, "");
      assertEquals((await Promise.all(posts)).map(untimed), completed.map(untimed));

      const seeded = await left(seeder);
      assertEquals([seeded.code, seeded.stderr], [130, []]);
      assert(checkLines("events", seeded.stdout).has("stopped"));
      const tracked = await left(tracker);
      assertEquals([tracked.code, tracked.stderr], [130, []]);
      assert(checkLines("events#/$defs/tracker_line", tracked.stdout).has("statistics"));

      const only = async (args: readonly string[], schema: string) => {
        const { code, stdout, stderr } = await runShoal(args, folder);
        assertEquals([code, stdout.length, stderr], [0, 1, []]);
        assertEquals(violations(schema, JSON.parse(stdout[0]!)), "");
      };
      await only(["info", "lost.torrent", "--json"], "info");
      await only(["download", "lost.torrent", "--list", "--json"], "info#/$defs/listed");
      const verified = await runShoal(["verify", "file.torrent", "out", "--json"], folder);
      assertEquals([verified.code, verified.stderr], [0, []]);
      assert(checkLines("events#/$defs/verify_line", verified.stdout).has("verified"));
      const demo = await runShoal(["demo", "--json", "-q", "--size", "1M"], folder, 60);
      assertEquals([demo.code, demo.stderr], [0, []]);
      assert(checkLines("events", demo.stdout).has("completed"));
      const lost = await runShoal([...LOST, "--json"], folder);
      assertEquals([lost.code, lost.stderr.length], [5, 1]);
      assert(checkLines("events", lost.stdout).has("error"));
    }),
);

/** Commands that end by themselves: arguments, exit code, and `true` if they write to standard output. */
const CALLS: readonly (readonly [args: readonly string[], code: number, says: boolean])[] = [
  [["--version"], 0, true],
  [["--help"], 0, true],
  [["download", "--help"], 0, true],
  [["completions", "bash"], 0, true],
  [["completions", "tcsh"], 2, false],
  [[], 2, false],
  [["--frobnicate"], 2, false],
  [["notes.torrent", ...ALONE], 3, false],
  [["missing.torrent", ...ALONE], 2, false],
  [["lost.torrent", "--port", "x"], 2, false],
  [LOST, 5, true],
  [["lost.torrent", "--list"], 0, true],
  [["lost.torrent", "--list", "--files", "9999"], 2, false],
  [["lost.torrent", "-o", "/proc/nowhere", ...ALONE], 4, true],
  [["file.torrent", "-o", "source", "--bind", "192.0.2.1", "-p", "0", ...OFFLINE], 6, false],
  [["http://127.0.0.1:1/x.torrent"], 6, false],
  [["file.torrent", "-o", "source", ...ALONE], 0, true],
  [["seed", "lost.torrent", "nowhere", ...ALONE], 4, true],
  [["seed", "notes.torrent", "source", ...ALONE], 3, false],
  [["create", "source/file.bin", "-o", "made.torrent"], 0, true],
  [["create", "source/file.bin", "-o", "made.torrent"], 4, false],
  [["create", "nothing"], 4, false],
  [["info", "file.torrent"], 0, true],
  [["info", "notes.torrent"], 3, false],
  [["verify", "file.torrent", "source"], 0, true],
  [["verify", "lost.torrent", "source/lost"], 0, true],
  [["verify", "lost.torrent", "."], 3, true],
  [["verify", "notes.torrent", "source"], 3, false],
  [["tracker", "--bind", "192.0.2.1"], 6, false],
  [["demo", "--size", "1K"], 2, false],
];

testWith("every command has the documented exit code, one error line on standard error, and data on standard output", [
  "binary",
], () =>
  withScratch(async (folder) => {
    await prepare(folder);
    for (const [args, code, says] of CALLS) {
      const result = await runShoal(args, folder, 60);
      const report = `shoal ${args.join(" ")}\n${JSON.stringify(result, null, 1)}`;
      assertEquals(result.code, code, report);
      if (args.length === 0) assertStringIncludes(result.stderr.join("\n"), "Usage: shoal");
      else if (code === 0) assertEquals(result.stderr, [], report);
      else {
        assertEquals(result.stderr.filter((line) => ERROR_LINE.test(line)).length, 1, report);
        assertEquals(result.stderr.filter((line) => !/^shoal: (?:error|warning): /.test(line)), [], report);
      }
      assertEquals(result.stdout.length > 0, says, report);
      assertEquals([...result.stdout, ...result.stderr].filter((line) => line.includes("\x1b")), [], report);
    }
  }));

testWith(
  "--quiet silences standard output, and errors still go to standard error",
  ["binary"],
  () =>
    withScratch(async (folder) => {
      await prepare(folder);
      const calls: [string[], number][] = [
        [["file.torrent", "-o", "source", ...ALONE], 0],
        [LOST, 5],
        [["seed", "lost.torrent", "nowhere", ...ALONE], 4],
        [["create", "source/file.bin", "-o", "quiet.torrent"], 0],
        [["verify", "file.torrent", "source"], 0],
        [["verify", "lost.torrent", "nowhere"], 4],
        [["demo", "--size", "1M"], 0],
      ];
      for (const [args, code] of calls) {
        const result = await runShoal([...args, "--quiet"], folder, 60);
        const report = `shoal ${args.join(" ")}\n${JSON.stringify(result, null, 1)}`;
        assertEquals([result.code, result.stdout], [code, []], report);
        assertEquals(result.stderr.length, code === 0 ? 0 : 1, report);
      }
      await using tracker = startShoal(["tracker", "-q", "-p", "0", "--bind", "127.0.0.1"], folder);
      await using seeder = startShoal(["seed", "file.torrent", "source", "-q", ...ALONE], folder);
      // Both are silent, and a signal before they handle signals would end them with another exit code.
      for (const job of [tracker, seeder]) {
        await waitForSockets(job.pid);
        assertEquals(await left(job), { code: 130, stdout: [], stderr: [] });
      }
    }),
);

/** Waits until a process has opened at least two sockets. */
async function waitForSockets(pid: number): Promise<void> {
  for (let i = 0; i < 200; i++) {
    const { stdout } = await run(["sh", "-c", `ls -l /proc/${pid}/fd | grep -c socket`]);
    if (Number(stdout[0]) >= 2) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("it opens no sockets");
}

testWith(
  "the options of the config file apply to each command, and mistakes in it are errors",
  ["binary"],
  () =>
    withScratch(async (folder) => {
      const payload = await prepare(folder);
      const { XDG_CONFIG_HOME: config } = environment(folder);
      await Deno.mkdir(`${config}/shoal`, { recursive: true });
      const write = (text: string) => Deno.writeTextFile(`${config}/shoal/config.toml`, text);
      await write('bind = "127.0.0.1"\nport = 0\nno-dht = true\nlsd = false\njson = true\nno-lsd = true\n');
      const twice = await runShoal(["file.torrent"], folder);
      assertEquals([twice.code, twice.stdout], [2, []]);
      assertStringIncludes(twice.stderr.join("\n"), `${config}/shoal/config.toml, no-lsd): lsd sets the same`);

      await write(`
bind = "127.0.0.1"
port = 0
no-dht = true
no-lsd = true
no-port-map = true
json = true

[download]
output = "source"
timeout = "20s"

[create]
quiet = true
`);
      const { code, stdout, stderr } = await runShoal(["file.torrent"], folder);
      assertEquals([code, stderr], [0, []]);
      assert(checkLines("events", stdout).has("completed"));
      assertEquals(await runShoal(["create", "source"], folder), { code: 0, stdout: [], stderr: [] });
      assertStringIncludes((await runShoal(["info", "-v", "file.torrent"], folder)).stderr.join("\n"), "no-dht");
      await assertSame(payload, `${folder}/source`);
      await write("max-peer = 3\n");
      for (const args of [["--version"], ["--help"], ["completions", "fish"]]) {
        assertEquals((await runShoal(args, folder)).code, 0);
      }
      assertEquals((await runShoal(["verify", "file.torrent", "source"], folder)).code, 2);
    }),
);
