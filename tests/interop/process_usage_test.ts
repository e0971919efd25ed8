/** These tests are not in the unit suite, since Deno allows access to /proc only with all permissions. */

import { assert, assertThrows } from "@std/assert";
import { cpuSeconds, usageOf } from "../../bench/process_usage.ts";
import { Job } from "../support/job.ts";

Deno.test("usageOf() counts a process, a child that has ended and a child that runs", async () => {
  const work = "i=0; while [ $i -lt 300000 ]; do i=$((i + 1)); done";
  const script = `trap 'kill $!' TERM; (${work}); (${work}; echo ready; exec sleep 600) & wait`;
  await using job = new Job(["sh", "-c", script], { name: "sh" });
  await job.line((line) => line === "ready", { seconds: 30, what: "it had worked" });
  const { cpu, peak } = usageOf(job.pid);
  const own = cpuSeconds(Deno.readTextFileSync(`/proc/${job.pid}/stat`));
  assert(own > 0, "the child that has ended is not counted");
  assert(cpu > own, `${cpu} s with the child that runs, and ${own} s without`);
  assert(peak > 200_000, `two shells in ${peak} bytes`);
});

Deno.test("usageOf() throws when the process is gone", async () => {
  await using job = new Job(["true"], { name: "true" });
  await job.exit(10);
  assertThrows(() => usageOf(job.pid), Deno.errors.NotFound);
});
