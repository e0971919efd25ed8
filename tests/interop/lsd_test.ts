/** Local service discovery (BEP 14) on one network, without any tracker: who comes second must find who is there. */

import { testWith } from "../support/requirements.ts";
import { Lab, NEEDS } from "./lab.ts";

/**
 * Seconds for one transfer. libtorrent announces as soon as it starts, transmission within a few seconds and then, like
 * everybody, every few minutes only; then there is the minute that BEP 14 wants between two messages.
 */
const PATIENCE = 120;
const HOW = { finds: ["lsd"] } as const;

for (const other of ["aria2", "libtorrent", "transmission"] as const) {
  for (const [seeder, leecher] of [[other, "shoal"], ["shoal", other]] as const) {
    testWith(`${leecher} finds ${seeder} by local discovery`, NEEDS, () =>
      Lab.run("file", async (lab) => {
        await lab.seed(seeder, HOW);
        const leech = await lab.leech(leecher, HOW);
        await leech.completed(PATIENCE);
        await lab.verify(leech);
      }, { meeting: "nobody" }));
  }
}
