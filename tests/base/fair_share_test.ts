import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import fc from "fast-check";
import { type Claim, FairShare } from "../../src/base/fair_share.ts";

fc.configureGlobal({ seed: 1 }); // so that every run is the same

/** Somebody who wants so much a second at most, and what it is given. */
interface Drinker {
  readonly claim: Claim;
  readonly wants: number;
  waiting: boolean;
  got: number;
}

/** Lets them drink for some seconds, served as often as the share says. @returns What all had been given at each moment. */
function drink(
  share: FairShare,
  drinkers: readonly Drinker[],
  { milliseconds, least }: { readonly milliseconds: number; readonly least: number },
): [time: number, sum: number][] {
  const given: [number, number][] = [];
  let sum = 0;
  let wake = Infinity;
  const by = new Map(drinkers.map((one) => [one.claim, one]));
  const have = (one: Drinker, amount: number) => {
    one.waiting = false;
    one.got += amount;
    sum += amount;
  };
  for (let now = 0; now <= milliseconds; now++) {
    if (now >= wake) {
      for (const { claim, amount } of share.serve(now)) have(by.get(claim)!, amount);
      wake = now + share.wait;
    }
    for (const one of drinkers) {
      while (!one.waiting && one.got < one.wants * now / 1000) {
        const amount = share.ask(one.claim, least, now);
        if (amount > 0) have(one, amount);
        else {
          one.waiting = true;
          if (wake === Infinity) wake = now + share.wait;
        }
      }
    }
    given.push([now, sum]);
  }
  return given;
}

function drinkersOf(share: FairShare, parties: readonly (readonly number[])[]): Drinker[] {
  return parties.flatMap((wants) => {
    const party = share.party();
    return wants.map((want) => ({ claim: share.join(party), wants: want, waiting: false, got: 0 }));
  });
}

/** What is right: the amount in equal parts, what one doesn't need for the others. */
function maxMin(amount: number, needs: readonly number[]): number[] {
  const order = needs.map((need, i) => ({ need, i })).sort((a, b) => a.need - b.need);
  const given = new Array<number>(needs.length).fill(0);
  order.forEach(({ need, i }, rank) => {
    given[i] = Math.min(need, amount / (order.length - rank));
    amount -= given[i]!;
  });
  return given;
}

const parties = fc.array(fc.array(fc.constantFrom(200, 3_000, 20_000, 1e6), { minLength: 1, maxLength: 6 }), {
  minLength: 1,
  maxLength: 4,
});

Deno.test("FairShare never gives more than the rate and the burst, from any moment to any other", () => {
  fc.assert(
    fc.property(
      parties,
      fc.constantFrom(500, 10_000, 300_000),
      fc.constantFrom(10, 100, 1000),
      (wants, rate, least) => {
        const share = new FairShare(rate, 0);
        const drinkers = drinkersOf(share, wants);
        const given = drink(share, drinkers, { milliseconds: 3_000, least });
        // The lowest point of (given - allowed) so far is where the worst interval begins.
        let lowest = 0;
        for (const [time, sum] of given) {
          const above = sum - rate * time / 1000;
          // What is given in parts counts when all of it is there, so an interval may have the parts of the one before.
          const parts = drinkers.length * Math.max(least, rate / 10);
          assert(above - lowest <= share.burst + parts + 1e-3, `${above - lowest} above at ${time}`);
          assert(above <= 1e-3, `${above} above what there was since the beginning at ${time}`);
          lowest = Math.min(lowest, above);
        }
      },
    ),
    { numRuns: 40 },
  );
});

Deno.test("FairShare is fair: equal parts for parties and in them, and what one doesn't need is for the others", () => {
  fc.assert(
    fc.property(parties, fc.constantFrom(10_000, 100_000), (wants, rate) => {
      const share = new FairShare(rate, 0);
      const drinkers = drinkersOf(share, wants);
      const SECONDS = 5;
      drink(share, drinkers, { milliseconds: 1000 * SECONDS, least: 1 });
      const needs = wants.map((members) => members.reduce((sum, one) => sum + one, 0));
      const right = maxMin(rate, needs).flatMap((amount, i) => maxMin(amount, wants[i]!));
      drinkers.forEach(({ got }, i) => {
        assertAlmostEquals(
          got / SECONDS,
          right[i]!,
          0.08 * right[i]! + rate / 10 / SECONDS,
          `${i} of ${JSON.stringify(wants)} at ${rate}`,
        );
      });
    }),
    { numRuns: 40 },
  );
});

Deno.test("FairShare lets none of a hundred starve, be there ever so little", () => {
  for (const rate of [100, 1024, 500 * 1024]) {
    const share = new FairShare(rate, 0);
    const drinkers = drinkersOf(share, [new Array(99).fill(Infinity), [Infinity]]);
    drink(share, drinkers, { milliseconds: 10_000, least: rate / 10_000 });
    const most = Math.max(...drinkers.slice(0, 99).map(({ got }) => got));
    const least = Math.min(...drinkers.slice(0, 99).map(({ got }) => got));
    assert(least > 0.9 * most, `${least} to ${most} at ${rate}`);
    assertAlmostEquals(drinkers[99]!.got, 5 * rate, 0.05 * 5 * rate);
  }
});

Deno.test("FairShare: who goes gives back what it hasn't used, and pays what it took too much", () => {
  const share = new FairShare(1000, 0);
  const party = share.party();
  const [a, b] = [share.join(party), share.join(party)];
  assertEquals(share.ask(a, 100, 100), 100);
  assertEquals(share.ask(b, 100, 100), 0);
  share.leave(a, 60);
  assertEquals(share.serve(140), [{ claim: b, amount: 100 }]);
  assertEquals(share.wait, Infinity);
  share.leave(b, -500);
  assertEquals(share.ask(a, 100, 600), 0);
  assertEquals(share.serve(610), []);
  assertEquals(share.serve(745), [{ claim: a, amount: 100 }]);
});

Deno.test("FairShare: another rate holds at once, and nobody waits for what it asked for at the old one", () => {
  const share = new FairShare(10, 0);
  const claim = share.join(share.party());
  assertEquals(share.ask(claim, 1000, 0), 0);
  share.setRate(1_000_000, 0);
  assertEquals(share.wait, Infinity);
  assertEquals(share.ask(claim, 1000, 1), 0);
  share.setRate(Infinity, 1);
  assertEquals([share.shareOf(claim), share.ask(claim, 1e15, 1)], [Infinity, 1e15]);
  share.setRate(10, 2);
  assertEquals(share.ask(claim, 1, 2), 0, "nothing is left of what was kept at the higher rate");
});
