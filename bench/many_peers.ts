/**
 * Measures what hundreds of peers, or dozens of torrents, cost a Shoal that downloads, compared with one seeder and one
 * torrent:
 *
 *     deno task bench:many-peers [--peers 300] [--torrents 50] [--mib 512] [--rounds 3] [--only NAME]
 *
 * Shoal runs in a process of its own, from source or with the command in the variable `SHOAL`. The peers are scripted
 * and run in another process (see `many/scripted_peers.ts`). Processor time and memory are the system's figures for the
 * process, from the first event to the last. Delays come from separate runs from source, on a terminal (`script` of
 * util-linux) with the live view, and with `many/gauge.ts` preloaded. An event loop is also late when other processes
 * use the processor. So the table also has "its own" delay, which is at most the time that the thread computed
 * meanwhile: what would be left on an idle machine.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { messageOf } from "../src/base/errors.ts";
import { toHex } from "../src/base/bytes.ts";
import { encode } from "../src/bencode/mod.ts";
import { shoalCommand } from "../tests/interop/clients.ts";
import { environment, OFFLINE } from "../tests/support/binary.ts";
import { Job } from "../tests/support/job.ts";
import { withScratch } from "../tests/support/scratch.ts";
import type { Reading } from "./many/gauge.ts";
import { cpuSeconds, peakMemory, quantile } from "./many/processes.ts";
import { pieceOf, type Role, type Script } from "./many/scripted_peers.ts";
import { TEST_FLAGS } from "../tests/support/from_source.ts";

const MIB = 1 << 20;
const PIECE_LENGTH = MIB;
/** Most seconds for one run. */
const PATIENCE = 120;
const HERE = decodeURI(new URL("./", import.meta.url).pathname);

/** A set-up that is measured. */
interface Shape {
  readonly name: string;
  readonly peers: readonly Role[];
  readonly torrents: number;
  readonly runs: Run[];
  readonly readings: Reading[];
}

/** Cost of one run. */
interface Run {
  /** Processor seconds for each GiB. */
  readonly cpu: number;
  /** Peak memory in MiB. */
  readonly peak: number;
  /** MiB a second. */
  readonly rate: number;
}

const { values } = parseArgs({
  args: Deno.args,
  options: {
    peers: { type: "string", default: "300" },
    torrents: { type: "string", default: "50" },
    mib: { type: "string", default: "512" },
    rounds: { type: "string", default: "3" },
    only: { type: "string", default: "" },
  },
});
const mib = Number(values.mib);

/** Makes peers: one in ten has everything, three in ten also serve, and the rest only download and announce pieces. */
function mixedPeers(count: number): Role[] {
  return Array.from({ length: count }, (_, i) => ({
    host: `127.0.${1 + (i >> 7)}.${1 + (i & 127)}`,
    kind: i % 10 === 0 ? "seeder" : i % 10 < 4 ? "giver" : "taker",
  }));
}

const seeder: readonly Role[] = [{ host: "127.0.0.1", kind: "seeder" }];
const shapes: readonly Shape[] = [
  { name: "one seeder", peers: seeder, torrents: 1, runs: [], readings: [] },
  { name: `${values.peers} peers`, peers: mixedPeers(Number(values.peers)), torrents: 1, runs: [], readings: [] },
  { name: `${values.torrents} torrents`, peers: seeder, torrents: Number(values.torrents), runs: [], readings: [] },
].filter(({ name }) => name.includes(values.only));

await withScratch(async (folder) => {
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const shape of shapes) await measure(shape, folder);
  }
});
report();

/** Makes one run for the cost, and one for the delays. */
async function measure(shape: Shape, folder: string): Promise<void> {
  const torrents = await makeTorrents(shape.torrents, folder);
  const script: Script = {
    torrents: torrents.map(({ infoHash, pieces }) => ({ infoHash, pieces })),
    pieceLength: PIECE_LENGTH,
    peers: shape.peers,
  };
  const actors = [Deno.execPath(), "run", "-A", ...TEST_FLAGS, `${HERE}many/scripted_peers.ts`, JSON.stringify(script)];
  await using peers = new Job(actors, { name: "scripted peers" });
  const port = await peers.line(() => true, { seconds: 20, what: "they listened" });
  const args = [
    "download",
    ...torrents.map(({ path }) => path),
    ...["-o", `${folder}/out`, "-p", "0", "--max-peers", `${Math.max(100, shape.peers.length)}`],
    ...shape.peers.flatMap(({ host }) => ["--peer", `${host}:${port}`]),
    ...OFFLINE,
  ];
  const total = torrents.reduce((sum, { pieces }) => sum + pieces * PIECE_LENGTH, 0);
  shape.runs.push(await cost(args, { folder, total, torrents: torrents.length }));
  await Deno.remove(`${folder}/out`, { recursive: true });
  shape.readings.push(await delays(args, folder));
  await Deno.remove(`${folder}/out`, { recursive: true });
  progress(shape);
}

async function cost(
  args: readonly string[],
  options: { readonly folder: string; readonly total: number; readonly torrents: number },
): Promise<Run> {
  const { folder, total } = options;
  let [before, peak, cpu, began, ended, completed] = [-1, 0, 0, 0, 0, 0];
  const onLine = (line: string) => {
    const { event } = JSON.parse(line);
    if (before < 0) {
      before = cpuSeconds(job.pid);
      began = performance.now();
    }
    if (event !== "completed" || ++completed < options.torrents) return;
    cpu = cpuSeconds(job.pid) - before;
    peak = peakMemory(job.pid);
    ended = performance.now();
  };
  const env = environment(folder);
  await using job: Job = new Job([...shoalCommand(), ...args, "--json"], { name: "shoal", cwd: folder, env, onLine });
  await finish(job);
  const gib = total / (1 << 30);
  return { cpu: cpu / gib, peak, rate: total / MIB / ((ended - began) / 1000) };
}

async function delays(args: readonly string[], folder: string): Promise<Reading> {
  const file = `${folder}/gauge.json`;
  const shoal = [
    Deno.execPath(),
    "run",
    "-A",
    ...TEST_FLAGS,
    `--preload=${HERE}many/gauge.ts`,
    `${HERE}../main.ts`,
    ...args,
  ];
  const line = `stty rows 50 cols 120; exec ${shoal.map((word) => `'${word}'`).join(" ")}`;
  const env = { ...environment(folder), SHOAL_GAUGE: file, TERM: "xterm-256color" };
  await using job = new Job(["script", "-qefc", line, "/dev/null"], { name: "shoal on a terminal", cwd: folder, env });
  await finish(job);
  return JSON.parse(await Deno.readTextFile(file));
}

async function finish(job: Job): Promise<void> {
  let code;
  try {
    ({ code } = await job.exit(PATIENCE));
  } catch (error) {
    throw new Error(`${messageOf(error)}\n${job.report}`, { cause: error });
  }
  if (code !== 0) throw new Error(`it ended with code ${code}\n${job.report}`);
}

/** Makes torrents whose pieces are all the same, so that the peers need only one in memory. */
async function makeTorrents(count: number, folder: string) {
  const pieces = Math.ceil(mib / count / (PIECE_LENGTH / MIB));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-1", pieceOf(PIECE_LENGTH)));
  const digests = new Uint8Array(20 * pieces);
  for (let i = 0; i < pieces; i++) digests.set(digest, 20 * i);
  return await Promise.all(Array.from({ length: count }, async (_, i) => {
    const info = {
      length: pieces * PIECE_LENGTH,
      name: `payload ${i}`,
      "piece length": PIECE_LENGTH,
      pieces: digests,
    };
    const path = `${folder}/${i}.torrent`;
    await Deno.writeFile(path, encode({ info }));
    const infoHash = toHex(new Uint8Array(await crypto.subtle.digest("SHA-1", encode(info))));
    return { path, infoHash, pieces };
  }));
}

function report(): void {
  const [first] = shapes;
  const median = (runs: readonly Run[], of: (run: Run) => number) => quantile(runs.map(of), 0.5);
  print(`\nMedians of ${values.rounds} runs, ${mib} MiB each; delays of all runs together, in ms.\n`);
  print(
    "| | CPU s/GiB | of the first | peak MiB | MiB/s | loop delay p50 | p99 | max | its own p99 | max | redraw late p50 | max | drawing max " +
      "| waited for a processor |",
  );
  print("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|");
  for (const { name, runs, readings } of shapes) {
    const cpu = median(runs, (run) => run.cpu);
    const loop = readings.flatMap((one) => one.delays);
    const own = readings.flatMap((one) => one.own);
    const redraws = readings.flatMap((one) => one.redraws);
    const drawing = readings.flatMap((one) => one.drawing);
    const share = quantile(readings.map(({ waited, lasted }) => waited / lasted), 0.5);
    const at = (all: readonly number[], part: number) => all.length === 0 ? "-" : quantile(all, part).toFixed(1);
    const cells = [
      name,
      cpu.toFixed(2),
      (cpu / median(first!.runs, (run) => run.cpu)).toFixed(2),
      median(runs, (run) => run.peak).toFixed(0),
      median(runs, (run) => run.rate).toFixed(0),
      ...[0.5, 0.99, 1].map((part) => at(loop, part)),
      ...[0.99, 1].map((part) => at(own, part)),
      ...[0.5, 1].map((part) => at(redraws, part)),
      at(drawing, 1),
      `${(100 * share).toFixed(0)}% of the time`,
    ];
    print(`| ${cells.join(" | ")} |`);
  }
}

function progress({ name, runs, readings }: Shape): void {
  const { cpu, rate } = runs.at(-1)!;
  const { delays, own } = readings.at(-1)!;
  const p99 = [delays, own].map((all) => quantile(all, 0.99).toFixed(1));
  const text = `${name}: ${cpu.toFixed(2)} CPU s/GiB, ${rate.toFixed(0)} MiB/s, delay p99 ${
    p99.join(", its own ")
  } ms\n`;
  Deno.stderr.writeSync(new TextEncoder().encode(text));
}

function print(text: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${text}\n`));
}
