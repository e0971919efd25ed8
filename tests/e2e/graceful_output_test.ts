import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { BINARY, environment, runShoal } from "../support/binary.ts";
import { Job } from "../support/job.ts";
import { assertSame } from "../support/payload.ts";
import { testWith } from "../support/requirements.ts";
import { withScratch } from "../support/scratch.ts";
import { type Act, Stage, together, until } from "../support/stage.ts";

/** Small and quick: for downloads that come to their end. */
const SMALL = { size: 2 << 20, blockMs: 0 } as const;

const UNREAD = "shoal: stopping, since nobody reads standard output any more";

/** Arguments for a line of shell; none of them holds a character that the shell would touch. */
const line = (args: readonly string[]) => args.join(" ");

function assertInGoodOrder(act: Act, state: Awaited<ReturnType<Act["state"]>>): void {
  assertEquals(act.announces.filter((event) => event === "stopped").length, 1);
  assertEquals(state?.clean, true);
}

/** Runs Shoal with a reader that leaves when the work is under way, without having read anything. */
async function loseReader(act: Act, args: readonly string[]): Promise<Job> {
  const reader = "until [ -e leave ]; do sleep 0.1; done";
  await using job = act.shell(`{ shoal ${line(args)}; echo $? > code; } | ${reader}`);
  await act.underWay(job);
  await Deno.writeTextFile(`${act.folder}/leave`, "");
  await job.exit(30); // it is noticed at the next line, which comes within five seconds
  assertEquals(await Deno.readTextFile(`${act.folder}/code`), "130\n", job.report);
  assertInGoodOrder(act, await act.state());
  return job;
}

testWith(
  "download and seed end in good order with 130 when their reader leaves",
  ["binary"],
  () =>
    Stage.with({}, async (stage) => {
      const [json, plain, seed] = await Promise.all([stage.act(), stage.act(), stage.act()]);
      const jobs = await together([
        loseReader(json, json.download("--json")),
        loseReader(plain, plain.download()),
        loseReader(seed, seed.seed("--json")),
      ]);
      // With --json, sentences would be in the way.
      assertEquals(jobs.map(({ stderr }) => stderr), [[], [UNREAD], []]);
    }),
);

testWith(
  "the demo ends with 130 and leaves nothing behind when its reader leaves",
  ["binary"],
  () =>
    withScratch(async (folder) => {
      const script = `{ ${BINARY} demo --size 256M --json; echo $? > code; } | head -n 1 > seen`;
      await using job = new Job(["sh", "-c", script], { name: "demo", cwd: folder, env: environment(folder) });
      await job.exit(30);
      assertEquals(await Deno.readTextFile(`${folder}/code`), "130\n");
      for await (const { name } of Deno.readDir(folder)) assert(!name.startsWith("shoal-demo-"), name);
    }),
);

testWith(
  "download --json onto a full device ends in good order with 4, and says why",
  ["binary"],
  () =>
    Stage.with({}, async (stage) => {
      const act = await stage.act();
      await using job = act.shell(`shoal ${line(act.download("--json"))} > /dev/full`);
      const { code, stderr } = await job.exit(30);
      assertEquals([code, stderr.length], [4, 1], job.report);
      assertStringIncludes(stderr[0]!, "shoal: error: cannot write (standard output): ");
      // So soon that nobody had been told of it.
      assert(act.announces.every((event, i) => event === ["started", "stopped"][i]), act.announces.join());
    }),
);

testWith(
  "download does without what is closed, and without a terminal",
  ["binary"],
  () =>
    Stage.with(SMALL, async (stage) => {
      const lines = {
        "standard input is closed": "shoal ARGS <&-",
        "standard output is closed": "shoal ARGS >&-",
        "standard error is closed": "shoal ARGS 2>&-",
        "all three are closed": "shoal ARGS <&- >&- 2>&-",
        "messages go to a reader that is gone":
          "{ sleep 0.2; shoal ARGS; echo $? > code; } 2>&1 >/dev/null | true; exit $(cat code)",
        "there is no terminal": "setsid --wait CMD ARGS",
        "TERM is not set": "unset TERM; shoal ARGS",
      };
      await together(
        Object.entries(lines).map(async ([what, text]) => {
          const act = await stage.act();
          const args = line(act.download("-v"));
          await using job = act.shell(text.replace("ARGS", args).replace("CMD", BINARY));
          assertEquals((await job.exit(30)).code, 0, `${what}\n${job.report}`);
          await assertSame(act.payload, `${act.folder}/out`);
          assertInGoodOrder(act, await act.state());
        }),
      );
    }),
);

testWith(
  "under nohup a download outlives its window, and still leaves in good order when asked to",
  ["binary"],
  () =>
    Stage.with({}, async (stage) => {
      const act = await stage.act();
      const command = `exec nohup ${BINARY} ${line(act.download())} > log 2>&1 < /dev/null`;
      await using job = act.shell(command);
      await act.underWay(job);
      job.signal("SIGHUP");
      const { pieces } = (await act.state())!;
      await until("more pieces", job, async () => (await act.state())!.pieces > pieces + 2);
      job.signal("SIGTERM");
      assertEquals((await job.exit(20)).code, 130);
      assertInGoodOrder(act, await act.state());
    }),
);

testWith(
  "what is said to a reader that leaves is no failure of commands that only say something",
  ["binary"],
  () =>
    withScratch(async (folder) => {
      const script = `{ ${BINARY} --help; echo $? > code; } | true; cat code`;
      await using job = new Job(["sh", "-c", script], { name: "help", cwd: folder, env: environment(folder) });
      assertEquals((await job.exit(20)).stdout, ["0"]);
      assertEquals((await runShoal(["--version"], folder)).code, 0);
    }),
);
