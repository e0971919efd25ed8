/**
 * Measures what attacks cost: `deno task bench:hostile [--rounds N] [--size MIB] [--line MB] [--only TEXT]`.
 *
 * Each attack is run against a Shoal that downloads from an honest peer, or that seeds to one, over a line of `--line`
 * MB/s. The same transfer without an attack is measured in between. The attacker is a separate program, reconnects 100
 * ms after it was disconnected, and sends and receives at most 1 Gbit/s.
 *
 * @module
 */

import { assert } from "@std/assert";
import type { Attack, Role, Victim } from "../tests/hostile/attack.ts";
import { ATTACKS } from "../tests/hostile/attacks.ts";
import { about, Arena, freshHosts, type Goods, makeGoods, type Outcome } from "../tests/hostile/arena.ts";
import { DATA_ATTACKS } from "../tests/hostile/data_attacks.ts";
import { MALFORMED_ATTACKS } from "../tests/hostile/malformed_attacks.ts";
import { withScratch } from "../tests/support/scratch.ts";

const MIB = 1 << 20;
/** Most bytes a second of the attacker in each direction: 1 Gbit/s. */
const RATE = 125_000_000;
/** Attacks between two runs without an attack. */
const BETWEEN = 8;

const option = (name: string, otherwise: string) => {
  const at = Deno.args.indexOf(`--${name}`);
  return at < 0 ? otherwise : Deno.args[at + 1]!;
};
const size = Number(option("size", "128")) * MIB;
const line = Number(option("line", "40")) * 1e6;
const rounds = Number(option("rounds", "3"));
const only = option("only", "");

/** One row of the table. */
interface Row {
  readonly attack: Attack;
  readonly victim: Victim;
  readonly role: Role;
  readonly outcomes: Outcome[];
  /** Peer events about the attacker. */
  readonly said: string[];
  /** Errors of the runs that did not finish. */
  readonly failures: string[];
}

await withScratch(async (folder) => {
  // One byte more than whole MiB, so that the bitfield has spare bits that an attacker can set.
  const goods = await makeGoods(folder, { size: size + 1, pieceLength: MIB });
  const rows = ATTACKS.flatMap((attack) =>
    victimsOf(attack).flatMap((victim) =>
      rolesOf(attack, victim).map((role): Row => ({ attack, victim, role, outcomes: [], said: [], failures: [] }))
    )
  ).filter(({ attack, victim, role }) => `${attack.name} ${victim} ${role}`.includes(only));
  const alone = { leecher: [] as Outcome[], seeder: [] as Outcome[] };
  for (let round = 0; round < rounds; round++) {
    for (const [i, row] of rows.entries()) {
      if (i % BETWEEN === 0) {
        for (const victim of new Set(rows.map((one) => one.victim))) {
          const run = (arena: Arena) => arena.run(victim, null, { rate: RATE, line });
          const outcome = await inArena({ folder, goods }, run);
          alone[victim].push(outcome);
          progress(`(none), ${victim}: ${outcome.seconds.toFixed(2)} s`);
        }
      }
      await measure({ folder, goods }, row);
    }
    print(`\nAfter ${round + 1} of ${rounds} rounds:\n`);
    table(rows, alone);
  }
});

function table(rows: readonly Row[], alone: Record<Victim, Outcome[]>): void {
  print("| attack | on a | attacker | throughput kept (best runs) | peak MiB | CPU s | CPU s of attacker | outcome |");
  print("|---|---|---|---|---|---|---|---|");
  for (const victim of ["leecher", "seeder"] as const) {
    if (alone[victim].length > 0) {
      print(describe("(none)", { victim, role: "" }, { outcomes: alone[victim], alone, says: "" }));
    }
  }
  for (const row of rows) {
    const { attack, outcomes } = row;
    if (outcomes.length > 0) print(describe(attack.name, row, { outcomes, alone, says: summary(row) }));
    else print(`| ${attack.name} | ${row.victim} | ${row.role} | NEVER FINISHED: ${row.failures[0]} |`);
  }
}

/**
 * The seeding Shoal announces to no tracker here, so it dials no peer. It makes no difference which end made a
 * connection except to attacks that send data, so the other attacks are measured in one role. The tests have both.
 */
function rolesOf(attack: Attack, victim: Victim): readonly Role[] {
  return victim === "leecher" && DATA_ATTACKS.includes(attack) ? ["dials", "listens"] : ["dials"];
}

/** An attack that breaks the protocol with one message ends its connection on any victim, so one is enough. */
function victimsOf(attack: Attack): readonly Victim[] {
  return MALFORMED_ATTACKS.includes(attack) ? attack.victims.slice(0, 1) : attack.victims;
}

async function measure(place: { readonly folder: string; readonly goods: Goods }, row: Row): Promise<void> {
  const { attack, victim, role } = row;
  const hosts = freshHosts(attack.hosts ?? 1);
  try {
    const outcome = await inArena(place, (arena) => arena.run(victim, { attack, role, hosts }, { rate: RATE, line }));
    row.outcomes.push(outcome);
    progress(`${attack.name}, ${victim}, ${role}: ${outcome.seconds.toFixed(2)} s`);
    row.said.push(...about(outcome.peerEvents, hosts).map(({ action, message }) => `${action}: ${message}`));
  } catch (error) {
    row.failures.push(String(error).split("\n")[0]!);
    progress(`${attack.name}, ${victim}, ${role}: ${row.failures.at(-1)}`);
  }
}

async function inArena(
  place: { readonly folder: string; readonly goods: Goods },
  run: (arena: Arena) => Promise<Outcome>,
): Promise<Outcome> {
  await using arena = new Arena(place.folder, place.goods);
  return await run(arena);
}

function describe(
  name: string,
  { victim, role }: { readonly victim: Victim; readonly role: string },
  what: { readonly outcomes: readonly Outcome[]; readonly alone: Record<Victim, Outcome[]>; readonly says: string },
): string {
  const seconds = (of: readonly Outcome[]) => of.map((one) => one.seconds);
  const ratio = (of: (numbers: readonly number[]) => number) =>
    (of(seconds(what.alone[victim])) / of(seconds(what.outcomes))).toFixed(2);
  const cells = [
    name,
    victim,
    role,
    `${ratio(median)} (${ratio((numbers) => Math.min(...numbers))})`,
    Math.round(Math.max(...what.outcomes.map(({ peak }) => peak)) / MIB),
    median(what.outcomes.map(({ victimCpu }) => victimCpu)).toFixed(1),
    median(what.outcomes.map(({ attackerCpu }) => attackerCpu)).toFixed(1),
    what.says,
  ];
  return `| ${cells.join(" | ")} |`;
}

/** Describes what Shoal reported about the attacker, and why an attacker was not disconnected. */
function summary({ attack, said, failures, outcomes }: Row): string {
  const { named } = attack;
  const matching = said.filter((text) => named?.test(text));
  const banned = matching.find((text) => text.startsWith("banned")) ?? said.find((text) => text.startsWith("banned"));
  const words = [matching[0], banned].filter((text) => text !== undefined);
  if (attack.legal !== undefined) words.unshift(`legal, bounded: ${attack.legal}`);
  else if (words.length === 0) {
    words.push(attack.patience === undefined ? "NOT NAMED" : "the transfer was over before it showed");
  }
  if (failures.length > 0) words.push(`${failures.length} of ${failures.length + outcomes.length} NEVER FINISHED`);
  return [...new Set(words)].join("; ");
}

function median(numbers: readonly number[]): number {
  assert(numbers.length > 0);
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1]!;
}

function progress(text: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(`${text}\n`));
}

function print(text: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${text}\n`));
}
