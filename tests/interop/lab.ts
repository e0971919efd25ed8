/**
 * The environment of an interop test: a private network with a tracker, a payload, its torrent, and clients. Everything
 * is removed at the end. If the test fails, the error contains the logs of the clients.
 *
 * @module
 */

import { concatBytes, utf8 } from "../../src/base/bytes.ts";
import { messageOf } from "../../src/base/errors.ts";
import { Job, must } from "../support/job.ts";
import { assertSame, makeFile, makeTree, type Payload } from "../support/payload.ts";
import type { Requirement } from "../support/requirements.ts";
import { withScratch } from "../support/scratch.ts";
import { makeTorrent, readTorrent, type Version } from "../support/torrents.ts";
import { CAPTURE } from "./capture.ts";
import { type ClientName, type ClientOptions, type RunningClient, startClient } from "./clients.ts";
import { type Host, PrivateNetwork } from "./network.ts";
import { TEST_FLAGS } from "../support/from_source.ts";

/** Kinds of payload: one file of an odd size, or a tree of 200 files. */
export type PayloadKind = "file" | "tree";

/** A custom payload for a lab. */
export interface Goods {
  /** Writes the payload below a folder. */
  makePayload(folder: string): Promise<Payload>;
  /** Piece length in bytes. */
  readonly pieceLength: number;
  /** Version of the torrent; v1 when absent. */
  readonly version?: Version;
  /** Folder in which the lab makes its own folder, the system's folder for temporary files by default. */
  readonly parent?: string;
}

/** Requirements of the tests in this folder. */
export const NEEDS: readonly Requirement[] = [
  "root",
  "ip",
  "aria2c",
  "transmission-cli",
  "python3-libtorrent",
  "opentracker",
  "mktorrent",
];

/** Options for {@linkcode Lab.seed} and {@linkcode Lab.leech}. */
export type Manner =
  & Pick<
    ClientOptions,
    | "uploadLimit"
    | "superSeeding"
    | "checks"
    | "tuned"
    | "command"
    | "cache"
    | "encryption"
    | "giveUp"
    | "families"
    | "finds"
    | "peers"
    | "dhtNode"
  >
  & {
    /** Magnet link or info-hash that the client gets in place of the torrent file. */
    readonly link?: string;
    /** `true` if the client can't reach other clients that are apart. Default `false`. */
    readonly apart?: boolean;
  };

/**
 * The tracker of a lab: opentracker over IPv4 (Debian's opentracker has no IPv6), npm's bittorrent-tracker over IPv6,
 * or no tracker.
 */
export type Meeting = "opentracker" | "tracker over IPv6" | "nobody";

const TRACKER_PORT = 6969;
const FILE_SIZE = (48 << 20) + 12_345;

/** Options for {@linkcode Lab.run}. */
export interface LabRunOptions {
  /** Tracker of the lab, `opentracker` by default. */
  readonly meeting?: Meeting;
  /** Marks the torrent as private (BEP 27). Default `false`. Torrents of a {@linkcode Goods} are always public. */
  readonly private?: boolean;
}

/** Options for {@linkcode Lab.program}. */
export interface LabProgramOptions {
  /** Host to run the program on, a new host by default. */
  readonly host?: Host;
}

/** Options for {@linkcode Lab.seedersAnnounced}. */
export interface SeedersAnnouncedOptions {
  /** Timeout in seconds, 30 by default. */
  readonly seconds?: number;
  /** Info-hash that the seeders announce, the torrent's first one by default: a client may know only one of a hybrid's. */
  readonly by?: "v1" | "v2";
}

/** Which info-hashes a magnet link has: `btih` that of v1, `btmh` that of v2. */
export type LinkKind = "btih" | "btmh" | "both";

/** Options for {@linkcode Lab.magnet}. */
export interface LabMagnetOptions {
  /** Info-hashes of the link, those of the torrent by default. */
  readonly kind?: LinkKind;
  /** Whether the link names the tracker, `true` by default. */
  readonly hasTracker?: boolean;
}

/** The environment of one test. */
export class Lab {
  /** Payload that the clients transfer. */
  readonly payload: Payload;
  /** Path of the torrent file. The torrents of {@linkcode PayloadKind} are made by mktorrent. */
  readonly torrent: string;
  readonly #announce: string | null;
  readonly #folder: string;
  readonly #network: PrivateNetwork;
  readonly #tracker: Host;
  readonly #clients: RunningClient[] = [];
  readonly #jobs: Job[] = [];
  /** Hosts on which nothing runs. */
  readonly #idleHosts: Host[] = [];
  #started = 0;

  private constructor(
    parts: {
      payload: Payload;
      torrent: string;
      announce: string | null;
      folder: string;
      network: PrivateNetwork;
      tracker: Host;
    },
  ) {
    this.payload = parts.payload;
    this.torrent = parts.torrent;
    this.#folder = parts.folder;
    this.#network = parts.network;
    this.#tracker = parts.tracker;
    this.#announce = parts.announce;
  }

  /** Announce URL of the tracker. */
  get announce(): string {
    if (this.#announce === null) throw new Error("There is no tracker in this lab");
    return this.#announce;
  }

  /**
   * Runs a test in a lab.
   *
   * @param what Payload of the lab.
   * @param body The test.
   * @param options See {@linkcode LabRunOptions}.
   * @throws {Error} If the test throws. The message has the logs of all programs appended.
   */
  static async run(
    what: PayloadKind | Goods,
    body: (lab: Lab) => Promise<void>,
    options: LabRunOptions = {},
  ): Promise<void> {
    const { meeting = "opentracker" } = options;
    const own = typeof what === "string" ? null : what;
    await withScratch(async (folder) => {
      await using network = await PrivateNetwork.create();
      const tracker = await network.addHost();
      const payload = own !== null
        ? await own.makePayload(`${folder}/source`)
        : what === "file"
        ? await makeFile(`${folder}/source`, { name: "one file.bin", size: FILE_SIZE, seed: 1 })
        : await makeTree(`${folder}/source`, { name: "a tree", seed: 1000 });
      const torrent = `${folder}/payload.torrent`;
      const host = meeting === "opentracker" ? tracker.address : `[${tracker.address6}]`;
      const announce = meeting === "nobody" ? null : `http://${host}:${TRACKER_PORT}/announce`;
      const lab = new Lab({ payload, torrent, announce, folder, network, tracker });
      if (own !== null) {
        await makeTorrent(payload, {
          path: torrent,
          pieceLength: own.pieceLength,
          version: own.version ?? "v1",
          ...(announce !== null && { tracker: announce }),
        });
      } else {
        const place = announce === null ? [] : ["-a", announce];
        const kind = options.private ? ["-p"] : [];
        await must("mktorrent", "-l", "18", ...kind, ...place, "-o", torrent, `${payload.folder}/${payload.name}`);
      }
      try {
        if (meeting === "opentracker") await lab.#startTracker();
        if (meeting === "tracker over IPv6") lab.#startTracker6();
        await body(lab);
      } catch (error) {
        throw new Error(`${messageOf(error)}\n${lab.#jobs.map((job) => job.report).join("\n")}`, { cause: error });
      } finally {
        await Promise.all(lab.#clients.map((client) => client.stop()));
        await Promise.all(lab.#jobs.map((job) => job.stop()));
      }
    }, own?.parent === undefined ? {} : { parent: own.parent });
  }

  /**
   * Starts a client that has the payload. The client uses the test's own copy, and must not write to it.
   *
   * @param client Name of the client.
   * @param how See {@linkcode ClientOptions}.
   * @returns The running client. The lab stops it.
   */
  seed(client: ClientName, how: Manner = {}): Promise<RunningClient> {
    return this.#start(client, "seed", { folder: this.payload.folder, ...how });
  }

  /**
   * Starts a client that has no data.
   *
   * @param client Name of the client.
   * @param how See {@linkcode ClientOptions}.
   * @returns The running client. The lab stops it.
   */
  async leech(client: ClientName, how: Manner = {}): Promise<RunningClient> {
    const folder = `${this.#folder}/${client}-result-${this.#started}`;
    await Deno.mkdir(folder);
    return await this.#start(client, "leech", { folder, ...how });
  }

  /**
   * Returns the first running client with a name.
   *
   * @param client Name of the client.
   * @throws {Error} If no such client was started.
   */
  find(client: ClientName): RunningClient {
    const found = this.#clients.find((one) => one.client === client);
    if (!found) throw new Error(`No ${client} was started`);
    return found;
  }

  /**
   * Makes hosts in advance, so that clients can be started without delay.
   *
   * @param count Number of idle hosts.
   */
  async prepareHosts(count: number): Promise<void> {
    while (this.#idleHosts.length < count) this.#idleHosts.push(await this.#network.addHost());
  }

  /**
   * Stops a leecher, removes its folders, and makes its host idle for the next client.
   *
   * @param client A leecher.
   */
  async discard(client: RunningClient): Promise<void> {
    await client.stop();
    const { folder, scratch, host } = client.options;
    for (const path of [folder, scratch]) await Deno.remove(path, { recursive: true });
    this.#clients.splice(this.#clients.indexOf(client), 1);
    this.#jobs.splice(this.#jobs.indexOf(client.job), 1);
    this.#idleHosts.push(host);
  }

  /** Adds a host on which nothing runs. */
  addHost(): Promise<Host> {
    return this.#network.addHost();
  }

  /**
   * Starts a program that is not one of the clients.
   *
   * @param name Name of the program in messages.
   * @param argv Command line.
   * @param options See {@linkcode LabProgramOptions}.
   * @returns The program, its host, and the IPv4 address of the host.
   */
  async program(
    name: string,
    argv: readonly string[],
    options: LabProgramOptions = {},
  ): Promise<{ readonly job: Job; readonly address: string; readonly host: Host }> {
    const host = options.host ?? await this.#network.addHost();
    const job = new Job(host.command(argv), { name });
    this.#jobs.push(job);
    return { job, address: host.address, host };
  }

  /**
   * Adds web seeds (BEP 19) to the torrent file. Call this before starting a client.
   *
   * @param urls URLs of the web seeds.
   */
  async nameWebSeeds(urls: readonly string[]): Promise<void> {
    const bytes = await Deno.readFile(this.torrent);
    const list = urls.map((url) => `${url.length}:${url}`).join("");
    // `url-list` is the last key in sorted order, so it goes in front of the end of the dictionary.
    await Deno.writeFile(this.torrent, concatBytes([bytes.subarray(0, -1), utf8(`8:url-listl${list}ee`)]));
  }

  /**
   * Starts to capture the packets of the network.
   *
   * @param ways Kinds of packets to look for, those of peer discovery by default.
   * @returns The capturing program. See {@linkcode CAPTURE} for its output.
   */
  async capture(ways: readonly string[] = ["dht", "lsd", "pex"]): Promise<Job> {
    const { hex } = await readTorrent(this.torrent);
    const job = new Job(this.#network.onBridge(["/usr/bin/python3", "-c", CAPTURE, hex, ...ways]), { name: "capture" });
    this.#jobs.push(job);
    await job.line((line) => line === "READY", { seconds: 10, what: "it watched" });
    return job;
  }

  /**
   * Waits until the tracker knows enough seeders.
   *
   * @param count Number of seeders.
   * @param options See {@linkcode SeedersAnnouncedOptions}.
   * @throws {Error} If the tracker doesn't know enough seeders in time.
   */
  async seedersAnnounced(count: number, options: SeedersAnnouncedOptions = {}): Promise<void> {
    const { onWire } = await readTorrent(this.torrent);
    const hex = onWire.at(options.by === "v2" ? -1 : 0)!;
    const script = decodeURI(new URL("scrape.ts", import.meta.url).pathname);
    const url = this.announce.replace(/announce$/, "scrape");
    const argv = [Deno.execPath(), "run", "--no-config", "--no-lock", "--allow-net", script, url, hex, `${count}`];
    const job = new Job(this.#tracker.command(argv), { name: `tracker that waits for ${count} seeders` });
    this.#jobs.push(job);
    await job.exit(options.seconds ?? 30);
  }

  /**
   * Returns a magnet link of the torrent.
   *
   * @param options See {@linkcode LabMagnetOptions}.
   */
  async magnet(options: LabMagnetOptions = {}): Promise<string> {
    const { version, hex, v2 } = await readTorrent(this.torrent);
    const { kind = version === "v1" ? "btih" : version === "v2" ? "btmh" : "both", hasTracker = true } = options;
    const topics = [...kind === "btmh" ? [] : [`urn:btih:${hex}`], ...kind === "btih" ? [] : [`urn:btmh:1220${v2}`]];
    const places = hasTracker ? [`tr=${encodeURIComponent(this.announce)}`] : [];
    return `magnet:?${[...topics.map((topic) => `xt=${topic}`), ...places].join("&")}`;
  }

  /**
   * Asserts that a client has the payload, byte for byte. Stops clients other than Shoal first.
   *
   * @param client A client that is complete.
   */
  async verify(client: RunningClient): Promise<void> {
    const { version } = await readTorrent(this.torrent);
    // Shoal guarantees that files under their final names are whole once it reports completion. Other clients may still
    // be writing.
    if (client.client !== "shoal") await client.stop();
    // Transmission 3.00 and webtorrent make no empty files.
    const empty = client.client === "transmission" || client.client === "webtorrent"
      ? { emptyFiles: "optional" } as const
      : {};
    // Clients that know only v1 take padding for files.
    const padding = version === "hybrid" && client.client !== "shoal" ? { padding: "optional" } as const : {};
    await assertSame(this.payload, client.options.folder, { ...empty, ...padding });
  }

  async #start(
    client: ClientName,
    mode: "seed" | "leech",
    options: Manner & { readonly folder: string },
  ): Promise<RunningClient> {
    const { apart = false } = options;
    const host = (apart ? undefined : this.#idleHosts.pop()) ?? await this.#network.addHost({ apart });
    const scratch = `${this.#folder}/${client}-${mode}-${this.#started++}`;
    await Deno.mkdir(scratch);
    const running = await startClient(client, {
      host,
      torrent: options.link ?? this.torrent,
      scratch,
      mode,
      ...options,
    });
    this.#clients.push(running);
    this.#jobs.push(running.job);
    return running;
  }

  #startTracker6(): void {
    const script = decodeURI(new URL("tracker6.ts", import.meta.url).pathname);
    const argv = [Deno.execPath(), "run", "-A", ...TEST_FLAGS, script, this.#tracker.address6, `${TRACKER_PORT}`];
    this.#jobs.push(new Job(this.#tracker.command(argv), { name: "bittorrent-tracker" }));
  }

  /** Starts opentracker. Debian's build serves only listed torrents, does a chroot, and doesn't run as root. */
  async #startTracker(): Promise<void> {
    const { onWire } = await readTorrent(this.torrent);
    const folder = `${this.#folder}/tracker`;
    await Deno.mkdir(folder);
    await Deno.writeTextFile(`${folder}/white`, onWire.map((hex) => `${hex}\n`).join(""));
    const ports = ["-p", `${TRACKER_PORT}`, "-P", `${TRACKER_PORT}`];
    const argv = ["opentracker", "-i", this.#tracker.address, ...ports, "-u", "nobody", "-d", folder, "-w", "white"];
    this.#jobs.push(new Job(this.#tracker.command(argv), { name: "opentracker" }));
  }
}
