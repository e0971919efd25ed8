/**
 * Figures of the system about a process, and quantiles.
 *
 * @module
 */

/** Clock ticks a second in `/proc/PID/stat`, on every Linux. */
const TICKS_PER_SECOND = 100;

/**
 * Returns the user and system time of a running process.
 *
 * @param pid Process id.
 * @returns Seconds, in steps of a hundredth.
 */
export function cpuSeconds(pid: number): number {
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  // The second field is the program's name in brackets, with arbitrary characters.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/**
 * Returns the peak resident memory of a running process.
 *
 * @param pid Process id.
 * @returns MiB.
 */
export function peakMemory(pid: number): number {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  return Number(/VmHWM:\s+(\d+)/.exec(status)![1]) / 1024;
}

/**
 * Returns the value below or at which a part of all values lie.
 *
 * @param values At least one value.
 * @param part Part of the values, 0 to 1; 0.5 for the median.
 */
export function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))]!;
}
