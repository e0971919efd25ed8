/**
 * The UDP side of a tracker of our own (BEP 15).
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

/** What the UDP side needs of the outside. */
export type UdpServerPlatform = Pick<Platform, "now" | "randomBytes" | "digest"> & {
  readonly net: Pick<Network, "openUdp">;
};

/** How it works. */
export interface UdpServerOptions {
  /** Local address to listen on. */
  readonly host: string;
  /** Port to listen on; 0 for any. */
  readonly port: number;
  /** Seconds between the announces of a peer. */
  readonly interval: number;
  /** What the tracker knows. */
  readonly store: SwarmStore;
  /** Who may name another address than its own; nobody when absent. */
  readonly trust?: Trust;
  /** Whether an address may ask now; then it counts. All may when absent. */
  readonly admits?: (host: string) => boolean;
  /** Is told of each request that was answered. */
  readonly answered: (kind: UdpRequest["kind"]) => void;
}

/** The longest request that is read whole: an announce with a long URL, or a scrape of 74 torrents. */
const MAX_REQUEST = 2048;

/** Answers datagrams until it is closed. */
export class UdpServer {
  readonly #platform: UdpServerPlatform;
  readonly #options: UdpServerOptions;
  readonly #ids: ConnectionIds;
  readonly #socket: UdpSocket;

  /**
   * @param platform The outside.
   * @param options How it works.
   * @throws {ShoalError} Of kind `network` if the port is taken or may not be used.
   */
  constructor(platform: UdpServerPlatform, options: UdpServerOptions) {
    this.#platform = platform;
    this.#options = options;
    this.#ids = new ConnectionIds(platform);
    this.#socket = platform.net.openUdp({ host: options.host, port: options.port });
    void this.#serve();
  }

  /** Where it listens. */
  get address(): PeerAddress {
    return this.#socket.address;
  }

  /** Stops it. Harmless when stopped. */
  close(): void {
    this.#socket.close();
  }

  async #serve(): Promise<void> {
    const buffer = new Uint8Array(MAX_REQUEST);
    for (;;) {
      const datagram = await this.#socket.receive(buffer);
      if (datagram === null) return;
      const answer = this.#answer(buffer.subarray(0, datagram.length), datagram.from);
      // The next one waits until this is out: no queue can grow but that of the system, which has a limit.
      if (answer !== null) await this.#socket.send(answer, datagram.from);
    }
  }

  /** Who has no connection id of ours gets no answer to anything but a connect: the address may be a victim's. */
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
    // Of a connect nobody knows whom it is from, so that it counts for nobody.
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
