import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { type ArchivedFile, tarGz, zip } from "../../.ci/archive.ts";
import { checksums, compileArgs, disagreements, parseArgs, TARGETS } from "../../.ci/release.ts";
import { utf8 } from "../../src/base/bytes.ts";
import { VERSION } from "../../src/base/version.ts";

const ROOT = new URL("../../", import.meta.url);

/** A task in deno.json; without a command it stands for those that it depends on. */
interface Task {
  readonly command?: string;
  readonly dependencies?: readonly string[];
}

Deno.test("release: parseArgs() knows targets, and the host by its name", () => {
  const [linux, arm] = TARGETS;
  assertEquals(parseArgs([], linux), { targets: TARGETS, allowMissing: false, tag: null });
  const words = ["--only", "host", "--only", arm, "--allow-missing", "--tag", "v1.2.3"];
  assertEquals(parseArgs(words, linux), { targets: [linux, arm], allowMissing: true, tag: "v1.2.3" });
  for (const wrong of [["--only"], ["--only", "host"], ["--tag"], ["--x"], ["--only", "windows"]]) {
    assertThrows(() => parseArgs(wrong, "riscv64-unknown-linux-gnu"), Error);
  }
});

Deno.test("release: disagreements() of tag, version, deno.json and changelog", () => {
  const good = { version: "1.2.3", manifest: "1.2.3", changelog: "# Changelog\n\n## 1.2.3\n\n- New.\n", tag: "v1.2.3" };
  assertEquals(disagreements(good), []);
  assertEquals(disagreements({ ...good, changelog: "## [1.2.3] - 2026-11-23\n" }), []);
  assertEquals(disagreements({ ...good, changelog: "## Unreleased\n", tag: null }), []);
  assertEquals(disagreements({ ...good, tag: "1.2.3" }), ["the tag is 1.2.3, the version 1.2.3"]);
  assertEquals(disagreements({ ...good, changelog: "## Unreleased\n" }), ['CHANGELOG.md has no heading "## 1.2.3"']);
  assertEquals(disagreements({ ...good, manifest: "1.2.2" }).length, 1);
});

Deno.test("release: this checkout agrees with itself, and compileArgs() has the permissions of the task compile", async () => {
  const { version, tasks } = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));
  const changelog = await Deno.readTextFile(new URL("CHANGELOG.md", ROOT));
  assertEquals(disagreements({ version: VERSION, manifest: version, changelog, tag: null }), []);
  const task: string = tasks.compile.command;
  const args = compileArgs(task, { target: TARGETS[1], output: "x/shoal" });
  assertEquals(
    `export DENO_TLS_CA_STORE=system,mozilla && deno task --quiet bundle && ${["deno", ...args].join(" ")}`,
    task.replace("--output dist/shoal", `--target ${TARGETS[1]} --output x/shoal`).replace(/ \|\| .*$/, ""),
  );
  assertMatch(
    task,
    / dist\/bundle\/main\.js \|\| \(echo ".*the runtime can't be downloaded: DENORT_BIN .*" 1>&2 && exit 1\)$/,
  );
  for (
    const strange of ["deno compile main.ts", "deno run --output x main.ts", 'deno compile --output "a b" main.ts']
  ) {
    assertThrows(() => compileArgs(strange, { target: TARGETS[0], output: "x" }), Error, "strange");
  }
});

Deno.test("deno.json names no package and no lock file, and each task names its own and whose certificates to trust", async () => {
  // Otherwise `deno task` would fetch every package before the task's variables take effect.
  const { imports, lock, importMap, tasks } = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));
  assertEquals([imports, lock, importMap], [undefined, false, "./imports.json"]);
  for (const [name, { command, dependencies }] of Object.entries(tasks as Record<string, Task>)) {
    if (command === undefined) {
      assert(dependencies!.length > 0, name);
      continue;
    }
    assertMatch(command, /^(?:export )?DENO_TLS_CA_STORE=system,mozilla /, name);
    for (const [part] of command.matchAll(/\bdeno (?:run|test|bench|compile|check|cache|doc) .*?(?= && | \|\| |$)/g)) {
      assertMatch(part, /--lock=(?:tests\/)?deno\.lock --frozen(?: |$)/, name);
      assertEquals(part.includes("--lock=deno.lock"), / (?:main\.ts|dist\/bundle\/main\.js)/.test(part), name);
    }
  }
});

Deno.test("deno.lock has what the program needs and nothing else, with the versions of tests/deno.lock", async () => {
  interface Lock {
    readonly specifiers: Record<string, string>;
    readonly npm: Record<string, { readonly integrity: string }>;
  }
  const read = async (name: string): Promise<Lock> => JSON.parse(await Deno.readTextFile(new URL(name, ROOT)));
  const [own, all] = [await read("deno.lock"), await read("tests/deno.lock")];
  for (const [name, version] of Object.entries(own.specifiers)) assertEquals(all.specifiers[name], version, name);
  for (const [name, { integrity }] of Object.entries(own.npm)) assertEquals(all.npm[name]?.integrity, integrity, name);
  // Each package is a download, and each package named directly also needs a list of versions.
  const downloads = Object.keys(own.npm).length + Object.keys(own.specifiers).length;
  assert(downloads <= 25, `${downloads} downloads before anything is seen of the program`);
});

Deno.test("release: checksums() are what sha256sum -c reads", async () => {
  const files = new Map([["b", utf8("abc")], ["a", new Uint8Array()]]);
  assertEquals(
    await checksums(files),
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  a\n" +
      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  b\n",
  );
});

const FILES: readonly ArchivedFile[] = [
  { name: "x/shoal", bytes: new Uint8Array(100_000).fill(7), executable: true },
  { name: "x/LICENSE", bytes: utf8("free") },
];

async function inflate(bytes: Uint8Array<ArrayBuffer>, format: "gzip" | "deflate-raw"): Promise<Uint8Array> {
  return new Uint8Array(
    await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream(format))).arrayBuffer(),
  );
}

Deno.test("release: tarGz() is a ustar archive, the same whatever the order of its files", async () => {
  const packed = await tarGz(FILES);
  assertEquals(packed, await tarGz(FILES.toReversed()));
  assertEquals([...packed.subarray(4, 8)], [0, 0, 0, 0]);
  const tar = await inflate(packed, "gzip");
  assertEquals(tar.length % 512, 0);
  let at = 0;
  for (const { name, bytes, executable } of FILES.toReversed()) {
    const header = tar.subarray(at, at + 512);
    const text = new TextDecoder().decode(header);
    const fields = text.replace(/\0+/g, "|");
    const size = bytes.length.toString(8).padStart(11, "0");
    assertMatch(fields, new RegExp(`^${name}\\|0000${executable ? 755 : 644}\\|0{7}\\|0{7}\\|${size}\\|0{11}\\|`));
    const sum = header.reduce((sum, byte, i) => sum + (i >= 148 && i < 156 ? 32 : byte), 0);
    assertEquals([parseInt(text.slice(148, 154), 8), text[156], text.slice(257, 265)], [sum, "0", "ustar\x0000"]);
    assertEquals(tar.subarray(at + 512, at + 512 + bytes.length), bytes);
    at += 512 + Math.ceil(bytes.length / 512) * 512;
  }
  assertEquals(tar.subarray(at).every((byte) => byte === 0) && tar.length - at === 1024, true);
});

Deno.test("release: zip() has an index that leads to every file", async () => {
  const packed = await zip(FILES);
  const view = new DataView(packed.buffer);
  const end = packed.length - 22;
  assertEquals([view.getUint32(end, true), view.getUint16(end + 10, true)], [0x06054b50, 2]);
  let at = view.getUint32(end + 16, true);
  for (const { name, bytes } of FILES.toReversed()) {
    const [size, length] = [view.getUint32(at + 20, true), view.getUint16(at + 28, true)];
    assertEquals([view.getUint32(at, true), view.getUint32(at + 24, true)], [0x02014b50, bytes.length]);
    const local = view.getUint32(at + 42, true);
    assertEquals(new TextDecoder().decode(packed.subarray(local + 30, local + 30 + length)), name);
    const data = packed.slice(local + 30 + length, local + 30 + length + size);
    assertEquals(await inflate(data, "deflate-raw"), new Uint8Array(bytes));
    at += 46 + length;
  }
  assertEquals(at, end);
  // CRC-32 of "free", as other programs compute it.
  assertEquals(view.getUint32(view.getUint32(end + 16, true) + 16, true), 0x4d2ec1c8);
});
