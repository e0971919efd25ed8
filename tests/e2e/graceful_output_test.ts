import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { BINARY, environment, runShoal } from "../support/binary.ts";
import { Job } from "../support/job.ts";
import { assertSame } from "../support/payload.ts";
import { testWith } from "../support/requirements.ts";
import { withScratch } from "../support/scratch.ts";
import { type Act, commandFor, namesIn, type Program, Stage, together, until } from "../support/stage.ts";

/** A small payload from a fast peer, for downloads that complete. */
const SMALL = { size: 2 << 20, blockMs: 0 } as const;

const UNREAD = "shoal: stopping, since nobody reads standard output any more";

/** Joins arguments for a shell command. None of them contains a character that is special to the shell. */
const line = (args: readonly string[]) => args.join(" ");

function assertInGoodOrder(act: Act, state: Awaited<ReturnType<Act["state"]>>): void {
  assertEquals(act.announces.filter((event) => event === "stopped").length, 1);
  assertEquals(state?.clean, true);
}

/** Runs Shoal with a reader of its output that exits during the transfer without having read anything. */
async function loseReader(act: Act, args: readonly string[]): Promise<Job> {
  const reader = "until [ -e leave ]; do sleep 0.1; done";
  await using job = act.shell(`{ shoal ${line(args)}; echo $? > code; } | ${reader}`);
  await act.underWay(job);
  await Deno.writeTextFile(`${act.folder}/leave`, "");
  // Shoal notices at the next line of output: at most 5 s later, with --json 30 s while nothing changes.
  await job.exit(60);
  assertEquals(await Deno.readTextFile(`${act.folder}/code`), "130\n", job.report);
  assertInGoodOrder(act, await act.state());
  return job;
}

testWith(
  "shoal download and seed stop cleanly with exit code 130 when the reader of their output exits",
  ["binary"],
  () =>
    Stage.with({}, async (stage) => {
      const [json, plain, seed] = await Promise.all([stage.act(), stage.act(), stage.act()]);
      const jobs = await together([
        loseReader(json, json.download("--json")),
        loseReader(plain, plain.download()),
        loseReader(seed, seed.seed("--json")),
      ]);
      // With --json, no message is printed on standard error.
      assertEquals(jobs.map(({ stderr }) => stderr), [[], [UNREAD], []]);
    }),
);

testWith(
  "shoal demo stops with exit code 130 and removes its files when the reader of its output exits",
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
  "shoal download --json stops with exit code 4 and an error when standard output is a full device",
  ["binary"],
  () =>
    Stage.with({}, async (stage) => {
      const act = await stage.act();
      await using job = act.shell(`shoal ${line(act.download("--json"))} > /dev/full`);
      const { code, stderr } = await job.exit(30);
      assertEquals([code, stderr.length], [4, 1], job.report);
      assertStringIncludes(stderr[0]!, "shoal: error: cannot write (standard output): ");
      // The end may come before the first announce.
      assert(act.announces.every((event, i) => event === ["started", "stopped"][i]), act.announces.join());
    }),
);

testWith(
  "shoal download completes with closed standard streams, and without a terminal",
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

/** Shell commands that start SHOAL without output on a terminal. */
const HIDDEN = {
  "both outputs go to files": "exec SHOAL > log 2> errors",
  "both outputs go nowhere": "exec SHOAL > /dev/null 2>&1",
  "and standard input is closed": "exec SHOAL > log 2>&1 <&-",
  "and standard input is a pipe": "sleep 8 | SHOAL > log 2>&1",
  "a script of bash starts it": "exec bash -c 'SHOAL > log 2>&1 & wait $!'",
  "it has a session of its own": "exec setsid --wait SHOAL > log 2>&1",
} as const;

/** Shell commands that start SHOAL under nohup, without output on a terminal. */
const NOHUP = {
  // Standard input is a terminal, which `nohup` replaces.
  "in a terminal": `exec script -qec 'exec nohup SHOAL > log 2>&1' /dev/null`,
  "by bash": "exec bash -c 'nohup SHOAL > log 2>&1 < /dev/null & wait $!'",
  "by bash, into a pipe": "bash -c 'nohup SHOAL 2>&1; exit $?' | cat > log",
} as const;

/**
 * Starts a download by a shell command in which `SHOAL` stands for Shoal's command line, and waits until it has begun.
 *
 * @returns The shell, and Shoal's process id.
 */
async function startBy(
  text: string,
  { act, program = "compiled" }: { readonly act: Act; readonly program?: Program },
): Promise<{ readonly job: Job; readonly pid: number }> {
  const start = `echo $$ > pid; exec "$@"`;
  await Deno.writeTextFile(`${act.folder}/start`, `#!/bin/sh\n${start}\n`, { mode: 0o755 });
  const command = `./start ${line(commandFor(program))} ${line(act.download())}`;
  const job = act.shell(text.replace("SHOAL", command));
  await act.underWay(job);
  return { job, pid: Number(await Deno.readTextFile(`${act.folder}/pid`)) };
}

for (const signal of ["SIGHUP", "SIGINT", "SIGTERM"] as const) {
  testWith(
    `${signal} stops a download cleanly with exit code 130 wherever its output goes`,
    ["binary"],
    () =>
      Stage.with({}, async (stage) => {
        const programs = signal === "SIGHUP" ? ["compiled", "deno run"] as const : ["compiled"] as const;
        const scenes = Object.entries(HIDDEN).flatMap(([what, text]) =>
          programs.map((program) => ({ what: `${what}, ${program}`, text, program }))
        );
        await together(scenes.map(async ({ what, text, program }) => {
          const act = await stage.act();
          const { job, pid } = await startBy(text, { act, program });
          await using _ = job;
          Deno.kill(pid, signal);
          // A second SIGHUP or SIGTERM changes nothing.
          if (signal !== "SIGINT") Deno.kill(pid, signal);
          assertEquals((await job.exit(30)).code, 130, `${what}\n${job.report}`);
          assertInGoodOrder(act, await act.state());
          const names = [...await namesIn(`${act.folder}/state/shoal`), ...await namesIn(`${act.folder}/out`)];
          const locks = names.filter((name) => name.includes("lock"));
          assertEquals(locks, [], `${what}: a lock is left`);
        }));
      }),
  );
}

testWith(
  "shoal download under nohup continues after SIGHUP, and stops cleanly on SIGTERM",
  ["binary"],
  () =>
    Stage.with({}, async (stage) => {
      await together(
        Object.entries(NOHUP).map(async ([what, text]) => {
          const act = await stage.act();
          const { job, pid } = await startBy(text, { act });
          await using _ = job;
          Deno.kill(pid, "SIGHUP");
          const { pieces } = (await act.state())!;
          await until("more pieces", job, async () => (await act.state())!.pieces > pieces + 2);
          Deno.kill(pid, "SIGTERM");
          const { code } = await job.exit(30);
          if (!text.includes("|")) assertEquals(code, 130, `${what}\n${job.report}`);
          assertInGoodOrder(act, await act.state());
        }),
      );
    }),
);

testWith(
  "shoal --help exits with code 0 when the reader of its output has exited",
  ["binary"],
  () =>
    withScratch(async (folder) => {
      const script = `{ ${BINARY} --help; echo $? > code; } | true; cat code`;
      await using job = new Job(["sh", "-c", script], { name: "help", cwd: folder, env: environment(folder) });
      assertEquals((await job.exit(20)).stdout, ["0"]);
      assertEquals((await runShoal(["--version"], folder)).code, 0);
    }),
);
