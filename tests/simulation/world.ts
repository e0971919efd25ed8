/**
 * A swarm in one process on a virtual clock, reproducible by a seed.
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

/** Called with each line of a trace. */
export type TraceSink = (line: string) => void;

/** Options for {@linkcode World}. */
export interface WorldOptions {
  /** Seed of all random numbers. */
  readonly seed: number;
  /** Called with each line of the trace. No trace by default. */
  readonly trace?: TraceSink | undefined;
  /** Includes every message between peers in the trace. Default `false`. */
  readonly messages?: boolean;
  /** Checks the messages and the state of hosts. Default `true`. */
  readonly watched?: boolean;
}

/** Options for {@linkcode World.addHost}. */
export interface NewHost {
  readonly name: string;
  /** Line of the host. */
  readonly profile: HostProfile;
  /** Disk of the host, {@linkcode PERFECT_DISK} by default. */
  readonly disk?: DiskProfile;
  /** Longest time in milliseconds to hash a piece, 0 by default. */
  readonly hashMs?: number;
  readonly session?: Omit<SessionOptions, "platform">;
}

/** Options for {@linkcode World.run}. */
export interface WorldRunOptions {
  /** Limit in virtual milliseconds. */
  readonly limit: number;
  /** Expected event, which names the violated rule if the limit is exceeded. */
  readonly what: string;
}

/** Number of the first host without Shoal. */
const FIRST_SCRIPTED_HOST = 50_000;
/** Milliseconds between two checks of every host. */
const CHECK_MS = 500;
/** This many moments at the same virtual time are an endless loop. */
const STANDSTILL = 20_000;
/**
 * Lets every promise that can settle do so: next-tick callbacks run when no other callback is ready. A simulation calls
 * this a hundred thousand times, and `settle()` of the virtual clock takes a millisecond on old runtimes.
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
  /** Names of hosts without Shoal, such as liars, by IP address. */
  readonly strangers = new Map<string, string>();
  /** Number of events so far. Everything that one event causes at once belongs to the same moment. */
  moments = 0;
  readonly #trace: TraceSink | undefined;
  readonly #messages: boolean;
  readonly #watched: boolean;
  #truth: Truth | null = null;
  #failure: unknown = null;
  #nextCheck = 0;

  constructor(options: WorldOptions) {
    this.seed = options.seed;
    this.random = seededRandom(options.seed);
    this.clock = new VirtualClock({ seed: options.seed });
    this.network = new SimNetwork(this.clock, seededRandom(options.seed ^ 0x5bd1e995));
    this.#trace = options.trace;
    this.#messages = options.messages ?? false;
    this.#watched = options.watched ?? true;
  }

  /** Torrent of the swarm. */
  get truth(): Truth {
    if (!this.#truth) throw new Error("no torrent has been made");
    return this.#truth;
  }

  /** `true` if there is a trace. */
  get traces(): boolean {
    return this.#trace !== undefined;
  }

  /** `true` if there is a trace that includes messages. */
  get tracesMessages(): boolean {
    return this.#messages && this.#trace !== undefined;
  }

  /** Makes the torrent of the swarm, with the trackers of this world. */
  share(options: Omit<TruthOptions, "seed" | "trackers">): void {
    this.#truth = new Truth({ ...options, seed: this.seed, trackers: this.trackers.map(({ url }) => url) });
  }

  /** Adds a tracker. Call this before {@linkcode World.share}. */
  addTracker(): SimTracker {
    const number = this.trackers.length + 1;
    const tracker = new SimTracker(`http://tracker${number}.test/announce`, seededRandom(this.seed + number));
    this.trackers.push(tracker);
    return tracker;
  }

  /** Returns the tracker with a URL. */
  trackerAt(url: string): SimTracker {
    const tracker = this.trackers.find((one) => url.startsWith(one.url));
    if (!tracker) throw new Error(`there is no tracker at ${url}`);
    return tracker;
  }

  /** Adds a host. Its program isn't started. */
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

  /** Adds a host without Shoal. The caller uses its network interface. */
  addStranger(name: string, profile: HostProfile): Nic {
    const number = FIRST_SCRIPTED_HOST + this.strangers.size;
    const ip = ipOf(number);
    this.strangers.set(ip, name);
    return this.network.add(ip, { profile, rank: () => this.rank(number) });
  }

  /** Returns the name of the host with an IP address. */
  nameOf(ip: string): string {
    return this.hosts.find((host) => host.ip === ip)?.name ?? this.strangers.get(ip) ?? ip;
  }

  /** Returns the rank of a host among events of the same millisecond. The order of hosts differs each millisecond. */
  rank(host: number): number {
    let mixed = Math.imul(host + 1, 0x9e3779b1) ^ Math.imul(Math.floor(this.clock.now()) + this.seed, 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x2c1b3c6d);
    return (mixed ^ (mixed >>> 13)) >>> 0;
  }

  /** Returns a random number between two. */
  between(low: number, high: number): number {
    return low + (high - low) * this.random();
  }

  /** Returns a random integer between two, both included. */
  pick(low: number, high: number): number {
    return Math.floor(this.between(low, high + 1));
  }

  /** Returns `true` with a probability. */
  chance(probability: number): boolean {
    return this.random() < probability;
  }

  /** Returns a random element. */
  oneOf<T>(several: readonly T[]): T {
    return several[Math.floor(this.random() * several.length)]!;
  }

  /** Resolves after some virtual milliseconds. */
  sleep(milliseconds: number): Promise<void> {
    return new Promise((resolve) => this.clock.after(Math.ceil(milliseconds), resolve, 0));
  }

  /** Adds a line to the trace. */
  trace(who: SimHost | null, text: string): void {
    if (!this.#trace) return;
    const time = (this.clock.now() / 1000).toFixed(3).padStart(9);
    this.#trace(`${time} ${(who?.name ?? "-").padEnd(12)} ${text}`);
  }

  /** Called when a host is complete. */
  completed(host: SimHost): void {
    this.trace(host, "complete");
    this.invariants.checkComplete(host);
  }

  /** Calls a function after some virtual milliseconds. */
  later(milliseconds: number, run: () => unknown): void {
    this.clock.after(Math.ceil(milliseconds), () => this.go(run()), 0);
  }

  /** Makes the simulation fail if a promise rejects. */
  go(work: unknown): void {
    if (work instanceof Promise) work.catch((error) => this.#failure ??= error);
  }

  /**
   * Advances the virtual clock until a condition is true.
   *
   * @param until Returns `true` when the condition is met.
   * @param options See {@linkcode WorldRunOptions}.
   * @throws {Violation} If an invariant is violated, or the limit is exceeded.
   */
  async run(until: () => boolean, options: WorldRunOptions): Promise<void> {
    const end = this.clock.now() + options.limit;
    let still = 0;
    // Depending on the caller, the first next-tick callback may run too early. Later ones wait for all other callbacks.
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

  /** Advances the virtual clock by some milliseconds. */
  async pass(milliseconds: number): Promise<void> {
    let over = false;
    this.clock.after(milliseconds, () => over = true);
    await this.run(() => over, { limit: milliseconds + 1, what: "time passes" });
  }

  /** Checks the state of every host. */
  check(): void {
    for (const host of this.hosts) if (host.options.watched) this.invariants.check(host);
  }

  /** Stops every program cleanly, and checks that it leaves nothing open. */
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
