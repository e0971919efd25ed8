/**
 * One torrent at work: puts the parts of the swarm together and gives them their turns.
 *
 * @module
 */

import type { PeerAddress } from "../base/address.ts";
import { Bitfield } from "../base/bitfield.ts";
import type { Bytes } from "../base/bytes.ts";
import { pieceHash, pieceSize } from "../metainfo/mod.ts";
import type { Block, Extension, Handshake, Peer, PeerHost, PeerStream, ReceivedBlock } from "../peer/mod.ts";
import type { Platform } from "../platform/platform.ts";
import type { Storage } from "../storage/mod.ts";
import { BufferPool } from "./buffer_pool.ts";
import type { PeerSource } from "./candidate_table.ts";
import { ConnectionManager } from "./connection_manager.ts";
import { nodePort } from "./dht_contact.ts";
import { Download } from "./download.ts";
import { giveHeadStart } from "./head_start.ts";
import type { MetadataSwarm } from "./metadata_swarm.ts";
import { type Offers, offersOf } from "./offers.ts";
import { PeerSet, type PeerSetEvents, USELESS } from "./peer_set.ts";
import { Readers } from "./readers.ts";
import { Rhythm } from "./rhythm.ts";
import type { StartedPieces } from "./started_pieces.ts";
import { SuperSeeding } from "./super_seeding.ts";
import type { TorrentOptions } from "./torrent_options.ts";
import { UploadSlots } from "./upload_slots.ts";
import { type Wanted, wantedOf } from "./wanted.ts";
import { WebSeeds } from "./web_seeds.ts";

/** With fewer peers than this the tracker is asked for more as soon as it allows. */
const FEW_PEERS = 10;
/** Peers to ask a tracker for without room for any: the connected ones may be of no use, and have to be replaced then. */
const SPARE_PEERS = 10;
/**
 * A seed with so many connections needn't look for others: those that want something come to it. With fewer it does, since
 * nobody can come through a NAT that lets nobody in.
 */
const ENOUGH_FOR_SEED = 30;

/** One torrent: its storage, its peers, its tracker. */
export class Torrent implements PeerHost {
  /** Pieces of the torrent. */
  readonly pieceCount: number;
  /** Who reads while it is being downloaded. */
  readonly readers = new Readers(() => this.#download);
  readonly #options: TorrentOptions;
  readonly #offers: Offers;
  readonly #platform: Platform;
  readonly #storage: Storage;
  #peers: PeerSet;
  readonly #slots: UploadSlots;
  readonly #pool: BufferPool;
  readonly #wanted: Wanted;
  /** What there is, wanted or not. */
  readonly #whole: Wanted;
  #download: Download;
  /** Its web seeds; `null` while there is nothing to fetch from them. */
  webSeeds: WebSeeds | null = null;
  /** Web seeds that were named before there was a download. */
  readonly #moreWebSeeds: string[] = [];
  /** While we are a seed that knows of no other, and pieces are missing in the swarm. */
  #superSeeding: SuperSeeding<Peer> | null = null;
  readonly #rhythm: Rhythm;
  #checked = 0;
  #verified = 0;
  #verifiedOfWhole = 0;
  #state: "idle" | "checking" | "running" | "stopped" = "idle";
  #opening: Promise<unknown> | null = null;
  readonly #abort = new AbortController();
  readonly #failed = (error: unknown): void => this.#options.emit({ event: "failed", error });

  /** @param options Its parts. */
  constructor(options: TorrentOptions) {
    const { meta, platform } = options;
    this.#options = options;
    this.#platform = platform;
    this.#storage = options.storage;
    this.pieceCount = meta.pieceCount;
    this.#offers = offersOf(this, options);
    this.#wanted = wantedOf(meta, options.files);
    this.#whole = options.files === undefined ? this.#wanted : wantedOf(meta);
    this.#pool = new BufferPool(options.budget, Math.min(meta.pieceLength, meta.totalLength));
    this.#download = this.#newDownload(new Bitfield(meta.pieceCount));
    this.#slots = new UploadSlots(() => platform.random());
    this.#rhythm = new Rhythm(platform, {
      turn: (now, seconds) => this.#turn(now, seconds),
      tell: () => [...this.#peers.all].forEach((peer) => peer.output.flush()),
    });
    this.#peers = new PeerSet({
      ...options,
      host: this,
      events: this.#peerEvents,
      handshake: this.handshake,
      manager: new ConnectionManager({ ...options, random: () => platform.random() }),
    });
  }

  get #peerEvents(): PeerSetEvents {
    return {
      joined: (peer, extended) => this.#joined(peer, extended),
      batch: (peer) => {
        this.#download.parsed(peer);
        this.#superSeeding?.offer(peer, this.now());
      },
      left: (peer) => this.#left(peer),
      seeding: () => this.complete,
      prospects: (peer) => {
        if (this.#isUseless(peer)) return "none";
        // Another seed has often left before we hear that it is one.
        return this.complete && !peer.interested && peer.up.total === 0 ? "poor" : "good";
      },
      emit: this.#options.emit,
    };
  }

  /** What we say when a connection opens. */
  get handshake(): Handshake {
    const { meta: { infoHash }, peerId, dht } = this.#options;
    return { infoHash, peerId, fast: true, extended: true, dht: dht !== undefined };
  }

  /** Pieces that are verified and written. */
  get have(): Bitfield {
    return this.#download.have;
  }

  /** Whether every wanted piece is verified and written. */
  get complete(): boolean {
    return this.#download.complete;
  }

  /** Bytes that are wanted, padding left out. */
  get size(): number {
    return this.#wanted.size;
  }

  /** What it is doing. */
  get state(): "idle" | "checking" | "running" | "stopped" {
    return this.#state;
  }

  /** How far the check of what is on disk has come, 0 to 1. */
  get checked(): number {
    return this.#checked;
  }

  /** Wanted bytes that are verified, padding left out. */
  get verified(): number {
    return this.#verified;
  }

  /** Bytes of the torrent that aren't here, wanted or not, padding left out: what trackers are told (BEP 3, 21). */
  get left(): number {
    return this.#whole.size - this.#verifiedOfWhole;
  }

  /** Payload bytes from peers and web seeds. */
  get downloaded(): number {
    return this.#peers.downloaded + (this.webSeeds?.downloaded ?? 0);
  }

  /** Payload bytes to peers. */
  get uploaded(): number {
    return this.#peers.uploaded;
  }

  /** Its pieces, for those who draw them: which are wanted, which are there, started, common. */
  get pieces(): { readonly wanted: Bitfield; readonly started: StartedPieces } {
    return { wanted: this.#wanted.pieces, started: this.#download.started };
  }

  /** Every open connection. */
  peers(): Iterable<Peer> {
    return this.#peers.all;
  }

  /**
   * Finds out what is on disk, then goes to work.
   *
   * @param mode As {@linkcode Storage.open} takes it.
   * @param search Who got the metadata: its connections are taken over.
   * @throws {ShoalError} Of kind `storage` if the data can't be read, or something else is in its place.
   */
  async start(mode: "resume" | "check" | "trust", search: MetadataSwarm | null = null): Promise<void> {
    this.#state = "checking";
    const opening = this.#opening = this.#storage.open(mode, {
      signal: this.#abort.signal,
      onProgress: (progress) => {
        this.#checked = progress;
        this.#options.emit({ event: "checking", progress });
      },
    });
    const have = await opening.catch((error) => {
      if (this.#abort.signal.aborted) return null;
      throw error;
    });
    if (have === null || this.#abort.signal.aborted) return;
    this.#download = this.#newDownload(have);
    for (const index of have) this.#countVerified(index);
    this.#state = "running";
    if (have.isFull) {
      const availability = (index: number) => this.#download.availability(index);
      this.#superSeeding = new SuperSeeding(this.#options.meta, {
        have,
        availability,
        random: () => this.#platform.random(),
      });
    }
    if (this.complete) this.#finish();
    else {
      this.webSeeds = new WebSeeds(this.#options, { download: this.#download, peers: () => this.#peers.all });
      this.webSeeds.add(this.#moreWebSeeds);
    }
    const peers = search?.release();
    if (peers) (this.#peers = peers).adopt(this, this.#peerEvents);
    this.readers.checked();
    if (this.#peers.paused) this.webSeeds?.setPaused(true);
    this.#options.sources.start();
    this.#rhythm.start();
  }

  /**
   * Takes note of web seeds that the torrent itself doesn't name.
   *
   * @param urls See `WebSeeds.add()`.
   */
  addWebSeeds(urls: readonly string[]): void {
    if (this.webSeeds) this.webSeeds.add(urls);
    else if (this.#state !== "running") this.#moreWebSeeds.push(...urls);
  }

  /** Leaves everybody and lets nobody in, or goes on; what is here of unfinished pieces stays. */
  setPaused(paused: boolean): void {
    this.webSeeds?.setPaused(paused);
    this.#peers.setPaused(paused);
  }

  /** How many more peers would be welcome. */
  get wantedPeers(): number {
    if (!this.complete) return Math.max(this.#peers.room, SPARE_PEERS);
    return this.#peers.size < ENOUGH_FOR_SEED ? Math.min(this.#peers.room, ENOUGH_FOR_SEED) : 0;
  }

  /** Somebody says how many seeds there are, us perhaps among them. */
  heardOfSeeds(count: number): void {
    if (count > 1) this.#superSeeding?.end();
  }

  /** Takes note of peers that somebody named. */
  addPeers(addresses: Iterable<PeerAddress>, source?: PeerSource): void {
    this.#peers.add(addresses, source);
  }

  /** Why a peer at this address would not be accepted, or `null`. */
  refuses(host: string): string | null {
    return this.#state === "running" ? this.#peers.refuses(host) : "the torrent is not at work";
  }

  /** Takes over a connection that was made to us, after its handshake. */
  accept(connection: PeerStream, theirs: Handshake): void {
    this.#peers.accept(connection, theirs);
  }

  /**
   * Leaves the swarm in good order: what came written, resume state saved.
   *
   * @throws {ShoalError} Of kind `storage` if something can't be written.
   */
  async stop(): Promise<void> {
    if (this.#state === "stopped") return;
    this.#state = "stopped";
    this.#abort.abort();
    this.#rhythm.stop();
    this.#peers.stop();
    this.webSeeds?.stop("we are stopping");
    this.readers.end();
    // A check that is under way ends first; whatever it has to say is told by start().
    await Promise.allSettled([this.#opening, this.#download.stop()]);
    await this.#storage.close();
  }

  #newDownload(have: Bitfield): Download {
    const { meta, sequential = false } = this.#options;
    return new Download({
      pieceSize: (index) => pieceSize(meta, index),
      pieceHash: (index) => pieceHash(meta, index),
      writePiece: (index, data) => this.#storage.writePiece(index, data),
      peers: () => this.#peers.all,
      hostOf: (connection) => this.webSeeds?.hostOf(connection) ?? this.#peers.hostOf(connection),
      pieceDone: (index) => this.#pieceDone(index),
      pieceForgotten: () => void (this.complete && this.#finish()),
      pieceFailed: (piece, peers) => this.#options.emit({ event: "hash_failed", piece, peers }),
      lied: (host, index) =>
        (this.webSeeds?.knows(host) ? this.webSeeds : this.#peers).ban(host, `it sent wrong data for piece ${index}`),
      broke: this.#failed,
    }, { have, wanted: this.#wanted.pieces, sequential, pool: this.#pool, platform: this.#platform });
  }

  #joined(peer: Peer, extended: boolean): void {
    const hidden = this.#superSeeding?.joined(peer, { peers: this.#peers.all, now: this.now() });
    const { version, dht } = this.#options;
    const words = { extended, version, port: this.#portFor(peer), done: this.complete && !hidden };
    const node = peer.dht && dht && { dhtPort: nodePort(this.#options, peer.address.host) };
    peer.open(hidden ? new Bitfield(this.pieceCount) : this.have, { ...words, ...node });
    this.#superSeeding?.offer(peer, this.now());
    this.#download.joined(peer);
    giveHeadStart(peer, { have: this.have, infoHash: this.#options.meta.infoHash, platform: this.#platform })
      .catch(this.#failed);
  }

  #portFor({ address: { host } }: Peer): number {
    const { port, portFor } = this.#options;
    return portFor?.("tcp", host) ?? port;
  }

  /** The port at which others reach us is another one: tells those who speak BEP 10. */
  moved(): void {
    for (const peer of this.#peers.all) peer.announcePort(this.#portFor(peer));
  }

  #left(peer: Peer): void {
    if (this.#state !== "running") return;
    this.#superSeeding?.left(peer);
    this.#download.left(peer);
    if (!peer.amChoking) this.#slots.giveFree(this.#peers.all);
    if (this.#peers.size < FEW_PEERS && !this.complete) this.#options.sources.needPeers();
  }

  #pieceDone(index: number): void {
    this.#countVerified(index);
    if (this.#state !== "running") return;
    this.readers.arrived(index);
    for (const peer of this.#peers.all) {
      if (peer.pieces.has(index)) peer.wanted--;
      peer.have(index);
      if (peer.wanted === 0) peer.setInterested(false);
    }
    this.#rhythm.hasNews();
    if (!this.complete) return;
    // That a part is all we want is no completion (BEP 21); trackers hear of it as soon as they may be asked again.
    if (this.have.isFull) this.#options.sources.completed();
    else this.#options.sources.needPeers();
    this.#finish();
  }

  #countVerified(index: number): void {
    this.#verified += this.#wanted.bytesOf(index);
    this.#verifiedOfWhole += this.#whole.bytesOf(index);
  }

  #finish(): void {
    this.webSeeds?.rest("the download is complete");
    for (const peer of [...this.#peers.all]) {
      peer.announceUploadOnly();
      peer.output.flush();
      this.#dropUseless(peer);
    }
    this.#storage.flush().then(() => this.#options.emit({ event: "completed" }), this.#failed);
  }

  /** Two ends that want nothing from each other are a waste of a connection. */
  #dropUseless(peer: Peer): void {
    if (this.#isUseless(peer)) peer.output.close(USELESS);
  }

  /** Whether neither end will ever want anything; who wants something after all may say that it only uploads (BEP 21). */
  #isUseless(peer: Peer): boolean {
    return this.complete && (peer.isSeed || (peer.uploadOnly && !peer.interested));
  }

  // The peer's side: PeerHost.

  get extensions(): readonly Extension<Peer>[] {
    return this.#offers.extensions;
  }

  get metadataSize(): number {
    return this.#offers.metadataSize;
  }

  pieceSize(index: number): number {
    return pieceSize(this.#options.meta, index);
  }

  now(): number {
    return this.#platform.now();
  }

  peerHas(peer: Peer, index: number): void {
    this.#download.peerHas(peer, index);
    if (!peer.isSeed) this.#superSeeding?.seen(peer, index);
    this.#learned(peer);
  }

  peerLost(peer: Peer, index: number): void {
    this.#download.peerLost(peer, index);
  }

  peerPieces(peer: Peer): void {
    this.#download.peerPieces(peer);
    this.#learned(peer);
  }

  #learned(peer: Peer): void {
    if (peer.isSeed) this.#superSeeding?.end();
    peer.setInterested(peer.wanted > 0);
    this.#dropUseless(peer);
  }

  peerChoke(peer: Peer): void {
    this.#download.choked(peer);
  }

  peerBlock(peer: Peer, block: ReceivedBlock): void {
    this.#download.received(peer, block);
  }

  peerRejected(peer: Peer, index: number, begin: number): void {
    this.#download.rejected(peer, index, begin);
    if (peer.choking) peer.allowedFast.delete(index);
  }

  peerIntroduced(peer: Peer): void {
    this.#peers.introduced(peer);
    if (peer.extensions.seenAs !== null) this.#options.seenAs?.(peer.address.host, peer.extensions.seenAs);
    this.#dropUseless(peer);
  }

  peerInterest(peer: Peer): void {
    if (peer.interested) this.#slots.giveFree(this.#peers.all); // else its slot is somebody else's at the next round
  }

  peerNode(peer: Peer, port: number): void {
    this.#options.dht?.addNode({ host: peer.address.host, port });
  }

  canServe(index: number): boolean {
    return this.have.has(index);
  }

  readBlock(block: Block, into: Bytes, at: number): boolean {
    return this.#storage.readCached(block.index, block.begin, block.length, into, at);
  }

  loadBlock(index: number, begin: number, length: number): Promise<void> {
    return this.#storage.load(index, begin, length).catch((error) => {
      // Verified, and unreadable now: nobody could be served.
      this.#failed(error);
      throw error;
    });
  }

  #turn(now: number, seconds: number): void {
    this.#peers.measure(seconds);
    this.#peers.tick(now);
    this.#slots.tick([...this.#peers.all], { now, seeding: this.complete });
    this.#superSeeding?.turn(now, this.#peers.all);
    if (this.#peers.paused) this.#download.makeRoom();
    this.#download.tick(now);
    this.#offers.exchange?.tick(now, this.#peers.all);
    this.webSeeds?.tick(now, seconds);
  }
}
