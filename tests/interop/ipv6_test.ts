/** Transfers over IPv6 with a tracker that returns `peers6` (BEP 7) as the only source of peers. */

import { assert } from "@std/assert";
import { testWith } from "../support/requirements.ts";
import { OTHERS } from "./clients.ts";
import { Lab, NEEDS } from "./lab.ts";

/** Seconds for one transfer; see pairs.ts. */
const PATIENCE = 90;
const HOW = { families: [4, 6] } as const;

for (const other of OTHERS) {
  for (const [seeder, leecher] of [[other, "shoal"], ["shoal", other]] as const) {
    testWith(`${seeder} seeds to ${leecher} over IPv6`, NEEDS, () =>
      Lab.run("file", async (lab) => {
        await lab.seed(seeder, HOW);
        await lab.seedersAnnounced(1);
        const leech = await lab.leech(leecher, HOW);
        await leech.completed(PATIENCE);
        await lab.verify(leech);
        const shoal = lab.find("shoal").job;
        assert(shoal.stdout.some((line) => line.includes('"address":"[fd99::')), "nobody was met over IPv6");
      }, { meeting: "tracker over IPv6" }));
  }
}
