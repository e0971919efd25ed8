import { assertEquals, assertThrows } from "@std/assert";
import { fromUtf8, utf8 } from "../../src/base/bytes.ts";
import { decode, type Encodable, encode } from "../../src/bencode/mod.ts";

const ENCODED: [name: string, value: Encodable, text: string][] = [
  ["text as UTF-8", "h\u00e9", "3:h\u00e9"],
  ["empty text", "", "0:"],
  ["bytes", utf8("abc"), "3:abc"],
  ["integers", [0, -1, Number.MAX_SAFE_INTEGER], "li0ei-1ei9007199254740991ee"],
  ["a negative zero as zero", -0, "i0e"],
  ["large integers", [2n ** 64n, -(2n ** 63n)], "li18446744073709551616ei-9223372036854775808ee"],
  ["lists", [[], ["a", [1]]], "llel1:ali1eeee"],
  ["an empty dictionary", {}, "de"],
  ["keys sorted", { b: 1, a: 2, aa: 3, "": 4, B: 5 }, "d0:i4e1:Bi5e1:ai2e2:aai3e1:bi1ee"],
  ["keys like array indices sorted as text", { 10: 1, 9: 2 }, "d2:10i1e1:9i2ee"],
  ["without what is undefined", { a: undefined, b: 1 }, "d1:bi1ee"],
  ["an object without a prototype", Object.assign(Object.create(null), { a: 1 }), "d1:ai1ee"],
  [
    "a map with text and bytes as keys",
    new Map<string | Uint8Array, Encodable>([["b", 1], [utf8("a"), 2]]),
    "d1:ai2e1:bi1ee",
  ],
  ["decoded values, keys sorted", decode(utf8("d1:bli1e1:xe1:ai2ee")), "d1:ai2e1:bli1e1:xee"],
  ["decoded values inside others", { x: decode(utf8("li1ee")) }, "d1:xli1eee"],
];

for (const [name, value, text] of ENCODED) {
  Deno.test(`encode() writes ${name}`, () => assertEquals(fromUtf8(encode(value)), text));
}

Deno.test("encode() sorts keys by their bytes, not by UTF-16 units", () => {
  // U+FFFF sorts after U+1F600 in UTF-16 (D83D...) but before it in UTF-8 (EF... and F0...).
  assertEquals(encode({ "\u{1f600}": 1, "\uffff": 2 }), utf8("d3:\uffffi2e4:\u{1f600}i1ee"));
});

Deno.test("encode() keeps keys that are not UTF-8", () => {
  const input = new Uint8Array([...utf8("d2:"), 0xff, 0x00, ...utf8("i1ee")]);
  assertEquals(encode(decode(input)), input);
});

Deno.test("encode() rejects numbers that are not safe integers", () => {
  for (const value of [1.5, NaN, Infinity, 2 ** 53]) {
    assertThrows(() => encode(value), RangeError, `Bencode has safe integers only, got ${value}`);
  }
});

Deno.test("encode() rejects what has no encoding", () => {
  const bad: [unknown, string][] = [
    [null, "null"],
    [undefined, "undefined"],
    [true, "boolean"],
    [() => 1, "function"],
    [new Date(0), "Date"],
    [new Set(), "Set"],
    [[undefined], "undefined"],
  ];
  for (const [value, name] of bad) {
    assertThrows(() => encode(value as Encodable), TypeError, `Bencode has no ${name}`);
  }
});

Deno.test("encode() rejects a map with the same key as text and as bytes", () => {
  const map = new Map<string | Uint8Array, Encodable>([["a", 1], [utf8("a"), 2]]);
  assertThrows(() => encode(map), RangeError, "same key");
});

Deno.test("encode() rejects a structure that holds itself", () => {
  const loop: Encodable[] = [];
  loop.push(loop);
  assertThrows(() => encode(loop), RangeError, "500 deep");
});
