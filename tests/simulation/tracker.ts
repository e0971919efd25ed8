/**
 * A simulated HTTP tracker.
 *
 * @module
 */

import { type Bytes, utf8 } from "../../src/base/bytes.ts";
import { parseIp } from "../../src/base/address.ts";
import { encode } from "../../src/bencode/mod.ts";
import { HttpError, type HttpRequest, type HttpResponse } from "../../src/platform/platform.ts";

/** Behaviour of a tracker: works, never answers, refuses connections, answers 503, or answers with HTML. */
export type TrackerMood = "up" | "silent" | "refusing" | "broken" | "rubbish";

/** One announce. */
export interface Announce {
  readonly ip: string;
  readonly port: number;
  readonly event: string;
  /** Info-hash as written in the URL. */
  readonly infoHash: string;
  readonly left: number;
  readonly uploaded: number;
  readonly downloaded: number;
}

/** A tracker for one torrent, which may have two info-hashes. */
export class SimTracker {
  /** Announce URL. */
  readonly url: string;
  /** Current behaviour. */
  mood: TrackerMood = "up";
  /** Announce interval in seconds. */
  interval = 120;
  /** Addresses that are returned besides those of peers that announced. */
  readonly extra: { readonly ip: string; readonly port: number }[] = [];
  /** Every announce received. */
  readonly heard: Announce[] = [];
  /** By info-hash, address and port. */
  readonly #peers = new Map<string, { ip: string; port: number; left: number; infoHash: string }>();
  readonly #random: () => number;

  /**
   * @param url Announce URL.
   * @param random Returns uniform random numbers from 0 to 1, which choose the returned peers.
   */
  constructor(url: string, random: () => number) {
    this.url = url;
    this.#random = random;
  }

  /** Number of peers that have announced and not stopped. */
  get peerCount(): number {
    return this.#peers.size;
  }

  /** Returns `true` if a peer at an IP address has announced and not stopped. */
  knows(ip: string): boolean {
    for (const peer of this.#peers.values()) if (peer.ip === ip) return true;
    return false;
  }

  /**
   * Answers a request.
   *
   * @param ip Address of the client.
   * @param request The request.
   * @returns The answer, or `null` if the tracker never answers.
   * @throws {HttpError} If the tracker refuses the connection.
   */
  answer(ip: string, request: HttpRequest): HttpResponse | null {
    if (this.mood === "silent") return null;
    if (this.mood === "refusing") throw new HttpError("connection refused");
    if (this.mood === "broken") return reply(503, utf8("come back later"), request.url);
    if (this.mood === "rubbish") return reply(200, utf8("<html>hotel wifi</html>"), request.url);
    const query = new URL(request.url.replace(/info_hash=[^&]*&peer_id=[^&]*/, "")).searchParams;
    // As text of bytes: what is no UTF-8 is left as it is written.
    const infoHash = /[?&]info_hash=([^&]*)/.exec(request.url)?.[1] ?? "";
    const number = (name: string) => Number(query.get(name) ?? 0);
    const port = number("port");
    const event = query.get("event") ?? "";
    const left = number("left");
    this.heard.push({
      infoHash,
      ip,
      port,
      event,
      left,
      uploaded: number("uploaded"),
      downloaded: number("downloaded"),
    });
    const key = `${infoHash} ${ip}:${port}`;
    if (event === "stopped") this.#peers.delete(key);
    else this.#peers.set(key, { ip, port, left, infoHash });
    const peers = event === "stopped" ? [] : this.#choose(key, Math.min(50, number("numwant")), left);
    const all = [...this.#peers.values()].filter((peer) => peer.infoHash === infoHash);
    return reply(
      200,
      encode({
        interval: this.interval,
        "min interval": Math.min(this.interval, 30),
        complete: all.filter((peer) => peer.left === 0).length,
        incomplete: all.filter((peer) => peer.left > 0).length,
        peers: compact(peers),
      }),
      request.url,
    );
  }

  #choose(self: string, count: number, left: number): { ip: string; port: number }[] {
    const swarm = this.#peers.get(self)!.infoHash;
    const others = [...this.#peers].filter(([key, peer]) =>
      key !== self && peer.infoHash === swarm && (left > 0 || peer.left > 0)
    );
    const all = [...others.map(([, peer]) => peer), ...this.extra];
    for (let i = 0; i < Math.min(count, all.length); i++) {
      const other = i + Math.floor(this.#random() * (all.length - i));
      [all[i], all[other]] = [all[other]!, all[i]!];
    }
    return all.slice(0, count);
  }
}

function compact(peers: readonly { readonly ip: string; readonly port: number }[]): Bytes {
  const bytes = new Uint8Array(6 * peers.length);
  peers.forEach(({ ip, port }, i) => {
    bytes.set(parseIp(ip)!, 6 * i);
    bytes[6 * i + 4] = port >> 8;
    bytes[6 * i + 5] = port & 255;
  });
  return bytes;
}

function reply(status: number, body: Bytes, url: string): HttpResponse {
  return { status, headers: new Headers(), body, url };
}
