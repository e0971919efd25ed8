/**
 * Runs a tracker, a seeder and a leecher that can find each other only through the tracker.
 *
 * @module
 */

import { messageOf } from "../../src/base/errors.ts";
import { Job } from "../support/job.ts";
import { assertSame, makeFile } from "../support/payload.ts";
import { withScratch } from "../support/scratch.ts";
import { makeTorrent } from "../support/torrents.ts";
import { type ClientName, type ClientOptions, type RunningClient, shoalCommand, startClient } from "./clients.ts";
import { type Host, PrivateNetwork } from "./network.ts";
import { TEST_FLAGS } from "../support/from_source.ts";

/** Trackers: Debian's opentracker, npm's bittorrent-tracker, and `shoal tracker`. */
export type TrackerName = "opentracker" | "bittorrent-tracker" | "shoal";

const PORT = 6969;
const FILE_SIZE = (4 << 20) + 321;

/** The programs of a test, and how they reach the tracker. */
export interface UdpScene {
  /** Tracker to run. */
  readonly tracker: TrackerName;
  /** Client that has the file. */
  readonly seeder: ClientName;
  /** Client that downloads the file. */
  readonly leecher: ClientName;
  /** Address family of the tracker. */
  readonly family: 4 | 6;
  /** Scheme of the announce URL, `udp` by default. */
  readonly scheme?: "udp" | "http";
}

/**
 * Runs a transfer between two clients that find each other through a tracker, and checks the downloaded file.
 *
 * @param scene See {@linkcode UdpScene}.
 * @returns Lines of standard output by role.
 * @throws {Error} If the transfer fails. The message has the logs of all programs appended.
 */
export async function playUdpScene(
  scene: UdpScene,
): Promise<Readonly<Record<"tracker" | "seeder" | "leecher", readonly string[]>>> {
  return await withScratch(async (folder) => {
    await using network = await PrivateNetwork.create();
    const hosts = [await network.addHost(), await network.addHost(), await network.addHost()] as const;
    const payload = await makeFile(`${folder}/source`, { name: "file.bin", size: FILE_SIZE, seed: 15 });
    const address = scene.family === 6 ? `[${hosts[0].address6}]` : hosts[0].address;
    const torrent = `${folder}/payload.torrent`;
    const announce = `${scene.scheme ?? "udp"}://${address}:${PORT}/announce`;
    const hex = await makeTorrent(payload, { path: torrent, tracker: announce });
    const jobs: Job[] = [];
    const clients: RunningClient[] = [];
    const start = async (client: ClientName, options: Pick<ClientOptions, "host" | "mode" | "folder">) => {
      const scratch = `${folder}/${options.mode}`;
      await Deno.mkdir(scratch);
      const running = await startClient(client, {
        torrent,
        scratch,
        families: scene.family === 6 ? [4, 6] : [4],
        udpTrackers: true,
        ...options,
      });
      clients.push(running);
      jobs.push(running.job);
      return running;
    };
    try {
      jobs.push(await startTracker(scene.tracker, { host: hosts[0], folder, hex, address }));
      const scrape = { host: hosts[0], url: `http://${address}:${PORT}/scrape`, hex };
      // The tracker must be listening first: a UDP packet sent too early is lost, and a client may not announce again.
      await answered({ ...scrape, seeders: 0 });
      const seeder = await start(scene.seeder, { host: hosts[1], mode: "seed", folder: payload.folder });
      await answered({ ...scrape, seeders: 1 });
      await Deno.mkdir(`${folder}/result`);
      const leecher = await start(scene.leecher, { host: hosts[2], mode: "leech", folder: `${folder}/result` });
      await leecher.completed(90);
      // On a clean stop, each client announces "stopped" to the tracker.
      await Promise.all(clients.map((client) => client.stop()));
      await jobs[0]!.stop();
      await assertSame(payload, `${folder}/result`);
      return { tracker: jobs[0]!.stdout, seeder: seeder.job.stdout, leecher: leecher.job.stdout };
    } catch (error) {
      throw new Error(`${messageOf(error)}\n${jobs.map((job) => job.report).join("\n")}`, { cause: error });
    } finally {
      await Promise.all(clients.map((client) => client.stop()));
      await Promise.all(jobs.map((job) => job.stop()));
    }
  });
}

async function startTracker(
  tracker: TrackerName,
  options: { readonly host: Host; readonly folder: string; readonly hex: string; readonly address: string },
): Promise<Job> {
  const { host, folder, hex } = options;
  const address = options.address.replace(/[[\]]/g, "");
  const run = (argv: readonly string[]) => new Job(host.command(argv), { name: tracker, cwd: folder });
  if (tracker === "shoal") return run([...shoalCommand(), "tracker", "--bind", address, "-p", `${PORT}`, "--json"]);
  if (tracker === "bittorrent-tracker") {
    const script = decodeURI(new URL("foreign_tracker.ts", import.meta.url).pathname);
    return run([Deno.execPath(), "run", "-A", ...TEST_FLAGS, script, address, `${PORT}`]);
  }
  // Debian's opentracker serves only listed torrents, does a chroot, and doesn't run as root.
  await Deno.mkdir(`${folder}/tracker`);
  await Deno.writeTextFile(`${folder}/tracker/white`, `${hex}\n`);
  const ports = ["-p", `${PORT}`, "-P", `${PORT}`];
  return run(["opentracker", "-i", address, ...ports, "-u", "nobody", "-d", `${folder}/tracker`, "-w", "white"]);
}

/** Waits until the tracker answers a scrape over HTTP with enough seeders. They may have announced over UDP. */
async function answered(
  { host, url, hex, seeders }: {
    readonly host: Host;
    readonly url: string;
    readonly hex: string;
    readonly seeders: number;
  },
): Promise<void> {
  const script = decodeURI(new URL("scrape.ts", import.meta.url).pathname);
  const argv = [Deno.execPath(), "run", "--no-config", "--no-lock", "--allow-net", script, url, hex, `${seeders}`];
  await using job = new Job(host.command(argv), { name: `tracker that waits for ${seeders} seeders` });
  await job.exit(30);
}
