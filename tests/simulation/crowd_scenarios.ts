/**
 * Scenarios without faults, which differ in the pieces that peers have and the times at which peers come and go.
 *
 * @module
 */

import type { SimHost } from "./host.ts";
import {
  addPeer,
  addPeers,
  addSeeder,
  copiesAmong,
  drawLine,
  drawScale,
  drawTorrent,
  endWell,
  finishAll,
  LIMIT,
  type Scenario,
  startWithin,
} from "./scenario.ts";
import type { World } from "./world.ts";

/** Part of the seeds that play the largest size. The other seeds play smaller sizes, which are faster. */
const LARGE = 1 / 12;

const flashCrowd: Scenario = {
  name: "flash-crowd",
  purpose: "One seeder and up to 200 leechers at once, each with room for only a few connections: all finish.",
  async run(world) {
    const leechers = world.chance(LARGE) ? 200 : drawScale(world, 20, 60);
    drawTorrent(world, { pieces: [6, 12], pieceLengths: [16_384, 32_768] });
    const maxPeers = world.pick(5, 10);
    addSeeder(world, { session: { maxPeers }, profile: { ...drawLine(world), up: 300_000 } });
    const peers = addPeers(world, leechers, { session: { maxPeers }, nat: world.oneOf([0, 0, 0.3]) });
    startWithin(world, peers, world.oneOf([1, 1_000, 30_000]));
    await endWell(world, peers);
  },
};

const seederLeaves: Scenario = {
  name: "seeder-leaves",
  purpose: "The only seeder leaves when the swarm holds 1.05 copies: the leechers finish among themselves.",
  async run(world) {
    drawTorrent(world, { pieces: [20, 40], pieceLengths: [16_384, 32_768] });
    const seeder = addSeeder(world);
    const leechers = addPeers(world, world.pick(3, 10));
    startWithin(world, leechers, 5_000);
    await world.run(() => copiesAmong(world, leechers) >= 1.05, { limit: LIMIT, what: "1.05 copies are there" });
    world.go(depart(world, seeder));
    await endWell(world, leechers);
  },
};

/** Ends a host in a random way: it vanishes, is killed or is stopped. */
function depart(world: World, host: SimHost): Promise<void> | void {
  const way = world.pick(0, 2);
  if (way === 0) return host.vanish();
  if (way === 1) return host.kill();
  world.trace(host, "is stopped");
  return host.stop();
}

const churn: Scenario = {
  name: "churn",
  purpose:
    "Peers join for about half a minute, leave in every way, and return with their data: peers that stay finish.",
  async run(world) {
    drawTorrent(world, { pieces: [16, 40], pieceLengths: [16_384, 32_768] });
    addSeeder(world, { profile: { ...drawLine(world), up: drawScale(world, 10_000, 60_000) } });
    const staying = addPeers(world, world.pick(2, 4), { name: "stayer" });
    startWithin(world, staying, 5_000);
    const guests = addPeers(world, world.pick(4, 8), { name: "guest" });
    const end = world.pick(60_000, 180_000);
    for (const guest of guests) world.later(world.between(0, 40_000), () => visit(world, guest, end));
    await finishAll(world, staying);
    await world.run(() => world.clock.now() > end + 120_000, { limit: LIMIT, what: "guests leave" });
    await endWell(world, staying);
  },
};

/** Starts and ends a host repeatedly, at random times, until `end`. */
async function visit(world: World, guest: SimHost, end: number): Promise<void> {
  while (world.clock.now() < end) {
    await guest.start();
    await world.sleep(30_000 * world.between(0.2, 1.8));
    await depart(world, guest);
    if (guest.nic.gone && world.chance(0.5)) return;
    await world.sleep(world.between(100, 40_000));
    if (guest.nic.gone) guest.comeBack();
  }
}

const slowRare: Scenario = {
  name: "slow-rare",
  purpose: "One very slow peer has the only copy of a piece: all finish soon after that peer can have sent the piece.",
  async run(world) {
    drawTorrent(world, { pieces: [16, 30] });
    const { pieceCount, pieceLength } = world.truth.meta;
    const rare = world.pick(0, pieceCount - 1);
    const slow = addPeer(world, "slow", { profile: drawLine(world, { slow: true }) });
    slow.plant((index) => index === rare);
    const fast = addPeers(world, world.pick(2, 6));
    for (const host of fast) host.plant((index) => index !== rare && world.chance(0.7));
    // The first host has all other pieces, so that each of them exists.
    fast[0]!.plant((index) => index !== rare);
    world.go(slow.start({ check: true }));
    for (const host of fast) world.later(world.between(0, 3_000), () => host.start({ check: true }));
    const needs = 1000 * pieceLength / slow.nic.profile.up;
    await endWell(world, [slow, ...fast], 10 * 60_000 + 10 * needs);
  },
};

const halves: Scenario = {
  name: "halves",
  purpose: "Two or three peers have a different part each, and no peer has all: they complete each other.",
  async run(world) {
    drawTorrent(world, { pieces: [6, 60] });
    const parts = world.pick(2, 3);
    const way = world.pick(0, 2);
    const { pieceCount } = world.truth.meta;
    const partOf = Array.from({ length: pieceCount }, (_, i) => {
      if (way === 0) return i % parts;
      return way === 1 ? Math.floor(i * parts / pieceCount) : world.pick(0, parts - 1);
    });
    const hosts = addPeers(world, parts, { nat: 0 });
    hosts.forEach((host, part) => host.plant((index) => partOf[index] === part));
    for (const host of hosts) world.later(world.between(0, 60_000), () => host.start({ check: true }));
    await endWell(world, hosts);
  },
};

const manyPieces: Scenario = {
  name: "many-pieces",
  purpose: "Up to 10,000 pieces: the work for each piece stays cheap, and all finish.",
  async run(world) {
    const pieces = world.chance(LARGE) ? 10_000 : drawScale(world, 400, 1_200);
    drawTorrent(world, { pieces: [pieces, pieces], pieceLengths: [1_024, 2_048], files: [1, 3] });
    addSeeder(world);
    const [fresh, nearly] = [addPeer(world, "fresh"), addPeer(world, "nearly")];
    nearly.plant((index) => (index * 7919 + world.seed) % 100 < 90);
    fresh.plant((index) => pieces > 2_000 && (index * 104_729 + world.seed) % 100 < 85);
    world.later(world.between(0, 2_000), () => nearly.start({ check: true }));
    world.later(world.between(0, 2_000), () => fresh.start({ check: true }));
    await endWell(world, [fresh, nearly]);
  },
};

const manyFiles: Scenario = {
  name: "many-files",
  purpose: "Up to 5,000 files, some empty or tiny: each gets its final name when it is right, and no file stays open.",
  async run(world) {
    const files = world.chance(LARGE) ? 5_000 : drawScale(world, 100, 300);
    drawTorrent(world, { pieces: [12, 24], files: [files, files], pieceLengths: [16_384, 65_536] });
    addSeeder(world);
    const leechers = addPeers(world, world.chance(0.3) ? 2 : 1);
    startWithin(world, leechers, 1_000);
    await endWell(world, leechers);
  },
};

const tightMemory: Scenario = {
  name: "tight-memory",
  purpose: "Memory for two or three pieces, or less than one, and more peers than there are upload slots: all finish.",
  async run(world) {
    drawTorrent(world, { pieces: [6, 12], pieceLengths: [131_072, 262_144, 1_048_576] });
    const session = { cacheBytes: world.oneOf([262_144, 524_288]), maxPeers: 30 };
    addSeeder(world, { session });
    const leechers = addPeers(world, world.pick(9, 14), { session });
    startWithin(world, leechers, 5_000);
    await endWell(world, leechers);
  },
};

/** Scenarios without faults. */
export const CROWD_SCENARIOS: readonly Scenario[] = [
  flashCrowd,
  seederLeaves,
  churn,
  slowRare,
  halves,
  manyPieces,
  manyFiles,
  tightMemory,
];
