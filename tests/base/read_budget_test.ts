import { assert, assertEquals, assertRejects } from "@std/assert";
import { type BudgetedRead, ReadBudget } from "../../src/base/read_budget.ts";

/** A read that waits until the test lets it continue. */
function gate(): { readonly wait: () => Promise<void>; readonly open: () => void } {
  let { promise, resolve } = Promise.withResolvers<void>();
  return {
    wait: () => promise,
    open() {
      resolve();
      ({ promise, resolve } = Promise.withResolvers<void>());
    },
  };
}

Deno.test("ReadBudget lets readings go on together while they fit, and counts them", async () => {
  const budget = new ReadBudget(100);
  const end = gate();
  const read = (bytes: number) =>
    budget.run(async ({ hold, signal }) => {
      hold(bytes);
      await end.wait();
      return signal.aborted;
    });
  const all = [read(40), read(30), read(30)];
  await Promise.resolve();
  assertEquals(budget.used, 100);
  end.open();
  assertEquals(await Promise.all(all), [false, false, false]);
  assertEquals(budget.used, 0);
});

Deno.test("ReadBudget has all readings come to their end, one by one, when each needs all of it", async () => {
  const budget = new ReadBudget(100);
  let most = 0;
  let attempts = 0;
  const ended: number[] = [];
  const read = (number: number) =>
    budget.run(async ({ hold, signal }: BudgetedRead) => {
      attempts++;
      for (let i = 0; i < 10; i++) {
        hold(10);
        most = Math.max(most, budget.used);
        await Promise.resolve();
        signal.throwIfAborted();
      }
      ended.push(number);
      return number;
    });
  assertEquals(await Promise.all([0, 1, 2, 3].map(read)), [0, 1, 2, 3]);
  assertEquals(ended, [0, 1, 2, 3], "whoever came first ends first");
  assertEquals([most, budget.used], [100, 0]);
  assertEquals(attempts, 7, "each but the first makes one attempt too many");
});

Deno.test("ReadBudget takes back what the last one has, also when it is the first that needs more", async () => {
  const budget = new ReadBudget(100);
  const more = gate();
  const first = budget.run(async ({ hold }) => {
    hold(50);
    await more.wait();
    hold(50);
    return budget.used;
  });
  let tries = 0;
  const second = budget.run(({ hold, signal }) => {
    hold(50);
    if (++tries === 2) return Promise.resolve("done");
    return new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("given up"))));
  });
  more.open();
  assertEquals(await first, 100);
  assertEquals([await second, tries], ["done", 2]);
});

Deno.test("ReadBudget gives on what readings throw, and lets one that waits be given up", async () => {
  const budget = new ReadBudget(100);
  await assertRejects(() => budget.run(() => Promise.reject(new Error("broken"))), Error, "broken");
  const end = gate();
  const first = budget.run(async ({ hold }) => {
    hold(100);
    await end.wait();
  });
  const stop = new AbortController();
  const second = budget.run(({ hold, signal }) => {
    hold(1);
    assert(signal.aborted);
    return Promise.reject(new Error("crowded"));
  }, stop.signal);
  await Promise.resolve();
  stop.abort(new Error("enough"));
  await assertRejects(() => second, Error);
  end.open();
  await first;
  assertEquals(budget.used, 0);
});

Deno.test("ReadBudget leaves it to a reading that is alone how much it takes", async () => {
  const budget = new ReadBudget(10);
  await assertRejects(
    () =>
      budget.run(({ hold, signal }) => {
        hold(11);
        assertEquals(signal.aborted, false);
        return Promise.reject(new Error("too large"));
      }),
    Error,
    "too large",
  );
});
