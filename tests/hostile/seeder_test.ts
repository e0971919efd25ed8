import { ATTACKS } from "./attacks.ts";
import { besiegeSeeder } from "./siege.ts";

/** Those that come by the thousand have a test of their own. */
const FEW = ATTACKS.filter(({ victims, lines = 1 }) => victims.includes("seeder") && lines === 1);

Deno.test("a seeder serves on under every attack, and names the attackers", async () => {
  // Slow attacks hold upload slots that the others want, so they have a seeder of their own, side by side.
  await Promise.all([
    besiegeSeeder(FEW.filter(({ patience }) => patience === undefined)),
    besiegeSeeder(FEW.filter(({ patience }) => patience !== undefined)),
  ]);
});
