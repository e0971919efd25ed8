/**
 * Downloads by the compiled Shoal that are killed, and what is looked at after each kill.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { assert, assertEquals } from "@std/assert";
import { equalBytes, toHex, utf8 } from "../../src/base/bytes.ts";
import { type Metainfo, parseMetainfo, pieceHash, pieceSize } from "../../src/metainfo/mod.ts";
import { openDatabase } from "../../src/platform/deno_database.ts";
import { denoPlatform } from "../../src/platform/deno_platform.ts";
import type { Connection, Network } from "../../src/platform/platform.ts";
import { Session, type TorrentHandle } from "../../src/session/session.ts";
import { FileMap } from "../../src/storage/layout.ts";
import { environment, OFFLINE } from "../support/binary.ts";
import { eventsOf } from "../support/events.ts";
import { Job, type JobResult } from "../support/job.ts";
import { assertSame, makeFile, noise, type Payload } from "../support/payload.ts";
import { makeTorrent } from "../support/torrents.ts";
import { fromSource } from "../support/from_source.ts";

const HOST = "127.0.0.1";
/** Seconds that one run may take, on a machine that is busy and with each call being watched. */
const PATIENCE = 60;
const KIB = 1024;
/** Memory for pieces in flight: what a kill may cost, besides what is on its way through the network. */
const CACHE = "4M";
/** Bytes that a kill may cost at most: that memory, and all that the system buffers between two ends of a connection. */
export const COST = (4 + 12) << 20;

/** Shoal itself: the compiled one that `SHOAL_BIN` names, else `deno run` as `deno task shoal` has it. */
const BINARY = Deno.env.get("SHOAL_BIN");
const SHOAL = BINARY ? [BINARY] : fromSource();

/** Calls of the system that are watched, and at which of them the program is killed. */
export interface Trap {
  /** Names of the system calls, such as `rename`. */
  readonly calls: readonly string[];
  /** Only those that have to do with one of these paths; all when absent. */
  readonly paths?: readonly string[];
  /** From the how manieth such call of a thread on, whatever its path; 1 when absent. */
  readonly from?: number;
  /** Milliseconds that each such call takes longer, instead of being the end. */
  readonly delay?: number;
  /** Code of the error with which each such call fails, instead of being the end. */
  readonly error?: string;
  /** Where to write down each such call, with nothing done to any. */
  readonly log?: string;
}

/** How a run is to be ended. */
export interface RunPlan {
  /** Arguments on top of the usual ones. */
  readonly args?: readonly string[];
  /** Where the system kills it. */
  readonly trap?: Trap;
  /** Kills it when so many bytes of payload have been sent to it. */
  readonly afterBytes?: number;
  /** What `afterBytes` does instead of killing it; something else has to kill it then, or it ends by itself. */
  readonly signal?: Deno.Signal;
  /** Kills it so many milliseconds after its start. */
  readonly afterTime?: number;
  /** Whether somebody has put files that aren't whole under final names. */
  readonly strays?: boolean;
  /** Kills it when something happens in a folder; with `signal`, only after that. */
  readonly upon?: { readonly folder: string; readonly event: (event: Deno.FsEvent) => boolean };
}

/** A payload and a session in this process that seeds it, for one download at a time. */
export class Seed implements AsyncDisposable {
  readonly payload: Payload;
  readonly meta: Metainfo;
  /** Path of the torrent. */
  readonly path: string;
  /** `host:port` for `--peer`. */
  readonly address: string;
  /** Called with the bytes that were written to a peer so far. */
  onBytes: (total: number) => void = () => {};
  readonly #session: Session;
  readonly #torrent: TorrentHandle;

  private constructor(
    made: { readonly payload: Payload; readonly meta: Metainfo; readonly path: string },
    running: { readonly session: Session; readonly torrent: TorrentHandle },
  ) {
    this.payload = made.payload;
    this.meta = made.meta;
    this.path = made.path;
    this.#session = running.session;
    this.#torrent = running.torrent;
    this.address = `${HOST}:${running.session.port}`;
  }

  /**
   * @param payload What to seed.
   * @param options `pieceLength` in bytes; `torrent`: where to write it.
   */
  static async start(
    payload: Payload,
    options: { readonly pieceLength: number; readonly torrent: string },
  ): Promise<Seed> {
    await makeTorrent(payload, { path: options.torrent, pieceLength: options.pieceLength });
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

  /** Payload bytes that were sent so far. */
  get uploaded(): number {
    return this.#torrent.snapshot().uploaded;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session.stop();
  }
}

/** The network of the machine, with the bytes counted that are written to those who connect to us. */
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
 * Writes hundreds of small files, every ninth of them empty; most share pieces with others.
 *
 * @param folder Where.
 * @param options `count` of files, `seed` of what is in them.
 */
export async function makeManyFiles(
  folder: string,
  options: { readonly count: number; readonly seed: number },
): Promise<Payload> {
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

/** The payloads that are downloaded. */
export const PAYLOADS = {
  one: {
    make: (folder: string) => makeFile(folder, { name: "one.bin", size: 24 << 20, seed: 3 }),
    pieceLength: 256 * KIB,
  },
  many: { make: (folder: string) => makeManyFiles(folder, { count: 300, seed: 4 }), pieceLength: 64 * KIB },
} as const;

/** One download, which is killed and started again. */
export class KillLab {
  readonly seed: Seed;
  /** Where the download goes. */
  readonly out: string;
  /** Where resume state is kept. */
  readonly state: string;
  /** Kills so far. */
  kills = 0;
  /** Payload bytes that were sent and weren't on disk after a kill, for each kill. */
  readonly lost: number[] = [];
  /** Where everything is. */
  readonly folder: string;

  /**
   * @param seed Where it comes from.
   * @param folder An empty folder.
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
   * Runs the download until it is killed, then looks at what is there.
   *
   * @param plan When to kill it.
   * @returns Whether it was killed; if not, it has finished, or was interrupted before.
   * @throws {Error} If anything under a final name is wrong, or if it ends in any other way.
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
   * Runs the download to its end, whatever that is, and looks at what is there.
   *
   * @param trap Calls that fail.
   * @returns How it ended.
   */
  async runThrough(trap: Trap): Promise<JobResult> {
    const result = await this.#start({ trap });
    await this.#assertNamesRight(false);
    return result;
  }

  /**
   * Runs the download to its end, and makes sure that it ends well.
   *
   * @param args Arguments on top of the usual ones.
   * @returns Payload bytes that were fetched although they were on disk.
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

  /** Fails if a file under its final name isn't right; `strays`: one that is too short was there before. */
  async #assertNamesRight(strays: boolean): Promise<void> {
    for (const { path, size } of this.seed.payload.files) {
      const found = await readIfThere(`${this.out}/${path}`);
      if (found === null || strays && found.length < size) continue;
      const wanted = await Deno.readFile(`${this.seed.payload.folder}/${path}`);
      assert(equalBytes(found, wanted), `${path} is wrong under its final name`);
    }
  }

  /** Fails if the database is damaged, or holds another torrent or anything else of it than what was asked for. */
  #assertDatabaseSound(): void {
    if (!existsSync(this.databasePath)) return; // it was killed before there was one
    const database = openDatabase(this.databasePath);
    try {
      assertEquals({ ...database.prepare("PRAGMA integrity_check").get() }, { integrity_check: "ok" });
      if (database.prepare("PRAGMA user_version").get()?.["user_version"] === 0) return; // before it had tables
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

  /** Bytes of the pieces that are right on disk, in files of either name, or in the partfile where there are no such. */
  async #bytesThere(): Promise<number> {
    const { meta } = this.seed;
    const all = new Uint8Array(meta.totalLength);
    const isThere = new Uint8Array(meta.totalLength);
    const map = new FileMap(meta);
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
      const size = pieceSize(meta, piece);
      const start = piece * meta.pieceLength;
      if (isThere.subarray(start, start + size).includes(0)) continue;
      const digest = createHash("sha1").update(all.subarray(start, start + size)).digest();
      if (equalBytes(digest, pieceHash(meta, piece))) bytes += size;
    }
    return bytes;
  }
}

/**
 * Starts Shoal, the compiled one or from source.
 *
 * @param args Its arguments.
 * @param folder The test's folder.
 * @param before What to start it with, such as `strace`.
 */
export function startShoal(args: readonly string[], folder: string, before: readonly string[] = []): Job {
  const argv = [...before, ...SHOAL, ...args, ...OFFLINE];
  return new Job(argv, { name: `shoal ${args[0]}`, cwd: folder, env: environment(folder) });
}

/** What to put before a program, so that the system kills it or slows it down at some of its calls. */
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
  // Not with --seccomp-bpf: that of version 6.1 counts other calls than those that match.
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
