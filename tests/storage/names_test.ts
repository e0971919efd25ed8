import { assert, assertEquals, assertThrows } from "@std/assert";
import { utf8 } from "../../src/base/bytes.ts";
import { StorageError } from "../../src/storage/errors.ts";
import { nameFiles } from "../../src/storage/names.ts";
import { layoutOf } from "./fixture.ts";

Deno.test("nameFiles() gives final names, part names and the folders above", () => {
  const [file, empty, pad, link] = nameFiles(layoutOf(16, [
    { path: "t/a/b", length: 3 },
    { path: "t/empty" },
    { path: "t/.pad/3", length: 3, pad: true },
    { path: "t/link", link: "t/empty" },
  ]));
  assertEquals(file, { folders: ["t", "t/a"], final: "t/a/b", part: "t/a/b.part" });
  assertEquals(empty, { folders: ["t"], final: "t/empty", part: "" });
  assertEquals(pad, { folders: [], final: "", part: "" });
  assertEquals(link, { folders: ["t"], final: "t/link", part: "" });
});

Deno.test("nameFiles() finds another part name where a file or folder of the torrent has it", () => {
  const names = nameFiles(layoutOf(16, [
    { path: "t/a", length: 1 },
    { path: "t/A.PART", length: 1 },
    { path: "t/a.1.part", length: 1 },
    { path: "t/b", length: 1 },
    { path: "t/b.part/x", length: 1 },
  ]));
  assertEquals(names.map((name) => name.part), [
    "t/a.2.part",
    "t/A.PART.part",
    "t/a.1.part.part",
    "t/b.1.part",
    "t/b.part/x.part",
  ]);
});

Deno.test("nameFiles() cuts a long name for its part name, at the end of a character", () => {
  const long = `t/${"x".repeat(248)}\u00e9\u00e9`;
  const other = `t/${"x".repeat(248)}\u00e9\u00ea`;
  const parts = nameFiles(layoutOf(16, [{ path: long, length: 1 }, { path: other, length: 1 }])).map(({ part }) =>
    part
  );
  assertEquals(parts, [`t/${"x".repeat(248)}\u00e9.part`, `t/${"x".repeat(248)}.1.part`]);
  for (const part of parts) assert(utf8(part.slice(2)).length <= 255);
});

Deno.test("nameFiles() refuses paths that could lead out", () => {
  for (const path of [[], [".."], ["a", ""], ["a", "."], ["a\\b"], ["a/b"], ["a\0"]]) {
    const layout = layoutOf(16, [{ path: "a", length: 1 }]);
    const files = [{ ...layout.files[0]!, path }];
    assertThrows(() => nameFiles({ ...layout, files }), StorageError, "unsafe path");
  }
});
