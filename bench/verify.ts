/**
 * Compares the speed of checking data with the speed at which the cores can hash: `shoal verify` and `openssl speed
 * sha1` in turns, so that a busy machine slows both. The file is in the page cache before the first round.
 *
 *     deno task bench:verify [--mib 2048] [--rounds 5] [--scratch DIR]
 *
 * The environment variable SHOAL names a compiled Shoal to run instead of the source.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { makeFile } from "../tests/support/payload.ts";
import { makeTorrent } from "../tests/support/torrents.ts";
import { fromSource } from "../tests/support/from_source.ts";

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
const UNITS: Readonly<Record<string, number>> = { B: 1, KiB: 1024, MiB: MIB, GiB: GIB };
/** Clock ticks a second in `/proc` on every Linux. */
const TICKS = 100;

/** One run of a program. */
interface Run {
  readonly stdout: string;
  /** Seconds. */
  readonly wall: number;
  /** Processor time of all threads in seconds; 0 on systems without `/proc`. */
  readonly cpu: number;
  /** Largest sampled resident set in bytes; 0 on systems without `/proc`. */
  readonly rss: number;
}

/** Figures of one round: bytes a second, and CPU seconds for each GiB. */
interface Round {
  /** `openssl speed` on one core; 0 without openssl. */
  readonly core: number;
  /** `openssl speed` on all cores; 0 without openssl. */
  readonly cores: number;
  /** CPU of `openssl speed` on all cores. */
  readonly least: number;
  /** `shoal verify` from start to end. */
  readonly whole: number;
  /** `shoal verify` by its own figure, without the start of the program. */
  readonly check: number;
  readonly cpu: number;
  readonly rss: number;
}

async function run(argv: readonly string[]): Promise<Run> {
  const before = childrenCpu();
  const startedAt = performance.now();
  const child = new Deno.Command(argv[0]!, {
    args: argv.slice(1),
    // A folder without a config file.
    env: { XDG_CONFIG_HOME: import.meta.dirname! },
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let rss = 0;
  const look = setInterval(() => rss = Math.max(rss, peakOf(child.pid)), 10);
  try {
    const { success, stdout, stderr } = await child.output();
    const wall = (performance.now() - startedAt) / 1000;
    if (!success) throw new Error(`${argv.join(" ")} failed: ${new TextDecoder().decode(stderr)}`);
    return { stdout: new TextDecoder().decode(stdout), wall, cpu: childrenCpu() - before, rss };
  } finally {
    clearInterval(look);
  }
}

/** Returns the CPU seconds that the children of this process have used. */
function childrenCpu(): number {
  const fields = proc("/proc/self/stat").replace(/^.*\) /, "").split(" ");
  return (Number(fields[13] ?? 0) + Number(fields[14] ?? 0)) / TICKS;
}

function peakOf(pid: number): number {
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(proc(`/proc/${pid}/status`))?.[1] ?? 0) * 1024;
}

/** Reads a file of `/proc`, or returns nothing if it doesn't exist, as for a process that has ended. */
function proc(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (
      error instanceof Deno.errors.NotFound || (error instanceof Error && "code" in error && error.code === "ESRCH")
    ) {
      return "";
    }
    throw error;
  }
}

/**
 * Returns the bytes a second that openssl hashes, and its CPU seconds for each GiB. Nearly all of its CPU time is the
 * second of hashing.
 */
async function openssl(options: readonly string[]): Promise<{ readonly rate: number; readonly cpu: number }> {
  try {
    const command = ["openssl", "speed", "-elapsed", "-seconds", "1", "-bytes", String(MIB), ...options, "sha1"];
    const { stdout, cpu } = await run(command);
    const rate = Number(/^sha1\s+([\d.]+)k/m.exec(stdout)?.[1] ?? 0) * 1000;
    return { rate, cpu: cpu / (rate / GIB) };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { rate: 0, cpu: 0 };
    throw error;
  }
}

function shoal(): string[] {
  const given = Deno.env.get("SHOAL");
  return given ? given.split(" ") : fromSource();
}

async function measure(verify: readonly string[], size: number): Promise<Round> {
  const core = await openssl([]);
  const cores = await openssl(["-multi", String(navigator.hardwareConcurrency)]);
  const { stdout, wall, cpu, rss } = await run(verify);
  const [, rate, unit] = /pieces are right.*\(([\d.]+) (\w+)\/s\)$/m.exec(stdout) ?? [];
  if (rate === undefined || unit === undefined) throw new Error(`not what a check says: ${stdout}`);
  const check = Number(rate) * UNITS[unit]!;
  return {
    core: core.rate,
    cores: cores.rate,
    least: cores.cpu,
    whole: size / wall,
    check,
    cpu: cpu / (size / GIB),
    rss,
  };
}

function report(rounds: readonly Round[]): string {
  const count = navigator.hardwareConcurrency;
  const ratios = {
    "whole run / openssl on all cores": rounds.map(({ whole, cores }) => whole / cores),
    "checking  / openssl on all cores": rounds.map(({ check, cores }) => check / cores),
    "checking  / cores x openssl on one": rounds.map(({ check, core }) => check / (count * core)),
    "CPU of openssl / CPU of shoal": rounds.map(({ least, cpu }) => least / cpu),
  };
  const lines = Object.entries(ratios).map(([name, values]) => {
    const sorted = values.filter((value) => Number.isFinite(value) && value > 0).sort((a, b) => a - b);
    if (sorted.length === 0) return `${name.padEnd(36)} not known`;
    return `${name.padEnd(36)} best ${sorted.at(-1)!.toFixed(2)}, median ${sorted[sorted.length >> 1]!.toFixed(2)}`;
  });
  return [...lines, `peak RSS ${Math.round(Math.max(...rounds.map(({ rss }) => rss)) / MIB)} MiB`].join("\n");
}

function print(text: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${text}\n`));
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      mib: { type: "string", default: "2048" },
      rounds: { type: "string", default: "5" },
      scratch: { type: "string" },
    },
  });
  const size = Number(values.mib) * MIB;
  const rounds = Number(values.rounds);
  if (!(size >= MIB && Number.isSafeInteger(size) && rounds >= 1)) {
    throw new RangeError("--mib and --rounds: 1 or more");
  }
  const folder = await Deno.makeTempDir({ prefix: "shoal-bench-", ...(values.scratch && { dir: values.scratch }) });
  try {
    const payload = await makeFile(folder, { name: "payload.bin", size, seed: 1 });
    await makeTorrent(payload, { path: `${folder}/payload.torrent`, pieceLength: MIB });
    const verify = [...shoal(), "verify", `${folder}/payload.torrent`, folder];
    await run(verify); // puts the data and the program into the page cache
    const found: Round[] = [];
    for (let i = 1; i <= rounds; i++) {
      const round = await measure(verify, size);
      found.push(round);
      const gb = (rate: number): string => `${(rate / 1e9).toFixed(2)} GB/s`;
      const { core, cores, whole, check, cpu, least } = round;
      print(
        `${i}: openssl ${gb(core)} a core, ${gb(cores)} on all; shoal ${gb(check)} checking, ${gb(whole)} whole run, ` +
          `CPU s/GiB ${least.toFixed(2)} and ${cpu.toFixed(2)}`,
      );
    }
    print(report(found));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
