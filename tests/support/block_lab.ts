/**
 * The path of a block from a socket read to its place in a piece. Peers answer and the disk writes at once, and every
 * step is counted.
 *
 * @module
 */

import { Bitfield } from "../../src/base/bitfield.ts";
import { V1Verifier } from "../../src/metainfo/v1_verifier.ts";
import { type Bytes, utf8 } from "../../src/base/bytes.ts";
import { InfoHash } from "../../src/base/info_hash.ts";
import { Peer } from "../../src/peer/peer.ts";
import { MemoryBudget } from "../../src/base/memory_budget.ts";
import { BufferPool } from "../../src/swarm/pieces/buffer_pool.ts";
import { PieceDownload } from "../../src/swarm/pieces/piece_download.ts";
import { BLOCK_SIZE, MessageId, PIECE_HEADER } from "../../src/wire/messages.ts";
import { PartStore } from "./part_store.ts";
import { idleHost } from "./peer_host.ts";

/** Options for {@linkcode BlockLab}. */
export interface BlockLabOptions {
  /** Number of peers. Each has every piece and answers requests. */
  readonly peers: number;
  /** Number of pieces. */
  readonly pieceCount: number;
  /** Bytes of a piece; a whole number of blocks. */
  readonly pieceLength: number;
  /** The most bytes that one read returns. */
  readonly readLength: number;
}

/** Counts so far. */
export interface BlockCounts {
  /** Blocks received. */
  blocks: number;
  /** Socket reads. */
  reads: number;
  /** Requests sent. */
  requests: number;
  /** Socket writes. */
  writes: number;
  /** Digests of whole pieces. */
  digests: number;
  /** Readings of the clock. */
  looks: number;
  /** Pieces written. */
  pieces: number;
}

/** The remote end of a connection. `asked` holds three numbers per pending request: piece, offset, length. */
interface Remote {
  readonly peer: Peer;
  asked: number[];
  next: number;
  /** Bytes of the first pending answer that were sent already. */
  sent: number;
}

/** Digest of every piece. */
const DIGEST: Bytes = new Uint8Array(20);
/** Time per block at 800 MB/s. */
const MICROSECONDS_PER_BLOCK = 20;
/** Length of the chain of promises when a piece is written. */
const PROMISES = 8;

/** A download from memory to memory. */
export class BlockLab {
  readonly counts: BlockCounts = { blocks: 0, reads: 0, requests: 0, writes: 0, digests: 0, looks: 0, pieces: 0 };
  readonly download: PieceDownload;
  readonly #options: BlockLabOptions;
  readonly #remotes: Remote[] = [];
  readonly #peers: Peer[] = [];
  #now = 0;

  constructor(options: BlockLabOptions) {
    this.#options = options;
    const { pieceCount, pieceLength } = options;
    const { counts } = this;
    const now = () => {
      counts.looks++;
      return this.#now;
    };
    const digest = () => fail("only pieces that are not held whole, or are wrong, are hashed in parts");
    const wanted = new Bitfield(pieceCount);
    wanted.setAll();
    this.download = new PieceDownload({
      ...new PartStore(() => pieceLength),
      writePiece: () => Promise.resolve(void counts.pieces++),
      peers: () => this.#peers,
      hostOf: () => "10.0.0.1",
      pieceDone: () => {},
      pieceForgotten: () => {},
      pieceFailed: (index) => fail(`piece ${index} is wrong`),
      sentWrongData: (_, index) => fail(`piece ${index} is wrong`),
      diskFailed: (error) => {
        throw error;
      },
    }, {
      have: new Bitfield(pieceCount),
      wanted,
      pool: new BufferPool(new MemoryBudget(64 << 20, { reading: 0 }), pieceLength),
      verifier: new V1Verifier(
        { pieceCount, pieceLength, pieceSize: () => pieceLength, pieceHash: () => DIGEST },
        {
          digest,
          sha1() {
            counts.digests++;
            return Promise.resolve(DIGEST);
          },
        },
      ),
      platform: {
        now,
        random: () => 0.5,
        digest,
        yieldToEventLoop: () => Promise.resolve(),
      },
    });
    const host = idleHost({
      pieceCount,
      pieceSize: () => pieceLength,
      now,
      peerPieces: (peer) => this.download.countPeer(peer, 1),
      peerBlock: (peer, block) => {
        counts.blocks++;
        this.download.received(peer, block);
      },
    });
    const infoHash = new InfoHash(new Uint8Array(20));
    const handshake = { infoHash, peerId: utf8("x".repeat(20)), fast: true, extended: false };
    for (let number = 1; number <= options.peers; number++) {
      const peer = new Peer(host, { address: { host: "10.0.0.1", port: number }, incoming: false, handshake, number });
      const remote: Remote = { peer, asked: [], next: 0, sent: 0 };
      peer.output = { flush: () => this.#listen(remote), close: (reason) => fail(reason) };
      this.#peers.push(peer);
      this.#remotes.push(remote);
      peer.onSignal(MessageId.haveAll);
      peer.onSignal(MessageId.unchoke);
      peer.amInterested = true;
      this.download.parsed(peer);
      this.#listen(remote);
    }
  }

  /** Makes one read for every peer, then lets pending promise callbacks run. */
  async turn(): Promise<void> {
    for (const remote of this.#remotes) this.#bring(remote);
    for (let i = 0; i < PROMISES; i++) await undefined;
  }

  /**
   * Runs until `blocks` blocks have been received in all, or until the download is complete.
   *
   * @throws {Error} If no more blocks arrive.
   */
  async run(blocks = Infinity): Promise<void> {
    const { counts } = this;
    while (counts.blocks < blocks && !this.download.have.isFull) {
      const before = counts.reads;
      await this.turn();
      if (counts.reads === before && !this.download.have.isFull) fail(`no more came after block ${counts.blocks}`);
    }
  }

  /** Writes answers to pending requests into the receive buffer, as far as there is room. */
  #bring(remote: Remote): void {
    const { peer } = remote;
    const { space } = peer.reader;
    const room = Math.min(space.length, this.#options.readLength);
    let count = 0;
    while (remote.next < remote.asked.length && count < room) {
      count += this.#answer(remote, space, count, room);
    }
    if (remote.next === remote.asked.length) remote.asked.length = remote.next = 0;
    if (count === 0) return;
    this.counts.reads++;
    this.#now += MICROSECONDS_PER_BLOCK / 1000 * count / BLOCK_SIZE;
    peer.lastReceived = this.#now; // as PeerLink does
    peer.reader.received(count);
    this.download.parsed(peer);
    this.#listen(remote);
  }

  /** Writes only the headers of blocks. Payload bytes stay as they are in the buffer, unless pieces are hashed. */
  #answer(remote: Remote, space: Bytes, at: number, room: number): number {
    const { asked, next } = remote;
    const length = asked[next + 2]!;
    const whole = PIECE_HEADER + length;
    const part = Math.min(whole - remote.sent, room - at);
    for (let i = remote.sent; i < Math.min(PIECE_HEADER, remote.sent + part); i++) {
      space[at + i - remote.sent] = headerByte(i, asked, next);
    }
    remote.sent += part;
    if (remote.sent === whole) {
      remote.sent = 0;
      remote.next += 3;
    }
    return part;
  }

  /** Reads the requests that were written to the peer. */
  #listen(remote: Remote): void {
    const { writer } = remote.peer;
    if (writer.length === 0) return;
    const bytes = writer.take();
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.counts.writes++;
    for (let at = 0; at < bytes.length; at += 4 + view.getUint32(at)) {
      const id = bytes[at + 4];
      if (id !== MessageId.request) continue;
      this.counts.requests++;
      remote.asked.push(view.getUint32(at + 5), view.getUint32(at + 9), view.getUint32(at + 13));
    }
  }
}

/** Returns a byte of a block's header: length, id, piece, offset. */
function headerByte(i: number, asked: readonly number[], next: number): number {
  if (i === 4) return MessageId.piece;
  const value = i < 4 ? PIECE_HEADER - 4 + asked[next + 2]! : i < 9 ? asked[next]! : asked[next + 1]!;
  const place = i < 4 ? i : i < 9 ? i - 5 : i - 9;
  return (value >>> (24 - 8 * place)) & 255;
}

function fail(message: string): never {
  throw new Error(message);
}
