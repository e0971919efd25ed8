/**
 * Sessions and a platform for tests of the commands, driven by the test.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { type Bytes, utf8 } from "../../src/base/bytes.ts";
import { ShoalError } from "../../src/base/errors.ts";
import { InfoHash } from "../../src/base/info_hash.ts";
import type { Engine, SessionLike, TorrentLike } from "../../src/cli/engine.ts";
import { run } from "../../src/cli/main.ts";
import { describe, infoHashesOf, type Magnet, type Metainfo, parseMagnet } from "../../src/metainfo/mod.ts";
import { FileError } from "../../src/platform/file_errors.ts";
import { type Disk, HttpError, type HttpRequest, type HttpServer, type Platform } from "../../src/platform/platform.ts";
import type { AddOptions, RateLimits, SessionOptions } from "../../src/session/session.ts";
import type { SessionEvent, TorrentSnapshot, TorrentSources } from "../../src/session/session_events.ts";
import { settle, VirtualClock } from "../support/virtual_clock.ts";
import { FakeTerminal, type FakeTerminalOptions } from "../ui/fake_terminal.ts";
import { torrentSnapshot } from "../ui/snapshots.ts";

/** Returns the torrent in the file `NAME.torrent`. */
export function metaOf(name: string): Metainfo {
  const infoHash = new InfoHash(new Uint8Array(20).fill(name.charCodeAt(0)));
  return {
    version: "v1",
    infoHash,
    infoHashV1: infoHash,
    infoHashV2: null,
    name,
    pieceLength: 16384,
    pieceCount: 2,
    totalLength: 20000,
    size: 20000,
    pieces: new Uint8Array(40),
    files: [
      { path: [name, "sub", "a\x1b.txt"], length: 19000, offset: 0, pad: false, symlink: null, executable: false },
      { path: [name, "pad"], length: 10, offset: 19000, pad: true, symlink: null, executable: false },
      { path: [name, "b.txt"], length: 1000, offset: 19010, pad: false, symlink: null, executable: false },
    ],
    trackers: [["http://one.test/announce"], ["udp://two.test:1"]],
    webSeeds: [],
    warnings: [],
    nodes: [],
    private: true,
    comment: "line one\nline two \x1b[2J",
    createdBy: "maker 1.0",
    createdAt: new Date(0),
    source: null,
    info: new Uint8Array(0),
  };
}

/** A torrent that the test drives. */
export class FakeTorrent implements TorrentLike {
  readonly metadata: Promise<Metainfo>;
  readonly finished: Promise<void>;
  state: Partial<TorrentSnapshot> = {};
  stopped = false;
  paused = false;
  /** Completes the torrent. */
  finish!: () => void;
  /** Fails the torrent. */
  fail!: (error: unknown) => void;

  readonly wantedFiles = [0, 2];
  /** Always throws: there is no data. */
  readonly open = (): never => {
    throw new ShoalError("usage", { what: "cannot read", why: "there is no data here" });
  };

  /**
   * @param meta Metadata of the torrent.
   * @param options Options that the torrent was added with.
   */
  constructor(readonly meta: Metainfo, readonly options: AddOptions) {
    this.metadata = Promise.resolve(meta);
    this.finished = new Promise((resolve, reject) => {
      this.finish = resolve;
      this.fail = reject;
    });
    this.finished.catch(() => {}); // as in Torrent, an event reports the error, too
  }

  /** Returns the snapshot that the test has set. */
  snapshot(): TorrentSnapshot {
    return torrentSnapshot({ infoHash: this.meta.infoHash, name: this.meta.name, ...this.state });
  }

  get infoHash(): InfoHash {
    return this.meta.infoHash;
  }

  get folder(): string {
    return this.options.incomplete ?? this.options.folder;
  }

  /** Returns no piece map. */
  pieceMap(): null {
    return null;
  }

  /** Returns no files. */
  files(): [] {
    return [];
  }

  /** Returns no sources. */
  sources(): TorrentSources {
    const port = { tcp: 6881, udp: 6881, mapping: "off", external: null, message: "" } as const;
    return { active: true, trackers: [], dht: null, lsd: null, isPrivate: false, pex: false, port, webSeeds: [] };
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  stop(): Promise<void> {
    this.stopped = true;
    return Promise.resolve();
  }
}

function hashesOf(
  { infoHash, infoHashV1, infoHashV2 }: Magnet,
): Pick<Metainfo, "infoHash" | "infoHashV1" | "infoHashV2"> {
  return { infoHash, infoHashV1, infoHashV2 };
}

/** A session that the test drives. */
export class FakeSession implements SessionLike {
  readonly added: FakeTorrent[] = [];
  /** Further sources of torrents that had been added before. */
  readonly merged: (Metainfo | Magnet)[] = [];
  readonly listeners = new Set<(event: SessionEvent) => void>();
  stops = 0;
  limits: RateLimits = { down: null, up: null };
  startError: unknown = null;
  addError: unknown = null;
  /** If `true`, {@linkcode FakeSession.stop} never settles. */
  stuck = false;
  options: SessionOptions | null = null;
  readonly port = 6881;

  start(): Promise<void> {
    return this.startError === null ? Promise.resolve() : Promise.reject(this.startError);
  }

  add(source: Metainfo | Magnet, options: AddOptions): Promise<FakeTorrent> {
    if (this.addError !== null) return Promise.reject(this.addError);
    const { onWire } = infoHashesOf(source);
    const there = this.added.find(({ meta }) => onWire.some((infoHash) => infoHashesOf(meta).has(infoHash)));
    if (there !== undefined) {
      this.merged.push(source);
      return Promise.resolve(there);
    }
    const meta = "pieces" in source ? source : { ...metaOf("Remote"), ...hashesOf(source) };
    const torrent = new FakeTorrent(meta, options);
    this.added.push(torrent);
    const infohash = meta.infoHash.hex;
    this.emit({
      event: "added",
      infohash,
      infohash_v2: meta.infoHashV2?.hex ?? null,
      name: meta.name,
      size: meta.size,
      files: 2,
    });
    return Promise.resolve(torrent);
  }

  /** Changes the rate limits. */
  setLimits(limits: Partial<RateLimits>): void {
    this.limits = { ...this.limits, ...limits };
  }

  subscribe(listener: (event: SessionEvent) => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  stop(): Promise<void> {
    this.stops++;
    for (const { meta } of this.added) {
      this.emit({ event: "stopped", infohash: meta.infoHash.hex, downloaded: 1, uploaded: 2 });
    }
    return this.stuck ? new Promise(() => {}) : Promise.resolve();
  }

  /** Sends an event to all listeners. */
  emit(event: SessionEvent): void {
    for (const listener of this.listeners) listener(event);
  }
}

/** Answer of an HTTP server. */
export interface Answer {
  readonly status: number;
  readonly text: string;
  /** Magnet link of a redirect. */
  readonly magnet?: string;
}

/** One run of the program with a fake session and platform. */
export class World {
  readonly clock = new VirtualClock();
  readonly session = new FakeSession();
  readonly terminal: FakeTerminal;
  readonly requests: HttpRequest[] = [];
  /** Returns the answer to an HTTP request; connections are refused by default. */
  answer: () => Answer | Promise<Answer> = () => {
    throw new HttpError("connection refused");
  };

  /** Result of verifying data; fails by default. */
  verify: Engine["verify"] = () => Promise.reject(new Error("there is no data here"));

  /** Result of creating a torrent; fails by default. */
  create: Engine["create"] = () => Promise.reject(new Error("there is no data here"));
  /** Contents of `~/.config/shoal/config.toml`; an error if the file can't be read, `null` if it doesn't exist. */
  config: string | Bytes | FileError | null = null;
  /** Number of reads of the config file. */
  configReads = 0;
  /** Running HTTP servers. */
  readonly servers = new Set<HttpServer>();
  /** Ports in use by other programs. */
  readonly taken = new Set<number>();
  /** Disk of each folder; unknown by default. */
  readonly disks = new Map<string, Disk>();
  /** Written files. */
  readonly written = new Map<string, Bytes>();

  /** @param options Options of the terminal. */
  constructor(options: FakeTerminalOptions = {}) {
    this.terminal = new FakeTerminal(options);
  }

  /** Runs the program to its end. */
  run(...args: string[]): Promise<number> {
    return run(args, { platform: this.#platform(), terminal: this.terminal, engine: this.#engine() });
  }

  /** Starts the program, and returns once the torrents have been added. */
  async start(...args: string[]): Promise<{ readonly code: Promise<number> }> {
    const code = this.run(...args);
    // Modules are loaded on the way, which takes real time.
    while (this.session.added.length === 0) await settle();
    await settle();
    return { code };
  }

  /** JSON lines so far, parsed. */
  get events(): readonly { readonly [field: string]: unknown }[] {
    return this.terminal.stdout.lines.map((line) => JSON.parse(line));
  }

  #engine(): Engine {
    return {
      // deno-lint-ignore require-await
      parse: async (bytes, { source }) => {
        const text = new TextDecoder().decode(bytes);
        if (text.startsWith("torrent ")) return metaOf(text.slice("torrent ".length));
        throw new ShoalError("torrent", { what: "not a torrent", where: source, why: "it is something else" });
      },
      // deno-lint-ignore require-await
      parseMagnet: async (text) => parseMagnet(text),
      describe: (meta) => Promise.resolve(describe(meta)),
      verify: (meta, options) => this.verify(meta, options),
      create: (path, options) => this.create(path, options),
      createSession: (options) => {
        this.session.options = options;
        return Promise.resolve(this.session);
      },
    };
  }

  async #readConfig(path: string, maxBytes: number): Promise<Bytes> {
    this.configReads++;
    await Promise.resolve();
    const { config } = this;
    if (config instanceof FileError) throw config;
    if (config === null) throw new FileError("missing", { what: "cannot open", path });
    const bytes = typeof config === "string" ? utf8(config) : config;
    if (bytes.length > maxBytes) throw new FileError("too-large", { what: "cannot read", path });
    return bytes;
  }

  /** Files `X.torrent` hold torrent X, files `X.txt` hold other text, and other files don't exist. */
  #platform(): Platform {
    const { clock } = this;
    return {
      now: () => clock.now(),
      wallClock: () => clock.wallClock(),
      after: (milliseconds: number, then: () => void) => clock.after(milliseconds, then),
      net: {
        resolve: (host: string) => {
          return host === "two.test" ? Promise.resolve(["10.0.0.1", "::2"]) : Promise.reject(new Error("unknown host"));
        },
      },
      http: {
        request: async (request: HttpRequest) => {
          this.requests.push(request);
          const { status, text, ...magnet } = await this.answer();
          return { status, headers: new Headers(), body: utf8(text), url: request.url, ...magnet };
        },
        serve: ({ host, port }: { readonly host: string; readonly port: number }) => {
          if (this.taken.has(port)) throw new ShoalError("network", { what: "cannot listen", why: "it is in use" });
          const server: HttpServer = {
            address: { host, port: port || 40_000 },
            close: () => {
              this.servers.delete(server);
              return Promise.resolve();
            },
          };
          this.servers.add(server);
          return server;
        },
      },
      files: {
        stat: (path: string) => {
          const kind = path === "folder"
            ? "folder"
            : path.startsWith("taken") || this.written.has(path)
            ? "file"
            : null;
          return Promise.resolve(kind && { kind, size: 1, modified: 0, id: null });
        },
        disk: (path: string) => Promise.resolve(this.disks.get(path) ?? null),
        realPath: (path: string) => {
          if (!path.startsWith("missing")) return Promise.resolve(path);
          return Promise.reject(new FileError("missing", { what: "cannot find", path }));
        },
        writeFile: (path: string, bytes: Bytes) => {
          this.written.set(path, bytes);
          return Promise.resolve();
        },
        readFile: (path: string, maxBytes: number) => {
          if (path === "/home/test/.config/shoal/config.toml") return this.#readConfig(path, maxBytes);
          const name = /([^/]*)\.torrent$/.exec(path)?.[1];
          if (name !== undefined && name !== "missing") return Promise.resolve(utf8(`torrent ${name}`));
          if (path.endsWith(".txt")) return Promise.resolve(utf8("Hello"));
          const fault = path === "folder" ? "is-a-folder" : path === "secret" ? "denied" : "missing";
          return Promise.reject(new FileError(fault, { what: "cannot open", path }));
        },
      },
      // The engine, which is fake, would use the rest of the platform.
    } as unknown as Platform;
  }
}

/**
 * Asserts that a run has left no timers, listeners, servers or folders behind.
 *
 * @param world World of the run.
 */
export function assertClean(world: World): void {
  assertEquals(world.clock.pending, 0, "a timer is left");
  assertEquals(world.session.listeners.size, 0, "a listener is left");
  assertEquals(world.servers.size, 0, "a server is left");
  assertEquals([world.terminal.requests.size, world.terminal.crashes.size, world.terminal.owed.size], [0, 0, 0]);
}

/** Runs arguments that must fail, and returns the error line without its prefix. */
export async function failure(args: readonly string[], code: number, world = new World()): Promise<string> {
  assertEquals(await world.run(...args), code, world.terminal.stderr.text);
  assertEquals(world.terminal.stderr.lines.length, 1, world.terminal.stderr.text);
  const { stdout } = world.terminal;
  if (args.includes("--json")) assertEquals(stdout.lines.map((line) => JSON.parse(line).event), ["error"]);
  else assertEquals(stdout.text, "");
  assertEquals(world.session.added, []);
  assertEquals(world.terminal.crashes.size, 0);
  assertMatch(world.terminal.stderr.text, /^shoal: error: /);
  return world.terminal.stderr.lines[0]!.slice("shoal: error: ".length);
}
