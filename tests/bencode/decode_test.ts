import { assert, assertEquals, assertThrows } from "@std/assert";
import { fromUtf8, utf8 } from "../../src/base/bytes.ts";
import { ShoalError } from "../../src/base/errors.ts";
import {
  BencodeDict,
  BencodeError,
  BencodeList,
  decode,
  decodeDict,
  type DecodeOptions,
} from "../../src/bencode/mod.ts";

function text(value: unknown): string | null {
  assert(value instanceof Uint8Array);
  return fromUtf8(value);
}

function list(value: unknown): unknown[] {
  assert(value instanceof BencodeList);
  return [...value];
}

Deno.test("decode() reads integers", () => {
  assertEquals(decode(utf8("i0e")), 0);
  assertEquals(decode(utf8("i42e")), 42);
  assertEquals(decode(utf8("i-42e")), -42);
});

Deno.test("decode() keeps integers exact past 2^53", () => {
  assertEquals(decode(utf8("i9007199254740991e")), 9007199254740991);
  assertEquals(decode(utf8("i9007199254740992e")), 9007199254740992n);
  assertEquals(decode(utf8("i9007199254740993e")), 9007199254740993n);
  assertEquals(decode(utf8("i-9007199254740993e")), -9007199254740993n);
  assertEquals(decode(utf8(`i${"9".repeat(64)}e`)), 10n ** 64n - 1n);
});

Deno.test("decode() reads byte strings as views of the input", () => {
  const input = utf8("3:abc");
  const value = decode(input);
  assertEquals(text(value), "abc");
  assert(value instanceof Uint8Array);
  assertEquals(value.buffer, input.buffer);
  assertEquals(text(decode(utf8("0:"))), "");
});

Deno.test("decode() reads lists", () => {
  assertEquals(list(decode(utf8("le"))), []);
  const [number, inner, string] = list(decode(utf8("li1eli2ee1:xe")));
  assertEquals(number, 1);
  assertEquals(list(inner), [2]);
  assertEquals(text(string), "x");
});

Deno.test("decode() reads an input that is a view into a larger buffer", () => {
  const large = utf8("XXd1:ai7e1:b2:hieYY");
  const dict = decodeDict(large.subarray(2, large.length - 2));
  assertEquals(dict.getInt("a"), 7);
  assertEquals(dict.getText("b"), "hi");
  assertEquals(fromUtf8(dict.raw), "d1:ai7e1:b2:hie");
});

Deno.test("decode() reads an input over shared memory", () => {
  const shared = new Uint8Array(new SharedArrayBuffer(5));
  shared.set(utf8("3:abc"));
  assertEquals(text(decode(shared)), "abc");
});

const REJECTED: [input: string, offset: number, why: string, options?: DecodeOptions][] = [
  ["", 0, "expected a value, found the end of the input"],
  ["H", 0, `expected a value, found "H"`],
  ["e", 0, `expected a value, found "e"`],
  ["\n", 0, "expected a value, found byte 0x0a"],
  [`"`, 0, `expected a value, found '"'`],
  ["i", 1, "expected a digit, found the end of the input"],
  ["ie", 1, `expected a digit, found "e"`],
  ["i-e", 2, `expected a digit, found "e"`],
  ["i+1e", 1, `expected a digit, found "+"`],
  ["i 1e", 1, "expected a digit, found byte 0x20"],
  ["i-0e", 0, "an integer is a negative zero", { strict: true }],
  ["i-01e", 0, "an integer has a leading zero", { strict: true }],
  ["i01e", 0, "an integer has a leading zero", { strict: true }],
  ["i00e", 0, "an integer has a leading zero", { strict: true }],
  ["i1", 2, `expected a digit or "e" in an integer, found the end of the input`],
  ["i1.5e", 2, `expected a digit or "e" in an integer, found "."`],
  ["i1-e", 2, `expected a digit or "e" in an integer, found "-"`],
  [`i${"1".repeat(65)}e`, 0, "an integer has 65 digits, at most 64 are accepted"],
  ["3:ab", 0, "a byte string runs past the end of the input, which has 2 bytes left"],
  ["3:", 0, "a byte string runs past the end of the input, which has 0 bytes left"],
  ["99999999999999999999999:ab", 0, "a byte string runs past the end of the input, which has 2 bytes left"],
  ["3", 1, `expected ":" after the length of a byte string, found the end of the input`],
  ["3abc", 1, `expected ":" after the length of a byte string, found "a"`],
  ["03:abc", 0, "a length has a leading zero", { strict: true }],
  ["00:", 0, "a length has a leading zero", { strict: true }],
  ["-1:a", 0, `expected a value, found "-"`],
  ["l", 1, "expected a value or the end of the list, found the end of the input"],
  ["li1e", 4, "expected a value or the end of the list, found the end of the input"],
  ["lxe", 1, `expected a value or the end of the list, found "x"`],
  ["d", 1, "expected a key or the end of the dictionary, found the end of the input"],
  ["di1ei2ee", 1, `expected a key or the end of the dictionary, found "i"`],
  ["dlei2ee", 1, `expected a key or the end of the dictionary, found "l"`],
  ["d1:a", 4, "expected a value, found the end of the input"],
  ["d1:ae", 4, `expected a value, found "e"`],
  ["d1:ai1e", 7, "expected a key or the end of the dictionary, found the end of the input"],
  ["i1ei2e", 3, "expected the end of the input, 3 bytes follow"],
  ["3:abc\n", 5, "expected the end of the input, 1 byte follows"],
  ["lllleeee", 3, "lists and dictionaries stand more than 3 deep in each other", { maxDepth: 3 }],
  ["d1:ad1:adeee", 8, "lists and dictionaries stand more than 2 deep in each other", { maxDepth: 2 }],
  ["4:abcd", 5, "the input has 6 bytes, at most 5 are accepted", { maxSize: 5 }],
  ["d1:bi1e1:ai2ee", 7, "the keys of a dictionary are not sorted", { strict: true }],
  ["d2:aai1e1:ai2ee", 8, "the keys of a dictionary are not sorted", { strict: true }],
  ["ld1:bd1:zi1ee1:ai2eee", 13, "the keys of a dictionary are not sorted", { strict: true }],
  ["d1:ai1e1:ai2ee", 7, "a dictionary has the same key twice", { strict: true }],
  ["d0:i1e0:i2ee", 6, "a dictionary has the same key twice", { strict: true }],
];

for (const [input, offset, why, options] of REJECTED) {
  const shown = input.length > 30 ? `${input.slice(0, 30)}...` : input;
  Deno.test(`decode() rejects ${JSON.stringify(shown)}${options ? ` with ${JSON.stringify(options)}` : ""}`, () => {
    const error = assertThrows(() => decode(utf8(input), options), BencodeError);
    assertEquals([error.offset, error.why], [offset, why]);
    assertEquals(error.message, `not valid bencode (byte ${offset}): ${why}`);
    assert(error instanceof ShoalError);
    assertEquals(error.kind, "torrent");
  });
}

Deno.test("decode() with strict accepts sorted keys", () => {
  const input = utf8("d0:i0e1:ai1e2:aai2e1:bd1:ai3eee");
  assert(decode(input, { strict: true }) instanceof BencodeDict);
  const bytes = new Uint8Array([...utf8("d1:"), 0x7f, ...utf8("i1e1:"), 0x80, ...utf8("i2ee")]);
  assertEquals([...decodeDict(bytes, { strict: true })], [["\x7f", 1], ["\x80", 2]]);
});

Deno.test("decode() with allowTrailing leaves what follows, and raw says where it begins", () => {
  const input = utf8("d8:msg_typei1eeDATA");
  const dict = decodeDict(input, { allowTrailing: true });
  assertEquals(fromUtf8(input.subarray(dict.raw.length)), "DATA");
  assertEquals(decode(utf8("i1ei2e"), { allowTrailing: true }), 1);
});

Deno.test("decode() passes over zeros in front, as other clients do, and tells the first of each kind", () => {
  const odd: string[] = [];
  const onOddity = (offset: number, what: string) => odd.push(`${offset}: ${what}`);
  const list = decode(utf8("li-0ei007ei-00000000000000000000ei-05e003:abc0:00:e\n"), { onOddity, allowTrailing: true });
  assert(list instanceof BencodeList);
  const values = [...list].map((value) => value instanceof Uint8Array ? fromUtf8(value) : value);
  assertEquals(values, [0, 7, 0, -5, "abc", "", ""]);
  assert(values.slice(0, 3).every((value) => !Object.is(value, -0)));
  assertEquals(odd, [
    "1: an integer is a negative zero",
    "5: an integer has a leading zero",
    "38: a length has a leading zero",
    "51: expected the end of the input, 1 byte follows",
  ]);
});

Deno.test("decodeDict() finds a key whose length has zeros in front, however often it was asked", () => {
  const dict = decodeDict(utf8("d04:infoi1e00:i2e2:00i3ee"));
  for (let i = 0; i < 20; i++) {
    assertEquals([dict.get("info"), dict.get(""), dict.get("00"), dict.get("0:"), dict.get("nfo")], [
      1,
      2,
      3,
      undefined,
      undefined,
    ]);
  }
  assertEquals([...dict], [["info", 1], ["", 2], ["00", 3]]);
});

Deno.test("decode() accepts what is just within its limits", () => {
  assert(decode(utf8("llleee"), { maxDepth: 3 }) instanceof BencodeList);
  assertEquals(text(decode(utf8("4:abcd"), { maxSize: 6 })), "abcd");
});

Deno.test("decodeDict() says what it found in the place of a dictionary", () => {
  const error = assertThrows(() => decodeDict(utf8("Hello")), BencodeError);
  assertEquals([error.offset, error.why], [0, `expected a dictionary, found "H"`]);
  assertEquals(assertThrows(() => decodeDict(utf8("le")), BencodeError).why, `expected a dictionary, found "l"`);
  const empty = assertThrows(() => decodeDict(new Uint8Array(0)), BencodeError);
  assertEquals(empty.why, "expected a dictionary, found the end of the input");
});

Deno.test("decode() is stopped by depth, not by the stack, in a million open lists", () => {
  const error = assertThrows(() => decode(new Uint8Array(1_000_000).fill(0x6c)), BencodeError);
  assertEquals(error.offset, 100);
  const deep = assertThrows(() => decode(new Uint8Array(1_000_000).fill(0x6c), { maxDepth: 1e9 }), BencodeError);
  assertEquals(deep.offset, 1_000_000);
});
