import { assert, assertEquals, assertThrows } from "@std/assert";
import { MAX_NAME_BYTES, utf8 } from "../../src/base/bytes.ts";
import { foldName, safeName } from "../../src/metainfo/safe_path.ts";
import { uniquePaths } from "../../src/metainfo/unique_paths.ts";
import { fc } from "../support/property.ts";

function unique(...paths: string[]): string[] {
  return uniquePaths(paths.map((path) => path.split("/"))).map((path) => path.join("/"));
}

Deno.test("uniquePaths() leaves different paths as they are", () => {
  const paths = [["r", "a"], ["r", "b"], ["r", "d", "a"]];
  assert(uniquePaths(paths).every((path, i) => path === paths[i]));
});

Deno.test("uniquePaths() numbers equal paths before the extension", () => {
  assertEquals(unique("r/foo/bar.txt", "r/foo/bar.txt"), ["r/foo/bar.txt", "r/foo/bar.1.txt"]);
  assertEquals(unique("r/a", "r/A", "R/a"), ["r/a", "r/A.1", "R/a.2"]);
  assertEquals(unique("r/.x", "r/.x"), ["r/.x", "r/.x.1"]);
});

Deno.test("uniquePaths() takes no number that is taken, whichever way it came to be", () => {
  assertEquals(unique("r/a.1.b", "r/a.b", "r/a.b"), ["r/a.1.b", "r/a.b", "r/a.2.b"]);
  assertEquals(unique("r/a.b", "r/a.b", "r/A.1.B"), ["r/a.b", "r/a.1.b", "r/A.1.1.B"]);
});

Deno.test("uniquePaths() lets folders keep their names", () => {
  assertEquals(unique("r/a", "r/a/b", "r/A/b"), ["r/a.1", "r/a/b", "r/A/b.1"]);
  assertEquals(unique("r/a/b", "r/a/b/c", "r/a"), ["r/a/b.1", "r/a/b/c", "r/a.1"]);
});

Deno.test("uniquePaths() keeps long names within what a file system takes", () => {
  const long = `r/${"x".repeat(245)}.mkv`;
  const made = unique(long, long, long.replace("xxx.", "xxy."), long.replace("xxx.", "xxy."));
  assertEquals(new Set(made).size, 4);
  for (const path of made.slice(1)) assert(utf8(path).length - 2 <= MAX_NAME_BYTES && path.endsWith(".mkv"));
});

Deno.test("uniquePaths() gives every file a path of its own that no folder has", () => {
  const name = fc.constantFrom("a", "A", "b", "a.1", "a.txt", "A.TXT", "a.1.txt", "\u00e9", "e\u0301");
  const path = fc.array(name, { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(fc.array(path, { maxLength: 30 }), (paths) => {
      const made = uniquePaths(paths.map((parts) => parts.map((name) => safeName(name))));
      const files = made.map((parts) => foldName(parts.join("/")));
      assertEquals(new Set(files).size, files.length);
      const folders = new Set(made.flatMap((parts) => parts.map((_, i) => foldName(parts.slice(0, i).join("/")))));
      for (const file of files) assert(!folders.has(file), file);
      made.forEach((parts, i) => assertEquals(parts.slice(0, -1), paths[i]!.slice(0, -1)));
    }),
    { numRuns: 300 },
  );
});

Deno.test("uniquePaths() says when there are more folders than it may keep", () => {
  const tooMany = () => {
    throw new RangeError("too many");
  };
  const paths = [["t", "a", "x"], ["t", "b", "x"], ["t", "a", "y"]];
  assertEquals(uniquePaths(paths, { maxFolders: 3, tooMany }), paths);
  assertThrows(() => uniquePaths(paths, { maxFolders: 2, tooMany }), RangeError, "too many");
});
