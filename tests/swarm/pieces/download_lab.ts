/** A download whose peers answer when the test says so. */

import { Bitfield } from "../../../src/base/bitfield.ts";
import { V1Verifier } from "../../../src/metainfo/v1_verifier.ts";
import { type Bytes, utf8 } from "../../../src/base/bytes.ts";
import { InfoHash } from "../../../src/base/info_hash.ts";
import { Peer } from "../../../src/peer/peer.ts";
import { MemoryBudget } from "../../../src/base/memory_budget.ts";
import { BufferPool } from "../../../src/swarm/pieces/buffer_pool.ts";
import { PieceDownload } from "../../../src/swarm/pieces/piece_download.ts";
import { WireError } from "../../../src/wire/messages.ts";
import { startDigest } from "../../../src/platform/start_digest.ts";
import type { BlockHashSource } from "../../../src/swarm/pieces/block_hash_source.ts";
import type { MerkleTorrent } from "../../support/merkle_torrent.ts";
import { PartStore } from "../../support/part_store.ts";
import { idleHost } from "../../support/peer_host.ts";
import { VirtualClock } from "../../support/virtual_clock.ts";
import type { Digest } from "../../../src/platform/platform.ts";

export const BLOCK = 16384;
export const BLOCKS = 4;
export const PIECE = BLOCKS * BLOCK;
/** Index that stands for a piece of an earlier time. */
const NOWHERE = -1;

/** Takes the first bytes of the data as its digest: wrong data begins with other bytes. */
function markOf(): Digest {
  let mark: Bytes | null = null;
  return { update: (bytes) => mark ??= bytes.slice(0, 4), digest: () => mark! };
}

/** A download with peers whose answers the test gives by hand. */
export class Lab {
  readonly clock = new VirtualClock();
  readonly peers: Peer[] = [];
  readonly log: string[] = [];
  readonly download: PieceDownload;
  readonly #pieceCount: number;
  readonly #pieceSize: number;
  readonly #torrent: MerkleTorrent | null;
  /** Called when a piece is done. */
  arrived = (_index: number): void => {};
  /** Called when an address has certainly sent wrong data. */
  banned = (_host: string): void => {};
  write = (): Promise<void> => Promise.resolve();
  canServe = (_index: number): boolean => false;
  hasPlace = (_index: number): boolean => true;

  readonly budget: MemoryBudget;
  /** Disk for pieces that are written in parts. */
  readonly store: PartStore;

  constructor(
    pieceCount: number,
    options: {
      budget?: number;
      wanted?: number[];
      sequential?: boolean;
      blocks?: number;
      memory?: MemoryBudget;
      /** A torrent with v2 hashes and data, in whose place other downloads have marks. */
      torrent?: MerkleTorrent;
      blockHashes?: BlockHashSource;
    } = {},
  ) {
    const { torrent, blockHashes = null } = options;
    this.#torrent = torrent ?? null;
    const size = torrent?.pieceLength ?? (options.blocks ?? BLOCKS) * BLOCK;
    this.#pieceSize = size;
    const wanted = new Bitfield(pieceCount);
    for (let index = 0; index < pieceCount; index++) if (options.wanted?.includes(index) ?? true) wanted.set(index);
    this.#pieceCount = pieceCount;
    this.budget = options.memory ?? new MemoryBudget((options.budget ?? 100) * size, { reading: 0 });
    const pool = new BufferPool(this.budget, size);
    this.store = new PartStore(() => size);
    this.download = new PieceDownload({
      ...this.store,
      writePiece: () => this.write(),
      peers: () => this.peers,
      hostOf: (connection) => `10.0.0.${connection}`,
      hasPlace: (index) => this.hasPlace(index),
      pieceDone: (index) => {
        this.log.push(`done ${index}`);
        this.arrived(index);
        for (const peer of this.peers) { // as Torrent does
          if (peer.pieces.has(index) && --peer.wanted === 0) peer.setInterested(false);
        }
      },
      pieceForgotten: (index) => void this.log.push(`forgotten ${index}`),
      pieceFailed: (index, hosts) => void this.log.push(`failed ${index} from ${hosts.join("+")}`),
      sentWrongData: (host, index) => {
        this.log.push(`${host} lied about ${index}`);
        this.banned(host);
      },
      diskFailed: (error) => void this.log.push(`broke: ${(error as Error).message}`),
    }, {
      have: new Bitfield(pieceCount),
      wanted,
      pool,
      blockHashes,
      verifier: torrent ?? new V1Verifier({
        pieceCount,
        pieceLength: size,
        pieceSize: () => size,
        pieceHash: (index) => Uint8Array.of(index, 1, 1, 1),
      }, {
        digest: markOf,
        sha1: (data) => {
          const mark = markOf();
          mark.update(data);
          return Promise.resolve(mark.digest());
        },
      }),
      platform: {
        now: () => this.clock.now(),
        after: (milliseconds, run) => this.clock.after(milliseconds, run),
        random: () => this.clock.random(),
        digest: torrent === undefined ? markOf : startDigest,
        yieldToEventLoop: () => Promise.resolve(),
      },
    });
    if (options.sequential) this.download.setSequential(true);
  }

  /** Returns a peer with some pieces (all when absent) that doesn't choke us and is known to send right data. */
  peer(
    options: { pieces?: number[]; fast?: boolean; choking?: boolean; slow?: boolean; unknown?: boolean } = {},
  ): Peer {
    const { download } = this;
    const host = idleHost({
      pieceCount: this.#pieceCount,
      pieceSize: () => this.#pieceSize,
      now: () => this.clock.now(),
      canServe: (index) => this.canServe(index),
      peerBlock: (peer, block) => download.received(peer, block),
      peerRejected: (peer, index, begin) => download.rejected(peer, index, begin),
    });
    const infoHash = new InfoHash(new Uint8Array(20));
    const handshake = { infoHash, peerId: utf8("x".repeat(20)), fast: options.fast ?? false, extended: false };
    const number = this.peers.length + 1;
    const address = { host: `10.0.0.${number}`, port: 1 };
    const peer = new Peer(host, { address, incoming: false, handshake, number });
    peer.output = {
      flush() {},
      close: (reason) => {
        peer.closed = true;
        this.log.push(`closed ${number}: ${reason}`);
      },
    };
    warmUp(peer, this.clock.now());
    if (options.pieces) { for (const index of options.pieces) peer.pieces.set(index); }
    else peer.pieces.setAll();
    peer.choking = options.choking ?? false;
    peer.amInterested = true;
    peer.down.add(options.slow ? 100 : 1_000_000);
    peer.down.tick(1);
    this.peers.push(peer);
    download.peerPieces(peer);
    if (!options.unknown) {
      peer.amInterested = false; // no requests yet
      download.started.trust.passed(NOWHERE, new Set([peer.network]));
      peer.amInterested = true;
    }
    return peer;
  }

  /** Answers one request of a peer: the first one, or the given one. */
  answer(peer: Peer, options: { index?: number; begin?: number; wrong?: boolean } = {}): void {
    const index = options.index ?? peer.requests.first.index;
    const begin = options.begin ?? peer.requests.first.begin;
    const data: Bytes = this.#torrent?.block(index, begin) ?? new Uint8Array(BLOCK);
    if (this.#torrent !== null) data[5]! ^= options.wrong ? 1 : 0;
    else data.set(options.wrong ? [66, peer.number, 0, 0] : [index, 1, 1, 1]);
    peer.lastReceived = this.clock.now(); // as PeerLink does
    try {
      peer.onBlock(index, begin, data, 0, data.length);
    } catch (error) {
      peer.output.close((error as WireError).why); // as PeerLink does
    }
  }

  /** Lets the peer choke or unchoke us. */
  choke(peer: Peer, choking: boolean): void {
    peer.choking = choking;
    this.download.choked(peer);
    this.download.parsed(peer);
  }

  answerAll(peer: Peer): void {
    while (peer.requests.size > 0) this.answer(peer);
  }
}

/** Returns the pieces requested from a peer, with the number of requested blocks of each. */
export function asked(peer: Peer): Map<number, number> {
  const counts = new Map<number, number>();
  peer.requests.forEach((index) => counts.set(index, (counts.get(index) ?? 0) + 1));
  return counts;
}

/** Raises a new peer's queue to sixteen requests, as if the peer had answered quickly for a while. */
function warmUp(peer: Peer, now: number): void {
  for (let time = now - 400; peer.requests.depth < 16; time += 10) {
    peer.requests.ask(0, 0, BLOCK, time);
    peer.requests.answered(0, 0, BLOCK, time + 1);
  }
  peer.writer.take();
}
