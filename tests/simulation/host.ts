/**
 * One host of the simulation: its clocks, its disk, its line, and a real session on it.
 *
 * @module
 */

import type { Bytes } from "../../src/base/bytes.ts";
import { type Metainfo, parseMagnet } from "../../src/metainfo/mod.ts";
import {
  type BlockHashes,
  type FileHandle,
  type FileLock,
  type FileSystem,
  HttpError,
  type HttpRequest,
  type HttpResponse,
  type Network,
  type Platform,
  type Timer,
} from "../../src/platform/platform.ts";
import type { AddOptions } from "../../src/session/session_options.ts";
import {
  type RemoveOptions,
  Session,
  type SessionOptions,
  type TorrentHandle as PublicTorrent,
} from "../../src/session/session.ts";
import type { Torrent } from "../../src/swarm/torrent.ts";
import type { TorrentState } from "../../src/swarm/torrent_state.ts";
import type { SessionEvent } from "../../src/session/session_events.ts";
import type { MemoryDatabases } from "../support/memory_database.ts";
import { seededRandom } from "../support/random.ts";
import { type DiskProfile, SimFiles } from "./files.ts";
import type { HostProfile, Nic } from "./network.ts";
import { Listener } from "./watch.ts";
import type { SimConnection } from "./stream.ts";
import type { World } from "./world.ts";
import { PoisonedMemory } from "../support/poisoned_memory.ts";
import { hashBlocks } from "../../src/platform/merkle_digest.ts";
import { startDigest } from "../../src/platform/start_digest.ts";

/** Download folder on every disk, unless a scenario moves the torrent. */
export const FOLDER = "/dl";
const STATE = "/state";
export const PORT = 6881;

/** Options for {@linkcode SimHost}. */
export interface HostOptions {
  readonly name: string;
  readonly ip: string;
  /** Number of the host, which makes its random numbers and ranks differ from those of other hosts. */
  readonly number: number;
  /** Line of the host. */
  readonly profile: HostProfile;
  /** Disk of the host. */
  readonly disk: DiskProfile;
  /** Longest time in milliseconds to hash a piece. The time is random. */
  readonly hashMs: number;
  readonly session: Omit<SessionOptions, "platform">;
  /** `true` if the host's messages and state are checked. */
  readonly watched: boolean;
}

/** A host with a Shoal program. */
export class SimHost {
  readonly name: string;
  readonly ip: string;
  readonly nic: Nic;
  readonly files: SimFiles;
  /** Databases of the program, which survive kills. `null` (the default) if the program has no database. */
  databases: MemoryDatabases | null = null;
  /** Milliseconds by which the wall clock is wrong. */
  wallOffset = 0;
  /** Number of starts of the program. */
  starts = 0;
  /** Number of messages sent, without keep-alives. */
  messages = 0;
  /** Time at which the torrent was complete since the last start, or `null`. */
  completedAt: number | null = null;
  /** Error of the torrent, or `null`. */
  failure: unknown = null;
  readonly events: SessionEvent[] = [];
  /** Folder of the torrent, as last set by the user. */
  folder: string = FOLDER;
  /** All folders that the torrent has been in. */
  readonly folders: string[] = [FOLDER];
  /** Files that existed at the last start. The value is `true` if their folder contained a claim to the torrent. */
  readonly orphans = new Map<string, boolean>();
  /** `true` if the user may select a part of the files for a while. Completing that part doesn't count as complete. */
  choosy = false;
  /** Half of a hybrid that the host knows, or both. */
  knows: "v1" | "v2" | "both" = "both";
  /** Magnet link from which the host starts, or `null` if it has the torrent file. */
  link: string | null = null;
  /** State of the torrent by its events. `null` if there is no torrent, or before its first event. */
  state: TorrentState | null = null;
  readonly options: HostOptions;
  readonly random: () => number;
  readonly #world: World;
  #process: Process | null = null;
  #diskFree = 0;

  /**
   * @param world World that the host belongs to.
   * @param options See {@linkcode HostOptions}.
   */
  constructor(world: World, options: HostOptions) {
    this.#world = world;
    this.options = options;
    this.name = options.name;
    this.ip = options.ip;
    this.random = seededRandom(Math.imul(world.seed, 0x9e3779b1) ^ (options.number + 1) * 0x85ebca6b);
    this.nic = world.network.add(options.ip, { profile: options.profile, rank: () => world.rank(options.number) });
    this.files = new SimFiles({
      profile: options.disk,
      expected: (path) => isBelow(path, STATE) ? null : world.truth.fileAt(insideOf(path)),
      wallClock: () => world.clock.wallClock() + this.wallOffset,
      wait: (milliseconds) => this.#waitForDisk(milliseconds),
    });
    this.files.renamed = (path) => world.invariants.checkFinal(this, path);
    if (options.watched) {
      const watcher = world.invariants.watcherOf(this);
      this.nic.opened = (connection) => connection.watch(new Listener(connection.remote, watcher));
    }
  }

  /** The torrent as the host knows it. */
  get meta(): Metainfo {
    const { truth } = this.#world;
    return this.knows === "both" ? truth.meta : truth.half(this.knows);
  }

  /** The running session, or `null` if the program isn't running. */
  get session(): Session | null {
    return this.#process?.session ?? null;
  }

  /** The torrent of the running program, or `null`. */
  get torrent(): Torrent | null {
    return this.#process?.torrent ?? null;
  }

  /** Platform of the running program, or `null`. */
  get platform(): Platform | null {
    return this.#process?.platform ?? null;
  }

  /** Number of pending timers of the running program. */
  get timers(): number {
    return this.#process?.timers ?? 0;
  }

  /** `true` if the torrent is complete. */
  get isComplete(): boolean {
    return this.completedAt !== null;
  }

  /** Writes pieces to the disk: to final files if all pieces are written, else to `.part` files. */
  plant(pieces: (index: number) => boolean): void {
    const { meta, files } = this.#world.truth;
    const planted = Array.from({ length: meta.pieceCount }, (_, i) => pieces(i));
    const all = planted.every(Boolean);
    for (const file of files) {
      const { offset } = file;
      const path = `${FOLDER}/${file.path}${all ? "" : ".part"}`;
      const size = file.data.length;
      if (all) this.files.plant(path, { from: 0, end: size, size });
      for (let at = 0; at < size && !all;) {
        const piece = Math.floor((offset + at) / meta.pieceLength);
        const end = Math.min(size, (piece + 1) * meta.pieceLength - offset);
        if (planted[piece]) this.files.plant(path, { from: at, end, size });
        at = end;
      }
    }
  }

  /** Starts the program with the torrent. A torrent in the database is restored. */
  async start(options: Omit<AddOptions, "folder"> = {}): Promise<void> {
    await this.boot();
    if (!await this.restore()) await this.add(options);
  }

  /** Starts the program without a torrent. */
  async boot(): Promise<void> {
    this.starts++;
    const claim = `.shoal-${this.meta.infoHash.hex}.lock`;
    const there = new Set(this.files.paths);
    for (const path of there) this.orphans.set(path, there.has(`${path.slice(0, path.lastIndexOf("/"))}/${claim}`));
    const process = new Process(this.#platform());
    this.#process = process;
    const session = new Session({
      port: PORT,
      stateFolder: STATE,
      cacheBytes: 4 * 1024 * 1024,
      encryption: "off", // It costs a millisecond per connection, and no scenario tests it.
      ...this.options.session,
      platform: process.platform,
    });
    process.session = session;
    session.subscribe((event) => process === this.#process && this.#heard(event));
    await session.start();
  }

  /** Adds the torrent to the running program. */
  async add(options: Omit<AddOptions, "folder"> = {}): Promise<void> {
    const process = this.#process;
    const source = this.link === null ? this.meta : parseMagnet(this.link);
    const torrent = await process?.session?.add(source, { folder: this.folder, ...options });
    if (torrent && process === this.#process) this.follow(torrent);
  }

  /** Restores the torrents of the last run. Returns `true` if the torrent is one of them. */
  async restore(): Promise<boolean> {
    const process = this.#process;
    const [torrent] = await process?.session?.restore() ?? [];
    if (torrent && process === this.#process) this.follow(torrent);
    return torrent !== undefined;
  }

  /** Removes the torrent from the running program. */
  async remove(options: RemoveOptions = {}): Promise<void> {
    const process = this.#process!;
    await process.session!.remove(process.torrent!, options);
    if (process !== this.#process) return;
    process.torrent = null;
    this.completedAt = null;
  }

  /** Makes a torrent the host's torrent, and records its completion or failure. */
  follow(torrent: PublicTorrent): void {
    const process = this.#process!;
    process.torrent = torrent as Torrent;
    this.failure = null;
    this.completedAt = null;
    torrent.finished.then(
      () => this.#completed(process),
      (error) => {
        if (process !== this.#process) return;
        this.failure = error;
        this.#world.trace(this, `failed: ${error instanceof Error ? error.message : error}`);
      },
    );
  }

  /** Stops the program cleanly. */
  async stop(): Promise<void> {
    const process = this.#process;
    await process?.session?.stop();
    if (process === null || this.#process !== process) return;
    // Work that was cancelled may take a moment to end.
    await this.#world.sleep(1);
    this.#world.invariants.stopped(this);
    // Work that still goes on ends with the process.
    process.dead = true;
    this.files.forgetHandles();
    this.#process = null;
    this.state = null;
  }

  /** Kills the program, as with SIGKILL. The system closes its sockets. */
  kill(): void {
    this.#world.trace(this, "killed");
    this.state = null;
    this.#world.invariants.forget(this);
    if (this.#process) this.#process.dead = true;
    this.#process = null;
    this.files.forgetHandles();
    this.nic.abandon();
  }

  /** Removes the host from the network, and ends the program. Peers aren't notified. */
  vanish(): void {
    this.#world.trace(this, "vanished");
    this.state = null;
    this.#world.invariants.forget(this);
    if (this.#process) this.#process.dead = true;
    this.#process = null;
    this.files.forgetHandles();
    this.nic.vanish();
  }

  /** Brings the host back after {@linkcode SimHost.vanish}. The program isn't started. */
  comeBack(): void {
    this.#world.trace(this, "is back");
    this.nic.comeBack();
  }

  /** Suspends the program for a while, as with SIGSTOP or on a sleeping laptop. Clocks go on. */
  suspend(milliseconds: number): void {
    this.#world.trace(this, `suspended for ${milliseconds / 1000} s`);
    this.nic.line.sleepUntil(this.#world.clock.now() + milliseconds);
  }

  #heard(event: SessionEvent): void {
    if (event.event === "checking") return;
    this.events.push(event);
    const { invariants } = this.#world;
    if (event.event === "peer" && event.action === "banned") invariants.banned(this, event.address);
    if (event.event === "peer" && event.action === "connected") invariants.connected(this, event.address);
    if (event.event === "added") this.state = null;
    if (event.event === "state") {
      invariants.entered(this, event);
      this.state = event.state;
    }
    if (!this.#world.traces) return;
    const { event: name, infohash: _, ...rest } = event;
    this.#world.trace(this, `${name} ${JSON.stringify(rest)}`);
  }

  #completed(process: Process): void {
    if (process !== this.#process || this.completedAt !== null) return;
    if (this.choosy && process.torrent?.wantedFiles.length !== this.#world.truth.files.length) return;
    this.completedAt = this.#world.clock.now();
    this.#world.completed(this);
  }

  /** Waits until the disk, which does one thing at a time, has worked for a while. */
  #waitForDisk(milliseconds: number): Promise<void> {
    const now = this.#world.clock.now();
    this.#diskFree = Math.max(this.#diskFree, now) + milliseconds * (0.5 + this.random());
    const due = Math.ceil(this.#diskFree) - now;
    return new Promise((resolve) => this.#world.clock.after(due, resolve, this.#world.rank(this.options.number)));
  }

  #platform(): (process: Process) => Platform {
    const { clock } = this.#world;
    return (process) => ({
      now: () => clock.now(),
      wallClock: () => clock.wallClock() + this.wallOffset,
      after: (milliseconds, run) => process.after(milliseconds, run, this),
      yieldToEventLoop: () => Promise.resolve(),
      random: this.random,
      randomBytes: (length) => Uint8Array.from({ length }, () => Math.floor(this.random() * 256)),
      sha1: (data) => this.#sha1(data),
      blockHashes: (data, leaves, also) => this.#blockHashes(data, leaves, also),
      digest: startDigest,
      openMemory: () => new PoisonedMemory(),
      net: mortal(this.nic, process),
      http: {
        request: (request) => this.#request(process, request),
        stream: () => Promise.reject(new Error("there are no web seeds in the simulation")),
        serve: () => {
          throw new Error("nobody serves HTTP in the simulation");
        },
      },
      files: mortal(this.files, process),
      ...(this.databases && { openDatabase: (path) => Promise.resolve(this.databases!.open(path, process)) }),
    });
  }

  async #sha1(data: Bytes): Promise<Bytes> {
    await this.#waitForHash();
    return this.#world.truth.digest(data);
  }

  async #blockHashes(...[data, leaves, also]: Parameters<Platform["blockHashes"]>): Promise<BlockHashes> {
    await this.#waitForHash();
    return hashBlocks(data, leaves, startDigest, also);
  }

  async #waitForHash(): Promise<void> {
    if (this.options.hashMs === 0) return;
    await new Promise<void>((resolve) => this.schedule(this.options.hashMs * this.random(), resolve));
  }

  #request(process: Process, request: HttpRequest): Promise<HttpResponse> {
    const { clock } = this.#world;
    return new Promise((resolve, reject) => {
      const after = (milliseconds: number, run: () => void) => process.after(milliseconds, run, this);
      const timer = after(request.timeout, () => reject(new HttpError(`no answer within ${request.timeout} ms`)));
      request.signal?.addEventListener("abort", () => {
        timer.cancel();
        reject(request.signal!.reason);
      }, { once: true });
      const trip = Math.ceil(this.nic.line.latency);
      clock.after(2 * trip, () => {
        if (this.nic.gone) return;
        let answer: HttpResponse | null;
        try {
          answer = this.#world.trackerAt(request.url).answer(this.ip, request);
        } catch (error) {
          timer.cancel();
          return this.nic.line.whenAwake(() => reject(error));
        }
        if (!answer) return;
        after(trip, () => {
          timer.cancel();
          resolve(answer);
        });
      }, this.#world.rank(this.options.number));
    });
  }

  /** Starts a timer for the program. It runs once the program isn't suspended. */
  schedule(milliseconds: number, run: () => void): Timer {
    const { clock } = this.#world;
    const due = Math.ceil(Math.max(0, milliseconds));
    return clock.after(due, () => this.nic.line.whenAwake(run), this.#world.rank(this.options.number));
  }
}

function isBelow(path: string, folder: string): boolean {
  return path.startsWith(`${folder}/`);
}

/** Returns a path relative to its download folder. All download folders are top-level folders. */
function insideOf(path: string): string {
  return path.slice(path.indexOf("/", 1) + 1);
}

/** One run of the program. */
class Process {
  dead = false;
  session: Session | null = null;
  torrent: Torrent | null = null;
  readonly platform: Platform;
  readonly #pending = new Set<Timer>();

  constructor(make: (process: Process) => Platform) {
    this.platform = make(this);
  }

  get timers(): number {
    return this.#pending.size;
  }

  after(milliseconds: number, run: () => void, host: SimHost): Timer {
    const timer = host.schedule(milliseconds, () => {
      if (!this.#pending.delete(handle) || this.dead) return;
      run();
    });
    const handle: Timer = {
      cancel: () => {
        timer.cancel();
        this.#pending.delete(handle);
      },
    };
    this.#pending.add(handle);
    return handle;
  }
}

/**
 * Wraps the files or the network for a program. Once the program is dead, its calls and pending results never settle.
 */
function mortal<T extends FileSystem | FileHandle | Network>(outside: T, process: Process): T {
  return new Proxy(outside, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== "function") return member;
      return (...parameters: unknown[]) => {
        if (process.dead) return new Promise(() => {});
        const result: unknown = Reflect.apply(member, target, parameters);
        if (!(result instanceof Promise)) return result;
        return new Promise((resolve, reject) => {
          result.then((value) => {
            if (!process.dead) return resolve(name === "open" ? mortal(value as FileHandle, process) : value);
            // The system closes what it has just opened for a dead program.
            if (name === "open") return (value as FileHandle).close();
            if (name === "dial") (value as SimConnection).abandon();
            if (name === "lock") return (value as FileLock | null)?.release();
          }, (error) => {
            if (!process.dead) reject(error);
          });
        });
      };
    },
  });
}
