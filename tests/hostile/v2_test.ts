import { ATTACKS } from "./attacks.ts";
import { besiegeLeecher, besiegeSeeder } from "./siege.ts";

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
