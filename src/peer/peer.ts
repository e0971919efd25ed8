/**
 * The state of one peer connection, without its socket: handles messages and queues messages to send.
 *
 * @module
 */

import { formatAddress, type PeerAddress } from "../base/address.ts";
import { Bitfield } from "../base/bitfield.ts";
import type { Bytes } from "../base/bytes.ts";
import { MAX_ALLOWED_FAST, MAX_UNKNOWN_BITFIELD } from "../base/defences.ts";
import { networkOf } from "../base/networks.ts";
import { encodeDontHave } from "../wire/dont_have.ts";
import { FrameReader, type MessageHandler } from "../wire/frame_reader.ts";
import { FrameWriter } from "../wire/frame_writer.ts";
import type { InfoHash } from "../base/info_hash.ts";
import type { Handshake } from "../wire/handshake.ts";
import { parseHashes, parseHashRequest } from "../wire/hash_messages.ts";
import { BLOCK_SIZE, MessageId, messageName, WireError } from "../wire/messages.ts";
import { FloodLimit } from "./flood_limit.ts";
import { clientName } from "./client_name.ts";
import { PeerExtensions } from "./extension_protocol.ts";
import { HashRequests } from "./hash_requests.ts";
import { HashUploads } from "./hash_uploads.ts";
import type { PeerOutput, SwarmOf } from "./peer_host.ts";
import { RateMeter } from "./rate_meter.ts";
import { type ReceivedBlock, Requests } from "./requests.ts";
import { nextPhase, type Phase } from "./message_rules.ts";
import { Uploads } from "./uploads.ts";

/** The parts of the swarm that a peer uses. */
export type PeerHost = SwarmOf<Peer>;

/** Properties of a new connection. */
export interface PeerInit {
  /** Address of the peer. */
  readonly address: PeerAddress;
  /** Whether the peer connected to us. */
  readonly incoming: boolean;
  /** The peer's handshake; its `v2` tells whether both ends use v2. */
  readonly handshake: Handshake;
  /** See {@linkcode Peer.number}. */
  readonly number: number;
}

/** Options for {@linkcode Peer.open}. */
export interface PeerOpenOptions {
  /** Whether the peer supports the extension protocol (BEP 10). */
  readonly extended: boolean;
  /** Our client name and version. */
  readonly version: string;
  /** Our listen port. */
  readonly port: number;
  /** Port of our DHT node, which is told to peers that have a node, too; absent without a node. */
  readonly dhtPort?: number;
  /** Whether we have all wanted pieces (default `false`). */
  readonly done?: boolean;
}

/** Our ports for {@linkcode Peer.announcePorts}. */
export interface AnnouncedPorts {
  /** Our listen port. */
  readonly port: number;
  /** Port of our DHT node; absent without a node. */
  readonly dhtPort?: number;
}

/**
 * State of one connection (BEP 3, 6, 10, 21). State that the swarm only records is in plain properties. State that goes
 * over the wire is changed by methods, so that state and messages can't differ.
 */
export class Peer implements MessageHandler {
  /** Address of the peer. The port is the listen port once that is known. */
  address: PeerAddress;
  /** Whether the peer connected to us. */
  readonly incoming: boolean;
  /** Number of the connection, unique within the torrent. */
  readonly number: number;
  /** Peer id, 20 bytes. */
  readonly peerId: Bytes;
  /** Info-hash under which the peer and we have connected. */
  readonly infoHash: InfoHash;
  /** Whether both ends support the Fast extension (BEP 6). */
  readonly fast: boolean;
  /** Whether peer and we are connected under the v2 info-hash (BEP 52), so that both understand messages about hashes. */
  readonly v2: boolean;
  /** Whether the peer has a DHT node and wants to know the port of ours (BEP 5). */
  readonly dht: boolean;
  /** Time of the connection, in milliseconds. */
  readonly connectedAt: number;
  /** Network that limits and bans apply to; see {@linkcode networkOf}. */
  readonly network: string;
  /**
   * Pieces that the peer has. Before the piece count is known, the bitfield is as long as the announced pieces require.
   */
  pieces: Bitfield;
  /** Name and version of the client; empty if unknown. */
  client: string;
  /** The peer has announced that it won't download (BEP 21). */
  uploadOnly = false;
  /** The peer chokes us. */
  choking = true;
  /** The peer is interested in our pieces. */
  interested = false;
  /** We choke the peer. */
  amChoking = true;
  /** We are interested in the peer's pieces. */
  amInterested = false;
  /** The peer has an optimistic unchoke slot. */
  optimistic = false;
  /** The peer took too long to answer requests. */
  snubbed = false;
  /** Data from the peer's network has passed hash checks and none has failed since. Set by the piece download. */
  proven = false;
  /** The peer has owed us blocks for some time. Set by the piece download. */
  quiet = false;
  /**
   * The peer's network had a part in several failed pieces, so that its blocks aren't mixed with those of other peers.
   * Set by the piece download.
   */
  onParole = false;
  /** Reading from the peer is paused, because the download limit is used up. */
  readPaused = false;
  /** Bytes per second that the download limit allows the peer; Infinity without a limit. */
  allowed = Infinity;
  /** Number of pieces that the peer has and we want. Set by the swarm. */
  wanted = 0;
  /** Time at which we last unchoked the peer, in milliseconds. */
  unchokedAt = -Infinity;
  /** Time of the last read, in milliseconds. While a read is parsed, the current time. */
  lastReceived: number;
  /** Time of the last write, in milliseconds. */
  lastSent: number;
  /**
   * Time at which the last requested block arrived or, if later, the first request was sent after a pause, in
   * milliseconds.
   */
  lastBlock = 0;
  /** Time of the last payload in either direction, in milliseconds. */
  lastPayload: number;
  /** Requests that the peer rejected without choking us, since the last periodic check. */
  turnedDown = 0;
  /**
   * Whether to send one request beyond the pipeline depth, to find out whether the peer has dropped earlier requests.
   * Set by the piece download.
   */
  probePending = false;
  /** State of the picker in which the peer had no piece to pick; -1 for none. Set by the piece download. */
  emptyPickState = -1;
  /** Requests to the peer. */
  readonly requests: Requests;
  /** Requests of the peer. */
  readonly uploads: Uploads;
  /** Requests for hashes to the peer (BEP 52). */
  readonly hashRequests: HashRequests;
  /** Requests for hashes of the peer. */
  readonly hashUploads: HashUploads;
  /** Pieces that the peer sends even while it chokes us (BEP 6). */
  readonly allowedFast = new Set<number>();
  /** State of the extension protocol (BEP 10). */
  readonly extensions: PeerExtensions<Peer>;
  /** Limits messages of the peer that bring no progress. */
  readonly flood: FloodLimit;
  /** Rate of payload from the peer. */
  readonly down = new RateMeter();
  /** Rate of payload to the peer. */
  readonly up = new RateMeter();
  /** Whether the connection is closed. */
  closed = false;
  /** Parses bytes from the peer. */
  readonly reader: FrameReader;
  /** Buffers bytes to the peer. */
  readonly writer: FrameWriter;
  /** The connection. Set before the first message. */
  output!: PeerOutput;
  readonly #host: PeerHost;
  readonly #block: ReceivedBlock = { index: 0, begin: 0, source: new Uint8Array(0), at: 0, length: 0, latency: 0 };
  #phase: Phase = "opening";
  #opened = false;
  /** Port of our DHT node that was announced to the peer. */
  #dhtPort: number | null = null;
  /** Bytes of the bitfield that the peer sent before the piece count was known; `null` if it sent none. */
  #bitfieldBytes: number | null = null;
  /** Whether the peer sent have-all before the piece count was known. */
  #hasAll = false;

  constructor(host: PeerHost, options: PeerInit) {
    this.#host = host;
    this.address = options.address;
    this.network = networkOf(options.address.host);
    this.incoming = options.incoming;
    this.number = options.number;
    this.peerId = options.handshake.peerId;
    this.infoHash = options.handshake.infoHash;
    this.fast = options.handshake.fast;
    this.dht = options.handshake.dht ?? false;
    this.v2 = options.handshake.v2 ?? false;
    this.client = clientName(this.peerId);
    this.pieces = new Bitfield(host.pieceCount);
    this.writer = new FrameWriter(host.memory);
    this.requests = new Requests({ fast: this.fast, writer: this.writer });
    this.uploads = new Uploads(host, { fast: this.fast, writer: this.writer });
    this.hashRequests = new HashRequests(this.writer);
    this.hashUploads = new HashUploads((request) => host.proveHashes(this, request), {
      writer: this.writer,
      sent: () => this.flood.hashesSent(),
    });
    this.extensions = new PeerExtensions(this, host);
    this.flood = new FloodLimit(() => host.now());
    const { pieceCount, memory } = host;
    this.reader = new FrameReader(this, { pieceCount, ...(memory !== undefined && { memory }) });
    this.connectedAt =
      this.lastReceived =
      this.lastSent =
      this.lastPayload =
        host.now();
  }

  /** Whether {@linkcode Peer.address} is the peer's listen address, not just the source address of its connection. */
  get listens(): boolean {
    return !this.incoming || this.extensions.portKnown;
  }

  /** Whether the peer has all pieces. */
  get isSeed(): boolean {
    return this.pieces.isFull && !this.#isBlind;
  }

  /** Fraction of the pieces that the peer has, 0 to 1; 0 before the piece count is known. */
  get progress(): number {
    return this.#isBlind ? 0 : this.pieces.count / this.pieces.length;
  }

  get #isBlind(): boolean {
    return this.#host.pieceCount === 0;
  }

  /** `host:port`. */
  get name(): string {
    return formatAddress(this.address);
  }

  /**
   * Sends our first messages after the handshake: our pieces, the port of our DHT node, the extension handshake.
   *
   * @param have Our pieces; `null` before the metadata is known.
   * @param options See {@linkcode PeerOpenOptions}.
   */
  open(have: Bitfield | null, options: PeerOpenOptions): void {
    if (this.#opened) this.#openAgain(have);
    else if (this.fast && have?.isFull) this.writer.signal(MessageId.haveAll);
    else if (this.fast && (have === null || have.isEmpty)) this.writer.signal(MessageId.haveNone);
    else if (have !== null && !have.isEmpty) this.writer.bitfield(have.toBytes());
    this.#tellDhtPort(options.dhtPort);
    this.#opened = true;
    const uploadOnly = have?.isFull || options.done === true;
    if (options.extended) this.extensions.open({ version: options.version, port: options.port, uploadOnly });
  }

  /** Announces our ports after they have changed, as far as the peer supports that. */
  announcePorts({ port, dhtPort }: AnnouncedPorts): void {
    this.extensions.announcePort(port);
    if (this.#opened) this.#tellDhtPort(dhtPort);
    this.output.flush();
  }

  /** Announces the port of our DHT node once, and only to peers whose handshake says that they have a node (BEP 5). */
  #tellDhtPort(port: number | undefined): void {
    if (port === undefined || !this.dht || port === this.#dhtPort) return;
    this.#dhtPort = port;
    this.writer.port(port);
  }

  /** Announces pieces by haves, since a bitfield may only be the first message (BEP 3). */
  #openAgain(have: Bitfield | null): void {
    for (const index of have ?? []) this.have(index);
  }

  /**
   * Called once the piece count is known. Keeps the pieces that the peer has announced so far. {@linkcode Peer.open}
   * has to be called again.
   *
   * @throws {WireError} If the peer has announced pieces that don't exist.
   */
  learnPieceCount(): void {
    const { pieceCount } = this.#host;
    const named = this.pieces;
    this.pieces = new Bitfield(pieceCount);
    this.reader.setPieceCount(pieceCount);
    if (this.#bitfieldBytes !== null && this.#bitfieldBytes !== Math.ceil(pieceCount / 8)) {
      throw new WireError(`the bitfield does not fit ${pieceCount} pieces`);
    }
    const pieces = named.resized(pieceCount);
    if (pieces === null) throw new WireError(`it has named pieces past the last of ${pieceCount}`);
    this.pieces = pieces;
    if (this.#hasAll) pieces.setAll();
  }

  /** Chokes the peer. Its requests are dropped, and rejected if both ends support the Fast extension (BEP 6). */
  choke(): void {
    if (this.amChoking) return;
    this.amChoking = true;
    this.optimistic = false;
    this.writer.signal(MessageId.choke);
    this.uploads.rejectAll();
  }

  /** Unchokes the peer. */
  unchoke(): void {
    if (!this.amChoking) return;
    this.amChoking = false;
    this.unchokedAt = this.#host.now();
    this.writer.signal(MessageId.unchoke);
  }

  /** Tells the peer whether we are interested, if that has changed. */
  setInterested(interested: boolean): void {
    if (this.amInterested === interested) return;
    this.amInterested = interested;
    this.writer.signal(interested ? MessageId.interested : MessageId.notInterested);
  }

  /** Returns `true` if the peer would answer a request for a piece now. */
  wouldSend(index: number): boolean {
    return !this.choking || this.allowedFast.has(index);
  }

  /** Requests a block. `now` is in milliseconds. */
  request(index: number, begin: number, length: number, now: number): void {
    if (this.requests.size === 0) this.lastBlock = now;
    this.requests.ask(index, begin, length, now);
  }

  /** Announces a piece to the peer. */
  have(index: number): void {
    this.writer.pieceSignal(MessageId.have, index);
    this.flood.pieceAnnounced();
  }

  /**
   * Announces that we no longer have a piece (BEP 54), if the peer supports that, and drops the peer's requests for it.
   */
  lost(index: number): void {
    this.extensions.send("lt_donthave", encodeDontHave(index));
    this.uploads.drop(index);
  }

  /**
   * Announces that we won't download any more (BEP 21), if the peer supports that.
   *
   * @param uploadOnly `false` if we download again.
   */
  announceUploadOnly(uploadOnly = true): void {
    this.extensions.send("upload_only", Uint8Array.of(uploadOnly ? 1 : 0));
  }

  /**
   * Moves requested blocks into the send buffer, as long as there is room and the read cache has them.
   *
   * @param limit Size of the send buffer, in bytes, from which on no block is added.
   * @param payload Most bytes of blocks in the send buffer (default: no limit).
   */
  fillUploads(limit: number, payload?: number): void {
    this.uploads.fill(limit, payload)?.then(
      () => this.closed || this.output.flush(),
      (error: Error) => this.output.close(`could not read what it asked for: ${error.message}`),
    );
  }

  /** Finds hashes that the peer has asked for, for one request at a time, and sends them. */
  fillHashes(): void {
    this.hashUploads.fill()?.then(
      () => this.closed || this.output.flush(),
      (error: Error) => this.output.close(`could not find the hashes that it asked for: ${error.message}`),
    );
  }

  // The following methods are called by the frame reader.

  onKeepAlive(): void {
    this.flood.messageReceived(null);
  }

  onSignal(id: number): void {
    this.#check(id);
    switch (id) {
      case MessageId.choke:
      case MessageId.unchoke:
        if (this.choking === (id === MessageId.choke)) return;
        this.choking = !this.choking;
        return this.#host.peerChoke(this);
      case MessageId.interested:
      case MessageId.notInterested: {
        const interested = id === MessageId.interested;
        if (this.interested === interested) return;
        this.interested = interested;
        return this.#host.peerInterest(this);
      }
      case MessageId.haveAll: {
        if (this.#isBlind) return void (this.#hasAll = true);
        const all = new Bitfield(this.#host.pieceCount);
        all.setAll();
        return this.#hasAllOf(all);
      }
      default:
        if (!this.#isBlind) this.#host.peerPieces(this);
    }
  }

  onPieceSignal(id: number, index: number): void {
    this.#check(id);
    if (this.#isBlind && id === MessageId.have) return this.#named(index);
    if (index >= this.#host.pieceCount && !this.#isBlind) {
      throw new WireError(`${messageName(id)} names piece ${index} of ${this.#host.pieceCount}`);
    }
    if (id === MessageId.have) {
      if (!this.pieces.set(index)) return;
      this.flood.pieceAnnounced();
      this.#host.peerHas(this, index);
    } else if (id === MessageId.allowedFast && this.allowedFast.size < MAX_ALLOWED_FAST) {
      this.allowedFast.add(index); // blocks of the piece are requested at the end of the read
    }
  }

  onBlockSignal(id: number, index: number, begin: number, length: number): void {
    this.#check(id);
    if (this.#isBlind) return;
    if (index >= this.#host.pieceCount || begin + length > this.#host.servedSize(index)) {
      throw new WireError(`${messageName(id)} goes outside the torrent (piece ${index}, ${begin}+${length})`);
    }
    switch (id) {
      case MessageId.request:
        return this.uploads.request({ index, begin, length }, { choked: this.amChoking, now: this.#host.now() });
      case MessageId.cancel:
        return this.uploads.cancel(index, begin, length);
      default:
        if (this.requests.rejected(index, begin, length)) this.#rejected(index, begin);
    }
  }

  onBitfield(bits: Bytes): void {
    this.#check(MessageId.bitfield);
    if (this.#isBlind) {
      this.#bitfieldBytes = bits.length;
      const length = Math.max(8 * bits.length, this.pieces.length);
      const all = Bitfield.fromBytes(bits, 8 * bits.length)!.resized(length)!;
      all.addAll(this.pieces.resized(length)!);
      this.pieces = all;
      return;
    }
    const pieces = Bitfield.fromBytes(bits, this.#host.pieceCount);
    if (!pieces) throw new WireError("the bitfield has bits set past the last piece");
    this.#hasAllOf(pieces);
  }

  onBlock(index: number, begin: number, source: Bytes, at: number, length: number): void {
    this.#check(MessageId.piece);
    if (index >= this.#host.pieceCount || begin + length > this.#host.pieceSize(index) || begin % BLOCK_SIZE !== 0) {
      throw new WireError(`a block lies outside the torrent (piece ${index}, ${begin}+${length})`);
    }
    const now = this.lastReceived; // read the clock once per read, not once per block
    this.down.add(length);
    this.flood.blockReceived(length);
    this.lastPayload = now;
    const block = this.#block;
    block.index = index;
    block.begin = begin;
    block.source = source;
    block.at = at;
    block.length = length;
    block.latency = this.requests.answered(index, begin, length, now);
    if (block.latency >= 0) this.lastBlock = now;
    this.#host.peerBlock(this, block);
  }

  onPort(port: number): void {
    this.#check(MessageId.port);
    if (port !== 0) this.#host.peerNode(this, port);
  }

  onExtended(id: number, payload: Bytes): void {
    this.#check(MessageId.extended);
    this.extensions.received(id, payload);
  }

  onHashMessage(id: number, payload: Bytes): void {
    if (!this.v2) return this.onUnknown(id);
    this.#check(id);
    const now = this.lastReceived;
    if (id === MessageId.hashRequest) {
      this.hashUploads.request(parseHashRequest(payload));
      return this.output.flush();
    }
    if (id === MessageId.hashReject) {
      const request = parseHashRequest(payload);
      this.hashRequests.answered(request, now);
      return this.#host.peerHashReject(this, request);
    }
    const hashes = parseHashes(payload);
    const latency = this.hashRequests.answered(hashes, now);
    this.flood.hashesReceived();
    this.lastPayload = now;
    this.#host.peerHashes(this, hashes, latency);
  }

  onUnknown(id: number): void {
    this.#check(id);
  }

  /** Handles a have before the piece count is known. */
  #named(index: number): void {
    const most = 8 * MAX_UNKNOWN_BITFIELD;
    if (index >= most) throw new WireError(`have names piece ${index}, which is more than there can be`);
    if (index >= this.pieces.length) this.pieces = this.pieces.resized(Math.min(most, 2 * index + 512))!;
    this.pieces.set(index);
  }

  #rejected(index: number, begin: number): void {
    const before = this.turnedDown;
    this.#host.peerRejected(this, index, begin);
    if (this.turnedDown > before) this.requests.rejectedWhileUnchoked();
  }

  /**
   * Adds pieces of a bitfield or have-all. A later one (see message_rules.ts) is treated as haves, so that the peer
   * loses no pieces.
   */
  #hasAllOf(pieces: Bitfield): void {
    const told = !this.pieces.isEmpty;
    for (const index of this.pieces.addAll(pieces)) if (told) this.#host.peerHas(this, index);
    if (!told) this.#host.peerPieces(this);
  }

  #check(id: number): void {
    this.flood.messageReceived(id);
    this.#phase = nextPhase(this.#phase, id, this.fast);
  }
}
