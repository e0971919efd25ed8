/**
 * What every interop test stands on: a private network with a tracker, a payload, its torrent, and clients; all gone at
 * the end, and the clients' logs printed if the test fails.
 *
 * @module
 */

import { concatBytes, utf8 } from "../../src/base/bytes.ts";
import { messageOf } from "../../src/base/errors.ts";
import { Job, must } from "../support/job.ts";
import { assertSame, makeFile, makeTree, type Payload } from "../support/payload.ts";
import type { Requirement } from "../support/requirements.ts";
import { withScratch } from "../support/scratch.ts";
import { makeTorrent, readTorrent } from "../support/torrents.ts";
import { CAPTURE } from "./capture.ts";
import { type ClientName, type ClientOptions, type RunningClient, startClient } from "./clients.ts";
import { type Host, PrivateNetwork } from "./network.ts";
import { TEST_FLAGS } from "../support/from_source.ts";

/** Kinds of payload: one file of an odd size, or a tree of 200. */
export type PayloadKind = "file" | "tree";

/** What a lab sends around, when it is none of the tests' own payloads. */
export interface Goods {
  /** Writes the payload below a folder. */
  makePayload(folder: string): Promise<Payload>;
  /** Bytes a piece. */
  readonly pieceLength: number;
  /** Folder in which the lab makes its own; the one for temporary files when absent. */
  readonly parent?: string;
}

/** What the tests of this folder need. */
export const NEEDS: readonly Requirement[] = [
  "root",
  "ip",
  "aria2c",
  "transmission-cli",
  "python3-libtorrent",
  "opentracker",
  "mktorrent",
];

/** What is left to choose when a client is started in a lab. */
export type Manner =
  & Pick<
    ClientOptions,
    | "uploadLimit"
    | "superSeeding"
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
    /** What the client is given in place of the torrent: a magnet link. */
    readonly link?: string;
  };

/**
 * Who brings the clients together: opentracker over IPv4 (Debian's knows nothing else), npm's bittorrent-tracker over IPv6,
 * or nobody.
 */
export type Meeting = "opentracker" | "tracker over IPv6" | "nobody";

const TRACKER_PORT = 6969;
const FILE_SIZE = (48 << 20) + 12_345;

/** A test's own small world. */
export class Lab {
  /** What is sent around. */
  readonly payload: Payload;
  /** Path of its torrent; that of a test is made by mktorrent. */
  readonly torrent: string;
  readonly #announce: string | null;
  readonly #folder: string;
  readonly #network: PrivateNetwork;
  readonly #tracker: Host;
  readonly #clients: RunningClient[] = [];
  readonly #jobs: Job[] = [];
  /** Machines on which nothing runs. */
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
   * @param what Its payload.
   * @param body The test.
   * @param options `meeting`: who brings the clients together; opentracker when absent. `private`: whether the torrent is
   * one of a private tracker (BEP 27).
   * @throws {Error} What the test throws, with the logs of all clients.
   */
  static async run(
    what: PayloadKind | Goods,
    body: (lab: Lab) => Promise<void>,
    options: { readonly meeting?: Meeting; readonly private?: boolean } = {},
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
   * Starts a client that has the payload. It reads the test's own copy, so it must not write.
   *
   * @param client Which.
   * @param how See {@linkcode ClientOptions}.
   * @returns The client.
   */
  seed(client: ClientName, how: Manner = {}): Promise<RunningClient> {
    return this.#start(client, "seed", { folder: this.payload.folder, ...how });
  }

  /**
   * Starts a client that has nothing.
   *
   * @param client Which.
   * @param how See {@linkcode ClientOptions}.
   * @returns The client.
   */
  async leech(client: ClientName, how: Manner = {}): Promise<RunningClient> {
    const folder = `${this.#folder}/${client}-result-${this.#started}`;
    await Deno.mkdir(folder);
    return await this.#start(client, "leech", { folder, ...how });
  }

  /**
   * The client of a kind that was started first.
   *
   * @param client Which.
   * @returns The client.
   */
  find(client: ClientName): RunningClient {
    const found = this.#clients.find((one) => one.client === client);
    if (!found) throw new Error(`No ${client} was started`);
    return found;
  }

  /**
   * Makes machines in advance, so that as many clients can be started at once.
   *
   * @param count How many are to be idle.
   */
  async prepareHosts(count: number): Promise<void> {
    while (this.#idleHosts.length < count) this.#idleHosts.push(await this.#network.addHost());
  }

  /**
   * Ends a client, removes what it made, and lets the next one have its machine.
   *
   * @param client Which; a leecher.
   */
  async discard(client: RunningClient): Promise<void> {
    await client.stop();
    const { folder, scratch, host } = client.options;
    for (const path of [folder, scratch]) await Deno.remove(path, { recursive: true });
    this.#clients.splice(this.#clients.indexOf(client), 1);
    this.#jobs.splice(this.#jobs.indexOf(client.job), 1);
    this.#idleHosts.push(host);
  }

  /**
   * Adds a machine.
   *
   * @returns It; nothing runs there.
   */
  addHost(): Promise<Host> {
    return this.#network.addHost();
  }

  /**
   * Starts some other program.
   *
   * @param name What to call it.
   * @param argv Its command line.
   * @param options `host`: where; a host of its own when absent.
   * @returns The program, and where it runs.
   */
  async program(
    name: string,
    argv: readonly string[],
    options: { readonly host?: Host } = {},
  ): Promise<{ readonly job: Job; readonly address: string; readonly host: Host }> {
    const host = options.host ?? await this.#network.addHost();
    const job = new Job(host.command(argv), { name });
    this.#jobs.push(job);
    return { job, address: host.address, host };
  }

  /**
   * Names web seeds (BEP 19) in the torrent; before a client is started.
   *
   * @param urls Their URLs.
   */
  async nameWebSeeds(urls: readonly string[]): Promise<void> {
    const bytes = await Deno.readFile(this.torrent);
    const list = urls.map((url) => `${url.length}:${url}`).join("");
    // The last key in the order of keys, in front of the end of the dictionary.
    await Deno.writeFile(this.torrent, concatBytes([bytes.subarray(0, -1), utf8(`8:url-listl${list}ee`)]));
  }

  /**
   * Starts to watch what crosses the network.
   *
   * @param ways What it looks for; the ways of finding peers when absent.
   * @returns The program that does it; see {@linkcode CAPTURE} for what it prints.
   */
  async capture(ways: readonly string[] = ["dht", "lsd", "pex"]): Promise<Job> {
    const { hex } = await readTorrent(this.torrent);
    const job = new Job(this.#network.onBridge(["/usr/bin/python3", "-c", CAPTURE, hex, ...ways]), { name: "capture" });
    this.#jobs.push(job);
    await job.line((line) => line === "READY", { seconds: 10, what: "it watched" });
    return job;
  }

  /**
   * Waits until the tracker knows of seeders.
   *
   * @param count How many.
   * @param options `seconds`: how long they may take; 30 when absent.
   * @throws {Error} If they don't come.
   */
  async seedersAnnounced(count: number, options: { readonly seconds?: number } = {}): Promise<void> {
    const { hex } = await readTorrent(this.torrent);
    const script = decodeURI(new URL("scrape.ts", import.meta.url).pathname);
    const url = this.announce.replace(/announce$/, "scrape");
    const argv = [Deno.execPath(), "run", "--no-config", "--no-lock", "--allow-net", script, url, hex, `${count}`];
    const job = new Job(this.#tracker.command(argv), { name: `tracker that waits for ${count} seeders` });
    this.#jobs.push(job);
    await job.exit(options.seconds ?? 30);
  }

  /** The magnet link of the torrent, with the tracker. */
  async magnet(): Promise<string> {
    const { hex } = await readTorrent(this.torrent);
    return `magnet:?xt=urn:btih:${hex}&tr=${encodeURIComponent(this.announce)}`;
  }

  /**
   * Ends a client and asserts that it has the payload, byte for byte.
   *
   * @param client Which; complete.
   */
  async verify(client: RunningClient): Promise<void> {
    // Shoal promises that files under their final names are whole as soon as it says so; others may still be writing.
    if (client.client !== "shoal") await client.stop();
    // Transmission 3.00 does not make empty files.
    const options = client.client === "transmission" ? { emptyFiles: "optional" } as const : {};
    await assertSame(this.payload, client.options.folder, options);
  }

  async #start(
    client: ClientName,
    mode: "seed" | "leech",
    options: Manner & { readonly folder: string },
  ): Promise<RunningClient> {
    const host = this.#idleHosts.pop() ?? await this.#network.addHost();
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

  /** Debian's opentracker serves listed torrents only, changes its root folder, and refuses to stay root. */
  async #startTracker(): Promise<void> {
    const { hex } = await readTorrent(this.torrent);
    const folder = `${this.#folder}/tracker`;
    await Deno.mkdir(folder);
    await Deno.writeTextFile(`${folder}/white`, `${hex}\n`);
    const ports = ["-p", `${TRACKER_PORT}`, "-P", `${TRACKER_PORT}`];
    const argv = ["opentracker", "-i", this.#tracker.address, ...ports, "-u", "nobody", "-d", folder, "-w", "white"];
    this.#jobs.push(new Job(this.#tracker.command(argv), { name: "opentracker" }));
  }
}
