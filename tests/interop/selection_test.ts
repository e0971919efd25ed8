/** Downloads some files of a torrent, then the rest: no piece is downloaded twice, and no other file is on disk. */

import { assert, assertEquals } from "@std/assert";
import { assertSame, noise, type Payload } from "../support/payload.ts";
import { eventsOf } from "../support/events.ts";
import { testWith } from "../support/requirements.ts";
import { shoalCommand } from "./clients.ts";
import { type Goods, Lab, NEEDS } from "./lab.ts";

const PIECE = 64 * 1024;
/** Sizes in bytes. No file ends at the end of a piece, and the second and third file share a piece. */
const SIZES = [3 * PIECE + 1000, 5000, 7000, 20 * PIECE + 77, 9 * PIECE + 1];
const NAME = "some files";

const GOODS: Goods = {
  pieceLength: PIECE,
  async makePayload(folder): Promise<Payload> {
    await Deno.mkdir(`${folder}/${NAME}`, { recursive: true });
    const files = SIZES.map((size, i) => ({ path: `${NAME}/${i + 1}.bin`, size }));
    for (const [i, { path, size }] of files.entries()) await Deno.writeFile(`${folder}/${path}`, noise(size, i));
    return { name: NAME, folder, size: SIZES.reduce((sum, size) => sum + size, 0), files };
  },
};

/** Returns the bytes of all pieces that overlap the files with these numbers. */
function bytesFor(numbers: readonly number[]): number {
  const total = SIZES.reduce((sum, size) => sum + size, 0);
  const pieces = new Set<number>();
  let offset = 0;
  for (const [i, size] of SIZES.entries()) {
    for (let p = Math.floor(offset / PIECE); numbers.includes(i + 1) && p * PIECE < offset + size; p++) pieces.add(p);
    offset += size;
  }
  return [...pieces].reduce((sum, piece) => sum + Math.min(PIECE, total - piece * PIECE), 0);
}

function namesIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
}

for (const seeder of ["libtorrent", "aria2"] as const) {
  testWith(
    `shoal downloads two of five files from ${seeder}, then the rest, and no piece twice`,
    NEEDS,
    () =>
      Lab.run(GOODS, async (lab) => {
        await lab.seed(seeder);
        await lab.seedersAnnounced(1);
        const out = await Deno.makeTempDir({ dir: lab.payload.folder.replace(/\/source$/, "") });
        const folder = `${out}/out`;
        const download = async (...args: string[]) => {
          const argv = [...shoalCommand(), "download", lab.torrent, "-o", folder, "--json", "-p", "6881", ...args];
          const { job } = await lab.program("shoal", [
            "env",
            `XDG_STATE_HOME=${out}/state`,
            `XDG_CONFIG_HOME=${out}`,
            ...argv,
          ]);
          const { code, stdout } = await job.exit(60);
          assertEquals(code, 0);
          return eventsOf(stdout);
        };
        const sizes = (events: Awaited<ReturnType<typeof download>>) => {
          const of = (kind: string) => events.find(({ event }) => event === kind)!;
          return [of("added").size, of("added").files, of("completed").bytes];
        };

        const some = bytesFor([2, 4]);
        assertEquals(sizes(await download("--files", "2,4")), [SIZES[1]! + SIZES[3]!, 2, some]);
        assertEquals(namesIn(`${folder}/${NAME}`), ["2.bin", "4.bin"]);
        const [partFile, ...others] = namesIn(folder);
        assert(/^\.shoal-[0-9a-f]{40}\.part$/.test(partFile!), partFile);
        assertEquals(others, [NAME]);
        for (const number of [2, 4]) {
          const path = `${NAME}/${number}.bin`;
          assertEquals(await Deno.readFile(`${folder}/${path}`), await Deno.readFile(`${lab.payload.folder}/${path}`));
        }

        // The partfile contains the whole third file.
        assertEquals(sizes(await download("--files", "[1-4].bin")), [
          SIZES[0]! + SIZES[1]! + SIZES[2]! + SIZES[3]!,
          4,
          bytesFor([1, 2, 3, 4]) - some,
        ]);
        assertEquals(namesIn(`${folder}/${NAME}`), ["1.bin", "2.bin", "3.bin", "4.bin"]);
        const rest = lab.payload.size - bytesFor([1, 2, 3, 4]);
        assertEquals(sizes(await download()), [lab.payload.size, 5, rest]);
        assertEquals(namesIn(folder), [NAME]);
        await assertSame(lab.payload, folder);
      }),
  );
}

for (const leecher of ["aria2", "libtorrent", "transmission"] as const) {
  testWith(
    `${leecher} downloads all files from two shoals that have different files`,
    NEEDS,
    () =>
      Lab.run(GOODS, async (lab) => {
        const seed = await lab.seed("libtorrent");
        await lab.seedersAnnounced(1);
        const out = await Deno.makeTempDir({ dir: lab.payload.folder.replace(/\/source$/, "") });
        for (const files of ["1-3", "4-5"]) {
          const place = ["download", lab.torrent, "-o", `${out}/${files}`, "--files", files, "--seed"];
          const argv = [
            "env",
            `XDG_STATE_HOME=${out}/state`,
            `XDG_CONFIG_HOME=${out}`,
            ...shoalCommand(),
            ...place,
            "--json",
            "-p",
            "6881",
          ];
          const { job } = await lab.program("shoal", argv);
          await job.line((line) => line.includes('"event":"completed"'), { seconds: 60, what: "it was complete" });
        }
        await seed.stop();
        const leech = await lab.leech(leecher);
        await leech.completed(90);
        await lab.verify(leech);
      }),
  );
}
