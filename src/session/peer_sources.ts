/**
 * Where the peers of one torrent come from, from its first start to its end: one presence with the trackers, whatever the torrent
 * is doing. Trackers may be other ones at any time.
 *
 * @module
 */

import type { PeerAddress } from "../base/address.ts";
import type { Bytes } from "../base/bytes.ts";
import type { InfoHash } from "../base/info_hash.ts";
import type { DhtStatus, TorrentAnnouncer } from "../dht/mod.ts";
import type { LocalDiscovery } from "../lsd/local_discovery.ts";
import type { Platform } from "../platform/platform.ts";
import type { PeerFinder, PeerSource } from "../swarm/mod.ts";
import type { AnnounceProgress, TrackerEncryption } from "../tracker/announce_request.ts";
import { Announcer, FAREWELL_MS, type TrackerReport, type TrackerStatus } from "../tracker/announcer.ts";
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
  /** Announce URLs in tiers, to begin with. */
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

/** What each way of finding peers has brought lately, and when it is tried next: plain data. */
export interface SourceStatus {
  /** Whether peers are looked for; not before the start, in a pause, or after the end. */
  readonly active: boolean;
  /** The trackers, in the order of their tiers. */
  readonly trackers: readonly TrackerStatus[];
  /** The DHT; `null` when it is off or the torrent is private. */
  readonly dht: DhtStatus | null;
  /** Local service discovery; `null` when it is off or the torrent is private. */
  readonly lsd: LsdStatus | null;
}

/** How it goes with local service discovery. */
export interface LsdStatus {
  /** How often a neighbour was heard that is at work on the torrent. */
  readonly heard: number;
  /** Milliseconds until it is announced next; `null` while it isn't. */
  readonly nextIn: number | null;
}

/**
 * Finds peers for one torrent, and lets others find us, from its first start to its end; a pause is told to trackers, and the others are left.
 */
export class PeerSources implements PeerFinder {
  readonly #options: PeerSourcesOptions;
  readonly #announcer: Announcer;
  #dht: TorrentAnnouncer | null = null;
  /** How often a neighbour was heard. */
  #heard = 0;
  #isStarted = false;
  #isPaused = false;
  #isStopped = false;
  /** Whether trackers alone may know of it, as the torrent says or as it turned out. */
  #isPrivate = false;

  /**
   * @param options What it needs.
   */
  constructor(options: PeerSourcesOptions) {
    this.#options = options;
    const { platform, infoHash, peerId, port, bind, encryption, udp, trackers } = options;
    this.#announcer = new Announcer({
      platform,
      tiers: trackers,
      isPrivate: () => this.#trackersOnly,
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
  }

  /** Announce URLs in tiers, as they are now. */
  get trackers(): readonly (readonly string[])[] {
    return this.#announcer.tiers;
  }

  /**
   * Takes other trackers from now on: those that are there already are left alone, those that are named no more are told that we
   * leave, and new ones are asked at once, or when it is their turn if the torrent is private.
   *
   * @param tiers Announce URLs in tiers. One that comes twice counts where it comes first.
   */
  setTrackers(tiers: readonly (readonly string[])[]): void {
    this.#announcer.setTiers(tiers);
  }

  /** Asks more trackers; those that are known already are left out. A torrent file may name others than the link to it. */
  addTrackers(tiers: readonly (readonly string[])[]): void {
    this.#announcer.addTiers(tiers);
  }

  /** Begins, after the pause if it is paused. Harmless when called again. */
  start(): void {
    this.#isStarted = true;
    this.#goOn();
  }

  /** Takes leave of trackers, and of the others without a word, until {@linkcode PeerSources.resume}. Harmless when called again. */
  pause(): void {
    this.#isPaused = true;
    this.#announcer.pause();
    this.#leaveOthers();
  }

  /** Goes on after a pause; a tracker that is still being told of it hears of us after that. Harmless when called again. */
  resume(): void {
    this.#isPaused = false;
    this.#goOn();
  }

  /** The torrent of a magnet link turned out to be private: nobody but its trackers hears of it any more. */
  keepPrivate(): void {
    this.#isPrivate = true;
    this.#leaveOthers();
  }

  /**
   * The download is complete. Trackers are told the first time, and only if it wasn't complete when they were first asked: what was
   * found by a check, or is complete since less is wanted, is no download. Not to be called for these, nor while bytes of the torrent are
   * missing that nobody wants (BEP 21).
   */
  completed(): void {
    this.#announcer.completed();
  }

  /** The port at which others reach us is another one. Neighbours are told the one on which we listen. */
  moved(): void {
    this.#announcer.moved();
    this.#dht?.needPeers();
  }

  /** Asks for more peers as soon as that is allowed. */
  needPeers(): void {
    if (!this.#isActive) return;
    this.#announcer.needPeers();
    this.#dht?.needPeers();
  }

  /** How it goes with each of them. */
  status(): SourceStatus {
    const { local, dht, infoHash } = this.#options;
    const others = !this.#trackersOnly;
    return {
      active: this.#isActive,
      trackers: this.#announcer.status(),
      dht: others && dht ? this.#dht?.status() ?? NEVER_ASKED : null,
      lsd: others && local ? { heard: this.#heard, nextIn: local.nextIn(infoHash) } : null,
    };
  }

  /**
   * Takes leave for good.
   *
   * @param deadlineMs Milliseconds after which it settles whatever happens.
   * @returns Settles when all is told or the time is over. Never rejects.
   */
  stop(deadlineMs: number = FAREWELL_MS): Promise<void> {
    this.#isStopped = true;
    this.#leaveOthers();
    return this.#announcer.stop(deadlineMs);
  }

  get #isActive(): boolean {
    return this.#isStarted && !this.#isPaused && !this.#isStopped;
  }

  get #trackersOnly(): boolean {
    return this.#isPrivate || this.#options.isPrivate();
  }

  #goOn(): void {
    if (!this.#isActive) return;
    this.#announcer.start();
    if (this.#trackersOnly) return;
    const { infoHash, port, dht, local, progress } = this.#options;
    local?.add(infoHash, {
      port,
      onPeer: (address) => {
        this.#heard++;
        this.#found([address], "lsd");
      },
    });
    const isSeed = () => progress().left === 0;
    this.#dht ??= dht?.announcer({ infoHash, isSeed, onPeers: (peers) => this.#found(peers, "dht") }) ?? null;
    this.#dht?.start();
  }

  #leaveOthers(): void {
    this.#dht?.stop();
    this.#options.local?.remove(this.#options.infoHash);
  }

  #found(addresses: readonly PeerAddress[], source: PeerSource): void {
    if (this.#isActive && !this.#trackersOnly) this.#options.onPeers(addresses, source);
  }
}

/** The DHT before it was first asked for a torrent. */
const NEVER_ASKED: DhtStatus = { state: "stopped", last: null, answeredAgo: null, nextIn: null };
