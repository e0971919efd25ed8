/**
 * Reads from the kernel what a program has cost so far.
 *
 * The counters are sums and high-water marks, so a single look at the right moment is enough, and sampling doesn't
 * disturb the program.
 *
 * @module
 */

/** Cost of a process and all its descendants. */
export interface Usage {
  /** Processor time in seconds, user and system, including children that have ended. */
  readonly cpu: number;
  /** Peak resident memory in bytes, summed over the processes that are running. */
  readonly peak: number;
}

/** Clock ticks a second in `/proc`: 100 on every system that Deno runs on. */
const TICKS = 100;

/**
 * Returns the cost of a process and all its descendants.
 *
 * @param pid Process id.
 * @throws {Deno.errors.NotFound} If the process has ended.
 */
export function usageOf(pid: number): Usage {
  let cpu = cpuSeconds(read(`/proc/${pid}/stat`));
  let peak = peakBytes(read(`/proc/${pid}/status`));
  for (const { name } of Deno.readDirSync(`/proc/${pid}/task`)) {
    for (const child of unlessGone(() => read(`/proc/${pid}/task/${name}/children`))?.split(" ") ?? []) {
      if (child.trim() === "") continue;
      const below = unlessGone(() => usageOf(Number(child)));
      cpu += below?.cpu ?? 0;
      peak += below?.peak ?? 0;
    }
  }
  return { cpu, peak };
}

/**
 * Parses the processor time in a line of `/proc/PID/stat`.
 *
 * @param stat The line.
 * @returns Seconds, user and system, including children that have ended.
 */
export function cpuSeconds(stat: string): number {
  // The second field is the program's name in brackets, with arbitrary characters. Fields 14 to 17 are utime, stime,
  // cutime and cstime.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / TICKS;
}

/**
 * Parses the high-water mark of memory in `/proc/PID/status`.
 *
 * @param status Content of the file.
 * @returns Bytes; 0 for a zombie process.
 */
export function peakBytes(status: string): number {
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
}

function read(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    // ESRCH: the process ended between opening and reading the file.
    if (error instanceof Error && "code" in error && error.code === "ESRCH") throw new Deno.errors.NotFound(path);
    throw error;
  }
}

/** Returns `null` if a thread or a child ended in the meantime. */
function unlessGone<T>(look: () => T): T | null {
  try {
    return look();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
