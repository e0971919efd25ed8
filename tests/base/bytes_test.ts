import { Buffer } from "node:buffer";
import { assertEquals } from "@std/assert";
import { fromHex, fromUtf8, fromUtf8Lossy, toHex, utf8 } from "../../src/base/bytes.ts";
import { fc, unicodeText } from "../support/property.ts";

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const loose = new TextDecoder("utf-8", { ignoreBOM: true });

function strictly(bytes: Uint8Array): string | null {
  try {
    return strict.decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) return null;
    throw error;
  }
}

/** Bytes at the limits of valid UTF-8. */
const edge = fc.constantFrom(0, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf)
  .chain((byte) => fc.constantFrom(byte, 0xe0, 0xe1, 0xed, 0xef, 0xf0, 0xf1, 0xf4, 0xf5, 0xff));
const bytes = fc.oneof(
  fc.array(edge, { maxLength: 8 }).map((list) => Uint8Array.from(list)),
  unicodeText({ maxLength: 40 }).map((text) => utf8(text)),
  fc.uint8Array({ maxLength: 80 }),
);

Deno.test("fromUtf8() and fromUtf8Lossy() agree with the platform's decoder, for short text and long", () => {
  fc.assert(
    fc.property(bytes, (input) => {
      for (const text of [input, Uint8Array.from([...new Array(70).fill(0x61), ...input])]) {
        assertEquals(fromUtf8(text), strictly(text));
        assertEquals(fromUtf8Lossy(text), loose.decode(text));
      }
    }),
    { numRuns: 2000 },
  );
});

Deno.test("fromUtf8() takes every character and no surrogate, to the last", () => {
  for (let code = 0; code <= 0x10ffff; code += code < 0x3000 || (code > 0xd700 && code < 0x10100) ? 1 : 77) {
    const isSurrogate = code >= 0xd800 && code < 0xe000;
    const input = isSurrogate
      ? Uint8Array.of(0xe0 | code >> 12, 0x80 | code >> 6 & 63, 0x80 | code & 63)
      : utf8(String.fromCodePoint(code));
    const text = fromUtf8(input);
    if (text !== (isSurrogate ? null : String.fromCodePoint(code))) assertEquals(text, `U+${code.toString(16)}`);
  }
});

Deno.test("toHex() and fromHex() undo each other, and leave what they are given as it was", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat(3), (input, skip) => {
    const text = Array.from(input, (byte) => byte.toString(16).padStart(2, "0")).join("");
    const view = new Uint8Array([...new Uint8Array(skip), ...input, 7]).subarray(skip, -1);
    for (const same of [input, view, Buffer.from(input)]) {
      assertEquals(toHex(same), text);
      assertEquals([...same], [...input]);
    }
    assertEquals(fromHex(text), input);
    assertEquals(fromHex(text.toUpperCase()), input);
  }));
});

for (const text of ["0", "abc", "0g", "g0", " 00", "0x", "00\n", "\u00e9\u00e9", "\u{1d7d8}", "-1"]) {
  Deno.test(`fromHex() refuses ${JSON.stringify(text)}`, () => assertEquals(fromHex(text), null));
}
