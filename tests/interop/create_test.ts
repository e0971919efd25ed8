/**
 * Compares `shoal create` with mktorrent: the same input and options give the same info-hash, and other clients accept
 * the torrents.
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Job, type JobResult } from "../support/job.ts";
import { noise } from "../support/payload.ts";
import { testWith, WEBTORRENT } from "../support/requirements.ts";
import { withScratch } from "../support/scratch.ts";
import { readTorrent } from "../support/torrents.ts";
import { shoalCommand } from "./clients.ts";

const NEEDS = ["mktorrent", "aria2c", "transmission-cli", "python3-libtorrent", "webtorrent"] as const;
const TRACKER = "http://tracker.test/announce";
const KIB = 1024;
const MIB = 1024 * KIB;

/** One input, and the options of both programs besides tracker and piece length. */
interface Input {
  readonly name: string;
  /** Size in bytes of each file, or target of each link, by path. The path `""` makes a single file named `name`. */
  readonly files: Readonly<Record<string, number | string>>;
  /** Path that the torrent is made of, `name` by default. */
  readonly path?: string;
  /** Log2 of the piece length in bytes. */
  readonly power: number;
  readonly shoal?: readonly string[];
  readonly mktorrent?: readonly string[];
}

const TRICKY = ["a b", "a-b", "a.txt", "a/x", "a0", "B", "b", ".dot", ".hidden/y", "\u00e9", "e\u0301", "zz/Z", "zz/z"];
/** Names in the order of their UTF-8 bytes. In UTF-16, the second sorts before the first. */
const ASTRAL = ["\uff5e", "\u{1f41f}"];
const both = (...options: string[]) => ({ shoal: options, mktorrent: options });

const INPUTS: readonly Input[] = [
  { name: "one byte", files: { "": 1 }, power: 15 },
  { name: "a piece", files: { "": 32 * KIB }, power: 15 },
  { name: "a piece and a byte", files: { "": 32 * KIB + 1 }, power: 15 },
  { name: "a byte less than two pieces", files: { "": 64 * KIB - 1 }, power: 15 },
  { name: "many pieces", files: { "": 5 * MIB + 4321 }, power: 16 },
  { name: "on several threads", files: { "": 65 * MIB + 7 }, power: 18 },
  { name: "large pieces", files: { "": 33 * MIB + 5 }, power: 24 },
  { name: "a folder of one", files: { "only": 100_000 }, power: 18 },
  { name: "odd sizes", files: { "1": 1, "2": 32_767, "3": 32_769, "4": 99_999, "5": 3 }, power: 15 },
  { name: "many small files", files: sizes(300, (i) => `${i % 7}/${i}.bin`, (i) => i * 97), power: 15 },
  { name: "empty files", files: { "a": 0, "b": 50_000, "c": 0, "d/e": 0, "f": 7 }, power: 15 },
  { name: "tricky names", files: sizes(TRICKY.length, (i) => TRICKY[i]!, (i) => i + 1), power: 18 },
  { name: "names past the BMP", files: sizes(2, (i) => ASTRAL[i]!, (i) => i + 1), power: 18 },
  { name: "deep folders", files: { [`${"d/".repeat(30)}file`]: 10_000, "d/file": 1, "d.file": 2 }, power: 15 },
  { name: "links", files: { "real": 40_000, "link": "real", "dir/x": 5, "twin": "dir" }, power: 15 },
  { name: "private", files: { "": 70_000 }, power: 15, shoal: ["--private"], mktorrent: ["-p"] },
  {
    name: "source",
    files: { "x": 70_000, "y": 5 },
    power: 15,
    shoal: ["--source", "\u00dcber"],
    mktorrent: ["-s", "\u00dcber"],
  },
  {
    name: "everything",
    files: { "x": 70_000, "y/z": 50_000 },
    power: 17,
    shoal: [
      "--private",
      "--source",
      "S",
      "--comment",
      "c",
      "--web-seed",
      "http://w.test/",
      "--name",
      "another",
      "--date",
    ],
    mktorrent: ["-p", "-s", "S", "-c", "c", "-w", "http://w.test/", "-n", "another"],
  },
  {
    name: "name of a file",
    files: { "": 12_345 },
    power: 15,
    ...both("-n", "other.bin"),
    shoal: ["--name", "other.bin"],
  },
  { name: "slash at the end", files: { "x": 12_345 }, path: "slash at the end/", power: 15 },
  {
    name: "more trackers",
    files: { "": 12_345 },
    power: 15,
    shoal: ["-t", "udp://b.test:1"],
    mktorrent: ["-a", "udp://b.test:1"],
  },
];

function sizes(count: number, path: (i: number) => string, size: (i: number) => number): Record<string, number> {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [path(i), size(i)]));
}

async function makeInput({ name, files }: Input, folder: string): Promise<void> {
  for (const [i, [path, content]] of Object.entries(files).entries()) {
    const full = path === "" ? `${folder}/${name}` : `${folder}/${name}/${path}`;
    await Deno.mkdir(full.slice(0, full.lastIndexOf("/")), { recursive: true });
    if (typeof content === "string") await Deno.symlink(content, full);
    else await Deno.writeFile(full, noise(content, i + 1));
  }
}

async function run(argv: readonly string[], cwd: string): Promise<JobResult> {
  await using job = new Job(argv, { name: argv[0]!, cwd });
  const result = await job.exit(60);
  assertEquals(result.code, 0, `${argv.join(" ")}\n${result.stdout.join("\n")}\n${result.stderr.join("\n")}`);
  return result;
}

/** Python program that prints the info-hash of a torrent, and its numbers and sizes, as libtorrent reads them. */
const LIBTORRENT = `
import libtorrent, sys
info = libtorrent.torrent_info(sys.argv[1])
print(info.info_hash())
print(info.num_files(), info.total_size(), info.piece_length(), info.num_pieces())
`;

/** Node program that prints the same as WebTorrent's package `parse-torrent` reads it. */
const PARSE_TORRENT = `
import { readFileSync } from "node:fs";
import process from "node:process";
const { default: parse } = await import(process.argv[1]);
const { infoHash, files, length, pieceLength, pieces } = await parse(readFileSync("s.torrent"));
console.log(infoHash);
console.log(files.length, length, pieceLength, pieces.length);
`;

for (const input of INPUTS) {
  testWith(
    `shoal create makes the info-hash of mktorrent, and other clients accept the torrent: ${input.name}`,
    NEEDS,
    () =>
      withScratch(async (folder) => {
        await makeInput(input, folder);
        const { path = input.name, power, shoal = [], mktorrent = [] } = input;
        const length = ["--piece-length", `${2 ** power}`];
        const made = await run(
          [...shoalCommand(), "create", path, "-o", "s.torrent", "-t", TRACKER, ...length, ...shoal, "--json"],
          folder,
        );
        await run(["mktorrent", "-a", TRACKER, "-d", "-l", `${power}`, "-o", "m.torrent", ...mktorrent, path], folder);
        const [ours, theirs] = [await readTorrent(`${folder}/s.torrent`), await readTorrent(`${folder}/m.torrent`)];
        assertEquals(ours.hex, theirs.hex);
        const told = JSON.parse(made.stdout[0]!);
        assertEquals([told.infohash, told.torrent], [theirs.hex, "s.torrent"]);

        const [hash, numbers] = (await run(["/usr/bin/python3", "-c", LIBTORRENT, "s.torrent"], folder)).stdout;
        assertEquals(hash, theirs.hex);
        assertEquals(numbers, `${told.files.length} ${told.size} ${2 ** power} ${told.pieces}`);
        const parser = `${WEBTORRENT}/node_modules/parse-torrent/index.js`;
        const node = ["node", "--input-type=module", "-e", PARSE_TORRENT, parser];
        assertEquals((await run(node, folder)).stdout, [hash!, numbers!]);
        const aria2 = (await run(["aria2c", "-S", "s.torrent"], folder)).stdout.join("\n");
        assertStringIncludes(aria2, theirs.hex);
        const transmission = (await run(["transmission-show", "s.torrent"], folder)).stdout.join("\n");
        assertStringIncludes(transmission, theirs.hex);
        assert(told.magnet.startsWith(`magnet:?xt=urn:btih:${theirs.hex}&`));
      }),
  );
}
