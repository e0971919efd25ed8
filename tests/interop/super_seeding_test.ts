/** A seed that is alone offers each peer other pieces (BEP 16), with real clients at either end. */

import { assert } from "@std/assert";
import { uploadedBy } from "../support/events.ts";
import { testWith } from "../support/requirements.ts";
import { OTHERS } from "./clients.ts";
import { Lab, NEEDS } from "./lab.ts";

testWith(
  "shoal, the only seed, spreads the file among three other clients",
  NEEDS,
  () =>
    Lab.run("file", async (lab) => {
      // They wait for it, so that it has an audience from the first moment.
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

testWith("a libtorrent that super-seeds feeds shoal and aria2", NEEDS, () =>
  Lab.run("file", async (lab) => {
    await lab.seed("libtorrent", { superSeeding: true });
    await lab.seedersAnnounced(1);
    const leeches = [await lab.leech("shoal"), await lab.leech("aria2")];
    await Promise.all(leeches.map((leech) => leech.completed(120)));
    for (const leech of leeches) await lab.verify(leech);
  }));
