import { assertEquals, assertLessOrEqual, assertThrows } from "@std/assert";
import { familyOf, formatIp } from "../../src/base/address.ts";
import { utf8 } from "../../src/base/bytes.ts";
import { MAX_DHT_SAVED_NODES } from "../../src/base/defences.ts";
import { encode } from "../../src/bencode/mod.ts";
import { SavedTableError } from "../../src/dht/errors.ts";
import { factsOf } from "../../src/dht/hosts.ts";
import { decodeSavedTable, encodeSavedTable, MAX_SAVED_TABLE } from "../../src/dht/saved_table.ts";
import { fc } from "../support/property.ts";
import { idOf } from "./support.ts";

const bytes = (length: number) =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((list) => new Uint8Array(list));
const familyArbitrary = (length: 4 | 16) => {
  const host = bytes(length).map(formatIp).filter((host) =>
    factsOf(host)!.kind !== "unusable" && familyOf(host) === (length === 4 ? 4 : 6)
  );
  const address = fc.record({ host, port: fc.integer({ min: 1, max: 65_535 }) });
  return fc.record({
    id: fc.option(bytes(20)),
    nodes: fc.array(fc.record({ id: bytes(20), address }), { maxLength: 30 }),
  });
};

Deno.test("decodeSavedTable() gives what encodeSavedTable() took", () => {
  fc.assert(fc.property(familyArbitrary(4), familyArbitrary(16), (four, six) => {
    assertEquals(decodeSavedTable(encodeSavedTable({ 4: four, 6: six })), { 4: four, 6: six });
  }));
});

Deno.test("encodeSavedTable() writes no more than decodeSavedTable() reads", () => {
  const nodes = (host: string) =>
    Array.from({ length: 2 * MAX_DHT_SAVED_NODES }, () => ({ id: idOf("11"), address: { host, port: 1 } }));
  const table = { 4: { id: idOf("22"), nodes: nodes("1.2.3.4") }, 6: { id: idOf("33"), nodes: nodes("2001:db8::1") } };
  const encoded = encodeSavedTable(table);
  assertLessOrEqual(encoded.length, MAX_SAVED_TABLE);
  assertEquals(decodeSavedTable(encoded)[6].nodes.length, MAX_DHT_SAVED_NODES);
});

for (
  const [what, file] of [
    ["what is no bencode", utf8("hello")],
    ["a list", utf8("le")],
    ["another version", encode({ version: 2, nodes: "", nodes6: "" })],
    ["no version", encode({ nodes: "", nodes6: "" })],
    ["a short id", encode({ version: 1, id4: "abc", nodes: "", nodes6: "" })],
    ["half a node", encode({ version: 1, nodes: new Uint8Array(27), nodes6: "" })],
    ["no nodes", encode({ version: 1, nodes: "" })],
    ["a file that is too long", encode({ version: 1, nodes: new Uint8Array(MAX_SAVED_TABLE), nodes6: "" })],
  ] as const
) {
  Deno.test(`decodeSavedTable() refuses ${what}`, () => {
    assertThrows(() => decodeSavedTable(file), SavedTableError);
  });
}

Deno.test("decodeSavedTable() leaves out nodes that can't be", () => {
  const node = (host: number[]) => Uint8Array.from([...new Uint8Array(20), ...host, 1, 1]);
  const nodes = Uint8Array.from([...node([224, 0, 0, 1]), ...node([1, 2, 3, 4]), ...node([0, 0, 0, 0])]);
  const mapped = node([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 1, 2, 3, 4]);
  const table = decodeSavedTable(encode({ version: 1, nodes, nodes6: mapped }));
  assertEquals([table[4].nodes.map(({ address }) => address.host), table[6].nodes], [["1.2.3.4"], []]);
});
