/**
 * Compares `shoal create --v2` and `--hybrid` with libtorrent: the same input gives the same info dictionary, and so the
 * same info-hashes.
 */

import { assertEquals } from "@std/assert";
import { Job, type JobResult } from "../support/job.ts";
import { noise } from "../support/payload.ts";
import { LIBTORRENT21, testWith } from "../support/requirements.ts";
import { withScratch } from "../support/scratch.ts";
import { shoalCommand } from "./clients.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/** One input. */
interface Input {
  readonly name: string;
  /** Size in bytes of each file by path. The path `""` makes a single file named `name`. */
  readonly files: Readonly<Record<string, number>>;
  /** Files that are executable. */
  readonly executable?: readonly string[];
  /** Piece length in bytes. */
  readonly pieces: number;
  /** Symbolic links by path, which both follow. */
  readonly links?: Readonly<Record<string, string>>;
  /** Whether libtorrent 2.1 makes a hybrid of it that it refuses itself, by its order of files. */
  readonly onlyIn20?: true;
  /** Whether libtorrent 2.0 takes what a link leads to for executable, since links are. */
  readonly onlyIn21?: true;
}

const INPUTS: readonly Input[] = [
  { name: "one byte", files: { "": 1 }, pieces: 16 * KIB },
  { name: "a block", files: { "": 16 * KIB }, pieces: 16 * KIB },
  { name: "a block and a byte", files: { "": 16 * KIB + 1 }, pieces: 16 * KIB },
  { name: "a block in a larger piece", files: { "": 16 * KIB }, pieces: 256 * KIB },
  { name: "three blocks in a piece of four", files: { "": 48 * KIB }, pieces: 64 * KIB },
  { name: "exactly a piece", files: { "": 64 * KIB }, pieces: 64 * KIB },
  { name: "exactly two pieces", files: { "": 128 * KIB }, pieces: 64 * KIB },
  { name: "exactly three pieces", files: { "": 192 * KIB }, pieces: 64 * KIB },
  { name: "a byte more than four pieces", files: { "": 256 * KIB + 1 }, pieces: 64 * KIB },
  { name: "a byte less than five pieces", files: { "": 320 * KIB - 1 }, pieces: 64 * KIB },
  { name: "many pieces of a block", files: { "": 5 * MIB + 4321 }, pieces: 16 * KIB },
  { name: "pieces of 4 MiB", files: { "": 33 * MIB + 5 }, pieces: 4 * MIB },
  { name: "on several threads", files: { "": 70 * MIB + 7 }, pieces: 1 * MIB },
  { name: "a folder on several threads", files: { a: 40 * MIB + 7, b: 30 * MIB, c: 5 * MIB + 1 }, pieces: 512 * KIB },
  { name: "a folder of one", files: { "only": 100_000 }, pieces: 32 * KIB },
  { name: "a folder of one and an empty one", files: { "a": 100_000, "b": 0 }, pieces: 32 * KIB },
  { name: "a tree", files: { "a/b/c": 100_000, "a/b/d": 5, "a/e": 32 * KIB, "z": 70_000 }, pieces: 32 * KIB },
  { name: "empty files", files: { "0": 0, "a": 50_000, "b": 0, "c/d": 0, "e": 7, "f": 0 }, pieces: 32 * KIB },
  { name: "exact files", files: { a: 32 * KIB, b: 64 * KIB, c: 16 * KIB, d: 32 * KIB }, pieces: 32 * KIB },
  { name: "small files", files: sizes(300, (i) => `${i % 7}/${i}.bin`, (i) => 1 + i * 97), pieces: 16 * KIB },
  { name: "\u00fcmlaut", files: { "\u00e9": 50_000, "e\u0301": 5, "\u65e5\u672c/\u8a9e": 40_000 }, pieces: 32 * KIB },
  { name: "names past the BMP", files: { "\uff5e": 50_000, "\u{1f41f}": 40_000 }, pieces: 32 * KIB },
  { name: "one content twice", files: { a: 100_000, b: 100_000 }, pieces: 16 * KIB },
  { name: "an executable file", files: { "": 40_000 }, executable: [""], pieces: 32 * KIB },
  {
    name: "executable files",
    files: { "bin/run": 40_000, "empty": 0, "plain": 70_000, "z": 5 },
    executable: ["bin/run", "empty", "z"],
    pieces: 32 * KIB,
  },
  { name: "hidden files", files: { ".a": 5, ".b/.c": 40_000, "c": 70_000 }, pieces: 32 * KIB },
  { name: "odd names", files: { "a ": 5, "b.": 6, " c": 40_000, "d:e": 7, "f|g?*": 8, "'\"": 9 }, pieces: 32 * KIB },
  { name: "long names", files: { ["x".repeat(255)]: 5, [`${"\u00e9".repeat(120)}.mkv`]: 6 }, pieces: 32 * KIB },
  { name: "a deep tree", files: { [`${"d/".repeat(40)}f`]: 40_000, "e": 5 }, pieces: 32 * KIB },
  { name: "a folder that ends its files", files: { "a/b": 5, "a/c": 40_000, "b/a": 6, "b/b": 7 }, pieces: 32 * KIB },
  { name: "an empty file first and last", files: { "a": 0, "b": 40_000, "c": 5, "d": 0 }, pieces: 32 * KIB },
  { name: "a name with dots.tar.gz", files: { "": 100_000 }, pieces: 16 * KIB },
  { name: "pieces of 16 MiB", files: { a: 17 * MIB, b: 5 }, pieces: 16 * MIB },
  {
    name: "links",
    files: { "a/b": 40_000, "c": 5 },
    links: { "d": "c", "e": "a", "f": "a/b" },
    pieces: 32 * KIB,
    onlyIn21: true,
  },
  {
    name: "names in capitals",
    files: { "B": 5, "a": 40_000, "C/d": 6, "c/D": 7, "\u00c9": 8, "\u00e9": 9 },
    pieces: 32 * KIB,
  },
  {
    name: "names that begin alike",
    files: { "a/b": 5, "a.b": 40_000, "ab/c": 6, "a-/d": 7, "a/b-": 8, "a/b.c/e": 9 },
    pieces: 32 * KIB,
    onlyIn20: true,
  },
  {
    name: "tricky names",
    files: { "a b": 1, "a-b": 40_000, "a.txt": 3, "a/x": 33_000, a0: 5, B: 6, ".dot": 7, "zz/Z": 8, "zz/z": 9 },
    pieces: 32 * KIB,
    onlyIn20: true,
  },
];

function sizes(count: number, path: (i: number) => string, size: (i: number) => number): Record<string, number> {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [path(i), size(i)]));
}

async function makeInput({ name, files, executable = [], links = {} }: Input, folder: string): Promise<void> {
  for (const [i, [path, size]] of Object.entries(files).entries()) {
    const full = path === "" ? `${folder}/${name}` : `${folder}/${name}/${path}`;
    await Deno.mkdir(full.slice(0, full.lastIndexOf("/")), { recursive: true });
    const mode = executable.includes(path) ? 0o744 : 0o654; // only the owner's permission counts
    await Deno.writeFile(full, noise(size, name === "one content twice" ? 1 : i + 1), { mode });
  }
  for (const [path, target] of Object.entries(links)) await Deno.symlink(target, `${folder}/${name}/${path}`);
}

/** Makes a torrent of a folder, and prints both info-hashes and the keys outside of the info dictionary. */
const CREATE = `
import hashlib, libtorrent as lt, sys
name, kind, length, ours = sys.argv[1:]
files = lt.file_storage()
lt.add_files(files, name)
made = lt.create_torrent(files, int(length), flags=lt.create_torrent.v2_only if kind == 'v2' else 0)
lt.set_piece_hashes(made, '.')
theirs = made.generate()
info = lt.bencode(theirs[b'info'])
ours = lt.bdecode(open(ours, 'rb').read())
print(hashlib.sha1(info).hexdigest(), hashlib.sha256(info).hexdigest())
print(info == lt.bencode(ours[b'info']), theirs[b'piece layers'] == ours[b'piece layers'])
`;

/** Reads a torrent as a client does. */
const READ = `
import libtorrent as lt, sys
info = lt.torrent_info(sys.argv[1])
hashes = info.info_hashes()
print(hashes.v1 if hashes.has_v1() else None, hashes.v2 if hashes.has_v2() else None)
`;

async function run(argv: readonly string[], cwd: string, env: Record<string, string> = {}): Promise<JobResult> {
  await using job = new Job(argv, { name: argv[0]!, cwd, env });
  const result = await job.exit(60);
  assertEquals(result.code, 0, `${argv.join(" ")}\n${result.stdout.join("\n")}\n${result.stderr.join("\n")}`);
  return result;
}

for (const [needs, env] of [["python3-libtorrent", {}], ["libtorrent21", { PYTHONPATH: LIBTORRENT21 }]] as const) {
  for (const input of INPUTS) {
    if (needs === "libtorrent21" ? input.onlyIn20 : input.onlyIn21) continue;
    testWith(
      `shoal create makes the v2 and hybrid info-hashes of ${needs}: ${input.name}`,
      [needs],
      () =>
        withScratch(async (folder) => {
          await makeInput(input, folder);
          const { name, pieces } = input;
          for (const kind of ["v2", "hybrid"]) {
            const output = `${kind}.torrent`;
            const options = [`--${kind}`, "--piece-length", `${pieces}`, "-o", output, "--json"];
            const told = JSON.parse((await run([...shoalCommand(), "create", name, ...options], folder)).stdout[0]!);
            const python = (program: string, ...more: string[]) => {
              return run(["/usr/bin/python3", "-W", "ignore", "-c", program, ...more], folder, env);
            };
            const [hashes, same] = (await python(CREATE, name, kind, `${pieces}`, output)).stdout;
            assertEquals(same, "True True", `${kind} of ${name}`);
            const [sha1, sha256] = hashes!.split(" ");
            assertEquals([told.infohash, told.infohash_v2], [kind === "v2" ? null : sha1, sha256]);
            const read = (await python(READ, output)).stdout[0];
            assertEquals(read, `${kind === "v2" ? "None" : sha1} ${sha256}`);
          }
        }),
    );
  }
}
