/** Waiting for work that an abort signal ends. */

import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { raceAbort } from "../../src/base/abort.ts";

Deno.test("raceAbort returns what the work returns and throws what it throws", async () => {
  const { signal } = new AbortController();
  assertEquals(await raceAbort(Promise.resolve(1), signal), 1);
  await assertRejects(() => raceAbort(Promise.reject(new TypeError("broken")), signal), TypeError, "broken");
});

Deno.test("raceAbort throws the signal's reason, before and while it waits", async () => {
  const reason = new Error("stop");
  const abort = new AbortController();
  const never = new Promise<never>(() => {});
  const waiting = raceAbort(never, abort.signal);
  abort.abort(reason);
  assertStrictEquals(await assertRejects(() => waiting), reason);
  assertStrictEquals(await assertRejects(() => raceAbort(never, abort.signal)), reason);
  assertStrictEquals(await assertRejects(() => raceAbort(Promise.resolve(), abort.signal)), reason);
});

Deno.test("raceAbort handles a failure of the work that comes after the signal", async () => {
  const abort = new AbortController();
  const work = Promise.withResolvers<void>();
  const waiting = raceAbort(work.promise, abort.signal);
  abort.abort();
  await assertRejects(() => waiting, DOMException);
  work.reject(new Error("late")); // fails the test if nobody handles it
  await new Promise((resolve) => setTimeout(resolve));
});
