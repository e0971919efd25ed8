import { assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { endWell } from "./scenario.ts";
import { isTried } from "../support/property.ts";
import { play, scenarioNamed, SCENARIOS } from "./scenarios.ts";
import { World } from "./world.ts";

/** Returns the trace of a run with every message. */
async function traceOf(name: string, seed: number): Promise<string[]> {
  const lines: string[] = [];
  const { failure } = await play(scenarioNamed(name), { seed, messages: true, trace: (line) => lines.push(line) });
  assertEquals(failure, null);
  return lines;
}

for (const [name, seed] of [["halves", 3], ["lossy", 1]] as const) {
  Deno.test(`play() gives the same trace of ${name} for the same seed, and another trace for another seed`, async () => {
    const first = await traceOf(name, seed);
    assertEquals(await traceOf(name, seed), first);
    assertNotEquals(await traceOf(name, seed + 1), first);
  });
}

/** Seeds that are quick to play, by scenario. The default is 1. */
const QUICK: Readonly<Record<string, number>> = {
  "flash-crowd": 4,
  "seeder-leaves": 3,
  "slow-rare": 3,
  "many-pieces": 4,
  "tracker-flaps": 5,
  "clock-jump": 3,
};

for (const scenario of SCENARIOS.filter((_, i) => isTried(i))) {
  Deno.test(`${scenario.name}: ${scenario.purpose}`, async () => {
    const { failure } = await play(scenario, { seed: QUICK[scenario.name] ?? 1 });
    assertEquals(failure, null);
  });
}

/** Seeds that have found a fault, and the fault. */
const REGRESSIONS: readonly { readonly scenario: string; readonly seed: number; readonly was: string }[] = [
  { scenario: "bad-disk", seed: 4, was: "a torrent whose disk failed was over before its tracker had been told" },
  {
    scenario: "liars",
    seed: 1155,
    was: "requests went out anew after an unchoke while the peer still held the old ones",
  },
];

for (const { scenario, seed, was } of REGRESSIONS) {
  Deno.test(`${scenario} with seed ${seed}, in which ${was}`, async () => {
    const { failure } = await play(scenarioNamed(scenario), { seed });
    assertEquals(failure, null);
  });
}

Deno.test("leechers without data whose connections are all taken by each other still find a seeder", async () => {
  const world = new World({ seed: 1 });
  world.addTracker();
  world.share({ pieceLength: 16_384, sizes: [100_000] });
  const profile = { up: 500_000, down: 1_000_000, latency: 5 };
  const clique = [1, 2, 3].map((i) => world.addHost({ name: `peer${i}`, profile, session: { maxPeers: 2 } }));
  for (const host of clique) world.go(host.start());
  const seeder = world.addHost({ name: "seeder", profile });
  seeder.plant(() => true);
  world.later(5_000, () => seeder.start());
  await endWell(world, clique);
});

Deno.test("peers that know different halves of a hybrid have nothing to do with each other, until one knows both", async () => {
  const world = new World({ seed: 1 });
  world.addTracker();
  world.share({ pieceLength: 16_384, sizes: [100_000, 5_000, 0, 40_000], version: "hybrid" });
  const profile = { up: 500_000, down: 1_000_000, latency: 5 };
  const [seeder, leecher, link] = (["v1", "v2", "both"] as const).map((knows) => {
    const host = world.addHost({ name: knows, profile });
    host.knows = knows;
    return host;
  });
  seeder!.plant(() => true);
  world.go(seeder!.start());
  world.go(leecher!.start());
  await world.pass(10 * 60_000);
  assertEquals(leecher!.torrent!.have.count, 0);
  assertEquals([...seeder!.torrent!.peers(), ...leecher!.torrent!.peers()], []);
  world.go(link!.start());
  await endWell(world, [leecher!, link!]);
});

Deno.test("scenarioNamed() throws an error that lists all scenarios for an unknown name", async () => {
  await assertRejects(() => Promise.try(() => scenarioNamed("nonsense")), Error, "flash-crowd");
});
