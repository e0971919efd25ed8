/** Random changes while a download runs: no piece, block or buffer is lost track of, and the download completes. */

import { assert, assertEquals } from "@std/assert";
import { Bitfield } from "../../../src/base/bitfield.ts";
import type { Bytes } from "../../../src/base/bytes.ts";
import { ShoalError } from "../../../src/base/errors.ts";
import type { Peer } from "../../../src/peer/peer.ts";
import type { PieceDownload } from "../../../src/swarm/pieces/piece_download.ts";
import type { WebRun } from "../../../src/swarm/web_seeds/web_run.ts";
import { WebPicker } from "../../../src/swarm/web_seeds/web_picker.ts";
import { MessageId } from "../../../src/wire/messages.ts";
import { fc, tries } from "../../support/property.ts";
import { settle } from "../../support/virtual_clock.ts";
import { BLOCK, Lab } from "./download_lab.ts";

const PIECES = 12;
const BLOCKS = 3;
const PIECE = BLOCKS * BLOCK;
const MOST_PEERS = 8;
/** Length of the chain of promise callbacks that checks a piece. */
const TURNS = 40;

/** The remote end of a connection, with the requests that it has understood. */
interface Remote {
  readonly peer: Peer;
  readonly asked: Set<string>;
  /** Cancelled requests that the peer may have answered before the cancel arrived. */
  readonly crossing: string[];
  interested: boolean;
  /** If `true`, the peer had every piece and lost some of them. */
  reneged: boolean;
}

function keyOf(index: number, begin: number): string {
  return `${index}:${begin}`;
}

function placeOf(key: string): { index: number; begin: number } {
  const [index, begin] = key.split(":").map(Number);
  return { index: index!, begin: begin! };
}

function bitsOf(mask: number): Bitfield {
  const bits = new Bitfield(PIECES);
  for (let index = 0; index < PIECES; index++) if ((mask >> index) & 1) bits.set(index);
  return bits;
}

class World {
  readonly lab: Lab;
  readonly download: PieceDownload;
  readonly remotes: Remote[] = [];
  readonly runs: WebPicker;
  readonly claimed: WebRun[] = [];
  wanted = bitsOf(-1);
  /** Writes under way. */
  #writes: PromiseWithResolvers<void>[] = [];
  /** Blocks requested twice without need. */
  readonly #twice: string[] = [];

  constructor(budget: number) {
    this.lab = new Lab(PIECES, { budget, blocks: BLOCKS });
    this.download = this.lab.download;
    this.lab.hasPlace = (index) => index % 5 !== 0;
    this.lab.write = () => {
      const write = Promise.withResolvers<void>();
      this.#writes.push(write);
      return write.promise;
    };
    this.runs = new WebPicker(this.download, {
      pieceLength: PIECE,
      totalLength: PIECES * PIECE,
      peers: () => this.lab.peers,
      now: () => this.lab.clock.now(),
      random: () => this.lab.clock.random(),
    });
    this.download.wantedChanged = () => this.runs.trim();
    this.download.urgencyChanged = () => this.runs.yieldToUrgent();
  }

  get open(): Remote[] {
    return this.remotes.filter(({ peer }) => !peer.closed);
  }

  join(mask: number, flags: number): void {
    if (this.open.length >= MOST_PEERS) return;
    const pieces = flags & 8 ? {} : { pieces: [...bitsOf(mask)] };
    const peer = this.lab.peer({ ...pieces, fast: !!(flags & 1), choking: !!(flags & 2), unknown: !!(flags & 4) });
    this.remotes.push({ peer, asked: new Set(), crossing: [], interested: false, reneged: false });
    this.#watch(peer);
    peer.amInterested = false;
    peer.setInterested(peer.wanted > 0);
    this.download.joined(peer);
    this.download.parsed(peer);
  }

  /** Records blocks requested from a second peer, unless it is the endgame or a reader waits. */
  #watch(peer: Peer): void {
    const request = peer.request.bind(peer);
    peer.request = (index, begin, length, now) => {
      const { active, picker } = this.download.started;
      const web = this.claimed.filter((run) => this.#covers(run, index, begin)).length;
      if (active.get(index)!.asked(begin / BLOCK) > 1 + web) {
        const isEndgame = picker.size === 0 || this.download.urgency.pieces.length > 0;
        if (!isEndgame) this.#twice.push(keyOf(index, begin));
      }
      request(index, begin, length, now);
    };
  }

  /** Lets a peer answer some of its requests. The first answer may be wrong. */
  blocks(at: number, options: { which: number; count: number; wrong: boolean }): void {
    const remote = this.#busy(at);
    for (let left = options.count; remote && left > 0 && remote.asked.size > 0; left--) {
      const key = [...remote.asked][options.which % remote.asked.size]!;
      remote.asked.delete(key);
      this.#send(remote, key, options.wrong && left === options.count);
      this.#listen();
    }
  }

  /** Delivers a block whose request was cancelled too late. */
  crossed(at: number): void {
    const remotes = this.open.filter(({ crossing }) => crossing.length > 0);
    const remote = remotes[at % remotes.length];
    if (!remote) return;
    const key = remote.crossing.shift()!;
    // If the block was requested again, it is taken for the answer to that request; the real answer follows later.
    if (remote.asked.delete(key)) remote.crossing.push(key);
    this.#send(remote, key, false);
  }

  leave(at: number): void {
    const { open } = this;
    const remote = open[at % open.length];
    if (remote) this.#close(remote);
  }

  #close(remote: Remote): void {
    remote.peer.closed = true;
    remote.asked.clear();
    this.download.left(remote.peer);
  }

  choke(at: number): void {
    const { open } = this;
    const remote = open[at % open.length];
    if (!remote) return;
    const { peer, asked } = remote;
    peer.onSignal(peer.choking ? MessageId.unchoke : MessageId.choke);
    this.download.choked(peer);
    if (peer.choking && peer.fast) this.#reject(remote, [...asked]);
    else if (peer.choking) asked.clear();
    if (!peer.closed) this.download.parsed(peer);
  }

  gain(at: number, index: number): void {
    const { open } = this;
    const remote = open[at % open.length];
    if (!remote?.peer.pieces.set(index)) return;
    this.download.peerHas(remote.peer, index);
    remote.peer.setInterested(remote.peer.wanted > 0);
    this.download.parsed(remote.peer);
  }

  lose(at: number, index: number): void {
    const { open } = this;
    const remote = open[at % open.length];
    if (!remote) return;
    const { peer, asked } = remote;
    remote.reneged ||= peer.isSeed;
    if (!peer.pieces.clear(index)) return;
    this.download.peerLost(peer, index);
    if (peer.fast) this.#reject(remote, [...asked].filter((key) => placeOf(key).index === index));
    if (!peer.closed) this.download.parsed(peer);
  }

  setWanted(mask: number): void {
    this.wanted = bitsOf(mask);
    this.download.setWanted(this.wanted);
    for (const { index, received } of this.download.started.active.values()) {
      assert(this.wanted.has(index) || (received > 0 && this.lab.hasPlace(index)), `piece ${index} is of no use`);
    }
  }

  urge(mask: number, count: number): void {
    const pieces = [...bitsOf(mask)].filter((index) => !this.download.have.has(index)).reverse();
    this.download.prioritise({ pieces, awaited: new Set(pieces.slice(0, count % 3)) });
  }

  pass(milliseconds: number): void {
    this.lab.clock.advance(milliseconds);
    this.download.tick(this.lab.clock.now());
  }

  claim(mask: number): void {
    const source = { number: -1, rate: PIECE, wholeOnly: false, last: -1, quiet: false };
    const run = this.runs.claim({ ...source, pieces: bitsOf(mask) });
    if (run) this.claimed.push(run);
  }

  bring(at: number, blocks: number): void {
    const run = this.#run(at);
    for (let left = blocks * BLOCK; left > 0 && run && !run.over && run.ready() && !run.over;) {
      const index = Math.floor(run.at / PIECE);
      const bytes: Bytes = new Uint8Array(PIECE);
      bytes.set([index, 1, 1, 1]);
      const from = run.at - index * PIECE;
      left -= run.put(bytes, from, Math.min(PIECE, from + left));
    }
  }

  release(at: number): void {
    const run = this.#run(at);
    if (run) this.runs.release(run);
  }

  /** Completes or fails the write of one piece. */
  written(fails: boolean): Promise<void> {
    const write = this.#writes.shift();
    if (fails) write?.reject(new Error("the disk is full"));
    else write?.resolve();
    return this.settle();
  }

  /** Lets checks of pieces finish, but not writes. Everything must be in order between any two steps. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < TURNS; turn++) {
      this.#checkPieces();
      await undefined;
    }
    await settle();
  }

  #run(at: number): WebRun | undefined {
    const running = this.claimed.filter((run) => !run.over);
    return running[at % running.length];
  }

  #busy(at: number): Remote | undefined {
    const busy = this.open.filter(({ asked }) => asked.size > 0);
    return busy[at % busy.length];
  }

  #send(remote: Remote, key: string, wrong: boolean): void {
    const { peer } = remote;
    this.lab.answer(peer, { ...placeOf(key), wrong });
    if (peer.closed) this.#close(remote);
    else this.download.parsed(peer);
  }

  #reject(remote: Remote, keys: readonly string[]): void {
    const { peer, asked, crossing } = remote;
    for (const key of keys) {
      const { index, begin } = placeOf(key);
      try {
        peer.onBlockSignal(MessageId.reject, index, begin, BLOCK);
      } catch (error) {
        if (!(error instanceof ShoalError)) throw error;
        return this.#close(remote); // as PeerLink does
      }
      // If the block was requested again, the reject is taken for the answer to that request.
      if (asked.delete(key) && !peer.choking) crossing.push(key);
    }
  }

  /** Lets every peer read what was sent to it, and answer at once where it must. */
  #listen(): void {
    for (let again = true; again;) {
      again = false;
      for (const remote of this.remotes) {
        const { peer } = remote;
        const cancelled = this.#hear(remote);
        if (peer.closed || !peer.fast || cancelled.length === 0) continue;
        this.#reject(remote, cancelled);
        if (!peer.closed) this.download.parsed(peer);
        again = true;
      }
    }
  }

  /**
   * Reads the messages to a peer.
   *
   * @returns Cancelled requests.
   */
  #hear(remote: Remote): string[] {
    const bytes = remote.peer.writer.take();
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const cancelled: string[] = [];
    if (remote.peer.closed) return cancelled;
    for (let at = 0; at < bytes.length; at += 4 + view.getUint32(at)) {
      const id = bytes[at + 4];
      if (id === MessageId.interested || id === MessageId.notInterested) {
        remote.interested = id === MessageId.interested;
      }
      if (id !== MessageId.request && id !== MessageId.cancel) continue;
      const key = keyOf(view.getUint32(at + 5), view.getUint32(at + 9));
      if (id === MessageId.request) {
        assert(!remote.asked.has(key), `peer ${remote.peer.number} was asked twice for ${key}`);
        assert(remote.interested, `peer ${remote.peer.number} was asked for ${key} by somebody who isn't interested`);
        remote.asked.add(key);
      } else if (remote.asked.has(key)) {
        remote.asked.delete(key);
        if (remote.peer.fast) cancelled.push(key);
        else remote.crossing.push(key);
      }
    }
    return cancelled;
  }

  check(): void {
    this.#listen();
    assertEquals(this.#twice, [], "blocks that are fetched twice before the end");
    this.#checkPieces();
    const { missing, reserved } = this.download.started;
    assertEquals(this.download.complete, missing.isEmpty);
    const ahead = this.claimed.filter((run) => !run.over).flatMap((run) => {
      const end = Math.ceil(run.end / PIECE);
      return Array.from({ length: run.ahead }, (_, i) => end - run.ahead + i);
    });
    assertEquals([...reserved].sort(), ahead.sort(), "what web seeds will come to");
    this.#checkRequests();
  }

  /** Asserts that each piece is in exactly one state, and that each piece under way has its memory. */
  #checkPieces(): void {
    const { started, have } = this.download;
    const { active, picker, reserved, missing } = started;
    const counted = this.open.filter(({ peer, reneged }) => !peer.isSeed || reneged);
    let checking = 0;
    for (let index = 0; index < PIECES; index++) {
      const places = [active.has(index), picker.has(index), reserved.has(index)].filter(Boolean).length;
      const name = `piece ${index}`;
      if (have.has(index)) assert(places === 0 && !missing.has(index), name);
      else if (this.wanted.has(index)) {
        assert(places <= 1 && missing.has(index), name);
        if (places === 0) checking++;
      } else {
        assert(!picker.has(index) && !reserved.has(index), name);
        if (missing.has(index) && !active.has(index)) checking++;
      }
      const having = counted.filter(({ peer }) => peer.pieces.has(index)).length;
      assert(picker.availability(index) === having, `availability of ${name} is not ${having}`);
    }
    assert(checking <= started.verifying, "pieces that nobody fetches");
    assertEquals(started.pool.lent, active.size + started.verifying, "buffers");
  }

  #checkRequests(): void {
    const { active, open, missing } = this.download.started;
    const counts = new Map<string, number>();
    for (const { peer, asked, interested } of this.open) {
      const ours = new Set<string>();
      peer.requests.forEach((index, begin) => ours.add(keyOf(index, begin)));
      assertEquals(asked, ours, `requests of peer ${peer.number}`);
      assertEquals(peer.wanted, peer.pieces.countShared(missing), `what peer ${peer.number} has that is wanted`);
      assertEquals(
        [peer.amInterested, interested],
        [peer.wanted > 0, peer.wanted > 0],
        `interest in peer ${peer.number}`,
      );
      for (const key of ours) {
        const { index, begin } = placeOf(key);
        const piece = active.get(index);
        assert(piece && !piece.has(begin / BLOCK), `peer ${peer.number} was asked for ${key} in vain`);
        assert(peer.pieces.has(index), `peer ${peer.number} hasn't ${index}`);
        counts.set(key, (counts.get(key) ?? 0) + 1);
      }
    }
    for (const piece of active.values()) {
      let free = 0;
      for (let block = 0; block < piece.blockCount; block++) {
        if (piece.has(block)) continue;
        const begin = block * BLOCK;
        const asked = counts.get(keyOf(piece.index, begin)) ?? 0;
        const web = this.claimed.filter((run) => this.#covers(run, piece.index, begin)).length;
        assert(piece.asked(block) >= asked && piece.asked(block) <= asked + web, `block ${piece.index}:${begin}`);
        if (piece.asked(block) === 0) free++;
      }
      assertEquals(piece.free, free, `free blocks of piece ${piece.index}`);
      assertEquals(open.has(piece), free > 0, `piece ${piece.index} among those with free blocks`);
    }
  }

  #covers(run: WebRun, index: number, begin: number): boolean {
    const start = index * PIECE + begin;
    return !run.over && run.piece?.index === index && start + BLOCK > run.at && start < run.end;
  }

  /** Asserts that everything wanted is downloaded once one more peer has every piece, whatever happened before. */
  async finish(): Promise<void> {
    this.claimed.forEach((run) => this.runs.release(run));
    this.lab.write = () => Promise.resolve();
    while (this.#writes.length > 0) await this.written(false);
    this.download.prioritise({ pieces: [], awaited: new Set() });
    const last = this.open.at(-1);
    if (this.open.length === MOST_PEERS && last) this.leave(this.open.length - 1);
    this.join(0, 8);
    const seed = this.remotes.at(-1)!;
    for (let second = 0; second < 600 && !this.download.complete; second++) {
      this.check();
      while (seed.asked.size > 0) {
        this.#send(seed, seed.asked.values().next().value!, false);
        this.#drop(seed);
        this.check();
      }
      await this.settle();
      this.pass(1000);
    }
    await this.settle();
    this.check();
    assert(this.download.complete, "it has come to a standstill");
    for (const index of this.wanted) assert(this.download.have.has(index), `piece ${index}`);
    assertEquals([this.download.started.pool.lent, this.lab.budget.used], [0, 0]);
  }

  /** Removes the oldest request. */
  #drop({ asked }: Remote): void {
    asked.delete(asked.values().next().value!);
  }
}

const mask = fc.nat((1 << PIECES) - 1);
const at = fc.nat(7);

/** Kinds of steps, with the numbers that decide their details. */
const step = fc.oneof(
  {
    weight: 16,
    arbitrary: fc.record({
      kind: fc.constant("blocks"),
      at,
      which: fc.nat(5),
      count: fc.integer({ min: 1, max: 6 }),
      wrong: fc.nat(5),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("join"), mask, flags: fc.nat(15) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom("leave", "choke", "crossed", "release"), at }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom("gain", "lose"), at, index: fc.nat(PIECES - 1) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom("wanted", "lost", "reset", "claim", "first"), mask }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("in order", "rarest first", "settle") }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("urge"), mask, count: fc.nat(2) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("pass"), milliseconds: fc.constantFrom(500, 4000, 65_000) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("bring"), at, blocks: fc.nat(5) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("written"), fails: fc.nat(9) }) },
);

// deno-lint-ignore no-explicit-any -- what a step has depends on its kind
async function take(world: World, { kind, ...what }: any): Promise<void> {
  const { download } = world;
  if (kind === "blocks") world.blocks(what.at, { ...what, wrong: what.wrong === 0 });
  else if (kind === "join") world.join(what.mask, what.flags);
  else if (kind === "leave") world.leave(what.at);
  else if (kind === "choke") world.choke(what.at);
  else if (kind === "crossed") world.crossed(what.at);
  else if (kind === "release") world.release(what.at);
  else if (kind === "gain") world.gain(what.at, what.index);
  else if (kind === "lose") world.lose(what.at, what.index);
  else if (kind === "wanted") world.setWanted(what.mask);
  else if (kind === "lost") download.lost(bitsOf(what.mask));
  else if (kind === "reset") download.reset(bitsOf(what.mask));
  else if (kind === "claim") world.claim(what.mask);
  else if (kind === "first") download.setPriorities((index) => bitsOf(what.mask).has(index) ? 1 : -(index % 2));
  else if (kind === "in order") download.setSequential(true);
  else if (kind === "rarest first") download.setSequential(false);
  else if (kind === "settle") await world.settle();
  else if (kind === "urge") world.urge(what.mask, what.count);
  else if (kind === "pass") world.pass(what.milliseconds);
  else if (kind === "bring") world.bring(what.at, what.blocks);
  else if (kind === "written") await world.written(what.fails === 0);
  else throw new Error(`no such step: ${kind}`);
}

Deno.test("PieceDownload keeps track of everything, whatever changes while it runs and whenever, and comes to its end", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 60, size: "max" }),
      fc.integer({ min: 2, max: 14 }),
      async (steps, budget) => {
        const world = new World(budget);
        for (const what of steps) {
          await take(world, what);
          world.check();
        }
        await world.finish();
      },
    ),
    { numRuns: tries(150) },
  );
});
