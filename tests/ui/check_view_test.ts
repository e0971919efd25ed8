import { assert, assertEquals, assertLess, assertStringIncludes } from "@std/assert";
import stringWidth from "string-width";
import { LiveCheckView, PlainCheckView, renderCheck } from "../../src/ui/check_view.ts";
import { VirtualClock } from "../support/virtual_clock.ts";
import { FakeTerminal } from "./fake_terminal.ts";

const ASCII = { color: false, unicode: false };
const STATE = { verb: "checking", name: "debian.iso", fraction: 0.25, bytes: 1024 * 1024 * 1024, seconds: 4 };

Deno.test("renderCheck() shows what is checked, how far, how fast, and how long it will take", () => {
  assertEquals(renderCheck(STATE, { columns: 80, style: ASCII }), [
    "checking  debian.iso",
    `[${"#".repeat(11)}${"-".repeat(33)}]   25.0%  256.0 MiB/s  ETA     12s`,
  ]);
});

Deno.test("renderCheck() keeps to the window, whatever its width and the name", () => {
  const name = "\u6f22".repeat(200) + "\x1b[2J";
  for (const style of [ASCII, { color: false, unicode: true }]) {
    for (let columns = 1; columns <= 200; columns++) {
      for (const line of renderCheck({ ...STATE, name }, { columns, style }).slice(columns < 10 ? 1 : 0)) {
        assertLess(stringWidth(line), columns + 1, `${columns}: ${line}`);
        assert(!line.includes("\x1b"));
      }
    }
  }
});

Deno.test("renderCheck() knows no time that is left before anything is done", () => {
  const [, line] = renderCheck({ ...STATE, fraction: 0, bytes: 0, seconds: 0 }, { columns: 80, style: ASCII });
  for (const part of ["0.0%", "0.0 KiB/s", "ETA       -"]) assertStringIncludes(line!, part);
});

Deno.test("LiveCheckView leaves out frames that the terminal is not ready for, and is closed once", async () => {
  const clock = new VirtualClock();
  const terminal = new FakeTerminal({ isTerminal: true, env: { TERM: "xterm" } });
  const view = new LiveCheckView({ platform: clock, terminal, name: "a" });
  view.start();
  const { writes } = terminal.stdout;
  terminal.stdout.block();
  for (let i = 1; i <= 9; i++) {
    view.progress(i / 10, i);
    await clock.play(100);
  }
  assertEquals(terminal.stdout.writes, writes);
  terminal.stdout.release();
  await clock.play(100);
  assertEquals(terminal.stdout.writes, writes + 1);
  assertStringIncludes(terminal.stdout.text, "90.0%");
  await view.close();
  await view.close();
  assertEquals(terminal.stdout.writes, writes + 2);
  assertEquals([clock.pending, terminal.disturbances.size], [0, 0]);
});

Deno.test("LiveCheckView draws itself anew below what others wrote", async () => {
  const clock = new VirtualClock();
  const terminal = new FakeTerminal({ isTerminal: true, env: { TERM: "xterm" } });
  const view = new LiveCheckView({ platform: clock, terminal, name: "a" });
  view.start();
  await clock.play(100);
  terminal.stdout.text = "";
  terminal.disturb("continued");
  await clock.play(100);
  assertStringIncludes(terminal.stdout.text, "checking");
  assert(!terminal.stdout.text.includes("\x1b[2A"), "it would be drawn over what others wrote");
  await view.close();
});

Deno.test("PlainCheckView prints a line every five seconds, and nothing for a check that is over before", async () => {
  const clock = new VirtualClock();
  const terminal = new FakeTerminal();
  const short = new PlainCheckView({ platform: clock, terminal, name: "short" });
  short.start();
  short.progress(0.5, 5);
  await clock.play(4000);
  await short.close();
  const view = new PlainCheckView({ platform: clock, terminal, name: "a\nb" });
  view.start();
  await clock.play(5000);
  view.progress(0.5, 10 * 1024 * 1024);
  await clock.play(5000);
  await view.close();
  assertEquals(terminal.stdout.lines, [
    "a b: checking (0.0%), 0 B/s",
    "a b: checking (50.0%), 1 MiB/s, ETA 10s",
  ]);
  assertEquals(clock.pending, 0);
});
