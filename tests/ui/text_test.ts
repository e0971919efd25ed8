import { assertEquals, assertLessOrEqual, assertNotMatch } from "@std/assert";
import fc from "fast-check";
import stringWidth from "string-width";
import { printable } from "../../src/ui/printable.ts";
import { anyText } from "./any_text.ts";
import { cell, displayWidth, fit, truncate } from "../../src/ui/text.ts";

fc.configureGlobal({ seed: 1 }); // so that every run is the same

const HARMFUL = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;
Deno.test("printable() takes escape sequences, line breaks and bidirectional controls away", () => {
  assertEquals(printable("a\x1b[31mb"), "a\ufffd[31mb");
  assertEquals(printable("a\r\n\tb"), "a b");
  assertEquals(printable("evil\u202egpj.exe"), "evilgpj.exe");
  assertEquals(printable("\ud800x"), "\ufffdx");
  assertEquals(printable("a" + "\u0301".repeat(50)), "a" + "\u0301".repeat(3));
  assertEquals(printable("plain \u00fcber \u6f22\u5b57"), "plain \u00fcber \u6f22\u5b57");
});

Deno.test("printable() leaves nothing that does harm, whatever comes in, and is done after one pass", () => {
  fc.assert(fc.property(anyText(), (text) => {
    const safe = printable(text);
    assertNotMatch(safe, HARMFUL);
    assertEquals(printable(safe), safe);
  }));
});

Deno.test("displayWidth() counts cells: two for wide characters, none for combining ones", () => {
  assertEquals(displayWidth("abc"), 3);
  assertEquals(displayWidth("\u65e5\u672c"), 4);
  assertEquals(displayWidth("e\u0301"), 1);
  assertEquals(displayWidth("\ud83d\ude00"), 2);
});

Deno.test("truncate() cuts at whole characters and says that it did", () => {
  assertEquals(truncate("abcdef", { width: 6 }), "abcdef");
  assertEquals(truncate("abcdef", { width: 5 }), "abcd\u2026");
  assertEquals(truncate("\u65e5\u672c\u8a9e", { width: 4 }), "\u65e5\u2026");
  assertEquals(truncate("e\u0301e\u0301e\u0301", { width: 2, ellipsis: "~" }), "e\u0301~");
  assertEquals(truncate("abc", { width: 0 }), "");
});

Deno.test("fit() pads on the side that the alignment leaves", () => {
  assertEquals(fit("ab", { width: 4 }), "ab  ");
  assertEquals(fit("ab", { width: 4, align: "right" }), "  ab");
  assertEquals(fit("\u65e5\u672c\u8a9e", { width: 4, align: "right" }), " \u65e5\u2026");
});

Deno.test("fit() gives exactly the width, for any text", () => {
  fc.assert(fc.property(anyText(), fc.nat({ max: 60 }), fc.constantFrom("left", "right"), (text, width, align) => {
    const fitted = fit(printable(text), { width, align: align === "left" ? "left" : "right" });
    assertLessOrEqual(stringWidth(fitted), width);
    assertEquals(displayWidth(fitted), width);
  }));
});

Deno.test("cell() shows question marks for what an ASCII terminal has not", () => {
  const style = { color: false, unicode: false };
  assertEquals(cell("\u65e5a\x1b", { width: 4, style }), "?a? ");
  assertEquals(cell("abcdef", { width: 4, style }), "abc~");
});
