import { assertEquals, assertLessOrEqual, assertNotMatch } from "@std/assert";
import stringWidth from "string-width";
import { printable } from "../../src/ui/printable.ts";
import { anyText } from "./any_text.ts";
import { shown } from "../../src/ui/style.ts";
import { clip, packWords } from "../../src/ui/text.ts";
import { fc } from "../support/property.ts";

const HARMFUL = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;
const PLAIN = { color: false, unicode: true };
const ASCII = { color: false, unicode: false };

Deno.test("printableMessage() takes escape sequences, line breaks and bidirectional controls away", () => {
  assertEquals(printable("a\x1b[31mb"), "a\ufffd[31mb");
  assertEquals(printable("a\r\n\tb"), "a b");
  assertEquals(printable("evil\u202egpj.exe"), "evilgpj.exe");
  assertEquals(printable("\ud800x"), "\ufffdx");
  assertEquals(printable("a" + "\u0301".repeat(50)), "a" + "\u0301".repeat(3));
  assertEquals(printable("plain \u00fcber \u6f22\u5b57"), "plain \u00fcber \u6f22\u5b57");
});

Deno.test("printableMessage() leaves nothing that does harm, whatever comes in, and is done after one pass", () => {
  fc.assert(fc.property(anyText(), (text) => {
    const safe = printable(text);
    assertNotMatch(safe, HARMFUL);
    assertEquals(printable(safe), safe);
  }));
});

Deno.test("clip() cuts at whole characters and says that it did", () => {
  assertEquals(clip("abcdef", { width: 6, style: PLAIN }), "abcdef");
  assertEquals(clip("abcdef", { width: 5, style: PLAIN }), "abcd\u2026");
  assertEquals(clip("\u65e5\u672c\u8a9e", { width: 4, style: PLAIN }), "\u65e5\u2026");
  assertEquals(clip("e\u0301e\u0301e\u0301", { width: 2, style: PLAIN }), "e\u0301\u2026");
  assertEquals(clip("abc", { width: 0, style: PLAIN }), "");
});

Deno.test("clip() shows question marks for what an ASCII terminal has not", () => {
  assertEquals(clip("\u65e5a\x1b", { width: 4, style: ASCII }), "?a?");
  assertEquals(clip("abcdef", { width: 4, style: ASCII }), "abc~");
});

Deno.test("clip() never passes the width, does no harm, and leaves alone what fits, for any text", () => {
  fc.assert(fc.property(anyText(), fc.nat({ max: 60 }), fc.constantFrom(PLAIN, ASCII), (text, width, style) => {
    const cut = clip(text, { width, style });
    assertLessOrEqual(stringWidth(cut), width);
    assertNotMatch(cut, HARMFUL);
    const whole = shown(text, style);
    if (stringWidth(whole) <= width) assertEquals(cut, width === 0 ? "" : whole);
  }));
});

Deno.test("packWords() breaks a long sentence between words, and cuts it where the room ends", () => {
  const pack = (width: number, room: number) =>
    packWords("cannot write (/data/films/a.mkv): No space left", { width, room, style: PLAIN });
  assertEquals(pack(80, 4), ["cannot write (/data/films/a.mkv): No space left"]);
  assertEquals(pack(20, 4), ["cannot write", "(/data/films/a.mkv):", "No space left"]);
  assertEquals(pack(20, 2), ["cannot write", "(/data/films/a.mkv)\u2026"]);
  assertEquals(pack(10, 9), ["cannot", "write", "(/data/fil", "ms/a.mkv):", "No space", "left"]);
});
