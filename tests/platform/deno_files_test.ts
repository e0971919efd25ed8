import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import type { Bytes } from "../../src/base/bytes.ts";
import { utf8 } from "../../src/base/bytes.ts";
import { denoFiles } from "../../src/platform/deno_files.ts";
import { FileError, type FileFault, toFileError } from "../../src/platform/file_errors.ts";
import { TEST_FLAGS } from "../support/from_source.ts";

async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "shoal-files-" });
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function assertFault(fault: FileFault, run: () => Promise<unknown>): Promise<FileError> {
  const error = await assertRejects(run, FileError);
  assertEquals(error.fault, fault, error.message);
  assertEquals(error.kind, "storage");
  return error;
}

Deno.test("denoFiles.disk() tells how much room there is, and nothing where the system may not be asked", () =>
  inFolder(async (folder) => {
    const disk = await denoFiles.disk!(folder);
    assert(disk !== null && disk.free > 0 && Number.isSafeInteger(disk.free), JSON.stringify(disk));
    await Deno.writeTextFile(`${folder}/a`, "");
    assertEquals((await denoFiles.disk!(`${folder}/a`))?.device, disk.device);
    await assertFault("missing", () => denoFiles.disk!(`${folder}/b`));
  }));

Deno.test({
  name: "denoFiles.disk() tells nothing where the system may not be asked",
  permissions: { read: true, sys: ["networkInterfaces"] },
  fn: async () => assertEquals(await denoFiles.disk!("."), null),
});

Deno.test("denoFiles.open() makes a file to write, reads back what was written anywhere in it", () =>
  inFolder(async (folder) => {
    const file = await denoFiles.open(`${folder}/a`, "write");
    await file.truncate(100);
    await file.write(Uint8Array.of(1, 2, 3), 50);
    await file.write(Uint8Array.of(4), 53);
    await file.write(Uint8Array.of(9), 0);
    const into = new Uint8Array(10);
    assertEquals(await file.read(into, 49), 10);
    assertEquals(into, Uint8Array.of(0, 1, 2, 3, 4, 0, 0, 0, 0, 0));
    assertEquals(await file.read(into, 95), 5);
    assertEquals(await file.read(into, 100), 0);
    assertEquals(await file.read(into, 500), 0);
    await file.sync();
    await file.close();
    await file.close();
    assertEquals((await denoFiles.stat(`${folder}/a`))?.size, 100);
  }));

Deno.test("FileHandle calls that overlap take effect in order", () =>
  inFolder(async (folder) => {
    const file = await denoFiles.open(`${folder}/a`, "write");
    const seen: Bytes[] = [];
    const work: Promise<unknown>[] = [];
    for (let i = 0; i < 50; i++) {
      const into = new Uint8Array(2);
      seen.push(into);
      work.push(file.write(Uint8Array.of(i, i), (i * 7) % 11), file.read(into, (i * 7) % 11));
    }
    work.push(file.close());
    await Promise.all(work);
    assertEquals(seen, Array.from({ length: 50 }, (_, i) => Uint8Array.of(i, i)));
  }));

Deno.test("FileHandle goes on after a failed call", () =>
  inFolder(async (folder) => {
    await Deno.writeFile(`${folder}/a`, Uint8Array.of(1, 2, 3));
    const file = await denoFiles.open(`${folder}/a`, "read");
    const failed = assertRejects(() => file.write(Uint8Array.of(7), 1), FileError);
    const into = new Uint8Array(2);
    assertEquals(await file.read(into, 1), 2);
    assertEquals(into, Uint8Array.of(2, 3));
    await failed;
    await file.close();
    await assertFault("other", () => file.read(into, 0));
  }));

Deno.test("denoFiles.open() refuses a missing file, a folder and a name that is too long", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/file`, "x");
    const missing = await assertFault("missing", () => denoFiles.open(`${folder}/none`, "read"));
    assertEquals(missing.message, `cannot open (${folder}/none): there is no such file or folder`);
    await assertFault("is-a-folder", () => denoFiles.open(folder, "write"));
    await assertFault("not-a-folder", () => denoFiles.open(`${folder}/file/x`, "write"));
    await assertFault("name", () => denoFiles.open(`${folder}/${"x".repeat(300)}`, "write"));
  }));

Deno.test("denoFiles.open() makes a file in mode create only where nothing is, and none in mode update", () =>
  inFolder(async (folder) => {
    const path = `${folder}/a`;
    await assertFault("missing", () => denoFiles.open(path, "update"));
    const made = await denoFiles.open(path, "create");
    await made.write(Uint8Array.of(1, 2, 3), 0);
    await assertFault("exists", () => denoFiles.open(path, "create"));
    const again = await denoFiles.open(path, "update");
    assertEquals(await again.stat(), (await denoFiles.stat(path))!);
    await again.write(Uint8Array.of(9), 1);
    assertEquals(await Deno.readFile(path), Uint8Array.of(1, 9, 3));
    await Deno.remove(path);
    assertEquals((await again.stat()).size, 3);
    await Deno.symlink("nowhere", path);
    await assertFault("exists", () => denoFiles.open(path, "create"));
    await made.close();
    await again.close();
  }));

Deno.test("denoFiles.stat() tells kinds and follows no link", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/file`, "four");
    await Deno.symlink("file", `${folder}/link`);
    await Deno.utime(`${folder}/file`, 1_600_000_000, 1_600_000_000);
    const { id, ...info } = (await denoFiles.stat(`${folder}/file`))!;
    const modes = Deno.build.os !== "windows";
    assertEquals(info, { kind: "file", size: 4, modified: 1_600_000_000_000, ...(modes && { executable: false }) });
    await Deno.rename(`${folder}/file`, `${folder}/other`);
    assertEquals((await denoFiles.stat(`${folder}/other`))?.id, id);
    await Deno.writeTextFile(`${folder}/file`, "four");
    if (id !== null) assert((await denoFiles.stat(`${folder}/file`))?.id !== id);
    assertEquals((await denoFiles.stat(`${folder}/link`))?.kind, "link");
    assertEquals((await denoFiles.stat(folder))?.kind, "folder");
    assertEquals((await denoFiles.stat("/dev/null"))?.kind, "other");
    assertEquals(await denoFiles.stat(`${folder}/none`), null);
    assertEquals(await denoFiles.stat(`${folder}/file/below`), null);
  }));

Deno.test("denoFiles.rename() replaces a file, not a folder", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/a`, "new");
    await Deno.writeTextFile(`${folder}/b`, "old");
    await denoFiles.rename(`${folder}/a`, `${folder}/b`);
    assertEquals(await Deno.readTextFile(`${folder}/b`), "new");
    await denoFiles.makeFolder(`${folder}/c`);
    await assertFault("is-a-folder", () => denoFiles.rename(`${folder}/b`, `${folder}/c`));
    await assertFault("missing", () => denoFiles.rename(`${folder}/none`, `${folder}/d`));
  }));

Deno.test("denoFiles.makeFolder() makes the folders above, and is harmless when they are there", () =>
  inFolder(async (folder) => {
    await denoFiles.makeFolder(`${folder}/a/b/c`);
    await denoFiles.makeFolder(`${folder}/a/b/c`);
    await Deno.writeTextFile(`${folder}/file`, "");
    await assertFault("exists", () => denoFiles.makeFolder(`${folder}/file`));
    await assertFault("not-a-folder", () => denoFiles.makeFolder(`${folder}/file/x`));
  }));

Deno.test("denoFiles.link() replaces nothing", () =>
  inFolder(async (folder) => {
    await denoFiles.link("one", `${folder}/link`);
    await assertFault("exists", () => denoFiles.link("two", `${folder}/link`));
    assertEquals(await denoFiles.readLink(`${folder}/link`), "one");
    await Deno.writeTextFile(`${folder}/file`, "kept");
    await assertFault("exists", () => denoFiles.link("two", `${folder}/file`));
    assertEquals(await Deno.readTextFile(`${folder}/file`), "kept");
  }));

Deno.test("denoFiles.writeFile() takes the longest names, and stat() finds nothing under longer ones", () =>
  inFolder(async (folder) => {
    const path = `${folder}/${"x".repeat(255)}`;
    await denoFiles.writeFile(path, new Uint8Array(3));
    await denoFiles.writeFile(path, new Uint8Array(5), { alone: true });
    assertEquals((await denoFiles.stat(path))?.size, 5);
    assertEquals(await denoFiles.stat(`${path}x`), null);
    assertEquals((await denoFiles.list(folder)).length, 1);
  }));

Deno.test("denoFiles.remove() takes folders with all they hold, and what is not there", () =>
  inFolder(async (folder) => {
    await denoFiles.makeFolder(`${folder}/a/b`);
    await Deno.writeTextFile(`${folder}/a/b/c`, "");
    await denoFiles.remove(`${folder}/a`);
    await denoFiles.remove(`${folder}/a`);
    assertEquals(await denoFiles.list(folder), []);
  }));

Deno.test("denoFiles.removeFolder() takes an empty folder and nothing else", () =>
  inFolder(async (folder) => {
    await Deno.mkdir(`${folder}/a/b`, { recursive: true });
    await Deno.writeTextFile(`${folder}/file`, "x");
    await Deno.symlink("a/b", `${folder}/link`);
    for (const name of ["a", "file", "link"]) {
      assertEquals(await denoFiles.removeFolder(`${folder}/${name}`), false, name);
    }
    assertEquals(await denoFiles.list(folder), ["a", "file", "link"]);
    assertEquals(await denoFiles.removeFolder(`${folder}/a/b`), true);
    assertEquals(await denoFiles.removeFolder(`${folder}/a`), true);
    assertEquals(await denoFiles.removeFolder(`${folder}/a`), true);
    assertEquals(await denoFiles.removeFolder(`${folder}/file/below`), true);
  }));

Deno.test("denoFiles.list() sorts the names", () =>
  inFolder(async (folder) => {
    for (const name of ["b", "a", "c"]) await Deno.writeTextFile(`${folder}/${name}`, "");
    assertEquals(await denoFiles.list(folder), ["a", "b", "c"]);
    await assertFault("missing", () => denoFiles.list(`${folder}/none`));
  }));

Deno.test("denoFiles.readFile() reads up to the limit and refuses more", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/a`, "12345");
    assertEquals(await denoFiles.readFile(`${folder}/a`, 5), utf8("12345"));
    await assertFault("too-large", () => denoFiles.readFile(`${folder}/a`, 4));
    await assertFault("missing", () => denoFiles.readFile(`${folder}/none`, 4));
  }));

Deno.test("denoFiles.writeFile() replaces the file and leaves no draft, also when it fails", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/state.new`, "somebody's own file");
    await denoFiles.writeFile(`${folder}/state`, utf8("one"));
    await denoFiles.writeFile(`${folder}/state`, utf8("2"));
    assertEquals(await Deno.readTextFile(`${folder}/state`), "2");
    await denoFiles.makeFolder(`${folder}/taken`);
    await assertFault("is-a-folder", () => denoFiles.writeFile(`${folder}/taken`, utf8("x")));
    assertEquals(await denoFiles.list(folder), ["state", "state.new", "taken"]);
  }));

Deno.test("denoFiles.writeFile() of one file many times at once leaves one of them, whole", () =>
  inFolder(async (folder) => {
    const texts = Array.from({ length: 20 }, (_, i) => `${i}`.repeat(1000 + i));
    await Promise.all(texts.map((text) => denoFiles.writeFile(`${folder}/state`, utf8(text))));
    assert(texts.includes(await Deno.readTextFile(`${folder}/state`)));
    assertEquals(await denoFiles.list(folder), ["state"]);
  }));

Deno.test({
  name:
    "denoFiles keeps secret files and folders from others, those that were there, too, and leaves all else as it is",
  ignore: Deno.build.os === "windows", // Windows has no file modes
  fn: () =>
    inFolder(async (folder) => {
      const modeOf = async (path: string) => ((await Deno.stat(`${folder}/${path}`)).mode! & 0o777).toString(8);
      const bytes = utf8("passkey");
      await denoFiles.makeFolder(`${folder}/state/shoal`, { secret: true });
      assertEquals([await modeOf("state"), await modeOf("state/shoal")], ["700", "700"]);
      await denoFiles.writeFile(`${folder}/new`, bytes, { secret: true });
      assertEquals(await modeOf("new"), "600");
      for (const alone of [false, true]) {
        // Files of an older program: the file itself, and a temporary file that a crash has left.
        for (const name of ["old", "old.new"]) {
          await Deno.writeTextFile(`${folder}/${name}`, "");
          await Deno.chmod(`${folder}/${name}`, 0o666);
        }
        await denoFiles.writeFile(`${folder}/old`, bytes, { alone, secret: true });
        assertEquals(await modeOf("old"), "600");
        await Deno.chmod(`${folder}/old`, 0o644);
        assertEquals(await denoFiles.readFile(`${folder}/old`, 100, { secret: true }), bytes);
        assertEquals(await modeOf("old"), "600");
      }

      await Deno.mkdir(`${folder}/theirs`);
      await Deno.chmod(`${folder}/theirs`, 0o755);
      await denoFiles.makeFolder(`${folder}/theirs`, { secret: true });
      assertEquals(await modeOf("theirs"), "755");
      await Deno.writeTextFile(`${folder}/open`, "");
      await Deno.chmod(`${folder}/open`, 0o644);
      await denoFiles.readFile(`${folder}/open`, 100);
      assertEquals(await modeOf("open"), "644");
    }),
});

Deno.test("denoFiles.realPath() resolves links", () =>
  inFolder(async (folder) => {
    const real = await denoFiles.realPath(folder);
    await denoFiles.makeFolder(`${folder}/a`);
    await Deno.symlink("a", `${folder}/link`);
    assertEquals(await denoFiles.realPath(`${folder}/link`), `${real}/a`);
    await Deno.symlink("circle", `${folder}/circle`);
    await assertFault("loop", () => denoFiles.realPath(`${folder}/circle`));
  }));

Deno.test("toFileError() keeps the system's words when it knows none of its own, without path and number", () => {
  const cause = new Error("Text file busy (os error 26): open '/x'");
  assertEquals(toFileError(cause, { what: "cannot open", path: "/x" }).message, "cannot open (/x): Text file busy");
  const full = toFileError(new Error("No space left on device (os error 28)"), { what: "cannot write", path: "/x" });
  assertEquals(full.fault, "full");
  assertMatch(full.hint, /free some room/);
  const quota = new Error("Disk quota exceeded (os error 122)");
  assertEquals(toFileError(quota, { what: "cannot write", path: "/x" }).fault, "full");
  const many = Object.assign(new Error("Too many open files (os error 24)"), { code: "EMFILE" });
  assertEquals(toFileError(many, { what: "cannot open", path: "/x" }).fault, "too-many");
  assertEquals(toFileError(full, { what: "cannot open", path: "/y" }), full);
  const closed = new Deno.errors.NotCapable('Requires all access to "/x", run again with the --allow-all flag');
  const error = toFileError(closed, { what: "cannot make the folder", path: "/x" });
  assertMatch(error.message, /: the Deno runtime, on which Shoal runs, lets no program into \/dev, \/proc and \/sys$/);
  const shm = new Deno.errors.NotCapable('Requires write access to "/dev/shm/x", run again with --allow-write');
  assertEquals(toFileError(shm, { what: "cannot open", path: "/dev/shm/x" }).fault, "off-limits");
  const other = new Deno.errors.NotCapable('Requires write access to "/x", run again with --allow-write');
  assertEquals(toFileError(other, { what: "cannot open", path: "/x" }).fault, "denied");
  assert(toFileError("odd", { what: "cannot open", path: "/x" }).message.endsWith(": odd"));
});

Deno.test("denoFiles.lock() lets one have it, also among many who come and go, and leaves nothing behind", () =>
  inFolder(async (folder) => {
    const path = `${folder}/lock`;
    const first = await denoFiles.lock(path, { patience: 0 });
    assert(first !== null);
    assertEquals(await denoFiles.lock(path, { patience: 0 }), null);
    await first.release();
    assertEquals(await denoFiles.list(folder), []);
    let holders = 0;
    let turns = 0;
    const come = async () => {
      const lock = await denoFiles.lock(path, { patience: 60_000 });
      assert(lock !== null);
      assertEquals(++holders, 1);
      await denoFiles.stat(path);
      turns++;
      holders--;
      await lock.release();
    };
    await Promise.all(Array.from({ length: 8 }, async () => {
      for (let i = 0; i < 3; i++) await come();
    }));
    assertEquals([turns, await denoFiles.list(folder)], [24, []]);
    await assertFault("missing", () => denoFiles.lock(`${folder}/none/lock`, { patience: 0 }));
  }));

Deno.test("denoFiles.lock() opens nothing that somebody else has put in its place", () =>
  inFolder(async (folder) => {
    const path = `${folder}/lock`;
    await Deno.symlink(`${folder}/elsewhere`, path);
    await assertFault("exists", () => denoFiles.lock(path, { patience: 0 }));
    assertEquals(await denoFiles.list(folder), ["lock"]);
    await Deno.remove(path);
    await Deno.mkdir(path);
    await assertFault("exists", () => denoFiles.lock(path, { patience: 0 }));
  }));

Deno.test("denoFiles.lock() is free again when the process that had it was killed", () =>
  inFolder(async (folder) => {
    const path = `${folder}/lock`;
    const files = new URL("../../src/platform/deno_files.ts", import.meta.url);
    const program = `
      const { denoFiles } = await import(${JSON.stringify(files.href)});
      const lock = await denoFiles.lock(${JSON.stringify(path)}, { patience: 0 });
      console.log(lock === null ? "none" : "locked");
      await Deno.stdin.read(new Uint8Array(1));
      Deno.kill(Deno.pid, "SIGKILL");`;
    await Deno.writeTextFile(`${folder}/program.ts`, program);
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", ...TEST_FLAGS, "--no-check", `${folder}/program.ts`],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const reader = child.stdout.getReader();
    const { value } = await reader.read();
    assertEquals(new TextDecoder().decode(value), "locked\n");
    assertEquals(await denoFiles.lock(path, { patience: 0 }), null);
    // The process kills itself: if Deno was installed from npm, our child is the script that started it.
    await child.stdin.close();
    await child.status;
    await reader.cancel();
    const lock = await denoFiles.lock(path, { patience: 30_000 });
    assert(lock !== null);
    await lock.release();
  }));

Deno.test("denoFiles.writeFile() of one who is alone uses the draft again that a crash has left", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/state.new`, "something longer that was never finished");
    await denoFiles.writeFile(`${folder}/state`, Uint8Array.of(1, 2, 3), { alone: true });
    assertEquals(await Deno.readFile(`${folder}/state`), Uint8Array.of(1, 2, 3));
    assertEquals(await denoFiles.list(folder), ["state"]);
  }));
