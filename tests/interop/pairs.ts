/**
 * The tests of Shoal with each other client: the client seeds to Shoal and leeches from Shoal, with both payloads.
 *
 * @module
 */

import { testWith } from "../support/requirements.ts";
import type { ClientName } from "./clients.ts";
import { Lab, NEEDS } from "./lab.ts";

/** Seconds for one transfer. Transmission unchokes only every 10 s. */
const PATIENCE = 90;

/**
 * Defines the tests of one client.
 *
 * @param other Name of the client.
 */
export function testPairs(other: ClientName): void {
  for (const kind of ["file", "tree"] as const) {
    for (const [seeder, leecher] of [[other, "shoal"], ["shoal", other]] as const) {
      testWith(`${seeder} seeds the ${kind} to ${leecher}`, NEEDS, () =>
        Lab.run(kind, async (lab) => {
          await lab.seed(seeder);
          await lab.seedersAnnounced(1);
          const leech = await lab.leech(leecher);
          await leech.completed(PATIENCE);
          await lab.verify(leech);
        }));
    }
  }
}
