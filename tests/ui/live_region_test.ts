import { assertEquals, assertLess } from "@std/assert";
import { LiveRegion } from "../../src/ui/live_region.ts";
import { fc, tries } from "../support/property.ts";
import { ScreenModel } from "./screen_model.ts";

Deno.test("LiveRegion leaves nothing of the last picture behind", () => {
  const line = fc.string({ unit: fc.constantFrom("a", "b", " "), maxLength: 12 }).map((text) => text.trimEnd() + ".");
  const picture = fc.record({
    lines: fc.array(line, { maxLength: 5 }),
    above: fc.array(fc.constant("a message that is longer than the screen"), { maxLength: 2 }),
  });
  fc.assert(fc.property(fc.array(picture, { minLength: 1, maxLength: 6 }), (pictures) => {
    const screen = new ScreenModel({ columns: 13 });
    const region = new LiveRegion();
    const said: string[] = [];
    for (const { lines, above } of pictures) {
      screen.feed(region.draw(lines, { columns: 13, above }));
      for (const text of above) said.push(...text.match(/.{1,13}/g)!.map((row) => row.trimEnd()));
      assertEquals(screen.lines, [...said, ...lines]);
      assertEquals(screen.cursorVisible, true);
    }
    screen.feed(region.end({ columns: 13, left: ["done"] }));
    assertEquals(screen.lines, [...said, "done"]);
    assertEquals(screen.cursorVisible, true);
  }));
});

Deno.test("LiveRegion writes nothing when there is nothing new, unless it is made to", () => {
  const region = new LiveRegion();
  const first = region.draw(["a"], { columns: 80 });
  assertLess(0, first.length);
  assertEquals(region.draw(["a"], { columns: 80 }), "");
  assertLess(0, region.draw(["a"], { columns: 80, force: true }).length);
  assertLess(0, region.draw(["b"], { columns: 80 }).length);
});

Deno.test("LiveRegion goes up past lines that a narrower window has wrapped", () => {
  const region = new LiveRegion();
  region.draw(["\x1b[36m0123456789\x1b[39m", "01"], { columns: 10 });
  // Ten cells in a window of four take three rows, and two cells take one.
  assertEquals(region.draw(["x"], { columns: 4 }).includes("\r\x1b[4A"), true);
});

Deno.test("LiveRegion does not erase behind a line that fills the window, for that would take its last cell", () => {
  const region = new LiveRegion();
  const text = region.draw(["abcd", "abc"], { columns: 4 });
  assertEquals(text.includes("abcd\n"), true);
  assertEquals(text.includes("abc\x1b[K\n"), true);
});

Deno.test("LiveRegion leaves alone what it drew when others have written below", () => {
  const screen = new ScreenModel({ columns: 20 });
  const region = new LiveRegion();
  screen.feed(region.draw(["a", "b"], { columns: 20 }));
  region.leave();
  screen.feed("[1]+  Stopped\n");
  screen.feed(region.draw(["a", "c"], { columns: 20 }));
  screen.feed(region.draw(["a", "d"], { columns: 20 }));
  assertEquals(screen.lines, ["a", "b", "[1]+  Stopped", "a", "d"]);
});

const KINDS = ["tmux", "plain"] as const;
/** What is on the screen and in the scrollback before the program starts. */
const USER = [...Array.from({ length: 80 }, (_, i) => `line ${i} of the user`), "$ shoal some.torrent"];

/** Draws frames in windows of several sizes, and returns the screen and the scrollback at the end. */
function play(
  kind: "tmux" | "plain",
  frames: readonly { readonly size: readonly [number, number]; lines: string[] }[],
) {
  const [columns, rows] = frames[0]!.size;
  const screen = new ScreenModel({ columns, rows, kind });
  const region = new LiveRegion();
  screen.feed(USER.map((line) => `${line}\n`).join(""));
  for (const { size: [columns, rows], lines } of frames) {
    screen.resize(columns, rows);
    screen.feed(region.draw(lines, { columns, rows }));
  }
  return screen;
}

/** A picture that fills a window. */
function full(columns: number, rows: number, letter = "x"): string[] {
  return Array.from({ length: rows - 1 }, (_, i) => `${letter}${i}`.padEnd(i % 3 === 0 ? columns : 9, "."));
}

Deno.test("LiveRegion leaves no row of the old picture on the screen when the size changes", () => {
  const sizes: (readonly [number, number])[][] = [
    [[80, 24], [80, 15], [80, 24]],
    [[80, 24], [40, 15], [80, 24]],
    [[80, 24], [40, 24], [80, 24], [120, 40]],
    [[120, 40], [80, 24], [40, 15], [200, 50]],
    [[40, 15], [200, 50], [40, 15], [37, 9], [41, 30], [40, 15]],
    [[80, 24], [79, 23], [78, 22], [77, 21], [79, 24], [80, 24]],
  ];
  for (const kind of KINDS) for (const path of sizes) assertNothingLeft(kind, path);
  const size = fc.tuple(fc.integer({ min: 20, max: 60 }), fc.integer({ min: 4, max: 20 }));
  fc.assert(
    fc.property(
      fc.constantFrom(...KINDS),
      fc.array(size, { minLength: 1, maxLength: 8 }),
      fc.array(fc.nat({ max: 3 }), { minLength: 8, maxLength: 8 }),
      assertNothingLeft,
    ),
    { numRuns: tries(60) },
  );
});

function assertNothingLeft(
  kind: "tmux" | "plain",
  path: readonly (readonly [number, number])[],
  fewer: readonly number[] = [],
): void {
  const frames = path.map(([columns, rows], i) => ({
    size: [columns, rows] as const,
    lines: full(columns, Math.max(2, rows - (fewer[i] ?? 0)), "abcdefgh"[i]),
  }));
  for (let count = 1; count <= frames.length; count++) {
    const screen = play(kind, frames.slice(0, count));
    const shown = screen.lines.filter((line) => !USER.includes(line));
    assertEquals(shown, frames[count - 1]!.lines, `${kind}: ${path.slice(0, count).join(" ")}`);
  }
}

Deno.test("LiveRegion knows what a narrower window hides of a picture at the top, once it knows where the cursor is", () => {
  const path = [[80, 24], [40, 15], [120, 40]] as const;
  const screen = new ScreenModel({ columns: 80, rows: 24 });
  const region = new LiveRegion();
  screen.feed("$ shoal\n");
  for (const [columns, rows] of path) {
    screen.resize(columns, rows);
    const lines = full(columns, Math.min(rows, 14), `${columns}:`);
    screen.feed(region.draw(lines, { columns, rows }));
    region.cursorAt(screen.cursorRow);
    assertEquals(screen.lines.filter((line) => line !== "$ shoal"), lines);
  }
});

Deno.test("LiveRegion puts nothing into the scrollback while it is drawn, nor when it ends", () => {
  for (const kind of KINDS) {
    const screen = new ScreenModel({ columns: 20, rows: 6, kind });
    const region = new LiveRegion();
    screen.feed("$ shoal\n");
    screen.feed(region.draw(full(20, 6, "a"), { columns: 20, rows: 6 }));
    screen.feed(
      region.draw(full(20, 6, "b"), { columns: 20, rows: 6, above: ["a message of some twenty characters"] }),
    );
    assertEquals(screen.scrollback, ["$ shoal", "a message of some tw", "enty characters"]);
    screen.feed(region.draw(full(20, 6, "c"), { columns: 20, rows: 6, force: true }));
    screen.feed(region.end({ columns: 20, rows: 6, left: ["done"] }));
    assertEquals(screen.scrollback, ["$ shoal", "a message of some tw", "enty characters"]);
    assertEquals(screen.lines, ["done"]);
  }
});

Deno.test("LiveRegion never erases what was above it, whatever sizes the window takes", () => {
  const frame = fc.record({
    size: fc.tuple(fc.integer({ min: 20, max: 60 }), fc.integer({ min: 4, max: 20 })),
    part: fc.double({ min: 0, max: 1, noNaN: true }),
    widths: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 20, maxLength: 20 }),
  }).map(({ size: [columns, rows], part, widths }) => ({
    size: [columns, rows] as const,
    lines: widths.slice(0, Math.ceil(part * (rows - 1))).map((width, i) => `${i}`.padEnd(width * columns, "-")),
  }));
  const frames = fc.array(frame, { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(fc.constantFrom(...KINDS), frames, (kind, frames) => {
      const screen = play(kind, frames);
      const all = [...screen.scrollback, ...screen.lines];
      assertEquals(all.slice(0, USER.length).join("|"), USER.join("|"));
      const { lines } = frames.at(-1)!;
      assertEquals(screen.lines.slice(screen.lines.length - lines.length), lines);
    }),
    { numRuns: tries(200) },
  );
});
