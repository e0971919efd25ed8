import { assertEquals } from "@std/assert";
import { fromUtf8, utf8 } from "../../src/base/bytes.ts";
import { BencodeDict, BencodeList, decode, decodeDict, keyOf } from "../../src/bencode/mod.ts";

const SAMPLE = decodeDict(utf8("d4:dictd1:xi1ee3:inti7e4:listli1e2:abe5:bytes3:abc3:bigi18446744073709551615ee"));

Deno.test("BencodeDict accessors give a value of their type", () => {
  assertEquals(SAMPLE.getInt("int"), 7);
  assertEquals(SAMPLE.getText("bytes"), "abc");
  assertEquals(SAMPLE.getBytes("bytes"), utf8("abc"));
  assertEquals(SAMPLE.getDict("dict")?.getInt("x"), 1);
  assertEquals(SAMPLE.getList("list")?.length, 2);
  assertEquals(SAMPLE.get("big"), 18446744073709551615n);
});

Deno.test("BencodeDict accessors give undefined for a missing key or another type", () => {
  assertEquals(SAMPLE.get("none"), undefined);
  assertEquals(SAMPLE.getInt("none"), undefined);
  assertEquals(SAMPLE.getInt("bytes"), undefined);
  assertEquals(SAMPLE.getInt("big"), undefined);
  assertEquals(SAMPLE.getText("int"), undefined);
  assertEquals(SAMPLE.getBytes("list"), undefined);
  assertEquals(SAMPLE.getDict("list"), undefined);
  assertEquals(SAMPLE.getList("dict"), undefined);
  assertEquals(SAMPLE.has("none"), false);
});

Deno.test("BencodeDict does not take names of Object.prototype for keys", () => {
  assertEquals(SAMPLE.has("constructor"), false);
  assertEquals(SAMPLE.get("__proto__"), undefined);
  assertEquals(decodeDict(utf8("d9:__proto__i1ee")).getInt("__proto__"), 1);
});

Deno.test("BencodeDict keeps the order of the input", () => {
  assertEquals(Array.from(SAMPLE, ([key]) => key), ["dict", "int", "list", "bytes", "big"]);
  assertEquals([...decodeDict(utf8("d1:bi1e1:ai2ee"))], [["b", 1], ["a", 2]]);
});

Deno.test("BencodeDict lets the first of equal keys win", () => {
  const dict = decodeDict(utf8("d1:ai1e1:bi2e1:ai3ee"));
  assertEquals([...dict], [["a", 1], ["b", 2]]);
  assertEquals(dict.getInt("a"), 1);
});

Deno.test("BencodeDict.raw gives the exact bytes, whatever the order of keys", () => {
  const dict = decodeDict(utf8("d4:infod1:bi1e1:ali2e0:ee1:zi3ee"));
  assertEquals(fromUtf8(dict.getDict("info")!.raw), "d1:bi1e1:ali2e0:ee");
  assertEquals(fromUtf8(dict.raw), "d4:infod1:bi1e1:ali2e0:ee1:zi3ee");
});

Deno.test("BencodeDict.getText() repairs what is not UTF-8", () => {
  const dict = decodeDict(new Uint8Array([...utf8("d1:a2:"), 0x61, 0xff, 0x65]));
  assertEquals(dict.getText("a"), "a\ufffd");
});

Deno.test("BencodeList gives values by index", () => {
  const list = decode(utf8("li1e2:abli2eedee"));
  if (!(list instanceof BencodeList)) throw new TypeError("expected a list");
  assertEquals(list.length, 4);
  assertEquals(list.at(0), 1);
  assertEquals(list.at(1), utf8("ab"));
  assertEquals([...list.at(2) as BencodeList], [2]);
  assertEquals([...list.at(-1) as BencodeDict], []);
  assertEquals([list.at(4), list.at(9)], [undefined, undefined]);
});

Deno.test("keyOf() finds keys of any bytes", () => {
  const key = Uint8Array.from({ length: 256 }, (_, i) => i);
  const dict = decodeDict(new Uint8Array([...utf8("d256:"), ...key, ...utf8("i5ee")]));
  assertEquals(dict.getInt(keyOf(key)), 5);
  const long = new Uint8Array(10_000).fill(0xe9);
  assertEquals(keyOf(long), "\u00e9".repeat(10_000));
});

Deno.test("BencodeDict.pairs() yields every pair in order, also keys that occur twice", () => {
  const dict = decodeDict(utf8("d1:bi1e1:ad0:lee1:bi2e0:3:xyze"));
  const found = [...dict.pairs()].map((
    [key, value],
  ) => [key, value instanceof BencodeDict ? [...value.pairs()].length : value]);
  assertEquals(found, [["b", 1], ["a", 1], ["b", 2], ["", utf8("xyz")]]);
  assertEquals([...decodeDict(utf8("de")).pairs()], []);
});
