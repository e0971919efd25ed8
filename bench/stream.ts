/**
 * Measures how soon a viewer gets data: `shoal download --stream` with one seeder of limited speed, and a client that
 * reads from the beginning, seeks to 90%, and requests the end of the file at the same time. Each round starts in an
 * empty folder.
 *
 *     deno task bench:stream [--mib 200] [--piece 1048576] [--rate 5000000] [--rounds 5] [--seed aria2|libtorrent|shoal]
 *       [--version v1|v2|hybrid]
 *
 * Several piece lengths or versions, separated by commas, are measured in turn and compared with the first. v2 torrents
 * need another seeder than aria2, and show what reading single blocks gains:
 *
 *     deno task bench:stream --seed shoal --version v2 --piece 262144,16777216
 *
 * The environment variable SHOAL names a compiled Shoal to run instead of the source.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { freePort, seedWithAria2 } from "../tests/support/aria2.ts";
import { OFFLINE } from "../tests/support/binary.ts";
import { fromSource } from "../tests/support/from_source.ts";
import { Job } from "../tests/support/job.ts";
import { makeFile, type Payload } from "../tests/support/payload.ts";
import { withScratch } from "../tests/support/scratch.ts";
import { makeTorrent } from "../tests/support/torrents.ts";
import { torrentFile, type TorrentVersion } from "../src/metainfo/mod.ts";
import { denoPlatform } from "../src/platform/deno_platform.ts";
import { createTorrent } from "../src/session/create_torrent.ts";

const MIB = 1024 * 1024;
/** Seconds of reading before the first seek, so that all request queues are full. */
const WATCH_S = 2;

/**
 * A libtorrent that seeds with an upload limit. It checks v2 data at first, since it knows the hashes of blocks only
 * then.
 */
const LIBTORRENT = `
import libtorrent as lt, sys, time
torrent, folder, port, limit = sys.argv[1:]
session = lt.session({'listen_interfaces': '127.0.0.1:' + port, 'enable_dht': False, 'enable_lsd': False,
  'enable_upnp': False, 'enable_natpmp': False, 'out_enc_policy': 2, 'in_enc_policy': 1})
params = lt.add_torrent_params()
params.ti = lt.torrent_info(torrent)
params.save_path = folder
params.flags = 0 if params.ti.info_hashes().has_v2() else lt.torrent_flags.seed_mode
handle = session.add_torrent(params)
handle.set_upload_limit(int(limit))
while not handle.status().is_seeding: time.sleep(0.05)
print('READY', flush=True)
while True: time.sleep(60)
`;
/** Figures of one round. Times are in seconds. */
interface Round {
  /** From the start of the program to the address of the file. */
  readonly address: number;
  /** From the start of the program to the first byte of the file. */
  readonly start: number;
  /** From a request to its first byte, at the beginning of the file. */
  readonly first: number;
  /** From a request to its first byte, at 90% of the file. */
  readonly seek: number;
  /** From a request to its first byte, at the end of the file, while another request reads at 90%. */
  readonly end: number;
  /** From a request to its first byte, back at 45% of the file. */
  readonly back: number;
  /** From the request at 90% to the end of its first MiB. */
  readonly seekMib: number;
  /** Part of the file that had been read before the seek, 0 to 1. */
  readonly part: number;
}

/** A request whose response is read continuously. */
class Watching {
  readonly #stop = new AbortController();
  readonly #startedAt = performance.now();
  readonly #done: Promise<void>;
  #first = Promise.withResolvers<number>();
  #mib = Promise.withResolvers<number>();
  bytes = 0;

  constructor(url: string, begin: number, end?: number) {
    this.#done = this.#read(url, `bytes=${begin}-${end ?? ""}`).catch((error) => {
      if (!this.#stop.signal.aborted) throw error;
    });
  }

  /** Seconds to the first byte. */
  get first(): Promise<number> {
    return this.#first.promise;
  }

  /** Seconds to the end of the first MiB. */
  get mib(): Promise<number> {
    return this.#mib.promise;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }

  async #read(url: string, range: string): Promise<void> {
    const response = await fetch(url, { headers: { range }, signal: this.#stop.signal });
    if (response.status !== 206) throw new Error(`status ${response.status}`);
    for await (const part of response.body!) {
      // The signal doesn't end every body: on some runtimes what has arrived is read to its end.
      if (this.#stop.signal.aborted) return;
      if (this.bytes === 0) this.#first.resolve((performance.now() - this.#startedAt) / 1000);
      this.bytes += part.length;
      if (this.bytes >= MIB) this.#mib.resolve((performance.now() - this.#startedAt) / 1000);
    }
  }
}

async function seeder(
  name: string,
  payload: Payload,
  options: { readonly torrent: string; readonly uploadLimit: number },
): Promise<{ readonly address: string } & AsyncDisposable> {
  if (name === "aria2") return await seedWithAria2(payload, options);
  const port = freePort();
  if (name === "shoal") return await seedWithShoal(payload, { ...options, port });
  if (name !== "libtorrent") throw new Error(`--seed ${name}: aria2, libtorrent or shoal`);
  const argv = [
    "/usr/bin/python3",
    "-c",
    LIBTORRENT,
    options.torrent,
    payload.folder,
    `${port}`,
    `${options.uploadLimit}`,
  ];
  const job = new Job(argv, { name: "libtorrent seed" });
  await job.line((line) => line === "READY", { seconds: 20, what: "it was ready" });
  return { address: `127.0.0.1:${port}`, [Symbol.asyncDispose]: () => job.stop() };
}

/** Seeds with Shoal, which keeps the limit exactly, also of what it sends to this machine. */
async function seedWithShoal(
  { folder }: Payload,
  { torrent, uploadLimit, port }: { readonly torrent: string; readonly uploadLimit: number; readonly port: number },
): Promise<{ readonly address: string } & AsyncDisposable> {
  const limits = ["--max-up", `${uploadLimit}`, "--port", `${port}`, "--bind", "127.0.0.1"];
  const argv = [...command(), "seed", torrent, folder, "--json", ...OFFLINE, ...limits];
  const job = new Job(argv, { name: "shoal seed", env: { XDG_STATE_HOME: `${folder}/state` } });
  await job.line((line) => line.includes('"event":"completed"'), { seconds: 30, what: "it was ready" });
  return { address: `127.0.0.1:${port}`, [Symbol.asyncDispose]: () => job.stop() };
}

function command(): string[] {
  const binary = Deno.env.get("SHOAL");
  return binary ? [binary] : fromSource();
}

async function round(
  payload: Payload,
  options: { readonly torrent: string; readonly peer: string; readonly folder: string },
): Promise<Round> {
  const { torrent, peer, folder } = options;
  const offline = [...OFFLINE, "--port", "0", "--bind", "127.0.0.1", "--peer", peer];
  const argv = [...command(), "download", torrent, "-o", folder, "--stream", "0", "--json", ...offline];
  await using job = new Job(argv, { name: "shoal", env: { XDG_STATE_HOME: folder } });
  const wanted = { seconds: 30, what: "it said where" };
  const line = await job.line((text) => text.includes(`"event":"stream"`), wanted);
  const address = (performance.now() - job.startedAt) / 1000;
  const url = JSON.parse(line).largest as string;
  const beginning = new Watching(url, 0);
  const first = await beginning.first;
  const start = (performance.now() - job.startedAt) / 1000;
  await new Promise((resolve) => setTimeout(resolve, WATCH_S * 1000));
  await beginning.stop();
  const part = beginning.bytes / payload.size;
  const late = new Watching(url, Math.floor(0.9 * payload.size));
  const [seek, seekMib] = [await late.first, await late.mib];
  const last = new Watching(url, payload.size - 65_536);
  const end = await last.first;
  await Promise.all([last.stop(), late.stop()]);
  const middle = new Watching(url, Math.floor(0.45 * payload.size));
  const back = await middle.first;
  await middle.stop();
  await job.stop();
  return { address, start, first, seek, seekMib, end, back, part };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)]!;
}

/** What is measured: a kind of torrent. */
interface Kind {
  readonly version: TorrentVersion;
  /** Bytes of a piece. */
  readonly piece: number;
}

/** Rows of the tables. */
const ROWS: readonly (readonly [name: string, of: (round: Round) => number])[] = [
  ["start of the program to the file's address", ({ address }) => address],
  ["start of the program to the first byte", ({ start }) => start],
  ["request to first byte, beginning", ({ first }) => first],
  ["request to first byte, seek to 90%", ({ seek }) => seek],
  ["request to first MiB, seek to 90%", ({ seekMib }) => seekMib],
  ["request to first byte, last 64 KiB, while 90% is being read", ({ end }) => end],
  ["request to first byte, back to 45%", ({ back }) => back],
];

const { values } = parseArgs({
  args: Deno.args,
  options: {
    mib: { type: "string", default: "200" },
    piece: { type: "string", default: String(MIB) },
    rate: { type: "string", default: "5000000" },
    rounds: { type: "string", default: "5" },
    seed: { type: "string", default: "aria2" },
    version: { type: "string", default: "v1" },
  },
});
const uploadLimit = Number(values.rate);

function nameOf({ version, piece }: Kind): string {
  return `${version}, pieces of ${piece / 1024} KiB`;
}

function kindsOf(versions: string, pieces: string): Kind[] {
  return versions.split(",").flatMap((version) => {
    if (version !== "v1" && version !== "v2" && version !== "hybrid") {
      throw new Error(`--version ${version}: v1, v2 or hybrid`);
    }
    if (version === "v2" && values.seed === "aria2") throw new Error("aria2 knows no v2 torrents: --seed shoal");
    return pieces.split(",").map((piece) => ({ version, piece: Number(piece) }));
  });
}

async function writeTorrent(payload: Payload, path: string, { version, piece }: Kind): Promise<void> {
  if (version === "v1") return void await makeTorrent(payload, { path, pieceLength: piece });
  const source = `${payload.folder}/${payload.name}`;
  const { meta } = await createTorrent(source, { platform: denoPlatform, version, pieceLength: piece });
  await Deno.writeFile(path, torrentFile(meta.info, meta));
}

async function measure(payload: Payload, folder: string, kind: Kind): Promise<Round[]> {
  const torrent = `${folder}/film.torrent`;
  await writeTorrent(payload, torrent, kind);
  const rounds: Round[] = [];
  for (let i = 0; i < Number(values.rounds); i++) {
    // Each round has its own seeder, so that unused upload allowance doesn't carry over.
    await using seed = await seeder(values.seed, payload, { torrent, uploadLimit });
    rounds.push(await round(payload, { torrent, peer: seed.address, folder: `${folder}/${i}` }));
  }
  return rounds;
}

function tableOf(kind: Kind, rounds: readonly Round[]): string {
  const what = `${values.mib} MiB, ${nameOf(kind)}, ${values.seed} at ${uploadLimit / 1e6} MB/s`;
  const lines = [`| ${what} | median | of ${rounds.length} |`, "| --- | --- | --- |"];
  for (const [name, of] of ROWS) {
    const all = rounds.map(of);
    lines.push(`| ${name} | ${median(all).toFixed(2)} s | ${all.map((value) => value.toFixed(2)).join(", ")} |`);
  }
  const parts = rounds.map(({ part }) => `${(100 * part).toFixed(0)}%`).join(", ");
  return `${lines.join("\n")}\n\nRead before the seek: ${parts}\n\n`;
}

/** Compares medians: how many times as long as with the first kind everything takes with the others. */
function comparison(results: readonly (readonly [Kind, readonly Round[]])[]): string {
  const [first, base] = results[0]!;
  const others = results.slice(1);
  const names = others.map(([kind]) => nameOf(kind));
  const lines = [`| times ${nameOf(first)} | ${names.join(" | ")} |`, `| --- |${" --- |".repeat(others.length)}`];
  for (const [name, of] of ROWS) {
    const ratios = others.map(([, rounds]) => (median(rounds.map(of)) / median(base.map(of))).toFixed(2));
    lines.push(`| ${name} | ${ratios.join(" | ")} |`);
  }
  return `${lines.join("\n")}\n`;
}

async function say(text: string): Promise<void> {
  await new Blob([text]).stream().pipeTo(Deno.stdout.writable, { preventClose: true });
}

await withScratch(async (folder) => {
  const payload = await makeFile(`${folder}/source`, { name: "film.mp4", size: Number(values.mib) * MIB, seed: 1 });
  const results: [Kind, readonly Round[]][] = [];
  for (const [i, kind] of kindsOf(values.version, values.piece).entries()) {
    const scratch = `${folder}/${i}`;
    await Deno.mkdir(scratch);
    const rounds = await measure(payload, scratch, kind);
    results.push([kind, rounds]);
    await say(tableOf(kind, rounds));
    await Deno.remove(scratch, { recursive: true });
  }
  if (results.length > 1) await say(comparison(results));
});
