/**
 * Answers to the queries of other nodes (BEP 5, 32, 33, 51).
 *
 * @module
 */

import { type AddressFamily, familyOf, type PeerAddress } from "../base/address.ts";
import type { Bytes } from "../base/bytes.ts";
import { MAX_DHT_REPLY } from "../base/defences.ts";
import type { Platform } from "../platform/platform.ts";
import type { NodeContact } from "./compact.ts";
import { ErrorCode } from "./errors.ts";
import { factsOf, type HostFacts } from "./hosts.ts";
import {
  type Arguments,
  encodeRefusal,
  encodeResponse,
  FILTER_LENGTH,
  type Query,
  type Values,
} from "./krpc_messages.ts";
import { PeerStore } from "./peer_store.ts";
import { K } from "./routing_table.ts";
import { TokenKeeper } from "./tokens.ts";

/** Length of an answer without nodes, peers and filters, with the longest transaction id, in bytes. */
const FRAME = 200;
/** Maximum number of info-hashes in one answer (BEP 51). */
const MAX_SAMPLES = 20;
/** Seconds for which the same samples are returned (BEP 51). */
const SAMPLE_INTERVAL = 300;

/** Options for {@linkcode Responder}. */
export interface ResponderOptions {
  readonly platform: Pick<Platform, "now" | "random" | "randomBytes" | "digest">;
  /** Address family of our node. */
  readonly family: AddressFamily;
  /** Returns our node id. */
  id(): Bytes;
  /** Returns the good nodes of either family closest to an id. */
  closest(family: AddressFamily, target: Uint8Array, count: number): readonly NodeContact[];
}

/** Answers queries, and stores the peers that other nodes announce. */
export class Responder {
  /** Peers that other nodes have announced. */
  readonly store: PeerStore;
  readonly #options: ResponderOptions;
  readonly #tokens: TokenKeeper;
  #samples: { readonly bytes: Bytes; readonly until: number } | null = null;

  constructor(options: ResponderOptions) {
    this.#options = options;
    this.store = new PeerStore(options.platform);
    this.#tokens = new TokenKeeper(options.platform, options.platform.now());
  }

  /**
   * Answers a query.
   *
   * @returns The answer as a datagram of at most 1,024 bytes, or `null` if none is sent.
   */
  answer(query: Query, from: PeerAddress): Bytes | null {
    const host = factsOf(from.host);
    if (host === null || host.kind === "unusable") return null;
    const values = this.#valuesFor(query, { host, from });
    const { transaction } = query;
    if (values === "bad token") return encodeRefusal({ transaction, code: ErrorCode.protocol, text: "bad token" });
    if (values === null) return encodeRefusal({ transaction, code: ErrorCode.unknownMethod, text: "unknown method" });
    return encodeResponse({ transaction, values, ip: from });
  }

  #valuesFor(query: Query, asker: Asker): Values | "bad token" | null {
    const id = this.#options.id();
    const given = query.arguments;
    switch (query.method) {
      case "ping":
        return { id };
      case "find_node":
        return { id, ...this.#nodes(given.target!, given.want) };
      case "get_peers":
        return this.#peers(given, asker);
      case "announce_peer":
        return this.#announce(given, asker) ? { id } : "bad token";
      case "sample_infohashes":
        return { id, ...this.#nodes(given.target!, given.want), ...this.#sample() };
      default:
        // BEP 51: answer an unknown method that has a target like find_node.
        return given.target ? { id, ...this.#nodes(given.target, given.want) } : null;
    }
  }

  #nodes(target: Uint8Array, want: Arguments["want"]): Pick<Values, "nodes" | "nodes6"> {
    const { family, closest } = this.#options;
    const isWanted = (name: "n4" | "n6", own: AddressFamily) =>
      want === undefined ? family === own : want.includes(name);
    return {
      ...(isWanted("n4", 4) && { nodes: closest(4, target, K) }),
      ...(isWanted("n6", 6) && { nodes6: closest(6, target, K) }),
    };
  }

  #peers(given: Arguments, { host }: Asker): Values {
    const { platform, family } = this.#options;
    const now = platform.now();
    const infoHash = given.infoHash!;
    const filters = given.scrape ? this.store.filters(infoHash, now) : null;
    // With filters there is no room for nodes of both families (BEP 33).
    const nodes = this.#nodes(infoHash, filters === null ? given.want : undefined);
    const taken = FRAME + 26 * (nodes.nodes?.length ?? 0) + 38 * (nodes.nodes6?.length ?? 0) +
      (filters === null ? 0 : 2 * (FILTER_LENGTH + 10));
    const limit = Math.floor((MAX_DHT_REPLY - taken) / (family === 4 ? 8 : 21));
    const peers = this.store.sample(infoHash, { now, limit, noSeed: given.noSeed ?? false });
    return {
      id: this.#options.id(),
      ...nodes,
      token: this.#tokens.issue({ ip: host.bytes, infoHash }, now),
      ...(peers.length > 0 && { peers }),
      ...(filters !== null && { seedFilter: filters.seeds.bytes, peerFilter: filters.peers.bytes }),
    };
  }

  #announce(given: Arguments, { host, from }: Asker): boolean {
    const now = this.#options.platform.now();
    const infoHash = given.infoHash!;
    if (!this.#tokens.accepts(given.token!, { ip: host.bytes, infoHash }, now)) return false;
    const port = given.impliedPort || given.port === undefined ? from.port : given.port;
    // An address that announces too many torrents gets a positive answer as well. An error would only make it retry.
    if (familyOf(from.host) === this.#options.family) {
      this.store.add({ infoHash, address: { host: from.host, port }, host, seed: given.seed ?? false }, now);
    }
    return true;
  }

  #sample(): Pick<Values, "samples" | "sampleCount" | "interval"> {
    const now = this.#options.platform.now();
    if (this.#samples === null || this.#samples.until <= now) {
      this.#samples = { bytes: this.store.sampleHashes(MAX_SAMPLES), until: now + SAMPLE_INTERVAL * 1000 };
    }
    const interval = Math.ceil((this.#samples.until - now) / 1000);
    return { samples: this.#samples.bytes, sampleCount: this.store.torrentCount, interval };
  }
}

interface Asker {
  readonly host: HostFacts;
  readonly from: PeerAddress;
}
