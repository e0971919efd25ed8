/** Super-seeding (BEP 16) with real clients: the only seed offers different pieces to each peer. */

import { assert } from "@std/assert";
import { uploadedBy } from "../support/events.ts";
import { testWith } from "../support/requirements.ts";
import { OTHERS } from "./clients.ts";
import { Lab, NEEDS } from "./lab.ts";

testWith(
  "shoal as the only seed uploads fewer than three copies until three other clients are complete",
  NEEDS,
  () =>
    Lab.run("file", async (lab) => {
      // The leechers start first, so that the seed has peers from the beginning.
      const leeches = [];
      for (const name of OTHERS) leeches.push(await lab.leech(name));
      const seed = await lab.seed("shoal");
      await Promise.all(leeches.map((leech) => leech.completed(120)));
      for (const leech of leeches) await lab.verify(leech);
      await seed.job.stop();
      const copies = uploadedBy(seed.job.stdout) / lab.payload.size;
      assert(copies >= 1 && copies < OTHERS.length, `it sent ${copies} copies to ${OTHERS.length} clients`);
    }),
);

testWith("shoal and aria2 complete from a super-seeding libtorrent", NEEDS, () =>
  Lab.run("file", async (lab) => {
    await lab.seed("libtorrent", { superSeeding: true });
    await lab.seedersAnnounced(1);
    const leeches = [await lab.leech("shoal"), await lab.leech("aria2")];
    await Promise.all(leeches.map((leech) => leech.completed(120)));
    for (const leech of leeches) await lab.verify(leech);
  }));
