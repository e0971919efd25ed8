import { ATTACKS } from "./attacks.ts";
import { besiegeLeecher } from "./siege.ts";

/** Attacks with few connections. Those with many are in many_test.ts. */
const FEW = ATTACKS.filter(({ victims, lines = 1 }) => victims.includes("leecher") && lines === 1);

Deno.test("a download completes correctly under all attacks in both roles, and reports the attackers", async () => {
  // Both roles run at the same time, since some of the attacks are slow.
  await Promise.all(
    (["dials", "listens"] as const).map((role) =>
      besiegeLeecher(FEW.filter(({ roles }) => roles?.includes(role) ?? true), role)
    ),
  );
});
