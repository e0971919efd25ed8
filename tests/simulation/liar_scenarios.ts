/**
 * Scenarios with peers that misbehave.
 *
 * @module
 */

import { BLOCK_SIZE } from "../../src/wire/messages.ts";
import { PERFECT_DISK } from "./files.ts";
import type { SimHost } from "./host.ts";
import { Liar, type Lie, LIES, SLY_LIES } from "./liars.ts";
import {
  addPeer,
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
  purpose: "About 30% of all peers misbehave in every way: the other peers finish, and ban only senders of wrong data.",
  async run(world) {
    await playWith(world, () => world.oneOf(LIES), { honest: world.pick(3, 7) });
  },
};

const poison: Scenario = {
  name: "poison",
  purpose: "About half of all peers send wrong data: each wrong block is traced to its sender, and to no other peer.",
  async run(world) {
    await playWith(world, () => world.oneOf(["wrong data", "some wrong data"]), { honest: world.pick(2, 3) });
  },
};

/** Milliseconds allowed besides the transfer: for connecting, and for finding the size of the queue. */
const FINDING_MS = 20_000;

const smallQueues: Scenario = {
  name: "small-queues",
  purpose:
    "A peer drops or rejects requests beyond its queue, or disconnects: requests soon match the size of the queue.",
  async run(world) {
    const size = world.oneOf([1, 2, 4, 5, 10, 50]);
    const overflow = world.oneOf(["newest is dropped", "oldest is dropped", "rejects", "hangs up"] as const);
    drawTorrent(world, { pieces: [60, 200], pieceLengths: [32_768, 65_536], files: [1, 1] });
    const leecher = addPeer(world, "leecher", {
      profile: { up: 1_000_000, down: 5_000_000, latency: world.pick(1, 60) },
      disk: PERFECT_DISK,
    });
    const blockMs = world.pick(4, 30);
    const claim = world.chance(0.5) ? { claim: world.oneOf([size, 250, 2_000]) } : {};
    const profile = { up: 10_000_000, down: 10_000_000, latency: world.pick(1, 60) };
    const queue = { size, overflow, blockMs, ...claim };
    const peer = new Liar(world, { name: "peer", lie: "none", profile, queue });
    startWithin(world, [leecher], 1);
    const blocks = Math.ceil(world.truth.meta.totalLength / BLOCK_SIZE);
    const roundTrip = 2 * (profile.latency + leecher.options.profile.latency) + blockMs;
    // The time at a full queue, and half as much again for requests that probe beyond the queue.
    const allowed = 1.5 * blocks * Math.max(blockMs, roundTrip / size);
    const redialling = overflow === "hangs up" ? 40_000 : 0;
    await finishAll(world, [leecher], FINDING_MS + redialling + allowed);
    const most = 1.2 * blocks + 200;
    const breach = peer.asked > most ? `it was asked ${peer.asked} times for ${blocks} blocks` : null;
    world.invariants.hold("not asked in vain", leecher, breach);
    peer.leave();
    for (const tracker of world.trackers) tracker.extra.length = 0;
    await endWell(world, [leecher]);
  },
};

/** Milliseconds for a small download among liars: time to connect, and some seconds to detect each liar. */
const SLY_LIMIT = 60_000;

const slyLiars: Scenario = {
  name: "sly-liars",
  purpose:
    "Twenty peers send one wrong block, none, slow blocks or late wrong data: a small download takes under a minute.",
  async run(world) {
    drawTorrent(world, { pieces: [8, 60], pieceLengths: [16_384, 65_536, 262_144], files: [1, 1] });
    const fast = () => ({ up: drawScale(world, 500_000, 4_000_000), down: 5_000_000, latency: world.pick(1, 60) });
    const seeders = addPeers(world, world.pick(1, 3), { name: "seeder", profile: fast(), disk: PERFECT_DISK });
    const leecher = addPeer(world, "leecher", {
      profile: { ...fast(), down: 10_000_000 },
      disk: PERFECT_DISK,
      session: { maxPeers: 50, cacheBytes: 16 * 1024 * 1024 },
    });
    const kinds = world.chance(0.5) ? [world.oneOf(SLY_LIES)] : SLY_LIES;
    const liars = Array.from({ length: 20 }, (_, i) => {
      const lie = world.chance(0.2) ? "never answers" : world.oneOf(kinds);
      return new Liar(world, { name: `liar${i + 1}`, lie, profile: fast() });
    });
    for (const seeder of seeders) {
      seeder.plant(() => true);
      world.go(seeder.start());
    }
    await world.pass(world.pick(0, 3_000));
    world.go(leecher.start());
    await finishAll(world, [leecher], SLY_LIMIT);
    for (const liar of liars) liar.leave();
    for (const tracker of world.trackers) tracker.extra.length = 0;
    await endWell(world, [leecher]);
  },
};

const poisoners: Scenario = {
  name: "poisoners",
  purpose: "Up to nine peers send zeros or wrong data: each of them spoils a piece or two before it is banned.",
  async run(world) {
    drawTorrent(world, { pieces: [150, 300], pieceLengths: [65_536, 131_072], files: [1, 1] });
    const line = () => ({ up: drawScale(world, 500_000, 2_000_000), down: 5_000_000, latency: world.pick(1, 40) });
    const seeders = addPeers(world, 2, { name: "seeder", profile: line(), disk: PERFECT_DISK });
    const leecher = addPeer(world, "leecher", {
      profile: { ...line(), down: 10_000_000 },
      disk: PERFECT_DISK,
      session: { maxPeers: 50, cacheBytes: 16 * 1024 * 1024 },
    });
    const count = world.oneOf([1, 9]);
    const liars = Array.from({ length: count }, (_, i) => {
      const lie = world.oneOf(["zeros", "wrong data", "some wrong data"] as const);
      return new Liar(world, { name: `liar${i + 1}`, lie, profile: line() });
    });
    for (const seeder of seeders) {
      seeder.plant(() => true);
      world.go(seeder.start());
    }
    await world.pass(1_000);
    world.go(leecher.start());
    await finishAll(world, [leecher]);
    const failed = leecher.events.filter((event) => event.event === "hash_failed").length;
    const most = 2 * count + 1;
    const breach = failed > most ? `${failed} pieces were wrong with ${count} liars` : null;
    world.invariants.hold("liars are known by their first pieces", leecher, breach);
    checkBlame(world, leecher);
    for (const liar of liars) liar.leave();
    for (const tracker of world.trackers) tracker.extra.length = 0;
    await endWell(world, [leecher]);
  },
};

async function playWith(world: World, lie: () => Lie, options: { readonly honest: number }): Promise<void> {
  drawTorrent(world, { pieces: [12, 40] });
  // With a slow seeder, liars get more requests.
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

/** Checks that a complete host with failed pieces has banned a peer. */
function checkBlame(world: World, host: SimHost): void {
  const failed = host.events.filter((event) => event.event === "hash_failed").length;
  const banned = host.events.filter((event) => event.event === "peer" && event.action === "banned").length;
  const breach = failed > 0 && banned === 0 ? `${failed} pieces were wrong, and nobody was banned` : null;
  world.invariants.hold("liars banned", host, breach);
}

/** Scenarios with peers that misbehave. */
export const LIAR_SCENARIOS: readonly Scenario[] = [liars, poison, smallQueues, slyLiars, poisoners];
