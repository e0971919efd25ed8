import { assert, assertEquals, assertThrows } from "@std/assert";
import { MAX_FILES } from "../../src/metainfo/files.ts";
import {
  compileGlob,
  MAX_CHOICE_LENGTH,
  numberedFiles,
  parseFileChoice,
  parseSelectOnly,
  selectFiles,
  SelectionError,
} from "../../src/metainfo/select.ts";
import { fc } from "../support/property.ts";

function torrent(...paths: string[]) {
  const files = paths.map((path) => ({
    path: path.split("/"),
    length: 1,
    offset: 0,
    pad: path.includes(".pad"),
    symlink: null,
    executable: false,
  }));
  return { name: "T", files };
}

/** Files with the numbers 1 to 5, which have the indexes 0, 2, 3, 4 and 5. */
const FILES = torrent("T/a.mkv", "T/.pad/1", "T/b.mkv", "T/sub/c.mkv", "T/sub/d.txt", "T/.hidden");

function choose(...texts: string[]): number[] {
  return [...selectFiles(FILES, texts.map((text) => parseFileChoice(text, "--files")))];
}

Deno.test("selectFiles() takes numbers as info shows them: from 1, padding left out", () => {
  assertEquals(choose("1"), [0]);
  assertEquals(choose("2-3,5"), [2, 3, 5]);
  assertEquals(choose(" 5 , 1"), [0, 5]);
  assertEquals(choose("3", "1-3"), [3, 0, 2]);
  assertEquals(numberedFiles(FILES.files), [0, 2, 3, 4, 5]);
});

Deno.test("selectFiles() holds a glob against names, and one with a slash against paths", () => {
  assertEquals(choose("*.mkv"), [0, 2, 3]);
  assertEquals(choose("sub/*"), [3, 4]);
  assertEquals(choose("T/*.mkv"), [0, 2]);
  assertEquals(choose("**/*.txt"), [4]);
  assertEquals(choose("{a,b}.mkv", ".*"), [0, 2, 5]);
  assertEquals(choose("[ab].mkv"), [0, 2]);
  assertEquals(choose("?.txt"), [4]);
});

Deno.test("selectFiles() takes the very name of a file, as info shows it or as the torrent has it", () => {
  const meta = torrent("T/[a] b*.mkv", "T/a b.mkv", "T/c_d", "T/c_d.1", "T/\u00e9.1");
  const own = [null, null, "c\td", "c_d", "e\u0301"];
  const files = meta.files.map((file, i) => own[i] === null ? file : { ...file, own: ["T", own[i]!] });
  const choose = (text: string) => [...selectFiles({ ...meta, files }, [parseFileChoice(text, "--files")])];
  assertEquals(choose("[a] b*.mkv"), [0]);
  assertEquals(choose("T/[a] b*.mkv"), [0]);
  assertEquals(choose("[a]*.mkv"), [1]);
  assertEquals(choose("c_d"), [2]);
  assertEquals(choose("c_d*"), [2, 3]);
  assertEquals(choose("c\td"), [2]);
  assertEquals(choose("T/c\t*"), [2]);
  assertEquals(choose("e\u0301"), [4]);
  for (const none of ["e", "undefined", "undef*"]) assertThrows(() => choose(none), SelectionError, "matches");
  assertEquals([...selectFiles(torrent("T/[9-0].mkv"), [parseFileChoice("[9-0].mkv", "--files")])], [0]);
});

Deno.test("selectFiles() takes lists of numbers, globs and folders, in any case", () => {
  const cases: [string, number[]][] = [
    ["2-", [2, 3, 4, 5]],
    ["5-", [5]],
    ["1,3-", [0, 3, 4, 5]],
    ["1,*.txt", [0, 4]],
    ["*.txt, b.mkv ,", [4, 2]],
    ["{a,b}.mkv,5", [0, 2, 5]],
    ["[a,b].mkv,*.txt", [0, 2, 4]],
    ["*.MKV", [0, 2, 3]],
    ["A.mkv,SUB/D.*", [0, 4]],
    ["sub/", [3, 4]],
    ["SUB//", [3, 4]],
    ["T/sub/", [3, 4]],
    ["t/", [0, 2, 3, 4, 5]],
    ["s*/,1", [3, 4, 0]],
    ["!*.mkv", [4, 5]],
    ["!sub/,!.hidden", [0, 2]],
    ["!1-3", [4, 5]],
    ["*.mkv,!sub/", [0, 2]],
    ["!sub/,*.mkv", [0, 2]],
    ["2-,!3-4", [2, 5]],
    ["!*.nfo", [0, 2, 3, 4, 5]],
    ["!(*.mkv)", [4, 5]],
  ];
  for (const [text, expected] of cases) assertEquals(choose(text), expected, text);
  assertEquals(choose("*.mkv", "!b*"), [0, 3]);
  assertEquals(choose("!b*", "*.mkv"), [0, 3]);
});

Deno.test("selectFiles() takes no list for a list that is the name of a file, or a glob that matches", () => {
  const meta = torrent("T/1, 2.mkv", "T/!x", "T/x", "T/a(1.mkv", "T/b.mkv", "T/A.MKV", "T/a.mkv");
  const choose = (text: string) => [...selectFiles(meta, [parseFileChoice(text, "--files")])];
  assertEquals(choose("1, 2.mkv"), [0]);
  assertEquals(choose("1, *.mkv"), [0]);
  assertEquals(choose("!x"), [1]);
  assertEquals(choose("a(1.mkv,b.mkv"), [3, 4]);
  assertEquals(choose("a.mkv"), [6]);
  assertEquals(choose("?.mkv"), [4, 5, 6]);
});

Deno.test("selectFiles() takes a magnet's so: from 0, padding counted but never chosen (BEP 53)", () => {
  const select = (text: string) => [...selectFiles(FILES, [parseSelectOnly(text)])];
  assertEquals(select("0,2,4-5"), [0, 2, 4, 5]);
  assertEquals(select("0-5"), [0, 2, 3, 4, 5]);
  assertEquals(select("1"), []);
});

Deno.test("parseFileChoice() and selectFiles() say what is wrong, and with which part", () => {
  const cases: [string, string][] = [
    ["0", "files are numbered from 1 on, got 0"],
    ["6", 'there is no file 6: those of "T" are 1 to 5'],
    ["2-999999999", 'there is no file 999999999: those of "T" are 1 to 5'],
    ["5-3", "the range 5-3 runs backwards"],
    ["1,,2", '"" is neither a file number nor a range like 3-5'],
    ["7-", 'there is no file 7: those of "T" are 1 to 5'],
    ["-2", '"-2" is neither a file number nor a range like 3-5'],
    ["1,*.avi", 'no file of "T" matches *.avi'],
    ["*.avi,!1", 'no file of "T" matches *.avi'],
    ["*.mkv,9", 'there is no file 9: those of "T" are 1 to 5'],
    ["*.mkv,0", "files are numbered from 1 on, got 0"],
    ["!7", 'there is no file 7: those of "T" are 1 to 5'],
    ["!*", 'no file of "T" is left'],
    ["4,!*.txt", 'no file of "T" is left'],
    ["!", 'no file of "T" matches'],
    ["other/", 'no file of "T" matches'],
    ["1234567890", '"1234567890" is neither'],
    ["*.avi", 'no file of "T" matches'],
    ["", "file numbers like 1,3-5 or a glob like *.mkv were expected"],
    ["9".repeat(MAX_CHOICE_LENGTH + 1), "characters, at most 32768 are accepted"],
  ];
  for (const [text, why] of cases) {
    const error = assertThrows(() => choose(text), SelectionError, why);
    assertEquals(error.kind, "usage");
    assert(error.where.startsWith("--files ") && error.where.length < 80, error.where);
  }
  for (const text of ["", "a", "1,b", "-1", "1-", "1.5", "0x1"]) {
    assertThrows(() => parseSelectOnly(text), SelectionError, "is neither a file number");
  }
});

Deno.test("parseSelectOnly() and selectFiles() name a range that no torrent has without going through it", () => {
  const error = assertThrows(
    () => selectFiles(FILES, [parseSelectOnly("0-999999999")]),
    SelectionError,
    "there is no file 999999999",
  );
  assertEquals(error.where, "so=0-999999999");
  assert(MAX_FILES < 999_999_999);
});

Deno.test("parseSelectOnly() makes one range of those that overlap or touch", () => {
  const { ranges } = parseSelectOnly("4-9,0-1,2,7-20,30") as { ranges: unknown };
  assertEquals(ranges, [{ first: 0, last: 2 }, { first: 4, last: 20 }, { first: 30, last: 30 }]);
});

Deno.test("selectFiles() gives just the numbers that were written, for any list of ranges", () => {
  const range = fc.tuple(fc.integer({ min: 1, max: 30 }), fc.nat(10));
  fc.assert(
    fc.property(fc.array(range, { minLength: 1 }), fc.array(fc.boolean(), { minLength: 40, maxLength: 60 }), (
      ranges,
      pads,
    ) => {
      const meta = torrent(...pads.map((pad, i) => pad ? `T/.pad/${i}` : `T/${i}`), ...Array(40).fill("T/x"));
      const numbered = numberedFiles(meta.files);
      const text = ranges.map(([first, more]) => more === 0 ? `${first}` : `${first}-${first + more}`).join(",");
      const expected = new Set<number>();
      for (const [first, more] of ranges) for (let n = first; n <= first + more; n++) expected.add(numbered[n - 1]!);
      assertEquals(selectFiles(meta, [parseFileChoice(text, "--files")]), expected);
    }),
  );
});

Deno.test("selectFiles() refuses a glob that can't be compiled", () => {
  assertThrows(() => compileGlob("[9-0].mkv", "--files [9-0].mkv"), SelectionError, "it is not a glob");
});
