/**
 * Compares rate limits with the rates that result: `deno task bench:limits [seconds]`. Every figure is a mean over
 * `seconds`, 10 by default, that begin two seconds after the first byte. The limit is set from the start. All traffic
 * goes over loopback. The other end is aria2, or Shoal where the table says so; the rate to aria2 is measured by the
 * data that it has written.
 *
 * @module
 */

import { encodeSingleFile } from "../src/metainfo/encode_torrent.ts";
import { type Metainfo, parseMetainfo } from "../src/metainfo/mod.ts";
import { denoPlatform as platform } from "../src/platform/deno_platform.ts";
import { TrackerServer } from "../src/tracker_server/server.ts";
import { Session, type SessionOptions, type TorrentHandle } from "../src/session/session.ts";

const HOST = "127.0.0.1";
const PIECE = 256 * 1024;
const KIB = 1024;
const MIB = 1024 * KIB;
const SECONDS = Number(Deno.args[0] ?? 10);
const SETTLE_SECONDS = 2;

const folder = Deno.makeTempDirSync({ prefix: "shoal_limits_" });
const tracker = TrackerServer.start(platform, { host: HOST, port: 0, interval: 5 });
/**
 * Torrents without a tracker. Peers that are given explicitly must not find others, because data between them would not
 * count towards the measured limit.
 */
const withoutTracker = new Map<string, Metainfo>();
const random = new Uint8Array(MIB);
for (let at = 0; at < MIB; at += 65536) crypto.getRandomValues(random.subarray(at, at + 65536));

/** Makes a torrent of random bytes with different pieces. */
async function makeTorrent(name: string, size: number): Promise<Metainfo> {
  using file = Deno.openSync(`${folder}/${name}`, { create: true, write: true });
  const digests: Uint8Array[] = [];
  const piece = new Uint8Array(PIECE);
  for (let at = 0; at < size; at += PIECE) {
    piece.set(random.subarray(at % MIB, at % MIB + PIECE));
    new DataView(piece.buffer).setFloat64(0, at);
    digests.push(await platform.sha1(piece));
    file.writeSync(piece);
  }
  const parts = { name, length: size, pieceLength: PIECE, digests };
  Deno.writeFileSync(`${folder}/${name}.torrent`, encodeSingleFile({ ...parts, announce: tracker.url }));
  withoutTracker.set(name, parseMetainfo(encodeSingleFile({ ...parts, announce: "" })));
  return parseMetainfo(encodeSingleFile({ ...parts, announce: tracker.url }));
}

async function start(options: Partial<SessionOptions> = {}): Promise<Session> {
  const session = new Session({ platform, port: 0, bind: HOST, ...options });
  await session.start();
  return session;
}

async function seed(meta: Metainfo, options: Partial<SessionOptions> = {}): Promise<Session> {
  const session = await start(options);
  await (await session.add(meta, { folder, seedOnly: true, trust: true })).finished;
  return session;
}

const sleep = (seconds: number) => new Promise<void>((resolve) => setTimeout(resolve, 1000 * seconds));

/** Returns the bytes a second of each counter. */
async function measure(counters: readonly (() => number)[]): Promise<number[]> {
  while (counters.some((count) => count() === 0)) await sleep(0.01);
  await sleep(SETTLE_SECONDS);
  const began = performance.now();
  const before = counters.map((count) => count());
  await sleep(SECONDS);
  const seconds = (performance.now() - began) / 1000;
  return counters.map((count, i) => (count() - before[i]!) / seconds);
}

/** Returns a counter of the bytes that a leecher has downloaded. */
const downOf = (torrent: TorrentHandle) => () => torrent.snapshot().downloaded;
/** Returns counters of the bytes from or to each peer of a torrent. */
function peersOf(torrent: TorrentHandle, way: "downloaded" | "uploaded"): (() => number)[] {
  // The address of a peer that dialled us changes once it has sent its listening port.
  const hostOf = (address: string) => address.replace(/:\d+$/, "");
  const hosts = torrent.snapshot().peers.map(({ address }) => hostOf(address));
  return hosts.map((host) => () =>
    torrent.snapshot().peers.find(({ address }) => hostOf(address) === host)?.[way] ?? 0
  );
}

const text = (bytes: number) =>
  bytes >= MIB ? `${(bytes / MIB).toFixed(2)} MiB/s` : `${(bytes / KIB).toFixed(1)} KiB/s`;
function row(what: string, asked: number, got: readonly number[]): void {
  const sum = got.reduce((total, one) => total + one, 0);
  const each = got.length > 1 ? `  (${got.map(text).join(", ")})` : "";
  print(`| ${what} | ${text(asked)} | ${text(sum)} | ${(100 * (sum / asked - 1)).toFixed(1)}% |${each}`);
}

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

let number = 0;
async function leech(session: Session, meta: Metainfo, seeds: readonly Session[]): Promise<TorrentHandle> {
  const into = `${folder}/out${number++}`;
  Deno.mkdirSync(into);
  const torrent = seeds.length === 0 ? meta : withoutTracker.get(meta.name)!;
  return await session.add(torrent, { folder: into, peers: seeds.map((seed) => seed.listenAddress) });
}

/** Runs aria2 with or without the data until disposed. */
function aria2(meta: Metainfo, mode: "seed" | "leech") {
  const into = mode === "seed" ? folder : `${folder}/out${number++}`;
  const child = new Deno.Command("aria2c", {
    args: [
      "--no-conf",
      "--enable-dht=false",
      "--enable-dht6=false",
      "--bt-enable-lpd=false",
      "--enable-peer-exchange=false",
      "--disable-ipv6=true",
      "--file-allocation=none",
      "--allow-overwrite=true",
      "--disk-cache=0",
      "--seed-ratio=0",
      "--bt-tracker-interval=1",
      `--listen-port=${40_000 + number++}`,
      `--dir=${into}`,
      ...(mode === "seed" ? ["--bt-seed-unverified=true"] : []),
      `${folder}/${meta.name}.torrent`,
    ],
    stdout: "null",
    stderr: "null",
  }).spawn();
  return {
    /** Returns the bytes that aria2 has written. */
    written: () => {
      try {
        return 512 * (Deno.statSync(`${into}/${meta.name}`).blocks ?? 0);
      } catch {
        return 0;
      }
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.status;
    },
  };
}

async function all(sessions: readonly Session[]): Promise<void> {
  await Promise.all(sessions.map((session) => session.stop()));
}

print("| what | asked | got | off |\n|---|---|---|---|");
const a = await makeTorrent("a.bin", 256 * MIB);
const b = await makeTorrent("b.bin", 256 * MIB);
try {
  for (const rate of [500 * KIB, 2 * MIB, 10 * MIB]) {
    {
      await using _ = aria2(a, "seed");
      const leecher = await start({ maxDown: rate });
      row("down from aria2", rate, await measure([downOf(await leech(leecher, a, []))]));
      await all([leecher]);
    }
    {
      await using _ = aria2(a, "seed");
      const leecher = await start();
      const torrent = await leech(leecher, a, []);
      torrent.setLimits({ down: rate });
      row("down from aria2, the torrent's own limit", rate, await measure([downOf(torrent)]));
      await all([leecher]);
    }
    {
      const seeder = await seed(a);
      seeder.torrents[0]!.setLimits({ up: rate });
      await using leecher = aria2(a, "leech");
      row("up to aria2, the torrent's own limit", rate, await measure([leecher.written]));
      await all([seeder]);
    }
    {
      const seeder = await seed(a, { maxUp: rate });
      await using leecher = aria2(a, "leech");
      row("up to aria2", rate, await measure([leecher.written]));
      await all([seeder]);
    }
    {
      const seeders = [await seed(a, { bind: "127.0.0.2" }), await seed(a, { bind: "127.0.0.3" })];
      const leecher = await start({ maxDown: rate });
      const torrent = await leech(leecher, a, seeders);
      while (torrent.snapshot().peers.length < 2) await sleep(0.01);
      row("down, two peers (Shoal)", rate, await measure(peersOf(torrent, "downloaded")));
      await all([leecher, ...seeders]);
    }
    {
      const seeders = [await seed(a), await seed(b)];
      const leecher = await start({ maxDown: rate });
      const torrents = [await leech(leecher, a, [seeders[0]!]), await leech(leecher, b, [seeders[1]!])];
      row("down, two torrents (Shoal)", rate, await measure(torrents.map(downOf)));
      await all([leecher, ...seeders]);
    }
    {
      const seeder = await seed(a, { maxUp: rate });
      const leechers = [await start({ bind: "127.0.0.2" }), await start({ bind: "127.0.0.3" })];
      const torrents = [await leech(leechers[0]!, a, [seeder]), await leech(leechers[1]!, a, [seeder])];
      const [seeding] = seeder.torrents;
      while (seeding!.snapshot().peers.length < torrents.length) await sleep(0.01);
      row("up, two peers (Shoal)", rate, await measure(peersOf(seeding!, "uploaded")));
      await all([seeder, ...leechers]);
    }
  }
} finally {
  await tracker.close();
  await Deno.remove(folder, { recursive: true });
}
