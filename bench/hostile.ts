/**
 * What attacks cost: `deno task bench:hostile [--size MIB] [--rounds N] [--only TEXT]`. Each attack is run against a Shoal
 * that downloads from an honest one, or that serves an honest one, in turns with the same transfer left alone.
 *
 * @module
 */

import type { Attack, Role, Victim } from "../tests/hostile/attack.ts";
import { ATTACKS } from "../tests/hostile/attacks.ts";
import { about, Arena, freshHosts, type Goods, makeGoods, type Outcome } from "../tests/hostile/arena.ts";
import { withScratch } from "../tests/support/scratch.ts";

const MIB = 1 << 20;
/** Bytes a second for the attacker, either way: 1 Gbit/s. */
const RATE = 125_000_000;
const option = (name: string, otherwise: string) => {
  const at = Deno.args.indexOf(`--${name}`);
  return at < 0 ? otherwise : Deno.args[at + 1]!;
};
const size = Number(option("size", "512")) * MIB;
const rounds = Number(option("rounds", "3"));
const only = option("only", "");

await withScratch(async (folder) => {
  const goods = await makeGoods(folder, { size, pieceLength: MIB });
  print(
    "| attack | victim | attacker | throughput kept | peak MiB | CPU s victim (alone) | CPU s attacker | outcome |",
  );
  print("|---|---|---|---|---|---|---|---|");
  for (const attack of ATTACKS) {
    for (const victim of attack.victims) {
      for (const role of rolesOf(attack, victim)) {
        if (`${attack.name} ${victim} ${role}`.includes(only)) {
          await measure({ folder, goods }, attack, { victim, role });
        }
      }
    }
  }
});

/** A Shoal that seeds is named to nobody's tracker here, so it dials nobody. */
function rolesOf(attack: Attack, victim: Victim): readonly Role[] {
  return victim === "seeder" ? ["dials"] : attack.roles ?? ["dials", "listens"];
}

async function measure(
  place: { readonly folder: string; readonly goods: Goods },
  attack: Attack,
  how: { readonly victim: Victim; readonly role: Role },
): Promise<void> {
  const alone: Outcome[] = [];
  const attacked: Outcome[] = [];
  const said: string[] = [];
  for (let round = 0; round < rounds; round++) {
    alone.push(await run(place, how.victim, null));
    const hosts = freshHosts(attack.hosts ?? 1);
    const outcome = await run(place, how.victim, { attack, role: how.role, hosts }).catch((error) => {
      print(`| ${attack.name} | ${how.victim} | ${how.role} | NEVER FINISHED | ${String(error).split("\n")[0]} |`);
      return null;
    });
    if (outcome === null) return;
    attacked.push(outcome);
    said.push(...about(outcome.peerEvents, hosts).map(({ action, message }) => `${action}: ${message}`));
  }
  const kept = median(alone.map(({ seconds }) => seconds)) / median(attacked.map(({ seconds }) => seconds));
  const cpu = (of: readonly Outcome[]) => median(of.map(({ victimCpu }) => victimCpu)).toFixed(1);
  const peak = Math.max(...attacked.map((one) => one.peak));
  const own = median(attacked.map(({ attackerCpu }) => attackerCpu)).toFixed(1);
  print(
    [
      "",
      attack.name,
      how.victim,
      how.role,
      kept.toFixed(2),
      `${Math.round(peak / MIB)} (${Math.round(Math.max(...alone.map((one) => one.peak)) / MIB)})`,
      `${cpu(attacked)} (${cpu(alone)})`,
      own,
      summary(said, attack),
      "",
    ].join(" | ").trim(),
  );
}

async function run(
  place: { readonly folder: string; readonly goods: Goods },
  victim: Victim,
  sortie: Parameters<Arena["run"]>[1],
): Promise<Outcome> {
  await using arena = new Arena(place.folder, place.goods);
  try {
    return await arena.run(victim, sortie, { rate: RATE });
  } catch (error) {
    throw new Error(`${sortie?.attack.name ?? "nothing"}: ${error}\n${arena.report}`);
  }
}

/** What was said most, without the connections that came to be. */
function summary(said: readonly string[], attack: Attack): string {
  const counts = new Map<string, number>();
  for (const line of said) if (!line.startsWith("connected")) counts.set(line, (counts.get(line) ?? 0) + 1);
  const [most] = [...counts].sort((a, b) => b[1] - a[1]);
  const legal = attack.legal === undefined ? "" : `legal: ${attack.legal}`;
  return [most === undefined ? "" : `${most[0]} (${most[1]} times)`, legal].filter(Boolean).join("; ") || "NOT NAMED";
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1]!;
}

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}
