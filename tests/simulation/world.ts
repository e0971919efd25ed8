/**
 * A whole swarm in one process, on a virtual clock, decided by one number.
 *
 * @module
 */

import process from "node:process";
import { seededRandom } from "../support/random.ts";
import { VirtualClock } from "../support/virtual_clock.ts";
import { type DiskProfile, PERFECT_DISK } from "./files.ts";
import { SimHost } from "./host.ts";
import { Invariants, Violation } from "./invariants.ts";
import { type HostProfile, type Nic, SimNetwork } from "./network.ts";
import { SimTracker } from "./tracker.ts";
import { Truth, type TruthOptions } from "./truth.ts";
import type { SessionOptions } from "../../src/session/session.ts";

/** Takes the lines of a trace. */
export type TraceSink = (line: string) => void;

/** What a world starts from. */
export interface WorldOptions {
  /** Decides everything. */
  readonly seed: number;
  /** Takes the trace; none when absent. */
  readonly trace?: TraceSink | undefined;
  /** Whether every message between peers goes into the trace. */
  readonly messages?: boolean;
  /** Whether what hosts say is checked; `true` when absent. */
  readonly watched?: boolean;
}

/** How a host is to be. */
export interface NewHost {
  readonly name: string;
  readonly profile: HostProfile;
  readonly disk?: DiskProfile;
  readonly hashMs?: number;
  readonly session?: Omit<SessionOptions, "platform">;
}

/** Number of the first machine without the program. */
const STRANGERS = 50_000;
/** Milliseconds between two looks at the state of every host. */
const CHECK_MS = 500;
/** Moments in a row at the same time: somebody does the same thing again and again without end. */
const STANDSTILL = 20_000;
/**
 * Lets every promise that can settle do so: next-tick callbacks run when no other callback is ready. A simulation does this
 * a hundred thousand times; `settle()` of the virtual clock takes a millisecond on old runtimes.
 */
const settled = (): Promise<void> => new Promise<void>((resolve) => process.nextTick(resolve));

/** The simulation. */
export class World {
  readonly seed: number;
  readonly random: () => number;
  readonly clock: VirtualClock;
  readonly network: SimNetwork;
  readonly invariants: Invariants = new Invariants(this);
  readonly hosts: SimHost[] = [];
  readonly trackers: SimTracker[] = [];
  /** Machines without the program: those that lie. */
  readonly strangers = new Map<string, string>();
  /** Moments at which something happened. */
  moments = 0;
  readonly #trace: TraceSink | undefined;
  readonly #messages: boolean;
  readonly #watched: boolean;
  #truth: Truth | null = null;
  #failure: unknown = null;
  #nextCheck = 0;

  /** @param options What it starts from. */
  constructor(options: WorldOptions) {
    this.seed = options.seed;
    this.random = seededRandom(options.seed);
    this.clock = new VirtualClock({ seed: options.seed });
    this.network = new SimNetwork(this.clock, seededRandom(options.seed ^ 0x5bd1e995));
    this.#trace = options.trace;
    this.#messages = options.messages ?? false;
    this.#watched = options.watched ?? true;
  }

  /** The torrent. */
  get truth(): Truth {
    if (!this.#truth) throw new Error("no torrent has been made");
    return this.#truth;
  }

  /** Whether somebody reads the trace. */
  get traces(): boolean {
    return this.#trace !== undefined;
  }

  /** Whether messages go into the trace. */
  get tracesMessages(): boolean {
    return this.#messages && this.#trace !== undefined;
  }

  /** Makes the torrent that everybody shares; its trackers are those of this world. */
  share(options: Omit<TruthOptions, "seed" | "trackers">): void {
    this.#truth = new Truth({ ...options, seed: this.seed, trackers: this.trackers.map(({ url }) => url) });
  }

  /** A tracker more; before {@linkcode World.share}. */
  addTracker(): SimTracker {
    const number = this.trackers.length + 1;
    const tracker = new SimTracker(`http://tracker${number}.test/announce`, seededRandom(this.seed + number));
    this.trackers.push(tracker);
    return tracker;
  }

  /** The tracker that a URL means. */
  trackerAt(url: string): SimTracker {
    const tracker = this.trackers.find((one) => url.startsWith(one.url));
    if (!tracker) throw new Error(`there is no tracker at ${url}`);
    return tracker;
  }

  /** A host more; nothing runs on it yet. */
  addHost(host: NewHost): SimHost {
    const number = this.hosts.length;
    const made = new SimHost(this, {
      name: host.name,
      ip: ipOf(number),
      number,
      profile: host.profile,
      disk: host.disk ?? PERFECT_DISK,
      hashMs: host.hashMs ?? 0,
      session: host.session ?? {},
      watched: this.#watched,
    });
    this.hosts.push(made);
    return made;
  }

  /** A machine more, without the program; somebody else speaks for it. */
  addStranger(name: string, profile: HostProfile): Nic {
    const number = STRANGERS + this.strangers.size;
    const ip = ipOf(number);
    this.strangers.set(ip, name);
    return this.network.add(ip, { profile, rank: () => this.rank(number) });
  }

  /** Name of the machine at an address. */
  nameOf(ip: string): string {
    return this.hosts.find((host) => host.ip === ip)?.name ?? this.strangers.get(ip) ?? ip;
  }

  /** A number of events of one host in one millisecond; hosts come in a different order each millisecond. */
  rank(host: number): number {
    let mixed = Math.imul(host + 1, 0x9e3779b1) ^ Math.imul(Math.floor(this.clock.now()) + this.seed, 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x2c1b3c6d);
    return (mixed ^ (mixed >>> 13)) >>> 0;
  }

  /** A random number between two. */
  between(low: number, high: number): number {
    return low + (high - low) * this.random();
  }

  /** A random whole number between two, both included. */
  pick(low: number, high: number): number {
    return Math.floor(this.between(low, high + 1));
  }

  /** Whether something happens that has a chance. */
  chance(probability: number): boolean {
    return this.random() < probability;
  }

  /** One of several. */
  oneOf<T>(several: readonly T[]): T {
    return several[Math.floor(this.random() * several.length)]!;
  }

  /** Lets time pass for a script. */
  sleep(milliseconds: number): Promise<void> {
    return new Promise((resolve) => this.clock.after(Math.ceil(milliseconds), resolve, 0));
  }

  /** Adds a line to the trace. */
  trace(who: SimHost | null, text: string): void {
    if (!this.#trace) return;
    const time = (this.clock.now() / 1000).toFixed(3).padStart(9);
    this.#trace(`${time} ${(who?.name ?? "-").padEnd(12)} ${text}`);
  }

  /** A host has everything. */
  completed(host: SimHost): void {
    this.trace(host, "complete");
    this.invariants.checkComplete(host);
  }

  /** Does something after a while. */
  later(milliseconds: number, run: () => unknown): void {
    this.clock.after(Math.ceil(milliseconds), () => this.go(run()), 0);
  }

  /** Lets something asynchronous go on; its failure is the simulation's. */
  go(work: unknown): void {
    if (work instanceof Promise) work.catch((error) => this.#failure ??= error);
  }

  /**
   * Lets time pass until something is the case.
   *
   * @param until What is waited for.
   * @param options `limit`: milliseconds that it may take. `what`: for the error.
   * @throws {Violation} If an invariant is broken, or the limit is passed.
   */
  async run(until: () => boolean, options: { readonly limit: number; readonly what: string }): Promise<void> {
    const end = this.clock.now() + options.limit;
    let still = 0;
    // The first callback may come too early: only from the second on do they wait for all others, whoever calls.
    await settled();
    for (;;) {
      await settled();
      if (this.#failure !== null) throw this.#failure;
      this.invariants.moment();
      if (this.clock.now() >= this.#nextCheck) {
        this.#nextCheck = this.clock.now() + CHECK_MS;
        this.check();
      }
      if (this.invariants.violation) throw this.invariants.violation;
      if (until()) return;
      if (this.clock.nextDue > end) throw new Violation(options.what, `not within ${options.limit / 1000} s`);
      this.moments++;
      still = this.clock.nextDue > this.clock.now() ? 0 : still + 1;
      if (still > STANDSTILL) throw new Violation("time goes on", `it stands still at ${this.clock.now() / 1000} s`);
      this.clock.runNext();
    }
  }

  /** Lets time pass. */
  async pass(milliseconds: number): Promise<void> {
    let over = false;
    this.clock.after(milliseconds, () => over = true);
    await this.run(() => over, { limit: milliseconds + 1, what: "time passes" });
  }

  /** Looks at the state of every host. */
  check(): void {
    for (const host of this.hosts) if (host.options.watched) this.invariants.check(host);
  }

  /** Stops every program in good order, and sees that nothing is left of it. */
  async stop(): Promise<void> {
    let running = 0;
    for (const host of this.hosts) {
      this.invariants.checkFiles(host);
      if (!host.session) continue;
      running++;
      this.go(host.stop().then(() => running--));
    }
    await this.run(() => running === 0, { limit: 30_000, what: "stopping ends" });
    await settled();
    if (this.#failure !== null) throw this.#failure;
    if (this.invariants.violation) throw this.invariants.violation;
  }
}

function ipOf(number: number): string {
  return `10.${1 + (number >> 16)}.${(number >> 8) & 255}.${number & 255}`;
}
