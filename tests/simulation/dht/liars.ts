/**
 * Nodes that try to make lookups fail. They get into the routing tables of other nodes, since they answer pings
 * correctly.
 *
 * @module
 */

import type { PeerAddress } from "../../../src/base/address.ts";
import type { Bytes } from "../../../src/base/bytes.ts";
import { KrpcError } from "../../../src/dht/errors.ts";
import { factsOf } from "../../../src/dht/hosts.ts";
import {
  decodeMessage,
  encodeQuery,
  encodeResponse,
  type Message,
  type Query,
} from "../../../src/dht/krpc_messages.ts";
import { compareDistance, ID_LENGTH, idForAddress, idSharing } from "../../../src/dht/node_id.ts";
import type { DatagramNetwork } from "./network.ts";

/**
 * Behaviour of a liar towards lookups.
 *
 * - `silent`: no answer.
 * - `garbage`: random bytes, or an answer with a wrong transaction id.
 * - `gang`: names other members of the gang as the closest nodes, under forged ids, names peers that don't exist, and
 *   accepts announces without storing them.
 */
export type LiarKind = "silent" | "garbage" | "gang";

/** Number of nodes, and of peers, in a misleading answer. */
const NAMED = 8;

/** Options for {@linkcode Liar}. */
export interface DhtLiarOptions {
  /** Behaviour towards lookups. */
  readonly kind: LiarKind;
  /** Addresses of all members of the gang. */
  readonly gang: readonly PeerAddress[];
}

/** A malicious DHT node. */
export class Liar {
  readonly address: PeerAddress;
  readonly #network: DatagramNetwork;
  readonly #kind: LiarKind;
  readonly #gang: readonly PeerAddress[];
  readonly #ip: Uint8Array;
  readonly #id: Bytes;

  /**
   * @param network Network to add the node to.
   * @param options See {@linkcode DhtLiarOptions}.
   */
  constructor(network: DatagramNetwork, options: DhtLiarOptions) {
    this.#network = network;
    this.#kind = options.kind;
    this.#gang = options.gang;
    this.address = network.addHost();
    this.#ip = factsOf(this.address.host)!.bytes;
    this.#id = idForAddress(this.#ip, this.#random());
    network.listen(this.address, (bytes, from) => this.#receive(bytes, from));
  }

  /**
   * Pings a node, so that the node may ping back and add the liar to its routing table.
   *
   * @param to Address of the node.
   */
  greet(to: PeerAddress): void {
    const transaction = this.#network.clock.randomBytes(4);
    this.#send(encodeQuery({ transaction, method: "ping", arguments: { id: this.#id }, readOnly: false }), to);
  }

  #receive(bytes: Bytes, from: PeerAddress): void {
    let message: Message;
    try {
      message = decodeMessage(bytes);
    } catch (error) {
      if (error instanceof KrpcError) return;
      throw error;
    }
    if (message.type !== "query") return;
    const target = message.arguments.target ?? message.arguments.infoHash;
    if (target === undefined) return this.#answer(message, from, this.#id);
    if (this.#kind === "gang") return this.#mislead(message, target, from);
    if (this.#kind === "garbage") this.#babble(message, from);
  }

  #answer(query: Query, to: PeerAddress, id: Bytes): void {
    this.#send(encodeResponse({ transaction: query.transaction, values: { id }, ip: to }), to);
  }

  #babble(query: Query, to: PeerAddress): void {
    const { clock } = this.#network;
    if (clock.random() < 0.5) return this.#send(clock.randomBytes(100), to);
    this.#answer({ ...query, transaction: clock.randomBytes(4) }, to, this.#id);
  }

  #mislead(query: Query, target: Bytes, to: PeerAddress): void {
    const { clock } = this.#network;
    const id = closestIdAt(this.#ip, target);
    if (query.method === "announce_peer") return this.#answer(query, to, id);
    const nodes = Array.from({ length: NAMED }, () => {
      const address = clock.random() < 0.8
        ? this.#gang[Math.floor(clock.random() * this.#gang.length)]!
        : this.#nobody();
      return { id: idSharing(target, 20 + Math.floor(clock.random() * 60), this.#random()), address };
    });
    const peers = Array.from({ length: NAMED }, () => this.#nobody());
    const token = clock.randomBytes(8);
    const values = { id, nodes, ...(query.method === "get_peers" && { peers, token }) };
    this.#send(encodeResponse({ transaction: query.transaction, values, ip: this.#nobody() }), to);
  }

  #nobody(): PeerAddress {
    const { clock } = this.#network;
    return { host: `${1 + Math.floor(clock.random() * 9)}.${clock.randomBytes(3).join(".")}`, port: 6881 };
  }

  #random(): Bytes {
    return this.#network.clock.randomBytes(ID_LENGTH);
  }

  #send(bytes: Bytes, to: PeerAddress): void {
    this.#network.send(this.address, to, bytes);
  }
}

/** Returns the id closest to a target among those that BEP 42 allows for an address: 8 prefixes with a free rest. */
function closestIdAt(ip: Uint8Array, target: Bytes): Bytes {
  const ids = Array.from({ length: 8 }, (_, chance) => {
    const wish = new Uint8Array(target);
    wish[19] = chance;
    return idForAddress(ip, wish);
  });
  return ids.reduce((best, id) => compareDistance(id, best, target) < 0 ? id : best);
}
