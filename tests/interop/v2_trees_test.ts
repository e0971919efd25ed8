/**
 * Large and odd trees of v2 and hybrid torrents (BEP 52), between Shoal and libtorrent, both ways: 5,000 files, composed
 * and decomposed names side by side, and symbolic links. libtorrent makes the torrents.
 */

import { createHash } from "node:crypto";
import { assertEquals } from "@std/assert";
import { parseMetainfo } from "../../src/metainfo/mod.ts";
import { Libtorrent } from "../support/libtorrent.ts";
import { run } from "../support/job.ts";
import { makeFiles, noise } from "../support/payload.ts";
import { testWith } from "../support/requirements.ts";
import { Lab } from "../support/session_lab.ts";

const PIECE = 16_384;

/** Makes a torrent of a folder with symbolic links as what they are. */
const CREATE = `
import libtorrent as lt, sys
path, output, kind, length = sys.argv[1:]
files = lt.file_storage()
lt.add_files(files, path, flags=lt.create_torrent.symlinks)
flags = lt.create_torrent.symlinks | (lt.create_torrent.v2_only if kind == 'v2' else 0)
made = lt.create_torrent(files, int(length), flags=flags)
lt.set_piece_hashes(made, path.rsplit('/', 1)[0])
open(output, 'wb').write(lt.bencode(made.generate()))
`;

/** A folder `top` to transfer. */
interface Tree {
  readonly name: string;
  /** Fills the folder that has `top`. */
  make(folder: string): Promise<unknown>;
  /** Removes what a seed makes itself. */
  release?(folder: string): Promise<void>;
  /** Whether Shoal gives names that are one on some systems a number, as in v1 torrents. */
  readonly isNumbered?: boolean;
}

const TREES: readonly Tree[] = [
  {
    name: "5,000 files",
    make: (folder) => makeFiles(folder, { name: "top", count: 5000, size: 40 << 20, seed: 1 }),
  },
  {
    name: "composed and decomposed names",
    isNumbered: true,
    async make(folder) {
      const names = [
        "caf\u00e9",
        "cafe\u0301",
        "\u1e69",
        "s\u0323\u0307",
        "\uac00",
        "\u1100\u1161",
        "\u00c5",
        "\u212b",
      ];
      for (const [i, name] of names.entries()) {
        await Deno.mkdir(`${folder}/top/d ${name}`, { recursive: true });
        await Deno.writeFile(`${folder}/top/d ${name}/${name}.bin`, noise(20_000 + i, i + 1));
        await Deno.writeFile(`${folder}/top/${name}`, noise(PIECE * (1 + i % 2), i + 50));
      }
    },
  },
  {
    name: "symbolic links",
    async make(folder) {
      await Deno.mkdir(`${folder}/top/d`, { recursive: true });
      await Deno.writeFile(`${folder}/top/a`, noise(40_000, 1));
      await Deno.writeFile(`${folder}/top/d/b`, noise(50_000, 2));
      await Deno.symlink("a", `${folder}/top/link`);
      await Deno.symlink("../a", `${folder}/top/d/up`);
    },
    // libtorrent 2.0 makes links, and fails if they are there.
    async release(folder) {
      for (const link of ["link", "d/up"]) await Deno.remove(`${folder}/top/${link}`);
    },
  },
];

function digestOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Returns what is below a folder: the SHA-256 of each file, and the target of each link that leads to a file. */
function contents(folder: string, path = ""): Map<string, string> {
  const found = new Map<string, string>();
  for (const { name, isDirectory, isSymlink } of Deno.readDirSync(`${folder}${path}`)) {
    const below = `${path}/${name}`;
    if (isDirectory) contents(folder, below).forEach((value, key) => found.set(key, value));
    else if (isSymlink) found.set(below, Deno.realPathSync(`${folder}${below}`).slice(folder.length));
    else found.set(below, digestOf(Deno.readFileSync(`${folder}${below}`)));
  }
  return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
}

for (const tree of TREES) {
  for (const version of ["v2", "hybrid"] as const) {
    testWith(
      `${tree.name} of a ${version} torrent go from libtorrent to Shoal, and on to another libtorrent`,
      ["python3-libtorrent"],
      async () => {
        await using lab = new Lab();
        const source = Deno.realPathSync(lab.make("source"));
        await tree.make(source);
        const torrent = `${lab.folder}/top.torrent`;
        const argv = ["/usr/bin/python3", "-W", "ignore", "-c", CREATE, `${source}/top`, torrent, version, `${PIECE}`];
        const made = await run(argv, { seconds: 60 });
        assertEquals([made.code, made.stderr], [0, []]);
        const expected = contents(source);
        await tree.release?.(source);
        const meta = parseMetainfo(await Deno.readFile(torrent));
        const [ours, theirs] = [lab.make("ours"), lab.make("theirs")].map((path) => Deno.realPathSync(path));
        const { session, events } = await lab.session();
        const payload = { name: "top", folder: source, files: [], size: meta.size };
        {
          await using seeder = await Libtorrent.seed(payload, { torrent });
          const added = await session.add(meta, { folder: ours! });
          added.addPeers([{ host: "127.0.0.1", port: seeder.status!.port }]);
          await added.finished;
        }
        const found = contents(ours!);
        if (tree.isNumbered) assertEquals([...found.values()].sort(), [...expected.values()].sort());
        else assertEquals(found, expected);
        await using leecher = Libtorrent.leech(theirs!, { torrent, ports: [session.port] });
        await leecher.until(({ seeds }) => seeds, "it had everything");
        assertEquals(contents(theirs!), expected);
        assertEquals(events.filter(({ event }) => ["hash_failed", "error", "warning"].includes(event)), []);
      },
    );
  }
}
