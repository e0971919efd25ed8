/**
 * `shoal demo`: starts a swarm on this machine and downloads from it.
 *
 * @module
 */

import type { Command } from "commander";
import { toHex } from "../base/bytes.ts";
import { ShoalError } from "../base/errors.ts";
import type { SessionEvent } from "../session/session_events.ts";
import { formatColumnSize, formatDuration, formatRate, formatSize } from "../ui/format.ts";
import type { Context } from "./context.ts";
import { LOOPBACK, sha256OfFile, startDemoSwarm } from "./demo_swarm.ts";
import { EXIT_DONE } from "./exit_codes.ts";
import { badValue, parseRate, parseSize } from "./option_values.ts";

/** Smallest payload, in bytes. A smaller download would finish before the progress shows. */
const MIN_SIZE = 1024 * 1024;
const DEFAULT_SIZE = 256 * 1024 * 1024;
/** Default rate limit, in bytes per second. The download lasts 20 s, so that there is time to look and to press keys. */
const DEFAULT_RATE = 13 * 1024 * 1024;

interface DemoOptions {
  readonly size: number;
  readonly limit: number;
  readonly json?: true;
  readonly quiet?: true;
  readonly verbose: number;
}

/** Bytes exchanged with one peer. */
interface Traffic {
  from: number;
  to: number;
}

/** Adds `shoal demo` to the program. */
export function register(program: Command, context: Context): void {
  program
    .command("demo")
    .summary("a whole swarm on this machine, downloaded before your eyes")
    .description(
      "Makes a payload, starts a tracker, three seeders and another leecher on this machine, downloads from all of " +
        "them at once, compares the result with the original, and cleans up. The limit makes it last about 20 s, so that " +
        "there is time to press keys. On a terminal, the last picture stays until a key is pressed.",
    )
    .option("--size <size>", "how much to download (default: 256M)", parsePayloadSize)
    .option(
      "--limit <rate>",
      "download limit in bytes per second, like 500K or 5M; 0 for no limit (default: 13M)",
      (value) => parseRate(value, "--limit"),
    )
    .option("--json", "one JSON object a line on standard output")
    .option("-q, --quiet", "no progress; errors on standard error")
    .option("-v, --verbose", "log lines on standard error; repeat for more", (_, count: number) => count + 1, 0)
    .action(async (given: Partial<DemoOptions> & Pick<DemoOptions, "verbose">) => {
      const options = { size: DEFAULT_SIZE, limit: DEFAULT_RATE, ...given };
      context.verbosity = options.verbose;
      context.exitCode = await demo(options, context);
    });
}

async function demo(options: DemoOptions, context: Context): Promise<number> {
  const { platform, terminal, shutdown } = context;
  const parent = terminal.env("TMPDIR") ?? terminal.env("TEMP") ?? "/tmp";
  const folder = `${parent}/shoal-demo-${toHex(platform.randomBytes(6))}`;
  const say = (text: string) =>
    options.quiet ? undefined : (options.json ? terminal.stderr : terminal.stdout).write(text);
  shutdown.listen();
  const forget = terminal.removeAtExit(folder);
  try {
    await say(`Making ${formatSize(options.size)} of random data and a swarm that has it ...\n`);
    const { size, limit } = options;
    const swarm = await startDemoSwarm(platform, { folder, size, maxDown: limit || null, signal: shutdown.signal });
    try {
      await say(plan(options));
      const traffic = new Map<string, Traffic>();
      const code = await watch(options, { context, traffic, meta: swarm.meta, folder: `${folder}/download` });
      if (code !== EXIT_DONE) return code;
      const copy = `${folder}/download/${swarm.meta.name}`;
      const digest = await sha256OfFile(platform, { path: copy, signal: shutdown.signal });
      if (digest !== swarm.sha256) {
        throw new ShoalError("torrent", {
          what: "the download differs from the original",
          where: swarm.meta.name,
          why: `its SHA-256 is ${digest}, not ${swarm.sha256}`,
        });
      }
      await say(report(traffic, swarm.names) + `Download and original have the same SHA-256:\n  ${digest}\n`);
      return EXIT_DONE;
    } finally {
      await swarm.close();
    }
  } finally {
    await platform.files.remove(folder);
    forget();
  }
}

/** Options for {@linkcode watch}. */
interface WatchOptions {
  /** The environment. */
  readonly context: Context;
  /** Filled with the traffic of each peer, by address. */
  readonly traffic: Map<string, Traffic>;
  /** Torrent to download. */
  readonly meta: Awaited<ReturnType<typeof startDemoSwarm>>["meta"];
  /** Download folder. */
  readonly folder: string;
}

/** Downloads as `shoal download` does, and counts the bytes exchanged with each peer. Returns the exit code. */
async function watch(options: DemoOptions, parts: WatchOptions): Promise<number> {
  const { context, traffic, meta, folder } = parts;
  const { runTransfer } = await import("./transfer.ts");
  const engine: Context["engine"] = {
    ...context.engine,
    async createSession(settings) {
      const session = await context.engine.createSession(settings);
      session.subscribe((event) => count(event, traffic));
      return session;
    },
  };
  return await runTransfer({
    load: () => Promise.resolve([{ source: meta, options: { folder } }]),
    session: { platform: context.platform, port: 0, bind: LOOPBACK, maxDown: options.limit || null },
    show: options,
    hold: true,
    seed: null,
    idle: null,
  }, { ...context, engine });
}

/** Returns a line that says how fast the download may be, and how long it takes. */
function plan({ size, limit }: DemoOptions): string {
  if (limit === 0) return "Downloading it without a limit ...\n";
  const seconds = formatDuration(size / limit);
  return `Downloading it at up to ${formatRate(limit)}, which takes about ${seconds} (--limit 0 for no limit) ...\n`;
}

function count(event: SessionEvent, traffic: Map<string, Traffic>): void {
  if (event.event !== "peer" || event.action !== "disconnected") return;
  const sum = traffic.get(event.address) ?? { from: 0, to: 0 };
  sum.from += event.downloaded ?? 0;
  sum.to += event.uploaded ?? 0;
  traffic.set(event.address, sum);
}

/** Returns lines that show the bytes received from and sent to each peer. */
function report(traffic: ReadonlyMap<string, Traffic>, names: ReadonlyMap<string, string>): string {
  const rows = [...traffic].map(([address, { from, to }]) => ({
    name: names.get(address) ?? address,
    address,
    from,
    to,
  }));
  const all = rows.reduce((sum, row) => sum + row.from, 0);
  const lines = rows
    .sort((a, b) => a.name.localeCompare(b.name))
    .map(({ name, address, from, to }) => {
      const share = all === 0 ? 0 : Math.round(100 * from / all);
      const back = to === 0 ? "" : `, sent it ${formatSize(to)}`;
      return `  ${name.padEnd(18)} ${address.padEnd(16)} ${formatColumnSize(from).padStart(10)}  ${share} %${back}\n`;
    });
  return `What came from whom:\n${lines.join("")}`;
}

function parsePayloadSize(value: string): number {
  const size = parseSize(value, "--size");
  if (size < MIN_SIZE) {
    throw badValue("--size", { value, why: `it must be at least ${formatSize(MIN_SIZE)}` });
  }
  return size;
}
