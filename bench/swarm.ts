/**
 * Compares real clients side by side: `deno task bench:swarm --help`.
 *
 * Leechers take turns within each round, so that a drift of the machine affects all of them. The result is the ratio of
 * two medians of one call. A leecher's time begins before its process is created. It includes the few milliseconds for
 * joining its network namespace, which are the same for all.
 *
 * @module
 */

import { delay } from "npm:deno-std@1.4.0/async/delay.js";
import { messageOf, ShoalError } from "../src/base/errors.ts";
import type { RunningClient } from "../tests/interop/clients.ts";
import { type Goods, Lab, type Manner } from "../tests/interop/lab.ts";
import { run } from "../tests/support/job.ts";
import { makeFile, makeFiles, type Payload } from "../tests/support/payload.ts";
import { missingOf } from "../tests/support/requirements.ts";
import { type Usage, usageOf } from "./process_usage.ts";
import { commandLine, describeMachine } from "./swarm_machine.ts";
import { fluidBound, needsOf, parseSwarmOptions, type Participant, type SwarmOptions, USAGE } from "./swarm_options.ts";
import { type Measured, type Row, swarmTable, type Turn, turnLines, turnTable } from "./swarm_table.ts";

/** Milliseconds between two looks at a client that ends when it is complete. */
const LOOK_MS = 20;
/** Memory that is touched before a turn, in addition to what the leechers will hold. */
const SPARE = 2 ** 30;

Deno.exit(await main());

async function main(): Promise<number> {
  let options: SwarmOptions | null;
  try {
    options = parseSwarmOptions(Deno.args);
  } catch (error) {
    // Unknown options are reported by Node's parser as a TypeError.
    if (!(error instanceof ShoalError || error instanceof TypeError)) throw error;
    say(`bench:swarm: ${error.message}`);
    return 2;
  }
  if (options === null) {
    print(USAGE);
    return 0;
  }
  const missing = [...missingOf(needsOf(options)), ...placeProblems(options)];
  if (missing.length > 0) {
    say(`bench:swarm can't run here: ${missing.join("; ")}`);
    return 2;
  }
  try {
    // Before the work, so that a failing version query can't lose the results.
    const origin = options.markdown ? await describeOrigin(options) : "";
    const rows = await measureAll(options);
    print(`\n${origin}${report(options, rows)}\n`);
    return rows.some(({ turns }) => turns.some(({ failures }) => failures.length > 0)) ? 1 : 0;
  } catch (error) {
    say(`bench:swarm: ${messageOf(error)}`);
    return 1;
  }
}

/** Returns what makes the folder for the data unusable. */
function placeProblems({ scratch, leechers, seeder }: SwarmOptions): string[] {
  if (scratch === null) return [];
  if (!isFolder(scratch)) return [`--scratch ${scratch} is not a folder`];
  // Deno gives access below these folders only with all permissions, and Shoal asks for a few only.
  if (!/^\/(dev|proc|sys)(\/|$)/.test(Deno.realPathSync(scratch))) return [];
  const isBold = (word: string) => word === "-A" || word === "--allow-all";
  const shy = [...leechers, seeder].find(({ command }) => command !== undefined && !command.some(isBold));
  if (shy === undefined) return [];
  return [`${shy.name} may not write below ${scratch}: mount a tmpfs elsewhere for --scratch`];
}

function isFolder(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return false;
    throw error;
  }
}

async function measureAll(options: SwarmOptions): Promise<Row[]> {
  const rows = options.leechers.map((leecher) => ({ leecher, name: leecher.name, turns: [] as Turn[] }));
  say(`making ${options.size / 2 ** 20} MiB in ${options.files} file(s)`);
  await Lab.run(goodsOf(options), async (lab) => {
    await must(["sync", "--file-system", lab.torrent], 300);
    const { seeder, seederCount, cap } = options;
    const limit: Manner = cap === null ? {} : { uploadLimit: cap };
    const seeds: RunningClient[] = [];
    for (let i = 0; i < seederCount; i++) {
      seeds.push(await lab.seed(seeder.client, { ...mannerOf(seeder, options), ...limit }));
    }
    await lab.seedersAnnounced(seederCount, { seconds: 120 });
    await lab.prepareHosts(options.swarm ?? 1);
    for (let round = 0; round < options.rounds; round++) {
      // The order rotates, so that no leecher is always the first.
      const order = rows.map((_, i) => rows[(i + round) % rows.length]!);
      for (const { leecher, name, turns } of order) {
        const turn = await takeTurn(leecher, { lab, seeds, options });
        turns.push(turn);
        const lines = turnLines(turn, options.size);
        say(`round ${round + 1}, ${name}:${lines.length === 1 ? ` ${lines[0]}` : `\n  ${lines.join("\n  ")}`}`);
      }
    }
  });
  return rows;
}

function goodsOf({ size, files, pieceLength, scratch }: SwarmOptions): Goods {
  const makePayload = (folder: string): Promise<Payload> =>
    files === 1
      ? makeFile(folder, { name: "payload.bin", size, seed: 1 })
      : makeFiles(folder, { name: "payload", size, count: files, seed: 1 });
  return { makePayload, pieceLength, ...(scratch === null ? {} : { parent: scratch }) };
}

function mannerOf({ command }: Participant, { cache }: SwarmOptions): Manner {
  return { tuned: true, ...(command === undefined ? {} : { command }), ...(cache === null ? {} : { cache }) };
}

async function takeTurn(
  leecher: Participant,
  { lab, seeds, options }: {
    readonly lab: Lab;
    readonly seeds: readonly RunningClient[];
    readonly options: SwarmOptions;
  },
): Promise<Turn> {
  const count = options.swarm ?? 1;
  await touchMemory((count + 1) * options.size + SPARE);
  const before = seeds.map(({ job }) => usageOf(job.pid));
  const running: RunningClient[] = [];
  const finishes: Promise<Measured | string>[] = [];
  for (let i = 0; i < count; i++) {
    const client = await lab.leech(leecher.client, mannerOf(leecher, options));
    running.push(client);
    finishes.push(finish(client, { since: running[0]!.job.startedAt, seconds: options.timeout }));
  }
  const lost = Promise.race(seeds.map(({ job }) => job.ended.then(() => job.name)));
  const outcomes = await Promise.race([Promise.all(finishes), lost]);
  if (typeof outcomes === "string") throw new Error(`${outcomes} has ended`);
  const seederCpu = seeds.map((seed, i) => usageOf(seed.job.pid).cpu - before[i]!.cpu);
  const leechers: Measured[] = [];
  const failures: string[] = [];
  for (const [i, client] of running.entries()) {
    const outcome = outcomes[i]!;
    const problem = typeof outcome === "string" ? outcome : await difference(lab, client);
    if (problem !== null) failures.push(`${problem}\n${client.job.report}`);
    else leechers.push(outcome as Measured);
  }
  await Promise.all(running.map((client) => lab.discard(client)));
  return { leechers, failures, seederCpu };
}

/** Looks again and again at the cost of a client until it ends, for one that can't be asked afterwards. */
async function lastUsage({ job }: RunningClient): Promise<Usage> {
  let usage: Usage = { cpu: 0, peak: 0 };
  let hasEnded = false;
  void job.ended.then(() => hasEnded = true);
  while (!hasEnded) {
    try {
      usage = usageOf(job.pid);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    await delay(LOOK_MS);
  }
  return usage;
}

/** Waits until a leecher reports that it is complete, and reads its cost at once. */
async function finish(
  client: RunningClient,
  { since, seconds }: { readonly since: number; readonly seconds: number },
): Promise<Measured | string> {
  try {
    const last = client.endsWhenComplete ? lastUsage(client) : null;
    await client.completed(seconds);
    const end = performance.now();
    return { seconds: (end - since) / 1000, ...await last ?? usageOf(client.job.pid) };
  } catch (error) {
    return messageOf(error);
  }
}

/** Returns how a leecher's data differs from the payload, or `null` if it doesn't. */
async function difference(lab: Lab, client: RunningClient): Promise<string | null> {
  await client.stop();
  try {
    await lab.verify(client);
    return null;
  } catch (error) {
    return messageOf(error);
  }
}

/** Touches memory, see `touch_memory.ts`. At most half of the available memory, because the rest holds the payload. */
async function touchMemory(bytes: number): Promise<void> {
  const most = Math.min(bytes, Deno.systemMemoryInfo().available / 2);
  const script = decodeURI(new URL("touch_memory.ts", import.meta.url).pathname);
  await must([Deno.execPath(), "run", "--no-config", "--no-lock", script, String(Math.floor(most))], 300);
}

async function must(argv: readonly string[], seconds: number): Promise<void> {
  const { code, stderr } = await run(argv, { seconds });
  if (code !== 0) throw new Error(`${argv.join(" ")} ended with code ${code}: ${stderr.join(" ")}`);
}

async function describeOrigin({ seeder, leechers }: SwarmOptions): Promise<string> {
  const command = commandLine(Deno.args, Deno.env.get("SHOAL"));
  return `\`\`\`sh\n${command}\n\`\`\`\n\n${await describeMachine([seeder, ...leechers])}\n\n`;
}

function report(options: SwarmOptions, rows: readonly Row[]): string {
  const { size, base, swarm, seeder, seederCount, cap, pieceLength, files, rounds } = options;
  const limit = cap === null ? "" : ` (${(cap / 1e6).toFixed(1)} MB/s${seederCount === 1 ? "" : " each"})`;
  const what = `${size / 2 ** 20} MiB in ${files} ${files === 1 ? "file" : "files"}, pieces of ${
    pieceLength / 1024
  } KiB`;
  const how = swarm === null ? "one leecher at a time" : `${swarm} leechers at once`;
  const table = swarm === null
    ? turnTable(rows, { size, base })
    : swarmTable(rows, { size, bound: fluidBound(options) });
  return `${what}; seeded by ${seederCount} ${seeder.name}${limit}; ${how}; medians of ${rounds}, greatest peaks.\n\n${table}`;
}

function say(text: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(`${text}\n`));
}

function print(text: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(text));
}
