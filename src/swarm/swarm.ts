/**
 * The peers of a torrent, and what is said to them and heard from them: one set of connections from the moment that the torrent is
 * added until it leaves. Before it is known what the torrent holds, peers are asked for that ({@linkcode MetadataFetch}); then
 * {@linkcode Content} is attached, and pieces come and go.
 *
 * @module
 */

import type { PeerAddress } from "../base/address.ts";
import { Bitfield } from "../base/bitfield.ts";
import type { Bytes } from "../base/bytes.ts";
import { messageOf, type ShoalError } from "../base/errors.ts";
import type { InfoHash } from "../base/info_hash.ts";
import { pieceSize } from "../metainfo/mod.ts";
import type {
  BandwidthParties,
  Block,
  Extension,
  Handshake,
  Peer,
  PeerHost,
  PeerStream,
  ReceivedBlock,
} from "../peer/mod.ts";
import type { Timer } from "../platform/platform.ts";
import type { PeerSource } from "./peers/candidates.ts";
import { ConnectionManager } from "./peers/connection_manager.ts";
import type { Content } from "./content.ts";
import { type Ports, portsFor } from "./dht_contact.ts";
import { extensionsForMetadata, extensionsOf, NO_EXTENSIONS, type OfferedExtensions } from "./extensions.ts";
import { grantAllowedFast } from "./choking/allowed_fast.ts";
import type { MetadataFetch } from "./metadata/metadata_fetch.ts";
import { PeerSet, type PeerSetEvent, type Prospects, USELESS } from "./peers/peer_set.ts";
import type { Shared } from "./torrent_options.ts";
import { UploadSlots } from "./choking/upload_slots.ts";

/** With fewer peers than this others are looked for as soon as that is allowed. */
const FEW_PEERS = 10;
/** Peers to ask a tracker for without room for any: the connected ones may be of no use, and have to be replaced then. */
const SPARE_PEERS = 10;
/**
 * A seed with so many connections needn't look for others: those that want something come to it. With fewer it does, since
 * nobody can come through a NAT that lets nobody in.
 */
const ENOUGH_FOR_SEED = 30;
/**
 * Milliseconds that news of a piece waits for something to go along with. A write of its own to every peer for every piece
 * would cost more than the piece when there are hundreds of peers.
 */
const NEWS_MS = 50;

/** What a {@linkcode Swarm} tells the torrent. */
export interface SwarmEvents {
  /** There are few peers. */
  needPeers(): void;
  /** Regular work may be due: somebody came, or can be connected to. */
  wake(): void;
  /** The torrent can't go on. */
  failed(error: unknown): void;
  /** For the user. */
  tell(event: PeerSetEvent): void;
}

/** What a {@linkcode Swarm} is made of. */
export interface SwarmOptions {
  /** What the session shares. */
  readonly shared: Shared;
  /** Which torrent. */
  readonly infoHash: InfoHash;
  /** How fast all peers may be. */
  readonly limits: BandwidthParties;
  /** The torrent. */
  readonly events: SwarmEvents;
}

/** The peers of one torrent. Shut at first: nobody is dialled or let in before {@linkcode Swarm.open}. */
export class Swarm implements PeerHost {
  /** Pieces of the torrent; 0 while it isn't known what is on disk. */
  pieceCount = 0;
  readonly #options: SwarmOptions;
  readonly #peers: PeerSet;
  readonly #slots: UploadSlots;
  #fetch: MetadataFetch | null = null;
  #content: Content | null = null;
  #extensions: OfferedExtensions = NO_EXTENSIONS;
  #isPrivate = false;
  #news: Timer | null = null;
  #stopped = false;

  /** @param options Its parts. */
  constructor(options: SwarmOptions) {
    const { shared: { platform, transport, reads, policy }, limits, events } = options;
    this.#options = options;
    this.#slots = new UploadSlots(() => platform.random());
    this.#peers = new PeerSet({
      platform,
      transport,
      reads,
      limits,
      host: this,
      events: {
        joined: (peer, extended) => this.#joined(peer, extended),
        batch: (peer) => this.#parsed(peer),
        left: (peer) => this.#left(peer),
        prospects: (peer) => this.#prospectsOf(peer),
        seeding: () => this.#content?.complete === true,
        failed: (error: ShoalError) => events.failed(error),
        emit: (event) => events.tell(event),
      },
      handshake: () => this.handshake,
      manager: new ConnectionManager({ ...policy, random: () => platform.random() }),
    });
    this.#peers.shut("the torrent is not at work");
  }

  /** Every open connection. */
  get peers(): Iterable<Peer> {
    return this.#peers.all;
  }

  /** Payload bytes from peers. */
  get downloaded(): number {
    return this.#peers.downloaded;
  }

  /** Payload bytes to peers. */
  get uploaded(): number {
    return this.#peers.uploaded;
  }

  /** The address of a connection, by its number. */
  hostOf(connection: number): string {
    return this.#peers.hostOf(connection);
  }

  /** Shuts an address out, for good. */
  ban(host: string, reason: string): void {
    this.#peers.ban(host, reason);
  }

  /** How many more peers would be welcome. */
  get wantedPeers(): number {
    if (!this.#content) return this.#peers.room;
    if (!this.#content.complete) return Math.max(this.#peers.room, SPARE_PEERS);
    return this.#peers.size < ENOUGH_FOR_SEED ? Math.min(this.#peers.room, ENOUGH_FOR_SEED) : 0;
  }

  /** What we say when a connection opens. */
  get handshake(): Handshake {
    const { infoHash, shared: { peerId } } = this.#options;
    return { infoHash, peerId, fast: true, extended: true, dht: this.#dht !== null };
  }

  /** Our node of the DHT; of a private torrent nobody hears of it (BEP 27). */
  get #dht(): Shared["dht"] {
    return this.#isPrivate ? null : this.#options.shared.dht;
  }

  /** Takes note of peers that somebody named. */
  add(addresses: Iterable<PeerAddress>, source?: PeerSource): void {
    this.#peers.add(addresses, source);
    this.#options.events.wake();
  }

  /** Why a peer at this address would not be accepted, or `null`. */
  refuses(host: string): string | null {
    return this.#peers.refuses(host);
  }

  /** Takes over a connection that was made to us, after its handshake. */
  accept(connection: PeerStream, theirs: Handshake): void {
    this.#peers.accept(connection, theirs);
    this.#options.events.wake();
  }

  /** Dials peers, and lets them in. */
  open(): void {
    this.#peers.open();
    this.#options.events.wake();
  }

  /** Leaves everybody and lets nobody in; `why` is what they are told. What is known of peers stays. */
  shut(why: string): void {
    this.#peers.shut(why);
  }

  /** Leaves everybody for good. */
  stop(): void {
    this.#stopped = true;
    this.#news?.cancel();
    this.#peers.stop();
  }

  /** A port at which others reach us is another one: tells peers. */
  moved(): void {
    for (const peer of this.#peers.all) peer.announcePorts(this.#portsFor(peer));
  }

  /** The torrent is private (BEP 27): only those whom its trackers or the user have named may know of it. */
  keepPrivate(): void {
    this.#isPrivate = true;
    this.#peers.keepPrivate();
  }

  /** From here on peers are asked for what the torrent holds. */
  seekMetadata(fetch: MetadataFetch): void {
    this.#fetch = fetch;
    this.#extensions = extensionsForMetadata(fetch);
  }

  /** From here on pieces are fetched and served; connections that were made for the metadata stay. */
  attach(content: Content): void {
    this.#fetch = null;
    this.#content = content;
    this.pieceCount = content.meta.pieceCount;
    const host = {
      now: () => this.now(),
      addPeers: (addresses: readonly PeerAddress[], source: PeerSource) => this.add(addresses, source),
      get have() {
        return content.have;
      },
      pieceCount: this.pieceCount,
      peerLost: (peer: Peer, index: number) => content.download.peerLost(peer, index),
    };
    this.#extensions = extensionsOf(host, { meta: content.meta, pex: this.#options.shared.pex });
    for (const peer of [...this.#peers.all]) {
      try {
        peer.learnPieceCount();
      } catch (error) {
        peer.output.close(messageOf(error));
        continue;
      }
      this.#joined(peer, true); // whoever doesn't speak BEP 10 was of no use so far
      if (!peer.pieces.isEmpty) this.peerPieces(peer);
      if (peer.interested) this.peerInterest(peer);
      peer.output.flush();
    }
  }

  /** From here on no piece is fetched or served; everybody has been left before. */
  detach(): void {
    this.#content = null;
    this.#extensions = NO_EXTENSIONS;
    this.pieceCount = 0;
  }

  /** A piece is verified and written: tells everybody. */
  pieceDone(index: number): void {
    for (const peer of this.#peers.all) {
      if (peer.pieces.has(index)) peer.wanted--;
      peer.have(index);
      if (peer.wanted === 0) peer.setInterested(false);
    }
    this.#news ??= this.#options.shared.platform.after(NEWS_MS, () => {
      this.#news = null;
      for (const peer of [...this.#peers.all]) peer.output.flush();
    });
  }

  /** Pieces are wanted again, after all were here: those that were left because neither needed the other are dialled again. */
  wantsMore(): void {
    this.#peers.reconsider();
    this.#options.events.wake();
  }

  /** Every wanted piece is here: tells everybody, and leaves those who have no use for us, nor we for them. */
  complete(): void {
    for (const peer of [...this.#peers.all]) {
      peer.announceUploadOnly();
      peer.output.flush();
      this.#dropUseless(peer);
    }
  }

  /**
   * Regular work, `seconds` after the last.
   *
   * @returns Milliseconds until there is more, unless something happens.
   */
  tick(now: number, seconds: number): number {
    const content = this.#content;
    this.#peers.measure(seconds);
    this.#peers.tick(now, { settled: content === null && this.#fetch?.over !== false });
    if (content !== null) {
      this.#slots.tick([...this.#peers.all], { now, seeding: content.complete });
      this.#extensions.exchange?.tick(now, this.#peers.all);
    } else this.#fetch?.tick(now);
    return this.#peers.rest(now);
  }

  #joined(peer: Peer, extended: boolean): void {
    const { shared, infoHash, events } = this.#options;
    const content = this.#content;
    if (content === null && !extended) {
      return peer.output.close("it can't give us the metadata, since it speaks no extensions");
    }
    const now = this.now();
    const hidden = content?.superSeeding?.joined(peer, { peers: this.#peers.all, now });
    const done = content?.complete && !hidden;
    const words = { extended, version: shared.version, ...this.#portsFor(peer), done: done ?? false };
    const have = content === null ? null : hidden ? new Bitfield(this.pieceCount) : content.have;
    peer.open(have, words);
    if (content === null) return;
    content.superSeeding?.offer(peer, now);
    content.download.joined(peer);
    grantAllowedFast(peer, { have: content.have, infoHash, platform: shared.platform })
      .catch((error) => events.failed(error));
  }

  #portsFor({ address: { host } }: Peer): Ports {
    const { port, policy: { portFor } } = this.#options.shared;
    return portsFor({ dht: this.#dht, port, portFor }, host);
  }

  /** A read of a peer has been parsed. */
  #parsed(peer: Peer): void {
    if (this.#content === null) return void this.#fetch?.ask(peer);
    this.#content.download.parsed(peer);
    this.#content.superSeeding?.offer(peer, this.now());
  }

  #left(peer: Peer): void {
    if (this.#stopped) return;
    const content = this.#content;
    if (content !== null) {
      content.superSeeding?.left(peer);
      content.download.left(peer);
      if (!peer.amChoking) this.#slots.giveFree(this.#peers.all);
    } else this.#fetch?.left(peer);
    const isEnough = content === null ? this.#fetch?.over !== false : content.complete;
    if (this.#peers.size < FEW_PEERS && !isEnough) this.#options.events.needPeers();
  }

  #prospectsOf(peer: Peer): Prospects {
    if (this.#isUseless(peer)) return "none";
    // Another seed has often left before we hear that it is one.
    return this.#content?.complete && !peer.interested && peer.up.total === 0 ? "poor" : "good";
  }

  /** Two ends that want nothing from each other are a waste of a connection. */
  #dropUseless(peer: Peer): void {
    if (this.#isUseless(peer)) peer.output.close(USELESS);
  }

  /** Whether neither end will ever want anything; who wants something after all may say that it only uploads (BEP 21). */
  #isUseless(peer: Peer): boolean {
    return this.#content?.complete === true && (peer.isSeed || (peer.uploadOnly && !peer.interested));
  }

  // The peer's side: PeerHost. Of pieces peers tell only when it is known what is on disk.

  get extensions(): readonly Extension<Peer>[] {
    return this.#extensions.extensions;
  }

  get metadataSize(): number {
    return this.#extensions.metadataSize;
  }

  pieceSize(index: number): number {
    return pieceSize(this.#content!.meta, index);
  }

  now(): number {
    return this.#options.shared.platform.now();
  }

  peerHas(peer: Peer, index: number): void {
    const { download, superSeeding } = this.#content!;
    download.peerHas(peer, index);
    if (!peer.isSeed) superSeeding?.seen(peer, index);
    this.#learned(peer);
  }

  peerPieces(peer: Peer): void {
    this.#content!.download.peerPieces(peer);
    this.#learned(peer);
  }

  #learned(peer: Peer): void {
    if (peer.isSeed) this.#content!.superSeeding?.end();
    peer.setInterested(peer.wanted > 0);
    this.#dropUseless(peer);
  }

  peerChoke(peer: Peer): void {
    this.#content?.download.choked(peer);
  }

  peerBlock(peer: Peer, block: ReceivedBlock): void {
    this.#content!.download.received(peer, block);
  }

  peerRejected(peer: Peer, index: number, begin: number): void {
    this.#content!.download.rejected(peer, index, begin);
    if (peer.choking) peer.allowedFast.delete(index);
  }

  peerIntroduced(peer: Peer): void {
    this.#peers.introduced(peer);
    const { seenAs } = peer.extensions;
    if (this.#content === null) this.#fetch?.introduced(peer);
    else if (seenAs !== null) this.#options.shared.seenAs("peer", peer.address.host, seenAs);
    this.#dropUseless(peer);
  }

  peerInterest(peer: Peer): void {
    // Whoever is no longer interested keeps its slot until the next round.
    if (this.#content !== null && peer.interested) this.#slots.giveFree(this.#peers.all);
  }

  peerNode(peer: Peer, port: number): void {
    this.#dht?.addNode({ host: peer.address.host, port });
  }

  canServe(index: number): boolean {
    return this.#content?.canServe(index) ?? false;
  }

  readBlock(block: Block, into: Bytes, at: number): boolean {
    return this.#content!.readBlock(block, into, at);
  }

  loadBlock(index: number, begin: number, length: number): Promise<void> {
    return this.#content!.loadBlock(index, begin, length);
  }
}
