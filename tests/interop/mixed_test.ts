/** One slow seeder, Shoal and two other clients: nobody finishes without serving the others. */

import { assert } from "@std/assert";
import { testWith } from "../support/requirements.ts";
import { OTHERS } from "./clients.ts";
import { Lab, NEEDS } from "./lab.ts";
import { uploadedBy } from "../support/events.ts";

/** Bytes a second of the seeder. Three copies would take it three times the 12 s that one takes. */
const SLOW = 4_000_000;

for (const seeder of OTHERS) {
  const [first, second] = OTHERS.filter((name) => name !== seeder) as [typeof OTHERS[number], typeof OTHERS[number]];
  testWith(`a slow ${seeder} feeds shoal, ${first} and ${second}`, NEEDS, () =>
    Lab.run("file", async (lab) => {
      await lab.seed(seeder, { uploadLimit: SLOW });
      await lab.seedersAnnounced(1);
      const leeches = [await lab.leech("shoal"), await lab.leech(first), await lab.leech(second)];
      await Promise.all(leeches.map((leech) => leech.completed(150)));
      for (const leech of leeches) await lab.verify(leech);
      const shoal = leeches[0]!.job;
      // The line that closes the session counts everything; it comes after a kind stop.
      await shoal.stop();
      assert(uploadedBy(shoal.stdout) > 0, "shoal served nobody");
    }));
}
