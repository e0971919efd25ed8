/**
 * Scenarios in which peers know different halves of one hybrid torrent (BEP 52).
 *
 * @module
 */

import type { SimHost } from "./host.ts";
import { Violation } from "./invariants.ts";
import { HASH_LIES, Liar } from "./liars.ts";
import { addPeers, drawScale, drawTorrent, endWell, finishAll, LIMIT, type Scenario, startWithin } from "./scenario.ts";
import type { World } from "./world.ts";

const KINDS = ["v1", "v2", "both"] as const;

/** Adds peers of which at least one knows both halves, and returns them with it as the first. */
function addKinds(world: World, count: number): SimHost[] {
  const peers = addPeers(world, count);
  for (const [i, peer] of peers.entries()) peer.knows = i === 0 ? "both" : world.oneOf(KINDS);
  return peers;
}

function addSeederOf(world: World, knows: SimHost["knows"]): SimHost {
  const [seeder] = addPeers(world, 1, { name: `seeder of ${knows} ` });
  seeder!.knows = knows;
  seeder!.plant(() => true);
  world.go(seeder!.start());
  return seeder!;
}

/** Kills some peers that aren't complete, and starts them again. */
function killSome(world: World, peers: readonly SimHost[]): void {
  for (const peer of peers) {
    if (!world.chance(0.3)) continue;
    const away = world.pick(500, 20_000);
    world.later(world.between(1_000, 30_000), () => {
      if (peer.session === null || peer.isComplete) return;
      peer.kill();
      world.later(away, () => peer.start());
    });
  }
}

const mixedVersions: Scenario = {
  name: "mixed-versions",
  purpose: "A hybrid among peers of which some know only v1, some only v2: those that know both link them, all finish.",
  async run(world) {
    drawTorrent(world, { pieces: [6, 40], files: [1, 8], version: "hybrid" });
    addSeederOf(world, world.oneOf(KINDS));
    const peers = addKinds(world, world.pick(2, 6));
    startWithin(world, peers, world.oneOf([1, 5_000]));
    killSome(world, peers.slice(1));
    await endWell(world, peers);
  },
};

const versionsApart: Scenario = {
  name: "versions-apart",
  purpose: "Half of a hybrid is with peers that know only v1, the other half with peers that know only v2: all finish.",
  async run(world) {
    drawTorrent(world, { pieces: [10, 30], files: [2, 6], version: "hybrid" });
    const peers = addKinds(world, world.pick(3, 6));
    peers[1]!.knows = "v1";
    peers[2]!.knows = "v2";
    const parity = world.pick(0, 1);
    peers[1]!.plant((index) => index % 2 === parity);
    peers[2]!.plant((index) => index % 2 !== parity);
    startWithin(world, peers, 5_000);
    await endWell(world, peers);
  },
};

const versionsLied: Scenario = {
  name: "versions-lied",
  purpose: "Peers that know one half or both of a hybrid among senders of wrong data: all finish, and ban only liars.",
  async run(world) {
    drawTorrent(world, { pieces: [8, 30], files: [1, 5], version: "hybrid" });
    addSeederOf(world, "v1");
    addSeederOf(world, "v2");
    const peers = addKinds(world, world.pick(2, 4));
    const liars = Array.from({ length: world.pick(1, 4) }, (_, i) => {
      const profile = { up: drawScale(world, 100_000, 2_000_000), down: 5_000_000, latency: world.pick(1, 60) };
      const lie = world.oneOf(["wrong data", "some wrong data", "zeros"] as const);
      return new Liar(world, { name: `liar${i + 1}`, lie, profile });
    });
    startWithin(world, peers, 5_000);
    for (const liar of liars) for (const peer of peers) world.later(world.between(0, 10_000), () => liar.visit(peer));
    const done = () => peers.every((peer) => peer.isComplete || peer.failure !== null);
    await world.run(done, { limit: LIMIT, what: "every honest leecher finishes" });
    const failed = peers.find((peer) => peer.failure !== null);
    if (failed) throw new Violation("every honest leecher finishes", `${failed.name} failed: ${failed.failure}`);
    for (const liar of liars) liar.leave();
    for (const tracker of world.trackers) tracker.extra.length = 0;
    await endWell(world, peers);
  },
};

const v2Links: Scenario = {
  name: "v2-links",
  purpose: "Peers start from a v2 magnet link: they get metadata and piece layers from others, and all finish.",
  async run(world) {
    drawTorrent(world, { pieces: [6, 60], files: [1, 8], version: world.oneOf(["v2", "v2", "hybrid"]) });
    addSeederOf(world, "both");
    const peers = addPeers(world, world.pick(2, 5));
    for (const [i, peer] of peers.entries()) if (i === 0 || world.chance(0.7)) peer.link = linkOf(world);
    startWithin(world, peers, world.oneOf([1, 5_000]));
    killSome(world, peers);
    await endWell(world, peers);
  },
};

const hashesLied: Scenario = {
  name: "hashes-lied",
  purpose:
    "Peers lie about hashes, refuse them, or ask for all: downloads by links and files finish, and ban only liars.",
  async run(world) {
    drawTorrent(world, { pieces: [8, 60], files: [1, 5], version: world.oneOf(["v2", "v2", "hybrid"]) });
    addSeederOf(world, "both");
    const peers = addPeers(world, world.pick(2, 4));
    for (const peer of peers) if (world.chance(0.6)) peer.link = linkOf(world);
    const liars = Array.from({ length: world.pick(2, 6) }, (_, i) => {
      const profile = { up: drawScale(world, 100_000, 2_000_000), down: 5_000_000, latency: world.pick(1, 60) };
      const lie = world.chance(0.2) ? world.oneOf(["wrong data", "some wrong data"] as const) : world.oneOf(HASH_LIES);
      return new Liar(world, { name: `liar${i + 1}`, lie, profile });
    });
    startWithin(world, peers, 5_000);
    for (const liar of liars) for (const peer of peers) world.later(world.between(0, 10_000), () => liar.visit(peer));
    await finishAll(world, peers);
    for (const { name, unpunished } of liars) {
      for (const peer of peers) {
        const breach = unpunished.has(peer.ip) ? `${name} sent false hashes, and is still connected` : null;
        world.invariants.hold("liars banned", peer, breach);
      }
    }
    for (const liar of liars) liar.leave();
    for (const tracker of world.trackers) tracker.extra.length = 0;
    await endWell(world, peers);
  },
};

/** Returns a magnet link with the v2 info-hash alone. */
function linkOf(world: World): string {
  const trackers = world.trackers.map(({ url }) => `&tr=${encodeURIComponent(url)}`);
  return `magnet:?xt=urn:btmh:1220${world.truth.meta.infoHashV2!.hex}${trackers.join("")}`;
}

/** All scenarios of this module. */
export const VERSION_SCENARIOS: readonly Scenario[] = [mixedVersions, versionsApart, versionsLied, v2Links, hashesLied];
