/**
 * Many attacks at once on one Shoal, and what has to come of it.
 *
 * @module
 */

import { assertLess } from "@std/assert";
import { freePort } from "../support/aria2.ts";
import { messageOf } from "../../src/base/errors.ts";
import { type Event, eventsOf } from "../support/events.ts";
import type { Job } from "../support/job.ts";
import { withScratch } from "../support/scratch.ts";
import type { Attack, Role } from "./attack.ts";
import { about, Arena, freshHosts, makeGoods, type Sortie, usage } from "./arena.ts";
import { SlowSeeder } from "./slow_seeder.ts";

const MIB = 1 << 20;
/**
 * Peak resident memory of a Shoal under attack. The runtime has 100 MiB before anything is downloaded, and the budget
 * (--cache) is 64 MiB; what peers may fill beyond it is a quarter of a MiB each, and the garbage collector takes its time.
 */
const MOST_MEMORY = (100 + 64 + 100) * MIB;
/** Bytes a second for an attacker: enough for every flood, and little enough for a machine that does other things as well. */
const RATE = 20_000_000;
/** Seconds that Shoal has for naming every attacker: a minute of patience with the slow, and a slow machine. */
const SECONDS = 100;

/**
 * Lets attacks loose on a Shoal that downloads from an honest, slow seeder. When all of them have been named the seeder
 * hurries, and the download has to be complete and right.
 *
 * @param attacks Which.
 * @param role Who makes the connections.
 */
export function besiegeLeecher(attacks: readonly Attack[], role: Role): Promise<void> {
  return withScratch(async (folder) => {
    const goods = await makeGoods(folder, { size: 96 * MIB + 12_345, pieceLength: 256 * 1024 });
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
 * Lets attacks loose on a Shoal that seeds. While they go on, an honest leecher has to get everything; and all of them have to
 * be named.
 *
 * @param attacks Which.
 * @param options `again`: milliseconds after which they come back; not at all when absent.
 */
export function besiegeSeeder(attacks: readonly Attack[], options: { readonly again?: number } = {}): Promise<void> {
  return withScratch(async (folder) => {
    const goods = await makeGoods(folder, { size: 32 * MIB + 12_345, pieceLength: 256 * 1024 });
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

/** Waits until the victim has said of each attacker what it has to; those who do nothing forbidden needn't be named. */
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
