import { assert, assertEquals } from "@std/assert";
import { toHex } from "../../src/base/bytes.ts";
import {
  BencodeDict,
  BencodeError,
  BencodeList,
  type BencodeValue,
  decode,
  type Encodable,
  encode,
  keyOf,
} from "../../src/bencode/mod.ts";
import { fc } from "../support/property.ts";

/** A structure in which equal values are equal: bytes as hex, dictionaries as sorted entries. */
type Model = string | bigint | { list: Model[] } | { dict: [string, Model][] };

const bytes = fc.uint8Array({ maxLength: 12 });
const integer = fc.oneof(fc.maxSafeInteger(), fc.bigInt({ min: -(10n ** 40n), max: 10n ** 40n }));
const model = fc.letrec<{ value: Model }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    bytes.map(toHex),
    integer.map(BigInt),
    fc.array(tie("value"), { maxLength: 6 }).map((list) => ({ list })),
    fc.uniqueArray(fc.tuple(bytes.map(keyOf), tie("value")), { selector: ([key]) => key, maxLength: 6 }).map((
      dict,
    ) => ({ dict })),
  ),
})).value;

function unhex(hex: string): Uint8Array {
  return Uint8Array.from({ length: hex.length / 2 }, (_, i) => parseInt(hex.slice(2 * i, 2 * i + 2), 16));
}

function toEncodable(value: Model): Encodable {
  if (typeof value === "string") return unhex(value);
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  if ("list" in value) return value.list.map(toEncodable);
  return new Map<string | Uint8Array, Encodable>(
    value.dict.map(([key, item]) => [Uint8Array.from(key, (char) => char.charCodeAt(0)), toEncodable(item)]),
  );
}

function toModel(value: BencodeValue): Model {
  if (value instanceof Uint8Array) return toHex(value);
  if (value instanceof BencodeList) return { list: Array.from(value, toModel) };
  if (value instanceof BencodeDict) return { dict: Array.from(value, ([key, item]) => [key, toModel(item)]) };
  assertEquals(typeof value === "number", Number.isSafeInteger(Number(value)));
  return BigInt(value);
}

function sorted(value: Model): Model {
  if (typeof value !== "object") return value;
  if ("list" in value) return { list: value.list.map(sorted) };
  return {
    dict: value.dict.map(([key, item]): [string, Model] => [key, sorted(item)]).sort(([a], [b]) => a < b ? -1 : 1),
  };
}

/** Decodes and reads every value. */
function explore(input: Uint8Array, strict: boolean): void {
  try {
    const value = decode(input, { strict });
    toModel(value);
    if (strict) assertEquals(encode(value), input);
  } catch (error) {
    assert(error instanceof BencodeError, String(error));
    assert(error.offset >= 0 && error.offset <= input.length);
  }
}

Deno.test("decode() undoes encode()", () => {
  fc.assert(fc.property(model, (value) => {
    const encoded = encode(toEncodable(value));
    assertEquals(toModel(decode(encoded, { strict: true })), sorted(value));
    assertEquals(encode(decode(encoded)), encoded);
  }));
});

Deno.test("BencodeDict.raw decodes to the dictionary, wherever it is", () => {
  const check = (value: BencodeValue): void => {
    if (value instanceof BencodeDict) {
      assertEquals(toModel(decode(value.raw)), toModel(value));
      assertEquals(encode(value), new Uint8Array(value.raw));
      for (const [, item] of value) check(item);
    } else if (value instanceof BencodeList) { for (const item of value) check(item); }
  };
  fc.assert(fc.property(model, (value) => check(decode(encode(toEncodable(value))))));
});

Deno.test("decode() throws nothing but BencodeError on arbitrary bytes", () => {
  const alphabet = fc.constantFrom(..."ilde0123456789:-").map((char) => char.charCodeAt(0));
  const likely = fc.array(alphabet, { maxLength: 40 }).map((codes) => Uint8Array.from(codes));
  fc.assert(fc.property(fc.oneof(fc.uint8Array({ maxLength: 40 }), likely), fc.boolean(), explore), {
    numRuns: 2000,
  });
});

Deno.test("decode() throws nothing but BencodeError on mutated valid input", () => {
  const mutation = fc.record({
    at: fc.nat(),
    kind: fc.constantFrom("set", "cut", "insert", "drop"),
    byte: fc.nat(255),
  });
  fc.assert(
    fc.property(model, fc.array(mutation, { minLength: 1, maxLength: 4 }), fc.boolean(), (value, mutations, strict) => {
      let input = [...encode(toEncodable(value))];
      for (const { at, kind, byte } of mutations) {
        const index = at % (input.length + 1);
        if (kind === "set") input[Math.min(index, input.length)] = byte;
        if (kind === "cut") input = input.slice(0, index);
        if (kind === "insert") input.splice(index, 0, byte);
        if (kind === "drop") input.splice(index, 1);
      }
      explore(Uint8Array.from(input), strict);
    }),
    { numRuns: 1000 },
  );
});
