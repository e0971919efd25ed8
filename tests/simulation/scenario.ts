/**
 * What a scenario is, and what all of them need: torrents and machines drawn at random, and the end that every run must
 * come to.
 *
 * @module
 */

import type { SessionOptions } from "../../src/session/session.ts";
import { type DiskProfile, PERFECT_DISK } from "./files.ts";
import type { SimHost } from "./host.ts";
import { Violation } from "./invariants.ts";
import type { HostProfile } from "./network.ts";
import type { World } from "./world.ts";

/** Something that may happen to a swarm. */
export interface Scenario {
  /** Its name on the command line. */
  readonly name: string;
  /** What it is to show, in a sentence. */
  readonly purpose: string;
  /**
   * Plays it; every parameter comes from the world's random numbers.
   *
   * @throws {Violation} If an invariant is broken.
   */
  run(world: World): Promise<void>;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** Virtual time after which a swarm that should have finished hasn't. */
export const LIMIT = 3 * HOUR;
/** Milliseconds after the end in which connections between complete peers are still closed and dead addresses tried. */
const SETTLE_MS = 4 * MINUTE;
/** Milliseconds in which nothing may happen. */
const QUIET_MS = 3 * MINUTE;
/** Machines that stay for the quiet time; one more would show nothing new and costs its ticks. */
const QUIET_HOSTS = 3;
/**
 * Dials to one address in the quiet time. The back-off of one that was lost has reached minutes by then, but it may have begun
 * just now: with somebody whose ten minutes of being shut out are over. Then six fit, 5, 10, 20, 40 and 80 s apart.
 */
const MOST_DIALS = 6;
/** Messages with which a connection opens that turns out to be of no use. */
const FIRST_WORDS = 20;

/** How large a torrent is to be. */
export interface TorrentShape {
  /** Pieces, from and to. */
  readonly pieces: readonly [number, number];
  /** Bytes of a piece, one of these. */
  readonly pieceLengths?: readonly number[];
  /** Files, from and to; 1 to 6 when absent. */
  readonly files?: readonly [number, number];
}

/** Makes the torrent: a tracker or two, some files, empty and tiny ones among them. */
export function drawTorrent(world: World, shape: TorrentShape): void {
  if (world.trackers.length === 0) { for (let i = world.chance(0.2) ? 2 : 1; i > 0; i--) world.addTracker(); }
  const pieceLength = world.oneOf(shape.pieceLengths ?? [16_384, 32_768, 32_768, 49_152, 65_536]);
  const pieces = world.pick(...shape.pieces);
  const total = (pieces - 1) * pieceLength + world.pick(1, pieceLength);
  const [least, most] = shape.files ?? [1, 6];
  const count = world.chance(0.5) ? least : world.pick(least, most);
  world.share({ pieceLength, sizes: drawSizes(world, { total, count, pieceLength }) });
}

function drawSizes(world: World, torrent: { total: number; count: number; pieceLength: number }): number[] {
  const { total, count, pieceLength } = torrent;
  if (count === 1) return [total];
  const sizes: number[] = [];
  let left = total;
  for (let i = 0; i < count - 1; i++) {
    const kind = world.random();
    const fair = Math.ceil(2 * left / (count - i));
    const size = kind < 0.1 ? 0 : kind < 0.2 ? world.pick(1, 20) : kind < 0.3 ? pieceLength : world.pick(0, fair);
    sizes.push(Math.min(size, left));
    left -= sizes[i]!;
  }
  // A torrent without bytes is none; the last file takes what is left.
  return [...sizes, left];
}

/** A number between two, small ones as likely as large ones. */
export function drawScale(world: World, low: number, high: number): number {
  return Math.round(low * (high / low) ** world.random());
}

/** How somebody may be connected. */
export function drawLine(world: World, options: { readonly nat?: number; readonly slow?: boolean } = {}): HostProfile {
  const up = options.slow ? drawScale(world, 4_000, 12_000) : drawScale(world, 40_000, 1_500_000);
  return {
    up,
    down: Math.round(up * world.between(1, 8)),
    latency: drawScale(world, 1, 120),
    jitter: world.chance(0.5) ? 0 : drawScale(world, 1, 60),
    nat: world.chance(options.nat ?? 0),
  };
}

/** What disk somebody may have. */
export function drawDisk(world: World): DiskProfile {
  if (world.chance(0.6)) return PERFECT_DISK;
  return { latency: world.oneOf([0, 0.2, 2, 8]), speed: drawScale(world, 2_000_000, 200_000_000), room: Infinity };
}

/** What may be said of a machine that isn't drawn. */
export interface PeerChoice {
  readonly profile?: HostProfile;
  readonly disk?: DiskProfile;
  readonly session?: Omit<SessionOptions, "platform">;
  readonly nat?: number;
}

/** A machine with the program on it, not started. */
export function addPeer(world: World, name: string, choice: PeerChoice = {}): SimHost {
  return world.addHost({
    name,
    profile: choice.profile ?? drawLine(world, { nat: choice.nat ?? 0 }),
    disk: choice.disk ?? drawDisk(world),
    hashMs: world.chance(0.5) ? 0 : drawScale(world, 1, 40),
    session: {
      maxPeers: world.oneOf([8, 20, 50]),
      cacheBytes: world.oneOf([256 * 1024, 1024 * 1024, 16 * 1024 * 1024]),
      ...choice.session,
    },
  });
}

/** Several of them. */
export function addPeers(world: World, count: number, choice: PeerChoice & { readonly name?: string } = {}): SimHost[] {
  return Array.from({ length: count }, (_, i) => addPeer(world, `${choice.name ?? "peer"}${i + 1}`, choice));
}

/** Somebody who has everything, started. */
export function addSeeder(world: World, choice: PeerChoice = {}): SimHost {
  const seeder = addPeer(world, "seeder", choice);
  seeder.plant(() => true);
  world.go(seeder.start());
  return seeder;
}

/** Starts programs within some time. */
export function startWithin(world: World, hosts: readonly SimHost[], milliseconds: number): void {
  for (const host of hosts) world.later(world.between(0, milliseconds), () => host.start());
}

/** Copies of the torrent among some machines, as far as they can be had: whole ones, and the part of another. */
export function copiesAmong(world: World, hosts: readonly SimHost[]): number {
  const { pieceCount } = world.truth.meta;
  const counts = new Array<number>(pieceCount).fill(0);
  for (const host of hosts) for (const index of host.torrent?.have ?? []) counts[index]!++;
  const least = Math.min(...counts);
  return least + counts.filter((count) => count > least).length / pieceCount;
}

/** Lets time pass until all of these have everything; a torrent that fails is a breach. */
export async function finishAll(world: World, hosts: readonly SimHost[], limit: number = LIMIT): Promise<void> {
  const done = () => {
    for (const host of hosts) {
      if (host.failure !== null) throw new Violation("every honest leecher finishes", whyOf(host));
    }
    return hosts.every((host) => host.isComplete);
  };
  try {
    await world.run(done, { limit, what: "every honest leecher finishes" });
  } catch (error) {
    if (!(error instanceof Violation) || error.rule !== "every honest leecher finishes") throw error;
    const late = hosts.filter((host) => !host.isComplete).map(progressOf);
    throw new Violation(error.rule, `${error.message.slice(error.rule.length + 2)}; missing: ${late.join(", ")}`);
  }
}

function whyOf(host: SimHost): string {
  return `${host.name} failed: ${host.failure instanceof Error ? host.failure.message : host.failure}`;
}

function progressOf(host: SimHost): string {
  const have = host.torrent?.have;
  return `${host.name} (${have ? `${have.count} of ${have.length}` : "not running"})`;
}

/**
 * The end that every scenario comes to: all finish; after some minutes nothing happens any more; programs stop and leave
 * nothing behind, and trackers know it.
 */
export async function endWell(world: World, leechers: readonly SimHost[], limit: number = LIMIT): Promise<void> {
  await finishAll(world, leechers, limit);
  await stayQuiet(world);
  const running = world.hosts.filter((host) => host.session !== null);
  await world.stop();
  for (const tracker of world.trackers) {
    for (const host of running) {
      const left = tracker.mood === "up" && tracker.knows(host.ip) ? `${tracker.url} wasn't told of its stop` : null;
      world.invariants.hold("trackers told", host, left);
    }
  }
  if (world.invariants.violation) throw world.invariants.violation;
}

/** Nothing but keep-alives, announces when they are due and dials to the dead, rarer and rarer. */
export async function stayQuiet(world: World): Promise<void> {
  for (const tracker of world.trackers) tracker.mood = "up";
  const awake = () => world.hosts.every((host) => host.nic.line.isAwake);
  await world.run(awake, { limit: 3 * HOUR, what: "everybody wakes up" });
  const running = world.hosts.filter((host) => host.session !== null);
  const extra = running.slice(QUIET_HOSTS);
  let stopping = extra.length;
  for (const host of extra) world.go(host.stop().then(() => stopping--));
  await world.run(() => stopping === 0, { limit: MINUTE, what: "stopping ends" });
  await world.pass(SETTLE_MS);
  const hosts = running.slice(0, QUIET_HOSTS);
  const before = hosts.map((host) => ({ messages: host.messages, dials: new Map(host.nic.dials) }));
  const heard = world.trackers.map((tracker) => tracker.heard.length);
  await world.pass(QUIET_MS);
  let dialled = 0;
  hosts.forEach((host, i) => {
    for (const [ip, dials] of host.nic.dials) {
      const more = dials - (before[i]!.dials.get(ip) ?? 0);
      dialled += more;
      const breach = more > MOST_DIALS ? `it dialled ${world.nameOf(ip)} ${more} times, for nothing` : null;
      world.invariants.hold("quiescence", host, breach);
    }
  });
  hosts.forEach((host, i) => {
    const said = host.messages - before[i]!.messages;
    const breach = said > dialled * FIRST_WORDS ? `it said ${said} things when there was nothing to say` : null;
    world.invariants.hold("quiescence", host, breach);
    world.trackers.forEach((tracker, number) => {
      const announces = tracker.heard.slice(heard[number]).filter((announce) => announce.ip === host.ip).length;
      const most = Math.ceil(QUIET_MS / 1000 / tracker.interval) + 1;
      const breach = announces > most ? `it announced ${announces} times in ${QUIET_MS / 1000} s` : null;
      world.invariants.hold("quiescence", host, breach);
    });
  });
  if (world.invariants.violation) throw world.invariants.violation;
}
