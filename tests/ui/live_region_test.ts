import { assertEquals, assertLess } from "@std/assert";
import { LiveRegion } from "../../src/ui/live_region.ts";
import { fc } from "../support/property.ts";

/** The parts of a terminal that a live region uses: wrapping, moving up, erasing. */
class Screen {
  cells: string[][] = [[]];
  row = 0;
  column = 0;
  cursorVisible = true;

  constructor(readonly columns: number) {}

  feed(text: string): void {
    // deno-lint-ignore no-control-regex
    for (const [token] of text.matchAll(/\x1b\[(\??\d*)([A-Za-z])|[^\x1b]/gu)) this.#one(token);
  }

  get lines(): string[] {
    const lines = this.cells.map((cells) => Array.from(cells, (cell) => cell ?? " ").join("").trimEnd());
    while (lines.length > 0 && lines.at(-1) === "") lines.pop();
    return lines;
  }

  #one(token: string): void {
    if (token === "\n") {
      this.row++;
      this.column = 0;
      this.cells[this.row] ??= [];
    } else if (token === "\r") {
      this.column = 0;
    } else if (token.startsWith("\x1b")) {
      const count = Number(token.slice(2, -1)) || 1;
      if (token.endsWith("A")) this.row = Math.max(0, this.row - count);
      else if (token.endsWith("K")) this.cells[this.row]!.length = Math.min(this.column, this.cells[this.row]!.length);
      else if (token.endsWith("J")) {
        this.cells[this.row]!.length = Math.min(this.column, this.cells[this.row]!.length);
        this.cells.length = this.row + 1;
      } else if (token.includes("?25")) this.cursorVisible = token.endsWith("h");
    } else {
      if (this.column === this.columns) {
        this.row++;
        this.column = 0;
        this.cells[this.row] ??= [];
      }
      this.cells[this.row]![this.column++] = token;
    }
  }
}

Deno.test("LiveRegion leaves nothing of the last picture behind", () => {
  const line = fc.string({ unit: fc.constantFrom("a", "b", " "), maxLength: 12 }).map((text) => text.trimEnd() + ".");
  const picture = fc.record({
    lines: fc.array(line, { maxLength: 5 }),
    above: fc.array(fc.constant("a message that is longer than the screen"), { maxLength: 2 }),
  });
  fc.assert(fc.property(fc.array(picture, { minLength: 1, maxLength: 6 }), (pictures) => {
    const screen = new Screen(13);
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
  const screen = new Screen(20);
  const region = new LiveRegion();
  screen.feed(region.draw(["a", "b"], { columns: 20 }));
  region.leave();
  screen.feed("[1]+  Stopped\n");
  screen.feed(region.draw(["a", "c"], { columns: 20 }));
  screen.feed(region.draw(["a", "d"], { columns: 20 }));
  assertEquals(screen.lines, ["a", "b", "[1]+  Stopped", "a", "d"]);
});
