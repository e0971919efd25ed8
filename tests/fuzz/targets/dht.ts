/**
 * Fuzzes messages of DHT nodes, and the saved routing table.
 *
 * @module
 */

import { formatIp, parseIp, type PeerAddress } from "../../../src/base/address.ts";
import {
  MAX_DHT_MESSAGE,
  MAX_DHT_NODES,
  MAX_DHT_REPLY,
  MAX_DHT_SAVED_NODES,
  MAX_DHT_TOKEN,
  MAX_DHT_VALUES,
} from "../../../src/base/defences.ts";
import { KrpcError, SavedTableError } from "../../../src/dht/errors.ts";
import { decodeMessage, encodeResponse, type Query, type Response } from "../../../src/dht/krpc_messages.ts";
import { ID_LENGTH } from "../../../src/dht/node_id.ts";
import { Responder } from "../../../src/dht/responder.ts";
import { decodeSavedTable, encodeSavedTable } from "../../../src/dht/saved_table.ts";
import { startDigest } from "../../../src/platform/start_digest.ts";
import type { Dice } from "../dice.ts";
import { anyBytes, anyInteger, anyShape, BENCODE_TOKENS, disturb, Pairs, writeShape } from "../shapes/bencode.ts";
import type { Shape } from "../shapes/bencode.ts";
import { attempt, hold, type Target } from "../target.ts";

const METHODS = ["ping", "find_node", "get_peers", "announce_peer", "sample_infohashes", "vote"];
const ID = new Uint8Array(ID_LENGTH);

/** Target for `decodeMessage()`, and for the answers to decoded queries. */
export const krpcTarget: Target = {
  name: "krpc",
  weight: 4,
  tokens: [...BENCODE_TOKENS, ...METHODS, "1:y1:q", "1:y1:r", "1:t2:aa", "2:id20:", "6:target20:", "5:nodes", "2:n4"],
  generate: (dice, draft) => writeShape(draft, anyMessage(dice)),
  run(input) {
    const message = attempt(KrpcError, () => decodeMessage(input));
    if (message instanceof KrpcError) return message;
    hold(input.length <= MAX_DHT_MESSAGE, "a message that is too long");
    hold(message.transaction.length <= MAX_DHT_TOKEN, "a transaction that is too long");
    if (message.type === "query") checkQuery(message);
    if (message.type === "response") checkResponse(message);
    return null;
  },
};

function checkQuery(query: Query): void {
  const { id, target, infoHash, port, token } = query.arguments;
  for (const hash of [id, target, infoHash]) {
    hold(hash === undefined || hash.length === ID_LENGTH, "an id of another length");
  }
  hold(port === undefined || (port > 0 && port < 65_536), () => `the port ${port}`);
  hold(token === undefined || token.length <= MAX_DHT_TOKEN, "a token that is too long");
  for (const from of [{ host: "203.0.113.5", port: 1 }, { host: "2001:db8::1", port: 2 }]) {
    const responder = new Responder({
      platform: {
        now: () => 0,
        random: () => 0.5,
        randomBytes: (length) => new Uint8Array(length),
        digest: startDigest,
      },
      family: from.host.includes(":") ? 6 : 4,
      id: () => ID,
      closest: (family, _target, count) => new Array(count).fill({ id: ID, address: NODES[family] }),
    });
    const answer = responder.answer(query, from);
    hold(answer !== null && answer.length <= MAX_DHT_REPLY, "no answer, or a long one");
    const read = attempt(KrpcError, () => decodeMessage(answer));
    hold(!(read instanceof KrpcError) && read.type !== "query", "an answer that nobody can read");
  }
}

const NODES = { 4: { host: "192.0.2.1", port: 1 }, 6: { host: "2001:db8::2", port: 1 } };

function checkResponse(response: Response): void {
  const { values, ip } = response;
  hold(values.id.length === ID_LENGTH, "an id of another length");
  for (const nodes of [values.nodes ?? [], values.nodes6 ?? []]) {
    hold(nodes.length <= MAX_DHT_NODES, "more nodes than are wanted");
    for (const { id, address } of nodes) {
      hold(id.length === ID_LENGTH, "an id of another length");
      checkAddress(address);
    }
  }
  hold((values.peers ?? []).length <= MAX_DHT_VALUES, "more peers than are wanted");
  values.peers?.forEach(checkAddress);
  if (ip !== null) checkAddress(ip);
  const again = attempt(KrpcError, () => decodeMessage(encodeResponse(response)));
  hold(!(again instanceof KrpcError), "what was read can't be written and read again");
}

function checkAddress({ host, port }: PeerAddress): void {
  hold(port > 0 && port < 65_536, () => `the port ${port}`);
  const ip = parseIp(host);
  hold(ip !== null && formatIp(ip) === host, () => `${JSON.stringify(host)} is no address in its usual form`);
}

function anyMessage(dice: Dice): Shape {
  const kind = dice.pick(["q", "q", "r", "r", "e"]);
  const message = new Pairs({
    a: kind === "q" ? anyArguments(dice) : undefined,
    e: kind === "e" ? [anyInteger(dice), anyBytes(dice)] : undefined,
    ip: dice.oneIn(3) ? dice.bytes(dice.pick([6, 18, 5])) : undefined,
    q: kind === "q" ? dice.pick(METHODS) : undefined,
    r: kind === "r" ? anyValues(dice) : undefined,
    ro: dice.oneIn(6) ? dice.below(2) : undefined,
    t: dice.bytes(dice.oneIn(20) ? dice.below(80) : 1 + dice.below(4)),
    v: dice.oneIn(2) ? dice.bytes(4) : undefined,
    y: kind,
  });
  disturb(message, dice, 30);
  return message;
}

function anyArguments(dice: Dice): Pairs {
  const given = new Pairs({
    id: anyId(dice),
    implied_port: dice.oneIn(3) ? dice.below(2) : undefined,
    info_hash: dice.oneIn(8) ? undefined : anyId(dice),
    port: dice.oneIn(3) ? anyInteger(dice) : 1 + dice.below(65_535),
    scrape: dice.oneIn(4) ? 1 : undefined,
    target: dice.oneIn(8) ? undefined : anyId(dice),
    token: dice.oneIn(8) ? anyBytes(dice) : dice.bytes(8),
    want: dice.oneIn(4) ? [dice.pick(["n4", "n6", "n9"]), anyShape(dice, 1)] : undefined,
  });
  disturb(given, dice, 40);
  return given;
}

function anyValues(dice: Dice): Pairs {
  const values = new Pairs({
    BFpe: dice.oneIn(8) ? dice.bytes(256) : undefined,
    BFsd: dice.oneIn(8) ? dice.bytes(256) : undefined,
    id: anyId(dice),
    nodes: dice.oneIn(2) ? dice.bytes(26 * dice.below(12) + (dice.oneIn(8) ? dice.below(26) : 0)) : undefined,
    nodes6: dice.oneIn(4) ? dice.bytes(38 * dice.below(12)) : undefined,
    samples: dice.oneIn(8) ? dice.bytes(20 * dice.below(4)) : undefined,
    token: dice.oneIn(2) ? anyBytes(dice) : undefined,
    values: dice.oneIn(2)
      ? Array.from({ length: dice.below(8) }, () => dice.bytes(dice.pick([6, 6, 18, 7])))
      : undefined,
  });
  disturb(values, dice, 40);
  return values;
}

function anyId(dice: Dice): Uint8Array {
  return dice.bytes(dice.oneIn(30) ? dice.below(40) : ID_LENGTH);
}

/** Target for `decodeSavedTable()`. */
export const savedTableTarget: Target = {
  name: "dht-table",
  weight: 1,
  tokens: [...BENCODE_TOKENS, "7:version", "5:nodes", "6:nodes6", "3:id420:"],
  generate(dice, draft) {
    const table = new Pairs({
      id4: dice.oneIn(3) ? undefined : anyId(dice),
      id6: dice.oneIn(3) ? undefined : anyId(dice),
      nodes: dice.bytes(26 * dice.below(20) + (dice.oneIn(12) ? 1 : 0)),
      nodes6: dice.bytes(38 * dice.below(20)),
      version: dice.oneIn(12) ? anyInteger(dice) : 1,
    });
    disturb(table, dice, 30);
    writeShape(draft, table);
  },
  run(input) {
    const table = attempt(SavedTableError, () => decodeSavedTable(input));
    if (table instanceof SavedTableError) return table;
    for (const { nodes } of [table[4], table[6]]) {
      hold(nodes.length <= MAX_DHT_SAVED_NODES, "more nodes than may be kept");
      for (const { address } of nodes) checkAddress(address);
    }
    const again = attempt(SavedTableError, () => decodeSavedTable(encodeSavedTable(table)));
    hold(!(again instanceof SavedTableError) && again[4].nodes.length === table[4].nodes.length, "it is another table");
    return null;
  },
};
