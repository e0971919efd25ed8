import { assertEquals, assertThrows } from "@std/assert";
import { formatIp, type PeerAddress } from "../../src/base/address.ts";
import { type Bytes, concatBytes, utf8 } from "../../src/base/bytes.ts";
import { MAX_DHT_MESSAGE, MAX_DHT_NODES, MAX_DHT_VALUES } from "../../src/base/defences.ts";
import { encode } from "../../src/bencode/mod.ts";
import { parseCompactPeer } from "../../src/base/address.ts";
import { encodeAddress, encodeNodes, parseNodes } from "../../src/dht/compact.ts";
import { KrpcError } from "../../src/dht/errors.ts";
import {
  decodeMessage,
  encodeQuery,
  encodeRefusal,
  encodeResponse,
  looksLikeKrpc,
} from "../../src/dht/krpc_messages.ts";
import type { Arguments, Message, Query, QueryMethod, Response, Values } from "../../src/dht/krpc_messages.ts";
import { fc } from "../support/property.ts";

const ID = utf8("abcdefghij0123456789");
const OTHER = utf8("mnopqrstuvwxyz123456");
const AA = utf8("aa");

function query(text: string): Query {
  const message = decodeMessage(utf8(text));
  if (message.type !== "query") throw new Error(`not a query: ${message.type}`);
  return message;
}

function response(text: string | Uint8Array): Response {
  const message = decodeMessage(typeof text === "string" ? utf8(text) : text);
  if (message.type !== "response") throw new Error(`not a response: ${message.type}`);
  return message;
}

Deno.test("decodeMessage() reads the queries of BEP 5", () => {
  const ping = query("d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe");
  assertEquals([ping.method, ping.arguments.id, ping.transaction, ping.readOnly], ["ping", ID, AA, false]);
  const find = query(
    "d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q9:find_node1:t2:aa1:y1:qe",
  );
  assertEquals([find.method, find.arguments.target], ["find_node", OTHER]);
  const get = query("d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers1:t2:aa1:y1:qe");
  assertEquals([get.method, get.arguments.infoHash], ["get_peers", OTHER]);
  const announce = query(
    "d1:ad2:id20:abcdefghij012345678912:implied_porti1e9:info_hash20:mnopqrstuvwxyz1234564:porti6881e5:token8:aoeusnthe" +
      "1:q13:announce_peer1:t2:aa1:y1:qe",
  );
  const { impliedPort, port, token } = announce.arguments;
  assertEquals([impliedPort, port, token], [true, 6881, utf8("aoeusnth")]);
});

Deno.test("decodeMessage() reads the answers of BEP 5", () => {
  assertEquals(response("d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re").values.id, OTHER);
  const peers = response(
    "d1:rd2:id20:abcdefghij01234567895:token8:aoeusnth6:valuesl6:axje.u6:idhtnmee1:t2:aa1:y1:re",
  );
  assertEquals(peers.values.token, utf8("aoeusnth"));
  assertEquals(peers.values.peers, [{ host: "97.120.106.101", port: 11893 }, { host: "105.100.104.116", port: 28269 }]);
  assertEquals(decodeMessage(utf8("d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee")), {
    type: "error",
    transaction: AA,
    code: 201,
    text: "A Generic Error Ocurred",
  });
});

Deno.test("decodeMessage() sees read-only nodes and wanted families", () => {
  const get = query(
    "d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz1234564:wantl2:n62:n42:n62:n9i4eee1:q9:get_peers" +
      "2:roi1e1:t2:aa1:y1:qe",
  );
  assertEquals([get.readOnly, get.arguments.want], [true, ["n6", "n4"]]);
});

for (
  const [what, text, deservesError] of [
    ["what is no bencode", "hello", false],
    ["what goes on", "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe!", false],
    ["a list", "le", false],
    ["a message without transaction", "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:y1:qe", false],
    ["a transaction of 65 bytes", `d1:rd2:id20:mnopqrstuvwxyz123456e1:t65:${"a".repeat(65)}1:y1:re`, false],
    ["a message without type", "d1:t2:aae", false],
    ["an unknown type", "d1:t2:aa1:y1:xe", false],
    ["a query with a short id", "d1:ad2:id4:abcde1:q4:ping1:t2:aa1:y1:qe", false],
    ["an answer without id", "d1:rde1:t2:aa1:y1:re", false],
    ["find_node without target", "d1:ad2:id20:abcdefghij0123456789e1:q9:find_node1:t2:aa1:y1:qe", true],
    ["get_peers without info-hash", "d1:ad2:id20:abcdefghij0123456789e1:q9:get_peers1:t2:aa1:y1:qe", true],
    [
      "announce_peer at port 0",
      "d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz1234564:porti0e5:token1:xe1:q13:announce_peer1:t2:aa" +
      "1:y1:qe",
      true,
    ],
    ["more depth than a message needs", `d1:rd2:id20:mnopqrstuvwxyz1234561:xllllleeeeee1:t2:aa1:y1:re`, false],
  ] as const
) {
  Deno.test(`decodeMessage() refuses ${what}`, () => {
    const error = assertThrows(() => decodeMessage(utf8(text)), KrpcError);
    assertEquals((error as KrpcError).transaction !== null, deservesError);
  });
}

Deno.test("decodeMessage() takes no more than it may, and keeps nothing of the datagram", () => {
  const nodes = encodeNodes(
    Array.from({ length: 40 }, (_, i) => ({ id: ID, address: { host: "1.2.3.4", port: i + 1 } })),
  );
  const datagram = encode({ r: { id: ID, nodes }, t: AA, y: "r" });
  const read = response(datagram);
  datagram.fill(0);
  assertEquals(read.values.nodes!.length, MAX_DHT_NODES);
  assertEquals(read.values.nodes![0], { id: ID, address: { host: "1.2.3.4", port: 1 } });
  assertEquals(read.transaction, AA);
  const values = Array.from({ length: 200 }, () => encodeAddress({ host: "1.2.3.4", port: 1 }));
  assertEquals(response(encode({ r: { id: ID, values }, t: AA, y: "r" })).values.peers!.length, MAX_DHT_VALUES);
  const long = encode({ r: { id: ID, x: new Uint8Array(MAX_DHT_MESSAGE) }, t: AA, y: "r" });
  assertThrows(() => decodeMessage(long), KrpcError);
});

Deno.test("looksLikeKrpc() tells messages from uTP and DNS", () => {
  assertEquals(looksLikeKrpc(utf8("d1:t2:aa1:y1:xe")), true);
  for (const bytes of [[], [0x21, 0], [0x01, 0x65], [0x64, 0]]) {
    assertEquals(looksLikeKrpc(Uint8Array.from(bytes)), false);
  }
});

// Encoding and decoding of any message.

const bytes = (length: number) =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((list) => new Uint8Array(list));
const upTo = (length: number) => fc.uint8Array({ maxLength: length }).map((list) => new Uint8Array(list));
const id = bytes(20);
const port = fc.integer({ min: 1, max: 65_535 });
const address4: fc.Arbitrary<PeerAddress> = fc.record({ host: bytes(4).map(formatIp), port });
const address6: fc.Arbitrary<PeerAddress> = fc.record({
  host: bytes(16).filter((ip) => !formatIp(ip).includes(".")).map(formatIp),
  port,
});
const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const nodesOf = (address: fc.Arbitrary<PeerAddress>) =>
  fc.array(fc.record({ id, address }), { maxLength: MAX_DHT_NODES });

const anyQuery: fc.Arbitrary<Omit<Query, "type" | "method"> & { method: QueryMethod }> = fc.record({
  transaction: upTo(8),
  method: fc.constantFrom<QueryMethod>("ping", "find_node", "get_peers", "announce_peer", "sample_infohashes"),
  arguments: fc.record({
    id,
    target: id,
    infoHash: id,
    port,
    impliedPort: fc.boolean(),
    token: upTo(20),
    seed: fc.boolean(),
    scrape: fc.boolean(),
    noSeed: fc.boolean(),
    want: optional(fc.uniqueArray(fc.constantFrom("n4" as const, "n6" as const))),
  }) as fc.Arbitrary<Arguments>,
  readOnly: fc.boolean(),
});

const anyResponse: fc.Arbitrary<Omit<Response, "type">> = fc.record({
  transaction: upTo(8),
  values: fc.record({
    id,
    nodes: optional(nodesOf(address4)),
    nodes6: optional(nodesOf(address6)),
    peers: optional(fc.array(fc.oneof(address4, address6), { maxLength: 20 })),
    token: optional(upTo(20)),
    seedFilter: optional(bytes(256)),
    peerFilter: optional(bytes(256)),
    samples: optional(fc.array(id, { maxLength: 5 }).map((ids) => concatBytes(ids))),
    sampleCount: optional(fc.nat()),
    interval: optional(fc.nat()),
  }) as fc.Arbitrary<Values>,
  ip: fc.option(fc.oneof(address4, address6)),
});

Deno.test("decodeMessage() gives what encodeQuery(), encodeResponse() and encodeRefusal() took", () => {
  const same = (message: Message, datagram: Bytes) => {
    if (datagram.length <= MAX_DHT_MESSAGE) assertEquals(decodeMessage(datagram), message);
  };
  fc.assert(fc.property(anyQuery, (query) => same({ type: "query", ...query }, encodeQuery(query))));
  fc.assert(fc.property(anyResponse, (given) => same({ type: "response", ...given }, encodeResponse(given))));
  const refusal = fc.record({
    transaction: upTo(8),
    code: fc.nat(),
    text: fc.string({ maxLength: 50, unit: "grapheme-ascii" }),
  });
  fc.assert(fc.property(refusal, (given) => same({ type: "error", ...given }, encodeRefusal(given))));
});

Deno.test("decodeMessage() throws nothing but KrpcError", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (garbage) => {
    try {
      decodeMessage(garbage);
    } catch (error) {
      if (!(error instanceof KrpcError)) throw error;
    }
  }));
});

Deno.test("parseNodes() and parseCompactPeer() pass over port 0 and broken tails", () => {
  const node = concatBytes([ID, Uint8Array.of(1, 2, 3, 4, 0, 80)]);
  const nobody = concatBytes([OTHER, Uint8Array.of(1, 2, 3, 4, 0, 0)]);
  const list = concatBytes([nobody, node, node.subarray(0, 25)]);
  assertEquals(parseNodes(list, { family: 4, limit: 9 }), [{ id: ID, address: { host: "1.2.3.4", port: 80 } }]);
  for (const length of [0, 5, 7, 17, 19]) assertEquals(parseCompactPeer(new Uint8Array(length).fill(1)), null);
  assertThrows(() => encodeAddress({ host: "example.org", port: 1 }), RangeError);
});
