/**
 * Tests of the harness with clients that are known to work. If one of them fails, a failure of another interop test
 * may not be Shoal's fault.
 */

import { testWith } from "../support/requirements.ts";
import { Lab, NEEDS } from "./lab.ts";

for (
  const [seeder, leecher] of [["libtorrent", "aria2"], ["aria2", "transmission"], [
    "transmission",
    "libtorrent",
  ]] as const
) {
  testWith(`harness: ${seeder} seeds the tree to ${leecher}`, NEEDS, () =>
    Lab.run("tree", async (lab) => {
      await lab.seed(seeder);
      await lab.seedersAnnounced(1);
      const leech = await lab.leech(leecher);
      await leech.completed(60);
      await lab.verify(leech);
    }));
}
