import { assert, assertEquals, assertLess, assertRejects } from "@std/assert";
import { concatBytes } from "../../src/base/bytes.ts";
import { ShoalError } from "../../src/base/errors.ts";
import { MetainfoError } from "../../src/metainfo/mod.ts";
import { startDigest } from "../../src/platform/start_digest.ts";
import { type CreateOptions, createTorrent } from "../../src/session/create_torrent.ts";
import { MemoryFiles } from "../support/memory_files.ts";
import { noise } from "../support/payload.ts";
import { sha1 } from "../storage/fixture.ts";

const PIECE = 16 * 1024;
const SIZES = [PIECE + 5, 0, 3 * PIECE - 7, 100];

function setUp(sizes: readonly number[] = SIZES) {
  let time = 0;
  const files = new MemoryFiles({ wallClock: () => time });
  const data = sizes.map((size, i) => noise(size, i));
  for (const [i, bytes] of data.entries()) files.put(`/in/photos/${i}.jpg`, bytes);
  const platform: CreateOptions["platform"] = { now: () => time++, files, digest: startDigest };
  return { files, platform, stream: concatBytes(data), later: () => time += 1000 };
}

async function refused(path: string, options: CreateOptions): Promise<ShoalError> {
  const error = await assertRejects(() => createTorrent(path, options), ShoalError);
  assertEquals((options.platform.files as MemoryFiles).openHandles, 0);
  return error;
}

Deno.test("createTorrent() hashes pieces across files, and gives the same bytes every time", async () => {
  const { platform, stream } = setUp();
  const found: unknown[] = [];
  const progress: number[] = [];
  const { bytes, meta, skipped } = await createTorrent("/in/photos", {
    platform,
    trackers: [["http://a.test/", "http://b.test/"], ["udp://c.test:1"]],
    onFound: (what) => void found.push(what),
    onProgress: (_, done) => progress.push(done),
  });
  assertEquals(found, [{ name: "photos", safeName: "photos", size: stream.length, files: 4, linksOut: [] }]);
  assertEquals(progress.at(-1), stream.length);
  const count = Math.ceil(stream.length / PIECE);
  const digests = Array.from({ length: count }, (_, i) => sha1(stream.subarray(i * PIECE, (i + 1) * PIECE)));
  assertEquals(meta.pieces, concatBytes(digests));
  assertEquals(meta.trackers, [["http://a.test/", "http://b.test/"], ["udp://c.test:1"]]);
  assertEquals([meta.createdAt, meta.pieceLength, skipped], [null, PIECE, []]);
  assertEquals(
    meta.files.map(({ path, length }) => [path.join("/"), length]),
    SIZES.map((size, i) => [`photos/${i}.jpg`, size]),
  );
  const { later, ...second } = setUp();
  later();
  const again = await createTorrent("/in/photos/", { platform: second.platform, trackers: meta.trackers });
  assertEquals(again.bytes, bytes);
});

Deno.test("createTorrent() takes the name from the path as it is written, or from where it leads when it names nothing", async () => {
  const { files, platform } = setUp();
  files.putLink("/in/link", "photos");
  const cases: [path: string, name: string][] = [
    ["/in/photos", "photos"],
    ["/in/photos///", "photos"],
    ["/in/link", "link"],
    ["/in/photos/.", "photos"],
    ["/in/photos/../photos/..", "in"],
    ["/in/photos/0.jpg", "0.jpg"],
  ];
  for (const [path, name] of cases) assertEquals((await createTorrent(path, { platform })).meta.name, name, path);
  assertEquals((await refused("/", { platform })).hint, "give one with --name");
  assertEquals((await createTorrent("/", { platform, name: "all" })).meta.name, "all");
  files.put("/in/back\\slash", new Uint8Array(5));
  const { bytes } = await createTorrent("/in/back\\slash", { platform });
  assert(new TextDecoder().decode(bytes).includes("4:name10:back\\slash"));
});

Deno.test("createTorrent() leaves out what globs match: names anywhere, paths from the folder on", async () => {
  const { files, platform } = setUp([]);
  for (const path of ["a.tmp", "b", "sub/a.tmp", "sub/c", "sub/d/e", "d/e"]) {
    files.put(`/in/${path}`, new Uint8Array(5));
  }
  const cases: [exclude: string[], left: string[]][] = [
    [["*.tmp"], ["b", "d/e", "sub/c", "sub/d/e"]],
    [["sub/*.tmp", "b"], ["a.tmp", "d/e", "sub/c", "sub/d/e"]],
    [["/d"], ["a.tmp", "b", "sub/a.tmp", "sub/c", "sub/d/e"]],
    [["d/"], ["a.tmp", "b", "sub/a.tmp", "sub/c"]],
    [["sub/**"], ["a.tmp", "b", "d/e"]],
  ];
  for (const [exclude, left] of cases) {
    const { meta } = await createTorrent("/in", { platform, exclude });
    assertEquals(meta.files.map(({ path }) => path.slice(1).join("/")), left, exclude.join(" "));
  }
});

Deno.test("createTorrent() refuses what makes no torrent, before it reads a byte", async () => {
  const { files, platform } = setUp();
  files.put("/empty/a", new Uint8Array(0));
  const cases: [path: string, options: Partial<CreateOptions>, why: string][] = [
    ["/empty", {}, "its files are all empty"],
    ["/in", { exclude: ["*"] }, "there are no files"],
    ["/in", { pieceLength: 16_383 }, "pieces have a power of two from 16 KiB to 512 MiB, not 16383 bytes"],
    ["/in", { pieceLength: 8192 }, "pieces have a power of two from 16 KiB to 512 MiB, not 8192 bytes"],
    ["/in", { pieceLength: 2 ** 30 }, "pieces have a power of two from 16 KiB to 512 MiB, not 1073741824 bytes"],
  ];
  for (const [path, options, why] of cases) {
    const error = await refused(path, { platform, ...options });
    assertEquals([error.kind, error.why], ["usage", why]);
  }
  const { stat } = files;
  files.stat = async (path) => {
    const info = await stat.call(files, path);
    return info?.kind === "file" ? { ...info, size: 2 ** 45 } : info;
  };
  const error = await refused("/in", { platform, pieceLength: PIECE });
  assertEquals(error.kind, "usage");
  assert(error.why.includes("too many"), error.why);
  assertEquals(files.calls.filter(({ operation }) => operation === "open"), []);
  assert(!(error instanceof MetainfoError));
});

Deno.test("createTorrent() names a file that changes while it is hashed: longer, shorter, other bytes, gone", async () => {
  const changes: ((files: MemoryFiles, path: string) => void)[] = [
    (files, path) => files.cut(path, 4 * PIECE),
    (files, path) => files.cut(path, 10),
    (files, path) => files.put(path, noise(3 * PIECE - 7, 9)),
    (files, path) => files.delete(path),
  ];
  for (const at of ["open", "close"] as const) {
    for (const change of changes) {
      const { files, platform, later } = setUp();
      const path = "/in/photos/2.jpg";
      let done = false;
      files.onCall = (call) => {
        if (!done && call.operation === at && call.path === path) {
          done = true;
          later();
          change(files, path);
        }
        return null;
      };
      const error = await refused("/in/photos", { platform });
      assertEquals([error.kind, error.where, done], ["storage", path, true]);
      assertEquals(error.why, "the file changed while it was being hashed");
    }
  }
});

Deno.test("createTorrent() names a file that can't be read", async () => {
  for (const operation of ["open", "read"] as const) {
    const { files, platform } = setUp();
    files.onCall = (call) => call.operation === operation && call.path.endsWith("2.jpg") ? "denied" : null;
    const error = await refused("/in/photos", { platform });
    assertEquals([error.kind, error.where, error.why], ["storage", "/in/photos/2.jpg", "permission denied"]);
  }
});

Deno.test("createTorrent() ends when it is aborted, and leaves no file open", async () => {
  const { files, platform } = setUp([9 * 1024 * 1024]);
  const abort = new AbortController();
  const reason = new Error("enough");
  files.onCall = ({ operation }) => {
    if (operation === "read") abort.abort(reason);
    return null;
  };
  const error = await assertRejects(() => createTorrent("/in/photos", { platform, signal: abort.signal }));
  assertEquals(error, reason);
  assertEquals(files.openHandles, 0);
  assertLess(files.calls.filter(({ operation }) => operation === "read").length, 3);
});

Deno.test("createTorrent() hashes nothing when what it found is not wanted", async () => {
  const { files, platform } = setUp();
  const onFound = () => Promise.reject(new Error("it is there already"));
  await assertRejects(() => createTorrent("/in/photos", { platform, onFound }), Error, "it is there already");
  assertEquals(files.calls.some(({ operation }) => operation === "open"), false);
});
