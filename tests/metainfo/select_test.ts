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
    ["1-", '"1-" is neither a file number nor a range like 3-5'],
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
  for (const text of ["", "a", "1,b", "-1", "1.5", "0x1"]) {
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
