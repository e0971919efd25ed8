import { assertEquals, assertLess } from "@std/assert";
import { seedWithAria2 } from "../support/aria2.ts";
import { OFFLINE, runShoal, startShoal } from "../support/binary.ts";
import { assertSame, makeFile, noise } from "../support/payload.ts";
import { testWith } from "../support/requirements.ts";
import { withScratch } from "../support/scratch.ts";
import { makeTorrent } from "../support/torrents.ts";

const MIB = 1 << 20;
const KILLS = 10;
/** Bytes a second, so slow that ten kills at most 4.2 s apart come before the end. */
const LIMIT = 16 * MIB;
/**
 * Limit of the bytes that a kill may lose on average: blocks in flight, unfinished pieces, and pieces that the resume
 * state doesn't contain yet. Without resume state, a kill would lose about 35 MiB.
 */
const COST = 16 * MIB;
const SEED = 20;

testWith(
  "shoal download completes with the right bytes after ten kills, and downloads little twice",
  ["binary", "aria2c"],
  () =>
    withScratch(async (folder) => {
      const payload = await makeFile(`${folder}/source`, { name: "file.bin", size: 512 * MIB, seed: SEED });
      const torrent = `${folder}/file.torrent`;
      await makeTorrent(payload, { path: torrent, pieceLength: MIB });
      await using seeder = await seedWithAria2(payload, { torrent, uploadLimit: LIMIT });
      const args = ["download", torrent, "-o", "out", "-p", "0", "--peer", seeder.address, "--json", ...OFFLINE];

      const moments = new Uint32Array(noise(KILLS * 4, SEED).buffer);
      for (const moment of moments) {
        await using shoal = startShoal(args, folder);
        // The kill comes at a random time, while Shoal starts, checks or downloads.
        await new Promise((resolve) => setTimeout(resolve, 200 + moment % 4000));
        shoal.signal("SIGKILL");
        const { code, stderr } = await shoal.exit(10);
        assertEquals([code, stderr], [137, []], "it ended by itself before it was killed");
      }

      const last = await runShoal(args, folder, 90);
      assertEquals([last.code, last.stderr], [0, []]);
      await assertSame(payload, `${folder}/out`);
      const twice = await seeder.uploaded() - payload.size;
      assertLess(twice, KILLS * COST, `${Math.round(twice / MIB)} MiB were fetched twice`);
    }),
);
