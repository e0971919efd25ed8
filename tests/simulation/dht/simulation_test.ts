import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { longTest } from "../../support/property.ts";
import { simulateDht } from "./simulation.ts";

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

longTest("Dht.lookup() succeeds in a simulated DHT of 80 nodes, 20% of them dead and 10% malicious", async () => {
  const options = { seed: 7, nodes: 80, dead: 0.2, malicious: 0.1, lookups: 20 };
  const result = await simulateDht(options);
  assertEquals(result.joined, result.alive);
  assertEquals(result.bound, 1, "everybody knows its address");
  assertGreater(result.found / result.lookups, 0.99);
  assertLess(mean(result.hops), Math.log2(options.nodes));
  assertLess(mean(result.messages), 80);
  assertGreater(mean(result.announced), 7);
});

Deno.test("simulateDht() gives the same result for the same seed, and another for another seed", async () => {
  const options = { seed: 3, nodes: 15, dead: 0.2, malicious: 0.1, lookups: 3 };
  const [one, same, other] = [
    await simulateDht(options),
    await simulateDht(options),
    await simulateDht({ ...options, seed: 4 }),
  ];
  assertEquals(one, same);
  assertEquals(one.datagrams === other.datagrams, false);
});
