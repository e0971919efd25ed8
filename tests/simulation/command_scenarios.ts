/**
 * Scenarios in which users change torrents while the torrents run.
 *
 * @module
 */

import { ShoalError } from "../../src/base/errors.ts";
import type { SessionEvent } from "../../src/session/session_events.ts";
import type { Torrent } from "../../src/swarm/torrent.ts";
import { isOver } from "../../src/swarm/torrent_state.ts";
import { MemoryDatabases } from "../support/memory_database.ts";
import { FOLDER, PORT, type SimHost } from "./host.ts";
import { Violation } from "./invariants.ts";
import { addPeers, addSeeder, drawScale, drawTorrent, endWell, LIMIT, type Scenario } from "./scenario.ts";
import type { World } from "./world.ts";

const MINUTE = 60_000;
/** Milliseconds after which a change must be in the database: 1 s between two writes, and a margin. */
const WRITTEN_MS = 1_100;
/** Bytes that may be downloaded twice in the endgame, in which the last blocks are requested from several peers. */
const ENDGAME = 1024 * 1024;

/** Folders of torrents. The last is on another disk. */
const FOLDERS = [FOLDER, "/elsewhere", "/usb"];

/** Settings of a torrent at a time. */
interface Change {
  /** Milliseconds on the virtual clock. */
  readonly at: number;
  /** Settings as text, see {@linkcode settingsOf}. */
  readonly settings: string;
}

/** Settings of a torrent that doesn't exist. */
const NOTHING = "nothing";

/** Returns all settings of a torrent that must survive a restart, as text. */
function settingsOf({ session, torrent: current }: SimHost): string {
  if (!current || !session?.torrents.includes(current)) return NOTHING;
  const { folder, paused, sequential, limits, trackers, wantedFiles, priorities } = current;
  const special = [...priorities].filter(([, priority]) => priority !== "normal").sort(([a], [b]) => a - b);
  return JSON.stringify({ folder, paused, sequential, limits, trackers, wantedFiles, special });
}

/** A host whose user changes the torrent at random. */
class Restless {
  readonly host: SimHost;
  /** Bytes that may be downloaded again, since a change has discarded unfinished pieces or requested blocks. */
  excused = 0;
  readonly #world: World;
  /** Bytes downloaded by torrents that have been removed, and in earlier runs of the program. */
  #before = 0;
  /** Settings since the start of the program. */
  #history: Change[] = [];
  /** `true` while the torrent is being removed. */
  #isLeaving = false;
  /** Commands that aren't done yet. */
  readonly #pending = new Set<Promise<unknown>>();

  constructor(world: World, host: SimHost) {
    this.#world = world;
    this.host = host;
    host.choosy = true;
  }

  /** The torrent of the running program. */
  get torrent(): Torrent {
    const { torrent } = this.host;
    if (!torrent) throw new Violation("torrents stay", `${this.host.name} has none`);
    return torrent;
  }

  /** Downloaded payload bytes. */
  get downloaded(): number {
    return this.#before + (this.host.torrent?.downloaded ?? 0);
  }

  /** Runs a random command, and waits for its end with a probability of 0.4. */
  async act(): Promise<void> {
    const world = this.#world;
    const commands = { ...this.#changes(), ...this.#works() };
    const name = world.oneOf(Object.keys(commands));
    const done = this.order(name, commands[name]!);
    if (world.chance(0.4)) await done;
  }

  /** Changes a random setting. */
  change(): void {
    const commands = this.#changes();
    const name = this.#world.oneOf(Object.keys(commands));
    void this.order(name, commands[name]!);
  }

  /** Runs a command. An error is a failure of the simulation, unless the torrent or the program has ended meanwhile. */
  order(name: string, command: () => unknown): Promise<void> {
    const { host } = this;
    const { torrent, starts } = host;
    this.#note();
    this.#world.trace(host, `asked to ${name}`);
    const { meta } = this.#world.truth;
    const half = [...torrent?.pieces?.started.active.keys() ?? []].length;
    this.excused += half * meta.pieceLength;
    const done = Promise.try(command).then(() => {}, (error) => {
      const isGone = starts !== host.starts || torrent !== host.torrent || (torrent && isOver(torrent.state));
      const isExcused = isGone && (host.session === null || (error instanceof ShoalError && error.kind === "usage"));
      if (!isExcused) throw error;
    }).finally(() => {
      this.#pending.delete(done);
      if (starts === host.starts) this.#note();
    });
    this.#pending.add(done);
    this.#world.go(done);
    this.#note();
    return done;
  }

  /** Kills or stops the program, starts it again, and checks that the settings were kept. */
  async restart(): Promise<void> {
    const { host } = this;
    const world = this.#world;
    const before = this.#history;
    const torrent = host.torrent;
    const isKilled = world.chance(0.7);
    this.#note();
    if (isKilled) host.kill();
    else await host.stop();
    const end = world.clock.now();
    this.#pending.clear();
    this.#before += torrent?.downloaded ?? 0;
    const mayBeGone = this.#isLeaving;
    this.#isLeaving = false;
    const had = torrent?.have.count ?? 0;
    await world.sleep(drawScale(world, 1, 20_000));
    this.#history = [];
    await host.boot();
    const isKnown = await host.restore();
    this.#note();
    // A change within the last second before a kill may be lost. A clean stop loses nothing.
    const first = before.findLastIndex(({ at }) => at <= end - (isKilled ? WRITTEN_MS : 0));
    const last = this.#history[0]!.settings;
    const isKept = before.slice(Math.max(0, first)).some(({ settings }) => settings === last) ||
      (!isKnown && (first < 0 || mayBeGone));
    const breach = isKept ? null : `it knows ${last}, not ${before.at(-1)?.settings}`;
    world.invariants.hold("changes kept", host, breach);
    if (!isKnown) await host.add();
    this.#note();
    world.go(this.#countLost(had));
  }

  /** Excuses the bytes of pieces that a kill has lost. */
  async #countLost(had: number): Promise<void> {
    const { torrent, starts } = this.host;
    while (torrent?.attached === false && starts === this.host.starts) await this.#world.sleep(1);
    if (torrent?.attached !== true) return;
    const lost = Math.max(0, had - torrent.have.count);
    this.excused += lost * this.#world.truth.meta.pieceLength;
    this.#world.trace(this.host, `lost ${lost} of ${had} pieces`);
  }

  /** Records the current settings. */
  #note(): void {
    if (this.host.session === null) return;
    const settings = settingsOf(this.host);
    // A torrent that has left the session is removed from the database only a moment later.
    if (this.#isLeaving && settings === NOTHING) return;
    this.#history.push({ at: this.#world.clock.now(), settings });
  }

  /** Waits for all commands, then selects all files, and removes pause and limits. */
  async settle(): Promise<void> {
    await Promise.all(this.#pending);
    const { torrent } = this;
    torrent.setTrackers(this.#world.truth.meta.trackers);
    torrent.setLimits({ down: null, up: null });
    await torrent.setFiles(null);
    torrent.resume();
    this.host.choosy = false;
    this.host.follow(torrent);
  }

  /** Commands that take effect at once. */
  #changes(): Record<string, () => unknown> {
    const world = this.#world;
    const { torrent } = this;
    const { trackers } = world.truth.meta;
    const rate = () => world.chance(0.3) ? null : drawScale(world, 20_000, 1_000_000);
    return {
      pause: () => torrent.pause(),
      queue: () => torrent.queue(),
      resume: () => torrent.resume(),
      "fetch in order, or not": () => torrent.setSequential(world.chance(0.5)),
      "be slower, or faster": () => torrent.setLimits(world.chance(0.5) ? { down: rate() } : { up: rate() }),
      "prefer files": () =>
        torrent.setPriority([world.oneOf(world.truth.files).index], world.oneOf(["low", "normal", "high"])),
      "ask other trackers": () => torrent.setTrackers(trackers.filter(() => world.chance(0.5))),
      "try peers": () => torrent.addPeers([{ host: world.oneOf(world.hosts).ip, port: PORT }]),
    };
  }

  /** Commands that take some time. */
  #works(): Record<string, () => Promise<unknown>> {
    const world = this.#world;
    const { torrent } = this;
    const some = () => {
      const chosen = world.truth.files.flatMap(({ index }) => world.chance(0.5) ? [index] : []);
      return world.chance(0.3) || chosen.length === 0 ? null : new Set(chosen);
    };
    return {
      "want other files": () => torrent.setFiles(some()),
      "want others still": () => torrent.setFiles(some()),
      "check all": () => torrent.recheck(),
      move: () => this.#move(world.oneOf(FOLDERS)),
      "leave and come again": () => this.#comeAgain(some(), { data: false }),
      // The seeder may have the only copy.
      ...(this.host.name !== "seeder" && { "begin anew": () => this.#comeAgain(some(), { data: true }) }),
    };
  }

  /** Moves the torrent. */
  async #move(folder: string): Promise<void> {
    const { host, torrent } = this;
    const { starts } = host;
    if (!host.folders.includes(folder)) host.folders.push(folder);
    await torrent.move(folder);
    if (starts === host.starts && torrent === host.torrent) host.folder = folder;
  }

  /** Removes the torrent, with or without its data, and adds it again. */
  async #comeAgain(files: ReadonlySet<number> | null, options: { readonly data: boolean }): Promise<void> {
    const { host, torrent } = this;
    const { starts } = host;
    await Promise.all(this.#pending);
    // The program may have ended meanwhile, or another command may be removing the torrent.
    if (this.#isLeaving || starts !== host.starts || host.torrent !== torrent) return;
    this.#isLeaving = true;
    if (options.data) this.excused += this.#world.truth.meta.totalLength;
    await host.remove(options);
    if (options.data) this.#world.invariants.forget(host);
    if (starts !== host.starts) return;
    this.#isLeaving = false;
    this.#before += torrent.downloaded;
    this.#note();
    if (options.data) {
      const { invariants } = this.#world;
      const [left] = host.files.paths.filter((path) =>
        FOLDERS.some((folder) => path.startsWith(`${folder}/`)) && !invariants.isLeftLock(host, path)
      );
      invariants.hold("removed is gone", host, left === undefined ? null : `${left} is there still`);
    }
    await this.#world.sleep(drawScale(this.#world, 1, 5_000));
    if (starts === host.starts && host.session !== null) await host.add(files === null ? {} : { files });
  }
}

/** Returns the first error, warning or failed piece among events, or `null`. Without disk faults there are none. */
function failureOf(events: readonly SessionEvent[]): string | null {
  for (const event of events) {
    if (event.event === "error" || event.event === "warning") {
      return `${event.event}: ${event.message} (${event.where})`;
    }
    if (event.event === "hash_failed") return `piece ${event.piece} failed`;
  }
  return null;
}

/** Waits until all hosts are complete, and checks that none has downloaded more than needed. */
async function finishFrugally(world: World, users: readonly Restless[]): Promise<void> {
  const hosts = users.map(({ host }) => host);
  await world.run(() => hosts.every(({ isComplete }) => isComplete), {
    limit: LIMIT,
    what: "every honest leecher finishes",
  });
  for (const { host, downloaded, excused } of users) {
    const most = world.truth.meta.totalLength + excused + ENDGAME;
    const breach = downloaded > most ? `it fetched ${downloaded} bytes, at most ${most} were needed` : null;
    world.invariants.hold("nothing fetched twice", host, breach);
    world.invariants.hold("nothing fails", host, failureOf(host.events));
  }
  await endWell(world, hosts);
}

const commands: Scenario = {
  name: "commands",
  purpose: "Users pause, choose files, limit, check, remove and add torrents again at any time: all finish.",
  async run(world) {
    for (let i = world.pick(1, 3); i > 0; i--) world.addTracker();
    drawTorrent(world, { pieces: [10, 40], files: [2, 8] });
    const seeder = addSeeder(world);
    const leechers = addPeers(world, world.pick(1, 4));
    const users = [seeder, ...leechers].map((host) => new Restless(world, host));
    let busy = users.length;
    for (const user of users) {
      world.go((async () => {
        if (user.host !== seeder) {
          await world.sleep(world.between(0, 5_000));
          await user.host.start();
        }
        for (let left = world.pick(1, user.host === seeder ? 4 : 20); left > 0; left--) {
          await world.sleep(drawScale(world, 1, 8_000));
          if (user.host.torrent) await user.act();
        }
        await user.settle();
        busy--;
      })());
    }
    await world.run(() => busy === 0, { limit: 30 * MINUTE, what: "users come to rest" });
    await finishFrugally(world, users);
  },
};

const sessions: Scenario = {
  name: "sessions",
  purpose: "Users change torrents, and programs are killed or stopped at any time: torrents keep their settings.",
  async run(world) {
    for (let i = world.pick(1, 3); i > 0; i--) world.addTracker();
    drawTorrent(world, { pieces: [16, 40], files: [2, 8] });
    addSeeder(world);
    const users = addPeers(world, world.pick(1, 3)).map((host) => new Restless(world, host));
    let busy = users.length;
    for (const user of users) {
      user.host.databases = new MemoryDatabases();
      world.go((async () => {
        await user.host.start();
        for (let left = world.pick(2, 6); left > 0; left--) {
          for (let changes = world.pick(0, 6); changes > 0; changes--) {
            await world.sleep(drawScale(world, 1, 8_000));
            if (user.host.torrent) await user.act();
          }
          await world.sleep(drawScale(world, 1, 5_000));
          await user.restart();
        }
        await user.settle();
        busy--;
      })());
    }
    await world.run(() => busy === 0, { limit: 30 * MINUTE, what: "users come to rest" });
    await finishFrugally(world, users);
  },
};

/** Scenarios in which users change torrents. */
export const COMMAND_SCENARIOS: readonly Scenario[] = [commands, sessions];
