import { assert, assertEquals, assertFalse, assertStringIncludes } from "@std/assert";
import { BINARY, environment } from "../support/binary.ts";
import { assertSame } from "../support/payload.ts";
import { testWith } from "../support/requirements.ts";
import { withScratch } from "../support/scratch.ts";
import { type Act, commandFor, namesIn, type Program, Stage, together } from "../support/stage.ts";
import { type Screen, Terminal } from "../support/terminal.ts";

const PERCENTAGE = /\b\d+(\.\d)?%/;
const shows = (part: string) => ({ rows }: Screen) => rows.some((row) => row.includes(part));

function timesStopped(act: Act): number {
  return act.announces.filter((event) => event === "stopped").length;
}

/** Polls a condition until it is true. */
async function eventually(what: string, look: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 20_000;
  while (!await look()) {
    if (performance.now() > end) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Waits until the table shows progress, the resume state has pieces, and an announce was sent. */
async function underWay(act: Act, terminal: Terminal): Promise<void> {
  await terminal.until(({ rows }) => rows.some((row) => /\b[1-9]\d?(\.\d)?%/.test(row)), "a percentage");
  await eventually("resume state", async () => act.announces.length > 0 && ((await act.state())?.pieces ?? 0) > 0);
}

/** Returns a shell command that runs Shoal and saves the terminal's settings before and after. */
function between(args: readonly string[], program: Program = "compiled"): string {
  const command = [...commandFor(program), ...args].join(" ");
  return `stty -g > before; sh -c 'echo $$ > pid; exec ${command}'; code=$?; stty -g > after; (exit $code)`;
}

async function assertRestored(folder: string, screen: Screen, code: number): Promise<void> {
  const text = screen.rows.join("\n");
  // The shell's text is on its own line, so Shoal has ended its last line.
  assert(screen.rows.includes(`ended with ${code}`), text);
  assert(screen.cursorVisible, "the cursor is hidden");
  assertEquals(await Deno.readTextFile(`${folder}/after`), await Deno.readTextFile(`${folder}/before`));
  assertFalse(text.includes("?2026"), text);
}

async function assertInGoodOrder(act: Act): Promise<void> {
  assertEquals([timesStopped(act), (await act.state())?.clean], [1, true]);
}

async function kill(folder: string, signal: Deno.Signal): Promise<void> {
  Deno.kill(Number(await Deno.readTextFile(`${folder}/pid`)), signal);
}

const DOWNLOADS: Readonly<
  Record<string, { leave: (act: Act, terminal: Terminal) => Promise<void>; program?: Program }>
> = {
  "Ctrl-C": { leave: (_, terminal) => terminal.press("C-c") },
  "Ctrl-C, from source": { leave: (_, terminal) => terminal.press("C-c"), program: "deno run" },
  "SIGTERM": { leave: (act) => kill(act.folder, "SIGTERM") },
  "SIGTERM while the terminal is stopped by Ctrl-S": {
    async leave(act, terminal) {
      await terminal.press("C-s");
      await kill(act.folder, "SIGTERM");
      await eventually("the end", async () => !(await isRunning(act.folder)));
      await terminal.press("C-q");
    },
  },
};

async function isRunning(folder: string): Promise<boolean> {
  const pid = (await Deno.readTextFile(`${folder}/pid`)).trim();
  try {
    // The state is the first field after the name, which is in parentheses.
    const state = (await Deno.readTextFile(`/proc/${pid}/stat`)).split(") ")[1]![0];
    return state !== "Z" && state !== "X";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

testWith(
  "shoal download restores the terminal when it is stopped by Ctrl-C or SIGTERM",
  ["binary", "tmux"],
  () =>
    Stage.with({}, async (stage) => {
      await together(
        Object.entries(DOWNLOADS).map(async ([name, { leave, program }]) => {
          const act = await stage.act();
          const place = { columns: 80, cwd: act.folder, env: act.env };
          await using terminal = await Terminal.open(between(act.download(), program), place);
          await underWay(act, terminal);
          await leave(act, terminal);
          const screen = await terminal.ended(20);
          await assertRestored(act.folder, screen, 130);
          await assertInGoodOrder(act);
          // Output to a stopped terminal is lost.
          if (!name.includes("Ctrl-S")) {
            assertStringIncludes(screen.lines.join(" "), "the same command goes on from there");
          }
        }),
      );
    }),
);

testWith(
  "a second Ctrl-C in a terminal ends shoal download at once and restores the terminal",
  ["binary", "tmux"],
  () =>
    Stage.with({}, async (stage) => {
      const act = await stage.act({ hangs: "stopped" });
      const place = { columns: 80, cwd: act.folder, env: act.env };
      await using terminal = await Terminal.open(between(act.download()), place);
      await underWay(act, terminal);
      await terminal.press("C-c");
      await terminal.until(shows("press Ctrl-C again"), "what to do");
      // Signals within 250 ms count as one.
      await new Promise((resolve) => setTimeout(resolve, 400));
      await terminal.press("C-c");
      const screen = await terminal.ended(20);
      await assertRestored(act.folder, screen, 130);
      // Shoal has printed its summary, and the table is gone.
      assert(shows("stopped at")(screen), screen.rows.join("\n"));
      assertFalse(shows("CLIENT")(screen), screen.rows.join("\n"));
    }),
);

testWith(
  "Ctrl-C in a terminal stops seed and demo, and neither prints that the same command continues",
  ["binary", "tmux"],
  () =>
    Stage.with({}, async (stage) => {
      const act = await stage.act();
      await using seeding = await Terminal.open(between(act.seed()), { columns: 80, cwd: act.folder, env: act.env });
      await withScratch(async (folder) => {
        const place = { columns: 80, cwd: folder, env: environment(folder) };
        await using demo = await Terminal.open(between(["demo", "--size", "256M"]), place);
        await seeding.until(shows("seeding"), "that it seeds");
        await eventually("an announce", () => Promise.resolve(act.announces.length > 0));
        await demo.until(({ rows }) => rows.some((row) => PERCENTAGE.test(row)), "a percentage");
        await Promise.all([seeding.press("C-c"), demo.press("C-c")]);
        const screens = [await seeding.ended(20), await demo.ended(20)];
        await assertRestored(act.folder, screens[0]!, 130);
        await assertRestored(folder, screens[1]!, 130);
        assertEquals(timesStopped(act), 1);
        assertEquals((await namesIn(folder)).filter((name) => name.startsWith("shoal-demo-")), []);
        for (const { lines } of screens) assertFalse(lines.join(" ").includes("the same command"), lines.join("\n"));
      });
    }),
);

/** Downloads that run in a window that is closed. */
const WINDOWS: readonly { readonly args: readonly string[]; readonly program?: Program }[] = [
  { args: [] },
  { args: ["--json"] },
  { args: [], program: "deno run" },
];

/** Closes the window of a running download, and asserts that the download stops cleanly with exit code 130. */
async function closeWindow(act: Act, command: string): Promise<void> {
  const terminal = await Terminal.open(command, { columns: 80, cwd: act.folder, env: act.env });
  try {
    await eventually("pieces", async () => act.announces.length > 0 && ((await act.state())?.pieces ?? 0) > 0);
  } finally {
    await terminal[Symbol.asyncDispose]();
  }
  try {
    await eventually("the end", async () => (await namesIn(act.folder)).includes("code"));
  } finally {
    if (await isRunning(act.folder)) await kill(act.folder, "SIGKILL"); // Nothing else would end the process.
  }
  assertEquals(await Deno.readTextFile(`${act.folder}/code`), "130\n");
  await assertInGoodOrder(act);
}

testWith(
  "shoal download stops cleanly when its terminal window is closed",
  ["binary", "tmux"],
  () =>
    Stage.with({}, async (stage) => {
      // The kernel sends SIGHUP to the window's shell, and when that has ended, to the other processes of the window.
      // One of those ignores SIGHUP, and records the exit code.
      const told = WINDOWS.map(async ({ args, program }) => {
        const act = await stage.act();
        const script = `trap : HUP\n${between(act.download(...args), program)}\necho $? > code`;
        await Deno.writeTextFile(`${act.folder}/watch`, script);
        await closeWindow(act, "sh watch");
      });
      // If the window's shell ignores SIGHUP, Shoal gets no signal, and notices the closed terminal when it writes.
      const untold = await stage.act();
      await together([...told, closeWindow(untold, `trap : HUP; ${between(untold.download())}; echo $? > code`)]);
    }),
);

/** Suspends Shoal with Ctrl-Z, uses the shell, and resumes with `fg`. Returns the first screen with the table. */
async function suspendAndResume(terminal: Terminal, words: string): Promise<Screen> {
  await terminal.press("C-z");
  const stopped = await terminal.until(shows("Stopped"), "that it was stopped");
  assert(stopped.cursorVisible, "the cursor is hidden");
  await terminal.type(`clear; printf '%s\\n' ${words.replace("-", "'-'")}`);
  await terminal.until(({ rows }) => rows.includes(words), "that the shell can be used");
  // A user isn't faster than this, and a program can't detect that it was stopped for less than two frames.
  await new Promise((resolve) => setTimeout(resolve, 1000));
  await terminal.type("fg");
  const resumed = await terminal.until(shows("file.bin "), "the table");
  assert(resumed.cursorVisible, "the cursor is hidden");
  return resumed;
}

/** Returns `true` if the table is below the output of the shell. */
function isBelow({ rows }: Screen): boolean {
  const words = rows.findIndex((row) => row.startsWith("usable-"));
  return words >= 0 && words < rows.findIndex((row) => row.includes("file.bin "));
}

testWith(
  "shoal download leaves a usable terminal when it is suspended by Ctrl-Z, and draws below the shell's output after fg",
  ["binary", "tmux"],
  () =>
    Stage.with({ size: 8 << 20 }, async (stage) => {
      const act = await stage.act();
      const env = { ...act.env, PS1: "prompt> " };
      await using terminal = await Terminal.open("bash --norc --noprofile -i", { columns: 80, cwd: act.folder, env });
      await terminal.type([BINARY, ...act.download()].join(" "));
      await underWay(act, terminal);
      // A frame that was in flight to the terminal when the program was stopped appears late and in its old place, so
      // there are up to three attempts.
      const seen: Screen[] = [];
      while (seen.length < 3 && !seen.some(isBelow)) {
        seen.push(await suspendAndResume(terminal, `usable-${seen.length}`));
      }
      assert(seen.some(isBelow), seen.map(({ rows }) => rows.join("\n")).join("\n---\n"));
      await terminal.until(shows("saved in out"), "the summary");
      await terminal.type("echo code-$?");
      await terminal.until(shows("code-0"), "the exit code");
      await assertSame(act.payload, `${act.folder}/out`);
      await assertInGoodOrder(act);
    }),
);

testWith(
  "shoal download prints plain lines on a terminal of unknown type",
  ["binary", "tmux"],
  () =>
    Stage.with({ size: 2 << 20, blockMs: 0 }, async (stage) => {
      const act = await stage.act();
      const place = { columns: 80, cwd: act.folder, env: act.env };
      await using terminal = await Terminal.open(`env -u TERM ${BINARY} ${act.download().join(" ")}`, place);
      const { rows } = await terminal.ended(20);
      assertEquals(rows[0], "file.bin: 2 MiB in 1 file");
      assert(rows.includes("ended with 0") && !rows.some((row) => row.includes("CLIENT")), rows.join("\n"));
    }),
);
