/**
 * Measures the peak memory of a Shoal that downloads several torrents with large pieces at once from a libtorrent on
 * the same machine (Debian's python3-libtorrent), and checks the data:
 *
 *     deno task bench:memory [--torrents 12] [--piece 16777216] [--mib 96] [--cache 64M] [--rounds 3] [--rate BYTES]
 *
 * The figure is the system's high-water mark of the process (VmHWM). Besides the cache it includes the program itself,
 * receive buffers, and garbage that has not been collected yet. The variable `SHOAL` names a compiled Shoal to run
 * instead of the source.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { freePort } from "../tests/support/aria2.ts";
import { environment, OFFLINE } from "../tests/support/binary.ts";
import { fromSource } from "../tests/support/from_source.ts";
import { Job } from "../tests/support/job.ts";
import { assertSame, makeFile, type Payload } from "../tests/support/payload.ts";
import { withScratch } from "../tests/support/scratch.ts";
import { makeTorrent } from "../tests/support/torrents.ts";
import { cpuSeconds, peakMemory } from "./many/processes.ts";

const MIB = 1024 * 1024;
/** Most seconds for one round. */
const PATIENCE = 300;

/** A libtorrent that seeds all torrents. */
const LIBTORRENT = `
import libtorrent as lt, sys, time
port, folder, rate = sys.argv[1:4]
session = lt.session({'listen_interfaces': '127.0.0.1:' + port, 'enable_dht': False, 'enable_lsd': False,
  'enable_upnp': False, 'enable_natpmp': False, 'out_enc_policy': 2, 'in_enc_policy': 1, 'active_limit': 500,
  'active_seeds': 500, 'unchoke_slots_limit': 500, 'upload_rate_limit': int(rate)})
for torrent in sys.argv[4:]:
  params = lt.add_torrent_params()
  params.ti = lt.torrent_info(torrent)
  params.save_path = folder
  params.flags = lt.torrent_flags.seed_mode
  session.add_torrent(params)
while not all(handle.status().is_seeding for handle in session.get_torrents()): time.sleep(0.05)
print('READY', flush=True)
while True: time.sleep(60)
`;

const { values } = parseArgs({
  args: Deno.args,
  options: {
    torrents: { type: "string", default: "12" },
    piece: { type: "string", default: String(16 * MIB) },
    mib: { type: "string", default: "96" },
    cache: { type: "string", default: "64M" },
    rounds: { type: "string", default: "3" },
    rate: { type: "string", default: "0" },
  },
});

/** One download of all torrents. */
interface Round {
  /** Peak memory in MiB. */
  readonly peak: number;
  readonly seconds: number;
  readonly cpu: number;
}

async function round(torrents: readonly string[], folder: string, peer: string): Promise<Round> {
  const command = Deno.env.get("SHOAL") ? [Deno.env.get("SHOAL")!] : fromSource();
  const options = ["--cache", values.cache, "--json", ...OFFLINE, "--port", "0", "--bind", "127.0.0.1", "--peer", peer];
  // Shoal seeds after the download, so that the figures of its process can still be read.
  const argv = [...command, "download", ...torrents, "-o", `${folder}/out`, "--seed", ...options];
  await using job = new Job(argv, { name: "shoal", cwd: folder, env: environment(folder) });
  let completed = 0;
  const isLast = (line: string) => line.includes(`"event":"completed"`) && ++completed === torrents.length;
  await job.line(isLast, { seconds: PATIENCE, what: "everything was complete" });
  const seconds = (performance.now() - job.startedAt) / 1000;
  return { peak: peakMemory(job.pid), seconds, cpu: cpuSeconds(job.pid) };
}

/** Returns the peak memory in MiB with nothing to download: the same command without a peer. */
async function idle(torrents: readonly string[], folder: string): Promise<number> {
  const command = Deno.env.get("SHOAL") ? [Deno.env.get("SHOAL")!] : fromSource();
  const options = ["--cache", values.cache, "--json", ...OFFLINE, "--port", "0", "--bind", "127.0.0.1"];
  const argv = [...command, "download", ...torrents, "-o", `${folder}/idle`, ...options];
  await using job = new Job(argv, { name: "shoal", cwd: folder, env: environment(folder) });
  let started = 0;
  const isLast = (line: string) => line.includes(`"event":"progress"`) && ++started > torrents.length;
  await job.line(isLast, { seconds: PATIENCE, what: "everything was started" });
  return peakMemory(job.pid);
}

await withScratch(async (folder) => {
  const payloads: Payload[] = [];
  const torrents: string[] = [];
  for (let i = 0; i < Number(values.torrents); i++) {
    const payload = await makeFile(`${folder}/source`, {
      name: `${i}.bin`,
      size: Number(values.mib) * MIB + i,
      seed: i,
    });
    payloads.push(payload);
    torrents.push(`${folder}/${i}.torrent`);
    await makeTorrent(payload, { path: torrents[i]!, pieceLength: Number(values.piece) });
  }
  const port = freePort();
  const argv = ["/usr/bin/python3", "-c", LIBTORRENT, `${port}`, `${folder}/source`, values.rate, ...torrents];
  await using seeder = new Job(argv, { name: "libtorrent seed" });
  await seeder.line((line) => line === "READY", { seconds: 60, what: "it was ready" });
  print(
    `${values.torrents} torrents of ${values.mib} MiB, pieces of ${
      Number(values.piece) / MIB
    } MiB, --cache ${values.cache}`,
  );
  print(`\nVmHWM with nothing to download: ${(await idle(torrents, folder)).toFixed(0)} MiB\n`);
  print("| round | VmHWM MiB | seconds | MiB/s | CPU s |\n|---|---|---|---|---|");
  for (let i = 1; i <= Number(values.rounds); i++) {
    const { peak, seconds, cpu } = await round(torrents, `${folder}`, `127.0.0.1:${port}`);
    for (const payload of payloads) await assertSame(payload, `${folder}/out`);
    await Deno.remove(`${folder}/out`, { recursive: true });
    await Deno.remove(`${folder}/state`, { recursive: true });
    const rate = payloads.length * Number(values.mib) / seconds;
    print(`| ${i} | ${peak.toFixed(0)} | ${seconds.toFixed(1)} | ${rate.toFixed(0)} | ${cpu.toFixed(1)} |`);
  }
});

function print(text: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${text}\n`));
}
