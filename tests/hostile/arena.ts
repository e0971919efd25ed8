/**
 * A Shoal under attack, and an honest one at the other end: programs started, watched and measured.
 *
 * @module
 */

import { freePort } from "../support/aria2.ts";
import { environment, OFFLINE } from "../support/binary.ts";
import { type Event, eventsOf } from "../support/events.ts";
import { Job } from "../support/job.ts";
import { assertSame, makeFile, type Payload } from "../support/payload.ts";
import { makeTorrent } from "../support/torrents.ts";
import type { Attack, Role, Victim } from "./attack.ts";
import type { Orders, Report } from "./attacker.ts";
import { Relay } from "./relay.ts";
import { fromSource, TEST_FLAGS } from "../support/from_source.ts";

/** Seconds that an honest transfer may take, attack or not. */
const PATIENCE = 60;

/** How Shoal is started: the compiled one that `SHOAL_BIN` names, else from source. */
export const SHOAL: readonly string[] = shoalCommand();

function shoalCommand(): string[] {
  const binary = Deno.env.get("SHOAL_BIN");
  return binary ? [binary] : fromSource();
}

/** Something to share. */
export interface Goods {
  readonly payload: Payload;
  readonly torrent: string;
}

/**
 * Makes a file and its torrent.
 *
 * @param folder Where.
 * @param options `size` of the file and `pieceLength`, in bytes.
 */
export async function makeGoods(
  folder: string,
  options: { readonly size: number; readonly pieceLength: number },
): Promise<Goods> {
  const payload = await makeFile(`${folder}/source`, { name: "file.bin", size: options.size, seed: 5 });
  const torrent = `${folder}/file.torrent`;
  await makeTorrent(payload, { path: torrent, pieceLength: options.pieceLength });
  return { payload, torrent };
}

/** An attack, how, and from where. */
export interface Sortie {
  readonly attack: Attack;
  readonly role: Role;
  /** Addresses of this machine that nobody else uses. */
  readonly hosts: readonly string[];
}

let lastHost = 0;

/** Addresses that no other attack of this run has come from. */
export function freshHosts(count: number): string[] {
  return Array.from({ length: count }, () => {
    const n = ++lastHost;
    return `127.${1 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}`;
  });
}

/** What a run showed. */
export interface Outcome {
  /** From the start of the honest download to its end. */
  readonly seconds: number;
  /** Peak resident memory of the victim, in bytes. */
  readonly peak: number;
  /** CPU seconds of the victim. */
  readonly victimCpu: number;
  /** CPU seconds of the attacker. */
  readonly attackerCpu: number;
  /** Connections of the attacker. */
  readonly connections: number;
  /** What the victim said about peers. */
  readonly peerEvents: readonly Event[];
}

/** Programs of one run. */
export class Arena implements AsyncDisposable {
  readonly #folder: string;
  readonly #goods: Goods;
  readonly #jobs: Job[] = [];

  /**
   * @param folder Scratch.
   * @param goods What is shared.
   */
  constructor(folder: string, goods: Goods) {
    this.#folder = folder;
    this.#goods = goods;
  }

  /** Ends every program. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#jobs.map((job) => job.stop()));
    await Deno.remove(`${this.#folder}/out`, { recursive: true }).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  }

  /** What the programs said, for the message of a failure. */
  get report(): string {
    return this.#jobs.map((job) => `${job.name}: ${job.stdout.at(-1)} ${job.stderr.join(" ")}`).join("\n");
  }

  /** Starts a Shoal that seeds, and waits until it does. */
  async seed(port: number): Promise<Job> {
    const job = this.#shoal("seed", [this.#goods.torrent, this.#goods.payload.folder, "--trust", "-p", `${port}`]);
    await job.line((line) => line.includes('"completed"'), { seconds: 30, what: "it seeds" });
    return job;
  }

  /** Starts a Shoal that downloads. */
  download(port: number, peers: readonly string[]): Job {
    const named = peers.flatMap((peer) => ["--peer", peer]);
    const args = [this.#goods.torrent, "-o", `${this.#folder}/out`, "--seed", "-p", `${port}`, ...named];
    return this.#shoal("download", args);
  }

  /** Waits until a download is complete. @returns how many seconds it took. */
  async completed(job: Job, seconds: number): Promise<number> {
    const line = await job.line((text) => text.includes('"completed"'), { seconds, what: "the download is complete" });
    return JSON.parse(line).seconds;
  }

  /** Compares what was downloaded with the source. */
  same(): Promise<void> {
    return assertSame(this.#goods.payload, `${this.#folder}/out`);
  }

  /**
   * Starts the attacker.
   *
   * @param sorties What it does.
   * @param options `port`: of the victim. `again`: milliseconds after which it comes back, or `null`. `rate`: bytes a
   * second that it may send, and take.
   * @returns The program, and where each sortie that is to be dialled listens.
   */
  async attack(
    sorties: readonly Sortie[],
    options: { readonly port: number; readonly again: number | null; readonly rate: number },
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
   * One whole run: an honest transfer, and perhaps an attack on one end of it.
   *
   * @param victim Which end.
   * @param sortie The attack; `null` for none.
   * @param options `rate`: bytes a second that the attacker may send, and take. `line`: bytes a second between the honest.
   * @returns What was measured.
   */
  async run(
    victim: Victim,
    sortie: Sortie | null,
    options: { readonly rate: number; readonly line: number },
  ): Promise<Outcome> {
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

/** Peak memory in bytes and CPU seconds of a process, by its number. */
export function usage(pid: number): { peak: number; victimCpu: number } {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return {
    peak: Number(/VmHWM:\s+(\d+)/.exec(status)![1]) * 1024,
    victimCpu: (Number(fields[11]) + Number(fields[12])) / 100,
  };
}

/** What a victim said about those that come from some addresses. */
export function about(events: readonly Event[], hosts: readonly string[]): Event[] {
  const known = new Set(hosts);
  return events.filter(({ address }) => known.has(String(address).replace(/:\d+$/, "")));
}
