/**
 * Fetches the metadata of a magnet link from the torrent's peers (BEP 9). Meanwhile each {@linkcode Peer} keeps what it
 * says about its pieces.
 *
 * @module
 */

import type { Bytes } from "../../base/bytes.ts";
import type { InfoHashes } from "../../base/info_hashes.ts";
import { NOT_INTERESTED_MS } from "../../base/defences.ts";
import { encodeMetadataReject, encodeMetadataRequest, parseMetadataMessage, type Peer } from "../../peer/mod.ts";
import type { Platform } from "../../platform/platform.ts";
import type { MetadataBudget } from "./metadata_budget.ts";
import { MetadataScheduler } from "./metadata_scheduler.ts";

/** Reason shown when a peer that sent wrong metadata is dropped. */
const LIED = "it sent wrong metadata";

/** Options for {@linkcode MetadataFetch}. */
export interface MetadataFetchOptions {
  /** Clock and hash function. */
  readonly platform: Pick<Platform, "now" | "digest">;
  /** The known info-hashes of the torrent, all of which the metadata must have. */
  readonly infoHashes: InfoHashes;
  /** Memory for the metadata of all torrents. */
  readonly memory: MetadataBudget;
  /** Bans an address for good. */
  ban(host: string, reason: string): void;
  /** Called once with the info dictionary, whose hash is right. */
  found(info: Bytes): void;
}

/** The search for one info dictionary. */
export class MetadataFetch {
  readonly #options: MetadataFetchOptions;
  readonly #download: MetadataScheduler<Peer>;
  #over = false;

  constructor(options: MetadataFetchOptions) {
    const { platform, infoHashes } = options;
    this.#options = options;
    this.#download = new MetadataScheduler({
      budget: options.memory,
      isRight: (parts) =>
        infoHashes.matches((algorithm) => {
          const digest = platform.digest(algorithm);
          for (const part of parts) digest.update(part);
          return digest.digest();
        }),
    });
  }

  /** The part of the metadata that has been received, 0 to 1. */
  get progress(): number {
    return this.#download.progress;
  }

  /** Whether the search has ended: the metadata has been found, or the search was stopped. */
  get over(): boolean {
    return this.#over;
  }

  /** Ends the search and frees its memory: the metadata came from elsewhere, or isn't needed. */
  stop(): void {
    this.#over = true;
    this.#download.stop();
  }

  /** Called when a peer's extension handshake has told the size of the metadata and whether the peer shares it. */
  introduced(peer: Peer): void {
    const { metadataSize } = peer.extensions;
    if (metadataSize > 0 && peer.extensions.speaks("ut_metadata")) {
      this.#download.offered(peer, metadataSize, this.#options.platform.now());
    }
  }

  /** Called when a connection is closed. The parts that were requested from the peer are requested from others. */
  left(peer: Peer): void {
    this.#download.left(peer, this.#options.platform.now());
    if (!this.#over) this.#askAll();
  }

  /**
   * Requests as many parts from a peer as it should be working on. The requests wait in the peer's send buffer.
   *
   * @returns `true` if a part was requested.
   */
  ask(peer: Peer): boolean {
    const parts = this.#over ? [] : this.#download.ask(peer, this.#options.platform.now());
    for (const part of parts) peer.extensions.send("ut_metadata", encodeMetadataRequest(part));
    return parts.length > 0;
  }

  /**
   * Handles a `ut_metadata` message.
   *
   * @throws {WireError} If the message is malformed.
   */
  received(peer: Peer, payload: Bytes): void {
    const message = parseMetadataMessage(payload);
    if (message.type === "request") {
      return void peer.extensions.send("ut_metadata", encodeMetadataReject(message.part));
    }
    if (this.#over) return;
    const now = this.#options.platform.now();
    if (message.type === "reject") return this.#download.rejected(peer, message.part, now);
    if (message.type !== "data") return;
    const progress = this.#download.received(peer, message.part, { ...message, now });
    if (progress.kind !== "unwanted") {
      peer.flood.blockReceived(payload.length);
      peer.lastPayload = now;
    }
    if (progress.kind === "done") {
      this.#over = true;
      return this.#options.found(progress.info);
    }
    if (progress.kind === "lie") this.#punish(progress);
    if (progress.kind === "lie" || progress.kind === "distrust") this.#askAll();
  }

  /** Regular work: silent peers lose their places when others wait, and late parts are requested elsewhere. */
  tick(now: number): void {
    if (this.#over) return;
    for (const peer of this.#download.silent(now)) {
      peer.lastPayload = Math.min(peer.lastPayload, now - NOT_INTERESTED_MS - 1);
    }
    this.#askAll();
  }

  #askAll(): void {
    for (const peer of this.#download.order(this.#options.platform.now())) if (this.ask(peer)) peer.output.flush();
  }

  /** Drops a peer that sent wrong metadata; without `ban`, another peer at the same address may be honest. */
  #punish({ liar, ban }: { readonly liar: Peer; readonly ban: boolean }): void {
    if (ban) this.#options.ban(liar.address.host, LIED);
    else liar.output.close(LIED);
  }
}
