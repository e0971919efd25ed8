import { assertEquals } from "@std/assert";
import { cpuSeconds, peakBytes } from "../../bench/process_usage.ts";

Deno.test("cpuSeconds() adds up user and system time of a process and of its children that have ended", () => {
  const stat = "42 (a) b (c) S 1 42 42 0 -1 4194304 1000 2000 3 4 150 25 300 5 20 0 7 0 12345 1000000 500";
  assertEquals(cpuSeconds(stat), 4.8);
});

Deno.test("peakBytes() reads the high-water mark, and is 0 where there is none", () => {
  assertEquals(peakBytes("Name:\tx\nVmPeak:\t  999 kB\nVmHWM:\t    1234 kB\nVmRSS:\t 1000 kB\n"), 1234 * 1024);
  assertEquals(peakBytes("Name:\tx\nState:\tZ (zombie)\n"), 0);
});
