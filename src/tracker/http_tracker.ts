/**
 * Announces one torrent to one HTTP tracker.
 *
 * @module
 */

import { canonicalHost, type HostPort, type PeerAddress } from "../base/address.ts";
import { messageOf } from "../base/errors.ts";
import { MAX_TRACKER_REPLY } from "../base/defences.ts";
import { type Http, HttpError, type HttpRequest, type HttpResponse } from "../platform/platform.ts";
import { type AnnounceReply, findFailure, parseAnnounceReply } from "./announce_reply.ts";
import { buildAnnounceUrl } from "./announce_request.ts";
import { filterCrediblePeers, namesLocal, withCrediblePeers } from "./credible_peers.ts";
import { TrackerError } from "./errors.ts";
import { RequestQueue } from "./request_queue.ts";
import { buildScrapeUrl, parseScrapeReply } from "./scrape.ts";
import type { Announcement, Announcing, SwarmCounts, Tracker } from "./tracker.ts";

/** Milliseconds for the reply of an HTTP tracker. */
const PATIENCE_MS = 30_000;
/** Milliseconds after which the next tracker is tried as well: most working trackers reply in one or two seconds. */
const HOLDS_UP_MS = 10_000;

/** Parts of a successful response. */
type Answer = Pick<HttpResponse, "body" | "url" | "reach">;

/** Options for {@linkcode HttpTracker}. */
export interface HttpTrackerOptions {
  /** HTTP client. */
  readonly http: Http;
  /** What is the same in all announces. */
  readonly self: Announcing;
}

/** A tracker with an HTTP or HTTPS URL. */
export class HttpTracker implements Tracker {
  readonly url: string;
  readonly patience: number = PATIENCE_MS;
  readonly failoverDelay: number = HOLDS_UP_MS;
  /** Always `true`: the HTTP client doesn't tell how far a request got. */
  readonly mayHaveHeard = true;
  retryAt = -Infinity;
  /** Absent if the URL has no scrape convention (BEP 48). */
  readonly scrape?: NonNullable<Tracker["scrape"]>;
  readonly #http: Http;
  readonly #self: Announcing;
  #trackerId: Uint8Array | null = null;

  constructor(url: string, options: HttpTrackerOptions) {
    this.url = url;
    this.#http = options.http;
    this.#self = options.self;
    const scrapeUrl = buildScrapeUrl(url, options.self.infoHash);
    if (scrapeUrl !== null) this.scrape = (limits) => this.#scrape(scrapeUrl, limits);
  }

  async announce(announcement: Announcement): Promise<AnnounceReply> {
    const { event, progress, numwant, timeout, signal } = announcement;
    // Awaited only if it is a promise, so that the request is sent before this returns in most cases.
    const found = this.#self.portFor(new URL(this.url).hostname);
    const port = typeof found === "number" ? found : await found;
    const words = { ...this.#self, port, progress, event, numwant, trackerId: this.#trackerId };
    const url = buildAnnounceUrl(this.url, words);
    const request = () => this.#get({ url, timeout, maxBytes: MAX_TRACKER_REPLY, signal });
    // `stopped` doesn't queue: there is too little time.
    const answer = event === "stopped" ? await request() : await this.#inTurn(request, signal);
    const reply = parseAnnounceReply(answer.body);
    this.#trackerId = reply.trackerId ?? this.#trackerId;
    const peers = reply.names?.length ? [...reply.peers, ...await this.#lookUp(reply.names)] : reply.peers;
    return namesLocal(peers) ? withCrediblePeers(reply, await this.#credible(peers, answer)) : { ...reply, peers };
  }

  async #lookUp(names: readonly HostPort[]): Promise<PeerAddress[]> {
    const found = await Promise.all(names.map(async ({ host, port }) => {
      return (await this.#self.addressesOf(host)).map((address) => ({ host: canonicalHost(address), port }));
    }));
    return found.flat();
  }

  /** Filters the peers by the address that the request went to; a second lookup may give a different one. */
  async #credible(peers: readonly PeerAddress[], { url, reach }: Answer): Promise<PeerAddress[]> {
    const { isPrivate, reachOf } = this.#self;
    return filterCrediblePeers(peers, { reach: reach ?? await reachOf(new URL(url).hostname), isPrivate: isPrivate() });
  }

  async #scrape(url: string, { timeout, signal }: Pick<Announcement, "timeout" | "signal">): Promise<SwarmCounts> {
    const request = () => this.#get({ url, timeout, maxBytes: MAX_TRACKER_REPLY, signal });
    const { body } = await this.#inTurn(request, signal);
    return parseScrapeReply(body, this.#self.infoHash);
  }

  #inTurn(request: () => Promise<Answer>, signal: AbortSignal): Promise<Answer> {
    return RequestQueue.of(this.#http).take(new URL(this.url).host, request, signal);
  }

  /** Sends a request; throws unless the response is successful. */
  async #get(request: HttpRequest): Promise<Answer> {
    const { bind } = this.#self;
    const trust = { by: "tracker", named: this.url } as const;
    try {
      const { status, ...answer } = await this.#http.request({
        ...request,
        trust,
        ...(bind !== undefined && { bind }),
      });
      if (status >= 200 && status < 300) return answer;
      throw findFailure(answer.body) ?? new TrackerError(`the server answered with HTTP status ${status}`);
    } catch (error) {
      if (error instanceof HttpError) throw new TrackerError(messageOf(error), { cause: error });
      throw error;
    }
  }
}
