/**
 * Scenarios in which peers lie.
 *
 * @module
 */

import type { SimHost } from "./host.ts";
import { Liar, type Lie, LIES } from "./liars.ts";
import {
  addPeers,
  addSeeder,
  drawLine,
  drawScale,
  drawTorrent,
  endWell,
  finishAll,
  type Scenario,
  startWithin,
} from "./scenario.ts";
import type { World } from "./world.ts";

const liars: Scenario = {
  name: "liars",
  purpose:
    "About 30% of all peers lie, in every way: the honest finish, ban those who send wrong data, and nobody else.",
  async run(world) {
    await playWith(world, () => world.oneOf(LIES), { honest: world.pick(3, 7) });
  },
};

const poison: Scenario = {
  name: "poison",
  purpose:
    "As many peers send wrong data as are honest: each wrong block is traced to its sender, and never to another.",
  async run(world) {
    await playWith(world, () => world.oneOf(["wrong data", "some wrong data"]), { honest: world.pick(2, 3) });
  },
};

async function playWith(world: World, lie: () => Lie, options: { readonly honest: number }): Promise<void> {
  drawTorrent(world, { pieces: [12, 40] });
  // Liars have all the more time when what is right is slow to come.
  addSeeder(world, world.chance(0.5) ? {} : { profile: { ...drawLine(world), up: drawScale(world, 5_000, 50_000) } });
  const honest = addPeers(world, options.honest);
  const count = Math.max(1, Math.round((options.honest + 1) * world.between(0.3, 0.6)));
  const liars = Array.from({ length: count }, (_, i) => {
    return new Liar(world, { name: `liar${i + 1}`, lie: lie(), profile: drawLine(world) });
  });
  startWithin(world, honest, 10_000);
  for (const liar of liars) {
    for (const host of world.hosts) {
      if (world.chance(0.5)) {
        world.later(world.between(0, 20_000), () => liar.visit(host));
      }
    }
  }
  await finishAll(world, honest);
  for (const host of honest) checkBlame(world, host);
  for (const liar of liars) liar.leave();
  for (const tracker of world.trackers) tracker.extra.length = 0;
  await endWell(world, honest);
}

/** Who has everything knows who lied. */
function checkBlame(world: World, host: SimHost): void {
  const failed = host.events.filter((event) => event.event === "hash_failed").length;
  const banned = host.events.filter((event) => event.event === "peer" && event.action === "banned").length;
  const breach = failed > 0 && banned === 0 ? `${failed} pieces were wrong, and nobody was banned` : null;
  world.invariants.hold("liars banned", host, breach);
}

/** Scenarios in which peers lie. */
export const LIAR_SCENARIOS: readonly Scenario[] = [liars, poison];
