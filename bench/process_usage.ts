/**
 * What a program has cost so far, as the kernel counts it.
 *
 * The counters are sums and high-water marks, so one look at the right moment tells all; nothing has to be sampled while
 * the program works, and nothing disturbs it.
 *
 * @module
 */

/** What a process and all below it have cost. */
export interface Usage {
  /** Seconds of processor time, user and system, with those of children that have ended. */
  readonly cpu: number;
  /** Most memory that was resident, in bytes; the sum over the processes that are there. */
  readonly peak: number;
}

/** Parts of a second that `/proc` counts in: 100 on everything that Deno runs on. */
const TICKS = 100;

/**
 * Looks at a process and all below it.
 *
 * @param pid Process id.
 * @returns What they have cost.
 * @throws {Deno.errors.NotFound} If the process is gone.
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
 * Processor time in a line of `/proc/PID/stat`.
 *
 * @param stat The line.
 * @returns Seconds, user and system, with those of children that have ended.
 */
export function cpuSeconds(stat: string): number {
  // The second field is the name in brackets, and may hold anything. Fields 14 to 17 are utime, stime, cutime, cstime.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / TICKS;
}

/**
 * High-water mark in `/proc/PID/status`.
 *
 * @param status The file.
 * @returns Bytes; 0 for a process that has ended and waits to be asked how.
 */
export function peakBytes(status: string): number {
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
}

function read(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    // ESRCH: it ended between the opening and the reading.
    if (error instanceof Error && "code" in error && error.code === "ESRCH") throw new Deno.errors.NotFound(path);
    throw error;
  }
}

/** Threads and children come and go while one looks. */
function unlessGone<T>(look: () => T): T | null {
  try {
    return look();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
