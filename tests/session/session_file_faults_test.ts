import { assertEquals } from "@std/assert";
import { SCENARIOS, tryAll } from "../plug/fault_table.ts";
import { isTried } from "../support/property.ts";

// `deno task test:plug` tries every way in which a call can fail; this test tries one way per call.
for (const scenario of SCENARIOS.filter(({ name }) => name === "nothing there" || name === "seeding")) {
  Deno.test(`Session survives any one call to its files that fails: ${scenario.name}`, async () => {
    let ways = 0;
    const rows = await tryAll(scenario, (plans, at) => isTried(at) ? [plans[ways++ % plans.length]!] : []);
    const results = new Set(rows.map(({ result }) => result));
    assertEquals([results.has("ended"), results.has("warned")], [true, true]);
  });
}
