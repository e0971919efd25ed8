/**
 * The tests that every real client has to pass with Shoal: seed to it, and leech from it, both payloads.
 *
 * @module
 */

import { testWith } from "../support/requirements.ts";
import type { ClientName } from "./clients.ts";
import { Lab, NEEDS } from "./lab.ts";

/** Seconds for one transfer. Transmission decides whom to serve only every ten. */
const PATIENCE = 90;

/**
 * Defines the tests of one client.
 *
 * @param other Which.
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
