/**
 * Scenarios in which users change torrents while they run, and programs are killed meanwhile.
 *
 * @module
 */

import type { Torrent } from "../../src/session/session.ts";
import { MemoryDatabases } from "../support/memory_database.ts";
import type { SimHost } from "./host.ts";
import { addPeers, addSeeder, drawScale, drawTorrent, endWell, type Scenario } from "./scenario.ts";
import type { World } from "./world.ts";

const MINUTE = 60_000;
/** Milliseconds after which a change is in the database, whatever happens: a second between two writes, and a little. */
const WRITTEN_MS = 1_100;

/** What is to be kept of a torrent. */
interface Settings {
  readonly paused: boolean;
  readonly sequential: boolean;
  readonly limits: Torrent["limits"];
  readonly trackers: Torrent["trackers"];
  readonly priorities: readonly (readonly [number, string])[];
}

/** What was set at a moment. */
interface Change {
  readonly at: number;
  readonly settings: Settings;
}

function settingsOf({ paused, sequential, limits, trackers, priorities }: Torrent): Settings {
  return { paused, sequential, limits: { ...limits }, trackers, priorities: [...priorities].sort(([a], [b]) => a - b) };
}

/** One thing that a user does, drawn at random. */
function command(world: World, torrent: Torrent): void {
  const { trackers, files } = world.truth.meta;
  const file = world.pick(0, files.length - 1);
  const rate = world.chance(0.3) ? null : drawScale(world, 20_000, 1_000_000);
  const commands: readonly (() => unknown)[] = [
    () => torrent.pause(),
    () => torrent.resume(),
    () => torrent.setSequential(world.chance(0.5)),
    () => torrent.setLimits(world.chance(0.5) ? { down: rate } : { up: rate }),
    () => files[file]!.pad || torrent.setPriority([file], world.oneOf(["low", "high"])),
    () => torrent.setTrackers(world.chance(0.2) ? [] : trackers.toReversed()),
    () => torrent.recheck(),
  ];
  world.oneOf(commands)();
}

/** A machine whose user can't leave it alone, until its program is killed. */
class Restless {
  readonly host: SimHost;
  readonly #world: World;
  /** What was set, and when, in the run that was killed last. */
  #history: Change[] = [];
  #killedAt = -Infinity;

  constructor(world: World, host: SimHost) {
    this.#world = world;
    this.host = host;
    host.databases = new MemoryDatabases();
  }

  /** Starts the program, looks at what it still knows, and changes things for a while, until it is killed. */
  async run(): Promise<void> {
    const { host } = this;
    const before = this.#history;
    await host.start();
    const torrent = host.torrent!;
    this.#history = [];
    this.#note(torrent);
    this.#compare(before);
    const end = this.#world.clock.now() + drawScale(this.#world, 100, 60_000);
    while (this.#world.clock.now() < end) {
      await this.#world.sleep(drawScale(this.#world, 1, 5_000));
      command(this.#world, torrent);
      this.#note(torrent);
    }
    this.#killedAt = this.#world.clock.now();
    host.kill();
    await this.#world.sleep(drawScale(this.#world, 1, 20_000));
  }

  /** The user is content. */
  async settle(): Promise<void> {
    await this.host.start();
    const torrent = this.host.torrent!;
    torrent.setTrackers(this.#world.truth.meta.trackers);
    torrent.setLimits({ down: null, up: null });
    torrent.resume();
  }

  #note(torrent: Torrent): void {
    this.#history.push({ at: this.#world.clock.now(), settings: settingsOf(torrent) });
  }

  /** What the program still knows is what was set a second before it was killed, or later. */
  #compare(before: readonly Change[]): void {
    if (before.length === 0) return;
    const written = before.findLastIndex(({ at }) => at <= this.#killedAt - WRITTEN_MS);
    if (written < 0) return; // it may not have been kept at all
    const known = JSON.stringify(this.#history[0]!.settings);
    const isKept = before.slice(written).some(({ settings }) => JSON.stringify(settings) === known);
    const breach = isKept ? null : `it knows ${known}, not ${JSON.stringify(before.at(-1)!.settings)}`;
    this.#world.invariants.hold("changes kept", this.host, breach);
  }
}

const changesAndKills: Scenario = {
  name: "changes-kills",
  purpose:
    "Torrents are changed at any moment and programs killed between: each goes on as it was set, and all finish.",
  async run(world) {
    drawTorrent(world, { pieces: [16, 40] });
    addSeeder(world);
    const leechers = addPeers(world, world.pick(1, 3)).map((host) => new Restless(world, host));
    let busy = leechers.length;
    for (const leecher of leechers) {
      world.go((async () => {
        for (let runs = world.pick(1, 5); runs > 0; runs--) await leecher.run();
        await leecher.settle();
        busy--;
      })());
    }
    await world.run(() => busy === 0, { limit: 30 * MINUTE, what: "users come to rest" });
    await endWell(world, leechers.map(({ host }) => host));
  },
};

/** Scenarios in which torrents are changed. */
export const CHANGE_SCENARIOS: readonly Scenario[] = [changesAndKills];
