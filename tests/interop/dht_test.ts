import { assert, assertGreater } from "@std/assert";
import { messageOf } from "../../src/base/errors.ts";
import { Job, must } from "../support/job.ts";
import { makeFile, type Payload } from "../support/payload.ts";
import { testWith } from "../support/requirements.ts";
import { withScratch } from "../support/scratch.ts";
import { readTorrent } from "../support/torrents.ts";
import { OTHERS, PORT } from "./clients.ts";
import type { Order } from "./dht_nodes.ts";
import { type Host, PrivateNetwork } from "./network.ts";

/** Nodes of ours that make a DHT worth the name: transmission announces nothing before it knows nine. */
const CROWD = 12;
/** Nobody has this torrent; it is only announced. */
const ANNOUNCED = "5ac3e0f1b2d4968778695a4b3c2d1e0f00112233";
const ANNOUNCED_PORT = 7000;
/** Transmission takes its time before it first asks anybody. */
const SECONDS = 120;

interface Manner {
  readonly host: Host;
  /** Address of a node to begin with. */
  readonly entry: string;
  /** Path of a torrent, or a magnet link. */
  readonly source: string;
  readonly folder: string;
  readonly scratch: string;
}

/** Each client with nothing on but its DHT. */
const COMMANDS: Readonly<Record<(typeof OTHERS)[number], (manner: Manner) => Promise<string[]> | string[]>> = {
  aria2: ({ entry, source, folder, scratch }) => [
    "aria2c",
    "--no-conf",
    "--enable-dht=true",
    `--dht-listen-port=${PORT}`,
    `--dht-entry-point=${entry}:${PORT}`,
    `--dht-file-path=${scratch}/dht.dat`,
    "--bt-enable-lpd=false",
    "--enable-peer-exchange=false",
    "--disable-ipv6=true",
    `--listen-port=${PORT}`,
    `--dir=${folder}`,
    "--file-allocation=none",
    "--allow-overwrite=true",
    "--summary-interval=0",
    "--show-console-readout=false",
    "--seed-ratio=0",
    "--bt-seed-unverified=true",
    source,
  ],
  libtorrent: ({ host, entry, source, folder }) => {
    const settings = {
      listen_interfaces: `${host.address}:${PORT}`,
      enable_dht: true,
      dht_bootstrap_nodes: `${entry}:${PORT}`,
      dht_announce_interval: 20,
      enable_lsd: false,
      enable_upnp: false,
      enable_natpmp: false,
      enable_outgoing_utp: false,
      alert_mask: 1 | 32 | 64 | 1024,
    };
    return ["/usr/bin/python3", "-c", LIBTORRENT, JSON.stringify(settings), source, folder];
  },
  transmission: async ({ entry, source, folder, scratch }) => {
    const settings = {
      "rpc-enabled": false,
      "dht-enabled": true,
      "lpd-enabled": false,
      "utp-enabled": false,
      "pex-enabled": false,
      "port-forwarding-enabled": false,
    };
    await Deno.writeTextFile(`${scratch}/settings.json`, JSON.stringify(settings));
    await Deno.writeTextFile(`${scratch}/dht.bootstrap`, `${entry} ${PORT}\n`);
    return ["transmission-cli", "-g", scratch, "-w", folder, "-p", `${PORT}`, "-M", "-et", "-D", "-U", source];
  },
};

const LIBTORRENT = `
import json, libtorrent as lt, sys
settings, source, folder = sys.argv[1:4]
session = lt.session(json.loads(settings))
if source.startswith('magnet:'):
    params = lt.parse_magnet_uri(source)
else:
    params = lt.add_torrent_params()
    params.ti = lt.torrent_info(source)
    params.flags |= lt.torrent_flags.seed_mode
params.save_path = folder
params.flags &= ~lt.torrent_flags.auto_managed
params.flags &= ~lt.torrent_flags.paused
session.add_torrent(params)
while True:
    session.wait_for_alert(500)
    for alert in session.pop_alerts(): print(type(alert).__name__, alert.message(), flush=True)
`;

/** A private network with a DHT of ours, and a torrent without tracker. */
class DhtLab {
  readonly payload: Payload;
  readonly torrent: string;
  readonly #folder: string;
  readonly #network: PrivateNetwork;
  readonly #jobs: Job[] = [];

  private constructor(parts: { payload: Payload; torrent: string; folder: string; network: PrivateNetwork }) {
    this.payload = parts.payload;
    this.torrent = parts.torrent;
    this.#folder = parts.folder;
    this.#network = parts.network;
  }

  static async run(body: (lab: DhtLab) => Promise<void>): Promise<void> {
    await withScratch(async (folder) => {
      await using network = await PrivateNetwork.create();
      const payload = await makeFile(`${folder}/source`, { name: "one file.bin", size: 100_000, seed: 1 });
      const torrent = `${folder}/payload.torrent`;
      await must("mktorrent", "-o", torrent, `${payload.folder}/${payload.name}`);
      const lab = new DhtLab({ payload, torrent, folder, network });
      try {
        await body(lab);
      } catch (error) {
        throw new Error(`${messageOf(error)}\n${lab.#jobs.map((job) => job.report).join("\n")}`, { cause: error });
      } finally {
        await Promise.all(lab.#jobs.map((job) => job.stop()));
      }
    });
  }

  addHost(): Promise<Host> {
    return this.#network.addHost();
  }

  /** Starts nodes of ours on a host; all but the first get further addresses. */
  async nodes(host: Host, order: Omit<Order, "hosts" | "port"> & { readonly count: number }): Promise<Job> {
    const { count, ...rest } = order;
    const hosts = Array.from({ length: count }, (_, i) => i === 0 ? host.address : `10.99.0.${100 + i}`);
    for (const more of hosts.slice(1)) await must(...host.command(["ip", "addr", "add", `${more}/24`, "dev", "eth0"]));
    const script = new URL("dht_nodes.ts", import.meta.url).pathname;
    const config = new URL("../../deno.json", import.meta.url).pathname;
    const text = JSON.stringify({ hosts, port: PORT, ...rest } satisfies Order);
    const argv = [Deno.execPath(), "run", "-A", "--no-lock", "--config", config, script, text];
    return this.#start(host, argv, `${count} nodes of ours`);
  }

  /** Starts another client with its DHT on. */
  async client(
    client: (typeof OTHERS)[number],
    options: { readonly host: Host; readonly entry: string; readonly source: string },
  ): Promise<Job> {
    const scratch = `${this.#folder}/${client}-${this.#jobs.length}`;
    await Deno.mkdir(scratch);
    const isSeed = options.source === this.torrent;
    const folder = isSeed ? this.payload.folder : `${scratch}/result`;
    if (!isSeed) await Deno.mkdir(folder);
    return this.#start(options.host, await COMMANDS[client]({ ...options, folder, scratch }), client);
  }

  #start(host: Host, argv: readonly string[], name: string): Job {
    const job = new Job(host.command(argv), { name, cwd: this.#folder });
    this.#jobs.push(job);
    return job;
  }
}

/** Waits for a line of JSON of our nodes. */
async function event(
  job: Job,
  options: { readonly what: string; readonly matches: (event: Readonly<Record<string, unknown>>) => boolean },
): Promise<Readonly<Record<string, unknown>>> {
  const line = await job.line((line) => options.matches(JSON.parse(line)), { seconds: SECONDS, what: options.what });
  return JSON.parse(line);
}

for (const client of OTHERS) {
  testWith(
    `DHT with ${client}: we begin with it and find what it has, it finds what we announce`,
    ["root", "ip", "aria2c", "transmission-cli", "python3-libtorrent", "mktorrent"],
    () =>
      DhtLab.run(async (lab) => {
        const [crowd, seeder, own, leecher] = [
          await lab.addHost(),
          await lab.addHost(),
          await lab.addHost(),
          await lab.addHost(),
        ];
        const others = await lab.nodes(crowd, { count: CROWD, bootstrap: [] });
        await event(others, { what: "the crowd had joined", matches: ({ event }) => event === "joined" });
        await lab.client(client, { host: seeder, entry: crowd.address, source: lab.torrent });
        const { hex } = await readTorrent(lab.torrent);
        await event(others, {
          what: `${client} announced its torrent to us`,
          matches: (it) => it.method === "announce_peer" && it.from === seeder.address && it.infohash === hex,
        });

        const ours = await lab.nodes(own, {
          count: 1,
          bootstrap: [{ host: seeder.address, port: PORT }],
          find: hex,
          announce: { infoHash: ANNOUNCED, port: ANNOUNCED_PORT },
        });
        const found = await event(ours, { what: "we looked it up", matches: ({ event }) => event === "found" });
        assert((found.peers as string[]).includes(`${seeder.address}:${PORT}`), `found ${found.peers}`);
        const told = await event(ours, { what: "we announced", matches: ({ event }) => event === "announced" });
        assertGreater(told.nodes as number, 0);

        const source = `magnet:?xt=urn:btih:${ANNOUNCED}`;
        await lab.client(client, { host: leecher, entry: seeder.address, source });
        await event(ours, {
          what: `${client} found us and came`,
          matches: (it) => it.event === "connection" && it.from === leecher.address,
        });
      }),
  );
}
