/**
 * Runs a Shoal under attack and a well-behaved Shoal at the other end of a transfer, and measures them.
 *
 * @module
 */

import { freePort } from "../support/aria2.ts";
import { environment, OFFLINE } from "../support/binary.ts";
import { type Event, eventsOf } from "../support/events.ts";
import { Job } from "../support/job.ts";
import { assertSame, makeFile, type Payload } from "../support/payload.ts";
import { makeTorrent, type Version } from "../support/torrents.ts";
import type { Attack, Role, Victim } from "./attack.ts";
import type { Orders, Report } from "./attacker.ts";
import { Relay } from "./relay.ts";
import { fromSource, TEST_FLAGS } from "../support/from_source.ts";

/** Seconds that the transfer may take, under attack or not. */
const PATIENCE = 60;

/** Command that starts Shoal: the binary that `SHOAL_BIN` names, else from source. */
export const SHOAL: readonly string[] = shoalCommand();

function shoalCommand(): string[] {
  const binary = Deno.env.get("SHOAL_BIN");
  return binary ? [binary] : fromSource();
}

/** A payload with its torrent. */
export interface Goods {
  readonly payload: Payload;
  /** Path of the torrent file. */
  readonly torrent: string;
}

/** Options for {@linkcode makeGoods}. */
export interface GoodsOptions {
  /** Size of the file in bytes. */
  readonly size: number;
  /** Piece length in bytes. */
  readonly pieceLength: number;
  /** Version of the torrent; v1 when absent. */
  readonly version?: Version;
}

/**
 * Makes a file and its torrent.
 *
 * @param folder Folder to write to.
 * @param options See {@linkcode GoodsOptions}.
 */
export async function makeGoods(folder: string, options: GoodsOptions): Promise<Goods> {
  const payload = await makeFile(`${folder}/source`, { name: "file.bin", size: options.size, seed: 5 });
  const torrent = `${folder}/file.torrent`;
  await makeTorrent(payload, { path: torrent, pieceLength: options.pieceLength, version: options.version ?? "v1" });
  return { payload, torrent };
}

/** An attack to run, and the attacker's role and addresses. */
export interface Sortie {
  readonly attack: Attack;
  readonly role: Role;
  /** Loopback addresses that only this attack uses. */
  readonly hosts: readonly string[];
}

let lastHost = 0;

/** Returns loopback addresses that no other attack of this process has used. */
export function freshHosts(count: number): string[] {
  return Array.from({ length: count }, () => {
    const n = ++lastHost;
    return `127.${1 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}`;
  });
}

/** Measurements of a run. */
export interface Outcome {
  /** Duration of the download in seconds. */
  readonly seconds: number;
  /** Peak resident memory of the victim, in bytes. */
  readonly peak: number;
  /** CPU seconds of the victim. */
  readonly victimCpu: number;
  /** CPU seconds of the attacker. */
  readonly attackerCpu: number;
  /** Number of connections that the attacker made. */
  readonly connections: number;
  /** `peer` events of the victim. */
  readonly peerEvents: readonly Event[];
}

/** Options for {@linkcode Arena.attack}. */
export interface ArenaAttackOptions {
  /** Port of the victim. */
  readonly port: number;
  /** Milliseconds after which the attacker reconnects, `null` for never. */
  readonly again: number | null;
  /** Bytes a second that the attacker may send, and receive. */
  readonly rate: number;
}

/** Options for {@linkcode Arena.run}. */
export interface ArenaRunOptions {
  /** Bytes a second that the attacker may send, and receive. */
  readonly rate: number;
  /** Bytes a second each way between seeder and leecher. */
  readonly line: number;
}

/** The programs of one run. */
export class Arena implements AsyncDisposable {
  readonly #folder: string;
  readonly #goods: Goods;
  readonly #jobs: Job[] = [];

  /**
   * @param folder Scratch folder.
   * @param goods Payload of the transfer.
   */
  constructor(folder: string, goods: Goods) {
    this.#folder = folder;
    this.#goods = goods;
  }

  /** Stops every program, and removes the downloaded files. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#jobs.map((job) => job.stop()));
    await Deno.remove(`${this.#folder}/out`, { recursive: true }).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  }

  /** Last output of the programs, for an error message. */
  get report(): string {
    return this.#jobs.map((job) => `${job.name}: ${job.stdout.at(-1)} ${job.stderr.join(" ")}`).join("\n");
  }

  /** Starts `shoal seed`, and waits until it seeds. */
  async seed(port: number): Promise<Job> {
    const job = this.#shoal("seed", [this.#goods.torrent, this.#goods.payload.folder, "--trust", "-p", `${port}`]);
    await job.line((line) => line.includes('"completed"'), { seconds: 30, what: "it seeds" });
    return job;
  }

  /** Starts `shoal download`. */
  download(port: number, peers: readonly string[]): Job {
    const named = peers.flatMap((peer) => ["--peer", peer]);
    const args = [this.#goods.torrent, "-o", `${this.#folder}/out`, "--seed", "-p", `${port}`, ...named];
    return this.#shoal("download", args);
  }

  /**
   * Waits until a download is complete.
   *
   * @param seconds Timeout in seconds.
   * @returns The duration of the download in seconds.
   */
  async completed(job: Job, seconds: number): Promise<number> {
    const line = await job.line((text) => text.includes('"completed"'), { seconds, what: "the download is complete" });
    return JSON.parse(line).seconds;
  }

  /** Asserts that the downloaded files equal the source. */
  same(): Promise<void> {
    return assertSame(this.#goods.payload, `${this.#folder}/out`);
  }

  /**
   * Starts the attacker, and waits until it listens.
   *
   * @param sorties Attacks to run.
   * @param options See {@linkcode ArenaAttackOptions}.
   * @returns The process, and the addresses at which attacks with the role `listens` listen.
   */
  async attack(
    sorties: readonly Sortie[],
    options: ArenaAttackOptions,
  ): Promise<{ job: Job; listening: string[] }> {
    const orders: Orders = {
      torrent: this.#goods.torrent,
      data: `${this.#goods.payload.folder}/${this.#goods.payload.name}`,
      victim: { host: "127.0.0.1", port: options.port },
      attacks: sorties.map(({ attack, role, hosts }) => ({ name: attack.name, role, hosts })),
      rate: options.rate,
      again: options.again,
    };
    const script = decodeURI(new URL("attacker.ts", import.meta.url).pathname);
    const argv = [Deno.execPath(), "run", "-A", ...TEST_FLAGS, script, JSON.stringify(orders)];
    const job = new Job(argv, { name: "attacker" });
    this.#jobs.push(job);
    const first = await job.line((line) => line.includes("listening"), { seconds: 30, what: "it is ready" });
    return { job, listening: Object.values((JSON.parse(first) as Report).listening!).flat() };
  }

  /**
   * Runs a transfer, with an attack on one end of it if there is a sortie.
   *
   * @param victim The end that is measured, and attacked.
   * @param sortie The attack, or `null` for none.
   * @param options See {@linkcode ArenaRunOptions}.
   */
  async run(victim: Victim, sortie: Sortie | null, options: ArenaRunOptions): Promise<Outcome> {
    const [victimPort, otherPort] = [freePort(), freePort()];
    using relay = new Relay(victim === "leecher" ? otherPort : victimPort, options.line);
    const attack = async () =>
      sortie &&
      await this.attack([sortie], { port: victimPort, again: sortie.attack.again ?? 100, rate: options.rate });
    let victimJob: Job;
    let attacker: Awaited<ReturnType<typeof attack>>;
    let seconds: number;
    if (victim === "leecher") {
      await this.seed(otherPort);
      attacker = await attack();
      const named = attacker?.listening ?? [];
      victimJob = this.download(victimPort, [...named, relay.address]);
      seconds = await this.completed(victimJob, PATIENCE);
    } else {
      victimJob = await this.seed(victimPort);
      attacker = await attack();
      const begun = (line: string) => (JSON.parse(line) as Report).made !== 0 && line.includes("made");
      await attacker?.job.line(begun, { seconds: 10, what: "it has begun" });
      seconds = await this.completed(this.download(otherPort, [relay.address]), PATIENCE);
    }
    const measured = { ...usage(victimJob.pid), attackerCpu: attacker ? usage(attacker.job.pid).victimCpu : 0 };
    const last = attacker?.job.stdout.at(-1);
    const connections = last === undefined ? 0 : (JSON.parse(last) as Report).made ?? 0;
    return { seconds, connections, ...measured, peerEvents: eventsOf(victimJob.stdout, "peer") };
  }

  #shoal(command: string, args: readonly string[]): Job {
    const folder = `${this.#folder}/${command}`;
    const job = new Job([...SHOAL, command, ...args, "--json", "-v", ...OFFLINE], {
      name: `shoal ${command}`,
      env: environment(folder),
    });
    this.#jobs.push(job);
    return job;
  }
}

/** Returns the peak resident memory in bytes and the CPU seconds of a process. */
export function usage(pid: number): { peak: number; victimCpu: number } {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return {
    peak: Number(/VmHWM:\s+(\d+)/.exec(status)![1]) * 1024,
    victimCpu: (Number(fields[11]) + Number(fields[12])) / 100,
  };
}

/** Returns the events about peers with some addresses. */
export function about(events: readonly Event[], hosts: readonly string[]): Event[] {
  const known = new Set(hosts);
  return events.filter(({ address }) => known.has(String(address).replace(/:\d+$/, "")));
}
