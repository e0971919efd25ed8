/**
 * Downloads the pieces of a torrent from its peers: takes blocks as they arrive, passes late or rejected requests to
 * other peers, and counts which peers have which pieces. It wires the decisions of the other files in this folder.
 *
 * @module
 */

import type { Bitfield } from "../../base/bitfield.ts";
import { PROVEN_MS } from "../../base/defences.ts";
import { BLOCK_SIZE, type Peer, type ReceivedBlock } from "../../peer/mod.ts";
import type { Platform, Timer } from "../../platform/platform.ts";
import { PATIENCE_MS } from "./block_hashes.ts";
import type { BufferPool } from "./buffer_pool.ts";
import { cancelElsewhere, type Waits } from "./endgame.ts";
import type { PartialPiece } from "./partial_piece.ts";
import { PartialPieces, type PartialPiecesHost, type PartialPiecesOptions } from "./partial_pieces.ts";
import { leastDeserving, stalledPieces } from "./piece_eviction.ts";
import type { PiecePicker } from "./piece_picker.ts";
import { RequestQueueOverflow } from "./request_queue_overflow.ts";
import { RequestStrategy } from "./request_strategy.ts";
import { isQuiet, mayHaveDropped, takeBackOverdue, type TakingBack } from "./request_timeouts.ts";
import { busyWithOthers, evictionCandidate, isElsewhere, type Urgency } from "./time_critical.ts";

/** What a {@linkcode PieceDownload} needs of its torrent. */
export interface PieceDownloadHost extends PartialPiecesHost {
  /** Every connected peer. */
  peers(): Iterable<Peer>;
}

/** Options for {@linkcode PieceDownload}. */
export interface PieceDownloadOptions extends PartialPiecesOptions {
  /**
   * Clock, randomness and digests of blocks. Without timers, new peers wait for the next tick if nobody gives hashes.
   */
  readonly platform:
    & Pick<Platform, "now" | "random" | "digest" | "yieldToEventLoop">
    & Partial<Pick<Platform, "after">>;
}

/** A piece that is no longer wanted is given up after this many milliseconds without a block. */
const UNWANTED_MS = 60_000;

/**
 * Gained or lost pieces that peers are told of one by one. Above this number the peers are disconnected instead: some
 * clients drop a peer that sends many messages in a row.
 */
const MAX_CHANGES_TOLD = 200;

/** Pieces whose state has changed other than by a download. */
interface Change {
  /** Partial pieces that were given up. */
  readonly given?: readonly PartialPiece[];
  /** Pieces that are no longer on disk. */
  readonly lost?: readonly number[];
  /** Pieces that were found on disk. */
  readonly found?: readonly number[];
}

/** Pieces that readers need next whose block hashes are asked for. */
const HASHES_AHEAD = 4;
/** Milliseconds between two attempts to give memory to other torrents. */
const YIELD_MS = 1_000;

/** The downloading half of a torrent. */
export class PieceDownload {
  /** Pieces in progress, whether peers or web seeds send them. */
  readonly started: PartialPieces;
  readonly #platform: PieceDownloadOptions["platform"];
  readonly #host: PieceDownloadHost;
  readonly #active: ReadonlyMap<number, PartialPiece>;
  readonly #open: Set<PartialPiece>;
  readonly #picker: PiecePicker;
  readonly #pool: BufferPool;
  readonly #strategy: RequestStrategy;
  /** `true` if blocks that were requested from a peer have become available to others. */
  #freed = false;
  /** Called when a reader waits for other pieces, so that web seeds can change their plans. */
  urgencyChanged: () => void = () => {};
  /** Called when other pieces are wanted, for web seeds as well. */
  wantedChanged: () => void = () => {};
  #stopped = false;
  /** Ends the time for which new peers wait for the hashes of blocks. */
  #wake: Timer | null = null;
  /** Time of the last attempt to give memory to other torrents. */
  #yieldedAt = -Infinity;
  readonly #overflow = new RequestQueueOverflow();
  /** Peers that had every piece and have lost some (BEP 54). */
  readonly #reneged = new WeakSet<Peer>();

  constructor(host: PieceDownloadHost, options: PieceDownloadOptions) {
    this.#host = host;
    this.#platform = options.platform;
    this.started = new PartialPieces(host, options);
    this.#active = this.started.active;
    this.#open = this.started.open;
    this.#picker = this.started.picker;
    this.#pool = options.pool;
    this.#strategy = new RequestStrategy(host, this.started, {
      verifier: options.verifier,
      now: () => options.platform.now(),
    });
    this.started.trust.changed = () => this.#trustChanged();
    this.started.pieceAbandoned = (index) => this.#pieceAbandoned(index);
    this.#strategy.held = () =>
      this.#wake ??= this.#platform.after?.(PATIENCE_MS, () => {
        this.#wake = null;
        this.fillAll();
      }) ?? null;
    this.started.proofs.caughtUp = () => queueMicrotask(() => this.fillAll());
    this.started.pieceRestarted.push((piece) => {
      this.#withdraw(piece);
      this.#freed = true;
    });
    this.started.pieceVerified.push((right) => {
      if ((this.#strategy.starved && !this.#pool.isBehind || !right) && !this.#stopped) this.fillAll();
    });
    this.started.memoryAvailable.push(() => {
      if (!this.#stopped) this.fillAll();
    });
    this.#pool.memoryWanted = () => this.#yieldMemory();
  }

  /** Sets the trust in a peer by the record of its network. */
  #setTrust(peer: Peer): void {
    const { trust } = this.started;
    peer.proven = trust.proven(peer.network);
    peer.onParole = trust.onParole(peer.network);
  }

  /**
   * Called when the trust in a source has changed. A peer on parole loses the requests in pieces that it shares with
   * other peers.
   */
  #trustChanged(): void {
    for (const peer of [...this.#host.peers()]) {
      if (peer.closed) continue;
      const { proven, onParole } = peer;
      this.#setTrust(peer);
      if (peer.onParole && !onParole && peer.requests.size > 0) {
        const isShared = (index: number) => this.#active.get(index)?.owner !== peer.number;
        this.takeBack(peer, { cancel: true, which: isShared, keeps: () => true });
        peer.output.flush();
      }
      // A peer that was held back until it is trusted gets requests at once.
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

  /** Payload bytes that were received and could not be used. */
  get wasted(): number {
    return this.started.wasted;
  }

  /** `true` if every wanted piece is verified and written, and no unwanted piece is still to be finished. */
  get complete(): boolean {
    return this.started.complete;
  }

  /** Returns `true` if a piece is to be downloaded: it is missing and wanted, or missing and worth finishing. */
  wants(index: number): boolean {
    return this.started.wants(index);
  }

  /** Estimates how long outstanding requests to other peers will take. */
  get waits(): Waits {
    return this.#strategy.waits;
  }

  /** Time-critical pieces. They come before all others, as far as they are wanted. */
  get urgency(): Urgency {
    return this.#strategy.urgency;
  }

  /**
   * Replaces the time-critical pieces, the most urgent first. Requests for other pieces are taken back for a piece that
   * a reader waits for. Pieces that are here or aren't wanted are ignored.
   */
  prioritise(urgency: Urgency): void {
    this.#strategy.urgency = urgency;
    if (this.#stopped) return;
    this.#wantHashes();
    for (const index of urgency.awaited) {
      // Blocks of the piece that no peer was asked for can be requested now.
      const piece = this.#active.get(index);
      if (piece && piece.owner !== null && !piece.failed) this.started.share(piece);
      if (piece ? piece.free > 0 : this.#picker.has(index)) this.#makeWay(index);
    }
    if (urgency.pieces.length === 0) return;
    if (urgency.awaited.size > 0) this.urgencyChanged();
    this.fillAll();
  }

  /** Asks for the block hashes of the pieces that readers need next. */
  #wantHashes(): void {
    for (const index of this.urgency.pieces.slice(0, HASHES_AHEAD)) this.started.proofs.want(index);
  }

  /**
   * Replaces the wanted pieces. A partial piece that is no longer wanted is finished all the same if the disk has a
   * place for it, until no block of it arrives for 60 seconds; the download isn't complete before. Requests for other
   * unwanted pieces are taken back.
   *
   * @param wanted The pieces that are to be here in the end; copied.
   */
  setWanted(wanted: Bitfield): void {
    this.#change(() => ({ given: this.started.setWanted(wanted) }));
  }

  /**
   * Sets the priorities of pieces. Partial pieces are finished as they are.
   *
   * @param levelOf Returns the level of a piece, as {@linkcode piecePriorities} does. Pieces of a higher level are
   * started first, those of one level rarest first or in order.
   */
  setPriorities(levelOf: (index: number) => number): void {
    this.#picker.setLevels(levelOf);
  }

  /** Starts pieces in order instead of the rarest first. */
  setSequential(sequential: boolean): void {
    this.#picker.sequential = sequential;
  }

  /**
   * Counts pieces as missing, because they can't be read or were changed on disk. They are downloaded again if wanted.
   * The caller tells the readers ({@linkcode Readers.checked}).
   *
   * @param pieces Indexes; pieces that are missing already are ignored.
   * @throws {RangeError} If there is no such piece.
   */
  lost(pieces: Iterable<number>): void {
    this.#change(() => ({ lost: this.started.lost(pieces) }));
  }

  /**
   * Replaces the pieces that are here after a check. Partial pieces go on unless the check has found them. The caller
   * tells the readers.
   *
   * @param have The pieces that are here; copied.
   */
  reset(have: Bitfield): void {
    const before = this.have.clone();
    this.#change(() => {
      const given = this.started.reset(have);
      const lost = [...before].filter((index) => !this.have.has(index));
      return { given, lost, found: [...this.have].filter((index) => !before.has(index)) };
    });
  }

  /** Applies a change of the wanted pieces or of the pieces on disk, and tells peers and web seeds of it. */
  #change(how: () => Change): void {
    const wasComplete = this.complete;
    const { given = [], lost = [], found = [] } = how();
    for (const piece of given) this.#withdraw(piece);
    if (!this.#stopped) this.wantedChanged();
    for (const peer of [...this.#host.peers()]) {
      if (peer.closed) continue;
      if (lost.length + found.length > MAX_CHANGES_TOLD) {
        // The peer reconnects and gets the new bitfield.
        peer.output.close("what we have is no longer what we said");
        continue;
      }
      // Sent first: some clients disconnect from a peer that needs nothing and has nothing for them.
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

  /** Called when an unwanted piece that was to be finished is given up. */
  #pieceAbandoned(index: number): void {
    for (const peer of [...this.#host.peers()]) {
      if (peer.closed || !peer.pieces.has(index) || --peer.wanted > 0) continue;
      peer.setInterested(false);
      peer.output.flush();
    }
    this.#host.pieceForgotten(index);
  }

  /** Returns the number of peers that have a piece, not counting peers that have every piece. */
  availability(index: number): number {
    return this.#picker.availability(index);
  }

  /**
   * Number of missing pieces that no connected peer has. Pieces that a web seed is about to start aren't counted.
   *
   * @param isElsewhere Returns `true` if a web seed has a piece; no web seed has any when absent.
   */
  unavailable(isElsewhere?: (index: number) => boolean): number {
    for (const peer of this.#host.peers()) if (!this.#isCounted(peer, peer.pieces.count)) return 0;
    let count = 0;
    if (isElsewhere !== undefined) {
      for (const index of this.started.missing) {
        if ((this.#picker.has(index) || this.#active.has(index)) && this.availability(index) === 0) {
          if (!isElsewhere(index)) count++;
        }
      }
      return count;
    }
    for (const index of this.#active.keys()) if (this.availability(index) === 0) count++;
    return count + this.#picker.unavailable;
  }

  /** Sends no more requests and ignores blocks. Settles when all complete pieces are verified and written. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#wake?.cancel();
    await this.started.stop();
  }

  /** Called when a connection is made. */
  joined(peer: Peer): void {
    this.#overflow.joined(peer, this.#platform.now());
    this.#setTrust(peer);
  }

  /** Called when a connection is over. */
  left(peer: Peer): void {
    this.#overflow.left(peer);
    this.countPeer(peer, -1);
    this.takeBack(peer);
    this.fillAll();
  }

  /** Called when a peer announces a piece. */
  peerHas(peer: Peer, index: number): void {
    // A peer that now has every piece is no longer counted piece by piece.
    if (this.#isCounted(peer, peer.pieces.count)) this.countPiece(index, 1);
    else for (const other of peer.pieces) if (other !== index) this.countPiece(other, -1);
    if (this.wants(index)) peer.wanted++;
  }

  /** Called when a peer has lost a piece (BEP 54). Its requests for the piece go to other peers. */
  peerLost(peer: Peer, index: number): void {
    if (this.#isCounted(peer, peer.pieces.count + 1)) this.countPiece(index, -1);
    else {
      // The peer had every piece and wasn't counted. From now on it always is, or it could make us count all pieces
      // again and again.
      this.#reneged.add(peer);
      this.countPeer(peer, 1);
    }
    peer.emptyPickState = -1;
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

  /** Returns `true` if a peer with this many pieces is counted piece by piece. Peers with every piece are not. */
  #isCounted(peer: Peer, count: number): boolean {
    return count < peer.pieces.length || this.#reneged.has(peer);
  }

  /** Called when a peer's bitfield is known. */
  peerPieces(peer: Peer): void {
    this.countPeer(peer, 1);
    peer.wanted = peer.pieces.countShared(this.started.missing);
    if (this.urgency.pieces.length === 0) return;
    this.started.proofs.peerJoined();
    this.#wantHashes();
  }

  /** Counts all pieces of a peer; `sign` is -1 when the peer leaves. */
  countPeer(peer: Peer, sign: 1 | -1): void {
    if (!this.#isCounted(peer, peer.pieces.count)) return;
    for (const index of peer.pieces) this.countPiece(index, sign);
  }

  /** Counts one more peer (`sign` is 1) or one less (-1) that has a piece. */
  countPiece(index: number, sign: 1 | -1): void {
    if (sign === 1) this.#picker.gained(index);
    else this.#picker.lost(index);
  }

  /**
   * Sends a peer requests until its pipeline is full. The messages wait in the peer's send buffer.
   *
   * @param peer A peer that isn't closed.
   */
  fill(peer: Peer): void {
    if (!this.#stopped) this.#strategy.fill(peer);
  }

  /** Takes back requests for other pieces from the peers that have a time-critical piece, and finds memory for it. */
  #makeWay(index: number): void {
    const urgent = new Set(this.#strategy.urgency.pieces);
    const piece = this.#active.get(index);
    const positions = this.#strategy.urgency.positions?.get(index);
    // After a seek within a piece, requests for other blocks of it would come first.
    const isSeek = positions?.some((at) => piece?.isFree(at)) && this.started.proofs.mayProve(index);
    const which = (other: number, _: number, begin: number) =>
      !urgent.has(other) || (isSeek === true && other === index && isElsewhere(begin, positions!));
    for (const peer of busyWithOthers(index, this.#host.peers())) {
      this.takeBack(peer, { cancel: true, which });
      peer.output.flush();
    }
    if (!this.#picker.has(index) && !piece?.parts) return;
    // If other torrents need their share of the memory, more than one piece must go before this torrent is within its
    // own.
    while (!this.#pool.available) {
      const least = evictionCandidate(this.#active.values(), urgent);
      // A piece that goes to disk frees its memory when it is written.
      if (!least || this.#takeMemory(least) === "soon") return;
    }
  }

  /**
   * Called when all messages of a read are handled: sends requests to the peer, or to all peers if blocks have become
   * available.
   */
  parsed(peer: Peer): void {
    if (this.#freed) this.fillAll();
    else this.fill(peer);
  }

  /** Sends requests to every peer that has room in its pipeline, because blocks or memory have become available. */
  fillAll(): void {
    if (this.#stopped) return;
    this.#strategy.starved = this.#freed = false;
    this.#pool.cancelWait();
    // Peers that respond come first: quiet peers would hold the memory without using it.
    for (const peer of this.#host.peers()) if (!peer.closed && !peer.quiet) this.#fillNow(peer);
    for (const peer of this.#host.peers()) if (!peer.closed && peer.quiet) this.#fillNow(peer);
  }

  /** Called when a block arrives. */
  received(peer: Peer, block: ReceivedBlock): void {
    const number = block.begin / BLOCK_SIZE;
    const piece = this.#active.get(block.index);
    const asked = block.latency >= 0;
    // A block without an outstanding request counts only as a late answer, and not if another peer holds the piece
    // exclusively.
    const expected = asked || peer.requests.unexpectedAnswer();
    const welcome = expected && piece !== undefined && this.#strategy.maySend(peer, piece, peer.lastReceived);
    if (!welcome || piece.has(number) || block.length !== piece.blockLength(number) || !piece.hold(number)) {
      if (asked && piece) this.started.release(piece, number);
      this.started.wasted += block.length;
      return;
    }
    const { source, at } = block;
    const isRight = piece.hashes === null || this.started.accepts(piece, number, {
      bytes: source.subarray(at, at + block.length),
      sender: peer.number,
    });
    if (!isRight) {
      if (!asked) piece.ask(number); // so that the memory that was taken for the block is released
      this.started.release(piece, number);
      this.#freed = true;
      return;
    }
    piece.put(block.begin, source, at, block.length);
    this.started.receive(piece, number, { sender: peer.number, asked, now: peer.lastReceived });
    peer.snubbed = peer.quiet = false;
    if (piece.free === 0) this.#open.delete(piece);
    if (piece.asked(number) > 0) cancelElsewhere(piece, number, { peers: this.#host.peers(), sender: peer });
    if (piece.complete) this.started.finish(piece);
  }

  /** Called when a peer rejects a request. */
  rejected(peer: Peer, index: number, begin: number): void {
    const piece = this.#active.get(index);
    if (!piece) return;
    const block = begin / BLOCK_SIZE;
    // A reject that answers our own cancel says nothing about the peer.
    if (!peer.choking && !piece.has(block)) peer.turnedDown++;
    this.#freed ||= !piece.has(block);
    // The peer held the failed piece exclusively and rejects the last request for it.
    if (piece.failed && piece.owner === peer.number && peer.requests.size === 0) this.#passOn(piece);
    else this.started.release(piece, block);
  }

  /**
   * Takes back requests of a peer that chokes us, is too slow or has left.
   *
   * @param peer The peer.
   * @param what Which requests are taken back, and which pieces the peer still holds exclusively.
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

  /** Called when a peer chokes or unchokes us. Blocks that the peer won't send become available to other peers. */
  choked(peer: Peer): void {
    peer.requests.clearOwed();
    const before = peer.requests.size;
    // With BEP 6 a choking peer rejects every request that it drops, so that requests left over at the unchoke were
    // forgotten. Without it a choke drops all requests silently.
    const forgotten = !peer.choking || !peer.fast;
    // Requests are also cancelled after an unchoke: a peer that has kept them would have more in its queue than it
    // holds (`reqq`). Requests for allowed-fast pieces stay: they were sent while the peer choked us (BEP 6).
    this.takeBack(peer, {
      cancel: !peer.choking,
      which: (index) => forgotten && !peer.allowedFast.has(index),
      keeps: (index) => !peer.choking || peer.allowedFast.has(index),
    });
    if (peer.requests.size < before) this.#freed = true;
  }

  /**
   * Regular work: passes late requests to other peers and frees memory that stands still.
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
      peer.probePending = peer.requests.size > 0 && mayHaveDropped(peer, now);
    }
    this.#wantHashes();
    this.#endExclusiveHolds(now);
    this.#endUnwanted(now);
    this.#freeMemory(now);
    this.fillAll();
  }

  /** Gives up unwanted pieces that have stopped arriving. */
  #endUnwanted(now: number): void {
    for (const piece of [...this.#active.values()]) {
      if (!this.started.isWanted(piece.index) && now - piece.lastBlockAt > UNWANTED_MS) this.#giveUp(piece);
    }
  }

  /**
   * Ends exclusive holds that have lasted too long, and gives up pieces reserved for trusted peers when there are none.
   */
  #endExclusiveHolds(now: number): void {
    const { parole } = this.started;
    if (parole.size > 0) {
      for (const piece of parole.open(now)) this.started.share(piece);
      for (const piece of parole.overduePieces({ peers: () => this.#host.peers(), now })) this.#passOn(piece);
    }
    if (this.started.failed.size === 0) return;
    for (const piece of [...this.#active.values()]) {
      if (piece.provenOnly && now - piece.lastBlockAt > PROVEN_MS && !this.#strategy.hasProven(piece.index, now)) {
        this.#passOn(piece);
      }
    }
  }

  /** Gives memory of pieces that stand still to a torrent that has less and waits for some. */
  #yieldMemory(): void {
    const now = this.#platform.now();
    if (this.#stopped || now - this.#yieldedAt < YIELD_MS) return;
    this.#yieldedAt = now;
    this.started.endWaits();
    for (const piece of stalledPieces(this.#active.values(), now)) this.#takeMemory(piece);
  }

  /** Gives the memory of partial pieces to other torrents while this torrent is paused and memory is used up. */
  makeRoom(): void {
    if (this.#pool.available) return;
    this.started.endWaits(true);
    for (const piece of [...this.#active.values()]) if (piece.inMemory) this.#takeMemory(piece);
  }

  /**
   * When memory is used up and a peer is idle for that reason, gives up the least deserving of the pieces that stand
   * still.
   */
  #freeMemory(now: number): void {
    // Where a rate limit holds peers back, memory doesn't.
    if (this.#pool.available || Array.from(this.#host.peers()).some(({ readPaused }) => readPaused)) return;
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

  /** Drops a piece and takes back its requests. It is started again later. */
  #giveUp(piece: PartialPiece): void {
    this.#withdraw(piece);
    this.started.drop(piece);
  }

  /**
   * Frees the memory of a piece: writes it to disk if it goes there in parts, or else drops it.
   *
   * @returns When the memory is free.
   */
  #takeMemory(piece: PartialPiece): "now" | "soon" {
    this.#withdraw(piece);
    if (this.started.releaseMemory(piece)) return "soon";
    this.started.drop(piece);
    return "now";
  }

  /** Passes a failed piece to another peer, which sends all of it. The piece keeps its memory. */
  #passOn(piece: PartialPiece): void {
    this.started.restartPiece(piece, () => true);
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
