/** Magnet links with a tracker: metadata (BEP 9) from other clients, and to other clients. */

import { type BencodeDict, decodeDict } from "../../src/bencode/mod.ts";
import type { Job } from "../support/job.ts";
import { makeFile } from "../support/payload.ts";
import { testWith } from "../support/requirements.ts";
import { OTHERS } from "./clients.ts";
import { type Goods, Lab, NEEDS } from "./lab.ts";

/** Seconds for one transfer. Transmission unchokes only every 10 s. */
const PATIENCE = 90;
/** A torrent with an info dictionary of 31 KiB, which takes more than one metadata piece. */
const GOODS: Goods = {
  makePayload: (folder) => makeFile(folder, { name: "by magnet.bin", size: (24 << 20) + 77, seed: 5 }),
  pieceLength: 16 * 1024,
};

for (const other of OTHERS) {
  for (const [seeder, leecher] of [[other, "shoal"], ["shoal", other]] as const) {
    testWith(
      `${leecher} gets the metadata and data of a magnet link from ${seeder}`,
      NEEDS,
      () =>
        Lab.run(GOODS, async (lab) => {
          await lab.seed(seeder);
          await lab.seedersAnnounced(1);
          const leech = await lab.leech(leecher, { link: await lab.magnet() });
          await leech.completed(PATIENCE);
          await lab.verify(leech);
        }),
    );
  }
}

testWith("shoal gets the metadata from three other clients at once", NEEDS, () =>
  Lab.run(GOODS, async (lab) => {
    for (const other of OTHERS) await lab.seed(other);
    await lab.seedersAnnounced(OTHERS.length);
    const leech = await lab.leech("shoal", { link: await lab.magnet() });
    await leech.completed(PATIENCE);
    await lab.verify(leech);
  }));

for (const seeder of OTHERS) {
  testWith(
    `shoal gets the metadata from ${seeder} despite three peers that offer metadata and never answer`,
    NEEDS,
    () =>
      Lab.run(GOODS, async (lab) => {
        const { raw } = decodeDict(await Deno.readFile(lab.torrent)).getDict("info") as BencodeDict;
        const link = await lab.magnet();
        const script = new URL("silent.ts", import.meta.url).pathname;
        const hex = /btih:(\w{40})/.exec(link)![1]!;
        const argv = [Deno.execPath(), "run", "-A", "--no-lock", script, hex, `${raw.length}`, lab.announce];
        const mute: Job[] = [];
        for (let i = 0; i < 3; i++) mute.push((await lab.program(`silent ${i}`, argv)).job);
        await lab.seedersAnnounced(mute.length);
        const leech = await lab.leech("shoal", { link });
        const asked = (line: string) => line.startsWith("asked");
        await Promise.any(mute.map((job) => job.line(asked, { seconds: 30, what: "it is asked for metadata" })));
        await lab.seed(seeder);
        await leech.completed(PATIENCE);
        await lab.verify(leech);
      }),
  );
}
