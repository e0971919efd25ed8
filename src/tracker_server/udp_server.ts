/**
 * The UDP part of the tracker (BEP 15).
 *
 * @module
 */

import type { PeerAddress } from "../base/address.ts";
import type { Bytes } from "../base/bytes.ts";
import type { Network, Platform, UdpSocket } from "../platform/platform.ts";
import { ConnectionIds } from "./connection_ids.ts";
import type { SwarmStore } from "./swarm_store.ts";
import type { Trust } from "./address_trust.ts";
import {
  encodeConnectReply,
  encodeUdpAnnounceReply,
  encodeUdpError,
  encodeUdpScrapeReply,
  parseUdpRequest,
  type UdpRequest,
} from "./udp_requests.ts";

/** System services that {@linkcode UdpServer} needs. */
export type UdpServerPlatform = Pick<Platform, "now" | "randomBytes" | "digest"> & {
  readonly net: Pick<Network, "openUdp">;
};

/** Options for {@linkcode UdpServer}. */
export interface UdpServerOptions {
  /** Local address to listen on. */
  readonly host: string;
  /** Port to listen on; 0 for any. */
  readonly port: number;
  /** Seconds between announces of a peer. */
  readonly interval: number;
  /** Store of the tracker. */
  readonly store: SwarmStore;
  /** Clients that may name another address than their own; none when absent. */
  readonly trust?: Trust;
  /** Returns `true` if an address is within its rate limit, and counts the request. No limit when absent. */
  readonly admits?: (host: string) => boolean;
  /** Called for each request that was answered. */
  readonly answered: (kind: UdpRequest["kind"]) => void;
}

/** Maximum length of a request in bytes: an announce with a long URL, or a scrape of 74 torrents. */
const MAX_REQUEST = 2048;

/** Answers datagrams until it is closed. */
export class UdpServer {
  readonly #platform: UdpServerPlatform;
  readonly #options: UdpServerOptions;
  readonly #ids: ConnectionIds;
  readonly #socket: UdpSocket;

  /**
   * @param platform System services.
   * @param options See {@linkcode UdpServerOptions}.
   * @throws {ShoalError} Of kind `network` if the port is taken or not permitted.
   */
  constructor(platform: UdpServerPlatform, options: UdpServerOptions) {
    this.#platform = platform;
    this.#options = options;
    this.#ids = new ConnectionIds(platform);
    this.#socket = platform.net.openUdp({ host: options.host, port: options.port });
    void this.#serve();
  }

  /** Address on which the server listens. */
  get address(): PeerAddress {
    return this.#socket.address;
  }

  /** Stops the server. Calling it again has no effect. */
  close(): void {
    this.#socket.close();
  }

  async #serve(): Promise<void> {
    const buffer = new Uint8Array(MAX_REQUEST);
    for (;;) {
      const datagram = await this.#socket.receive(buffer);
      if (datagram === null) return;
      const answer = this.#answer(buffer.subarray(0, datagram.length), datagram.from);
      // The next datagram is read after this one is sent: only the system's queue can grow, which is limited.
      if (answer !== null) await this.#socket.send(answer, datagram.from);
    }
  }

  /** Requests without a valid connection id are not answered, except connect: their source address may be forged. */
  #answer(bytes: Uint8Array, from: PeerAddress): Bytes | null {
    const now = this.#platform.now();
    const request = parseUdpRequest(bytes, from, this.#options.trust);
    if (request === null) return null;
    if (request.kind !== "connect" && !this.#ids.accepts(request.connectionId, { host: from.host, now })) return null;
    const { store, interval, answered, admits } = this.#options;
    const { transactionId } = request;
    const refuse = (why: string) => {
      answered("refused");
      return encodeUdpError(transactionId, why);
    };
    // A connect request isn't counted for its source address, which may be forged.
    if (request.kind === "connect") {
      answered("connect");
      return encodeConnectReply(transactionId, this.#ids.issue(from.host, now));
    }
    if (admits !== undefined && !admits(from.host)) return refuse("too many requests from your address");
    if (request.kind === "refused") return refuse(request.why);
    if (request.kind === "scrape") {
      answered("scrape");
      return encodeUdpScrapeReply(transactionId, request.infoHashes.map((infoHash) => store.scrape(infoHash)));
    }
    const answer = store.announce(request.query, now);
    if ("refusal" in answer) return refuse(answer.refusal);
    answered("announce");
    return encodeUdpAnnounceReply(answer, { transactionId, interval });
  }
}
