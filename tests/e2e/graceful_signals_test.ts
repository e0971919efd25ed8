import { assert, assertEquals, assertFalse, assertLess } from "@std/assert";
import { OFFLINE, runShoal, startShoal } from "../support/binary.ts";
import type { Job } from "../support/job.ts";
import { assertSame, makeTree } from "../support/payload.ts";
import { testWith } from "../support/requirements.ts";
import { withScratch } from "../support/scratch.ts";
import { type Act, namesIn, type Program, Stage, together, until } from "../support/stage.ts";
import { makeTorrent } from "../support/torrents.ts";

/** Limit for stopping in milliseconds: three times the documented 3 s. */
const LEAVE_MS = 9000;

/** Signals to send during a transfer, and pauses in milliseconds between them. */
type Script = readonly (Deno.Signal | number)[];

/** A command, the signals that interrupt it, and the expected result. */
interface Row {
  readonly name: string;
  readonly args: (act: Act) => string[];
  readonly send: Script;
  /** Announce event that the tracker never answers. */
  readonly hangs?: string;
  readonly program?: Program;
  readonly code: number;
  /** Number of `stopped` announces. */
  readonly told: number;
  /** `true` if the resume state is marked as clean. */
  readonly saved: boolean;
}

const inGoodOrder = { code: 130, told: 1, saved: true } as const;

const TABLE: readonly Row[] = [
  { name: "download, SIGINT", args: (act) => act.download(), send: ["SIGINT"], ...inGoodOrder },
  { name: "download, SIGTERM", args: (act) => act.download(), send: ["SIGTERM"], ...inGoodOrder },
  { name: "download, SIGHUP", args: (act) => act.download(), send: ["SIGHUP"], ...inGoodOrder },
  { name: "download --json, SIGINT", args: (act) => act.download("--json"), send: ["SIGINT"], ...inGoodOrder },
  { name: "download --json, SIGHUP", args: (act) => act.download("--json"), send: ["SIGHUP"], ...inGoodOrder },
  { name: "download -q, SIGTERM", args: (act) => act.download("-q"), send: ["SIGTERM"], ...inGoodOrder },
  // `timeout` sends SIGTERM twice, and closing a terminal window may send SIGHUP several times.
  {
    name: "download, SIGTERM twice, as `timeout` sends it",
    args: (act) => act.download(),
    send: ["SIGTERM", 20, "SIGTERM"],
    ...inGoodOrder,
  },
  {
    name: "download, SIGHUP again and again",
    args: (act) => act.download(),
    send: ["SIGHUP", "SIGHUP", 200, "SIGHUP"],
    ...inGoodOrder,
  },
  {
    name: "download, SIGINT, the tracker hangs",
    args: (act) => act.download(),
    send: ["SIGINT"],
    hangs: "stopped",
    ...inGoodOrder,
  },
  {
    name: "download, SIGINT, the tracker has hung from the start",
    args: (act) => act.download(),
    send: ["SIGINT"],
    hangs: "started",
    ...inGoodOrder,
  },
  { name: "seed, SIGINT", args: (act) => act.seed(), send: ["SIGINT"], ...inGoodOrder },
  { name: "seed --json, SIGTERM", args: (act) => act.seed("--json"), send: ["SIGTERM"], ...inGoodOrder },
  { name: "seed --trust -q, SIGHUP", args: (act) => act.seed("--trust", "-q"), send: ["SIGHUP"], ...inGoodOrder },
  {
    name: "download --json from source, SIGINT",
    args: (act) => act.download("--json"),
    send: ["SIGINT"],
    program: "deno run",
    ...inGoodOrder,
  },
  {
    name: "seed from source, SIGHUP",
    args: (act) => act.seed(),
    send: ["SIGHUP"],
    program: "deno run",
    ...inGoodOrder,
  },
];

async function send(script: Script, job: Job): Promise<void> {
  for (const step of script) {
    if (typeof step === "string") job.signal(step);
    else await new Promise((resolve) => setTimeout(resolve, step));
  }
}

function timesStopped(act: Act): number {
  return act.announces.filter((event) => event === "stopped").length;
}

async function play(row: Row, stage: Stage): Promise<void> {
  const act = await stage.act(row.hangs === undefined ? {} : { hangs: row.hangs });
  await using job = act.start(row.args(act), row.program);
  await act.underWay(job);
  const before = (await act.state())?.pieces ?? 0;
  const asked = performance.now();
  await send(row.send, job);
  const { code, stdout, stderr } = await job.exit(20);
  const took = performance.now() - asked;
  const state = await act.state();
  assertEquals(
    { code, told: timesStopped(act), saved: state?.clean },
    { code: row.code, told: row.told, saved: row.saved },
    `${row.name}\n${job.report}`,
  );
  assertLess(took, LEAVE_MS, row.name);
  assert((state?.pieces ?? 0) >= before, `${row.name}: pieces were forgotten`);
  assertFalse([...stdout, ...stderr].some((line) => /^\s+at |unexpected/.test(line)), `${row.name}\n${job.report}`);
}

testWith(
  "a signal ends shoal with exit code 130, a stopped announce and clean resume state",
  ["binary"],
  () => Stage.with({}, async (stage) => void await together(TABLE.map((row) => play(row, stage)))),
);

testWith(
  "a second Ctrl-C ends shoal at once while the stopped announce is still pending",
  ["binary"],
  () =>
    Stage.with({}, async (stage) => {
      const act = await stage.act({ hangs: "stopped" });
      await using job = act.start(act.download("--json"));
      await act.underWay(job);
      job.signal("SIGINT");
      await until("the farewell", job, () => timesStopped(act) > 0);
      // Signals within 250 ms count as one.
      await new Promise((resolve) => setTimeout(resolve, 400));
      job.signal("SIGINT");
      const { code, stderr } = await job.exit(20);
      assertEquals([code, stderr], [130, []]);
      // Most of the two seconds for the stopped announce were left, so this wasn't the regular end.
      assertFalse(job.stdout.some((line) => JSON.parse(line).event === "stopped"), "it had come to its end by itself");
    }),
);

testWith(
  "Ctrl-C at any time while shoal starts ends it with exit code 130 and no error",
  ["binary"],
  () =>
    Stage.with({}, async (stage) => {
      await together([0, 15, 30, 45, 60, 75, 90, 120, 150, 200, 300].map(async (moment) => {
        const act = await stage.act();
        await using job = act.start(act.download());
        await send([moment, "SIGINT"], job);
        const { code, stderr } = await job.exit(20);
        assertEquals(code, 130, job.report);
        assertEquals(stderr.filter((line) => line !== "shoal: stopping; press Ctrl-C again to leave at once"), []);
        // A `started` announce is followed by a `stopped` announce.
        const came = act.announces.some((event) => event === "started");
        assertEquals(timesStopped(act), came ? 1 : 0, `${moment} ms\n${job.report}`);
      }));
    }),
);

testWith(
  "Ctrl-C during the check ends shoal with exit code 130 and without an announce",
  ["binary"],
  () =>
    Stage.with({ size: 128 << 20, blockMs: 0 }, async (stage) => {
      for (const args of [(act: Act) => act.seed("--json"), (act: Act) => act.download("--json", "--check")]) {
        const act = await stage.act();
        await Deno.mkdir(`${act.folder}/out`);
        await Deno.link(`${act.payload.folder}/file.bin`, `${act.folder}/out/file.bin.part`);
        await using job = act.start(args(act));
        await job.line((line) => line.includes('"checking"'), { seconds: 20, what: "it checked" });
        job.signal("SIGINT");
        const { code, stderr } = await job.exit(20);
        assertEquals([code, stderr, act.announces], [130, [], []], job.report);
        assertEquals(JSON.parse(job.stdout.at(-1)!).event, "stopped");
        assert((await namesIn(`${act.folder}/out`)).includes("file.bin.part"));
      }
    }),
);

testWith(
  "Ctrl-C gives exit code 130 to a download that seeds, and 0 to one that has completed and sends its stopped announce",
  ["binary"],
  () =>
    Stage.with({ size: 1 << 20, blockMs: 0 }, async (stage) => {
      const seeding = await stage.act();
      const leaving = await stage.act({ hangs: "stopped" });
      await using one = seeding.start(seeding.download("--json", "--seed"));
      await using other = leaving.start(leaving.download("--json"));
      for (const job of [one, other]) {
        await job.line((line) => line.includes('"completed"'), { seconds: 20, what: "it completed" });
      }
      await until("the announce of the end", one, () => seeding.announces.includes("completed"));
      await until("the farewell", other, () => timesStopped(leaving) > 0);
      one.signal("SIGINT");
      other.signal("SIGINT");
      assertEquals([(await one.exit(20)).code, timesStopped(seeding)], [130, 1]);
      // The download had completed and was stopping already.
      assertEquals([(await other.exit(20)).code, timesStopped(leaving)], [0, 1]);
      for (const act of [seeding, leaving]) {
        assertEquals(await act.state(), { clean: true, pieces: 4 });
        await assertSame(act.payload, `${act.folder}/out`);
      }
    }),
);

testWith(
  "Ctrl-C during the renames of a complete download leaves no wrong file, and the next run completes",
  ["binary"],
  () =>
    withScratch(async (folder) => {
      const payload = await makeTree(`${folder}/source`, { name: "a tree", seed: 43 });
      await makeTorrent(payload, { path: `${folder}/file.torrent` });
      const args = ["file.torrent", "-o", "out", "--check", "--json", "-p", "0", ...OFFLINE];
      let interrupted = 0;
      for (let round = 0; round < 2; round++) {
        // All data is on disk under `.part` names, so only the renames are left to do.
        await Deno.remove(`${folder}/out`, { recursive: true }).catch(() => {});
        for (const { path } of payload.files.filter(({ size }) => size > 0)) {
          await Deno.mkdir(`${folder}/out/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
          await Deno.copyFile(`${payload.folder}/${path}`, `${folder}/out/${path}.part`);
        }
        await using job = startShoal(args, folder);
        await until("a renamed file", job, async () => (await finalNames(`${folder}/out`)) > 40 * round);
        job.signal("SIGINT");
        const { code, stderr } = await job.exit(20);
        assert(code === 0 || code === 130, job.report);
        assertEquals(stderr, []);
        if (code === 130) interrupted++;
        const last = await runShoal(args.filter((arg) => arg !== "--check"), folder, 30);
        assertEquals([last.code, last.stderr], [0, []]);
        await assertSame(payload, `${folder}/out`);
      }
      assert(interrupted > 0, "it was always too late");
    }),
);

async function finalNames(folder: string): Promise<number> {
  let count = 0;
  for await (const entry of Deno.readDir(folder)) {
    if (entry.isDirectory) count += await finalNames(`${folder}/${entry.name}`);
    else if (!entry.name.endsWith(".part")) count++;
  }
  return count;
}

/** A time at which the demo is interrupted, and the signals. */
interface Moment {
  readonly args: readonly string[];
  readonly send: Script;
  readonly when: (job: Job, folder: string) => Promise<unknown>;
}

const line = (part: string) => (job: Job) =>
  job.line((text) => text.includes(part), { seconds: 20, what: `it said ${part}` });

const MOMENTS: Readonly<Record<string, Moment>> = {
  "while it makes its data": {
    args: ["--size", "512M"],
    send: ["SIGINT"],
    when: (job, folder) => until("its folder", job, async () => (await demoFolders(folder)).length > 0),
  },
  "while it downloads": { args: ["--size", "128M", "--json"], send: ["SIGTERM"], when: line('"progress"') },
  "while it downloads, twice": {
    args: ["--size", "64M", "--json"],
    send: ["SIGINT", 400, "SIGINT"],
    when: line('"added"'),
  },
  "after its download": { args: ["--size", "24M", "--json"], send: ["SIGINT"], when: line('"stopped"') },
};

testWith(
  "shoal demo removes its files when it is interrupted at any time",
  ["binary"],
  () =>
    withScratch(async (scratch) => {
      await together(
        Object.entries(MOMENTS).map(async ([moment, { args, send: script, when }], i) => {
          const folder = `${scratch}/${i}`;
          await Deno.mkdir(folder);
          await using job = startShoal(["demo", ...args], folder);
          await when(job, folder);
          const asked = performance.now();
          await send(script, job);
          const { code, stdout, stderr } = await job.exit(20);
          // After the download, the demo may end by itself before the signal arrives.
          assert(code === 130 || (code === 0 && moment === "after its download"), `${moment}\n${job.report}`);
          assertLess(performance.now() - asked, LEAVE_MS, moment);
          assertEquals(await demoFolders(folder), [], moment);
          assertFalse([...stdout, ...stderr].some((line) => line.includes("the same command")), job.report);
        }),
      );
    }),
);

async function demoFolders(folder: string): Promise<string[]> {
  return (await namesIn(folder)).filter((name) => name.startsWith("shoal-demo-"));
}
