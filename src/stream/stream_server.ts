/**
 * Serves the files of torrents over HTTP while they are being downloaded: for players, for browsers, for `curl`.
 *
 * @module
 */

import { formatAddress, type PeerAddress } from "../base/address.ts";
import { ShoalError } from "../base/errors.ts";
import { HTTP_STALL_MS, MAX_STREAM_REQUESTS } from "../base/defences.ts";
import type { InfoHash } from "../base/info_hash.ts";
import type { Metainfo } from "../metainfo/mod.ts";
import type { HttpServer, HttpServerRequest, Platform } from "../platform/platform.ts";
import type { ReadableTorrent } from "../session/session_events.ts";
import { answerTo, type FilePart, type StreamResponse } from "./response.ts";
import { Catalog, filePath, type ServedTorrent, torrentPath } from "./catalog.ts";
import { FileBody } from "./file_body.ts";

/** What is served: a torrent of a session. */
export interface StreamableTorrent extends ReadableTorrent {
  /** Resolves when it is known what it holds. */
  readonly metadata: Promise<Metainfo>;
}

/** What a {@linkcode StreamServer} needs from the outside. */
export type StreamPlatform = Pick<Platform, "http" | "now">;

/** How a {@linkcode StreamServer} works. */
export interface StreamServerOptions {
  /**
   * Local address to listen on (default `127.0.0.1`). On any other one everybody who can reach it can read what is downloaded: there
   * is no password.
   */
  readonly host?: string;
  /** Port to listen on; 0 for any. */
  readonly port: number;
  /** Is told, for the user, when requests can't be taken for now, and when they are again. */
  readonly warn?: (message: string) => void;
}

/** Where a torrent is served. */
export interface StreamUrls {
  /** Page with links to its files; ends with a slash. */
  readonly url: string;
  /** Its largest file; `null` when there is none. */
  readonly largest: string | null;
  /** How many files there are. */
  readonly files: number;
}

/**
 * An HTTP server for torrents: `GET` and `HEAD`, one range a request (RFC 9110), a page with links, a playlist. What is asked for is
 * fetched first.
 *
 * Requests must name this machine by `localhost` or by the address that it listens on, so that no web site can read along.
 *
 * @example
 * ```ts
 * const server = StreamServer.start(denoPlatform, { port: 0 });
 * const { url } = await server.add(torrent); // waits for the metadata of a magnet link
 * await server.close();
 * ```
 */
export class StreamServer {
  readonly #server: HttpServer;
  readonly #catalog = new Catalog();
  readonly #torrents = new Map<string, StreamableTorrent>();
  readonly #bodies = new Set<FileBody>();
  readonly #now: () => number;
  #closed = false;

  private constructor(platform: StreamPlatform, { host = "127.0.0.1", ...options }: StreamServerOptions) {
    this.#now = () => platform.now();
    this.#server = platform.http.serve({ host, ...options }, (request) => this.#handle(request));
  }

  /**
   * Starts a server.
   *
   * @param platform The outside.
   * @param options Where it listens.
   * @returns The server, listening, with nothing to serve yet.
   * @throws {ShoalError} Of kind `network` if the port is taken or may not be used.
   */
  static start(platform: StreamPlatform, options: StreamServerOptions): StreamServer {
    return new StreamServer(platform, options);
  }

  /** Where it listens. */
  get address(): PeerAddress {
    return this.#server.address;
  }

  /** Its page with links to all torrents; ends with a slash. */
  get url(): string {
    return `${this.#base}/`;
  }

  /** Answers that are under way. */
  get requests(): number {
    return this.#bodies.size;
  }

  /**
   * Serves a torrent, as soon as it is known what it holds; of its files those that are downloaded.
   *
   * @param torrent The torrent.
   * @returns Where.
   * @throws What ended the torrent before its metadata was known.
   */
  async add(torrent: StreamableTorrent): Promise<StreamUrls> {
    const meta = await torrent.metadata;
    const served = this.#catalog.add(meta, torrent.wantedFiles);
    this.#torrents.set(served.infohash, torrent);
    return {
      url: this.#base + torrentPath(served),
      largest: this.#largest(served),
      files: served.files.length,
    };
  }

  /**
   * Serves a torrent no more. Answers that are under way go on.
   *
   * @param infoHash Which; harmless when it isn't served.
   */
  remove(infoHash: InfoHash): void {
    this.#catalog.remove(infoHash.hex);
    this.#torrents.delete(infoHash.hex);
  }

  /** Ends all answers and stops listening; settles when that is done. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const body of [...this.#bodies]) body.close();
    await this.#server.close();
  }

  get #base(): string {
    return `http://${formatAddress(this.address)}`;
  }

  #largest(torrent: ServedTorrent): string | null {
    if (torrent.files.length === 0) return null;
    const file = torrent.files.reduce((best, other) => other.length > best.length ? other : best);
    return this.#base + filePath(torrent, file);
  }

  #handle(request: HttpServerRequest): Response {
    const answer = answerTo({ method: request.method, path: pathOf(request.url), fields: request.headers }, {
      catalog: this.#catalog,
      bound: this.address.host,
      base: this.#base,
    });
    const { status, headers, body } = answer;
    if (body === null || typeof body === "string") return new Response(body, { status, headers });
    if (this.#closed || !this.#makeRoom()) return busy("There are too many requests.\n");
    return this.#send(answer, body);
  }

  /** Who has taken nothing for long gives its place up; a player that had paused asks again where it was. */
  #makeRoom(): boolean {
    if (this.#bodies.size < MAX_STREAM_REQUESTS) return true;
    const idle = [...this.#bodies].reduce((worst, body) => body.stalled > worst.stalled ? body : worst);
    if (idle.stalled < HTTP_STALL_MS) return false;
    idle.close();
    return true;
  }

  #send({ status, headers }: StreamResponse, { torrent, file, begin, end }: FilePart): Response {
    if (begin === end) return new Response(null, { status, headers });
    let reader;
    try {
      reader = this.#torrents.get(torrent.infohash)!.open(file.index, { end });
    } catch (error) {
      if (error instanceof ShoalError) return busy(`${error.message}\n`);
      throw error;
    }
    const body = new FileBody(reader, {
      begin,
      end,
      closed: () => this.#bodies.delete(body),
      now: this.#now,
    });
    this.#bodies.add(body);
    return new Response(body.stream, { status, headers });
  }
}

function busy(why: string): Response {
  return new Response(why, { status: 503, headers: { "content-type": "text/plain", "retry-after": "1" } });
}

/** The path of a URL, as it came over the wire. */
function pathOf(url: string): string {
  return /^[^:]+:\/\/[^/?#]*([^?#]*)/.exec(url)?.[1] || "/";
}
