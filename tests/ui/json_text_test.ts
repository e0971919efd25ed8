import { assert, assertEquals } from "@std/assert";
import { jsonText } from "../../src/ui/json_text.ts";

Deno.test("jsonText() escapes whatever could harm who looks at it, and parsed it is the same", () => {
  const codes = [
    ...Array.from({ length: 0x20 }, (_, i) => i),
    ...Array.from({ length: 0x21 }, (_, i) => 0x7f + i),
    ...[0x61c, 0x200e, 0x200f, 0x2028, 0x2029, 0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x2066, 0x2067, 0x2068, 0x2069],
    ...[0xad, 0xfeff, 0xd800, 0xdc00, 0xdfff, 0xe0041],
  ];
  for (const code of codes) {
    const value = { [`k${String.fromCodePoint(code)}`]: [`a${String.fromCodePoint(code)}b`] };
    const text = jsonText(value);
    assert(/^[ -~]*$/.test(text), `U+${code.toString(16)}: ${text}`);
    assertEquals(JSON.parse(text), value);
  }
});

Deno.test("jsonText() leaves what people read as it is", () => {
  const value = { name: '\u65e5\u672c \u00e9 \ud83d\ude00 "x" \\', n: 5, no: null };
  assertEquals(jsonText(value), JSON.stringify(value));
});
