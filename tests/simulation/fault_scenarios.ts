/**
 * Scenarios with faults of trackers, disks, clocks, the network and programs.
 *
 * @module
 */

import { ShoalError } from "../../src/base/errors.ts";
import type { SimHost } from "./host.ts";
import { Violation } from "./invariants.ts";
import {
  addPeer,
  addPeers,
  addSeeder,
  drawScale,
  drawTorrent,
  endWell,
  finishAll,
  LIMIT,
  type Scenario,
  startWithin,
} from "./scenario.ts";
import type { TrackerMood } from "./tracker.ts";
import type { World } from "./world.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

const trackerFlaps: Scenario = {
  name: "tracker-flaps",
  purpose: "Trackers are silent, refuse connections, fail or send garbage in turn: peers still find each other.",
  async run(world) {
    for (let i = world.pick(1, 3); i > 0; i--) world.addTracker();
    const moods: readonly TrackerMood[] = ["up", "silent", "refusing", "broken", "rubbish"];
    for (const tracker of world.trackers) tracker.mood = world.oneOf(moods);
    let over = false;
    const flap = async () => {
      while (!over) {
        await world.sleep(drawScale(world, 1_000, 10 * MINUTE));
        const tracker = world.oneOf(world.trackers);
        if (!over) tracker.mood = world.chance(0.4) ? "up" : world.oneOf(moods);
      }
    };
    drawTorrent(world, { pieces: [6, 20] });
    world.go(flap());
    addSeeder(world);
    const leechers = addPeers(world, world.pick(2, 5));
    startWithin(world, leechers, 20 * MINUTE);
    world.later(2 * HOUR, () => {
      over = true;
      for (const tracker of world.trackers) tracker.mood = "up";
    });
    await finishAll(world, leechers, 5 * HOUR);
    over = true;
    for (const tracker of world.trackers) tracker.mood = "up";
    // Peers announce again to failed trackers after at most half an hour.
    await world.pass(45 * MINUTE);
    await endWell(world, leechers);
  },
};

const diskFull: Scenario = {
  name: "disk-full",
  purpose: "A disk fills up during a download: the torrent fails with the reason, and continues when there is room.",
  async run(world) {
    drawTorrent(world, { pieces: [16, 40] });
    addSeeder(world);
    const { totalLength, pieceLength, files } = world.truth.meta;
    const slack = (files.length + 4) * 16_384;
    // The disk counts whole pages, so a small torrent of many small files needs some slack, but not so much that it
    // fits.
    const room = Math.floor(Math.min(slack + totalLength * world.between(0.2, 0.8), totalLength * 0.8));
    const others = addPeers(world, world.pick(0, 3));
    const victim = addPeer(world, "victim", { disk: { latency: 0, speed: 1e8, room } });
    startWithin(world, [...others, victim], 5_000);
    await world.run(() => victim.failure !== null, { limit: LIMIT, what: "a full disk is noticed" });
    const why = victim.failure;
    if (!(why instanceof ShoalError) || why.kind !== "storage" || !`${why.why}`.includes("no space")) {
      throw new Violation("a full disk is named", String(why));
    }
    await world.run(() => victim.torrent?.snapshot().state === "error", { limit: MINUTE, what: "the torrent ends" });
    world.go(victim.stop());
    await world.run(() => victim.session === null, { limit: MINUTE, what: "stopping ends" });
    await world.pass(world.pick(0, 2 * MINUTE));
    victim.files.room = Infinity;
    let there = 0;
    world.go(victim.start());
    await world.run(() => victim.torrent?.attached === true, { limit: 10 * MINUTE, what: "the check ends" });
    there = victim.torrent!.have.count;
    await endWell(world, [...others, victim]);
    const completed = victim.events.findLast((event) => event.event === "completed");
    const fetched = completed?.event === "completed" ? completed.bytes : Infinity;
    const missing = totalLength - there * pieceLength + pieceLength;
    // In the endgame, blocks in flight may be downloaded twice.
    const most = missing + Math.max(1024 * 1024, missing);
    const breach = fetched > most ? `it fetched ${fetched} bytes, though only ${missing} were missing` : null;
    world.invariants.hold("only what is missing", victim, breach);
    if (world.invariants.violation) throw world.invariants.violation;
  },
};

const badDisk: Scenario = {
  name: "bad-disk",
  purpose: "Disks are slow and fail at times, and bits flip between runs: after restarts, all finish with right data.",
  async run(world) {
    drawTorrent(world, { pieces: [10, 30] });
    addSeeder(world);
    const leechers = addPeers(world, world.pick(1, 3), {
      disk: { latency: world.oneOf([0, 1, 20]), speed: drawScale(world, 300_000, 50_000_000), room: Infinity },
    });
    const faults = world.oneOf([0.002, 0.01, 0.05]);
    let broken = true;
    for (const host of leechers) {
      host.files.fault = ({ operation }) =>
        broken && operation !== "close" && world.chance(faults) ? world.oneOf(["device", "other", "full"]) : null;
    }
    world.later(world.pick(10_000, 2 * MINUTE), () => broken = false);
    for (const host of leechers) world.go(persevere(world, host));
    await world.run(() => leechers.every((host) => host.isComplete), {
      limit: LIMIT,
      what: "every honest leecher finishes",
    });
    broken = false;
    await endWell(world, leechers);
  },
};

/** Restarts the program whenever its torrent fails, until the torrent is complete. */
async function persevere(world: World, host: SimHost): Promise<void> {
  // Only a check finds a flipped bit, so after a flip, each start checks.
  let doubtful = false;
  await host.start();
  while (!host.isComplete) {
    await world.sleep(1_000);
    const { failure } = host;
    if (failure === null) continue;
    await host.stop();
    // If the only piece of a small file is shared with a file in which a bit has flipped, and there is no resume state,
    // nothing shows that the small file belongs to the torrent, and the user is asked to move it away.
    if (doubtful && failure instanceof ShoalError && failure.hint?.startsWith("move it away")) {
      host.files.moveAway(failure.where);
    }
    const parts = host.files.paths.filter((path) => path.endsWith(".part") && host.files.sizeOf(path) > 0);
    const flips = parts.length > 0 && world.chance(0.5);
    if (flips) {
      const path = world.oneOf(parts);
      host.files.flip(path, world.pick(0, host.files.sizeOf(path) - 1));
      world.invariants.forget(host);
      doubtful = true;
    }
    await world.sleep(world.between(0, 20_000));
    await host.start({ check: doubtful || world.chance(0.2) });
  }
}

const clockJump: Scenario = {
  name: "clock-jump",
  purpose: "Wall clocks jump by hours, and programs are suspended for up to two hours: all continue and finish.",
  async run(world) {
    drawTorrent(world, { pieces: [20, 60] });
    addSeeder(world, { session: { maxPeers: 20 } });
    const leechers = addPeers(world, world.pick(2, 5), { session: { maxPeers: 20 } });
    startWithin(world, leechers, 10_000);
    for (const host of world.hosts) {
      for (let i = world.pick(0, 4); i > 0; i--) {
        world.later(drawScale(world, 500, 5 * MINUTE), () => {
          host.wallOffset += world.pick(-8 * HOUR, 8 * HOUR);
          world.trace(host, `its clock is wrong by ${host.wallOffset / 1000} s`);
        });
      }
      if (!world.chance(0.5)) continue;
      world.later(drawScale(world, 500, 2 * MINUTE), () => host.suspend(drawScale(world, 1_000, 2 * HOUR)));
    }
    await finishAll(world, leechers, 6 * HOUR);
    // After five minutes, no further suspension begins.
    await world.pass(Math.max(1, 5 * MINUTE + 1 - world.clock.now()));
    await endWell(world, leechers);
  },
};

const lossy: Scenario = {
  name: "lossy",
  purpose: "Connections break or go silent, SYN packets are lost, hosts vanish and come back: all finish.",
  async run(world) {
    drawTorrent(world, { pieces: [16, 40] });
    world.network.synLoss = world.between(0, 0.3);
    const seeder = addSeeder(world);
    const leechers = addPeers(world, world.pick(2, 6), { nat: 0.3 });
    startWithin(world, leechers, 20_000);
    const gap = drawScale(world, 500, 20_000);
    const silent = world.between(0, 0.6);
    let over = false;
    const trouble = async () => {
      while (!over) {
        await world.sleep(world.between(0, 2 * gap));
        const host = world.oneOf(world.hosts);
        const connection = world.oneOf([...host.nic.connections]);
        if (over) return;
        if (world.chance(0.05) && host !== seeder && !host.isComplete && host.session) {
          host.vanish();
          world.later(drawScale(world, 1_000, 3 * MINUTE), () => {
            host.comeBack();
            return host.start();
          });
        } else if (world.chance(silent)) connection?.goSilent();
        else connection?.reset();
      }
    };
    world.go(trouble());
    world.later(20 * MINUTE, () => over = true);
    await finishAll(world, leechers);
    over = true;
    world.network.synLoss = 0;
    await endWell(world, leechers);
  },
};

const killRestart: Scenario = {
  name: "kill-restart",
  purpose: "Programs are killed at any time and restarted on the same disk: no wrong data is kept, and all finish.",
  async run(world) {
    drawTorrent(world, { pieces: [16, 40] });
    addSeeder(world);
    const leechers = addPeers(world, world.pick(1, 4), {
      ...(world.chance(0.5) && { disk: { latency: world.pick(1, 30), speed: 1e7, room: Infinity } }),
    });
    for (const host of leechers) {
      world.go(host.start());
      const kill = (left: number) =>
        world.later(drawScale(world, 20, 30_000), async () => {
          if (host.isComplete && host.starts > 1) return;
          if (host.session) host.kill();
          if (left > 0) kill(left - 1);
          await world.sleep(drawScale(world, 1, 20_000));
          if (!host.session) await host.start({ check: world.chance(0.1) });
        });
      kill(world.pick(1, 6));
    }
    await world.pass(4 * MINUTE);
    await endWell(world, leechers);
  },
};

/** Scenarios with faults. */
export const FAULT_SCENARIOS: readonly Scenario[] = [
  trackerFlaps,
  diskFull,
  badDisk,
  clockJump,
  lossy,
  killRestart,
];
