/**
 * What the system says of a process.
 *
 * @module
 */

/** Ticks of `/proc/PID/stat` a second; Linux has no other. */
const TICKS_PER_SECOND = 100;

/**
 * Processor time of a process, its own and the system's for it.
 *
 * @param pid Which; running.
 * @returns Seconds, to a hundredth.
 */
export function cpuSeconds(pid: number): number {
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  // The name of the program comes second, in brackets, and may hold anything.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/**
 * The most memory that a process has had at one time.
 *
 * @param pid Which; running.
 * @returns MiB.
 */
export function peakMemory(pid: number): number {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  return Number(/VmHWM:\s+(\d+)/.exec(status)![1]) / 1024;
}

/**
 * A value that so large a part of all is below or equal to.
 *
 * @param values At least one.
 * @param part 0 to 1; 0.5 for the median.
 * @returns One of them.
 */
export function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))]!;
}
