/**
 * The extension protocol on one connection (BEP 10): extension handshakes, and messages of extensions.
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

/** The parts of a peer that the extension protocol uses. */
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
  /** Name of the extension. Messages to us have the id that `EXTENSION_IDS` gives for the name. */
  readonly name: ExtensionName;
  /**
   * Handles a message. Must not keep `payload`, which is a view of the receive buffer.
   *
   * @throws {WireError} If the peer must be disconnected.
   */
  received(peer: P, payload: Bytes): void;
}

/** The parts of the swarm that the extension protocol uses. */
export interface ExtensionHost<P> {
  /** Extensions to offer besides `upload_only`, which is always offered. */
  readonly extensions: readonly Extension<P>[];
  /** Bytes of the info dictionary to announce (BEP 9); 0 if it is unknown or not shared. */
  readonly metadataSize: number;
  /** Called when a peer has announced properties: client, port, upload-only, extensions. */
  peerIntroduced(peer: P): void;
}

/** What our extension handshake announces. */
export interface OpeningWords {
  /** Our client name and version. */
  readonly version: string;
  /** Our listen port. */
  readonly port: number;
  /** Whether we won't download any more (BEP 21). */
  readonly uploadOnly: boolean;
}

/** State of the extension protocol on one connection. */
export class PeerExtensions<P extends ExtendedPeer> {
  readonly #peer: P;
  readonly #host: ExtensionHost<P>;
  readonly #theirs = new Map<ExtensionName, number>();
  #portKnown = false;
  #metadataSize = 0;
  #seenAs: string | null = null;
  /** What our extension handshake announced; `null` before it was sent, and if the peer doesn't support extensions. */
  #words: OpeningWords | null = null;

  constructor(peer: P, host: ExtensionHost<P>) {
    this.#peer = peer;
    this.#host = host;
  }

  /** Whether the peer has announced its listen port. */
  get portKnown(): boolean {
    return this.#portKnown;
  }

  /** Bytes of the info dictionary, as announced by the peer (BEP 9); 0 if the peer announced none. */
  get metadataSize(): number {
    return this.#metadataSize;
  }

  /** Our address as the peer sees it (`yourip`); `null` if the peer announced none. */
  get yourIp(): string | null {
    return this.#seenAs;
  }

  /** Sends our extension handshake. */
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
   * Sends our extension handshake again after our listen port has changed. All fields are repeated, since some clients
   * forget fields that are left out. Does nothing before {@linkcode PeerExtensions.open}.
   *
   * @param port The new port.
   */
  announcePort(port: number): void {
    if (this.#words !== null && this.#words.port !== port) this.open({ ...this.#words, port });
  }

  /** Returns `true` if the peer accepts messages of an extension. */
  speaks(name: ExtensionName): boolean {
    return (this.#theirs.get(name) ?? 0) > 0;
  }

  /**
   * Sends a message of an extension if the peer accepts such messages.
   *
   * @param name The extension.
   * @param payload Payload after the message id.
   * @returns Whether the message is sent.
   */
  send(name: ExtensionName, payload: Uint8Array): boolean {
    const id = this.#theirs.get(name) ?? 0;
    if (name === "upload_only" && this.#words) this.#words = { ...this.#words, uploadOnly: payload[0] !== 0 };
    if (id > 0) this.#peer.writer.extended(id, payload);
    return id > 0;
  }

  /**
   * Handles a message. Ignores extensions that we didn't offer.
   *
   * @param id Our id of the extension, or 0 for the extension handshake.
   * @param payload Payload after the message id.
   * @throws {WireError} If the message is malformed.
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

  /**
   * Handles the peer's extension handshake. A peer may send further ones to change properties; properties that are left
   * out don't change (BEP 10).
   */
  #introduced(said: ExtensionHandshake): void {
    const peer = this.#peer;
    if (said.version) peer.client = said.version;
    if (said.requestQueue !== undefined) peer.requests.setLimit(said.requestQueue);
    if (said.uploadOnly !== undefined) peer.uploadOnly = said.uploadOnly;
    if (said.metadataSize !== undefined) this.#metadataSize = said.metadataSize;
    if (said.yourIp !== undefined) this.#seenAs = said.yourIp;
    for (const [name, id] of Object.entries(said.ids ?? {})) this.#theirs.set(name as ExtensionName, id);
    // Only the first port counts: a peer that announces a new port each time would fill our list of addresses.
    if (peer.incoming && said.port !== undefined && !this.#portKnown) {
      this.#portKnown = true;
      peer.address = { host: peer.address.host, port: said.port };
    }
    this.#host.peerIntroduced(peer);
  }
}
