/**
 * Runs downloads with the real session, swarm and storage on files, network and clock in memory. Every run makes the
 * same calls in the same order.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { concatBytes, equalBytes } from "../../src/base/bytes.ts";
import type { Metainfo } from "../../src/metainfo/mod.ts";
import type { FileSystem, Platform } from "../../src/platform/platform.ts";
import { Session } from "../../src/session/session.ts";
import type { AddOptions } from "../../src/session/session.ts";
import type { SessionEvent } from "../../src/session/session_events.ts";
import { sha1, type Torrent } from "../storage/fixture.ts";
import { MemoryFiles } from "../support/memory_files.ts";
import { VirtualClock } from "../support/virtual_clock.ts";
import { MemoryNetwork } from "./memory_network.ts";
import { hashBlocks } from "../../src/platform/merkle_digest.ts";
import type { V2Torrent } from "./v2_torrent.ts";
import { startDigest } from "../../src/platform/start_digest.ts";

/** Bytes a second, slow enough that timers of the storage fire during a download. */
const RATE = 16 * 1024;
/** Milliseconds of virtual time after which a run counts as stuck. */
const PATIENCE = 600_000;
const HOST = "10.0.0.1";

/** Result of a run. */
export interface Outcome {
  /** Error that ended the torrent, or `null` if the torrent finished. */
  readonly error: unknown;
  /** All events of the session. */
  readonly events: readonly SessionEvent[];
  /** Downloaded payload bytes. */
  readonly fetched: number;
}

/** Options for {@linkcode run}. */
export interface RunOptions {
  /** File system of the tested torrent. */
  readonly files: FileSystem;
  /** Options for adding the torrent. */
  readonly add?: Partial<AddOptions>;
  /** Makes the tested torrent seed to a session without faults. By default it downloads from such a session. */
  readonly asSeeder?: boolean;
}

/** A torrent with data. */
export type LabTorrent = Torrent | V2Torrent;

/** Returns the metainfo of a torrent. */
export function metainfoOf(torrent: LabTorrent): Metainfo {
  if ("meta" in torrent) return torrent.meta;
  const { layout, hashes, infoHash } = torrent;
  const size = layout.files.reduce((sum, { length, pad }) => pad ? sum : sum + length, 0);
  return {
    ...layout,
    version: "v1",
    infoHash,
    infoHashV1: infoHash,
    infoHashV2: null,
    name: "t",
    size,
    pieces: concatBytes(hashes),
    trackers: [],
    webSeeds: [],
    warnings: [],
    nodes: [],
    private: false,
    comment: null,
    createdBy: null,
    createdAt: null,
    source: null,
    info: new Uint8Array(0),
  };
}

/** Writes every file of the torrent to `/dl`. */
export function putAll(torrent: LabTorrent, files: MemoryFiles): void {
  for (const file of torrent.layout.files) {
    const path = file.path.join("/");
    if (file.symlink !== null) files.putLink(`/dl/${path}`, "../t/a");
    else if (!file.pad) files.put(`/dl/${path}`, torrent.file(path));
  }
}

/**
 * Runs a torrent in `/dl`, with resume state in `/state`, until it has finished or failed, and stops its session.
 *
 * @param torrent The torrent.
 * @param options See {@linkcode RunOptions}.
 * @param clock Virtual clock.
 * @throws {Error} If the run is stuck, or leaves a timer.
 */
export async function run(torrent: LabTorrent, options: RunOptions, clock: VirtualClock): Promise<Outcome> {
  const net = new MemoryNetwork(clock, RATE);
  const meta = metainfoOf(torrent);
  const events: SessionEvent[] = [];
  const whole = new MemoryFiles();
  const empty = new MemoryFiles();
  putAll(torrent, whole);
  const { asSeeder = false } = options;
  const tried = new Session({
    platform: platformOf(clock, net, options.files),
    bind: HOST,
    encryption: "off",
    stateFolder: "/state",
  });
  const other = new Session({
    platform: platformOf(clock, net, asSeeder ? empty : whole),
    bind: HOST,
    encryption: "off",
  });
  tried.subscribe((event) => void events.push(event));
  await Promise.all([tried.start(), other.start()]);
  const work = async (): Promise<Outcome> => {
    const peers = asSeeder ? [] : [other.listenAddress];
    const mine = await tried.add(meta, { folder: "/dl", seedOnly: asSeeder, peers, ...options.add });
    const theirs = await other.add(meta, {
      folder: "/dl",
      ...(asSeeder ? { peers: [tried.listenAddress] } : { trust: true, seedOnly: true }),
    });
    let error: unknown = null;
    try {
      // A seeder has finished when the other session has, or when it can't go on.
      await mine.finished;
      const isEnd = (event: SessionEvent) =>
        event.event === "error" || (event.event === "warning" && event.message.includes("counts as missing"));
      const failed = new Promise((resolve) => tried.subscribe((event) => isEnd(event) && resolve(null)));
      if (asSeeder) await Promise.race([theirs.finished, failed]);
    } catch (thrown) {
      error = thrown;
    }
    const fetched = mine.snapshot().downloaded;
    await Promise.all([tried.stop(), other.stop()]);
    if (asSeeder) { for (const path of empty.paths()) assertRight(torrent, empty, path, { parts: false }); }
    return { error, events, fetched };
  };
  const outcome = await finishing(work(), clock);
  assertEquals(clock.pending, 0, "timers that are left");
  return outcome;
}

/**
 * Advances the virtual clock until a promise settles, and returns its result.
 *
 * @param work The promise.
 * @param clock Virtual clock.
 * @throws {Error} If the promise doesn't settle within {@linkcode PATIENCE}.
 */
export async function finishing<T>(work: Promise<T>, clock: VirtualClock): Promise<T> {
  let settled = false;
  const done = () => void (settled = true);
  work.then(done, done);
  for (const end = clock.now() + PATIENCE; !settled;) {
    assert(clock.now() < end, "it is stuck");
    await clock.play(1000);
  }
  return await work;
}

/** Returns the platform of a session: its own files, and a clock and network that all sessions share. */
export function platformOf(clock: VirtualClock, net: MemoryNetwork, files: FileSystem): Platform {
  return {
    now: () => clock.now(),
    wallClock: () => clock.wallClock(),
    after: (milliseconds, then) => clock.after(milliseconds, then),
    yieldToEventLoop: () => Promise.resolve(),
    random: () => clock.random(),
    randomBytes: (length) => clock.randomBytes(length),
    sha1: (data) => Promise.resolve(sha1(data)),
    blockHashes: (data, leaves) => Promise.resolve(hashBlocks(data, leaves, () => startDigest("sha256"))),
    digest: startDigest,
    net,
    http: {
      request: () => Promise.reject(new Error("there is no HTTP here")),
      stream: () => Promise.reject(new Error("there is no HTTP here")),
      serve() {
        throw new Error("there is no HTTP here");
      },
    },
    files,
  };
}

/** Fails if a file under its final name is wrong, or if `parts` is `false` and the path is not a final name. */
export function assertRight(
  torrent: LabTorrent,
  files: MemoryFiles,
  path: string,
  { parts, why = "" }: { readonly parts: boolean; readonly why?: string },
): void {
  const data = files.get(path);
  if (data === null) return;
  const file = torrent.layout.files.find((file) => `/dl/${file.path.join("/")}` === path);
  if (file === undefined) return assert(parts, `${why}: ${path} should not be there`);
  const wanted = torrent.data.subarray(file.offset, file.offset + file.length);
  assert(equalBytes(data, wanted), `${why}: ${path} is wrong under its final name`);
}

/** Checks that files under final names are right. Files that haven't changed since the last check are skipped. */
export class Watch {
  readonly #torrent: LabTorrent;
  readonly #files: MemoryFiles;
  readonly #paths: readonly string[];
  readonly #seen = new Map<string, string>();

  /** With `except`, files under final names that are there now may be wrong until they are changed. */
  constructor(torrent: LabTorrent, files: MemoryFiles, options: { readonly except: boolean }) {
    this.#torrent = torrent;
    this.#files = files;
    this.#paths = torrent.finalPaths("/dl");
    if (!options.except) return;
    for (const path of this.#paths) {
      const stamp = files.stampOf(path);
      if (stamp !== null) this.#seen.set(path, stamp);
    }
  }

  /**
   * Checks all changed files.
   *
   * @throws {AssertionError} If a file under its final name is wrong.
   */
  look(): void {
    for (const path of this.#paths) {
      const stamp = this.#files.stampOf(path);
      if (stamp === null || this.#seen.get(path) === stamp) continue;
      assertRight(this.#torrent, this.#files, path, { parts: true });
      this.#seen.set(path, stamp);
    }
  }
}

/** Fails if the download folder has anything but the complete download. */
export function assertWhole(torrent: LabTorrent, files: MemoryFiles, why: string): void {
  // Files of locks that no process holds may be left.
  const found = files.paths().filter((path) => path.startsWith("/dl/") && !/^\/dl\/\.shoal[^/]*\.lock$/.test(path));
  assertEquals(found, torrent.finalPaths("/dl"), why);
  for (const path of found) assertRight(torrent, files, path, { parts: false, why });
  for (const file of torrent.layout.files) {
    if (file.symlink === null) continue;
    const text = files.linkAt(`/dl/${file.path.join("/")}`);
    assert(text === "../t/a" || text === "/elsewhere/t/a", `${why}: the link says ${text}`);
  }
}
