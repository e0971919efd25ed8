/**
 * Sessions and a platform for tests of the commands: everything happens when the test says so.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { type Bytes, utf8 } from "../../src/base/bytes.ts";
import { ShoalError } from "../../src/base/errors.ts";
import { InfoHash } from "../../src/base/info_hash.ts";
import type { Engine, SessionLike, TorrentLike } from "../../src/cli/engine.ts";
import { run } from "../../src/cli/main.ts";
import { describe, type Magnet, type Metainfo, parseMagnet } from "../../src/metainfo/mod.ts";
import { FileError } from "../../src/platform/file_errors.ts";
import { HttpError, type HttpRequest, type HttpServer, type Platform } from "../../src/platform/platform.ts";
import type { AddOptions, RateLimits, SessionOptions } from "../../src/session/session.ts";
import type { SessionEvent, TorrentSnapshot } from "../../src/session/session_events.ts";
import { settle, VirtualClock } from "../support/virtual_clock.ts";
import { FakeTerminal, type FakeTerminalOptions } from "../ui/fake_terminal.ts";
import { torrentSnapshot } from "../ui/snapshots.ts";

/** A torrent that a file named `NAME.torrent` holds. */
export function metaOf(name: string): Metainfo {
  return {
    infoHash: new InfoHash(new Uint8Array(20).fill(name.charCodeAt(0))),
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
  /** Completes it. */
  finish!: () => void;
  /** Breaks it. */
  fail!: (error: unknown) => void;

  readonly wantedFiles = [0, 2];
  /** Nothing can be read in the test. */
  readonly open = (): never => {
    throw new ShoalError("usage", { what: "cannot read", why: "there is no data here" });
  };

  /** @param meta What it holds. @param options How it was added. */
  constructor(readonly meta: Metainfo, readonly options: AddOptions) {
    this.metadata = Promise.resolve(meta);
    this.finished = new Promise((resolve, reject) => {
      this.finish = resolve;
      this.fail = reject;
    });
    this.finished.catch(() => {}); // as in the real one, the event tells it too
  }

  /** @returns What the test put there. */
  snapshot(): TorrentSnapshot {
    return torrentSnapshot({ infoHash: this.meta.infoHash, name: this.meta.name, ...this.state });
  }

  /** @returns Which torrent. */
  get infoHash(): InfoHash {
    return this.meta.infoHash;
  }

  /** @returns Nothing to draw. */
  pieceMap(): null {
    return null;
  }

  /** @returns No files. */
  files(): [] {
    return [];
  }

  /** Pauses it. */
  pause(): void {
    this.paused = true;
  }

  /** Goes on. */
  resume(): void {
    this.paused = false;
  }

  /** Stops it. */
  stop(): Promise<void> {
    this.stopped = true;
    return Promise.resolve();
  }
}

/** A session that the test drives. */
export class FakeSession implements SessionLike {
  readonly added: FakeTorrent[] = [];
  /** Further sources of torrents that were added before. */
  readonly merged: (Metainfo | Magnet)[] = [];
  readonly listeners = new Set<(event: SessionEvent) => void>();
  stops = 0;
  limits: RateLimits = { down: null, up: null };
  startError: unknown = null;
  addError: unknown = null;
  /** Whether stopping never comes to an end. */
  stuck = false;
  options: SessionOptions | null = null;
  readonly port = 6881;

  /** Starts. */
  start(): Promise<void> {
    return this.startError === null ? Promise.resolve() : Promise.reject(this.startError);
  }

  /** Adds. */
  add(source: Metainfo | Magnet, options: AddOptions): Promise<FakeTorrent> {
    if (this.addError !== null) return Promise.reject(this.addError);
    const there = this.added.find(({ infoHash }) => infoHash.equals(source.infoHash));
    if (there !== undefined) {
      this.merged.push(source);
      return Promise.resolve(there);
    }
    const meta = "pieces" in source ? source : { ...metaOf("Remote"), infoHash: source.infoHash };
    const torrent = new FakeTorrent(meta, options);
    this.added.push(torrent);
    const infohash = meta.infoHash.hex;
    this.emit({ event: "added", infohash, name: meta.name, size: meta.size, files: 2 });
    return Promise.resolve(torrent);
  }

  /** Changes how fast torrents may be. */
  setLimits(limits: Partial<RateLimits>): void {
    this.limits = { ...this.limits, ...limits };
  }

  /** Subscribes. */
  subscribe(listener: (event: SessionEvent) => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  /** Stops. */
  stop(): Promise<void> {
    this.stops++;
    for (const { meta } of this.added) {
      this.emit({ event: "stopped", infohash: meta.infoHash.hex, downloaded: 1, uploaded: 2 });
    }
    return this.stuck ? new Promise(() => {}) : Promise.resolve();
  }

  /** Tells all listeners. */
  emit(event: SessionEvent): void {
    for (const listener of this.listeners) listener(event);
  }
}

/** What an HTTP server answers. */
export interface Answer {
  readonly status: number;
  readonly text: string;
  /** Where it redirects to. */
  readonly magnet?: string;
}

/** One run of the program in a made-up world. */
export class World {
  readonly clock = new VirtualClock();
  readonly session = new FakeSession();
  readonly terminal: FakeTerminal;
  readonly requests: HttpRequest[] = [];
  /** The answer to HTTP requests; none by default. */
  answer: () => Answer | Promise<Answer> = () => {
    throw new HttpError("connection refused");
  };

  /** What comes of comparing data with a torrent; by default it can't be done. */
  verify: Engine["verify"] = () => Promise.reject(new Error("there is no data here"));

  /** What comes of making a torrent; by default it can't be done. */
  create: Engine["create"] = () => Promise.reject(new Error("there is no data here"));
  /** What `~/.config/shoal/config.toml` holds; an error when it can't be read, `null` when it isn't there. */
  config: string | Bytes | FileError | null = null;
  /** How often somebody looked for it. */
  configReads = 0;
  /** HTTP servers that run. */
  readonly servers = new Set<HttpServer>();
  /** Ports that somebody else has. */
  readonly taken = new Set<number>();
  /** What was written to files. */
  readonly written = new Map<string, Bytes>();

  /** @param options The terminal. */
  constructor(options: FakeTerminalOptions = {}) {
    this.terminal = new FakeTerminal(options);
  }

  /** Runs to the end. */
  run(...args: string[]): Promise<number> {
    return run(args, { platform: this.#platform(), terminal: this.terminal, engine: this.#engine() });
  }

  /** Starts, and returns once the torrents have been added. */
  async start(...args: string[]): Promise<{ readonly code: Promise<number> }> {
    const code = this.run(...args);
    // modules are loaded on the way, which takes real time
    while (this.session.added.length === 0) await settle();
    await settle();
    return { code };
  }

  /** JSON lines so far. */
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

  /** Files `X.torrent` hold torrent X, `X.txt` hold something else, others are missing. */
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
      // the rest of a platform is for the engine, which is not here
    } as unknown as Platform;
  }
}

/**
 * Fails if a run has left something behind: timers, listeners, folders that are to be removed.
 *
 * @param world Where it ran.
 */
export function assertClean(world: World): void {
  assertEquals(world.clock.pending, 0, "a timer is left");
  assertEquals(world.session.listeners.size, 0, "a listener is left");
  assertEquals(world.servers.size, 0, "a server is left");
  assertEquals([world.terminal.requests.size, world.terminal.crashes.size, world.terminal.owed.size], [0, 0, 0]);
}

/** Runs arguments that must fail; gives the error line without its head. */
export async function failure(args: readonly string[], code: number, world = new World()): Promise<string> {
  assertEquals(await world.run(...args), code, world.terminal.stderr.text);
  assertEquals(world.terminal.stderr.lines.length, 1, world.terminal.stderr.text);
  assertEquals(world.terminal.stdout.text, "");
  assertEquals(world.session.added, []);
  assertEquals(world.terminal.crashes.size, 0);
  assertMatch(world.terminal.stderr.text, /^shoal: error: /);
  return world.terminal.stderr.lines[0]!.slice("shoal: error: ".length);
}
