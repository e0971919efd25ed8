/**
 * Compares swarms of Shoals with what is possible: one seeder and N equal leechers that arrive together, on the
 * simulated network of `tests/simulation`. The seed determines every figure. The bound is the fluid one: the seeder
 * must send one copy, each leecher must receive one, and all uplinks together must carry one for each leecher.
 *
 *     deno task bench:swarm-quality [--seed N] [--leechers 1,10,100,500] [--verbose]
 *
 * @module
 */

import { parseArgs } from "node:util";
import { World } from "../tests/simulation/world.ts";

/** Bytes of the torrent. */
const SIZE = 16 * 1024 * 1024;
/** Bytes of a piece. */
const PIECE = 64 * 1024;
/** Upload of the seeder in bytes a second. */
const SEEDER_UP = 256 * 1024;
/** Upload of a leecher in bytes a second. */
const LEECHER_UP = 128 * 1024;
/** Download of a leecher in bytes a second. */
const LEECHER_DOWN = 1024 * 1024;
/** Milliseconds from a host to the middle of the network. */
const LATENCY = 20;
/** Most random milliseconds that are added to the latency. */
const JITTER = 10;
/** Milliseconds within which the leechers arrive. */
const ARRIVAL_MS = 1000;

/** Result of one swarm. Times are in seconds. */
interface Result {
  readonly leechers: number;
  /** Least time that is possible for the last leecher. */
  readonly bound: number;
  readonly median: number;
  readonly worst: number;
  /** Copies that the seeder had sent when the leechers together had every piece. */
  readonly copies: number;
  /** Time until then. */
  readonly out: number;
  /** Duplicate or wrong payload, as a part of all payload. */
  readonly waste: number;
  /** Copies that the seeder had sent when the last leecher was complete. */
  readonly seeder: number;
}

async function measure(leechers: number, seed: number, log: (line: string) => void): Promise<Result> {
  const world = new World({ seed, watched: false });
  const tracker = world.addTracker();
  tracker.interval = 60;
  world.share({ pieceLength: PIECE, sizes: [SIZE] });
  const profile = (up: number, down: number) => ({ up, down, latency: LATENCY, jitter: JITTER });
  const seeder = world.addHost({ name: "seeder", profile: profile(SEEDER_UP, Infinity) });
  seeder.plant(() => true);
  world.go(seeder.start());
  await world.pass(500);
  const begin = world.clock.now();
  const others = Array.from(
    { length: leechers },
    (_, i) => world.addHost({ name: `leecher ${i}`, profile: profile(LEECHER_UP, LEECHER_DOWN) }),
  );
  const starts = others.map(() => world.between(0, ARRIVAL_MS));
  others.forEach((host, i) => world.later(starts[i]!, () => host.start()));
  const { pieceCount } = world.truth.meta;
  const missing = new Set(Array.from({ length: pieceCount }, (_, i) => i));
  let copies = NaN;
  let out = NaN;
  let lastLook = begin;
  let lastSent = 0;
  const look = () => {
    for (const index of missing) {
      if (others.some((host) => host.torrent?.have.has(index))) missing.delete(index);
    }
    if (missing.size === 0 && Number.isNaN(copies)) {
      copies = (seeder.torrent?.uploaded ?? 0) / SIZE;
      out = (world.clock.now() - begin) / 1000;
    }
    const now = world.clock.now();
    if (now - lastLook >= 5000) {
      const sent = others.reduce((sum, host) => sum + (host.torrent?.uploaded ?? 0), 0);
      const use = (sent - lastSent) / (leechers * LEECHER_UP * (now - lastLook) / 1000);
      const have = others.map((host) => host.torrent?.have.count ?? 0).sort((a, b) => a - b);
      log(
        `${((now - begin) / 1000).toFixed(0).padStart(4)} s  uplinks used ${(100 * use).toFixed(0)}%  pieces ` +
          `${have[0]}..${have[have.length >> 1]}..${have.at(-1)} of ${pieceCount}, not out ${missing.size}, ` +
          `seeder sent ${((seeder.torrent?.uploaded ?? 0) / SIZE).toFixed(2)} copies`,
      );
      lastLook = now;
      lastSent = sent;
    }
  };
  let nextLook = begin;
  await world.run(() => {
    if (world.clock.now() >= nextLook) {
      look();
      nextLook = world.clock.now() + 500;
    }
    return others.every((host) => host.isComplete);
  }, { limit: 4 * 3_600_000, what: "every leecher finishes" });
  look();
  const times = others.map((host, i) => (host.completedAt! - begin - starts[i]!) / 1000).sort((a, b) => a - b);
  const wasted = others.reduce((sum, host) => sum + host.torrent!.pieces!.started.wasted, 0);
  return {
    leechers,
    bound: Math.max(
      SIZE / SEEDER_UP,
      SIZE / LEECHER_DOWN,
      leechers * SIZE / (SEEDER_UP + leechers * LEECHER_UP),
    ),
    median: times[times.length >> 1]!,
    worst: times.at(-1)!,
    copies,
    out,
    waste: wasted / (SIZE * leechers),
    seeder: (seeder.torrent?.uploaded ?? 0) / SIZE,
  };
}

const { values } = parseArgs({
  args: Deno.args,
  options: {
    seed: { type: "string", default: "1" },
    leechers: { type: "string", default: "1,10,100,500" },
    verbose: { type: "boolean", default: false },
  },
});
const log = (line: string) =>
  values.verbose ? void Deno.stderr.writeSync(new TextEncoder().encode(`${line}\n`)) : undefined;
const write = (line: string) => void Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
write(
  "| leechers | bound | median | of bound | last | of bound | all pieces out | copies sent by then | by the end | came twice |",
);
write("|---|---|---|---|---|---|---|---|---|---|");
for (const leechers of values.leechers.split(",").map(Number)) {
  const r = await measure(leechers, Number(values.seed), log);
  const s = (seconds: number) => `${seconds.toFixed(1)} s`;
  write(
    `| ${r.leechers} | ${s(r.bound)} | ${s(r.median)} | ${(r.median / r.bound).toFixed(2)} | ${s(r.worst)} | ` +
      `${(r.worst / r.bound).toFixed(2)} | ${s(r.out)} | ${r.copies.toFixed(2)} | ${r.seeder.toFixed(2)} | ` +
      `${(100 * r.waste).toFixed(1)}% |`,
  );
}
