/** One slow seeder, Shoal and two other clients: the leechers have to upload to each other to finish in time. */

import { assert } from "@std/assert";
import { testWith } from "../support/requirements.ts";
import { OTHERS } from "./clients.ts";
import { Lab, NEEDS } from "./lab.ts";
import { uploadedBy } from "../support/events.ts";

/** Upload limit of the seeder in bytes a second. One copy takes 12 s, so three copies would take 36 s. */
const SLOW = 4_000_000;

for (const seeder of OTHERS) {
  const [first, second] = OTHERS.filter((name) => name !== seeder) as [typeof OTHERS[number], typeof OTHERS[number]];
  testWith(
    `shoal, ${first} and ${second} complete from a slow ${seeder}, and shoal uploads`,
    NEEDS,
    () =>
      Lab.run("file", async (lab) => {
        await lab.seed(seeder, { uploadLimit: SLOW });
        await lab.seedersAnnounced(1);
        const leeches = [await lab.leech("shoal"), await lab.leech(first), await lab.leech(second)];
        await Promise.all(leeches.map((leech) => leech.completed(150)));
        for (const leech of leeches) await lab.verify(leech);
        const shoal = leeches[0]!.job;
        // The last event of the session has the totals. Shoal prints it when it is stopped cleanly.
        await shoal.stop();
        assert(uploadedBy(shoal.stdout) > 0, "shoal served nobody");
      }),
  );
}
