/**
 * Serves the files of torrents over HTTP while they are downloaded, for players, browsers and tools such as `curl`.
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

/** A torrent of a session that can be served. */
export interface StreamableTorrent extends ReadableTorrent {
  /** Resolves once the metadata is known. */
  readonly metadata: Promise<Metainfo>;
}

/** The parts of the platform that a {@linkcode StreamServer} uses. */
export type StreamPlatform = Pick<Platform, "http" | "now">;

/** Options for {@linkcode StreamServer.start}. */
export interface StreamServerOptions {
  /**
   * Local address to listen on (default `127.0.0.1`). On any other address, every host that reaches the server can read
   * the files: there is no password.
   */
  readonly host?: string;
  /** Port to listen on; 0 for any. */
  readonly port: number;
  /** Called with a message for the user when the server can't accept requests, and when it can again. */
  readonly warn?: (message: string) => void;
}

/** URLs of a served torrent. */
export interface StreamUrls {
  /** URL of the page with links to the files; ends with a slash. */
  readonly url: string;
  /** URL of the largest file; `null` if there are no files. */
  readonly largest: string | null;
  /** Number of files. */
  readonly files: number;
}

/**
 * An HTTP server for the files of torrents. Supports `GET`, `HEAD` and single ranges (RFC 9110), and offers a page with
 * links and playlists. Requested parts of files are downloaded first.
 *
 * Requests must name this machine by `localhost` or by the address that the server listens on, so that web sites can't
 * read the files.
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
   * @param platform Clock and network.
   * @param options See {@linkcode StreamServerOptions}.
   * @returns The server, listening, without torrents.
   * @throws {ShoalError} Of kind `network` if the port is taken or not permitted.
   */
  static start(platform: StreamPlatform, options: StreamServerOptions): StreamServer {
    return new StreamServer(platform, options);
  }

  /** Address that the server listens on. */
  get address(): PeerAddress {
    return this.#server.address;
  }

  /** URL of the page with links to all torrents; ends with a slash. */
  get url(): string {
    return `${this.#base}/`;
  }

  /** Number of file responses in progress. */
  get requests(): number {
    return this.#bodies.size;
  }

  /**
   * Serves the downloaded files of a torrent once the metadata is known.
   *
   * @param torrent The torrent.
   * @returns URLs of the torrent.
   * @throws The error that ended the torrent before its metadata was known.
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
   * Stops serving a torrent. Responses in progress continue. Does nothing if the torrent isn't served.
   *
   * @param infoHash Info-hash of the torrent.
   */
  remove(infoHash: InfoHash): void {
    this.#catalog.remove(infoHash.hex);
    this.#torrents.delete(infoHash.hex);
  }

  /** Ends all responses and stops listening. */
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

  /**
   * Returns `true` if another file can be sent. If all slots are taken, ends the response that has been stalled
   * longest, if that is at least {@linkcode HTTP_STALL_MS}. A player that was paused requests the rest again.
   */
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

/** Returns the path of a URL without decoding it. */
function pathOf(url: string): string {
  return /^[^:]+:\/\/[^/?#]*([^?#]*)/.exec(url)?.[1] || "/";
}
