/**
 * Asks peers for what a magnet link stands for (BEP 9). The connections are the torrent's; what peers say of pieces meanwhile is
 * kept by each {@linkcode Peer}.
 *
 * @module
 */

import { type Bytes, equalBytes } from "../../base/bytes.ts";
import type { InfoHash } from "../../base/info_hash.ts";
import { MUTE_MS } from "../../base/defences.ts";
import { encodeMetadataReject, encodeMetadataRequest, parseMetadataMessage, type Peer } from "../../peer/mod.ts";
import type { Platform } from "../../platform/platform.ts";
import type { MetadataBudget } from "./metadata_budget.ts";
import { MetadataDownload } from "./metadata_download.ts";

/** Why a liar is sent away. */
const LIED = "it sent wrong metadata";

/** What a {@linkcode MetadataFetch} works with. */
export interface MetadataFetchOptions {
  /** Clock and hash function. */
  readonly platform: Pick<Platform, "now" | "digest">;
  /** Which torrent. */
  readonly infoHash: InfoHash;
  /** Memory for what peers send, of all torrents. */
  readonly memory: MetadataBudget;
  /** Shuts an address out, for good. */
  ban(host: string, reason: string): void;
  /** Takes the info dictionary, once; its hash is right. */
  found(info: Bytes): void;
}

/** One search for the info dictionary. */
export class MetadataFetch {
  readonly #options: MetadataFetchOptions;
  readonly #download: MetadataDownload<Peer>;
  #over = false;

  /** @param options What it works with. */
  constructor(options: MetadataFetchOptions) {
    const { platform, infoHash } = options;
    this.#options = options;
    this.#download = new MetadataDownload({
      budget: options.memory,
      isRight: (parts) => {
        const digest = platform.digest("sha1");
        for (const part of parts) digest.update(part);
        return equalBytes(digest.digest(), infoHash.bytes);
      },
    });
  }

  /** Part of the metadata that is here, 0 to 1. */
  get progress(): number {
    return this.#download.progress;
  }

  /** Whether nobody is asked any more: the metadata is here, or the search has been given up. */
  get over(): boolean {
    return this.#over;
  }

  /** Ends the search: the metadata came from elsewhere, or isn't needed. Memory is given back. */
  stop(): void {
    this.#over = true;
    this.#download.stop();
  }

  /** A peer said how long the metadata is, and whether it gives it away. */
  introduced(peer: Peer): void {
    const { metadataSize } = peer.extensions;
    if (metadataSize > 0 && peer.extensions.speaks("ut_metadata")) {
      this.#download.offered(peer, metadataSize, this.#options.platform.now());
    }
  }

  /** A connection is over: what it was asked for goes to others. */
  left(peer: Peer): void {
    this.#download.left(peer, this.#options.platform.now());
    if (!this.#over) this.#askAll();
  }

  /**
   * Asks a peer for as many parts as it should be working on. The requests wait in its send buffer.
   *
   * @returns Whether there was something to ask for.
   */
  ask(peer: Peer): boolean {
    const parts = this.#over ? [] : this.#download.ask(peer, this.#options.platform.now());
    for (const part of parts) peer.extensions.send("ut_metadata", encodeMetadataRequest(part));
    return parts.length > 0;
  }

  /**
   * A message of `ut_metadata` came.
   *
   * @throws {WireError} If it is broken.
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
      peer.flood.brought(payload.length);
      peer.lastPayload = now;
    }
    if (progress.kind === "done") {
      this.#over = true;
      return this.#options.found(progress.info);
    }
    if (progress.kind === "lie") this.#punish(progress);
    if (progress.kind === "lie" || progress.kind === "distrust") this.#askAll();
  }

  /** Regular work: whoever doesn't answer has to make room as soon as others wait, and what is late goes to others. */
  tick(now: number): void {
    if (this.#over) return;
    for (const peer of this.#download.silent(now)) peer.lastPayload = Math.min(peer.lastPayload, now - MUTE_MS - 1);
    this.#askAll();
  }

  #askAll(): void {
    for (const peer of this.#download.order(this.#options.platform.now())) if (this.ask(peer)) peer.output.flush();
  }

  /** Somebody else at the same address may be honest. */
  #punish({ liar, ban }: { readonly liar: Peer; readonly ban: boolean }): void {
    if (ban) this.#options.ban(liar.address.host, LIED);
    else liar.output.close(LIED);
  }
}
