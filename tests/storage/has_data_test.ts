import { assertEquals } from "@std/assert";
import { hasData } from "../../src/storage/has_data.ts";
import { MemoryFiles } from "../support/memory_files.ts";
import { Torrent } from "./fixture.ts";

Deno.test("hasData() finds any file of a torrent, finished or not, and nothing that only lies beside it", async () => {
  const folder = new Torrent(1024, [
    { path: "t/a", length: 100 },
    { path: "t/pad", length: 10, pad: true },
    { path: "t/sub/b", length: 100 },
  ]);
  const single = new Torrent(1024, [{ path: "x.iso", length: 100 }]);
  const cases: [Torrent, string | null, boolean][] = [
    [folder, null, false],
    [folder, "/dl/t/other", false],
    [folder, "/dl/t/pad", false],
    [folder, "/dl/a", false],
    [folder, "/other/t/a", false],
    [folder, "/dl/t/a", true],
    [folder, "/dl/t/a.part", true],
    [folder, "/dl/t/sub/b.part", true],
    [folder, "/dl/own/sub/b", true],
    [folder, `/dl/.shoal-${folder.infoHash.hex}.part`, true],
    [folder, `/dl/.shoal-${single.infoHash.hex}.part`, false],
    [single, "/dl/x.iso", true],
    [single, "/dl/x.iso.part", true],
    [single, "/dl/x", false],
  ];
  for (const [torrent, path, expected] of cases) {
    const fs = new MemoryFiles();
    if (path !== null) fs.put(path, new Uint8Array(1));
    const pathsOf = (index: number) => {
      const { path } = torrent.layout.files[index]!;
      return path.length === 1 ? [path] : [path, ["own", ...path.slice(1)]];
    };
    const { infoHash } = torrent;
    assertEquals(await hasData(torrent.layout, { fs, folder: "/dl", infoHash, pathsOf }), expected, String(path));
  }
});

Deno.test("hasData() looks at no file of a folder that isn't there", async () => {
  const files = Array.from({ length: 100 }, (_, i) => ({ path: `t/${i}`, length: 1 }));
  const torrent = new Torrent(1024, files);
  const fs = new MemoryFiles();
  const { infoHash, layout } = torrent;
  const pathsOf = (index: number) => [layout.files[index]!.path];
  assertEquals(await hasData(layout, { fs, folder: "/dl", infoHash, pathsOf }), false);
  assertEquals(fs.calls.length, 2);
});
