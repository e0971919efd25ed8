import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { ShoalError } from "../../src/base/errors.ts";
import { scanFiles } from "../../src/storage/file_scan.ts";
import { MemoryFiles } from "../support/memory_files.ts";

function filesOf(...paths: string[]): MemoryFiles {
  const files = new MemoryFiles({ wallClock: () => 77 });
  for (const path of paths) files.put(path, new Uint8Array(path.length));
  return files;
}

function pathsOf({ files }: Awaited<ReturnType<typeof scanFiles>>): string[] {
  return files.map(({ path }) => path.join("/"));
}

Deno.test("scanFiles() finds one file, behind a link too", async () => {
  const files = filesOf("/x/file");
  files.putLink("/link", "x/file");
  for (const path of ["/x/file", "/link"]) {
    const found = await scanFiles(path, { files });
    assertEquals([found.isFolder, found.root, found.skipped], [false, "/x/file", []]);
    const [file] = found.files;
    assertEquals([file!.path, file!.source, file!.length, file!.modified], [[], "/x/file", 7, 77]);
  }
});

Deno.test("scanFiles() sorts by the bytes of whole paths, and leaves no name out for its first letter", async () => {
  const expected = [".dot", ".h/y", "B", "a b", "a-b", "a.txt", "a/x", "a0", "b", "\u00e9", "\uff5e", "\u{1f41f}"];
  const files = filesOf(...expected.toReversed().map((path) => `/d/${path}`));
  const found = await scanFiles("/d", { files });
  assertEquals([found.isFolder, found.root], [true, "/d"]);
  assertEquals(pathsOf(found), expected);
});

Deno.test("scanFiles() follows links to files and folders, also out of the folder and twice to the same", async () => {
  const files = filesOf("/d/real", "/other/x", "/other/sub/y");
  files.putLink("/d/again", "real");
  files.putLink("/d/out", "../other");
  files.putLink("/other/up", "sub");
  const found = await scanFiles("/d", { files });
  assertEquals(pathsOf(found), ["again", "out/sub/y", "out/up/y", "out/x", "real"]);
  assertEquals(found.files.map(({ source }) => source), [
    "/d/real",
    "/other/sub/y",
    "/other/sub/y",
    "/other/x",
    "/d/real",
  ]);
  assertEquals(found.linksOut, [{ path: "out", target: "/other" }]);
});

Deno.test("scanFiles() names the links that lead out, in folders as well, and none of a folder that is itself a link", async () => {
  const files = filesOf("/d/sub/a", "/dd/b", "/secret");
  files.putLink("/d/sub/in", "../sub/a");
  files.putLink("/d/sub/out", "../../secret");
  files.putLink("/d/near", "/dd/b");
  files.putLink("/link", "d/sub");
  const { linksOut } = await scanFiles("/d", { files });
  assertEquals(linksOut.toSorted((a, b) => a.path < b.path ? -1 : 1), [
    { path: "near", target: "/dd/b" },
    { path: "sub/out", target: "/secret" },
  ]);
  assertEquals((await scanFiles("/link", { files })).linksOut, [{ path: "out", target: "/secret" }]);
});

Deno.test("scanFiles() leaves out what it is told to, folders with all they hold, without looking at them", async () => {
  const files = filesOf("/d/a.tmp", "/d/b", "/d/cache/x", "/d/sub/cache/y", "/d/sub/z");
  files.putLink("/d/dangling.tmp", "nowhere");
  const seen: string[] = [];
  const isLeftOut = (path: readonly string[]): boolean => {
    seen.push(path.join("/"));
    return path.at(-1)!.endsWith(".tmp") || path.at(-1) === "cache";
  };
  assertEquals(pathsOf(await scanFiles("/d", { files, isLeftOut })), ["b", "sub/z"]);
  assertEquals(seen.includes("cache/x"), false);
});

Deno.test("scanFiles() names what can't be in a torrent", async () => {
  const cases: [prepare: (files: MemoryFiles) => void, path: string, words: string][] = [
    [(files) => files.putLink("/d/bad", "nowhere"), "/d/bad", "leads to nothing"],
    [(files) => files.putLink("/d/sub/round", "../../d"), "/d/sub/round", "in a circle"],
    [(files) => files.putLink("/d/self", "."), "/d/self", "in a circle"],
    [(files) => files.putLink("/d/knot", "knot"), "/d/knot", "in a circle"],
    [
      (files) => files.onCall = ({ operation, path }) => operation === "list" && path === "/d/sub" ? "denied" : null,
      "/d/sub",
      "permission",
    ],
    [
      (files) => files.onCall = ({ operation, path }) => operation === "stat" && path === "/d/sub/a" ? "denied" : null,
      "/d/sub/a",
      "permission",
    ],
  ];
  for (const [prepare, path, words] of cases) {
    const files = filesOf("/d/sub/a");
    prepare(files);
    const error = await assertRejects(() => scanFiles("/d", { files }), ShoalError);
    assertEquals([error.kind, error.where], ["storage", path], error.message);
    assertStringIncludes(error.why, words);
  }
  const error = await assertRejects(() => scanFiles("/none", { files: filesOf() }), ShoalError, "/none");
  assertEquals(error.kind, "storage");
});

Deno.test("scanFiles() tells names that are no UTF-8 from files that have vanished", async () => {
  const files = filesOf("/d/a");
  // The runtime lists a name that is not UTF-8 with U+FFFD in it, and no file can be found by that name.
  files.list = () => Promise.resolve(["caf\ufffd"]);
  const error = await assertRejects(
    () => scanFiles("/d", { files }),
    ShoalError,
    'name "caf\\ufffd" is not valid UTF-8',
  );
  assertEquals(error.kind, "usage");
  files.list = () => Promise.resolve(["a", "caf\ufffd", "caf\ufffd", ..."12345".split("").map((n) => `\ufffd${n}`)]);
  await assertRejects(
    () => scanFiles("/d", { files }),
    ShoalError,
    '"caf\\ufffd", "\\ufffd1", "\\ufffd2", "\\ufffd3" and 2 more',
  );
  const isLeftOut = (path: readonly string[]) => path[0]!.includes("\ufffd");
  assertEquals((await scanFiles("/d", { files, isLeftOut })).files.length, 1);
  // Another file may really have the name that the runtime lists.
  files.put("/d/caf\ufffd", new Uint8Array(1));
  files.list = () => Promise.resolve(["caf\ufffd", "caf\ufffd"]);
  await assertRejects(() => scanFiles("/d", { files }), ShoalError, "is not valid UTF-8");
  files.list = () => Promise.resolve(["caf\ufffd"]);
  assertEquals((await scanFiles("/d", { files })).files.map(({ path }) => path), [["caf\ufffd"]]);
  await assertRejects(() => scanFiles("/d\ufffd", { files }), ShoalError, "is not valid UTF-8");
  files.list = () => Promise.resolve(["gone"]);
  await assertRejects(() => scanFiles("/d", { files }), ShoalError, "(/d/gone): there is no such file");
});

Deno.test("scanFiles() passes over what is neither file nor folder, and tells of it", async () => {
  const files = filesOf("/d/a", "/d/sub/pipe", "/d/sub/b");
  const { stat } = files;
  files.stat = async (path) => {
    const info = await stat.call(files, path);
    return path.endsWith("pipe") && info !== null ? { ...info, kind: "other" } : info;
  };
  const found = await scanFiles("/d", { files });
  assertEquals([pathsOf(found), found.skipped], [["a", "sub/b"], ["sub/pipe"]]);
  await assertRejects(() => scanFiles("/d/sub/pipe", { files }), ShoalError, "neither a file nor a folder");
});

Deno.test("scanFiles() ends when it is aborted", async () => {
  const reason = new Error("enough");
  const signal = AbortSignal.abort(reason);
  await assertRejects(() => scanFiles("/d", { files: filesOf("/d/a"), signal }), Error, "enough");
});
