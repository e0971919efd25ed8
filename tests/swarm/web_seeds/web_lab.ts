/** Web seeds with scripted servers, a torrent with real hashes, and no disk. */

import { Bitfield } from "../../../src/base/bitfield.ts";
import { type Bytes, concatBytes, equalBytes, utf8 } from "../../../src/base/bytes.ts";
import { InfoHash } from "../../../src/base/info_hash.ts";
import { type Encodable, encode } from "../../../src/bencode/mod.ts";
import { type Metainfo, parseMetainfo, pieceSize, verifierOf } from "../../../src/metainfo/mod.ts";
import { Peer } from "../../../src/peer/peer.ts";
import { BandwidthLimiter } from "../../../src/peer/bandwidth_limiter.ts";
import { sha1, startDigest } from "../../../src/platform/start_digest.ts";
import { MemoryBudget } from "../../../src/base/memory_budget.ts";
import { BufferPool } from "../../../src/swarm/pieces/buffer_pool.ts";
import { PieceDownload } from "../../../src/swarm/pieces/piece_download.ts";
import type { UnnamedEvent } from "../../../src/swarm/torrent_options.ts";
import { WebSeeds } from "../../../src/swarm/web_seeds/web_seeds.ts";
import { PartStore } from "../../support/part_store.ts";
import { idleHost } from "../../support/peer_host.ts";
import { ScriptedWeb, serveRange, type WebAnswer, type WebCall } from "../../support/scripted_web.ts";
import { VirtualClock } from "../../support/virtual_clock.ts";

export const BLOCK = 16384;
/** Two blocks. */
export const PIECE = 2 * BLOCK;

/** A file of the torrent. */
export interface LabFile {
  readonly name: string;
  readonly length: number;
  readonly pad?: boolean;
}

export interface WebLabOptions {
  /** Bytes of the only file, or a list of files. */
  readonly files?: number | readonly LabFile[];
  /** `url-list`. */
  readonly webSeeds?: readonly string[];
  /** Limit of the download rate in bytes per second; no limit when absent. */
  readonly maxDown?: number;
  /** If `true`, the limit is the torrent's own instead of the session's. */
  readonly ownLimit?: boolean;
  /** Number of pieces that fit into memory; 100 when absent. */
  readonly budget?: number;
  /** Answer of a server to each request; the right file when absent. */
  readonly script?: (call: WebCall, lab: WebLab) => WebAnswer;
  /** Addresses by host; 203.0.113.1 for all when absent. */
  readonly resolve?: (host: string) => string[];
}

/** A download with web seeds. */
export class WebLab {
  readonly clock = new VirtualClock();
  readonly meta: Metainfo;
  /** All bytes of the torrent. */
  readonly data: Bytes;
  readonly web: ScriptedWeb;
  readonly download: PieceDownload;
  readonly seeds: WebSeeds;
  readonly peers: Peer[] = [];
  readonly events: UnnamedEvent[] = [];
  readonly failed: string[] = [];
  /** Failures of web seeds that were told. */
  readonly warnings: string[] = [];
  /** Written data by piece. */
  readonly written = new Map<number, Bytes>();
  readonly budget: MemoryBudget;
  /** Disk for pieces that are written in parts. */
  readonly store: PartStore;
  write = (): Promise<void> => Promise.resolve();
  #lastTick = 0;

  constructor(options: WebLabOptions = {}) {
    const files = options.files ?? 10 * PIECE;
    const { meta, data } = makeMeta(files, options);
    this.meta = meta;
    this.data = data;
    this.web = new ScriptedWeb(this.clock, (call) => (options.script ?? serveRight)(call, this));
    const wanted = new Bitfield(meta.pieceCount);
    wanted.setAll();
    this.budget = new MemoryBudget((options.budget ?? 100) * PIECE, { reading: 0 });
    const platform = {
      now: () => this.clock.now(),
      wallClock: () => this.clock.wallClock(),
      random: () => this.clock.random(),
      digest: startDigest,
      sha1: (data: Bytes) => Promise.resolve(sha1(data)),
      yieldToEventLoop: () => Promise.resolve(),
      http: { stream: this.web.stream },
      net: { resolve: (host: string) => Promise.resolve(options.resolve?.(host) ?? ["203.0.113.1"]) },
      // Leaves out what WebSeeds doesn't use.
    } as unknown as ConstructorParameters<typeof WebSeeds>[0]["platform"];
    this.store = new PartStore((index) => pieceSize(meta, index));
    this.download = new PieceDownload({
      ...this.store,
      claimPiece: (index, place) => {
        this.written.set(index, this.store.bytes.get(index)!.slice());
        return this.store.claimPiece(index, place);
      },
      writePiece: async (index, bytes) => {
        const copy = bytes.slice();
        await this.write();
        this.written.set(index, copy);
      },
      peers: () => this.peers,
      hostOf: (number) => this.seeds.hostOf(number) ?? `10.0.0.${number}`,
      pieceDone: () => {
        if (this.download.complete) this.seeds.rest("the download is complete");
      },
      pieceForgotten: () => {},
      pieceFailed: (index, hosts) => void this.failed.push(`${index} from ${hosts.join("+")}`),
      sentWrongData: (host, index) => {
        if (this.seeds.knows(host)) this.seeds.ban(host, `it sent wrong data for piece ${index}`);
        else this.failed.push(`${host} lied about ${index}`);
      },
      diskFailed: (error) => {
        throw error;
      },
    }, {
      have: new Bitfield(meta.pieceCount),
      wanted,
      pool: new BufferPool(this.budget, PIECE),
      platform,
      verifier: verifierOf(meta, platform),
    });
    const { maxDown: rate = null, ownLimit = false } = options;
    const down = new BandwidthLimiter(this.clock, ownLimit ? null : rate).party(ownLimit ? rate : null);
    const limits = { down, up: down };
    this.seeds = new WebSeeds({
      platform,
      meta,
      limits,
      tell: (event) => void this.events.push(event),
      warn: (message, where) => void this.warnings.push(`${where}: ${message}`),
    }, {
      download: this.download,
      peers: () => this.peers,
      failed: (error) => {
        throw error;
      },
    });
  }

  /** Lets time pass, with the torrent's regular ticks. */
  async play(milliseconds: number): Promise<void> {
    for (let left = milliseconds; left > 0; left -= 500) {
      this.turn();
      await this.clock.play(Math.min(500, left));
    }
    this.turn();
    await this.clock.play(0);
  }

  turn(): void {
    const now = this.clock.now();
    for (const peer of this.peers) peer.down.tick((now - this.#lastTick) / 1000);
    this.download.tick(now);
    this.seeds.tick(now, (now - this.#lastTick) / 1000);
    this.#lastTick = now;
  }

  /** `true` if every piece has been written with the right data. */
  get complete(): boolean {
    const { pieceCount } = this.meta;
    const pieces = Array.from({ length: pieceCount }, (_, index) => this.written.get(index) ?? new Uint8Array());
    return equalBytes(concatBytes(pieces), this.data);
  }

  /** Events of web seeds, one line each. */
  get told(): string[] {
    return this.events.map((event) => {
      if (event.event !== "peer") return event.event;
      return `${event.address} ${event.action}${event.message && `: ${event.message}`}`;
    });
  }

  /** Bytes read from all servers. */
  get taken(): number {
    return this.web.calls.reduce((sum, call) => sum + call.taken, 0);
  }

  /** Returns the contents of a file by its path in a URL. */
  fileOf(url: string): Bytes {
    const path = decodeURIComponent(new URL(url).pathname);
    const file = this.meta.files.find((other) => path.endsWith(`/${other.path.at(-1)}`));
    if (!file) throw new Error(`nobody has ${url}`);
    return this.data.slice(file.offset, file.offset + file.length);
  }

  /** Returns a peer with some pieces (all when absent) that doesn't choke us. */
  peer(pieces?: readonly number[]): Peer {
    const { download } = this;
    const host = idleHost({
      pieceCount: this.meta.pieceCount,
      pieceSize: (index) => pieceSize(this.meta, index),
      now: () => this.clock.now(),
      peerBlock: (peer, block) => download.received(peer, block),
      peerRejected: (peer, index, begin) => download.rejected(peer, index, begin),
    });
    const number = this.peers.length + 1;
    const infoHash = new InfoHash(new Uint8Array(20));
    const handshake = { infoHash, peerId: utf8("x".repeat(20)), fast: false, extended: false };
    const peer = new Peer(host, { address: { host: `10.0.0.${number}`, port: 1 }, incoming: false, handshake, number });
    peer.output = { flush() {}, close: () => void (peer.closed = true) };
    if (pieces) { for (const index of pieces) peer.pieces.set(index); }
    else peer.pieces.setAll();
    peer.choking = false;
    peer.amInterested = true;
    this.peers.push(peer);
    download.countPeer(peer, 1);
    return peer;
  }

  /** Lets a peer answer its first request. */
  answer(peer: Peer): void {
    const { index, begin, length } = peer.requests.first;
    const at = index * PIECE + begin;
    peer.lastReceived = this.clock.now();
    peer.onBlock(index, begin, this.data.slice(at, at + length), 0, length);
  }
}

function serveRight(call: WebCall, lab: WebLab): WebAnswer {
  return serveRange(call, lab.fileOf(call.url));
}

function makeMeta(files: number | readonly LabFile[], options: WebLabOptions): { meta: Metainfo; data: Bytes } {
  const list = typeof files === "number" ? [{ name: "file.bin", length: files }] : files;
  const data = concatBytes(list.map((file, i) => {
    return (file as LabFile).pad ? new Uint8Array(file.length) : noise(file.length, i + 1);
  }));
  const hashes: Bytes[] = [];
  for (let at = 0; at < data.length; at += PIECE) hashes.push(sha1(data.subarray(at, at + PIECE)));
  const shape: Record<string, Encodable> = typeof files === "number" ? { length: files, name: "file.bin" } : {
    files: files.map(({ name, length, pad }) => ({ length, path: [name], ...(pad && { attr: "p" }) })),
    name: "folder",
  };
  const torrent = encode({
    info: { ...shape, "piece length": PIECE, pieces: concatBytes(hashes) },
    "url-list": [...options.webSeeds ?? ["http://web.example/"]],
  });
  return { meta: parseMetainfo(torrent), data };
}

/** Returns bytes that differ everywhere, without a function call for each byte, since there are megabytes of them. */
function noise(length: number, seed: number): Bytes {
  const bytes: Bytes = new Uint8Array(length);
  for (let i = 0, state = seed; i < length; i++) {
    state = (Math.imul(state, 1103515245) + 12345) | 0;
    bytes[i] = state >>> 16;
  }
  return bytes;
}
