/**
 * From blocks to verified pieces: what to do with a block that comes or doesn't, and when others are asked for it.
 *
 * @module
 */

import type { Bitfield } from "../../base/bitfield.ts";
import { PROVEN_MS } from "../../base/defences.ts";
import { BLOCK_SIZE, type Peer, type ReceivedBlock } from "../../peer/mod.ts";
import type { Platform } from "../../platform/platform.ts";
import type { BufferPool } from "./buffer_pool.ts";
import { cancelElsewhere, type Waits } from "./endgame.ts";
import type { PartialPiece } from "./partial_piece.ts";
import { PartialPieces, type PartialPiecesHost, type PartialPiecesOptions } from "./partial_pieces.ts";
import { heldInVain, leastDeserving } from "./piece_eviction.ts";
import type { PiecePicker } from "./piece_picker.ts";
import { QueueOverflow } from "./queue_overflow.ts";
import { RequestStrategy } from "./request_strategy.ts";
import { isQuiet, mayHaveDropped, takeBackOverdue, type TakingBack } from "./request_timeouts.ts";
import { busyWithOthers, leastNeeded, type Urgency } from "./time_critical.ts";

/** What a download needs from the torrent. */
export interface PieceDownloadHost extends PartialPiecesHost {
  /** Every connected peer. */
  peers(): Iterable<Peer>;
}

/** What a download works with. */
export interface PieceDownloadOptions extends PartialPiecesOptions {
  /** The outside. */
  readonly platform: Pick<Platform, "now" | "random" | "digest" | "giveWay">;
}

/** Milliseconds without a block after which a piece that isn't wanted any more is given up. */
const UNWANTED_MS = 60_000;

/** Pieces, lost and found, that peers are told of one by one: each message costs them something, and some send away who says much. */
const MOST_NEWS = 200;

/** What is another thing than before. */
interface Change {
  /** Started pieces that were given up. */
  readonly given?: readonly PartialPiece[];
  /** Pieces that aren't there any more. */
  readonly lost?: readonly number[];
  /** Pieces that are there though they didn't come. */
  readonly found?: readonly number[];
}

/** Milliseconds between two looks at what other torrents could have. */
const YIELD_MS = 1_000;

/** The downloading half of a torrent. */
export class PieceDownload {
  /** What is fetched, by this and by others. */
  readonly started: PartialPieces;
  readonly #platform: PieceDownloadOptions["platform"];
  readonly #host: PieceDownloadHost;
  readonly #active: ReadonlyMap<number, PartialPiece>;
  readonly #open: Set<PartialPiece>;
  readonly #picker: PiecePicker;
  readonly #pool: BufferPool;
  readonly #strategy: RequestStrategy;
  /** Whether blocks that a peer was asked for have become free for others. */
  #freed = false;
  /** Called when somebody waits for something else, for those who fetch what peers don't. */
  hurried: () => void = () => {};
  /** Called when other pieces are wanted, for the same. */
  changed: () => void = () => {};
  #stopped = false;
  /** When it was last looked what could be given to other torrents. */
  #yieldedAt = -Infinity;
  readonly #overflow = new QueueOverflow();
  /** Peers that had everything, and lost some of it. */
  readonly #reneged = new WeakSet<Peer>();

  /**
   * @param host The torrent.
   * @param options What it works with.
   */
  constructor(host: PieceDownloadHost, options: PieceDownloadOptions) {
    this.#host = host;
    this.#platform = options.platform;
    this.started = new PartialPieces(host, options);
    this.#active = this.started.active;
    this.#open = this.started.open;
    this.#picker = this.started.picker;
    this.#pool = options.pool;
    this.#strategy = new RequestStrategy(host, this.started, () => options.platform.now());
    this.started.trust.changed = () => this.#judgeAll();
    this.started.forgotten = (index) => this.#forgotten(index);
    this.started.settled.push((right) => {
      if ((this.#strategy.starved || !right) && !this.#stopped) this.fillAll();
    });
    this.started.fed.push(() => {
      if (!this.#stopped) this.fillAll();
    });
    this.#pool.pressed = () => this.#yieldMemory();
  }

  /** What is known of its address counts for a connection. */
  #judge(peer: Peer): void {
    const { trust } = this.started;
    peer.proven = trust.proven(peer.network);
    peer.onParole = trust.onParole(peer.network);
  }

  /** Somebody is proven, or suspect: what those on parole have together with others goes to the others. */
  #judgeAll(): void {
    for (const peer of [...this.#host.peers()]) {
      if (peer.closed) continue;
      const { proven, onParole } = peer;
      this.#judge(peer);
      if (peer.onParole && !onParole && peer.requests.size > 0) {
        const isShared = (index: number) => this.#active.get(index)?.owner !== peer.number;
        this.takeBack(peer, { cancel: true, which: isShared, keeps: () => true });
        peer.output.flush();
      }
      // It waited for that.
      if (peer.proven && !proven) this.#fillNow(peer);
    }
  }

  #fillNow(peer: Peer): void {
    const before = peer.requests.size;
    this.fill(peer);
    if (peer.requests.size > before) peer.output.flush();
  }

  /** Pieces that are verified and written. */
  get have(): Bitfield {
    return this.started.have;
  }

  /** Payload that came and was of no use, in bytes. */
  get wasted(): number {
    return this.started.wasted;
  }

  /** Whether every piece is there that is to come: all that are wanted, and those that are finished since something of them is here. */
  get complete(): boolean {
    return this.started.complete;
  }

  /** Whether a piece is to come: it is wanted and not there, or it is finished since something of it is here. */
  wants(index: number): boolean {
    return this.started.wants(index);
  }

  /** How long blocks will take that others were asked for. */
  get waits(): Waits {
    return this.#strategy.waits;
  }

  /** Pieces that come before all others, as far as they are wanted. */
  get urgency(): Urgency {
    return this.#strategy.urgency;
  }

  /**
   * Fetches some pieces before all others, the first first; those of the last call no more. One that is waited for isn't to wait
   * behind what peers were asked for without need. Those that are here or aren't wanted are passed over.
   */
  prioritise(urgency: Urgency): void {
    this.#strategy.urgency = urgency;
    if (this.#stopped) return;
    for (const index of urgency.awaited) {
      // Blocks that nobody was asked for.
      const piece = this.#active.get(index);
      if (piece && piece.owner !== null && !piece.failed) this.started.share(piece);
      if (piece ? piece.free > 0 : this.#picker.has(index)) this.#makeWay(index);
    }
    if (urgency.pieces.length === 0) return;
    if (urgency.awaited.size > 0) this.hurried();
    this.fillAll();
  }

  /**
   * Other pieces are wanted from now on. Those of which something is here are finished all the same, where the disk has a place for
   * them; until then, or until nothing of them has come for 60 seconds, the download isn't complete. What peers were asked for of
   * others is taken back.
   *
   * @param wanted All that is to be there in the end; copied.
   */
  setWanted(wanted: Bitfield): void {
    this.#change(() => ({ given: this.started.setWanted(wanted) }));
  }

  /**
   * Some pieces come before others from now on; what is started already goes on.
   *
   * @param levelOf Gives the level of a piece, as {@linkcode piecePriorities} does: pieces of a higher one are started before all
   * others, those of the same one the rarest first, or in order.
   */
  setPriorities(levelOf: (index: number) => number): void {
    this.#picker.setLevels(levelOf);
  }

  /** Whether pieces are fetched from the first on, instead of the rarest first. */
  setSequential(sequential: boolean): void {
    this.#picker.sequential = sequential;
  }

  /**
   * Pieces aren't there any more: they can't be read, or were changed on disk. They are fetched again if they are wanted. Readers
   * have to be told by whoever knows them ({@linkcode Readers.checked}).
   *
   * @param pieces Which; those that aren't there are passed over.
   * @throws {RangeError} If there is no such piece.
   */
  lost(pieces: Iterable<number>): void {
    this.#change(() => ({ lost: this.started.lost(pieces) }));
  }

  /**
   * It was found out anew what is there. Started pieces go on unless they are there. Readers have to be told by whoever knows them.
   *
   * @param have All that is there; copied.
   */
  reset(have: Bitfield): void {
    const before = this.have.clone();
    this.#change(() => {
      const given = this.started.reset(have);
      const lost = [...before].filter((index) => !this.have.has(index));
      return { given, lost, found: [...this.have].filter((index) => !before.has(index)) };
    });
  }

  /** What is to come is something else: everybody who fetches, or is asked, has to know. */
  #change(how: () => Change): void {
    const wasComplete = this.complete;
    const { given = [], lost = [], found = [] } = how();
    for (const piece of given) this.#withdraw(piece);
    if (!this.#stopped) this.changed();
    for (const peer of [...this.#host.peers()]) {
      if (peer.closed) continue;
      if (lost.length + found.length > MOST_NEWS) {
        // It comes back, and hears all at once what we have.
        peer.output.close("what we have is no longer what we said");
        continue;
      }
      // First of all: some leave those who have nothing for them and want nothing.
      if (wasComplete && !this.complete) peer.announceUploadOnly(false);
      peer.wanted = peer.pieces.countShared(this.started.missing);
      peer.setInterested(peer.wanted > 0);
      for (const index of lost) peer.lost(index);
      for (const index of found) peer.have(index);
      peer.output.flush();
    }
    this.prioritise(this.urgency);
    this.fillAll();
  }

  /** A piece is not to come any more, though it hasn't come. */
  #forgotten(index: number): void {
    for (const peer of [...this.#host.peers()]) {
      if (peer.closed || !peer.pieces.has(index) || --peer.wanted > 0) continue;
      peer.setInterested(false);
      peer.output.flush();
    }
    this.#host.pieceForgotten(index);
  }

  /** How many peers that don't have everything have a piece. */
  availability(index: number): number {
    return this.#picker.availability(index);
  }

  /** Blocks are neither asked for nor taken any more. Settles when the pieces that were complete are checked and written. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.started.stop();
  }

  /** A connection was made. */
  joined(peer: Peer): void {
    this.#overflow.joined(peer, this.#platform.now());
    this.#judge(peer);
  }

  /** A connection is over. */
  left(peer: Peer): void {
    this.#overflow.left(peer);
    this.countPeer(peer, -1);
    this.takeBack(peer);
    this.fillAll();
  }

  /** A peer has one piece more. */
  peerHas(peer: Peer, index: number): void {
    // A peer that has just become complete is no longer counted piece by piece.
    if (this.#isCounted(peer, peer.pieces.count)) this.countPiece(index, 1);
    else for (const other of peer.pieces) if (other !== index) this.countPiece(other, -1);
    if (this.wants(index)) peer.wanted++;
  }

  /** A peer hasn't a piece any more, which it had (BEP 54): what it was asked for of it comes from others. */
  peerLost(peer: Peer, index: number): void {
    if (this.#isCounted(peer, peer.pieces.count + 1)) this.countPiece(index, -1);
    else {
      // It had everything, so that it wasn't counted. From now on it is, whatever else it says: else it could have us count all
      // pieces again and again.
      this.#reneged.add(peer);
      this.countPeer(peer, 1);
    }
    peer.fruitless = -1;
    if (this.wants(index)) peer.wanted--;
    const what = {
      cancel: !peer.fast,
      which: (other: number) => other === index,
      keeps: (other: number) => other !== index,
    };
    const before = peer.requests.size;
    this.takeBack(peer, what);
    if (peer.requests.size < before) this.#freed = true;
    if (peer.wanted === 0) peer.setInterested(false);
  }

  /** Whether a peer that has so many pieces is counted piece by piece; those that have everything aren't. */
  #isCounted(peer: Peer, count: number): boolean {
    return count < peer.pieces.length || this.#reneged.has(peer);
  }

  /** A peer told all that it has at once. */
  peerPieces(peer: Peer): void {
    this.countPeer(peer, 1);
    peer.wanted = peer.pieces.countShared(this.started.missing);
  }

  /** A peer told all that it has at once, or left; `sign` is 1 or -1. */
  countPeer(peer: Peer, sign: 1 | -1): void {
    if (!this.#isCounted(peer, peer.pieces.count)) return;
    for (const index of peer.pieces) this.countPiece(index, sign);
  }

  /** One peer more, or fewer, has a piece. */
  countPiece(index: number, sign: 1 | -1): void {
    if (sign === 1) this.#picker.gained(index);
    else this.#picker.lost(index);
  }

  /**
   * Asks a peer for as many blocks as it should be working on. The requests wait in its send buffer.
   *
   * @param peer One that isn't closed.
   */
  fill(peer: Peer): void {
    if (!this.#stopped) this.#strategy.fill(peer);
  }

  /** Takes back what those were asked for that have a piece, unless that is urgent, too; and finds memory for it. */
  #makeWay(index: number): void {
    const urgent = new Set(this.#strategy.urgency.pieces);
    for (const peer of busyWithOthers(index, this.#host.peers())) {
      this.takeBack(peer, { cancel: true, which: (other) => !urgent.has(other) });
      peer.output.flush();
    }
    if (!this.#picker.has(index) && !this.#active.get(index)?.parts) return;
    // Where other torrents need theirs, it takes more than one piece's until this one is within its share.
    while (!this.#pool.available) {
      const least = leastNeeded(this.#active.values(), urgent);
      // What goes to disk gives its memory back when it is there.
      if (!least || this.#takeMemory(least) === "soon") return;
    }
  }

  /** A read of a peer has been parsed: asks it for more, and the others too if it made them something to do. */
  parsed(peer: Peer): void {
    if (this.#freed) this.fillAll();
    else this.fill(peer);
  }

  /** Asks every peer that could do more: blocks or memory have become free. */
  fillAll(): void {
    if (this.#stopped) return;
    this.#strategy.starved = this.#freed = false;
    this.#pool.sated();
    // Those who answer come first: whoever doesn't would hold in vain what memory there is, again and again.
    for (const peer of this.#host.peers()) if (!peer.closed && !peer.quiet) this.#fillNow(peer);
    for (const peer of this.#host.peers()) if (!peer.closed && peer.quiet) this.#fillNow(peer);
  }

  /** A block came. */
  received(peer: Peer, block: ReceivedBlock): void {
    const number = block.begin / BLOCK_SIZE;
    const piece = this.#active.get(block.index);
    const asked = block.latency >= 0;
    // One that isn't outstanding is welcome only as a late answer, and none where another peer alone is to be heard.
    const expected = asked || peer.requests.expectLate();
    const welcome = expected && piece !== undefined && this.#strategy.maySend(peer, piece, peer.lastReceived);
    if (!welcome || piece.has(number) || block.length !== piece.blockLength(number) || !piece.hold(number)) {
      if (asked && piece) this.started.release(piece, number);
      this.started.wasted += block.length;
      return;
    }
    piece.put(block.source.subarray(block.at, block.at + block.length), block.begin);
    piece.receive(number, { sender: peer.number, asked, now: peer.lastReceived });
    peer.snubbed = peer.quiet = false;
    if (piece.free === 0) this.#open.delete(piece);
    if (piece.asked(number) > 0) cancelElsewhere(piece, number, { peers: this.#host.peers(), sender: peer });
    if (piece.complete) this.started.finish(piece);
  }

  /** A peer won't send a block that it was asked for. */
  rejected(peer: Peer, index: number, begin: number): void {
    const piece = this.#active.get(index);
    if (!piece) return;
    const block = begin / BLOCK_SIZE;
    // A reject that only answers our cancel says nothing about the peer.
    if (!peer.choking && !piece.has(block)) peer.turnedDown++;
    this.#freed ||= !piece.has(block);
    // Alone it was to send it: it won't, if nothing else is outstanding.
    if (piece.failed && piece.owner === peer.number && peer.requests.size === 0) this.#passOn(piece);
    else this.started.release(piece, block);
  }

  /**
   * Takes back what a peer was asked for: it chokes us, is too slow, or left.
   *
   * @param peer Which.
   * @param what Which requests, and what becomes of its pieces.
   */
  takeBack(peer: Peer, { cancel = false, which = () => true, keeps = () => false }: TakingBack = {}): void {
    for (const piece of this.started.parole.of(peer)) {
      if (keeps(piece.index)) continue;
      if (piece.failed) this.#passOn(piece);
      else if (piece.received === 0) this.#giveUp(piece);
      else this.started.share(piece);
    }
    const taken = (index: number, begin: number) => {
      const piece = this.#active.get(index);
      if (piece) this.started.release(piece, begin / BLOCK_SIZE);
    };
    peer.requests.takeBack(which, { cancel, taken });
  }

  /** A peer chokes us, or no longer does: what it won't answer is free for others. */
  choked(peer: Peer): void {
    peer.requests.forgive();
    const before = peer.requests.size;
    // With BEP 6 every request that a choke drops is rejected, so what is left at the unchoke was forgotten; without it a
    // choke drops them all without a word.
    const forgotten = !peer.choking || !peer.fast;
    // Cancelled all the same after an unchoke: a peer that kept them would have more in its queue than it holds (`reqq`).
    // What it may send while it chokes us is asked for already when it no longer does (BEP 6): that stays as it is.
    this.takeBack(peer, {
      cancel: !peer.choking,
      which: (index) => forgotten && !peer.allowedFast.has(index),
      keeps: (index) => !peer.choking || peer.allowedFast.has(index),
    });
    if (peer.requests.size < before) this.#freed = true;
  }

  /**
   * Regular work: requests that take too long go to others, and memory that is held in vain is freed.
   *
   * @param now Milliseconds.
   */
  tick(now: number): void {
    for (const peer of this.#host.peers()) {
      peer.turnedDown = 0;
      peer.quiet = isQuiet(peer, now);
      if (peer.closed || peer.requests.size === 0) continue;
      takeBackOverdue(peer, {
        now,
        isMissing: (index, begin) => this.#active.get(index)?.has(begin / BLOCK_SIZE) === false,
        takeBack: (what) => this.takeBack(peer, what),
      });
      peer.probed = peer.requests.size > 0 && mayHaveDropped(peer, now);
    }
    this.#endHolds(now);
    this.#endUnwanted(now);
    this.#freeMemory(now);
    this.fillAll();
  }

  /** What isn't wanted any more is finished as long as it comes. */
  #endUnwanted(now: number): void {
    for (const piece of [...this.#active.values()]) {
      if (!this.started.isWanted(piece.index) && now - piece.touched > UNWANTED_MS) this.#giveUp(piece);
    }
  }

  /** Nobody has a piece to itself for long, and what only the proven may send is given up when there are none. */
  #endHolds(now: number): void {
    const { parole } = this.started;
    if (parole.size > 0) {
      for (const piece of parole.open(now)) this.started.share(piece);
      for (const piece of parole.late({ peers: () => this.#host.peers(), now })) this.#passOn(piece);
    }
    if (this.started.failed.size === 0) return;
    for (const piece of [...this.#active.values()]) {
      if (piece.guarded && now - piece.touched > PROVEN_MS && !this.#strategy.hasProven(piece.index, now)) {
        this.#passOn(piece);
      }
    }
  }

  /** Another torrent waits for memory that has less: it gets what stands still here. */
  #yieldMemory(): void {
    const now = this.#platform.now();
    if (this.#stopped || now - this.#yieldedAt < YIELD_MS) return;
    this.#yieldedAt = now;
    for (const piece of heldInVain(this.#active.values(), now)) this.#takeMemory(piece);
  }

  /** Nobody can be asked for a while: should memory be used up, others get what unfinished pieces take. */
  makeRoom(): void {
    if (this.#pool.available) return;
    for (const piece of [...this.#active.values()]) if (piece.inMemory) this.#takeMemory(piece);
  }

  /** While memory is used up and a peer has nothing to do for that reason, gives up the least of the pieces that stand still. */
  #freeMemory(now: number): void {
    // Where a limit is what everybody waits for, memory is not.
    if (this.#pool.available || Array.from(this.#host.peers()).some(({ held }) => held)) return;
    const idle = [...this.#host.peers()].filter((peer) =>
      !peer.closed && !peer.choking && !peer.snubbed && peer.amInterested && peer.requests.size === 0
    );
    const heir = idle.sort((a, b) => a.lastBlock - b.lastBlock).find((peer) => {
      const index = this.#strategy.pick(peer);
      return index >= 0 && this.#strategy.mayStart(peer, index);
    });
    if (!heir) return;
    const least = leastDeserving(this.#active.values(), {
      now,
      slowLimit: this.#strategy.slowLimit,
      peers: this.#host.peers(),
    });
    if (!least) return;
    this.#takeMemory(least);
    this.fill(heir);
    heir.output.flush();
  }

  /** Starts a piece anew some other time: what is here of it is dropped, what was asked for is taken back. */
  #giveUp(piece: PartialPiece): void {
    this.#withdraw(piece);
    this.started.drop(piece);
  }

  /**
   * Others get the memory of a piece: what is here of it goes to disk, if it goes there in parts, or else is dropped.
   *
   * @returns When the memory is free.
   */
  #takeMemory(piece: PartialPiece): "now" | "soon" {
    this.#withdraw(piece);
    if (this.started.shed(piece)) return "soon";
    this.started.drop(piece);
    return "now";
  }

  /** A piece that failed goes to somebody else, who sends all of it; it keeps its memory. */
  #passOn(piece: PartialPiece): void {
    this.started.beginAnew(piece, () => true);
    this.#withdraw(piece);
    this.#freed = true;
  }

  #withdraw({ index }: PartialPiece): void {
    for (const peer of this.#host.peers()) {
      if (peer.closed) continue;
      const before = peer.requests.size;
      peer.requests.takeBack((other) => other === index, { cancel: true, taken: () => {} });
      if (peer.requests.size < before) peer.output.flush();
    }
  }
}
