/**
 * Counts the system calls per MiB of a Shoal that downloads and of one that seeds to it, with strace, and compares them
 * with bounds:
 *
 *     deno task bench:syscalls [--mib 256]
 *
 * Counts depend less on a busy machine than times. The calls of starting and stopping are left out: each side runs with
 * little data and with much, and the difference counts. A bound is about twice the usual count. The exit code is 1 if a
 * bound is exceeded, and 2 if strace is missing. `SHOAL` may hold the command that starts Shoal.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { shoalCommand } from "../tests/interop/clients.ts";
import { freePort } from "../tests/support/aria2.ts";
import { environment, OFFLINE } from "../tests/support/binary.ts";
import { Job } from "../tests/support/job.ts";
import { makeFile } from "../tests/support/payload.ts";
import { withScratch } from "../tests/support/scratch.ts";
import { makeTorrent } from "../tests/support/torrents.ts";

/** Size in MiB of the download that shows the calls of starting and stopping. */
const LITTLE = 16;
const PIECE_LENGTH = 1 << 20;
/** Most seconds for one transfer. */
const PATIENCE = 300;

/** Number of calls by name. */
type Counts = ReadonlyMap<string, number>;

/** Calls at both ends of a transfer. */
interface Transfer {
  readonly download: Counts;
  readonly seed: Counts;
}

/** A group of similar calls. */
interface Kind {
  readonly name: string;
  readonly calls: readonly string[];
  /** Most calls per MiB on the downloading side. */
  readonly download: number;
  /** Most calls per MiB on the seeding side. */
  readonly seed: number;
}

/** The last group takes all calls that no other group names. */
const KINDS: readonly Kind[] = [
  { name: "receive from sockets", calls: ["recvfrom", "recvmsg"], download: 10, seed: 4 },
  { name: "send to sockets", calls: ["sendto", "sendmsg", "writev"], download: 4, seed: 10 },
  { name: "write to files", calls: ["write", "pwrite64", "pwritev"], download: 4, seed: 3 },
  { name: "read from files", calls: ["read", "pread64", "preadv"], download: 1, seed: 3 },
  { name: "seek", calls: ["lseek"], download: 2, seed: 2 },
  { name: "sync", calls: ["fsync", "fdatasync"], download: 0.5, seed: 0.5 },
  { name: "open, close, rename", calls: ["open", "openat", "close", "rename"], download: 3, seed: 3 },
  { name: "wait for sockets and timers", calls: ["epoll_wait", "epoll_pwait", "epoll_ctl"], download: 4, seed: 5 },
  { name: "wake and wait for threads", calls: ["futex", "sched_yield"], download: 15, seed: 15 },
  {
    name: "memory",
    calls: ["mmap", "munmap", "madvise", "mprotect", "brk", "mremap"],
    download: 4,
    seed: 4,
  },
  { name: "everything else", calls: [], download: 4, seed: 4 },
];

const { values } = parseArgs({
  args: Deno.args,
  options: { mib: { type: "string", default: "256" } },
});
const much = Number(values.mib);
if (!(much > LITTLE)) fail(`--mib ${values.mib}: more than ${LITTLE} are needed`);

if (!await hasStrace()) fail("strace is not installed: apt-get install strace");
const [, little, all] = await withScratch(async (folder) => [
  await transfer(LITTLE, `${folder}/first`), // lets the runtime cache compiled code
  await transfer(LITTLE, `${folder}/little`),
  await transfer(much, `${folder}/much`),
]);
const broken = report(little!, all!);
if (broken.length > 0) print(`\nToo many: ${broken.join("; ")}`);
Deno.exit(broken.length > 0 ? 1 : 0);

/** Runs one transfer between two Shoals, each under strace. */
async function transfer(mib: number, folder: string): Promise<Transfer> {
  const payload = await makeFile(`${folder}/source`, { name: "payload", size: mib << 20, seed: 5 });
  const torrent = `${folder}/payload.torrent`;
  await makeTorrent(payload, { path: torrent, pieceLength: PIECE_LENGTH });
  const port = freePort();
  await using seeder = traced("seed", folder, [torrent, payload.folder, "--trust", "-p", `${port}`]);
  await seeder.line((line) => line.includes('"completed"'), { seconds: PATIENCE, what: "it served" });
  await using leecher = traced("download", folder, [
    torrent,
    ...["-o", `${folder}/out`, "-p", "0", "--peer", `127.0.0.1:${port}`],
  ]);
  const { code } = await leecher.exit(PATIENCE);
  if (code !== 0) throw new Error(`the download ended with code ${code}\n${leecher.report}`);
  interrupt(seeder.pid);
  await seeder.exit(PATIENCE);
  await Deno.remove(`${folder}/out`, { recursive: true });
  await Deno.remove(`${folder}/source`, { recursive: true });
  return { download: await countsIn(`${folder}/download.calls`), seed: await countsIn(`${folder}/seed.calls`) };
}

function traced(verb: "download" | "seed", folder: string, args: readonly string[]): Job {
  const strace = ["strace", "-f", "-c", "-qq", "-o", `${folder}/${verb}.calls`];
  const command = [...strace, ...shoalCommand(), verb, ...args, "--json", ...OFFLINE];
  return new Job(command, { name: verb, cwd: folder, env: environment(`${folder}/${verb}`) });
}

/** Interrupts the program that strace runs, but not strace itself, which writes its summary after that. */
function interrupt(strace: number): void {
  const children = Deno.readTextFileSync(`/proc/${strace}/task/${strace}/children`).trim().split(" ");
  for (const child of children) Deno.kill(Number(child), "SIGINT");
}

/** Parses a summary of strace: lines of percentage, seconds, microseconds, calls, optional errors, and the name. */
async function countsIn(path: string): Promise<Counts> {
  const counts = new Map<string, number>();
  for (const line of (await Deno.readTextFile(path)).split("\n")) {
    const fields = line.trim().split(/\s+/);
    const name = fields.at(-1)!;
    if (/^\d/.test(fields[0]!) && name !== "total") counts.set(name, Number(fields[3]));
  }
  return counts;
}

/** Prints the table and returns the exceeded bounds. */
function report(little: Transfer, all: Transfer): string[] {
  const broken: string[] = [];
  print(`System calls for a MiB, from ${LITTLE} to ${much} MiB, pieces of 1 MiB.\n`);
  print("| | download | bound | seed | bound | which |");
  print("|---|---|---|---|---|---|");
  for (const kind of KINDS) {
    const cells: string[] = [];
    const seen = new Map<string, number>();
    for (const side of ["download", "seed"] as const) {
      let sum = 0;
      for (const [call, count] of all[side]) {
        if (kindOf(call) !== kind) continue;
        const each = (count - (little[side].get(call) ?? 0)) / (much - LITTLE);
        seen.set(call, Math.max(each, seen.get(call) ?? 0));
        sum += each;
      }
      cells.push(sum.toFixed(1), `${kind[side]}`);
      if (sum > kind[side]) broken.push(`${kind.name}, ${side}: ${sum.toFixed(1)} for a MiB, at most ${kind[side]}`);
    }
    const most = [...seen].filter(([, each]) => each >= 0.05).sort(([, a], [, b]) => b - a).map(([call]) => call);
    print(`| ${kind.name} | ${cells.join(" | ")} | ${most.slice(0, 6).join(" ")} |`);
  }
  return broken;
}

function kindOf(call: string): Kind {
  return KINDS.find(({ calls }) => calls.includes(call)) ?? KINDS.at(-1)!;
}

async function hasStrace(): Promise<boolean> {
  try {
    return (await new Deno.Command("strace", { args: ["-V"], stdout: "null", stderr: "null" }).output()).success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function fail(message: string): never {
  Deno.stderr.writeSync(new TextEncoder().encode(`${message}\n`));
  Deno.exit(2);
}

function print(text: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${text}\n`));
}
