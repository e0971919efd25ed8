/**
 * The peers of a torrent, and the messages from and to them: one set of connections while the torrent is in the
 * session. At first peers of a magnet link are asked for the metadata ({@linkcode MetadataFetch}); then
 * {@linkcode Content} is attached, and pieces are downloaded and uploaded.
 *
 * @module
 */

import type { PeerAddress } from "../base/address.ts";
import { Bitfield } from "../base/bitfield.ts";
import type { Bytes } from "../base/bytes.ts";
import type { DataMemory } from "../base/data_memory.ts";
import { messageOf, type ShoalError } from "../base/errors.ts";
import type { InfoHash } from "../base/info_hash.ts";
import type { InfoHashes } from "../base/info_hashes.ts";
import type {
  BandwidthParties,
  Block,
  Extension,
  Handshake,
  Hashes,
  HashRequest,
  Peer,
  PeerHost,
  PeerStream,
  ReceivedBlock,
} from "../peer/mod.ts";
import type { Timer } from "../platform/platform.ts";
import type { AddressFacts } from "./peers/address_facts.ts";
import type { PeerSource } from "./peers/candidates.ts";
import { ConnectionManager } from "./peers/connection_manager.ts";
import type { Content } from "./content.ts";
import { type Ports, portsFor } from "./dht_link.ts";
import { HashExchange } from "./hashes/hash_exchange.ts";
import type { LayerFetch } from "./hashes/layer_fetch.ts";
import type { BlockHashSource } from "./pieces/block_hash_source.ts";
import type { Metainfo } from "../metainfo/mod.ts";
import { extensionsForMetadata, extensionsOf, NO_EXTENSIONS, type OfferedExtensions } from "./extensions.ts";
import { grantAllowedFast } from "./choking/allowed_fast.ts";
import type { MetadataFetch } from "./metadata/metadata_fetch.ts";
import { PeerSet, type PeerSetEvent, type Prospects, USELESS } from "./peers/peer_set.ts";
import type { Shared } from "./torrent_options.ts";
import { UploadSlots } from "./choking/upload_slots.ts";

/** With fewer peers than this, more are looked for as soon as that is allowed. */
const FEW_PEERS = 10;
/** Peers that an incomplete torrent without room asks trackers for: useless peers may have to be replaced. */
const SPARE_PEERS = 10;
/**
 * A seed with this many connections doesn't look for peers, since interested peers connect to it. With fewer it does,
 * since no peer can connect through a NAT that lets no connections in.
 */
const ENOUGH_FOR_SEED = 30;
/**
 * Milliseconds that have messages wait to be sent together with other messages. With hundreds of peers, one write to
 * each of them for each piece would cost more than the piece.
 */
const NEWS_MS = 50;

/** Calls from a {@linkcode Swarm} to its torrent. */
export interface SwarmEvents {
  /** Called when there are few peers. */
  needPeers(): void;
  /** Called when regular work may be due: a peer has connected, or there are addresses to dial. */
  wake(): void;
  /** Called when an error stops the torrent. */
  failed(error: unknown): void;
  /** Emits an event for the user. */
  tell(event: PeerSetEvent): void;
}

/** Options for {@linkcode Swarm}. */
export interface SwarmOptions {
  /** What the session shares. */
  readonly shared: Shared;
  /** Returns the info-hashes of the torrent that are known. */
  infoHashes(): InfoHashes;
  /** Rate limits of all peers. */
  readonly limits: BandwidthParties;
  /** The torrent. */
  readonly events: SwarmEvents;
}

/** The peers of one torrent. Peers are dialled and accepted only after {@linkcode Swarm.open}. */
export class Swarm implements PeerHost {
  /** Pieces of the torrent; 0 before the content is attached. */
  pieceCount = 0;
  /** Memory for the buffers of connections. */
  readonly memory: DataMemory;
  readonly #options: SwarmOptions;
  readonly #peers: PeerSet;
  readonly #slots: UploadSlots;
  readonly #hashes: HashExchange;
  #fetch: MetadataFetch | null = null;
  #content: Content | null = null;
  #extensions: OfferedExtensions = NO_EXTENSIONS;
  #isPrivate = false;
  #news: Timer | null = null;
  #stopped = false;

  constructor(options: SwarmOptions) {
    const { shared, limits, events } = options;
    const { platform, transport, reads, policy } = shared;
    this.#options = options;
    this.memory = shared.budget.memory;
    this.#slots = new UploadSlots(() => platform.random());
    this.#hashes = new HashExchange({
      platform,
      memory: this.memory,
      ban: (host, reason) => this.ban(host, reason),
    });
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
      handshake: (infoHash, other) => this.handshakeFor(infoHash, other),
      infoHashV2: () => this.#infoHashV2,
      manager: new ConnectionManager({ ...policy, random: () => platform.random() }),
    });
    this.#peers.shut("the torrent is not at work");
  }

  /** Every connected peer. */
  get peers(): Iterable<Peer> {
    return this.#peers.all;
  }

  /** Addresses of the connected peers on which they can be dialled. */
  get dialled(): PeerAddress[] {
    return Array.from(this.#peers.all).filter(({ incoming }) => !incoming).map(({ address }) => address);
  }

  /** `true` if there are no connections. */
  get isEmpty(): boolean {
    return this.#peers.size === 0;
  }

  /** Payload bytes received from peers. */
  get downloaded(): number {
    return this.#peers.downloaded;
  }

  /** As {@linkcode Swarm.downloaded}, but including blocks that are still incomplete. */
  get arriving(): number {
    return this.#peers.arriving;
  }

  /** What is known about peers that aren't connected. Takes time for each of them. */
  addresses(): AddressFacts {
    return this.#peers.addresses();
  }

  /** Payload bytes sent to peers. */
  get uploaded(): number {
    return this.#peers.uploaded;
  }

  /** Returns the address of a connection, given its number. */
  hostOf(connection: number): string {
    return this.#peers.hostOf(connection);
  }

  /** Bans an address for good. */
  ban(host: string, reason: string): void {
    this.#peers.ban(host, reason);
  }

  /** Number of additional peers that would be useful. */
  get wantedPeers(): number {
    if (!this.#content) return this.#peers.room;
    if (!this.#content.complete) return Math.max(this.#peers.room, SPARE_PEERS);
    return this.#peers.size < ENOUGH_FOR_SEED ? Math.min(this.#peers.room, ENOUGH_FOR_SEED) : 0;
  }

  /**
   * Returns our handshake for an info-hash of the torrent; the first if it is absent, or none of the torrent's.
   *
   * @param other `true` for the other one of a hybrid's two.
   */
  handshakeFor(wanted?: InfoHash, other = false): Handshake {
    const { shared: { peerId } } = this.#options;
    const infoHashes = this.#options.infoHashes();
    const named = wanted !== undefined && infoHashes.has(wanted) ? wanted : infoHashes.onWire[0]!;
    const infoHash = other ? infoHashes.onWire.find((one) => !one.equals(named)) ?? named : named;
    return { infoHash, peerId, fast: true, extended: true, dht: this.#dht !== null, v2: infoHashes.v2 !== null };
  }

  /**
   * Returns our answer to a peer's handshake. A peer that asks for a hybrid by its v1 info-hash and offers v2 is answered
   * with the v2 info-hash, so that both use v2 from then on (BEP 52, "upgrade path").
   */
  answer(theirs: Handshake): Handshake {
    return this.handshakeFor(theirs.v2 ? this.#infoHashV2 ?? theirs.infoHash : theirs.infoHash);
  }

  /** The truncated v2 info-hash; `null` if the torrent has none, or it isn't known. */
  get #infoHashV2(): InfoHash | null {
    return this.#options.infoHashes().v2?.truncated ?? null;
  }

  /** Our DHT node; `null` for a private torrent, whose peers aren't told of it (BEP 27). */
  get #dht(): Shared["dht"] {
    return this.#isPrivate ? null : this.#options.shared.dht;
  }

  /**
   * Adds addresses of peers.
   *
   * @param infoHash Info-hash under which the peers were found; they may know no other.
   */
  add(addresses: Iterable<PeerAddress>, source?: PeerSource, infoHash?: InfoHash): void {
    this.#peers.add(addresses, source, infoHash);
    this.#options.events.wake();
  }

  /** Returns why a peer at an address would not be accepted, or `null`. */
  refuses(host: string): string | null {
    return this.#peers.refuses(host);
  }

  /** Accepts an incoming connection after its handshake. */
  accept(connection: PeerStream, theirs: Handshake): void {
    this.#peers.accept(connection, theirs);
    this.#options.events.wake();
  }

  /** Starts to dial and accept peers. */
  open(): void {
    this.#peers.open();
    this.#options.events.wake();
  }

  /** Disconnects all peers, with `why` as the reason, and lets none connect. What is known about peers is kept. */
  shut(why: string): void {
    this.#peers.shut(why);
  }

  /** Disconnects all peers for good. */
  stop(): void {
    this.#stopped = true;
    this.#news?.cancel();
    this.#hashes.detach();
    this.#peers.stop();
  }

  /** Called when a port at which we can be reached has changed; tells peers. */
  moved(): void {
    for (const peer of this.#peers.all) peer.announcePorts(this.#portsFor(peer));
  }

  /** Marks the torrent as private (BEP 27): only peers named by its trackers or by the user may join. */
  keepPrivate(): void {
    this.#isPrivate = true;
    this.#peers.keepPrivate();
  }

  /** Starts to ask peers for the metadata. */
  seekMetadata(fetch: MetadataFetch): void {
    this.#fetch = fetch;
    this.#extensions = extensionsForMetadata(fetch);
  }

  /** Whether a connected peer may be asked for hashes (BEP 52). */
  get hasHashPeers(): boolean {
    return this.#hashes.requests.peerCount > 0;
  }

  /** Starts to ask peers for hashes of pieces that the metadata lacks. */
  seekLayers(meta: Metainfo): LayerFetch<Peer> {
    return this.#hashes.seekLayers(meta);
  }

  /** The hashes of single blocks, from peers. */
  get blockHashes(): BlockHashSource {
    return this.#hashes.blockHashes;
  }

  /** Starts to download and upload pieces. Connections that were made for the metadata stay open. */
  attach(content: Content): void {
    this.#fetch = null;
    this.#content = content;
    this.#hashes.attach(content);
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
      this.#joined(peer, true); // peers without BEP 10 have been disconnected already
      if (!peer.pieces.isEmpty) this.peerPieces(peer);
      if (peer.interested) this.peerInterest(peer);
      peer.output.flush();
    }
  }

  /** Stops downloading and uploading pieces. All peers must have been disconnected before. */
  detach(): void {
    this.#content = null;
    this.#hashes.detach();
    this.#extensions = NO_EXTENSIONS;
    this.pieceCount = 0;
  }

  /** Tells peers of a piece that has been verified and written. */
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

  /** Called when pieces are wanted again after completion. Peers that were dropped as useless are dialled again. */
  wantsMore(): void {
    this.#peers.reconsider();
    this.#options.events.wake();
  }

  /** Called when the download is complete. Tells peers, and disconnects those that are useless now. */
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
   * @returns Milliseconds until the next regular work, unless something happens before.
   */
  tick(now: number, seconds: number): number {
    const content = this.#content;
    this.#peers.measure(seconds);
    this.#peers.tick(now, { settled: content === null && !this.#seeks });
    this.#hashes.requests.tick(now);
    if (content !== null) {
      this.#slots.tick([...this.#peers.all], { now, seeding: content.complete });
      this.#extensions.exchange?.tick(now, this.#peers.all);
    } else this.#fetch?.tick(now);
    return this.#peers.rest(now);
  }

  /** Whether peers are asked for the metadata, or for hashes of its pieces. */
  get #seeks(): boolean {
    return this.#fetch?.over === false || this.#hashes.seeks;
  }

  #joined(peer: Peer, extended: boolean): void {
    const { shared, events } = this.#options;
    const content = this.#content;
    if (content === null && !extended && !this.#hashes.seeks) {
      return peer.output.close("it can't give us the metadata, since it speaks no extensions");
    }
    const now = this.now();
    const hidden = content?.superSeeding?.joined(peer, { peers: this.#peers.all, now });
    const done = content?.complete && !hidden;
    const words = { extended, version: shared.version, ...this.#portsFor(peer), done: done ?? false };
    const have = content === null ? null : hidden ? new Bitfield(this.pieceCount) : content.have;
    peer.open(have, words);
    this.#hashes.requests.joined(peer);
    if (content === null) return;
    content.superSeeding?.offer(peer, now);
    content.download.joined(peer);
    grantAllowedFast(peer, { have: content.have, infoHash: peer.infoHash, platform: shared.platform })
      .catch((error) => events.failed(error));
  }

  #portsFor({ address: { host } }: Peer): Ports {
    const { port, policy: { portFor } } = this.#options.shared;
    return portsFor({ dht: this.#dht, port, portFor }, host);
  }

  /** Called when a read from a peer has been parsed. */
  #parsed(peer: Peer): void {
    if (this.#content === null) return void this.#fetch?.ask(peer);
    this.#content.download.parsed(peer);
    this.#content.superSeeding?.offer(peer, this.now());
  }

  #left(peer: Peer): void {
    if (this.#stopped) return;
    const content = this.#content;
    this.#hashes.requests.left(peer);
    if (content !== null) {
      content.superSeeding?.left(peer);
      content.download.left(peer);
      if (!peer.amChoking) this.#slots.giveFree(this.#peers.all);
    } else this.#fetch?.left(peer);
    const isEnough = content === null ? !this.#seeks : content.complete;
    if (this.#peers.size < FEW_PEERS && !isEnough) this.#options.events.needPeers();
  }

  #prospectsOf(peer: Peer): Prospects {
    if (this.#isUseless(peer)) return "none";
    // Another seed often disconnects before it has told us that it is a seed.
    return this.#content?.complete && !peer.interested && peer.up.total === 0 ? "poor" : "good";
  }

  /** Disconnects a peer if neither side wants anything from the other. */
  #dropUseless(peer: Peer): void {
    if (this.#isUseless(peer)) peer.output.close(USELESS);
  }

  /** Returns `true` if neither side will ever want anything. An upload-only peer (BEP 21) may still be interested. */
  #isUseless(peer: Peer): boolean {
    return this.#content?.complete === true && (peer.isSeed || (peer.uploadOnly && !peer.interested));
  }

  // The {@linkcode PeerHost} methods. Peers call those about pieces only while content is attached.

  get extensions(): readonly Extension<Peer>[] {
    return this.#extensions.extensions;
  }

  get metadataSize(): number {
    return this.#extensions.metadataSize;
  }

  pieceSize(index: number): number {
    return this.#content!.verifier.pieceSize(index);
  }

  servedSize(index: number): number {
    return this.#content!.verifier.servedSize(index);
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

  peerHashes(peer: Peer, hashes: Hashes, latency: number): void {
    this.#hashes.requests.received(peer, hashes, latency);
  }

  peerHashReject(peer: Peer, request: HashRequest): void {
    this.#hashes.requests.rejected(peer, request);
  }

  proveHashes(peer: Peer, request: HashRequest): Promise<Bytes | null> {
    return this.#hashes.prove(peer, request);
  }

  peerIntroduced(peer: Peer): void {
    this.#peers.introduced(peer);
    const { yourIp } = peer.extensions;
    if (this.#content === null) this.#fetch?.introduced(peer);
    else if (yourIp !== null) this.#options.shared.seenAs("peer", peer.address.host, yourIp);
    this.#dropUseless(peer);
  }

  peerInterest(peer: Peer): void {
    // A peer that is no longer interested keeps its slot until the next round.
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
