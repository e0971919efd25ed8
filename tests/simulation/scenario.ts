/**
 * The type of a scenario, and functions that scenarios share: random torrents and hosts, and the checks at the end of
 * every run.
 *
 * @module
 */

import type { SessionOptions } from "../../src/session/session.ts";
import { type DiskProfile, PERFECT_DISK } from "./files.ts";
import type { SimHost } from "./host.ts";
import { Violation } from "./invariants.ts";
import type { HostProfile } from "./network.ts";
import { seededRandom } from "../support/random.ts";
import type { Version } from "./truth.ts";
import type { World } from "./world.ts";

/** A course of events in a simulated swarm. */
export interface Scenario {
  /** Name on the command line. */
  readonly name: string;
  /** Events and expected result, in a sentence. */
  readonly purpose: string;
  /**
   * Plays the scenario. Every parameter comes from the world's random numbers.
   *
   * @throws {Violation} If an invariant is violated.
   */
  run(world: World): Promise<void>;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** Virtual milliseconds within which a swarm must finish. */
export const LIMIT = 3 * HOUR;
/**
 * Milliseconds after completion in which connections between seeds are closed, and dead addresses are still dialled.
 */
const SETTLE_MS = 4 * MINUTE;
/** Milliseconds of the following quiet time, in which almost nothing may happen. */
const QUIET_MS = 3 * MINUTE;
/** Number of hosts that run in the quiet time. More hosts would show nothing new, and cost time. */
const QUIET_HOSTS = 3;
/**
 * Limit of dials to one address in the quiet time. The back-off of a lost peer has usually reached minutes by then, but
 * the back-off of a peer whose ban of ten minutes has just ended begins anew: six dials fit, 5, 10, 20, 40 and 80 s
 * apart.
 */
const MOST_DIALS = 6;
/** Limit of messages at the start of a connection that turns out to be useless. */
const FIRST_WORDS = 20;

/** Ranges from which a random torrent is drawn. */
export interface TorrentShape {
  /** Smallest and largest number of pieces. */
  readonly pieces: readonly [number, number];
  /** Piece lengths in bytes to choose from, 16 to 64 KiB by default. */
  readonly pieceLengths?: readonly number[];
  /** Smallest and largest number of files, 1 to 6 by default. */
  readonly files?: readonly [number, number];
  /** Version of the torrent, random by default. */
  readonly version?: Version;
}

/**
 * Makes a random torrent with one or two trackers if there are none yet. Some files are empty or tiny. Half of all seeds
 * have a v1 torrent, and a quarter each a v2 torrent and a hybrid, unless the shape says which.
 */
export function drawTorrent(world: World, shape: TorrentShape): void {
  if (world.trackers.length === 0) { for (let i = world.chance(0.2) ? 2 : 1; i > 0; i--) world.addTracker(); }
  const pieceLength = world.oneOf(shape.pieceLengths ?? [16_384, 32_768, 32_768, 49_152, 65_536]);
  const pieces = world.pick(...shape.pieces);
  const total = (pieces - 1) * pieceLength + world.pick(1, pieceLength);
  const [least, most] = shape.files ?? [1, 6];
  const count = world.chance(0.5) ? least : world.pick(least, most);
  // Pieces of other versions than v1 have a block at least, and would make a torrent of many pieces large.
  const version = pieceLength < 16_384 ? "v1" : shape.version ?? drawVersion(world);
  const sizes = drawSizes(world, { total, count, pieceLength });
  if (version !== "v1" && pieceLength === 49_152) return world.share({ pieceLength: 65_536, sizes, version });
  world.share({ pieceLength, sizes, version });
}

/** Draws a version from the seed itself, so that all other numbers of a seed are the same for each version. */
function drawVersion(world: World): Version {
  return (["v1", "v2", "v1", "hybrid"] as const)[Math.floor(seededRandom(world.seed ^ 0x2545f491)() * 4)]!;
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
  // The last file takes the rest, so the torrent is never empty.
  return [...sizes, left];
}

/** Returns a random number between two, uniform on a logarithmic scale. */
export function drawScale(world: World, low: number, high: number): number {
  return Math.round(low * (high / low) ** world.random());
}

/** Returns a random line. `nat` is the probability that the host can't accept connections. */
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

/** Returns a random disk. */
export function drawDisk(world: World): DiskProfile {
  if (world.chance(0.6)) return PERFECT_DISK;
  return { latency: world.oneOf([0, 0.2, 2, 8]), speed: drawScale(world, 2_000_000, 200_000_000), room: Infinity };
}

/** Properties of a host that aren't drawn at random. */
export interface PeerChoice {
  readonly profile?: HostProfile;
  readonly disk?: DiskProfile;
  readonly session?: Omit<SessionOptions, "platform">;
  readonly nat?: number;
}

/** Adds a host. Its program isn't started. */
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

/** Adds several hosts. */
export function addPeers(world: World, count: number, choice: PeerChoice & { readonly name?: string } = {}): SimHost[] {
  return Array.from({ length: count }, (_, i) => addPeer(world, `${choice.name ?? "peer"}${i + 1}`, choice));
}

/** Adds a host with the complete data, and starts its program. */
export function addSeeder(world: World, choice: PeerChoice = {}): SimHost {
  const seeder = addPeer(world, "seeder", choice);
  seeder.plant(() => true);
  world.go(seeder.start());
  return seeder;
}

/** Starts programs at random times within some milliseconds. */
export function startWithin(world: World, hosts: readonly SimHost[], milliseconds: number): void {
  for (const host of hosts) world.later(world.between(0, milliseconds), () => host.start());
}

/** Returns the number of distributed copies among some hosts: whole copies, and the part of a further copy. */
export function copiesAmong(world: World, hosts: readonly SimHost[]): number {
  const { pieceCount } = world.truth.meta;
  const counts = new Array<number>(pieceCount).fill(0);
  for (const host of hosts) for (const index of host.torrent?.have ?? []) counts[index]!++;
  const least = Math.min(...counts);
  return least + counts.filter((count) => count > least).length / pieceCount;
}

/** Runs until all hosts are complete. A failed torrent is a violation. */
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
 * Runs the end of every scenario: all hosts finish, traffic ceases, programs stop without leaving anything open, and
 * trackers get `stopped` announces.
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

/** Checks that complete hosts send only keep-alives, due announces, and ever rarer dials to dead addresses. */
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
      const own = tracker.heard.slice(heard[number]).filter((announce) => announce.ip === host.ip);
      const announces = own.length;
      const hashes = new Set(own.map(({ infoHash }) => infoHash)).size;
      const most = hashes * (Math.ceil(QUIET_MS / 1000 / tracker.interval) + 1);
      const breach = announces > most ? `it announced ${announces} times in ${QUIET_MS / 1000} s` : null;
      world.invariants.hold("quiescence", host, breach);
    });
  });
  if (world.invariants.violation) throw world.invariants.violation;
}
