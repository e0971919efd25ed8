/**
 * Kills downloads of the Shoal program, and checks the files after each kill.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { assert, assertEquals } from "@std/assert";
import { equalBytes, toHex, utf8 } from "../../src/base/bytes.ts";
import type { PieceVerifier } from "../../src/base/piece_verifier.ts";
import { layoutOf, type Metainfo, parseMetainfo, verifierOf } from "../../src/metainfo/mod.ts";
import { openDatabase } from "../../src/platform/deno_database.ts";
import { denoPlatform } from "../../src/platform/deno_platform.ts";
import type { Connection, Network } from "../../src/platform/platform.ts";
import { Session, type TorrentHandle } from "../../src/session/session.ts";
import { FileMap } from "../../src/storage/layout.ts";
import { environment, OFFLINE } from "../support/binary.ts";
import { eventsOf } from "../support/events.ts";
import { Job, type JobResult } from "../support/job.ts";
import { assertSame, makeFile, noise, type Payload } from "../support/payload.ts";
import { makeTorrent, type Version } from "../support/torrents.ts";
import { fromSource } from "../support/from_source.ts";

const HOST = "127.0.0.1";
/** Timeout of a run in seconds, on a busy machine and under strace. */
const PATIENCE = 60;
const KIB = 1024;
/** Memory for unfinished pieces (`--cache`), which a kill loses besides data in flight on the network. */
const CACHE = "4M";
/** Limit of the bytes that a kill may lose: {@linkcode CACHE}, and what the system buffers for a connection. */
export const COST = (4 + 12) << 20;

/** Command that starts Shoal: the binary that `SHOAL_BIN` names, else `deno run` as in `deno task shoal`. */
const BINARY = Deno.env.get("SHOAL_BIN");
const SHOAL = BINARY ? [BINARY] : fromSource();

/** System calls at which strace kills the program, delays it, makes the call fail, or logs the call. */
export interface Trap {
  /** Names of the system calls, such as `rename`. */
  readonly calls: readonly string[];
  /** Restricts the calls to those with one of these paths. All calls by default. */
  readonly paths?: readonly string[];
  /** Number of the first affected call, counted per thread and regardless of the path. Default 1. */
  readonly from?: number;
  /** Milliseconds by which each call is delayed. The program isn't killed then. */
  readonly delay?: number;
  /** Error code with which each call fails. The program isn't killed then. */
  readonly error?: string;
  /** File to log the calls to. The calls aren't changed, and the program isn't killed then. */
  readonly log?: string;
}

/** Options for a run that end it. */
export interface RunPlan {
  /** Arguments on top of the usual ones. */
  readonly args?: readonly string[];
  /** System calls at which the program is killed. */
  readonly trap?: Trap;
  /** Kills the program when this many bytes have been sent to it. */
  readonly afterBytes?: number;
  /**
   * Signal that `afterBytes` sends, `SIGKILL` by default. With another signal, the program ends by itself or by `upon`.
   */
  readonly signal?: Deno.Signal;
  /** Kills the program this many milliseconds after its start. */
  readonly afterTime?: number;
  /** `true` if incomplete files are under final names at the start. */
  readonly strays?: boolean;
  /** Kills the program at an event in a folder. If `signal` is set, only events after the signal count. */
  readonly upon?: { readonly folder: string; readonly event: (event: Deno.FsEvent) => boolean };
}

/** Options for {@linkcode Seed.start}. */
export interface KillSeedOptions {
  /** Piece length in bytes. */
  readonly pieceLength: number;
  /** Path to write the torrent file to. */
  readonly torrent: string;
  /** Version of the torrent; v1 when absent. */
  readonly version?: Version;
}

/** Options for {@linkcode makeManyFiles}. */
export interface ManyFilesOptions {
  /** Number of files. */
  readonly count: number;
  /** Seed of the content. */
  readonly seed: number;
}

/** A payload, and a session in this process that seeds the payload to one download at a time. */
export class Seed implements AsyncDisposable {
  readonly payload: Payload;
  readonly meta: Metainfo;
  readonly verifier: PieceVerifier;
  /** Path of the torrent file. */
  readonly path: string;
  /** Address for `--peer`, as `host:port`. */
  readonly address: string;
  /** Called with the bytes of each write to a peer. */
  onBytes: (bytes: number) => void = () => {};
  readonly #session: Session;
  readonly #torrent: TorrentHandle;

  private constructor(
    made: { readonly payload: Payload; readonly meta: Metainfo; readonly path: string },
    running: { readonly session: Session; readonly torrent: TorrentHandle },
  ) {
    this.payload = made.payload;
    this.meta = made.meta;
    this.verifier = verifierOf(made.meta, denoPlatform);
    this.path = made.path;
    this.#session = running.session;
    this.#torrent = running.torrent;
    this.address = `${HOST}:${running.session.port}`;
  }

  /**
   * Makes a torrent and starts to seed it.
   *
   * @param payload Payload of the torrent.
   * @param options See {@linkcode KillSeedOptions}.
   */
  static async start(payload: Payload, options: KillSeedOptions): Promise<Seed> {
    const { torrent: path, pieceLength, version = "v1" } = options;
    await makeTorrent(payload, { path, pieceLength, version });
    const meta = parseMetainfo(await Deno.readFile(options.torrent));
    let tell: (bytes: number) => void = () => {};
    const net = counting((bytes) => tell(bytes));
    const session = new Session({ platform: { ...denoPlatform, net }, port: 0, bind: HOST, encryption: "off" });
    await session.start();
    const torrent = await session.add(meta, { folder: payload.folder, seedOnly: true, trust: true });
    await torrent.finished;
    const seed = new Seed({ payload, meta, path: options.torrent }, { session, torrent });
    tell = (bytes) => seed.onBytes(bytes);
    return seed;
  }

  /** Payload bytes sent so far. */
  get uploaded(): number {
    return this.#torrent.snapshot().uploaded;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session.stop();
  }
}

/** Returns the network of the machine. `tell` is called with the bytes of each write to an incoming connection. */
function counting(tell: (bytes: number) => void): Network {
  const { net } = denoPlatform;
  const counted = (connection: Connection): Connection => ({
    remote: connection.remote,
    local: connection.local,
    read: (into) => connection.read(into),
    async write(bytes) {
      const count = await connection.write(bytes);
      tell(count);
      return count;
    },
    close: () => connection.close(),
  });
  return {
    dial: (address, options) => net.dial(address, options),
    openUdp: (options) => net.openUdp(options),
    resolve: (host) => net.resolve(host),
    listen(options) {
      const listener = net.listen(options);
      return {
        address: listener.address,
        async accept() {
          const connection = await listener.accept();
          return connection === null ? null : counted(connection);
        },
        close: () => listener.close(),
      };
    },
  };
}

/**
 * Writes many small files. Every ninth file is empty, and most files share pieces with others.
 *
 * @param folder Folder to write to.
 * @param options See {@linkcode ManyFilesOptions}.
 */
export async function makeManyFiles(folder: string, options: ManyFilesOptions): Promise<Payload> {
  const files: { path: string; size: number }[] = [];
  const sizes = noise(options.count * 2, options.seed);
  for (let i = 0; i < options.count; i++) {
    const path = `many/${"abcde"[i % 5]}/${i % 7}/file ${String(i).padStart(4, "0")}`;
    const size = i % 9 === 0 ? 0 : sizes[2 * i]! * (1 + sizes[2 * i + 1]! % 200);
    await Deno.mkdir(`${folder}/${path.slice(0, path.lastIndexOf("/"))}`, { recursive: true });
    await Deno.writeFile(`${folder}/${path}`, noise(size, options.seed + i));
    files.push({ path, size });
  }
  const size = files.reduce((sum, file) => sum + file.size, 0);
  return { name: "many", folder, size, files: files.sort((a, b) => (a.path < b.path ? -1 : 1)) };
}

/** Payloads of the tests. */
export const PAYLOADS = {
  one: {
    make: (folder: string) => makeFile(folder, { name: "one.bin", size: 24 << 20, seed: 3 }),
    pieceLength: 256 * KIB,
  },
  many: { make: (folder: string) => makeManyFiles(folder, { count: 300, seed: 4 }), pieceLength: 64 * KIB },
} as const;

/** One download that is killed and restarted. */
export class KillLab {
  readonly seed: Seed;
  /** Folder of the download. */
  readonly out: string;
  /** State folder. */
  readonly state: string;
  /** Number of kills so far. */
  kills = 0;
  /** For each kill, the payload bytes that were sent and weren't on disk afterwards. */
  readonly lost: number[] = [];
  /** Folder that contains all files of the lab. */
  readonly folder: string;

  /**
   * @param seed Seed to download from.
   * @param folder Folder for the files of the lab. It is empty or missing.
   */
  constructor(seed: Seed, folder: string) {
    this.seed = seed;
    this.folder = folder;
    this.out = `${folder}/out`;
    this.state = `${folder}/state/shoal`;
    Deno.mkdirSync(this.out, { recursive: true });
    Deno.mkdirSync(this.state, { recursive: true });
  }

  /** Path of the resume state. */
  get statePath(): string {
    const hash = createHash("sha1").update(utf8(this.out)).digest();
    return `${this.state}/${this.seed.meta.infoHash.hex}-${toHex(hash).slice(0, 8)}.resume`;
  }

  /** Path of the database of torrents. */
  get databasePath(): string {
    return `${this.state}/session.db`;
  }

  /** Path of the partfile. */
  get partPath(): string {
    return `${this.out}/.shoal-${this.seed.meta.infoHash.hex}.part`;
  }

  /** Path of a file of the payload under its final name. */
  final(index: number): string {
    return `${this.out}/${this.seed.payload.files[index]!.path}`;
  }

  /**
   * Runs the download until it is killed, then checks the files.
   *
   * @param plan See {@linkcode RunPlan}.
   * @returns `true` if the download was killed, `false` if it finished or was interrupted before.
   * @throws {Error} If a file under a final name is wrong, or if the program ends in any other way.
   */
  async run(plan: RunPlan): Promise<boolean> {
    const sent = this.seed.uploaded;
    const before = await this.#bytesThere();
    const { code, stderr } = await this.#start(plan);
    assert(code === 137 || code === 0 || code === 130, `it ended with code ${code}: ${stderr.join(" ")}`);
    await this.#assertNamesRight(plan.strays ?? false);
    this.#assertDatabaseSound();
    if (code !== 137) return false;
    this.kills++;
    this.lost.push(Math.max(0, this.seed.uploaded - sent - (await this.#bytesThere() - before)));
    return true;
  }

  /**
   * Runs the download until it ends with success or failure, and checks the files.
   *
   * @param trap System calls that fail or are logged.
   */
  async runThrough(trap: Trap): Promise<JobResult> {
    const result = await this.#start({ trap });
    await this.#assertNamesRight(false);
    return result;
  }

  /**
   * Runs the download until it completes, and asserts that the result is right.
   *
   * @param args Arguments on top of the usual ones.
   * @returns Payload bytes that were downloaded although they were on disk.
   */
  async finish(args: readonly string[] = []): Promise<number> {
    const missing = this.seed.payload.size - await this.#bytesThere();
    const { code, stdout, stderr } = await this.#start({ args });
    assertEquals([code, stderr], [0, []], "how the last run ended");
    await assertSame(this.seed.payload, this.out);
    const left = [...Deno.readDirSync(this.state)].map(({ name }) => `${this.state}/${name}`);
    assertEquals(left.sort(), [this.statePath, this.databasePath].sort(), "what is left in the state folder");
    const completed = eventsOf(stdout, "completed")[0];
    return Number(completed?.bytes) - missing;
  }

  /** Fails if a file under its final name is wrong. With `strays`, files that are too short are ignored. */
  async #assertNamesRight(strays: boolean): Promise<void> {
    for (const { path, size } of this.seed.payload.files) {
      const found = await readIfThere(`${this.out}/${path}`);
      if (found === null || strays && found.length < size) continue;
      const wanted = await Deno.readFile(`${this.seed.payload.folder}/${path}`);
      assert(equalBytes(found, wanted), `${path} is wrong under its final name`);
    }
  }

  /** Fails if the database is damaged, or contains anything but this torrent in its folder. */
  #assertDatabaseSound(): void {
    if (!existsSync(this.databasePath)) return; // Killed before the database was made.
    const database = openDatabase(this.databasePath);
    try {
      assertEquals({ ...database.prepare("PRAGMA integrity_check").get() }, { integrity_check: "ok" });
      if (database.prepare("PRAGMA user_version").get()?.["user_version"] === 0) return; // Killed before the tables were made.
      const torrents = database.prepare("SELECT hex(info_hash) AS hash, folder FROM torrents").all();
      assert(torrents.length <= 1, `${torrents.length} torrents are kept`);
      for (const { hash, folder } of torrents) {
        assertEquals([String(hash).toLowerCase(), folder], [this.seed.meta.infoHash.hex, this.out]);
      }
    } finally {
      database.close();
    }
  }

  async #start(plan: RunPlan): Promise<JobResult> {
    const { seed } = this;
    const args = ["download", seed.path, "-o", this.out, "-p", "0", "--bind", HOST, "--peer", seed.address];
    const all = [...args, "--json", "--cache", CACHE, ...plan.args ?? []];
    using watcher = plan.upon === undefined ? null : Deno.watchFs(plan.upon.folder);
    await using job = startShoal(all, this.folder, trapped(plan.trap));
    const kill = () => job.signal("SIGKILL");
    let total = 0;
    let isDone = false;
    seed.onBytes = (bytes) => {
      total += bytes;
      if (total < (plan.afterBytes ?? Infinity) || isDone) return;
      isDone = true;
      job.signal(plan.signal ?? "SIGKILL");
    };
    const timer = plan.afterTime === undefined ? undefined : setTimeout(kill, plan.afterTime);
    const watching = watcher === null ? null : (async () => {
      for await (const event of watcher) {
        if ((plan.signal === undefined || isDone) && plan.upon!.event(event)) kill();
      }
    })();
    try {
      return await job.exit(PATIENCE);
    } finally {
      clearTimeout(timer);
      seed.onBytes = () => {};
      watcher?.close();
      await watching;
    }
  }

  /** Returns the bytes of right pieces on disk, in final or `.part` files, or in the partfile if neither exists. */
  async #bytesThere(): Promise<number> {
    const { meta, verifier } = this.seed;
    const all = new Uint8Array(meta.totalLength);
    const isThere = new Uint8Array(meta.totalLength);
    const map = new FileMap(layoutOf(meta));
    const parts = await readIfThere(this.partPath);
    for (const [index, { path, offset, length }] of meta.files.entries()) {
      if (length === 0) continue;
      const name = `${this.out}/${path.join("/")}`;
      const found = (await readIfThere(name) ?? await readIfThere(`${name}.part`))?.subarray(0, length);
      for (const { from, to, length } of found === undefined ? map.slotsOfFile(index) : []) {
        if (parts === null || from + length > parts.length) continue;
        all.set(parts.subarray(from, from + length), offset + to);
        isThere.fill(1, offset + to, offset + to + length);
      }
      if (found === undefined) continue;
      all.set(found, offset);
      isThere.fill(1, offset, offset + found.length);
    }
    let bytes = 0;
    for (let piece = 0; piece < meta.pieceCount; piece++) {
      const size = verifier.pieceSize(piece);
      const start = piece * meta.pieceLength;
      if (isThere.subarray(start, start + size).includes(0)) continue;
      const hasher = verifier.start(piece);
      hasher.update(all.subarray(start, start + size));
      if (hasher.verdict().isRight) bytes += size;
    }
    return bytes;
  }
}

/**
 * Starts Shoal, the binary or from source.
 *
 * @param args Arguments of Shoal.
 * @param folder Working folder.
 * @param before Command line to prepend, such as that of `strace`.
 */
export function startShoal(args: readonly string[], folder: string, before: readonly string[] = []): Job {
  const argv = [...before, ...SHOAL, ...args, ...OFFLINE];
  return new Job(argv, { name: `shoal ${args[0]}`, cwd: folder, env: environment(folder) });
}

/** Returns the strace command line that implements a trap. */
function trapped(trap: Trap | undefined): string[] {
  if (trap === undefined) return [];
  const calls = trap.calls.join(",");
  const what = trap.error !== undefined
    ? `error=${trap.error}`
    : trap.delay !== undefined
    ? `delay_exit=${trap.delay * 1000}`
    : "signal=SIGKILL";
  const paths = (trap.paths ?? []).flatMap((path) => ["-P", path]);
  const inject = trap.log === undefined ? ["-e", `inject=${calls}:${what}:when=${trap.from ?? 1}+`] : [];
  // Without --seccomp-bpf, since in strace 6.1 it makes `when=` count calls that don't match.
  return ["strace", "-D", "-f", "-y", "-qq", "-s", "0", "-o", trap.log ?? "/dev/null", ...paths, "-e", `trace=${calls}`]
    .concat(inject);
}

async function readIfThere(path: string): Promise<Uint8Array | null> {
  try {
    return await Deno.readFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
