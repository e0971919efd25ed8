import { assert } from "@std/assert";
import { denoPlatform } from "../../src/platform/deno_platform.ts";

Deno.test("denoPlatform.yieldToEventLoop() lets timers have their turn, which waiting for a promise does not", async () => {
  const { now } = denoPlatform;
  let ran = false;
  denoPlatform.after(1, () => ran = true);
  const due = now() + 5;
  while (now() < due) await Promise.resolve();
  assert(!ran);
  const end = now() + 10_000; // makes the test fail rather than hang
  while (!ran && now() < end) await denoPlatform.yieldToEventLoop();
  assert(ran);
});
