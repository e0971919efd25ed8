/** Local service discovery (BEP 14) without a tracker: the client that starts second must find the first. */

import { testWith } from "../support/requirements.ts";
import { Lab, NEEDS } from "./lab.ts";

/**
 * Seconds for one transfer. libtorrent announces as soon as it starts, and Transmission within a few seconds. All
 * clients repeat announces only every few minutes. BEP 14 asks for a minute between two messages.
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
