import { assertLess } from "@std/assert";
import { withScratch } from "../support/scratch.ts";
import { Arena, freshHosts, makeGoods } from "./arena.ts";
import { ATTACKS } from "./attacks.ts";
import { HASH_ATTACKS } from "./hash_attacks.ts";
import { besiegeLeecher, besiegeSeeder } from "./siege.ts";

const MIB = 1 << 20;
/** Attacks with few connections that are soon over. The others have nothing to do with the version of the torrent. */
const QUICK = ATTACKS.filter(({ lines = 1, patience }) => lines === 1 && patience === undefined);

for (const [version, role] of [["v2", "listens"], ["hybrid", "dials"]] as const) {
  Deno.test(`a ${version} download completes correctly under attacks by peers that know v2, and reports the attackers`, () => {
    const attacks = QUICK.filter(({ victims, roles }) =>
      victims.includes("leecher") && (roles?.includes(role) ?? true)
    );
    return besiegeLeecher(attacks, role, version);
  });
}

Deno.test("a v2 seeder serves a leecher under attacks by peers that know v2, and reports the attackers", () => {
  return besiegeSeeder(QUICK.filter(({ victims }) => victims.includes("seeder")), { version: "v2" });
});

Deno.test("a v2 download completes correctly under attacks with hashes, and reports the attackers", () => {
  return besiegeLeecher(HASH_ATTACKS.filter(({ victims }) => victims.includes("leecher")), "dials", "v2");
});

Deno.test("a v2 seeder serves a leecher under attacks with hashes, and reports the attackers", () => {
  return besiegeSeeder(HASH_ATTACKS.filter(({ victims }) => victims.includes("seeder")), { version: "v2" });
});

Deno.test("a v2 seeder keeps most of its speed while peers ask for hashes of every layer all the time", () => {
  return withScratch(async (folder) => {
    const goods = await makeGoods(folder, { size: 64 * MIB, pieceLength: MIB, version: "v2" });
    const seconds: number[] = [];
    for (const attack of [null, HASH_ATTACKS[0]!]) {
      await using arena = new Arena(folder, goods);
      const sortie = attack && { attack, role: "dials" as const, hosts: freshHosts(attack.hosts!) };
      const outcome = await arena.run("seeder", sortie, { rate: 20_000_000, line: 10_000_000 });
      await arena.same();
      seconds.push(outcome.seconds);
    }
    assertLess(seconds[1]!, 1.5 * seconds[0]! + 1, `${seconds} seconds without and with the attack`);
  });
});
