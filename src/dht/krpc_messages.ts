/**
 * KRPC, the messages of the DHT: bencoded dictionaries in UDP datagrams (BEP 5, 32, 33, 42, 43, 51).
 *
 * @module
 */

import { parseCompactPeer, type PeerAddress } from "../base/address.ts";
import { type Bytes, fromUtf8Lossy, utf8 } from "../base/bytes.ts";
import { MAX_DHT_DEPTH, MAX_DHT_MESSAGE, MAX_DHT_NODES, MAX_DHT_TOKEN, MAX_DHT_VALUES } from "../base/defences.ts";
import { type BencodeDict, BencodeError, BencodeList, decodeDict, type Encodable, encode } from "../bencode/mod.ts";
import { encodeAddress, encodeNodes, type NodeContact, parseNodes } from "./compact.ts";
import { KrpcError } from "./errors.ts";
import { ID_LENGTH } from "./node_id.ts";

/** Length of a Bloom filter of BEP 33 in bytes. */
export const FILTER_LENGTH = 256;
/** Client version in the `v` field: two letters and a version number, as other clients send it. */
const VERSION = Uint8Array.of(0x53, 0x48, 0, 1);
/** Maximum number of bytes kept of an error message's text. */
const MAX_ERROR_TEXT = 200;

/** Queries that this client sends. Other nodes may send further methods. */
export type QueryMethod = "ping" | "find_node" | "get_peers" | "announce_peer" | "sample_infohashes";

/** Arguments of a query. {@linkcode decodeMessage} rejects a query that lacks an argument its method requires. */
export interface Arguments {
  /** Id of the querying node, 20 bytes. */
  readonly id: Bytes;
  /** Target of `find_node` and `sample_infohashes`, 20 bytes. */
  readonly target?: Bytes | undefined;
  /** Info-hash of `get_peers` and `announce_peer`, 20 bytes. */
  readonly infoHash?: Bytes | undefined;
  /** `announce_peer`: listening port of the peer, 1 to 65535. May be absent with `impliedPort`. */
  readonly port?: number | undefined;
  /** `announce_peer`: whether the source port of the query is the listening port. */
  readonly impliedPort?: boolean | undefined;
  /** `announce_peer`: token from the node's answer to `get_peers`. */
  readonly token?: Bytes | undefined;
  /** `announce_peer`: whether the peer is a seed (BEP 33). */
  readonly seed?: boolean | undefined;
  /** `get_peers`: whether Bloom filters are requested (BEP 33). */
  readonly scrape?: boolean | undefined;
  /** `get_peers`: whether the querying node has no use for seeds (BEP 33). */
  readonly noSeed?: boolean | undefined;
  /** Requested node families, `n4` and `n6` (BEP 32). The family of the query when absent. */
  readonly want?: readonly ("n4" | "n6")[] | undefined;
}

/** A query. */
export interface Query {
  readonly type: "query";
  /** Transaction id, echoed in the answer. */
  readonly transaction: Bytes;
  /** Method name, which need not be a {@linkcode QueryMethod}. */
  readonly method: string;
  readonly arguments: Arguments;
  /** Whether the querying node answers no queries itself (BEP 43). */
  readonly readOnly: boolean;
}

/** Return values of an answer. */
export interface Values {
  /** Id of the answering node, 20 bytes. */
  readonly id: Bytes;
  /** IPv4 nodes. */
  readonly nodes?: readonly NodeContact[] | undefined;
  /** IPv6 nodes. */
  readonly nodes6?: readonly NodeContact[] | undefined;
  /** Peers of the torrent. */
  readonly peers?: readonly PeerAddress[] | undefined;
  /** Token to send with `announce_peer`. */
  readonly token?: Bytes | undefined;
  /** Bloom filter of seeds, 256 bytes (BEP 33). */
  readonly seedFilter?: Bytes | undefined;
  /** Bloom filter of all other peers, 256 bytes (BEP 33). */
  readonly peerFilter?: Bytes | undefined;
  /** Concatenated info-hashes (BEP 51). */
  readonly samples?: Bytes | undefined;
  /** Total number of info-hashes that the node stores (BEP 51). */
  readonly sampleCount?: number | undefined;
  /** Seconds until the node returns other samples (BEP 51). */
  readonly interval?: number | undefined;
}

/** An answer. */
export interface Response {
  readonly type: "response";
  /** Transaction id of the query. */
  readonly transaction: Bytes;
  readonly values: Values;
  /** Address of the querying node as the answering node sees it (BEP 42). */
  readonly ip: PeerAddress | null;
}

/** An error message. */
export interface Refusal {
  readonly type: "error";
  /** Transaction id of the query. */
  readonly transaction: Bytes;
  /** Error code, see `ErrorCode`. */
  readonly code: number;
  /** Text of the sender. May contain control characters. */
  readonly text: string;
}

/** Any KRPC message. */
export type Message = Query | Response | Refusal;

/** Returns `true` if a datagram may be a KRPC message. A uTP packet never starts the same way. */
export function looksLikeKrpc(bytes: Uint8Array): boolean {
  return bytes[0] === 0x64 && bytes.at(-1) === 0x65;
}

/**
 * Decodes a message. Invalid fields that are not required are ignored.
 *
 * @returns The message. It holds no reference to `bytes`.
 * @throws {KrpcError} If the datagram is not a KRPC message, or lacks a required field.
 */
export function decodeMessage(bytes: Uint8Array): Message {
  const message = dictOf(bytes);
  const transaction = short(message.getBytes("t"));
  if (transaction === undefined) throw new KrpcError("there is no transaction id, or a long one");
  const kind = message.getBytes("y");
  if (kind?.length !== 1) throw new KrpcError("it has no type");
  switch (kind[0]) {
    case 0x71:
      return decodeQuery(message, transaction);
    case 0x72:
      return decodeResponse(message, transaction);
    case 0x65:
      return decodeRefusal(message, transaction);
    default:
      throw new KrpcError(`the type ${kind[0]} is unknown`);
  }
}

/** Encodes a query. Absent arguments and flags that are `false` are left out. */
export function encodeQuery(query: Omit<Query, "type" | "method"> & { readonly method: QueryMethod }): Bytes {
  const { id, target, infoHash, port, impliedPort, token, seed, scrape, noSeed, want } = query.arguments;
  return encode({
    a: {
      id,
      implied_port: flag(impliedPort),
      info_hash: infoHash,
      noseed: flag(noSeed),
      port,
      scrape: flag(scrape),
      seed: flag(seed),
      target,
      token,
      want,
    },
    q: query.method,
    ro: flag(query.readOnly),
    t: query.transaction,
    v: VERSION,
    y: "q",
  });
}

/** Encodes an answer. */
export function encodeResponse(response: Omit<Response, "type">): Bytes {
  const { values } = response;
  return encode({
    ip: response.ip === null ? undefined : encodeAddress(response.ip),
    r: {
      BFpe: values.peerFilter,
      BFsd: values.seedFilter,
      id: values.id,
      interval: values.interval,
      nodes: values.nodes && encodeNodes(values.nodes),
      nodes6: values.nodes6 && encodeNodes(values.nodes6),
      num: values.sampleCount,
      samples: values.samples,
      token: values.token,
      values: values.peers?.map(encodeAddress) as Encodable | undefined,
    },
    t: response.transaction,
    v: VERSION,
    y: "r",
  });
}

/** Encodes an error message. */
export function encodeRefusal(refusal: Omit<Refusal, "type">): Bytes {
  return encode({ e: [refusal.code, utf8(refusal.text)], t: refusal.transaction, v: VERSION, y: "e" });
}

function dictOf(bytes: Uint8Array): BencodeDict {
  try {
    return decodeDict(bytes, { maxDepth: MAX_DHT_DEPTH, maxSize: MAX_DHT_MESSAGE });
  } catch (error) {
    if (!(error instanceof BencodeError)) throw error;
    throw new KrpcError(error.why, { cause: error });
  }
}

function decodeQuery(message: BencodeDict, transaction: Bytes): Query {
  const method = message.getBytes("q");
  const given = message.getDict("a");
  const id = given && exact(given.getBytes("id"), ID_LENGTH);
  if (method === undefined || id === undefined) throw new KrpcError("a query without method or id");
  const name = fromUtf8Lossy(method.subarray(0, MAX_DHT_TOKEN));
  const port = given!.getInt("port");
  const asked: Arguments = {
    id,
    target: exact(given!.getBytes("target"), ID_LENGTH),
    infoHash: exact(given!.getBytes("info_hash"), ID_LENGTH),
    port: port !== undefined && port > 0 && port < 65_536 ? port : undefined,
    impliedPort: isSet(given!, "implied_port"),
    token: short(given!.getBytes("token")),
    seed: isSet(given!, "seed"),
    scrape: isSet(given!, "scrape"),
    noSeed: isSet(given!, "noseed"),
    want: wanted(given!),
  };
  const missing = missingIn(name, asked);
  if (missing !== null) throw new KrpcError(`${name} needs a valid ${missing}`, { transaction });
  return { type: "query", transaction, method: name, arguments: asked, readOnly: isSet(message, "ro") };
}

function missingIn(method: string, given: Arguments): string | null {
  switch (method) {
    case "find_node":
    case "sample_infohashes":
      return given.target ? null : "target";
    case "get_peers":
      return given.infoHash ? null : "info_hash";
    case "announce_peer":
      if (!given.infoHash) return "info_hash";
      if (!given.token) return "token";
      return given.port !== undefined || given.impliedPort ? null : "port";
    default:
      return null;
  }
}

function decodeResponse(message: BencodeDict, transaction: Bytes): Response {
  const given = message.getDict("r");
  const id = given && exact(given.getBytes("id"), ID_LENGTH);
  if (id === undefined) throw new KrpcError("an answer without id");
  const nodes = given!.getBytes("nodes");
  const nodes6 = given!.getBytes("nodes6");
  const ip = message.getBytes("ip");
  const samples = given!.getBytes("samples");
  return {
    type: "response",
    transaction,
    values: {
      id,
      nodes: nodes && parseNodes(nodes, { family: 4, limit: MAX_DHT_NODES }),
      nodes6: nodes6 && parseNodes(nodes6, { family: 6, limit: MAX_DHT_NODES }),
      peers: peersIn(given!.getList("values")),
      token: short(given!.getBytes("token")),
      seedFilter: exact(given!.getBytes("BFsd"), FILTER_LENGTH),
      peerFilter: exact(given!.getBytes("BFpe"), FILTER_LENGTH),
      samples: samples && samples.length % ID_LENGTH === 0 ? samples.slice() : undefined,
      sampleCount: count(given!.getInt("num")),
      interval: count(given!.getInt("interval")),
    },
    ip: ip === undefined ? null : parseCompactPeer(ip),
  };
}

function decodeRefusal(message: BencodeDict, transaction: Bytes): Refusal {
  const list = message.getList("e");
  const code = list?.at(0);
  const text = list?.at(1);
  return {
    type: "error",
    transaction,
    code: typeof code === "number" ? code : 0,
    text: text instanceof Uint8Array ? fromUtf8Lossy(text.subarray(0, MAX_ERROR_TEXT)) : "",
  };
}

/** Reads `values`, which may mix IPv4 and IPv6 peers (BEP 32). */
function peersIn(list: BencodeList | undefined): PeerAddress[] | undefined {
  if (list === undefined) return undefined;
  const peers: PeerAddress[] = [];
  let left = MAX_DHT_VALUES;
  for (const item of list) {
    if (left-- === 0) break;
    const address = item instanceof Uint8Array ? parseCompactPeer(item) : null;
    if (address !== null) peers.push(address);
  }
  return peers;
}

function wanted(given: BencodeDict): ("n4" | "n6")[] | undefined {
  const list = given.getList("want");
  if (list === undefined) return undefined;
  const want = new Set<"n4" | "n6">();
  for (const item of list) {
    const name = item instanceof Uint8Array && item.length === 2 ? fromUtf8Lossy(item) : "";
    if (name === "n4" || name === "n6") want.add(name);
  }
  return [...want];
}

function exact(bytes: Bytes | undefined, length: number): Bytes | undefined {
  return bytes?.length === length ? bytes.slice() : undefined;
}

function short(bytes: Bytes | undefined): Bytes | undefined {
  return bytes !== undefined && bytes.length <= MAX_DHT_TOKEN ? bytes.slice() : undefined;
}

function isSet(dict: BencodeDict, key: string): boolean {
  const value = dict.getInt(key);
  return value !== undefined && value !== 0;
}

function count(value: number | undefined): number | undefined {
  return value !== undefined && value >= 0 ? value : undefined;
}

function flag(value: boolean | undefined): 1 | undefined {
  return value ? 1 : undefined;
}
