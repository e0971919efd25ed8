/**
 * A torrent of which only the info-hash is known: finds out from peers what it holds (BEP 9), and nothing else.
 *
 * Peers are connected to as for a download, but what they say of pieces can't be understood yet. When the metadata is here
 * the connections go over to the download. (To end them and make new ones costs more than a round trip: Transmission and
 * aria2 refuse somebody whose last connection they have not yet seen ending, for half a second or more.)
 *
 * @module
 */

import type { PeerAddress } from "../base/address.ts";
import { type Bytes, equalBytes } from "../base/bytes.ts";
import type { InfoHash } from "../base/info_hash.ts";
import { MUTE_MS } from "../base/limits.ts";
import {
  encodeMetadataReject,
  encodeMetadataRequest,
  type Extension,
  type Handshake,
  parseMetadataMessage,
  type Peer,
  type PeerHost,
  type PeerStream,
  type ReadShare,
  type ThrottleParties,
  type Transport,
} from "../peer/mod.ts";
import type { Platform, Timer } from "../platform/platform.ts";
import type { PeerSource } from "./candidate_table.ts";
import { ConnectionManager, type ConnectionPolicy } from "./connection_manager.ts";
import { type DhtContact, nodePort } from "./dht_contact.ts";
import type { TorrentEvent } from "./events.ts";
import type { MetadataBudget } from "./metadata_budget.ts";
import { MetadataDownload } from "./metadata_download.ts";
import { PeerSet } from "./peer_set.ts";

/** Milliseconds between two turns of the regular work. */
const TICK_MS = 500;
/** With fewer peers than this more are asked for. */
const FEW_PEERS = 10;
/** Why a liar is sent away. */
const LIED = "it sent wrong metadata";

/** What a {@linkcode MetadataSwarm} is made of. */
export interface MetadataSwarmOptions extends ConnectionPolicy {
  /** The outside. */
  readonly platform: Platform;
  /** Which torrent. */
  readonly infoHash: InfoHash;
  /** How to reach peers. */
  readonly transport: Transport;
  /** 20 bytes that name this run. */
  readonly peerId: Bytes;
  /** Client name and version, told to peers. */
  readonly version: string;
  /** TCP port on which the session listens. */
  readonly port: number;
  /** Memory for what peers send; the session's. */
  readonly memory: MetadataBudget;
  /** When to give way to others than peers. */
  readonly reads: ReadShare;
  /** How fast its peers may be when the download has taken them over. */
  readonly limits?: ThrottleParties;
  /** Our node of the DHT; absent when there is none. */
  readonly dht?: DhtContact;
  /** There are few peers. */
  readonly needPeers: () => void;
  /** Takes the info dictionary, once; its hash is right. */
  readonly found: (info: Bytes) => void;
  /** Takes what happens. */
  readonly emit: (event: TorrentEvent) => void;
}

/** The swarm of a torrent without metadata. */
export class MetadataSwarm implements PeerHost {
  readonly pieceCount = 0;
  readonly metadataSize = 0;
  readonly extensions: readonly Extension<Peer>[];
  readonly #options: MetadataSwarmOptions;
  readonly #peers: PeerSet;
  readonly #download: MetadataDownload<Peer>;
  #tick: Timer | null = null;
  #found = false;
  #stopped = false;

  /**
   * @param options Its parts.
   */
  constructor(options: MetadataSwarmOptions) {
    const { platform, infoHash } = options;
    this.#options = options;
    this.extensions = [{ name: "ut_metadata", received: (peer, payload) => this.#received(peer, payload) }];
    this.#download = new MetadataDownload({
      budget: options.memory,
      isRight: (parts) => {
        const digest = platform.digest("sha1");
        for (const part of parts) digest.update(part);
        return equalBytes(digest.digest(), infoHash.bytes);
      },
    });
    this.#peers = new PeerSet({
      platform,
      transport: options.transport,
      reads: options.reads,
      limits: options.limits,
      host: this,
      events: {
        joined: (peer, extended) => this.#joined(peer, extended),
        batch: (peer) => this.#ask(peer),
        left: (peer) => this.#left(peer),
        prospects: () => "good",
        emit: options.emit,
      },
      handshake: this.handshake,
      manager: new ConnectionManager({ ...options, random: () => platform.random() }),
    });
  }

  /** What we say when a connection opens. */
  get handshake(): Handshake {
    return {
      infoHash: this.#options.infoHash,
      peerId: this.#options.peerId,
      fast: true,
      extended: true,
      dht: this.#options.dht !== undefined,
    };
  }

  /** Part of the metadata that is here, 0 to 1. */
  get progress(): number {
    return this.#download.progress;
  }

  /** How many more peers would be welcome. */
  get wantedPeers(): number {
    return this.#peers.room;
  }

  /** Every open connection. */
  peers(): Iterable<Peer> {
    return this.#peers.all;
  }

  /** Goes to work. */
  start(): void {
    this.#scheduleTick();
  }

  /** Takes note of peers that somebody named. */
  addPeers(addresses: Iterable<PeerAddress>, source?: PeerSource): void {
    this.#peers.add(addresses, source);
  }

  /** Why a peer at this address would not be accepted, or `null`. */
  refuses(host: string): string | null {
    return this.#stopped ? "the torrent is not at work" : this.#peers.refuses(host);
  }

  /** Takes over a connection that was made to us, after its handshake. */
  accept(connection: PeerStream, theirs: Handshake): void {
    this.#peers.accept(connection, theirs);
  }

  /**
   * Ends the search, but not its connections.
   *
   * @returns Them, and what is known of other peers.
   */
  release(): PeerSet {
    this.settle();
    this.#stopped = true;
    this.#tick?.cancel();
    return this.#peers;
  }

  /** The metadata came from elsewhere: nobody is asked any more, and memory is given back. Connections stay. */
  settle(): void {
    this.#found = true;
    this.#download.stop();
  }

  /** Closes everything. */
  stop(): void {
    this.#stopped = true;
    this.#tick?.cancel();
    this.#peers.stop();
    this.#download.stop();
  }

  /** Closes every connection and lets nobody in, or goes on. */
  setPaused(paused: boolean): void {
    this.#peers.setPaused(paused);
  }

  #joined(peer: Peer, extended: boolean): void {
    if (!extended) return peer.output.close("it can't give us the metadata, since it speaks no extensions");
    const { version, dht } = this.#options;
    const node = peer.dht && dht && { dhtPort: nodePort(this.#options, peer.address.host) };
    peer.open(null, { extended, version, port: this.#portFor(peer), ...node });
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
    this.#download.left(peer, this.now());
    if (this.#stopped || this.#found) return;
    this.#askAll();
    if (this.#peers.size < FEW_PEERS) this.#options.needPeers();
  }

  /** @returns Whether there was something to ask for. */
  #ask(peer: Peer): boolean {
    const parts = this.#found ? [] : this.#download.ask(peer, this.now());
    for (const part of parts) peer.extensions.send("ut_metadata", encodeMetadataRequest(part));
    return parts.length > 0;
  }

  #askAll(): void {
    for (const peer of this.#download.order(this.now())) if (this.#ask(peer)) peer.output.flush();
  }

  #received(peer: Peer, payload: Bytes): void {
    const message = parseMetadataMessage(payload);
    if (message.type === "request") {
      return void peer.extensions.send("ut_metadata", encodeMetadataReject(message.part));
    }
    if (this.#found) return;
    if (message.type === "reject") return this.#download.rejected(peer, message.part, this.now());
    if (message.type !== "data") return;
    const progress = this.#download.received(peer, message.part, { ...message, now: this.now() });
    if (progress.kind !== "unwanted") {
      peer.chatter.brought(payload.length);
      peer.lastPayload = this.now();
    }
    if (progress.kind === "done") {
      this.#found = true;
      return this.#options.found(progress.info);
    }
    if (progress.kind === "lie") this.#punish(progress);
    if (progress.kind === "lie" || progress.kind === "distrust") this.#askAll();
  }

  /** Somebody else at the same address may be honest. */
  #punish({ liar, ban }: { readonly liar: Peer; readonly ban: boolean }): void {
    if (ban) this.#peers.ban(liar.address.host, LIED);
    else liar.output.close(LIED);
  }

  #scheduleTick(): void {
    const { platform } = this.#options;
    this.#tick = platform.after(TICK_MS, () => {
      const now = platform.now();
      // Whoever doesn't answer has to make room as soon as others wait.
      for (const peer of this.#download.silent(now)) peer.lastPayload = Math.min(peer.lastPayload, now - MUTE_MS - 1);
      this.#peers.tick(now, { settled: this.#found });
      this.#askAll();
      if (!this.#stopped) this.#scheduleTick();
    });
  }

  // The peer's side: PeerHost. Nobody knows of pieces here, and none is asked for or given.

  now(): number {
    return this.#options.platform.now();
  }

  peerIntroduced(peer: Peer): void {
    this.#peers.introduced(peer);
    const { metadataSize } = peer.extensions;
    if (metadataSize > 0 && peer.extensions.speaks("ut_metadata")) {
      this.#download.offered(peer, metadataSize, this.now());
    }
  }

  peerNode(peer: Peer, port: number): void {
    this.#options.dht?.addNode({ host: peer.address.host, port });
  }

  pieceSize(): number {
    return 0;
  }

  peerHas(): void {}

  peerPieces(): void {}

  peerChoke(): void {}

  peerInterest(): void {}

  peerBlock(): void {}

  peerRejected(): void {}

  canServe(): boolean {
    return false;
  }

  readBlock(): boolean {
    return false;
  }

  loadBlock(): Promise<void> {
    return Promise.resolve();
  }
}
