/**
 * Finds peers for one torrent through trackers, the DHT and local service discovery, from the torrent's first start to
 * its end. The torrent stays one client to its trackers through pauses, errors and changes of the tracker list.
 *
 * @module
 */

import type { PeerAddress } from "../base/address.ts";
import type { Bytes } from "../base/bytes.ts";
import type { InfoHash } from "../base/info_hash.ts";
import type { InfoHashes } from "../base/info_hashes.ts";
import type { DhtStatus, TorrentAnnouncer } from "../dht/mod.ts";
import type { LocalDiscovery, LocalSearch } from "../lsd/local_discovery.ts";
import type { Platform } from "../platform/platform.ts";
import type { PeerFinder, PeerSource, PeerSourcesSnapshot } from "../swarm/mod.ts";
import type { AnnounceProgress, TrackerEncryption } from "../tracker/announce_request.ts";
import { Announcer, FAREWELL_MS, type TrackerReport, type TrackerStatus } from "../tracker/announcer.ts";
import type { UdpTrackers } from "../tracker/udp_trackers.ts";
import { Announcers } from "./announcers.ts";
import type { DhtService } from "./dht_service.ts";

/** Options for {@linkcode PeerSources}. */
export interface PeerSourcesOptions {
  /** System services. */
  readonly platform: Platform;
  /** Info-hashes of the torrent, which is announced under each of them. */
  readonly infoHashes: InfoHashes;
  /** Our peer id, 20 bytes. */
  readonly peerId: Bytes;
  /** TCP port on which the session listens. */
  readonly port: number;
  /** Returns the port under which a literal address reaches us; the external port if a gateway maps it. */
  readonly portFor: (host: string) => number;
  /** Local address to connect from; any when absent. */
  readonly bind?: string;
  /** Encryption that we tell trackers to support or require. */
  readonly encryption?: TrackerEncryption;
  /** Client for UDP trackers, shared by the session. */
  readonly udp: UdpTrackers;
  /** Initial announce URLs in tiers. */
  readonly trackers: readonly (readonly string[])[];
  /** Returns `true` if all trackers are announced to, rather than the first that works. Called often. */
  readonly askAllTrackers: () => boolean;
  /** Returns `true` if the torrent is known to be private, so that only trackers may supply peers (BEP 27). */
  readonly isPrivate: () => boolean;
  /** The session's DHT node; `null` if there is none. */
  readonly dht: DhtService | null;
  /** Local service discovery; `null` if it is off. */
  readonly local: LocalDiscovery | null;
  /** Returns the progress of the torrent. Called before each announce. */
  progress(): AnnounceProgress;
  /** Returns how many more peers are wanted; 0 for none. */
  wantedPeers(): number;
  /** Returns the payload bytes received so far, or `null` if nothing more is wanted. */
  received(): number | null;
  /** Called with peers that were found under an info-hash. */
  readonly onPeers: (addresses: readonly PeerAddress[], source: PeerSource, infoHash: InfoHash) => void;
  /** Called with the outcome of each announce. */
  onReport(report: TrackerReport): void;
}

/** Recent results and next announce of each peer source, as plain data. */
export interface SourceStatus {
  /** `true` while the sources look for peers: after the start, and neither paused nor stopped. */
  readonly active: boolean;
  /** Trackers in the order of their tiers. */
  readonly trackers: readonly TrackerStatus[];
  /** The DHT; `null` if it is off or the torrent is private. */
  readonly dht: DhtStatus | null;
  /** Local service discovery; `null` if it is off or the torrent is private. */
  readonly lsd: LsdStatus | null;
}

/** State of local service discovery for one torrent. */
export interface LsdStatus {
  /** Number of announces heard from local peers of the torrent. */
  readonly heard: number;
  /** Milliseconds until our next announce; `null` if none is due. */
  readonly nextIn: number | null;
}

/** An info-hash of a torrent, with the searches for peers under it. */
interface OwnInfoHash {
  readonly infoHash: InfoHash;
  /** Announces it in the DHT; `null` before the first start. */
  dht: TorrentAnnouncer | null;
  /** Local search. */
  readonly search: LocalSearch;
}

/**
 * Finds peers for one torrent and announces it, from its first start to its end. A pause is announced to trackers; the
 * DHT and local service discovery have no message for leaving, and just stop.
 */
export class PeerSources implements PeerFinder {
  readonly #options: PeerSourcesOptions;
  readonly #announcers: Announcers;
  readonly #infoHashes: OwnInfoHash[];
  #heard = 0;
  #isStarted = false;
  #isPaused = false;
  #isStopped = false;
  /** `true` once a magnet link's torrent turned out to be private. */
  #isPrivate = false;

  constructor(options: PeerSourcesOptions) {
    this.#options = options;
    const { infoHashes: { onWire }, trackers } = options;
    const [first, ...others] = onWire;
    this.#infoHashes = onWire.map((infoHash) => this.#own(infoHash));
    this.#announcers = new Announcers(first!, trackers, (infoHash, tiers) => this.#announcer(infoHash, tiers));
    for (const infoHash of others) this.#announcers.add(infoHash);
  }

  #own(infoHash: InfoHash): OwnInfoHash {
    const onPeer = (address: PeerAddress) => {
      this.#heard++;
      this.#found([address], "lsd", infoHash);
    };
    return { infoHash, dht: null, search: { port: this.#options.port, onPeer } };
  }

  #announcer(infoHash: InfoHash, tiers: readonly (readonly string[])[]): Announcer {
    const options = this.#options;
    const { platform, peerId, port, bind, encryption, udp } = options;
    return new Announcer({
      platform,
      tiers,
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
      onPeers: (addresses) => options.onPeers(addresses, "tracker", infoHash),
      onReport: (report) => options.onReport(report),
    });
  }

  /** Current announce URLs in tiers. */
  get trackers(): readonly (readonly string[])[] {
    return this.#announcers.tiers;
  }

  /**
   * Replaces the trackers. Trackers that stay are not announced to again, removed ones are sent `stopped`, and new ones
   * are announced to at once, or in their turn if the torrent is private.
   *
   * @param tiers Announce URLs in tiers. Of a URL that occurs twice, the first occurrence counts.
   */
  setTrackers(tiers: readonly (readonly string[])[]): void {
    this.#announcers.setTiers(tiers);
  }

  /** Adds trackers; known ones are ignored. A torrent file may list trackers that its magnet link lacks. */
  addTrackers(tiers: readonly (readonly string[])[], options: { readonly always?: boolean } = {}): void {
    this.#announcers.addTiers(tiers, options);
  }

  /** Adds an info-hash under which the torrent is known, too. */
  addInfoHash(infoHash: InfoHash): void {
    this.#infoHashes.push(this.#own(infoHash));
    this.#announcers.add(infoHash);
    this.#goOn();
  }

  /** Starts the sources, or while paused, lets {@linkcode PeerSources.resume} start them. May be called again. */
  start(): void {
    this.#isStarted = true;
    this.#goOn();
  }

  /** Sends `stopped` to the trackers, and stops the DHT and local announces, until resumed. May be called again. */
  pause(): void {
    this.#isPaused = true;
    this.#announcers.pause();
    this.#stopDhtAndLsd();
  }

  /** Resumes after a pause. A tracker that is still being sent `stopped` comes afterwards. May be called again. */
  resume(): void {
    this.#isPaused = false;
    this.#goOn();
  }

  /** See {@linkcode PeerFinder.handOver}. */
  handOver(): void {
    this.#announcers.handOver();
  }

  /** Called when a magnet link's torrent turns out to be private: only its trackers are used then (BEP 27). */
  keepPrivate(): void {
    this.#isPrivate = true;
    this.#stopDhtAndLsd();
  }

  /**
   * Announces `completed` to the trackers, once, and only if the torrent was incomplete at its first start. Must not be
   * called when a check found the data or fewer files are wanted, because nothing was downloaded then, nor while
   * unwanted bytes are missing (BEP 21).
   */
  completed(): void {
    this.#announcers.completed();
  }

  /** Called when our external port changes. Local service discovery is unaffected: it announces the listening port. */
  externalPortChanged(): void {
    this.#announcers.moved();
    for (const { dht } of this.#infoHashes) dht?.needPeers();
  }

  /** Asks for more peers as soon as the sources' intervals allow. */
  needPeers(): void {
    if (!this.#isActive) return;
    this.#announcers.needPeers();
    for (const { dht } of this.#infoHashes) dht?.needPeers();
  }

  /** Returns the state of each source. */
  status(): SourceStatus {
    const { local, dht } = this.#options;
    const others = !this.#trackersOnly;
    return {
      active: this.#isActive,
      trackers: this.#announcers.status(),
      dht: others && dht ? this.#infoHashes[0]!.dht?.status() ?? NEVER_ASKED : null,
      lsd: others && local ? { heard: this.#heard, nextIn: local.nextIn(this.#infoHashes[0]!.infoHash) } : null,
    };
  }

  /** Returns the state of each source for display. */
  sources(): PeerSourcesSnapshot {
    const { active, trackers, dht, lsd } = this.status();
    const service = this.#options.dht;
    return {
      active,
      trackers: trackers.map(({ answeredAgo, nextIn, ...rest }) => ({
        ...rest,
        secondsSinceAnswer: inSeconds(answeredAgo),
        secondsUntilNext: inSeconds(nextIn),
      })),
      dht: dht && service && {
        state: dht.state,
        ...service.health,
        last: dht.last && { answered: dht.last.answered, peers: dht.last.peers },
        secondsSinceAnswer: inSeconds(dht.answeredAgo),
        secondsUntilNext: inSeconds(dht.nextIn),
      },
      lsd: lsd && { heard: lsd.heard, secondsUntilNext: inSeconds(lsd.nextIn) },
    };
  }

  /**
   * Stops the sources for good, and sends `stopped` to the trackers.
   *
   * @param deadlineMs Milliseconds after which the promise resolves in any case.
   * @returns Resolves when all trackers have answered or the time is up. Never rejects.
   */
  stop(deadlineMs: number = FAREWELL_MS): Promise<void> {
    this.#isStopped = true;
    this.#stopDhtAndLsd();
    return this.#announcers.stop(deadlineMs);
  }

  get #isActive(): boolean {
    return this.#isStarted && !this.#isPaused && !this.#isStopped;
  }

  get #trackersOnly(): boolean {
    return this.#isPrivate || this.#options.isPrivate();
  }

  #goOn(): void {
    if (!this.#isActive) return;
    this.#announcers.start();
    if (this.#trackersOnly) return;
    const { dht, local, progress } = this.#options;
    const isSeed = () => progress().left === 0;
    for (const own of this.#infoHashes) {
      const { infoHash, search } = own;
      local?.add(infoHash, search);
      const onPeers = (peers: readonly PeerAddress[]) => this.#found(peers, "dht", infoHash);
      own.dht ??= dht?.announcer({ infoHash, isSeed, onPeers }) ?? null;
      own.dht?.start();
    }
  }

  #stopDhtAndLsd(): void {
    for (const { infoHash, dht, search } of this.#infoHashes) {
      dht?.stop();
      this.#options.local?.remove(infoHash, search);
    }
  }

  #found(addresses: readonly PeerAddress[], source: PeerSource, infoHash: InfoHash): void {
    if (this.#isActive && !this.#trackersOnly) this.#options.onPeers(addresses, source, infoHash);
  }
}

function inSeconds(milliseconds: number | null): number | null {
  return milliseconds === null ? null : milliseconds / 1000;
}

/** State of the DHT source before its first start. */
const NEVER_ASKED: DhtStatus = { state: "stopped", last: null, answeredAgo: null, nextIn: null };
