/**
 * The extension protocol on one connection (BEP 10): who speaks what, under which ids, and what was said of oneself.
 *
 * @module
 */

import type { PeerAddress } from "../base/address.ts";
import type { Bytes } from "../base/bytes.ts";
import { REQUEST_QUEUE_LIMIT } from "../base/defences.ts";
import {
  encodeExtensionHandshake,
  EXTENSION_HANDSHAKE,
  EXTENSION_IDS,
  type ExtensionHandshake,
  type ExtensionName,
  parseExtensionHandshake,
} from "../wire/extension.ts";
import type { Encryption } from "../transport/transport.ts";
import type { FrameWriter } from "../wire/frame_writer.ts";

/** What the extension protocol has to do with of a peer. */
export interface ExtendedPeer {
  address: PeerAddress;
  readonly incoming: boolean;
  client: string;
  uploadOnly: boolean;
  readonly output: { readonly encryption?: Encryption };
  readonly requests: { setLimit(limit: number): void };
  readonly writer: FrameWriter;
}

/** An extension that the swarm offers to every peer. */
export interface Extension<P> {
  /** Its name, which stands for the id under which we take its messages. */
  readonly name: ExtensionName;
  /**
   * A message came. Must not keep `payload`: it is a view of the receive buffer.
   *
   * @throws {WireError} If the peer must be sent away for it.
   */
  received(peer: P, payload: Bytes): void;
}

/** What the swarm offers. */
export interface ExtensionHost<P> {
  /** Extensions beside `upload_only`, which every peer speaks. */
  readonly extensions: readonly Extension<P>[];
  /** Bytes of the info dictionary, told to peers (BEP 9); 0 while it isn't known, or isn't given away. */
  readonly metadataSize: number;
  /** The peer told more about itself: client, port, upload-only, what it speaks. */
  peerIntroduced(peer: P): void;
}

/** What is said when a connection opens. */
export interface OpeningWords {
  /** Client name and version. */
  readonly version: string;
  /** Where we listen. */
  readonly port: number;
  /** Whether we won't download anything (BEP 21). */
  readonly uploadOnly: boolean;
}

/** The extension protocol's side of a peer. */
export class PeerExtensions<P extends ExtendedPeer> {
  readonly #peer: P;
  readonly #host: ExtensionHost<P>;
  readonly #theirs = new Map<ExtensionName, number>();
  #portKnown = false;
  #metadataSize = 0;
  #seenAs: string | null = null;
  /** What was said when the connection opened; `null` before, and when it speaks no extensions. */
  #words: OpeningWords | null = null;

  /**
   * @param peer Whose.
   * @param host The swarm.
   */
  constructor(peer: P, host: ExtensionHost<P>) {
    this.#peer = peer;
    this.#host = host;
  }

  /** Whether it told on which port it listens. */
  get portKnown(): boolean {
    return this.#portKnown;
  }

  /** Bytes of the info dictionary as it says (BEP 9); 0 when it said nothing. */
  get metadataSize(): number {
    return this.#metadataSize;
  }

  /** Our own address as it sees it, or `null` when it said nothing. */
  get seenAs(): string | null {
    return this.#seenAs;
  }

  /** Our extension handshake. */
  open(words: OpeningWords): void {
    this.#words = words;
    const { extensions, metadataSize } = this.#host;
    const ids: Partial<Record<ExtensionName, number>> = { upload_only: EXTENSION_IDS.upload_only };
    for (const { name } of extensions) ids[name] = EXTENSION_IDS[name];
    const { encryption = "none" } = this.#peer.output;
    const encrypts = encryption !== "none";
    const handshake = {
      ...words,
      encrypts,
      ids,
      requestQueue: REQUEST_QUEUE_LIMIT,
      ...(metadataSize > 0 && { metadataSize }),
    };
    const payload = encodeExtensionHandshake(handshake, { remoteHost: this.#peer.address.host });
    this.#peer.writer.extended(EXTENSION_HANDSHAKE, payload);
  }

  /**
   * We listen on another port than we said: introduces us again, all of it, since some forget what is left out. Does nothing
   * before the first time.
   *
   * @param port The new one.
   */
  announcePort(port: number): void {
    if (this.#words !== null && this.#words.port !== port) this.open({ ...this.#words, port });
  }

  /** Whether it takes messages of an extension. */
  speaks(name: ExtensionName): boolean {
    return (this.#theirs.get(name) ?? 0) > 0;
  }

  /**
   * Puts a message into the send buffer, if the peer takes messages of that kind.
   *
   * @param name The extension.
   * @param payload What follows the id.
   * @returns Whether it takes them.
   */
  send(name: ExtensionName, payload: Uint8Array): boolean {
    const id = this.#theirs.get(name) ?? 0;
    if (name === "upload_only" && this.#words) this.#words = { ...this.#words, uploadOnly: payload[0] !== 0 };
    if (id > 0) this.#peer.writer.extended(id, payload);
    return id > 0;
  }

  /**
   * A message came.
   *
   * @param id Its id: ours, or 0 for the handshake. What we never offered is skipped.
   * @param payload What follows the id.
   * @throws {WireError} If it is broken.
   */
  received(id: number, payload: Bytes): void {
    if (id === EXTENSION_HANDSHAKE) return this.#introduced(parseExtensionHandshake(payload));
    if (id === EXTENSION_IDS.upload_only) {
      this.#peer.uploadOnly = payload[0] !== 0;
      return this.#host.peerIntroduced(this.#peer);
    }
    for (const extension of this.#host.extensions) {
      if (EXTENSION_IDS[extension.name] === id) return extension.received(this.#peer, payload);
    }
  }

  /** It may introduce itself again, to change what it said; what it leaves out stays (BEP 10). */
  #introduced(said: ExtensionHandshake): void {
    const peer = this.#peer;
    if (said.version) peer.client = said.version;
    if (said.requestQueue !== undefined) peer.requests.setLimit(said.requestQueue);
    if (said.uploadOnly !== undefined) peer.uploadOnly = said.uploadOnly;
    if (said.metadataSize !== undefined) this.#metadataSize = said.metadataSize;
    if (said.yourIp !== undefined) this.#seenAs = said.yourIp;
    for (const [name, id] of Object.entries(said.ids ?? {})) this.#theirs.set(name as ExtensionName, id);
    // Said once and for all: whoever names a new port each time would fill our list of addresses.
    if (peer.incoming && said.port !== undefined && !this.#portKnown) {
      this.#portKnown = true;
      peer.address = { host: peer.address.host, port: said.port };
    }
    this.#host.peerIntroduced(peer);
  }
}
