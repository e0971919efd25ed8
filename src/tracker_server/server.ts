/**
 * A tracker over HTTP and UDP, for `demo` and for sharing without another tracker.
 *
 * @module
 */

import { formatAddress, type PeerAddress } from "../base/address.ts";
import type { Bytes } from "../base/bytes.ts";
import { MAX_TRACKER_RATES, TRACKER_RATE } from "../base/defences.ts";
import { networkOf } from "../base/networks.ts";
import { TokenBuckets } from "../base/token_bucket.ts";
import type { InfoHash } from "../base/info_hash.ts";
import type { InfoHashes } from "../base/info_hashes.ts";
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
import { isLoopback } from "./address_quota.ts";
import { Trust, type TrustOptions } from "./address_trust.ts";
import { UdpServer, type UdpServerPlatform } from "./udp_server.ts";

/** System services that {@linkcode TrackerServer} needs. */
export type TrackerPlatform = Pick<Platform, "now" | "after" | "random" | "http">;

/** Options for {@linkcode TrackerServer}. */
export interface TrackerServerOptions {
  /** Local address to listen on. */
  readonly host: string;
  /** Port to listen on; 0 for any. */
  readonly port: number;
  /** Seconds between announces of a peer (default 1,800). */
  readonly interval?: number;
  /** Torrents that are served; all when absent. */
  readonly allow?: readonly (InfoHash | InfoHashes)[];
  /** Maximum number of torrents (default 10,000). */
  readonly maxTorrents?: number;
  /** Maximum number of peers of all torrents together (default 200,000). */
  readonly maxPeers?: number;
  /** System services for UDP on the same port; HTTP only when absent. */
  readonly udp?: UdpServerPlatform;
  /** Reverse proxies and clients whose claims about addresses are believed; none when absent. */
  readonly trust?: TrustOptions;
  /** Requests per second that each address is answered in the long run (default 20). Bursts may be 50 times that. */
  readonly rate?: number;
  /** Called with messages for the user, when requests can't be accepted for now and when they can be again. */
  readonly warn?: (message: string) => void;
}

/** A seed that is added with {@linkcode TrackerServer.name}. */
export interface NamedSeed {
  /** Peer id, 20 bytes. */
  readonly peerId: Uint8Array;
  /** Addresses under which other peers reach the seed. */
  readonly addresses: readonly PeerAddress[];
}

/** Counters and current state of a {@linkcode TrackerServer}. */
export interface TrackerStatistics {
  /** Torrents that have peers. */
  readonly torrents: number;
  /** Peers of all torrents together. */
  readonly peers: number;
  /** Seeds among the peers. */
  readonly seeders: number;
  /** Successful announces. */
  readonly announces: { readonly http: number; readonly udp: number };
  /** Successful scrapes. */
  readonly scrapes: number;
  /** Requests refused for a reason, or because of the rate limit. */
  readonly refused: number;
  /** Networks of the peers: IPv4 addresses and IPv6 /64s. */
  readonly networks: number;
}

const DEFAULT_INTERVAL = 1800;
/** Late peers removed in one go, which takes a few milliseconds. */
const FORGOTTEN_AT_ONCE = 5_000;
/** Milliseconds until the next late peers are removed. */
const FORGET_ON_MS = 50;
/** Minutes after which a client that exceeded the rate limit may try again. */
const RETRY_MINUTES = 1;
const TOO_OFTEN = "too many requests from your address";

/** A seed that doesn't announce, because it runs beside this tracker. */
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
  readonly #rates: TokenBuckets;
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
    this.#rates = new TokenBuckets({ perSecond: rate, burst, capacity: MAX_TRACKER_RATES });
    this.#store = new SwarmStore({
      interval: interval * 1000,
      random: () => platform.random(),
      ...(allow !== undefined && { allow }),
      ...(maxTorrents !== undefined && { maxTorrents }),
      ...(maxPeers !== undefined && { maxPeers }),
    });
    const hasManyClients = (host: string) => isLoopback(host) || this.#trust.isProxy(host);
    const serving = { host, port, hasManyClients, ...(warn !== undefined && { warn }) };
    this.#server = platform.http.serve(serving, (request, from) => this.#handle(request, from));
    this.#udp = options.udp === undefined ? null : this.#openUdp(options.udp, host);
    this.#timer = this.#expireLater();
  }

  /**
   * Starts a tracker.
   *
   * @param platform System services.
   * @param options See {@linkcode TrackerServerOptions}.
   * @returns The tracker, listening.
   * @throws {ShoalError} Of kind `network` if the port is taken or not permitted.
   */
  static start(platform: TrackerPlatform, options: TrackerServerOptions): TrackerServer {
    return new TrackerServer(platform, options);
  }

  /** Address on which the tracker listens. */
  get address(): PeerAddress {
    return this.#server.address;
  }

  /** HTTP announce URL. Other hosts can use it only if the tracker listens on an address that they can reach. */
  get url(): string {
    return `http://${formatAddress(this.address)}/announce`;
  }

  /** UDP announce URL, or `null` without UDP. */
  get udpUrl(): string | null {
    return this.#udp === null ? null : `udp://${formatAddress(this.#udp.address)}/announce`;
  }

  /** Current statistics. */
  get statistics(): TrackerStatistics {
    const { http, udp, scrapes, refused } = this.#answered;
    const { torrentCount, peerCount, seederCount, networkCount } = this.#store;
    const known = { torrents: torrentCount, peers: peerCount, seeders: seederCount };
    return { ...known, announces: { http, udp }, scrapes, refused, networks: networkCount };
  }

  /** Number of peers of all torrents together. */
  get peerCount(): number {
    return this.#store.peerCount;
  }

  /**
   * Adds a seed that doesn't announce itself, because it runs beside this tracker, until the tracker is closed. If only
   * some torrents are served, this torrent is served too.
   *
   * @param torrent Info-hash of the torrent, or both of a hybrid (BEP 52), whose peers then find each other.
   */
  name(torrent: InfoHash | InfoHashes, seed: NamedSeed): void {
    this.#store.allow(torrent);
    const infoHash = "onWire" in torrent ? torrent.onWire[0]! : torrent;
    this.#residents.push(...seed.addresses.map((address) => ({ infoHash, peerId: seed.peerId, address })));
    this.#renewResidents();
  }

  /** Stops the tracker. */
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

  /** Removes late peers in parts, so that requests don't wait while a hundred thousand are removed. */
  #expire(): void {
    const more = this.#store.expire(this.#platform.now(), FORGOTTEN_AT_ONCE);
    this.#timer = more ? this.#platform.after(FORGET_ON_MS, () => this.#expire()) : this.#expireLater();
  }

  /**
   * Returns `true` if an address is within its rate limit, and counts the request. Called only for verified addresses,
   * so that nobody can use up another client's limit.
   */
  #admits(host: string): boolean {
    return isLoopback(host) || this.#rates.take(networkOf(host), this.#platform.now());
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

/** Returns path and query of a URL as they were received. */
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
