/**
 * A tracker of our own, over HTTP and UDP: for `demo`, and for whoever wants to share without finding a tracker first.
 *
 * @module
 */

import { formatAddress, type PeerAddress } from "../base/address.ts";
import type { Bytes } from "../base/bytes.ts";
import { MAX_TRACKER_RATES, TRACKER_RATE } from "../base/defences.ts";
import { networkOf } from "../base/networks.ts";
import { HostRateLimits } from "../base/rate_limit.ts";
import type { InfoHash } from "../base/info_hash.ts";
import type {
  HttpAnswer,
  HttpServer,
  HttpServerRequest,
  Platform,
  ShortHttpAnswer,
  Timer,
} from "../platform/platform.ts";
import { parseAnnounceQuery, parseScrapeQuery } from "./query.ts";
import { encodeAnnounceReply, encodeFailure, encodeScrapeReply } from "./replies.ts";
import { SwarmStore } from "./swarm_store.ts";
import { isHere } from "./address_quota.ts";
import { Trust, type TrustOptions } from "./address_trust.ts";
import { UdpServer, type UdpServerPlatform } from "./udp_server.ts";

/** What a {@linkcode TrackerServer} needs from the outside. */
export type TrackerPlatform = Pick<Platform, "now" | "after" | "random" | "http">;

/** How a {@linkcode TrackerServer} works. */
export interface TrackerServerOptions {
  /** Local address to listen on. */
  readonly host: string;
  /** Port to listen on; 0 for any. */
  readonly port: number;
  /** Seconds between the announces of a peer; 1,800 when absent. */
  readonly interval?: number;
  /** The only torrents that are served; all when absent. */
  readonly allow?: readonly InfoHash[];
  /** Most torrents at a time; 10,000 when absent. */
  readonly maxTorrents?: number;
  /** Most peers at a time, of all torrents together; 200,000 when absent. */
  readonly maxPeers?: number;
  /** The way to UDP, on the same port; HTTP alone when absent. */
  readonly udp?: UdpServerPlatform;
  /** Reverse proxies and clients that are believed what they say of addresses; nobody when absent. */
  readonly trust?: TrustOptions;
  /** Requests a second that one address is answered in the long run; 20 when absent. In a row it may be 50 times as many. */
  readonly rate?: number;
  /** Is told, for the user, when requests can't be taken for now, and when they are again. */
  readonly warn?: (message: string) => void;
}

/** What a {@linkcode TrackerServer} has done, and what it knows. */
export interface TrackerStatistics {
  /** Torrents with peers. */
  readonly torrents: number;
  /** Peers of all torrents together. */
  readonly peers: number;
  /** Those of them that have everything. */
  readonly seeders: number;
  /** Announces that were answered with peers. */
  readonly announces: { readonly http: number; readonly udp: number };
  /** Scrapes that were answered. */
  readonly scrapes: number;
  /** Requests that were refused with a reason, or that came from an address that asks too often. */
  readonly refused: number;
  /** Networks (an IPv4 address, an IPv6 /64) that peers are known of. */
  readonly networks: number;
}

const DEFAULT_INTERVAL = 1800;
/** Late peers that are forgotten in one go, which takes a few milliseconds. */
const FORGOTTEN_AT_ONCE = 5_000;
/** Milliseconds until more late peers are forgotten. */
const FORGET_ON_MS = 50;
/** When somebody who asks too often may ask again. */
const RETRY_MINUTES = 1;
const TOO_OFTEN = "too many requests from your address";

/** A seed that needs not announce itself. */
interface Resident {
  readonly infoHash: InfoHash;
  readonly peerId: Uint8Array;
  readonly address: PeerAddress;
}

/**
 * A running tracker.
 *
 * @example
 * ```ts
 * const tracker = TrackerServer.start(platform, { host: "127.0.0.1", port: 0 });
 * tracker.url; // "http://127.0.0.1:40123/announce"
 * tracker.udpUrl; // null; with `udp: platform`, "udp://127.0.0.1:40123/announce"
 * await tracker.close();
 * ```
 */
export class TrackerServer {
  readonly #platform: TrackerPlatform;
  readonly #interval: number;
  readonly #store: SwarmStore;
  readonly #server: HttpServer;
  readonly #udp: UdpServer | null;
  readonly #rates: HostRateLimits;
  readonly #trust: Trust;
  readonly #residents: Resident[] = [];
  readonly #answered = { http: 0, udp: 0, scrapes: 0, refused: 0 };
  #timer: Timer;

  private constructor(platform: TrackerPlatform, options: TrackerServerOptions) {
    const { host, port, interval = DEFAULT_INTERVAL, allow, maxTorrents, maxPeers, warn } = options;
    this.#platform = platform;
    this.#interval = interval;
    this.#trust = new Trust(options.trust);
    const { rate = TRACKER_RATE.perSecond } = options;
    const burst = rate * TRACKER_RATE.burst / TRACKER_RATE.perSecond;
    this.#rates = new HostRateLimits({ perSecond: rate, burst, capacity: MAX_TRACKER_RATES });
    this.#store = new SwarmStore({
      interval: interval * 1000,
      random: () => platform.random(),
      ...(allow !== undefined && { allow }),
      ...(maxTorrents !== undefined && { maxTorrents }),
      ...(maxPeers !== undefined && { maxPeers }),
    });
    const isRoomy = (host: string) => isHere(host) || this.#trust.isProxy(host);
    const serving = { host, port, isRoomy, ...(warn !== undefined && { warn }) };
    this.#server = platform.http.serve(serving, (request, from) => this.#handle(request, from));
    this.#udp = options.udp === undefined ? null : this.#openUdp(options.udp, host);
    this.#timer = this.#expireLater();
  }

  /**
   * Starts a tracker.
   *
   * @param platform The outside.
   * @param options How it works.
   * @returns The tracker, listening.
   * @throws {ShoalError} Of kind `network` if the port is taken or may not be used.
   */
  static start(platform: TrackerPlatform, options: TrackerServerOptions): TrackerServer {
    return new TrackerServer(platform, options);
  }

  /** Where it listens. */
  get address(): PeerAddress {
    return this.#server.address;
  }

  /** The announce URL for torrents; good for others only if it listens on an address that they can reach. */
  get url(): string {
    return `http://${formatAddress(this.address)}/announce`;
  }

  /** The announce URL over UDP, or `null` without UDP. */
  get udpUrl(): string | null {
    return this.#udp === null ? null : `udp://${formatAddress(this.#udp.address)}/announce`;
  }

  /** What it has done, and what it knows. */
  get statistics(): TrackerStatistics {
    const { http, udp, scrapes, refused } = this.#answered;
    const { torrentCount, peerCount, seederCount, networkCount } = this.#store;
    const known = { torrents: torrentCount, peers: peerCount, seeders: seederCount };
    return { ...known, announces: { http, udp }, scrapes, refused, networks: networkCount };
  }

  /** How many peers it knows, of all torrents together. */
  get peerCount(): number {
    return this.#store.peerCount;
  }

  /**
   * Names a seed that announces nothing here, since it runs beside this tracker, for as long as that is open. If only some
   * torrents are served, this becomes one of them.
   *
   * @param infoHash Which torrent.
   * @param seed `peerId`: 20 bytes. `addresses`: where it listens, as others reach it.
   */
  name(infoHash: InfoHash, seed: { readonly peerId: Uint8Array; readonly addresses: readonly PeerAddress[] }): void {
    this.#store.allow(infoHash);
    this.#residents.push(...seed.addresses.map((address) => ({ infoHash, peerId: seed.peerId, address })));
    this.#renewResidents();
  }

  /** Stops it; settles when it has stopped. */
  async close(): Promise<void> {
    this.#timer.cancel();
    this.#udp?.close();
    await this.#server.close();
  }

  #openUdp(platform: UdpServerPlatform, host: string): UdpServer {
    const counters = { announce: "udp", scrape: "scrapes", refused: "refused" } as const;
    try {
      return new UdpServer(platform, {
        host,
        port: this.address.port,
        interval: this.#interval,
        store: this.#store,
        trust: this.#trust,
        admits: (host) => this.#admits(host),
        answered: (kind) => {
          if (kind !== "connect") this.#answered[counters[kind]]++;
        },
      });
    } catch (error) {
      void this.#server.close();
      throw error;
    }
  }

  #expireLater(): Timer {
    return this.#platform.after(this.#interval * 1000, () => {
      this.#renewResidents();
      this.#expire();
    });
  }

  /** A part at a time, so that requests needn't wait while a hundred thousand go. */
  #expire(): void {
    const more = this.#store.expire(this.#platform.now(), FORGOTTEN_AT_ONCE);
    this.#timer = more ? this.#platform.after(FORGET_ON_MS, () => this.#expire()) : this.#expireLater();
  }

  /** Only who has shown that an address is its own is counted under it: nobody can use up the share of another. */
  #admits(host: string): boolean {
    return isHere(host) || this.#rates.take(networkOf(host), this.#platform.now());
  }

  #renewResidents(): void {
    const now = this.#platform.now();
    for (const resident of this.#residents) {
      this.#store.announce({ ...resident, left: 0, event: "", numwant: 0 }, now);
    }
  }

  #handle(request: HttpServerRequest, connection: PeerAddress): HttpAnswer {
    const from = this.#trust.clientOf(connection, () => request.headers.get("x-forwarded-for"));
    const [path = "", query = ""] = splitUrl(request.url);
    if (request.method !== "GET" && request.method !== "HEAD") return plain("only GET is understood\n", 405);
    if (path === "/announce" || path === "/scrape") {
      if (!this.#admits(from.host)) return bencoded(this.#refuse(TOO_OFTEN, RETRY_MINUTES));
      return bencoded(path === "/announce" ? this.#announce(query, from) : this.#scrape(query));
    }
    return plain("this is a BitTorrent tracker; announce to /announce\n", 404);
  }

  #announce(query: string, from: PeerAddress): Bytes {
    const parsed = parseAnnounceQuery(query, from, this.#trust);
    if ("refusal" in parsed) return this.#refuse(parsed.refusal);
    const { compact, withoutPeerIds } = parsed.query;
    const answer = this.#store.announce(parsed.query, this.#platform.now());
    if ("refusal" in answer) return this.#refuse(answer.refusal);
    this.#answered.http++;
    return encodeAnnounceReply(answer, { interval: this.#interval, from, compact, withoutPeerIds });
  }

  #scrape(query: string): Bytes {
    const parsed = parseScrapeQuery(query);
    if ("refusal" in parsed) return this.#refuse(parsed.refusal);
    this.#answered.scrapes++;
    return encodeScrapeReply(parsed.query.map((infoHash) => [infoHash, this.#store.scrape(infoHash)] as const));
  }

  #refuse(reason: string, retryMinutes?: number): Bytes {
    this.#answered.refused++;
    return encodeFailure(reason, retryMinutes);
  }
}

/** Path and query of a URL, as they came over the wire. */
function splitUrl(url: string): string[] {
  return /^[^:]+:\/\/[^/?#]*([^?#]*)\??([^#]*)/.exec(url)?.slice(1) ?? [];
}

const BENCODED: ShortHttpAnswer["headers"] = [["content-type", "text/plain"], ["cache-control", "no-store"]];

function bencoded(content: Bytes): ShortHttpAnswer {
  return { status: 200, headers: BENCODED, content };
}

function plain(text: string, status: number): Response {
  return new Response(text, { status, headers: { "content-type": "text/plain" } });
}
