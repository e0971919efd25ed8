/**
 * Invariants that must hold at any time in a simulation.
 *
 * @module
 */

import { UPLOAD_SLOTS } from "../../src/swarm/choking/choker.ts";
import { LEAST_READING } from "../../src/base/memory_budget.ts";
import { REQUEST_QUEUE_LIMIT } from "../../src/base/defences.ts";
import { layoutOf } from "../../src/metainfo/mod.ts";
import { FileMap } from "../../src/storage/layout.ts";
import { mayFollow, type TorrentState } from "../../src/swarm/torrent_state.ts";
import type { SimHost } from "./host.ts";
import type { Torrent as SwarmTorrent } from "../../src/swarm/torrent.ts";
import type { Bitfield } from "../../src/base/bitfield.ts";
import type { Watcher } from "./watch.ts";
import type { World } from "./world.ts";

/** Limit of a peer's send buffer in bytes: the limit for answers that the peer doesn't read, and a batch of blocks. */
const SEND_LIMIT = 2 * 1024 * 1024 + 512 * 1024;

/** Bytes that are allowed beyond the memory budget: the smallest part of a piece, and a part read back for hashing. */
const FORCED = 16 * 1024 + 128 * 1024;

/** States in which a torrent has no connections. */
const QUIET: ReadonlySet<TorrentState | null> = new Set(["checking", "paused", "queued", "error"]);
/** Matches the paths of lock files. */
const LOCK = /\/\.shoal(?:-(?:s[0-9a-z]+|[0-9a-f]{40}))?\.lock$/;

/** An invariant was violated. */
export class Violation extends Error {
  override name = "Violation";
  /** Name of the violated rule. */
  readonly rule: string;

  /**
   * @param rule Name of the violated rule.
   * @param details Host, time and description.
   */
  constructor(rule: string, details: string) {
    super(`${rule}: ${details}`);
    this.rule = rule;
  }
}

/** A request that a host has sent. */
interface Asked {
  readonly host: SimHost;
  readonly index: number;
  /** IP address of the other end. */
  readonly other: string;
  /** Returns `true` if the host still waits for the block. */
  isOpen(): boolean;
}

/** Checks every host of a world that runs Shoal. */
export class Invariants {
  /** First violation, or `null`. */
  violation: Violation | null = null;
  /** Number of checks by rule. */
  readonly checks = new Map<string, number>();
  readonly #world: World;
  /** By host: pieces whose bytes on the disk have been found right. */
  readonly #seenRight = new Map<SimHost, Set<number>>();

  /** Hosts that have unchoked a peer. They are checked at the end of the moment. */
  readonly #unchoked = new Set<SimHost>();
  /** By host: time of the last change of state. */
  readonly #since = new Map<SimHost, number>();
  /** By host: pieces at the last check. */
  readonly #kept = new Map<SimHost, { readonly have: Bitfield; readonly faults: number }>();
  /** Requests of this moment. They are checked at its end, since many are cancelled at once. */
  readonly #asked: Asked[] = [];
  /** By host: number of pieces at the last check. */
  readonly #counted = new Map<SimHost, number>();

  constructor(world: World) {
    this.#world = world;
  }

  /** Returns a watcher for the connections of a host. */
  watcherOf(host: SimHost): Watcher {
    const world = this.#world;
    return {
      truth: world.truth,
      spoke: () => {
        host.messages++;
        this.#mustSpeak(host);
      },
      claims: (index) => this.#mustHold(host, index),
      moment: () => world.moments,
      asks: (index, at) => this.#asked.push({ host, index, ...at }),
      unchoked: () => this.#unchoked.add(host),
      broke: (rule, details) => this.broke(rule, host, details),
      message: world.tracesMessages
        ? (direction, other, text) => world.trace(host, `${direction} ${world.nameOf(other)} ${text}`)
        : undefined,
    };
  }

  /** Records a check that was made elsewhere, and its violation if `breach` isn't `null`. */
  hold(rule: string, host: SimHost | null, breach: string | null): void {
    this.#count(rule);
    if (breach !== null) this.broke(rule, host, breach);
  }

  /** Records a violation. Only the first one is kept. */
  broke(rule: string, host: SimHost | null, details: string): void {
    const when = `${(this.#world.clock.now() / 1000).toFixed(3)} s`;
    this.violation ??= new Violation(rule, `${host ? `${host.name}, ` : ""}at ${when}: ${details}`);
  }

  /** Called when all work of a moment has been done. */
  moment(): void {
    for (const host of this.#unchoked) this.#slots(host);
    this.#unchoked.clear();
    for (const { host, index, other, isOpen } of this.#asked) {
      // Requests in the buffer of a closed connection are still sent, and aren't checked.
      const isConnected = [...host.torrent?.peers() ?? []].some(({ name }) => name.startsWith(`${other}:`));
      if (isConnected && isOpen()) this.#mustWant(host, index);
    }
    this.#asked.length = 0;
  }

  /** Checks the state of a host between two events. */
  check(host: SimHost): void {
    const { session, torrent } = host;
    // The files of a stopped torrent may be removed.
    if (!session || !torrent || torrent.state === "stopped") return;
    this.#checkState(host);
    const { meta } = this.#world.truth;
    const { used, limit } = session.memory;
    this.#count("memory budget");
    // Reading has a minimum even with a small budget, and each torrent may hold one part of a piece and read one back.
    const bound = Math.max(limit, limit / 2 + LEAST_READING) + FORCED;
    if (used > bound) this.broke("memory budget", host, `${used} of ${limit} bytes are in use`);
    if (torrent.have.count !== this.#counted.get(host)) {
      this.#counted.set(host, torrent.have.count);
      for (const index of torrent.have) this.#mustHold(host, index);
    }
    this.#slots(host);
    let peers = 0;
    for (const peer of torrent.peers()) {
      peers++;
      this.#count("bounded queues");
      const { writer, uploads } = peer;
      if (writer.length > SEND_LIMIT) {
        this.broke("bounded queues", host, `${writer.length} bytes wait for ${peer.name}`);
      }
      if (uploads.size > REQUEST_QUEUE_LIMIT) {
        this.broke("bounded queues", host, `${uploads.size} requests of ${peer.name} wait`);
      }
      if (peer.allowedFast.size > meta.pieceCount) this.broke("bounded queues", host, "too many allowed-fast pieces");
    }
    const most = host.options.session.maxPeers ?? 100;
    if (peers > most) this.broke("bounded queues", host, `${peers} connections, ${most} allowed`);
    const { connections } = session;
    this.#count("connections");
    if (connections.used > connections.limit || connections.used < peers) {
      this.broke("connections", host, `${connections.used} of ${connections.limit} for ${peers} peers`);
    }
  }

  /** Checks that all files under final names are right. */
  checkFiles(host: SimHost): void {
    for (const folder of host.folders) {
      for (const file of this.#world.truth.files) {
        const path = `${folder}/${file.path}`;
        if (host.files.sizeOf(path) >= 0) this.checkFinal(host, path);
      }
    }
  }

  /** Called when a torrent changes its state. */
  entered(host: SimHost, { state, previous }: { readonly state: TorrentState; readonly previous: TorrentState }): void {
    this.#count("states");
    if (!mayFollow(previous, state)) this.broke("states", host, `it went from ${previous} to ${state}`);
    if (host.state !== null && host.state !== previous) {
      this.broke("states", host, `it went from ${previous} to ${state}, and was ${host.state}`);
    }
    this.#since.set(host, this.#world.clock.now());
    const { torrent } = host;
    if (state === "seeding" && torrent) this.#mustBeWhole(host, torrent);
  }

  /** Called when a host connects to a peer. */
  connected(host: SimHost, address: string): void {
    this.#count("quiet states");
    if (isQuiet(host)) this.broke("quiet states", host, `it connects to ${address} while it is ${host.state}`);
  }

  /** Forgets which pieces of a host were right. Called when the disk may have changed. */
  forget(host: SimHost): void {
    this.#seenRight.delete(host);
    this.#kept.delete(host);
    this.#counted.delete(host);
  }

  /** Called after a rename. A file under a final name must be right. */
  checkFinal(host: SimHost, path: string): void {
    const folder = host.folders.find((one) => path.startsWith(`${one}/`));
    if (folder === undefined || path.endsWith(".part")) return;
    const data = this.#world.truth.fileAt(path.slice(folder.length + 1));
    if (!data) return;
    this.#count("final names");
    if (host.files.sizeOf(path) !== data.length || !host.files.isRight(path, 0, data.length)) {
      this.broke("final names", host, `${path} isn't what it should be`);
    }
  }

  /** Called when a host bans a peer, which must not be a host that runs Shoal. */
  banned(host: SimHost, address: string): void {
    this.#count("no honest peer banned");
    const ip = address.replace(/:\d+$/, "");
    const victim = this.#world.hosts.find((one) => one.ip === ip);
    if (victim) this.broke("no honest peer banned", host, `it banned ${victim.name}`);
  }

  /** Checks that a complete host has every file under its final name, and no other file. */
  checkComplete(host: SimHost): void {
    this.checkFiles(host);
    const wanted = this.#world.truth.files.map((file) => `${host.folder}/${file.path}`);
    const there = host.files.paths.filter((path) => host.folders.some((folder) => path.startsWith(`${folder}/`)));
    const odd = there.filter((path) => !wanted.includes(path) && !this.isLeftLock(host, path));
    const missing = wanted.filter((path) => !there.includes(path));
    this.#count("completion");
    if (odd.length > 0 || missing.length > 0) {
      this.broke("completion", host, `missing ${missing.slice(0, 3)}, odd ${odd.slice(0, 3)}`);
    }
  }

  /**
   * Returns `true` if a file is a lock that may stay: its removal failed, or the program that held it was killed while
   * the torrent was in another folder or no claim named the lock any more.
   */
  isLeftLock(host: SimHost, path: string): boolean {
    if (!LOCK.test(path)) return false;
    const isNamed = host.orphans.get(path);
    return host.files.unremoved.has(path) || isNamed === false ||
      (isNamed === true && !path.startsWith(`${host.folder}/`));
  }

  /** Checks that a stopped program has left no socket, file handle or timer. */
  stopped(host: SimHost): void {
    const { openSockets } = host.nic;
    const { openHandles } = host.files;
    this.#count("nothing left behind");
    if (openSockets > 0) this.broke("nothing left behind", host, `${openSockets} sockets are open after the stop`);
    if (openHandles > 0) this.broke("nothing left behind", host, `${openHandles} files are open after the stop`);
    if (host.timers > 0) this.broke("nothing left behind", host, `${host.timers} timers wait after the stop`);
  }

  #slots(host: SimHost): void {
    this.#count("choker slots");
    let unchoked = 0;
    for (const peer of host.torrent?.peers() ?? []) if (!peer.amChoking) unchoked++;
    if (unchoked > UPLOAD_SLOTS + 1) this.broke("choker slots", host, `${unchoked} peers are unchoked`);
  }

  /** Checks that a piece that a host claims to have is right on its disk. */
  #mustHold(host: SimHost, index: number): void {
    let right = this.#seenRight.get(host);
    if (!right) this.#seenRight.set(host, right = new Set());
    if (right.has(index)) return;
    this.#count("only verified pieces");
    for (const { path, begin, end, file } of this.#stretchesOf(index)) {
      const isThere = host.folders.some((folder) =>
        host.files.isRight(`${folder}/${path}`, begin, end) ||
        host.files.isRight(`${folder}/${path}.part`, begin, end) ||
        this.#isInPartFile(host, { folder, file, index })
      );
      if (!isThere) {
        return this.broke("only verified pieces", host, `it claims piece ${index}, but ${path} isn't right`);
      }
    }
    right.add(index);
  }

  /** Yields the ranges of files that a piece consists of. */
  *#stretchesOf(index: number): Generator<{ path: string; file: number; begin: number; end: number }> {
    const { meta, files } = this.#world.truth;
    const from = index * meta.pieceLength;
    const last = Math.min(from + meta.pieceLength, meta.totalLength);
    for (const { path, data, offset, index: file } of files) {
      const begin = Math.max(0, from - offset);
      const end = Math.min(data.length, last - offset);
      if (begin < end) yield { path, file, begin, end };
      if (offset + data.length >= last) break;
    }
  }

  /** Returns `true` if the part of a piece that belongs to an unselected file is in the partfile. */
  #isInPartFile(host: SimHost, { folder, file, index }: { folder: string; file: number; index: number }): boolean {
    const { meta } = host;
    const slot = new FileMap(layoutOf(meta)).slotsOfFile(file).find(({ piece }) => piece === index);
    const path = `${folder}/.shoal-${meta.infoHash.hex}.part`;
    const { from, to, length } = slot ?? { from: 0, to: 0, length: -1 };
    return length >= 0 && host.files.holds(path, from, this.#world.truth.fileOf(file).data.slice(to, to + length));
  }

  /** Checks that a host in a quiet state sends nothing. Buffered messages may be sent while the state changes. */
  #mustSpeak(host: SimHost): void {
    if (!isQuiet(host) || this.#since.get(host) === this.#world.clock.now()) return;
    this.broke("quiet states", host, `it speaks while it is ${host.state}`);
  }

  /** Checks that a host requests only pieces that it wants and doesn't have. */
  #mustWant(host: SimHost, index: number): void {
    const { torrent } = host;
    if (!torrent?.pieces) return;
    this.#count("only what is missing");
    if (torrent.have.has(index)) this.broke("only what is missing", host, `it asks for piece ${index}, which it has`);
    else if (!torrent.pieces.started.wants(index)) {
      this.broke("only what is missing", host, `it asks for piece ${index}, which it doesn't want`);
    }
  }

  /** Checks that the state of a torrent agrees with its events, its listing, its error and its connections. */
  #checkState(host: SimHost): void {
    const { session, torrent } = host;
    if (!session || !torrent) return;
    this.#count("states");
    const { state, error } = torrent;
    if (host.state !== null && host.state !== state) this.broke("states", host, `it is ${state}, said ${host.state}`);
    const isListed = session.torrents.includes(torrent) && session.get(torrent.infoHash) === torrent;
    if (!isListed) this.broke("states", host, `it is ${state}, and isn't listed`);
    if ((state === "error") !== (error !== null)) this.broke("states", host, `it is ${state}; why: ${error?.message}`);
    if (torrent.paused && !QUIET.has(state) && state !== "stopping") {
      this.broke("states", host, `it is to be paused, and is ${state}`);
    }
    const peers = [...torrent.peers()].length;
    if (isQuiet(host) && QUIET.has(state) && peers > 0) {
      this.broke("quiet states", host, `it is ${state} and has ${peers} peers`);
    }
    if (state === "seeding") this.#mustBeWhole(host, torrent);
    this.#mustKeep(host, torrent);
  }

  /** Checks that a torrent keeps its verified pieces, unless the disk has failed. */
  #mustKeep(host: SimHost, { attached, have }: SwarmTorrent): void {
    if (!attached) return;
    const { faults } = host.files;
    const before = this.#kept.get(host);
    this.#count("nothing lost");
    for (const index of before?.faults === faults ? before.have : []) {
      if (!have.has(index)) this.broke("nothing lost", host, `it had piece ${index}, and hasn't any more`);
    }
    this.#kept.set(host, { have: have.clone(), faults });
  }

  /** Checks that a seeding torrent has every selected file under its final name. */
  #mustBeWhole(host: SimHost, torrent: SwarmTorrent): void {
    this.#count("seeds are whole");
    if (!torrent.complete) this.broke("seeds are whole", host, "it seeds, and something is missing");
    for (const index of torrent.wantedFiles) {
      const { path, data } = this.#world.truth.fileOf(index);
      if (!host.folders.some((folder) => host.files.sizeOf(`${folder}/${path}`) === data.length)) {
        this.broke("seeds are whole", host, `it seeds, and ${path} isn't there`);
      }
    }
  }

  #count(rule: string): void {
    this.checks.set(rule, (this.checks.get(rule) ?? 0) + 1);
  }
}

/** Returns `true` if a host must be silent. One with a link keeps the peers that sent it the metadata while it checks. */
function isQuiet({ state, link }: SimHost): boolean {
  return QUIET.has(state) && !(state === "checking" && link !== null);
}
