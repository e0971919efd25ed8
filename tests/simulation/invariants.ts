/**
 * What must hold at every moment of a simulation, whatever happens.
 *
 * @module
 */

import { UPLOAD_SLOTS } from "../../src/swarm/choker.ts";
import { LEAST_READING } from "../../src/base/memory_budget.ts";
import { REQUEST_QUEUE_LIMIT } from "../../src/base/limits.ts";
import { FOLDER, type SimHost } from "./host.ts";
import type { Watcher } from "./watch.ts";
import type { World } from "./world.ts";

/** Bytes that a peer's send buffer may hold: the limit for answers that it doesn't read, and a batch of blocks. */
const SEND_LIMIT = 2 * 1024 * 1024 + 512 * 1024;

/** Bytes of the smallest part of a piece, and of what is read back of one for its hash. */
const FORCED = 16 * 1024 + 128 * 1024;

/** Something happened that never may. */
export class Violation extends Error {
  override name = "Violation";
  /** Which rule was broken. */
  readonly rule: string;

  /**
   * @param rule Which rule.
   * @param details Who broke it, when, and how.
   */
  constructor(rule: string, details: string) {
    super(`${rule}: ${details}`);
    this.rule = rule;
  }
}

/** Watches every honest host of a world. */
export class Invariants {
  /** What was broken first. */
  violation: Violation | null = null;
  /** Checks that were made, by rule. */
  readonly checks = new Map<string, number>();
  readonly #world: World;
  /** By host: pieces whose bytes on its disk have been found right. */
  readonly #seenRight = new Map<SimHost, Set<number>>();

  /** Hosts that unchoked somebody; looked at when they have nothing more to do at this moment. */
  readonly #unchoked = new Set<SimHost>();
  /** By host: how many pieces it had at the last look. */
  readonly #counted = new Map<SimHost, number>();

  /** @param world What to watch. */
  constructor(world: World) {
    this.#world = world;
  }

  /** Somebody who watches the connections of a host. */
  watcherOf(host: SimHost): Watcher {
    const world = this.#world;
    return {
      truth: world.truth,
      spoke: () => void host.messages++,
      claims: (index) => this.#mustHold(host, index),
      unchoked: () => this.#unchoked.add(host),
      broke: (rule, details) => this.broke(rule, host, details),
      message: world.tracesMessages
        ? (direction, other, text) => world.trace(host, `${direction} ${world.nameOf(other)} ${text}`)
        : undefined,
    };
  }

  /** Counts a check that somebody else makes, and takes note of what it found. */
  hold(rule: string, host: SimHost | null, breach: string | null): void {
    this.#count(rule);
    if (breach !== null) this.broke(rule, host, breach);
  }

  /** Takes note of a breach; the first one counts. */
  broke(rule: string, host: SimHost | null, details: string): void {
    const when = `${(this.#world.clock.now() / 1000).toFixed(3)} s`;
    this.violation ??= new Violation(rule, `${host ? `${host.name}, ` : ""}at ${when}: ${details}`);
  }

  /** The moment is over: everybody who had something to do has done it. */
  moment(): void {
    for (const host of this.#unchoked) this.#slots(host);
    this.#unchoked.clear();
  }

  /** The state of a host between two events. */
  check(host: SimHost): void {
    const { session, torrent } = host;
    if (!session || !torrent) return;
    const { meta } = this.#world.truth;
    const { used, limit } = session.memory;
    this.#count("memory budget");
    // A small budget leaves room for reading all the same, every torrent has one part of a piece, and may read one back.
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

  /** Nothing on the disk under a final name may be wrong, at no time. */
  checkFiles(host: SimHost): void {
    for (const file of this.#world.truth.files) {
      const path = `${FOLDER}/${file.path}`;
      const size = host.files.sizeOf(path);
      this.#count("final names");
      if (size >= 0 && (size !== file.data.length || !host.files.isRight(path, 0, size))) {
        this.broke("final names", host, `${path} isn't what it should be`);
      }
    }
  }

  /** What was found right on the disk of a host may not be any more: somebody meddled with it. */
  forget(host: SimHost): void {
    this.#seenRight.delete(host);
    this.#counted.delete(host);
  }

  /** A file got its name: if it is a final one, the file must be what it should be. */
  checkFinal(host: SimHost, path: string): void {
    if (!path.startsWith(`${FOLDER}/`)) return;
    const data = path.endsWith(".part") ? null : this.#world.truth.fileAt(path.slice(FOLDER.length + 1));
    if (!data) return;
    this.#count("final names");
    if (host.files.sizeOf(path) !== data.length || !host.files.isRight(path, 0, data.length)) {
      this.broke("final names", host, `${path} isn't what it should be`);
    }
  }

  /** A host banned somebody, who must have deserved it. */
  banned(host: SimHost, address: string): void {
    this.#count("no honest peer banned");
    const ip = address.replace(/:\d+$/, "");
    const victim = this.#world.hosts.find((one) => one.ip === ip);
    if (victim) this.broke("no honest peer banned", host, `it banned ${victim.name}`);
  }

  /** A host that says it is complete must have every file under its final name, right, and nothing else. */
  checkComplete(host: SimHost): void {
    this.checkFiles(host);
    const wanted = this.#world.truth.files.map((file) => `${FOLDER}/${file.path}`).sort();
    const there = host.files.paths.filter((path) => path.startsWith(`${FOLDER}/`));
    this.#count("completion");
    if (there.join() !== wanted.join()) {
      const odd = there.filter((path) => !wanted.includes(path));
      const missing = wanted.filter((path) => !there.includes(path));
      this.broke("completion", host, `missing ${missing.slice(0, 3)}, odd ${odd.slice(0, 3)}`);
    }
  }

  /** A program that has stopped leaves nothing behind. */
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

  /** What a host claims must be on its disk, right. */
  #mustHold(host: SimHost, index: number): void {
    let right = this.#seenRight.get(host);
    if (!right) this.#seenRight.set(host, right = new Set());
    if (right.has(index)) return;
    this.#count("only verified pieces");
    const { meta, files } = this.#world.truth;
    const from = index * meta.pieceLength;
    const end = Math.min(from + meta.pieceLength, meta.totalLength);
    let offset = 0;
    for (const file of files) {
      const begin = Math.max(0, from - offset);
      const stop = Math.min(file.data.length, end - offset);
      if (begin < stop) {
        const path = `${FOLDER}/${file.path}`;
        if (!host.files.isRight(path, begin, stop) && !host.files.isRight(`${path}.part`, begin, stop)) {
          return this.broke("only verified pieces", host, `it claims piece ${index}, but ${path} isn't right`);
        }
      }
      offset += file.data.length;
      if (offset >= end) break;
    }
    right.add(index);
  }

  #count(rule: string): void {
    this.checks.set(rule, (this.checks.get(rule) ?? 0) + 1);
  }
}
