/**
 * Measures what idle torrents cost:
 *
 *     deno task bench:idle [--torrents 300] [--magnets 500] [--seconds 60] [--settle 20] [--view quiet|plain|json]
 *         [--only NAME] [--rounds 1] [--restart]
 *
 * One Shoal seeds many torrents without leechers, or looks for the metadata of many magnet links without peers, from
 * source or with the command in the variable `SHOAL`. The torrents are 1 MiB in four files, and one in five is 32 MiB
 * in 2,000 pieces. All have the same tracker (see `many/idle_surroundings.ts`), which asks for an announce every half
 * hour. In the cases with "all ways", peer exchange, local discovery and a DHT of 60 nodes are on too.
 *
 * `--settle` seconds after the tracker knows every torrent, the system's figures for the process are read, and again
 * `--seconds` later: processor time and context switches in between, which is about the number of wake-ups, and memory
 * at the end. With `--restart` the measurement begins after a second start, which needn't check the data on disk.
 * transmission-daemon (Debian package) is measured in the same way if it is installed.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { toHex } from "../src/base/bytes.ts";
import { encodeTorrent } from "../src/metainfo/encode_torrent.ts";
import { parseMetainfo } from "../src/metainfo/mod.ts";
import { shoalCommand } from "../tests/interop/clients.ts";
import { environment, OFFLINE } from "../tests/support/binary.ts";
import { TEST_FLAGS } from "../tests/support/from_source.ts";
import { Job } from "../tests/support/job.ts";
import { withScratch } from "../tests/support/scratch.ts";
import { cpuSeconds, peakMemory, quantile } from "./many/processes.ts";
import type { Surroundings } from "./many/idle_surroundings.ts";

const HERE = decodeURI(new URL("./", import.meta.url).pathname);
const KIB = 1024;
const PIECE_LENGTH = 16 * KIB;
const SMALL_FILES = 4;
const SMALL_FILE_PIECES = 16;
const LARGE_PIECES = 2000;
/** One torrent in this many is large. */
const LARGE_EVERY = 5;
const DHT_NODES = 60;
/** Most seconds until all torrents are checked and announced. */
const PATIENCE = 600;
/** Seconds until the resume data for the next start is saved. */
const RESUME_SECONDS = 3;

/** Cost of one process. */
interface Cost {
  /** Percent of a core. */
  readonly cpu: number;
  /** Voluntary context switches of all threads a second. */
  readonly switches: number;
  /** Resident memory at the end in MiB. */
  readonly rss: number;
  /** Resident memory at the end in MiB, with a proportional share of shared pages. */
  readonly pss: number;
  /** Most resident memory at one time in MiB. */
  readonly peak: number;
}

/** A case to measure. */
interface Case {
  readonly name: string;
  /** Number of info-hashes that the tracker will know. */
  readonly count: number;
  /** Makes the torrents and returns the command line. */
  command(place: Surroundings, folder: string): Promise<readonly string[]>;
  readonly costs: Cost[];
}

const { values } = parseArgs({
  args: Deno.args,
  options: {
    torrents: { type: "string", default: "300" },
    magnets: { type: "string", default: "500" },
    seconds: { type: "string", default: "60" },
    settle: { type: "string", default: "20" },
    rounds: { type: "string", default: "1" },
    view: { type: "string", default: "quiet" },
    restart: { type: "boolean", default: false },
    only: { type: "string", default: "" },
  },
});
const torrents = Number(values.torrents);
const magnets = Number(values.magnets);
const seconds = Number(values.seconds);
const view = values.view === "quiet" ? ["-q"] : values.view === "json" ? ["--json"] : [];

const sleep = (howLong: number) => new Promise((resolve) => setTimeout(resolve, 1000 * howLong));

const allCases: readonly Case[] = [
  { name: "one torrent", count: 1, command: (place, folder) => seeding(1, { place, folder, all: false }), costs: [] },
  {
    name: `${torrents} torrents, tracker`,
    count: torrents,
    command: (place, folder) => seeding(torrents, { place, folder, all: false }),
    costs: [],
  },
  {
    name: `${torrents} torrents, all ways`,
    count: torrents,
    command: (place, folder) => seeding(torrents, { place, folder, all: true }),
    costs: [],
  },
  {
    name: `${magnets} magnets, tracker`,
    count: magnets,
    command: (place, folder) => Promise.resolve(searching(magnets, { place, folder, all: false })),
    costs: [],
  },
  {
    name: `${magnets} magnets, all ways`,
    count: magnets,
    command: (place, folder) => Promise.resolve(searching(magnets, { place, folder, all: true })),
    costs: [],
  },
  {
    name: `${torrents} torrents, transmission-daemon`,
    count: torrents,
    command: (place, folder) => transmission(torrents, { place, folder }),
    costs: [],
  },
];
const cases = allCases.filter(({ name }) => name.includes(values.only));

for (let round = 0; round < Number(values.rounds); round++) {
  for (const one of cases) {
    const cost = await withScratch((folder) => measure(one, folder));
    one.costs.push(cost);
    say(`${one.name}: ${figures(cost).join(", ")}`, Deno.stderr);
  }
}
report();

/** Tracker, DHT and folder of a run. */
interface Stage {
  readonly place: Surroundings;
  readonly folder: string;
}

async function measure({ count, command }: Case, folder: string): Promise<Cost> {
  const helper = [Deno.execPath(), "run", "-A", ...TEST_FLAGS, `${HERE}many/idle_surroundings.ts`, `${DHT_NODES}`];
  await using around = new Job(helper, { name: "surroundings" });
  const patience = { seconds: PATIENCE, what: "it was announced" };
  const place: Surroundings = JSON.parse(
    await around.line((line) => line.startsWith("{"), { ...patience, seconds: 20 }),
  );
  const argv = await command(place, folder);
  const start = () => new Job(argv, { name: argv[0]!, cwd: folder, env: environment(folder) });
  const known = () => Number(around.stdout.at(-1));
  if (values.restart) {
    await using first = start();
    await until(() => known() >= count, first);
    await sleep(RESUME_SECONDS);
    await first.stop();
    await until(() => known() === 0, around);
  }
  await using job = start();
  await until(() => known() >= count, job);
  await sleep(Number(values.settle));
  const [cpu, switches, began] = [cpuSeconds(job.pid), switchesOf(job.pid), performance.now()];
  await sleep(seconds);
  const passed = (performance.now() - began) / 1000;
  return {
    cpu: 100 * (cpuSeconds(job.pid) - cpu) / passed,
    switches: (switchesOf(job.pid) - switches) / passed,
    ...memoryOf(job.pid),
    peak: peakMemory(job.pid),
  };
}

/** Waits for a condition. Fails after {@linkcode PATIENCE} seconds, and when a needed program has ended. */
async function until(isSo: () => boolean, needed: Job): Promise<void> {
  let hasEnded = false;
  void needed.ended.then(() => hasEnded = true);
  for (const limit = performance.now() + 1000 * PATIENCE; !isSo(); await sleep(0.2)) {
    if (hasEnded || performance.now() > limit) throw new Error(needed.report);
  }
}

async function seeding(count: number, stage: Stage & { readonly all: boolean }): Promise<readonly string[]> {
  const files = await makeTorrents(count, stage);
  return [...shoalCommand(), "download", ...files, "-o", `${stage.folder}/data`, "--seed", ...options(stage)];
}

function searching(count: number, stage: Stage & { readonly all: boolean }): readonly string[] {
  const links = Array.from({ length: count }, () => {
    const infoHash = toHex(crypto.getRandomValues(new Uint8Array(20)));
    return `magnet:?xt=urn:btih:${infoHash}&tr=${encodeURIComponent(stage.place.tracker)}`;
  });
  return [...shoalCommand(), "download", ...links, "-o", `${stage.folder}/data`, ...options(stage)];
}

function options({ place, all }: Stage & { readonly all: boolean }): readonly string[] {
  const ways = all ? ["--no-port-map", "--dht-bootstrap", place.node] : OFFLINE;
  return ["--bind", "127.0.0.1", "-p", "0", ...ways, ...view];
}

async function transmission(count: number, stage: Stage): Promise<readonly string[]> {
  const { folder } = stage;
  await makeTorrents(count, stage);
  const settings = {
    "bind-address-ipv4": "127.0.0.1",
    "dht-enabled": false,
    "download-dir": `${folder}/data`,
    "incomplete-dir-enabled": false,
    "lpd-enabled": false,
    "pex-enabled": false,
    "port-forwarding-enabled": false,
    "queue-stalled-enabled": false,
    "download-queue-enabled": false,
    "rpc-enabled": false,
    "utp-enabled": false,
    "watch-dir": `${folder}/torrents`,
    "watch-dir-enabled": true,
  };
  await Deno.mkdir(`${folder}/transmission`);
  await Deno.writeTextFile(`${folder}/transmission/settings.json`, JSON.stringify(settings));
  return ["transmission-daemon", "-f", "-g", `${folder}/transmission`];
}

/** Makes torrents of zeros, whose files are sparse, so that thousands of torrents need no space. */
async function makeTorrents(count: number, { place, folder }: Stage): Promise<string[]> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-1", new Uint8Array(PIECE_LENGTH)));
  await Deno.mkdir(`${folder}/torrents`);
  await Deno.mkdir(`${folder}/data`);
  const paths: string[] = [];
  for (let i = 0; i < count; i++) {
    const name = `torrent ${i}`;
    const isLarge = i % LARGE_EVERY === LARGE_EVERY - 1;
    const pieceCount = isLarge ? LARGE_PIECES : SMALL_FILES * SMALL_FILE_PIECES;
    const pieces = new Uint8Array(20 * pieceCount);
    for (let piece = 0; piece < pieceCount; piece++) pieces.set(digest, 20 * piece);
    const length = SMALL_FILE_PIECES * PIECE_LENGTH;
    const content = isLarge
      ? LARGE_PIECES * PIECE_LENGTH
      : Array.from({ length: SMALL_FILES }, (_, file) => ({ path: [`${file}.bin`], length }));
    const bytes = encodeTorrent({ name, pieceLength: PIECE_LENGTH, pieces, content, trackers: [[place.tracker]] });
    for (const { path, length } of parseMetainfo(bytes).files) {
      const whole = `${folder}/data/${isLarge ? name : `${name}/${path.at(-1)}`}`;
      await Deno.mkdir(whole.slice(0, whole.lastIndexOf("/")), { recursive: true });
      await Deno.writeFile(whole, new Uint8Array());
      await Deno.truncate(whole, length);
    }
    paths.push(`${folder}/torrents/${i}.torrent`);
    await Deno.writeFile(paths.at(-1)!, bytes);
  }
  return paths;
}

/** Returns the number of voluntary context switches of all threads of a process. */
function switchesOf(pid: number): number {
  let sum = 0;
  for (const { name } of Deno.readDirSync(`/proc/${pid}/task`)) {
    const status = Deno.readTextFileSync(`/proc/${pid}/task/${name}/status`);
    sum += Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(status)![1]);
  }
  return sum;
}

/** Returns the memory of a process in MiB. */
function memoryOf(pid: number): { readonly rss: number; readonly pss: number } {
  const rollup = Deno.readTextFileSync(`/proc/${pid}/smaps_rollup`);
  const mib = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(rollup)![1]) / KIB;
  return { rss: mib("Rss"), pss: mib("Pss") };
}

function figures({ cpu, switches, rss, pss, peak }: Cost): string[] {
  const memory = [rss, pss, peak].map((mib) => `${mib.toFixed(0)} MiB`);
  return [`${cpu.toFixed(2)}% CPU`, `${switches.toFixed(1)} switches/s`, ...memory];
}

function report(): void {
  say(`\nMedians of ${values.rounds} runs, ${seconds} s each, view: ${values.view}.\n`);
  say("| | CPU | switches of context | RSS | PSS | peak RSS |\n|---|---|---|---|---|---|");
  for (const { name, costs } of cases) {
    const median = (of: (cost: Cost) => number) => quantile(costs.map(of), 0.5);
    const cost = {
      cpu: median(({ cpu }) => cpu),
      switches: median(({ switches }) => switches),
      rss: median(({ rss }) => rss),
      pss: median(({ pss }) => pss),
      peak: median(({ peak }) => peak),
    };
    say(`| ${[name, ...figures(cost)].join(" | ")} |`);
  }
}

function say(text: string, stream: { writeSync(bytes: Uint8Array): number } = Deno.stdout): void {
  stream.writeSync(new TextEncoder().encode(`${text}\n`));
}
