/**
 * One machine of the simulation: its clocks, its disk, its line, and the real program on it.
 *
 * @module
 */

import type { Bytes } from "../../src/base/bytes.ts";
import {
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
import { startDigest } from "../../src/platform/start_digest.ts";

/** Where downloads go on every disk, unless a scenario moves them. */
export const FOLDER = "/dl";
const STATE = "/state";
export const PORT = 6881;

/** What a host is made of. */
export interface HostOptions {
  readonly name: string;
  readonly ip: string;
  readonly number: number;
  readonly profile: HostProfile;
  readonly disk: DiskProfile;
  /** Longest time that hashing a piece takes, in milliseconds; the time is random below it. */
  readonly hashMs: number;
  readonly session: Omit<SessionOptions, "platform">;
  /** Whether what it says is checked. */
  readonly watched: boolean;
}

/** A machine with Shoal on it. */
export class SimHost {
  readonly name: string;
  readonly ip: string;
  readonly nic: Nic;
  readonly files: SimFiles;
  /** What the program keeps in databases, kills or not; `null`, as it is unless a scenario sets it, for nothing. */
  databases: MemoryDatabases | null = null;
  /** Milliseconds by which its clock of the day is wrong. */
  wallOffset = 0;
  /** Times that the program was started. */
  starts = 0;
  /** Messages other than keep-alives that it sent. */
  messages = 0;
  /** When everything had been verified and written, since the last start. */
  completedAt: number | null = null;
  /** The torrent's end, when it failed. */
  failure: unknown = null;
  readonly events: SessionEvent[] = [];
  /** Where the torrent goes, as its user wants it last. */
  folder: string = FOLDER;
  /** Folders that it has gone to, that one included. */
  readonly folders: string[] = [FOLDER];
  /** Files that were there when the program was started, and whether something said then that the torrent goes to their folder. */
  readonly orphans = new Map<string, boolean>();
  /** Whether its user may want a part of the torrent for a while: then that is no end. */
  choosy = false;
  /** What the torrent does, by its events; `null` when it isn't there, or has just been added. */
  state: TorrentState | null = null;
  readonly options: HostOptions;
  readonly random: () => number;
  readonly #world: World;
  #process: Process | null = null;
  #diskFree = 0;

  /**
   * @param world What it is part of.
   * @param options What it is made of.
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

  /** The running session; `null` when the program isn't running. */
  get session(): Session | null {
    return this.#process?.session ?? null;
  }

  /** The running torrent. */
  get torrent(): Torrent | null {
    return this.#process?.torrent ?? null;
  }

  /** The outside as the running program sees it. */
  get platform(): Platform | null {
    return this.#process?.platform ?? null;
  }

  /** Timers of the running program. */
  get timers(): number {
    return this.#process?.timers ?? 0;
  }

  /** Whether it has everything. */
  get isComplete(): boolean {
    return this.completedAt !== null;
  }

  /** Puts pieces on the disk, as whole final files when they are all there; files without any of them stay away. */
  plant(pieces: (index: number) => boolean): void {
    const { meta, files } = this.#world.truth;
    const planted = Array.from({ length: meta.pieceCount }, (_, i) => pieces(i));
    const all = planted.every(Boolean);
    let offset = 0;
    for (const file of files) {
      const path = `${FOLDER}/${file.path}${all ? "" : ".part"}`;
      const size = file.data.length;
      if (all) this.files.plant(path, { from: 0, end: size, size });
      for (let at = 0; at < size && !all;) {
        const piece = Math.floor((offset + at) / meta.pieceLength);
        const end = Math.min(size, (piece + 1) * meta.pieceLength - offset);
        if (planted[piece]) this.files.plant(path, { from: at, end, size });
        at = end;
      }
      offset += size;
    }
  }

  /** Starts the program: a session with the torrent in it. */
  async start(options: Omit<AddOptions, "folder"> = {}): Promise<void> {
    await this.boot();
    // What a database knows of it comes first.
    if (!await this.restore()) await this.add(options);
  }

  /** Starts the program, with nothing in it. */
  async boot(): Promise<void> {
    this.starts++;
    const claim = `.shoal-${this.#world.truth.meta.infoHash.hex}.lock`;
    const there = new Set(this.files.paths);
    for (const path of there) this.orphans.set(path, there.has(`${path.slice(0, path.lastIndexOf("/"))}/${claim}`));
    const process = new Process(this.#platform());
    this.#process = process;
    const session = new Session({
      port: PORT,
      stateFolder: STATE,
      cacheBytes: 4 * 1024 * 1024,
      encryption: "off", // a millisecond a connection, for nothing that a scenario looks at
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
    const torrent = await process?.session?.add(this.#world.truth.meta, { folder: this.folder, ...options });
    if (torrent && process === this.#process) this.follow(torrent);
  }

  /** Adds what the program knows from its last run. @returns whether the torrent is among it. */
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

  /** Waits for the end of the torrent of the running program, from now on. */
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

  /** Stops the program in good order. */
  async stop(): Promise<void> {
    const process = this.#process;
    await process?.session?.stop();
    if (process === null || this.#process !== process) return;
    // What was told to end has this moment to do so.
    await this.#world.sleep(1);
    this.#world.invariants.stopped(this);
    // What goes on still ends with the process.
    process.dead = true;
    this.files.forgetHandles();
    this.#process = null;
    this.state = null;
  }

  /** The program ends at once, as with SIGKILL; the system closes its sockets. */
  kill(): void {
    this.#world.trace(this, "killed");
    this.state = null;
    this.#world.invariants.forget(this);
    if (this.#process) this.#process.dead = true;
    this.#process = null;
    this.files.forgetHandles();
    this.nic.abandon();
  }

  /** The machine vanishes without a word. */
  vanish(): void {
    this.#world.trace(this, "vanished");
    this.state = null;
    this.#world.invariants.forget(this);
    if (this.#process) this.#process.dead = true;
    this.#process = null;
    this.files.forgetHandles();
    this.nic.vanish();
  }

  /** The machine is there again; nothing runs on it. */
  comeBack(): void {
    this.#world.trace(this, "is back");
    this.nic.comeBack();
  }

  /** The program stands still for a while, as with SIGSTOP or a laptop's lid; clocks go on. */
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

  /** One thing after the other. */
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
      digest: startDigest,
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
    if (this.options.hashMs > 0) {
      await new Promise<void>((resolve) => this.schedule(this.options.hashMs * this.random(), resolve));
    }
    return this.#world.truth.digest(data);
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

  /** The moment's clock and ranks, for timers of the program. */
  schedule(milliseconds: number, run: () => void): Timer {
    const { clock } = this.#world;
    const due = Math.ceil(Math.max(0, milliseconds));
    return clock.after(due, () => this.nic.line.whenAwake(run), this.#world.rank(this.options.number));
  }
}

function isBelow(path: string, folder: string): boolean {
  return path.startsWith(`${folder}/`);
}

/** What comes below the download folder, whichever that is: they all lie at the top. */
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

/** Files or the network as a program sees them: once it is dead nothing that it waits for ever comes. */
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
            // The system closes what it had just opened for a program that is gone.
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
