import { ATTACKS } from "./attacks.ts";
import { besiegeLeecher } from "./siege.ts";

/** Those that come by the thousand have a test of their own. */
const FEW = ATTACKS.filter(({ victims, lines = 1 }) => victims.includes("leecher") && lines === 1);

Deno.test("a download outlives every attack, whoever connects, names the attackers, and is right", async () => {
  // Side by side, since some of the attacks are slow.
  await Promise.all(
    (["dials", "listens"] as const).map((role) =>
      besiegeLeecher(FEW.filter(({ roles }) => roles?.includes(role) ?? true), role)
    ),
  );
});
