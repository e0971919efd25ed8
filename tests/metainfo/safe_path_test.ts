import { assert, assertEquals } from "@std/assert";
import { MAX_NAME_BYTES, utf8 } from "../../src/base/bytes.ts";
import { byteLength, foldName, safeName, shortName, splitName } from "../../src/metainfo/safe_path.ts";
import { fc, unicodeText } from "../support/property.ts";

const TENS = "abcdefghi_";

const NAMES: [name: string, portable: string, unix: string][] = [
  ["plain.txt", "plain.txt", "plain.txt"],
  ["with space", "with space", "with space"],
  ["\u65e5\u672c\u8a9e.\u{1f600}", "\u65e5\u672c\u8a9e.\u{1f600}", "\u65e5\u672c\u8a9e.\u{1f600}"],
  [".hidden", ".hidden", ".hidden"],
  ["a...b", "a...b", "a...b"],
  ["", "", ""],
  [".", "", ""],
  ["..", "", ""],
  ["...", "", "..."],
  ["/..", "", ""],
  [".\u202e.", "", ""],
  ["//\\", "", ""],
  ["/a/", "a", "a"],
  ["a\\b", "ab", "ab"],
  ["\0foo", "foo", "foo"],
  ["\b?filename=4", "__filename=4", "_?filename=4"],
  ["a\n\r\tb", "a___b", "a___b"],
  ["\x1b[31mred", "_[31mred", "_[31mred"],
  ["a\x7fb\x85c", "a_b_c", "a_b_c"],
  ["c:", "c_", "c:"],
  [`<>:"|?*`, "_______", `<>:"|?*`],
  ["abc...", "abc", "abc..."],
  ["abc   ", "abc", "abc   "],
  ["a. . .", "a", "a. . ."],
  ["   ", "", "   "],
  ["CON", "_CON", "CON"],
  ["con.txt", "_con.txt", "con.txt"],
  ["Nul.tar.gz", "_Nul.tar.gz", "Nul.tar.gz"],
  ["COM1", "_COM1", "COM1"],
  ["lpt9 .x", "_lpt9 .x", "lpt9 .x"],
  ["COM\u00b9", "_COM\u00b9", "COM\u00b9"],
  ["AUX.", "_AUX", "AUX."],
  ["CONSOLE", "CONSOLE", "CONSOLE"],
  ["COM10", "COM10", "COM10"],
  ["photo\u202egnp.exe", "photognp.exe", "photognp.exe"],
  ["foo\u200ebar\u2066\u061c", "foobar", "foobar"],
  ["a\ud800b", "a_b", "a_b"],
];

for (const [name, portable, unix] of NAMES) {
  Deno.test(`safeName() makes ${JSON.stringify(portable)} of ${JSON.stringify(name)}`, () => {
    assertEquals(safeName(name), portable);
    assertEquals(safeName(name, { portable: false }), unix);
  });
}

Deno.test("safeName() keeps a name that file systems take, and cuts a longer one where libtorrent does", () => {
  for (const length of [240, 245, 250, 255]) assertEquals(safeName("x".repeat(length)), "x".repeat(length));
  assertEquals(safeName(`${"\u00e9".repeat(127)}x`), `${"\u00e9".repeat(127)}x`);
  assertEquals(safeName(TENS.repeat(26)), TENS.repeat(24));
  assertEquals(safeName(`${TENS.repeat(25)}abcde.test`), `${TENS.repeat(24)}.test`);
  const dash = `${TENS.repeat(23)}abcdefghi\u2014`;
  assertEquals(safeName(`${dash}abcde${TENS}.jpg`), `${dash}.jpg`);
  assertEquals(safeName(`CON.${"x".repeat(251)}`), `_CON.${"x".repeat(250)}`);
});

Deno.test("shortName() cuts where libtorrent does", () => {
  assertEquals(shortName(TENS.repeat(24)), TENS.repeat(24));
  assertEquals(shortName(TENS.repeat(25)), TENS.repeat(24));
  assertEquals(shortName(`${TENS.repeat(24)}abcde.test`), `${TENS.repeat(24)}.test`);
});

Deno.test("safeName() keeps no extension of more than nine bytes when it cuts", () => {
  const base = "x".repeat(250);
  assertEquals(safeName(`${base}.12345678`), `${"x".repeat(240)}.12345678`);
  assertEquals(safeName(`${base}.123456789`), "x".repeat(240));
  assertEquals(safeName(`${"\u65e5".repeat(90)}.mkv`), `${"\u65e5".repeat(80)}.mkv`);
});

Deno.test("safeName() never leaves a dot or a space where it cut", () => {
  assertEquals(safeName(`${"x".repeat(238)}. ${"y".repeat(20)}`), "x".repeat(238));
});

Deno.test("foldName() makes names equal that a file system may take for one", () => {
  const pairs = [["README", "readme"], ["\u00e9", "E\u0301"], ["\u00df", "\u1e9e"], ["\u03c3", "\u03c2"], [
    "\u212a",
    "k",
  ]];
  for (const [a, b] of pairs) assertEquals(foldName(a!), foldName(b!), `${a} ${b}`);
  assert(foldName("a") !== foldName("b"));
  assert(foldName("e") !== foldName("\u00e9"));
});

Deno.test("splitName() finds where a number goes", () => {
  assertEquals(splitName("a.txt"), { stem: "a", extension: ".txt" });
  assertEquals(splitName("a.tar.gz"), { stem: "a.tar", extension: ".gz" });
  assertEquals(splitName("a"), { stem: "a", extension: "" });
  assertEquals(splitName(".hidden"), { stem: ".hidden", extension: "" });
  assertEquals(splitName(`a.${"x".repeat(100)}`), { stem: `a.${"x".repeat(100)}`, extension: "" });
  const long = splitName(`${"x".repeat(240)}.mkv`);
  assertEquals([long.stem.length, long.extension], [240, ".mkv"]);
});

/** Text with many harmful characters. */
const nasty = fc.array(
  fc.oneof(
    fc.constantFrom(
      ...'/\\.: \0~%$-_aA1<>|?*"\n',
      "..",
      "...",
      "CON",
      "nul",
      "COM1",
      ".txt",
      "\u202e",
      "\u2067",
      "\u00e9",
      "e\u0301",
    ),
    unicodeText({ maxLength: 3 }),
    fc.constantFrom("\u65e5".repeat(60), "x".repeat(120)),
  ),
  { maxLength: 8 },
).map((parts) => parts.join(""));

Deno.test("safeName() gives a name that cannot lead anywhere", () => {
  fc.assert(
    fc.property(nasty, fc.boolean(), (name, portable) => {
      const safe = safeName(name, { portable });
      assert(![".", ".."].includes(safe));
      assert(!/[/\\\0\n\u202a-\u202e\u2066-\u2069]/.test(safe), JSON.stringify(safe));
      assert(utf8(safe).length <= MAX_NAME_BYTES);
      assertEquals(new TextDecoder("utf-8", { fatal: true }).decode(utf8(safe)), safe);
      assertEquals(safeName(safe, { portable }), safe);
      if (portable) assert(!/[<>:"|?*]|[. ]$|^(con|nul|com1)(\.|$)/i.test(safe), JSON.stringify(safe));
    }),
    { numRuns: 1000 },
  );
});

Deno.test("byteLength() counts bytes of UTF-8", () => {
  fc.assert(fc.property(unicodeText(), (text) => assertEquals(byteLength(text), utf8(text).length)));
});

Deno.test("foldName() folds a name as it folds the whole text, character by character or not", () => {
  const whole = (text: string) => text.normalize("NFC").toLowerCase().toUpperCase().normalize("NFC");
  const character = fc.oneof(
    fc.constantFrom("\u0130", "\u00df", "\u01f0", "\u03c2", "\u03a3", "\u0958", "\u212b", "\u0301", "\u1100", "\u1161"),
    fc.constantFrom("\uac00", "\u11a8", "\ufb01", "\u0390", "\u0345", "\u{1f600}", "\u{10400}", "\u{11347}", "\ud800"),
    unicodeText({ minLength: 1, maxLength: 1 }),
  );
  fc.assert(
    fc.property(
      fc.array(character, { maxLength: 6 }),
      (parts) => assertEquals(foldName(parts.join("")), whole(parts.join(""))),
    ),
    { numRuns: 3000 },
  );
  // Of two adjacent characters, only special ones can combine. Each character is tried next to one that takes combining
  // marks.
  for (let code = 0x80; code < 0x10000; code++) {
    const text = `e${String.fromCharCode(code)}\u30ab${String.fromCharCode(code)}`;
    if (foldName(text) !== whole(text)) assertEquals(foldName(text), whole(text), code.toString(16));
  }
});
