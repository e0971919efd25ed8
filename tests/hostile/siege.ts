/**
 * Runs many attacks at once on one Shoal, and checks that transfers complete and attackers are reported.
 *
 * @module
 */

import { assertLess } from "@std/assert";
import { freePort } from "../support/aria2.ts";
import { messageOf } from "../../src/base/errors.ts";
import { type Event, eventsOf } from "../support/events.ts";
import type { Job } from "../support/job.ts";
import { withScratch } from "../support/scratch.ts";
import type { Version } from "../support/torrents.ts";
import type { Attack, Role } from "./attack.ts";
import { about, Arena, freshHosts, makeGoods, type Sortie, usage } from "./arena.ts";
import { SlowSeeder } from "./slow_seeder.ts";

const MIB = 1 << 20;
/**
 * Limit of the peak resident memory of a Shoal under attack. The runtime takes 100 MiB before anything is downloaded,
 * and the memory budget (`--cache`) is 64 MiB. Beyond the budget, each peer may fill a quarter of a MiB, and garbage is
 * collected late.
 */
const MOST_MEMORY = (100 + 64 + 100) * MIB;
/** Bytes a second of the attacker: enough for every flood, and few enough for a machine that has other work. */
const RATE = 20_000_000;
/**
 * Seconds in which Shoal must report every attacker: slow peers time out after a minute, and the machine may be slow.
 */
const SECONDS = 100;

/** Options for {@linkcode besiegeSeeder}. */
export interface BesiegeSeederOptions {
  /** Milliseconds after which the attackers reconnect. They don't reconnect by default. */
  readonly again?: number;
  /** Version of the torrent; v1 when absent. */
  readonly version?: Version;
}

/**
 * Runs attacks on a Shoal that downloads from a well-behaved, slow seeder. When all attackers have been reported, the
 * seeder speeds up, and the download must complete correctly.
 *
 * @param attacks Attacks to run.
 * @param role Role of the attacker.
 * @param version Version of the torrent.
 */
export function besiegeLeecher(attacks: readonly Attack[], role: Role, version: Version = "v1"): Promise<void> {
  return withScratch(async (folder) => {
    const goods = await makeGoods(folder, { size: 96 * MIB + 12_345, pieceLength: 256 * 1024, version });
    using honest = await SlowSeeder.start(goods.torrent, `${goods.payload.folder}/${goods.payload.name}`);
    await using arena = new Arena(folder, goods);
    await reported(arena, async () => {
      const port = freePort();
      const sorties = deploy(attacks, role);
      const attack = () => arena.attack(sorties, { port, again: null, rate: RATE });
      const named = role === "listens" ? (await attack()).listening : [];
      const victim = arena.download(port, [honest.address, ...named]);
      await victim.line((line) => line.includes('"connected"'), { seconds: 30, what: "it is at work" });
      if (role === "dials") await attack();
      await allNamed(victim, sorties);
      honest.hurry();
      await arena.completed(victim, 60);
      await arena.same();
      assertLess(usage(victim.pid).peak, MOST_MEMORY);
    });
  });
}

/**
 * Runs attacks on a Shoal that seeds. During the attacks, a well-behaved leecher must complete, and all attackers must
 * be reported.
 *
 * @param attacks Attacks to run.
 * @param options See {@linkcode BesiegeSeederOptions}.
 */
export function besiegeSeeder(attacks: readonly Attack[], options: BesiegeSeederOptions = {}): Promise<void> {
  return withScratch(async (folder) => {
    const { version = "v1" } = options;
    const goods = await makeGoods(folder, { size: 32 * MIB + 12_345, pieceLength: 256 * 1024, version });
    await using arena = new Arena(folder, goods);
    await reported(arena, async () => {
      const port = freePort();
      const victim = await arena.seed(port);
      const sorties = deploy(attacks, "dials");
      const { job } = await arena.attack(sorties, { port, again: options.again ?? null, rate: RATE });
      await job.line((line) => JSON.parse(line).made > 0, { seconds: 10, what: "it has begun" });
      const leecher = arena.download(freePort(), [`127.0.0.1:${port}`]);
      await arena.completed(leecher, SECONDS);
      await arena.same();
      await allNamed(victim, sorties);
      assertLess(usage(victim.pid).peak, MOST_MEMORY);
    });
  });
}

function deploy(attacks: readonly Attack[], role: Role): Sortie[] {
  return attacks.map((attack) => ({ attack, role, hosts: freshHosts(attack.hosts ?? 1) }));
}

/** Waits until the victim has reported each attacker with the expected message. Legal behaviour isn't reported. */
async function allNamed(victim: Job, sorties: readonly Sortie[]): Promise<void> {
  const waits = sorties.map(async ({ attack, hosts }) => {
    if (attack.named === null) return "";
    const { name, named } = attack;
    const matches = (line: string) => {
      const event = JSON.parse(line) as Event;
      return event.action !== "connected" && named.test(String(event.message)) && about([event], hosts).length > 0;
    };
    try {
      await victim.line(matches, { seconds: SECONDS, what: `it names "${name}"` });
      return "";
    } catch (error) {
      const said = about(eventsOf(victim.stdout, "peer"), hosts).map(({ action, message }) => `${action} ${message}`);
      return `\n${messageOf(error)}; about it was said: ${said.join(", ")}`;
    }
  });
  const failures = (await Promise.all(waits)).join("");
  if (failures !== "") throw new Error(failures);
}

async function reported(arena: Arena, body: () => Promise<void>): Promise<void> {
  try {
    await body();
  } catch (error) {
    throw new Error(`${error}\n${arena.report}`, { cause: error });
  }
}
