import { assertEquals, assertLess } from "@std/assert";
import { seedWithAria2 } from "../support/aria2.ts";
import { OFFLINE, runShoal, startShoal } from "../support/binary.ts";
import { assertSame, makeFile, noise } from "../support/payload.ts";
import { testWith } from "../support/requirements.ts";
import { withScratch } from "../support/scratch.ts";
import { makeTorrent } from "../support/torrents.ts";

const MIB = 1 << 20;
const KILLS = 10;
/** Bytes a second: slow enough that ten kills, four seconds apart at most, come before the end. */
const LIMIT = 16 * MIB;
/**
 * What one kill may cost: blocks under way, pieces that were not whole, and what the resume state had not yet heard of.
 * One that kept no resume state would lose about 35 MiB.
 */
const COST = 16 * MIB;
const SEED = 20;

testWith(
  "a download that is killed ten times ends with the right bytes and fetches little twice",
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
        // Any moment is fair: while it starts, checks, downloads. The wait is the test.
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
