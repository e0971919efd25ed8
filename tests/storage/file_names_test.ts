import { assert, assertEquals, assertThrows } from "@std/assert";
import { utf8 } from "../../src/base/bytes.ts";
import { StorageError } from "../../src/storage/errors.ts";
import { type FolderName, nameFiles } from "../../src/storage/file_names.ts";
import { layoutOf } from "./fixture.ts";

Deno.test("nameFiles() gives final names, part names and the folders above", () => {
  const [file, empty, pad, link] = nameFiles(layoutOf(16, [
    { path: "t/a/b", length: 3 },
    { path: "t/empty" },
    { path: "t/.pad/3", length: 3, pad: true },
    { path: "t/link", link: "t/empty" },
  ]));
  const paths = (folder: FolderName | null): string[] => folder ? [...paths(folder.parent), folder.path] : [];
  assertEquals({ ...file, folder: paths(file!.folder) }, { folder: ["t", "t/a"], final: "t/a/b", part: "t/a/b.part" });
  assertEquals({ ...empty, folder: paths(empty!.folder) }, { folder: ["t"], final: "t/empty", part: "" });
  assertEquals(pad, { folder: null, final: "", part: "" });
  assertEquals({ ...link, folder: paths(link!.folder) }, { folder: ["t"], final: "t/link", part: "" });
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

Deno.test("nameFiles() keeps each folder once, however many files are below it", () => {
  const deep = new Array<string>(500).fill("d").join("/");
  const names = nameFiles(layoutOf(16, [
    { path: `${deep}/a`, length: 1 },
    { path: "other/b", length: 1 },
    { path: `${deep}/c`, length: 1 },
  ]));
  assert(names[0]!.folder === names[2]!.folder);
  assertEquals([names[0]!.folder!.path, names[2]!.final, names[2]!.part], [deep, `${deep}/c`, `${deep}/c.part`]);
  let depth = 0;
  for (let folder: FolderName | null = names[0]!.folder; folder !== null; folder = folder.parent) depth++;
  assertEquals(depth, 500);
});

Deno.test("nameFiles() tells folders apart by case, and part names only where the file system does", () => {
  const names = nameFiles(layoutOf(16, [
    { path: "t/d/a", length: 1 },
    { path: "t/D/a.part", length: 1 },
    { path: "t/D/b", length: 1 },
    { path: "T/d/c", length: 1 },
    { path: "t/d/e", length: 1 },
  ]));
  assertEquals(names.map(({ folder }) => folder!.path), ["t/d", "t/D", "t/D", "T/d", "t/d"]);
  assertEquals(names.map(({ part }) => part), [
    "t/d/a.1.part",
    "t/D/a.part.part",
    "t/D/b.part",
    "T/d/c.part",
    "t/d/e.part",
  ]);
  assert(names[0]!.folder === names[4]!.folder && names[1]!.folder === names[2]!.folder);
});
