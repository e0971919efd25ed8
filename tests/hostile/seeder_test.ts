import { ATTACKS } from "./attacks.ts";
import { besiegeSeeder } from "./siege.ts";

/** Attacks with few connections. Those with many are in many_test.ts. */
const FEW = ATTACKS.filter(({ victims, lines = 1 }) => victims.includes("seeder") && lines === 1);

Deno.test("a seeder serves a leecher under all attacks, and reports the attackers", async () => {
  // Slow attacks hold upload slots that other attacks need, so they run against a second seeder.
  await Promise.all([
    besiegeSeeder(FEW.filter(({ patience }) => patience === undefined)),
    besiegeSeeder(FEW.filter(({ patience }) => patience !== undefined)),
  ]);
});
