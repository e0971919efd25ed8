/**
 * Where the peers of one torrent come from. Outlives the swarm that it feeds: a magnet link has one swarm to get the
 * metadata from and another for the data, but one presence with the trackers.
 *
 * @module
 */

import type { PeerAddress } from "../base/address.ts";
import type { Bytes } from "../base/bytes.ts";
import type { InfoHash } from "../base/info_hash.ts";
import type { TorrentAnnouncer } from "../dht/mod.ts";
import type { LocalDiscovery } from "../discovery/local_discovery.ts";
import type { Platform } from "../platform/platform.ts";
import type { PeerSource } from "../swarm/mod.ts";
import type { AnnounceProgress, TrackerEncryption } from "../tracker/announce_request.ts";
import { Announcer, type TrackerReport } from "../tracker/announcer.ts";
import type { UdpTrackers } from "../tracker/udp_trackers.ts";
import type { DhtService } from "./dht_service.ts";

/** What the sources need. */
export interface PeerSourcesOptions {
  /** The outside. */
  readonly platform: Platform;
  /** Which torrent. */
  readonly infoHash: InfoHash;
  /** Our 20 bytes. */
  readonly peerId: Bytes;
  /** The port on which the session listens. */
  readonly port: number;
  /** The port at which a literal address reaches us, which is another one when a gateway maps it. */
  readonly portFor: (host: string) => number;
  /** Local address to connect from. */
  readonly bind?: string;
  /** What trackers are told of our encryption. */
  readonly encryption?: TrackerEncryption;
  /** The session's way to UDP trackers. */
  readonly udp: UdpTrackers;
  /** Announce URLs in tiers. */
  readonly trackers: readonly (readonly string[])[];
  /** Whether all of them are asked rather than one after the other; asked each time. */
  readonly askAllTrackers: () => boolean;
  /** Whether it is known to be a private torrent: then trackers alone name peers (BEP 27). */
  readonly isPrivate: () => boolean;
  /** Our node of the DHT, when there is one. */
  readonly dht: DhtService | null;
  /** Finds neighbours, when that is wanted. */
  readonly local: LocalDiscovery | null;
  /** How far we are, asked before each announce. */
  progress(): AnnounceProgress;
  /** How many more peers would be welcome; 0 for none. */
  wantedPeers(): number;
  /** Bytes that have come so far while more are wanted, else `null`. */
  received(): number | null;
  /** Takes the peers that were found. */
  readonly onPeers: (addresses: readonly PeerAddress[], source: PeerSource) => void;
  /** Is told of each announce. */
  onReport(report: TrackerReport): void;
}

/** Finds peers for one torrent until it is stopped, and lets others find us. */
export class PeerSources {
  readonly #options: PeerSourcesOptions;
  /** One for the trackers that were known at first, one more each time that others were named. */
  readonly #announcers: Announcer[] = [];
  readonly #trackers = new Set<string>();
  #started = false;
  #dht: TorrentAnnouncer | null = null;

  /**
   * @param options What it needs.
   */
  constructor(options: PeerSourcesOptions) {
    this.#options = options;
    this.addTrackers(options.trackers);
  }

  /** Asks more trackers; those that are known already are left out. A torrent file may name others than the link to it. */
  addTrackers(tiers: readonly (readonly string[])[]): void {
    const others = tiers.map((tier) => tier.filter((url) => !this.#trackers.has(url))).filter(({ length }) =>
      length > 0
    );
    if (others.length === 0) return;
    for (const url of others.flat()) this.#trackers.add(url);
    const options = this.#options;
    const { platform, infoHash, peerId, port, bind, encryption, udp } = options;
    const announcer = new Announcer({
      platform,
      tiers: others,
      isPrivate: () => options.isPrivate(),
      askAll: () => options.askAllTrackers(),
      infoHash,
      peerId,
      port,
      portFor: (host) => options.portFor(host),
      ...(bind !== undefined && { bind }),
      ...(encryption && { encryption }),
      udp,
      progress: () => options.progress(),
      wantedPeers: () => options.wantedPeers(),
      received: () => options.received(),
      onPeers: (addresses) => options.onPeers(addresses, "tracker"),
      onReport: (report) => options.onReport(report),
    });
    this.#announcers.push(announcer);
    if (this.#started) announcer.start();
  }

  /** Begins. Harmless when called again. */
  start(): void {
    const { infoHash, port, dht, local, isPrivate, onPeers, progress } = this.#options;
    this.#started = true;
    for (const announcer of this.#announcers) announcer.start();
    if (isPrivate()) return;
    local?.add(infoHash, { port, onPeer: (address) => onPeers([address], "lsd") });
    const isSeed = () => progress().left === 0;
    this.#dht ??= dht?.announcer({ infoHash, isSeed, onPeers: (addresses) => onPeers(addresses, "dht") }) ?? null;
    this.#dht?.start();
  }

  /** The torrent of a magnet link turned out to be private: nobody but its trackers hears of it any more. */
  keepPrivate(): void {
    this.#dht?.stop();
    this.#options.local?.remove(this.#options.infoHash);
  }

  /** The download is complete. */
  completed(): void {
    for (const announcer of this.#announcers) announcer.completed();
  }

  /** The port at which others reach us is another one. Neighbours are told the one on which we listen. */
  moved(): void {
    for (const announcer of this.#announcers) announcer.moved();
    this.#dht?.needPeers();
  }

  /** Asks for more peers as soon as that is allowed. */
  needPeers(): void {
    for (const announcer of this.#announcers) announcer.needPeers();
    this.#dht?.needPeers();
  }

  /**
   * Takes leave.
   *
   * @param deadlineMs Milliseconds after which it settles whatever happens.
   * @returns Settles when all is told or the time is over. Never rejects.
   */
  async stop(deadlineMs: number): Promise<void> {
    this.#dht?.stop();
    this.#options.local?.remove(this.#options.infoHash);
    await Promise.all(this.#announcers.map((announcer) => announcer.stop(deadlineMs)));
  }
}
