import { ATTACKS } from "./attacks.ts";
import { besiegeSeeder } from "./siege.ts";

for (const attack of ATTACKS.filter(({ lines = 1 }) => lines > 1)) {
  Deno.test(`a seeder serves a well-behaved leecher under attack: ${attack.name}`, () =>
    besiegeSeeder([attack], { again: attack.again ?? 100 }));
}
