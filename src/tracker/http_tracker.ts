/**
 * One HTTP tracker: sends announces, remembers what has to be remembered between them.
 *
 * @module
 */

import type { InfoHash } from "../base/info_hash.ts";
import { messageOf } from "../base/errors.ts";
import { MAX_TRACKER_REPLY } from "../base/limits.ts";
import { type Http, HttpError, type HttpRequest } from "../platform/platform.ts";
import { type AnnounceReply, findFailure, parseAnnounceReply } from "./announce_reply.ts";
import { type AnnounceEvent, type AnnounceProgress, buildAnnounceUrl } from "./announce_request.ts";
import { TrackerError } from "./errors.ts";

/** Who announces. */
export interface Announcing {
  /** Which torrent. */
  readonly infoHash: InfoHash;
  /** Our 20 bytes. */
  readonly peerId: Uint8Array;
  /** The port that we listen on. */
  readonly port: number;
  /** See `key` of `AnnounceRequest`. */
  readonly key: string;
  /** Local address to connect from. */
  readonly bind?: string;
}

/** What one announce says. */
export interface Announcement {
  /** Why it is sent. */
  readonly event: AnnounceEvent;
  /** How far we are. */
  readonly progress: AnnounceProgress;
  /** How many peers we would like. */
  readonly numwant: number;
  /** Milliseconds until the whole answer must be there. */
  readonly timeout: number;
  /** Gives up early. */
  readonly signal: AbortSignal;
}

/** A tracker that is spoken to over HTTP or HTTPS. */
export class HttpTracker {
  /** The announce URL. */
  readonly url: string;
  /** Whether it has accepted an announce, so that `started` is done and `stopped` is owed. */
  knowsUs = false;
  /** Not to be asked before this moment of the platform's clock; `Infinity` for never again (BEP 31). */
  retryAt = -Infinity;
  readonly #http: Http;
  readonly #self: Announcing;
  #trackerId: Uint8Array | null = null;

  /**
   * @param url The announce URL.
   * @param options `http`: the way out. `self`: who announces.
   */
  constructor(url: string, options: { readonly http: Http; readonly self: Announcing }) {
    this.url = url;
    this.#http = options.http;
    this.#self = options.self;
  }

  /**
   * Sends one announce. The request is on its way when this returns.
   *
   * @param announcement What it says.
   * @returns The answer.
   * @throws {TrackerError} If there is no answer in time, it is no tracker's answer, or the tracker says no.
   */
  async announce(announcement: Announcement): Promise<AnnounceReply> {
    const { event, progress, numwant, timeout, signal } = announcement;
    const { infoHash, peerId, port, key, bind } = this.#self;
    const trackerId = this.#trackerId;
    const url = buildAnnounceUrl(this.url, { infoHash, peerId, port, progress, event, numwant, key, trackerId });
    const request: HttpRequest = { url, timeout, maxBytes: MAX_TRACKER_REPLY, signal };
    const reply = await this.#ask(bind === undefined ? request : { ...request, bind });
    this.knowsUs = true;
    this.#trackerId = reply.trackerId ?? this.#trackerId;
    return reply;
  }

  async #ask(request: HttpRequest): Promise<AnnounceReply> {
    try {
      const { status, body } = await this.#http.request(request);
      if (status >= 200 && status < 300) return parseAnnounceReply(body);
      throw findFailure(body) ?? new TrackerError(`the server answered with HTTP status ${status}`);
    } catch (error) {
      if (error instanceof HttpError) throw new TrackerError(messageOf(error), { cause: error });
      throw error;
    }
  }
}
