/**
 * `shoal tracker`: runs a tracker.
 *
 * @module
 */

import { type Command, Option } from "commander";
import { fromHex } from "../base/bytes.ts";
import { InfoHash, InfoHashV2 } from "../base/info_hash.ts";
import type { InfoHashes } from "../base/info_hashes.ts";
import { type IpRanges, parseNetworks } from "../base/ip_ranges.ts";
import type { TrackerServer, TrackerStatistics } from "../tracker_server/server.ts";
import { jsonText } from "../ui/json_text.ts";
import type { Context } from "./context.ts";
import { badValue, parseDuration, parseIpAddress, parsePort, parseWhole } from "./option_values.ts";
import { startOnPort, startTracker } from "./start_tracker.ts";

const DEFAULT_PORT = 6969;
const DEFAULT_INTERVAL_S = 1800;
/** A shorter interval would not bring peers any news. */
const MIN_INTERVAL_S = 5;
const MAX_INTERVAL_S = 86_400;
/** Milliseconds between two lines of statistics. Unchanged statistics are not repeated. */
const STATISTICS_MS = 10_000;

interface TrackerOptions {
  readonly port: number;
  readonly bind?: string;
  readonly interval: number;
  /** Info-hashes, and paths of torrent files. */
  readonly allow?: readonly (InfoHash | string)[];
  readonly maxTorrents?: number;
  readonly maxPeers?: number;
  readonly maxRate?: number;
  readonly trustForwarded?: IpRanges;
  readonly trustIp?: IpRanges;
  readonly json?: true;
  readonly quiet?: true;
  readonly verbose: number;
}

/** Adds `shoal tracker` to the program. */
export function register(program: Command, context: Context): void {
  const networks = (flag: string) => (value: string) => parseNetworkList(value, flag);
  const whole = (flag: string) => (value: string) => parseWhole(value, { flag, min: 1, max: 10_000_000 });
  program
    .command("tracker")
    .summary("run a tracker (HTTP and UDP)")
    .description("Runs a tracker, over HTTP and UDP on the same port, for any client, until interrupted.")
    .addOption(
      new Option("-p, --port <n>", "port; 0 for any").argParser((v: string) => parsePort(v, "--port"))
        .default(DEFAULT_PORT, "6969"),
    )
    .option("--bind <ip>", "address to listen on (default: all)", (v) => parseIpAddress(v, "--bind"))
    .addOption(
      new Option("--interval <t>", "time between announces of a peer").argParser(parseInterval)
        .default(DEFAULT_INTERVAL_S, "30m"),
    )
    .option("--allow <infohash>", "serve this torrent (or .torrent) and no others, repeatable", collectAllowed)
    .option("--max-torrents <n>", "torrents at a time (default: 10000)", whole("--max-torrents"))
    .option("--max-peers <n>", "peers at a time, of all torrents together (default: 200000)", whole("--max-peers"))
    .option("--max-rate <n>", "announces and scrapes per second from one address (default: 20)", whole("--max-rate"))
    .option(
      "--trust-forwarded <list>",
      "addresses and networks of reverse proxies whose X-Forwarded-For is believed (default: none)",
      networks("--trust-forwarded"),
    )
    .option(
      "--trust-ip <list>",
      "addresses and networks of clients that may announce another address with ip= (default: none)",
      networks("--trust-ip"),
    )
    .option("--json", "one JSON object a line on standard output")
    .option("-q, --quiet", "no statistics; errors on standard error")
    .option("-v, --verbose", "show the stack of an error", (_, count: number) => count + 1, 0)
    .action(async (options: TrackerOptions) => {
      context.verbosity = options.verbose;
      context.exitCode = await runTracker(options, context);
    });
}

async function runTracker(options: TrackerOptions, context: Context): Promise<number> {
  const { platform, shutdown } = context;
  shutdown.listen();
  const { TrackerServer } = await import("../tracker_server/server.ts");
  const { port, interval, allow, maxTorrents, maxPeers, maxRate, trustForwarded, trustIp } = options;
  const allowed = allow && await Promise.all(allow.map((torrent) => allowedTorrent(torrent, context)));
  const start = (host: string) =>
    TrackerServer.start(platform, {
      host,
      port,
      interval,
      udp: platform,
      trust: {
        ...(trustForwarded !== undefined && { proxies: trustForwarded }),
        ...(trustIp !== undefined && { clients: trustIp }),
      },
      ...(maxRate !== undefined && { rate: maxRate }),
      warn: (message) => void context.terminal.stderr.write(`shoal: warning: ${message}\n`),
      ...(allowed !== undefined && { allow: allowed }),
      ...(maxTorrents !== undefined && { maxTorrents }),
      ...(maxPeers !== undefined && { maxPeers }),
    });
  const tracker = startOnPort(() => startTracker(start, options.bind), { port: options.port, flag: "--port" });
  const voice = new TrackerReporter(tracker, { options, context });
  try {
    await voice.greet();
    voice.tellNews();
    await departed(shutdown.signal);
  } finally {
    voice.stop();
    await tracker.close();
  }
  await voice.leave();
  return shutdown.code;
}

function departed(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

/** Prints the messages of the command, as text or JSON. */
class TrackerReporter {
  readonly #tracker: TrackerServer;
  readonly #options: TrackerOptions;
  readonly #context: Context;
  #last = "";
  #stopped = false;
  #cancel = () => {};

  constructor(tracker: TrackerServer, parts: { readonly options: TrackerOptions; readonly context: Context }) {
    this.#tracker = tracker;
    this.#options = parts.options;
    this.#context = parts.context;
  }

  async greet(): Promise<void> {
    const { url, udpUrl } = this.#tracker;
    if (this.#options.json) return await this.#sayJson({ event: "listening", http: url, udp: udpUrl });
    await this.#say(`Tracker at ${url} and ${udpUrl}\n`);
    if (this.#options.bind === undefined) {
      await this.#say("It listens on every address of this machine: put one that others can reach into torrents.\n");
    }
  }

  /** Prints statistics periodically, if they have changed. */
  tellNews(): void {
    const timer = this.#context.platform.after(STATISTICS_MS, () => {
      // Skip a line if the reader is behind, so that output doesn't pile up.
      if (!this.#context.terminal.stdout.busy) void this.#tell();
      if (!this.#stopped) this.tellNews();
    });
    this.#cancel = () => timer.cancel();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel();
  }

  async leave(): Promise<void> {
    await this.#tell();
    if (this.#options.json) await this.#sayJson({ event: "stopped" });
  }

  async #tell(): Promise<void> {
    const statistics: TrackerStatistics = this.#tracker.statistics;
    const text = jsonText(statistics);
    if (text === this.#last) return;
    this.#last = text;
    if (this.#options.json) await this.#sayJson({ event: "statistics", ...statistics });
    else await this.#say(`${statisticsLine(statistics)}\n`);
  }

  async #say(text: string): Promise<void> {
    if (!this.#options.quiet) await this.#context.terminal.stdout.write(text);
  }

  async #sayJson(event: { readonly event: string; readonly [key: string]: unknown }): Promise<void> {
    const { event: name, ...rest } = event;
    const time = new Date(this.#context.platform.wallClock()).toISOString();
    await this.#context.terminal.stdout.write(`${jsonText({ event: name, time, ...rest })}\n`);
  }
}

function parseInterval(value: string): number {
  const seconds = Math.round(parseDuration(value, "--interval"));
  if (seconds >= MIN_INTERVAL_S && seconds <= MAX_INTERVAL_S) return seconds;
  throw badValue("--interval", { value, why: "an interval from 5s to 1d was expected" });
}

function parseNetworkList(value: string, flag: string): IpRanges {
  const parsed = parseNetworks(value);
  if ("networks" in parsed) return parsed.networks;
  throw badValue(flag, { value: parsed.bad, why: "addresses and networks were expected, like 127.0.0.1,10.0.0.0/8" });
}

function collectAllowed(value: string, torrents: readonly (InfoHash | string)[] = []): readonly (InfoHash | string)[] {
  if (/\.torrent$/i.test(value)) return [...torrents, value];
  const bytes = fromHex(value);
  if (bytes?.length === InfoHash.LENGTH) return [...torrents, new InfoHash(bytes)];
  if (bytes?.length === InfoHashV2.LENGTH) return [...torrents, new InfoHashV2(bytes).truncated];
  const why = "an info-hash is 40 hexadecimal digits, or 64 of a v2 torrent, as `shoal info` shows it";
  throw badValue("--allow", { value, why });
}

/** Returns the info-hashes of a torrent that `--allow` names. */
async function allowedTorrent(torrent: InfoHash | string, context: Context): Promise<InfoHash | InfoHashes> {
  if (typeof torrent !== "string") return torrent;
  const [{ readTorrent }, { infoHashesOf }] = await Promise.all([
    import("./torrent_source.ts"),
    import("../metainfo/mod.ts"),
  ]);
  return infoHashesOf(await readTorrent(torrent, context));
}

/**
 * Formats statistics in one line.
 *
 * @param statistics Statistics of the tracker.
 * @returns The line, without line end.
 *
 * @example
 * ```ts
 * statisticsLine(tracker.statistics);
 * // "2 torrents, 5 peers (1 complete) of 4 addresses | 12 announces over HTTP, 7 over UDP | 1 scrape | 0 refused"
 * ```
 */
export function statisticsLine(statistics: TrackerStatistics): string {
  const { torrents, peers, seeders, networks, announces, scrapes, refused } = statistics;
  return [
    `${count(torrents, "torrent")}, ${count(peers, "peer")} (${seeders} complete) of ${
      count(networks, "address", "addresses")
    }`,
    `${count(announces.http, "announce")} over HTTP, ${announces.udp} over UDP`,
    count(scrapes, "scrape"),
    `${refused} refused`,
  ].join(" | ");
}

function count(number: number, noun: string, nouns = `${noun}s`): string {
  return `${number} ${number === 1 ? noun : nouns}`;
}
