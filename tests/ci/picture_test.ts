import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { drawSvg, readScreen } from "../../.ci/ansi_svg.ts";
import { parseArgs } from "../../.ci/picture.ts";

const ESC = "\x1b[";

/** Returns column, text, colour and background of each run. */
function seen(text: string): (string | number | null)[][] {
  return readScreen(text).flat().map(({ column, text, look }) => [column, text, look.color, look.background]);
}

function draw(text: string): string {
  return drawSvg(readScreen(text), { columns: 20, title: 'a "title" & <more>' });
}

Deno.test("picture: readScreen() knows 16, 256 and true colours, and what switches them off", () => {
  assertEquals(seen(`${ESC}31ma${ESC}92mb${ESC}39mc`), [[0, "a", "#ff7b72", null], [1, "b", "#56d364", null], [
    2,
    "c",
    null,
    null,
  ]]);
  assertEquals(seen(`${ESC}38;5;196ma${ESC}38;5;244mb${ESC}38;5;1mc`).map((run) => run[2]), [
    "#ff0000",
    "#808080",
    "#ff7b72",
  ]);
  assertEquals(seen(`${ESC}38;2;1;2;255;48;2;16;32;48;1ma`), [[0, "a", "#0102ff", "#102030"]]);
  assertEquals(seen(`${ESC}104ma${ESC}49mb`), [[0, "a", null, "#79c0ff"], [1, "b", null, null]]);
  const looks = readScreen(`${ESC}1;2;3;4;7ma${ESC}22;23;24;27mb${ESC}1mc${ESC}md`).flat().map(({ look }) => look);
  assertEquals(looks[0], { ...looks[1]!, bold: true, dim: true, italic: true, underline: true, reverse: true });
  assertEquals([looks[2]!.bold, looks[3]!.bold], [true, false]);
});

Deno.test("picture: readScreen() counts cells, keeps a colour across lines, and leaves out all other sequences", () => {
  assertEquals(seen(`a\u65e5e\u0301b`), [[0, "a", null, null], [1, "\u65e5", null, null], [3, "e\u0301", null, null], [
    4,
    "b",
    null,
    null,
  ]]);
  assertEquals(seen(`${ESC}31ma\nb`).map((run) => run[2]), ["#ff7b72", "#ff7b72"]);
  assertEquals(seen(`${ESC}2Ja\x1b(Bb${ESC}?25lc   `), [[0, "abc   ", null, null]]);
  assertEquals(readScreen("a\n   \n\n"), [readScreen("a")[0]!, [], []]);
});

Deno.test("picture: drawSvg() escapes text, and gives every word its cells", () => {
  const svg = draw(`<a> & "b"   c${ESC}1;2;31md`);
  assertStringIncludes(svg, 'aria-label="a &quot;title&quot; &amp; &lt;more&gt;"');
  assertStringIncludes(
    svg,
    'x="0" y="15" textLength="81" lengthAdjust="spacingAndGlyphs">&lt;a&gt; &amp; &quot;b&quot;<',
  );
  assertStringIncludes(svg, '<text x="108" y="15" textLength="9" lengthAdjust="spacingAndGlyphs">c</text>');
  assertStringIncludes(svg, 'class="b" fill="#ff7b72" fill-opacity="0.6">d</text>');
  assertStringIncludes(draw("\u65e5"), 'textLength="18"');
});

Deno.test("picture: drawSvg() draws blocks and lines as shapes without gaps", () => {
  const shapes = (text: string) => Array.from(draw(text).matchAll(/<rect class="c" (.*)\/>/g), (match) => match[1]);
  assertEquals(shapes("\u2588\u2588\u2588"), ['x="0" y="0" width="27" height="20" fill="#e6edf3"']);
  assertEquals(shapes("\u2584"), ['x="0" y="10" width="9" height="10" fill="#e6edf3"']);
  assertEquals(shapes("\u258c"), ['x="0" y="0" width="4.5" height="20" fill="#e6edf3"']);
  assertEquals(shapes("\u2592"), ['x="0" y="0" width="9" height="20" fill="#e6edf3" fill-opacity="0.5"']);
  assertEquals(shapes("\u259a").length, 2);
  assertEquals(shapes("\u2500\u2500"), ['x="0" y="10" width="18" height="1" fill="#e6edf3"']);
  assertEquals(shapes("\u253c").length, 2);
  assertEquals(shapes(`${ESC}41m a`), ['x="0" y="0" width="18" height="20" fill="#ff7b72"']);
  assertEquals(shapes(`${ESC}32;7m a`), ['x="0" y="0" width="18" height="20" fill="#3fb950"']);
  assert(!draw("\u2588").includes("</text>"));
});

Deno.test("picture: parseArgs() takes sizes, a pattern and a command", () => {
  assertEquals(parseArgs([]).command, "deno task --quiet demo --size 1G");
  const { columns, until, command } = parseArgs(["--columns", "80", "--until", "x+", "--", "shoal", "a b"]);
  assertEquals([columns, until.source, command], [80, "x+", "shoal a b"]);
  for (const wrong of [["--columns", "0"], ["--rows"], ["x"]]) assertThrows(() => parseArgs(wrong), Error);
});
