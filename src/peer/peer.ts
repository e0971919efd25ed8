/**
 * One peer connection without its socket: messages in, decisions and messages out.
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
import type { Handshake } from "../wire/handshake.ts";
import { BLOCK_SIZE, MessageId, messageName, WireError } from "../wire/messages.ts";
import { FloodLimit } from "./flood_limit.ts";
import { clientName } from "./client_name.ts";
import { PeerExtensions } from "./extension_protocol.ts";
import type { PeerOutput, SwarmOf } from "./peer_host.ts";
import { RateMeter } from "./rate_meter.ts";
import { type ReceivedBlock, Requests } from "./requests.ts";
import { nextPhase, type Phase } from "./message_rules.ts";
import { Uploads } from "./uploads.ts";

/** What a peer needs to know and tell. */
export type PeerHost = SwarmOf<Peer>;

/**
 * State of one connection (BEP 3, 6, 10, 21). The fields that the swarm decides on are plain properties; what goes over
 * the wire goes through methods, so that state and messages can't differ.
 */
export class Peer implements MessageHandler {
  /** Where it is; the port is the one it listens on once that is known. */
  address: PeerAddress;
  /** It connected to us. */
  readonly incoming: boolean;
  /** Number of this connection, never used twice in a torrent. */
  readonly number: number;
  /** 20 bytes. */
  readonly peerId: Bytes;
  /** Both ends speak the Fast extension (BEP 6). */
  readonly fast: boolean;
  /** It would like to know where our node of the DHT is (BEP 5). */
  readonly dht: boolean;
  /** When the connection was made. */
  readonly connectedAt: number;
  /** What stands for its address where limits and bans are concerned: see {@linkcode networkOf}. */
  readonly network: string;
  /** What it has; until it is known how many pieces there are, as many as it has named. */
  pieces: Bitfield;
  /** Name and version; empty when unknown. */
  client: string;
  /** It told us that it won't download (BEP 21). */
  uploadOnly = false;
  /** It chokes us. */
  choking = true;
  /** It is interested in what we have. */
  interested = false;
  /** We choke it. */
  amChoking = true;
  /** We are interested in what it has. */
  amInterested = false;
  /** It holds an optimistic unchoke slot. */
  optimistic = false;
  /** It took too long to answer. */
  snubbed = false;
  /** What it sent was right so far; kept by the download. */
  proven = false;
  /** It owes us blocks for some time; kept by the download. */
  quiet = false;
  /** It had a part in several pieces that were wrong, so it isn't mixed with others; kept by the download. */
  onParole = false;
  /** We don't read what it sends, since a limit is used up. */
  held = false;
  /** Bytes a second that the limit would let it send; Infinity without one. */
  allowed = Infinity;
  /** Pieces that it has and we lack; kept by the swarm. */
  wanted = 0;
  /** When we last unchoked it. */
  unchokedAt = -Infinity;
  /** When the last read came; while it is parsed, the time that it is. */
  lastReceived: number;
  /** When the last bytes went out. */
  lastSent: number;
  /** When the last block that we asked for came, or the first request went out after a pause. */
  lastBlock = 0;
  /** When payload last went either way. */
  lastPayload: number;
  /** Requests that it turned down although it doesn't choke us, since the last regular turn. */
  turnedDown = 0;
  /** Whether one request more than its share is to show if it has dropped the others; kept by the download. */
  probed = false;
  /** State of the picker in which it had nothing for us; kept by the download. */
  fruitless = -1;
  /** Blocks that we asked for. */
  readonly requests: Requests;
  /** Blocks that it asked for. */
  readonly uploads: Uploads;
  /** Pieces that it sends although it chokes us (BEP 6). */
  readonly allowedFast = new Set<number>();
  /** What it speaks beyond the basic protocol (BEP 10). */
  readonly extensions: PeerExtensions<Peer>;
  /** What it may still say. */
  readonly flood: FloodLimit;
  /** Payload from it. */
  readonly down = new RateMeter();
  /** Payload to it. */
  readonly up = new RateMeter();
  /** `true` once the connection is over. */
  closed = false;
  /** Bytes from the peer. */
  readonly reader: FrameReader;
  /** Bytes to the peer. */
  readonly writer = new FrameWriter();
  /** The socket; set before the first message. */
  output!: PeerOutput;
  readonly #host: PeerHost;
  readonly #block: ReceivedBlock = { index: 0, begin: 0, source: new Uint8Array(0), at: 0, length: 0, latency: 0 };
  #phase: Phase = "opening";
  #opened = false;
  /** Where we said that our node of the DHT is. */
  #dhtPort: number | null = null;
  /** Bytes of the bitfield that it sent before it was known how many pieces there are; `null` when it sent none. */
  #bitfieldBytes: number | null = null;
  /** It said that it has everything before it was known how much that is. */
  #hasAll = false;

  /**
   * @param host The swarm.
   * @param options `address`: where it is. `incoming`: who connected. `handshake`: what it said. `number`: of this connection.
   */
  constructor(
    host: PeerHost,
    options: {
      readonly address: PeerAddress;
      readonly incoming: boolean;
      readonly handshake: Handshake;
      readonly number: number;
    },
  ) {
    this.#host = host;
    this.address = options.address;
    this.network = networkOf(options.address.host);
    this.incoming = options.incoming;
    this.number = options.number;
    this.peerId = options.handshake.peerId;
    this.fast = options.handshake.fast;
    this.dht = options.handshake.dht ?? false;
    this.client = clientName(this.peerId);
    this.pieces = new Bitfield(host.pieceCount);
    this.requests = new Requests({ fast: this.fast, writer: this.writer });
    this.uploads = new Uploads(host, { fast: this.fast, writer: this.writer });
    this.extensions = new PeerExtensions(this, host);
    this.flood = new FloodLimit(() => host.now());
    this.reader = new FrameReader(this, { pieceCount: host.pieceCount });
    this.connectedAt =
      this.lastReceived =
      this.lastSent =
      this.lastPayload =
        host.now();
  }

  /** Whether {@linkcode Peer.address} is where it listens, not just where its connection comes from. */
  get listens(): boolean {
    return !this.incoming || this.extensions.portKnown;
  }

  /** It has everything. */
  get isSeed(): boolean {
    return this.pieces.isFull && !this.#isBlind;
  }

  /** The part of the torrent that it has, 0 to 1; 0 while nobody knows how many pieces there are. */
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
   * Our opening words after the handshake: extension handshake, then what we have.
   *
   * @param have What we have; `null` for nothing, when it isn't known what there is.
   * @param options `extended`: it speaks BEP 10. `version`: our name. `port`: where we listen. `dhtPort`: where our node of the
   * DHT is, for a peer that has one, too. `done`: we want no more.
   */
  open(
    have: Bitfield | null,
    options: {
      readonly extended: boolean;
      readonly version: string;
      readonly port: number;
      readonly dhtPort?: number;
      readonly done?: boolean;
    },
  ): void {
    if (this.#opened) this.#openAgain(have);
    else if (this.fast && have?.isFull) this.writer.signal(MessageId.haveAll);
    else if (this.fast && (have === null || have.isEmpty)) this.writer.signal(MessageId.haveNone);
    else if (have !== null && !have.isEmpty) this.writer.bitfield(have.toBytes());
    this.#tellDhtPort(options.dhtPort);
    this.#opened = true;
    const uploadOnly = have?.isFull || options.done === true;
    if (options.extended) this.extensions.open({ version: options.version, port: options.port, uploadOnly });
  }

  /**
   * It reaches us at other ports than we said: tells it, as far as it takes that.
   *
   * @param ports `port`: where we listen. `dhtPort`: where our node of the DHT is.
   */
  announcePorts({ port, dhtPort }: { readonly port: number; readonly dhtPort?: number }): void {
    this.extensions.announcePort(port);
    if (this.#opened) this.#tellDhtPort(dhtPort);
    this.output.flush();
  }

  /** Each port once, and to none that hasn't said in its handshake that it has a node (BEP 5). */
  #tellDhtPort(port: number | undefined): void {
    if (port === undefined || !this.dht || port === this.#dhtPort) return;
    this.#dhtPort = port;
    this.writer.port(port);
  }

  /** It is too late for a bitfield (BEP 3). */
  #openAgain(have: Bitfield | null): void {
    for (const index of have ?? []) this.have(index);
  }

  /**
   * It is known now how many pieces there are. What it has said of them so far counts from here on. It has to be opened again.
   *
   * @throws {WireError} If it has named pieces that aren't there.
   */
  learnPieceCount(): void {
    const { pieceCount } = this.#host;
    const named = this.pieces;
    this.pieces = new Bitfield(pieceCount);
    this.reader.setPieceCount(pieceCount);
    if (this.#bitfieldBytes !== null && this.#bitfieldBytes !== Math.ceil(pieceCount / 8)) {
      throw new WireError(`the bitfield is none of ${pieceCount} pieces`);
    }
    const pieces = named.resized(pieceCount);
    if (pieces === null) throw new WireError(`it has named pieces past the last of ${pieceCount}`);
    this.pieces = pieces;
    if (this.#hasAll) pieces.setAll();
  }

  /** Chokes it: what it asked for is dropped, and rejected where it speaks BEP 6. */
  choke(): void {
    if (this.amChoking) return;
    this.amChoking = true;
    this.optimistic = false;
    this.writer.signal(MessageId.choke);
    this.uploads.rejectAll();
  }

  /** Unchokes it. */
  unchoke(): void {
    if (!this.amChoking) return;
    this.amChoking = false;
    this.unchokedAt = this.#host.now();
    this.writer.signal(MessageId.unchoke);
  }

  /** Tells it whether we are interested, when that changed. */
  setInterested(interested: boolean): void {
    if (this.amInterested === interested) return;
    this.amInterested = interested;
    this.writer.signal(interested ? MessageId.interested : MessageId.notInterested);
  }

  /** Whether it would answer a request for a piece now. */
  wouldSend(index: number): boolean {
    return !this.choking || this.allowedFast.has(index);
  }

  /** Asks for a block; `now`: milliseconds. */
  request(index: number, begin: number, length: number, now: number): void {
    if (this.requests.size === 0) this.lastBlock = now;
    this.requests.ask(index, begin, length, now);
  }

  /** Tells it that we have a piece. */
  have(index: number): void {
    this.writer.pieceSignal(MessageId.have, index);
    this.flood.news();
  }

  /** Tells it that we haven't a piece any more (BEP 54), if it wants to know; what it asked for of it isn't sent. */
  lost(index: number): void {
    this.extensions.send("lt_donthave", encodeDontHave(index));
    this.uploads.drop(index);
  }

  /**
   * Tells it that we won't download anything more (BEP 21), if it wants to know.
   *
   * @param uploadOnly `false` when we do after all.
   */
  announceUploadOnly(uploadOnly = true): void {
    this.extensions.send("upload_only", Uint8Array.of(uploadOnly ? 1 : 0));
  }

  /**
   * Moves blocks that it asked for into the send buffer, as far as there is room and the read cache has them.
   *
   * @param limit Bytes in the send buffer past which nothing is added; `payload`: most bytes of blocks in it.
   */
  fillUploads(limit: number, payload?: number): void {
    this.uploads.fill(limit, payload)?.then(
      () => this.closed || this.output.flush(),
      (error: Error) => this.output.close(`could not read what it asked for: ${error.message}`),
    );
  }

  // What follows is called by the frame reader.

  onKeepAlive(): void {
    this.flood.heard(null);
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
      this.flood.news();
      this.#host.peerHas(this, index);
    } else if (id === MessageId.allowedFast && this.allowedFast.size < MAX_ALLOWED_FAST) {
      this.allowedFast.add(index); // what it is good for is asked for at the end of the read
    }
  }

  onBlockSignal(id: number, index: number, begin: number, length: number): void {
    this.#check(id);
    if (this.#isBlind) return;
    if (index >= this.#host.pieceCount || begin + length > this.#host.pieceSize(index)) {
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
    const now = this.lastReceived; // the clock is asked once a read, not once a block
    this.down.add(length);
    this.flood.brought(length);
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

  onUnknown(id: number): void {
    this.#check(id);
  }

  /** It has a piece, while nobody knows how many there are. */
  #named(index: number): void {
    const most = 8 * MAX_UNKNOWN_BITFIELD;
    if (index >= most) throw new WireError(`have names piece ${index}, which is more than there can be`);
    if (index >= this.pieces.length) this.pieces = this.pieces.resized(Math.min(most, 2 * index + 512))!;
    this.pieces.set(index);
  }

  #rejected(index: number, begin: number): void {
    const before = this.turnedDown;
    this.#host.peerRejected(this, index, begin);
    if (this.turnedDown > before) this.requests.turnedDown();
  }

  /** What is told later than at first (see message_rules.ts) is taken like as many haves: nobody loses pieces. */
  #hasAllOf(pieces: Bitfield): void {
    const told = !this.pieces.isEmpty;
    for (const index of this.pieces.addAll(pieces)) if (told) this.#host.peerHas(this, index);
    if (!told) this.#host.peerPieces(this);
  }

  #check(id: number): void {
    this.flood.heard(id);
    this.#phase = nextPhase(this.#phase, id, this.fast);
  }
}
