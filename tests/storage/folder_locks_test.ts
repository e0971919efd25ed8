import { assert, assertEquals, assertFalse } from "@std/assert";
import { utf8 } from "../../src/base/bytes.ts";
import { InfoHash } from "../../src/base/info_hash.ts";
import { denoFiles } from "../../src/platform/deno_files.ts";
import { FileError } from "../../src/platform/file_errors.ts";
import type { FileSystem } from "../../src/platform/platform.ts";
import { FolderLocks, isOwnName } from "../../src/storage/folder_locks.ts";
import { MemoryFiles } from "../support/memory_files.ts";
import { withScratch } from "../support/scratch.ts";
import { QUIET, storageOf, Torrent, writeMissing } from "./fixture.ts";

function hashOf(number: number): InfoHash {
  return new InfoHash(new Uint8Array(20).fill(number));
}

function claimPath(number: number, root = "/dl"): string {
  return `${root}/.shoal-${hashOf(number).hex}.lock`;
}

function filesWith(...folders: readonly string[]): MemoryFiles {
  const files = new MemoryFiles();
  for (const folder of folders) files.put(`${folder}/file`, new Uint8Array(1));
  return files;
}

Deno.test("FolderLocks lets one have a torrent in a folder, and leaves nothing behind", async () => {
  const files = filesWith("/dl", "/other");
  const [ours, theirs] = [new FolderLocks(files), new FolderLocks(files)]; // as two processes have them
  const first = await ours.take("/dl", { infoHash: hashOf(1), now: 5 });
  assert(first);
  for (const locks of [ours, theirs]) assertEquals(await locks.take("/dl", { infoHash: hashOf(1), now: 5 }), null);
  const others = [
    await theirs.take("/dl", { infoHash: hashOf(2), now: 5 }),
    await theirs.take("/other", { infoHash: hashOf(1), now: 5 }),
    await ours.take("/dl", { infoHash: hashOf(3), now: 5 }),
  ];
  for (const claim of others) assert(claim);
  await first.release();
  await first.release();
  const second = await theirs.take("/dl", { infoHash: hashOf(1), now: 6 });
  assert(second);
  assertEquals(await ours.take("/dl", { infoHash: hashOf(1), now: 6 }), null);
  for (const claim of [...others, second]) await claim!.release();
  assertEquals(files.paths(), ["/dl/file", "/other/file"]);
});

Deno.test("FolderLocks holds one lock a folder for any number of torrents, and few in any number of folders", async () => {
  const folders = Array.from({ length: 40 }, (_, i) => `/dl${i}`);
  const files = filesWith(...folders);
  const locks = new FolderLocks(files);
  const isLock = (path: string) => /[.]shoal-s[^/]*[.]lock$/.test(path);
  const claims = await Promise.all(
    Array.from({ length: 100 }, (_, i) => locks.take("/dl0", { infoHash: hashOf(i), now: 5 })),
  );
  assertEquals(files.paths().filter(isLock).length, 1);
  assertEquals(files.calls.filter(({ operation }) => operation === "lock").length, 2, "one gate, one lock");
  claims.push(...await Promise.all(folders.map((folder) => locks.take(folder, { infoHash: hashOf(200), now: 5 }))));
  assertEquals(files.paths().filter(isLock).length, 16);
  const theirs = new FolderLocks(files);
  for (const folder of folders) assertEquals(await theirs.take(folder, { infoHash: hashOf(200), now: 5 }), null);
  for (const claim of claims) {
    assert(claim);
    await claim.release();
  }
  assertEquals(files.paths(), folders.map((folder) => `${folder}/file`).sort());
});

Deno.test("FolderLocks takes over at once what a killed process has left, and what is no claim", async () => {
  const files = filesWith("/dl");
  await new FolderLocks(files).take("/dl", { infoHash: hashOf(1), now: 5 });
  const left = files.crash();
  const claim = await new FolderLocks(left).take("/dl", { infoHash: hashOf(1), now: 9 });
  assert(claim);
  await claim.release();
  assertEquals(left.paths(), ["/dl/file"]);
  for (const text of ["", "nonsense", "/etc/passwd", "../x", ".shoal-s5.lock", "\xff", "x".repeat(10_000)]) {
    left.put(claimPath(1), utf8(text));
    const again = await new FolderLocks(left).take("/dl", { infoHash: hashOf(1), now: 9 });
    assert(again, text);
    await again.release();
    assertEquals(left.paths(), ["/dl/file"], text);
  }
});

Deno.test("FolderLocks does not take what nobody lets it look at", async () => {
  const files = filesWith("/dl");
  files.put(claimPath(1), utf8(".shoal-s5.lock"));
  files.onCall = ({ operation }) => operation === "readFile" ? "denied" : null;
  assertEquals(await new FolderLocks(files).take("/dl", { infoHash: hashOf(1), now: 5 }), null);
  files.put("/dl/.shoal-s5.lock", new Uint8Array(0));
  files.onCall = ({ operation, path }) => operation === "lock" && path.includes("-s5") ? "denied" : null;
  assertEquals(await new FolderLocks(files).take("/dl", { infoHash: hashOf(1), now: 5 }), null);
});

Deno.test("FolderLocks follows no link in the place of a claim, and removes no folder", async () => {
  const files = filesWith("/dl", "/mine");
  files.putLink(claimPath(1), "/mine/file");
  const claim = await new FolderLocks(files).take("/dl", { infoHash: hashOf(1), now: 5 });
  await claim!.release();
  assertEquals(files.paths(), ["/dl/file", "/mine/file"]);
  assertEquals(files.get("/mine/file"), new Uint8Array(1));
  files.put(`${claimPath(2)}/precious`, new Uint8Array(1));
  assertEquals(await new FolderLocks(files).take("/dl", { infoHash: hashOf(2), now: 5 }), null);
  assert(files.get(`${claimPath(2)}/precious`));
});

Deno.test("FolderLocks comes out of any one call that fails", async () => {
  const faultless = filesWith("/dl");
  const claims = [1, 2].map((n) => new FolderLocks(faultless).take("/dl", { infoHash: hashOf(n), now: 5 }));
  for (const claim of claims) await (await claim)?.release();
  for (let at = 0; at < faultless.calls.length; at++) {
    const files = filesWith("/dl");
    files.onCall = (_, index) => index === at ? "device" : null;
    const locks = new FolderLocks(files);
    const outcomes = await Promise.allSettled([1, 2].map((n) => locks.take("/dl", { infoHash: hashOf(n), now: 5 })));
    for (const outcome of outcomes) {
      if (outcome.status === "fulfilled") await outcome.value?.release();
      else assert(outcome.reason instanceof FileError);
    }
    files.onCall = () => null;
    const claim = await locks.take("/dl", { infoHash: hashOf(1), now: 6 });
    assert(claim, `call ${at}`);
    await claim.release();
  }
});

Deno.test("Storage keeps out one with another state folder, and one with none", async () => {
  const torrent = new Torrent(64, [{ path: "t/a", length: 250 }]);
  const files = new MemoryFiles();
  const first = storageOf(torrent, files);
  await first.open("resume", QUIET);
  for (const stateFolder of ["/other", null]) {
    const second = storageOf(torrent, files, { stateFolder });
    const error = await second.open("resume", QUIET).catch((error) => error);
    assertEquals([error.what, error.where], ["cannot download", "/dl"]);
  }
  await first.close();
  assertEquals(files.paths().filter((path) => path.startsWith("/dl") && path.includes("lock")), []);
});

Deno.test("Storage that waited for another process finds what that has finished meanwhile", async () => {
  const torrent = new Torrent(64, [{ path: "t/a", length: 250 }]);
  const files = new MemoryFiles();
  const first = storageOf(torrent, files);
  const have = await first.open("resume", QUIET);
  await first.writePiece(0, torrent.piece(0));
  let waits = 0;
  // As with another process: a waiter gets the first storage's lock when the first storage has closed.
  const lock: FileSystem["lock"] = async (path, options) => {
    if (/[.]shoal-s/.test(path) && options.patience > 0 && waits++ === 0) {
      await writeMissing(torrent, first, have);
      await first.flush();
      await first.close();
    }
    return await files.lock(path);
  };
  const theirs = new Proxy(files, {
    get(target, key) {
      const value: unknown = key === "lock" ? lock : Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const second = storageOf(torrent, theirs, { stateFolder: "/other" });
  assert((await second.open("resume", QUIET)).isFull);
  await second.close();
  assertEquals(waits, 1);
  assertEquals(files.get("/dl/t/a"), torrent.file("t/a"));
});

Deno.test("Storage reads, and goes without a lock, where nothing can be written, and says so where that matters", async () => {
  const torrent = new Torrent(64, [{ path: "t/a", length: 250 }]);
  for (const fault of ["denied", "read-only", "full"] as const) {
    const files = new MemoryFiles();
    files.put("/dl/t/a", torrent.file("t/a"));
    files.onCall = ({ operation, path }) => operation === "lock" && path.startsWith("/dl") ? fault : null;
    const warnings: string[] = [];
    const storage = storageOf(torrent, files, { onWarning: (error) => void warnings.push(error.what) });
    assert((await storage.open("resume", QUIET)).isFull);
    await storage.flush();
    await storage.close();
    assertEquals(warnings, fault === "full" ? ["cannot lock"] : []);
  }
});

Deno.test("FolderLocks on a real disk: others are kept out, whoever was killed isn't waited for", () =>
  withScratch(async (folder) => {
    const code = `
      import { denoFiles } from ${JSON.stringify(import.meta.resolve("../../src/platform/deno_files.ts"))};
      import { FolderLocks } from ${JSON.stringify(import.meta.resolve("../../src/storage/folder_locks.ts"))};
      import { InfoHash } from ${JSON.stringify(import.meta.resolve("../../src/base/info_hash.ts"))};
      const infoHash = new InfoHash(new Uint8Array(20).fill(1));
      const claim = await FolderLocks.of(denoFiles).take(${JSON.stringify(folder)}, { infoHash, now: Date.now() });
      console.log(claim === null ? "refused" : "taken");
      await new Promise((resolve) => setTimeout(resolve, 1e6));`;
    await Deno.writeTextFile(`${folder}/holder.ts`, code);
    const config = new URL("../../deno.json", import.meta.url).pathname;
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", "--config", config, `${folder}/holder.ts`],
      stdout: "piped",
    }).spawn();
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    assertEquals((await reader.read()).value?.trim(), "taken");
    const locks = new FolderLocks(denoFiles);
    const other = await locks.take(folder, { infoHash: hashOf(2), now: Date.now() });
    assert(other);
    const waiting = locks.take(folder, { infoHash: hashOf(1), now: Date.now() });
    child.kill("SIGKILL");
    const claim = await waiting;
    assert(claim, "it is let in as soon as the other is gone");
    await child.status;
    await reader.cancel();
    await claim.release();
    await other.release();
    assertEquals(await denoFiles.list(folder), ["holder.ts"]);
  }));

Deno.test("isOwnName() knows what a download keeps beside the data", () => {
  const hex = hashOf(1).hex;
  for (const name of [".shoal.lock", `.shoal-${hex}.lock`, `.shoal-${hex}.part`, ".shoal-s1abc.lock"]) {
    assert(isOwnName(name), name);
  }
  for (const name of [".shoal", "a.lock", ".shoal-x.lock", `.shoal-${hex}`, ".shoal.lock.txt", "x.part"]) {
    assertFalse(isOwnName(name), name);
  }
});
