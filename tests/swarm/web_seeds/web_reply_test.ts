import { assertEquals } from "@std/assert";
import type { WebPart } from "../../../src/swarm/web_seeds/web_files.ts";
import { judgeReply, retryAfter } from "../../../src/swarm/web_seeds/web_reply.ts";

const PART: WebPart = { url: "http://w.example/", at: 0, length: 100, first: 50, size: 1000, file: 0 };
const NOW = Date.UTC(2026, 0, 1);

function judge(status: number, headers: Record<string, string> = {}) {
  return judgeReply(PART, { status, headers: new Headers(headers), wallClock: NOW });
}

Deno.test("judgeReply() takes the range that was asked for, or its beginning", () => {
  const data = { kind: "data", skip: 0, length: 100, more: false } as const;
  assertEquals(judge(206, { "content-range": "bytes 50-149/1000" }), data);
  assertEquals(judge(206, { "content-range": "Bytes 50-149/*", "content-length": "100" }), data);
  assertEquals(judge(206, { "content-range": "bytes 50-59/1000" }), { ...data, length: 10 });
});

Deno.test("judgeReply() takes a whole file, and says where in it the data is", () => {
  const data = { kind: "data", skip: 50, length: 100, more: true } as const;
  assertEquals(judge(200), data);
  assertEquals(judge(200, { "content-length": "1000", "content-encoding": "identity" }), data);
});

for (
  const range of [
    "bytes 0-99/1000",
    "bytes 50-150/1000",
    "bytes 50-49/1000",
    "bytes */1000",
    "bytes 50-149",
    "50-149/1000",
    "bytes 50-99999999999999999999/1000",
    "",
  ]
) {
  Deno.test(`judgeReply() refuses the range "${range}"`, () => {
    assertEquals(judge(206, { "content-range": range }).kind, "fault");
  });
}

Deno.test("judgeReply() refuses a length that isn't the range's, and several ranges", () => {
  assertEquals(judge(206, { "content-range": "bytes 50-149/1000", "content-length": "99" }).kind, "fault");
  assertEquals(judge(206, { "content-type": "multipart/byteranges; boundary=x" }).kind, "fault");
});

for (const label of ["gzip", "x-gzip", "deflate", "br", "zstd", "GZIP", "gzip, gzip"]) {
  Deno.test(`judgeReply() takes what is labelled "${label}" if its size is the file's, and nothing else`, () => {
    const encoding = { "content-encoding": label };
    const stored = { kind: "data", skip: 0, length: 100, more: false } as const;
    assertEquals(judge(206, { ...encoding, "content-range": "bytes 50-149/1000", "content-length": "100" }), stored);
    assertEquals(judge(200, { ...encoding, "content-length": "1000" }).kind, "data");
    const compressed = { kind: "missing", why: "it compresses what it sends" } as const;
    assertEquals(judge(200, encoding), compressed);
    assertEquals(judge(206, { ...encoding, "content-range": "bytes 50-149/*" }), compressed);
    assertEquals(judge(200, { ...encoding, "content-length": "300" }).kind, "missing");
    assertEquals(judge(206, { ...encoding, "content-range": "bytes 50-149/300" }).kind, "missing");
  });
}

Deno.test("judgeReply() takes a file of another size for another file", () => {
  const missing = { kind: "missing", why: "its file has 999 bytes, not 1000" } as const;
  assertEquals(judge(206, { "content-range": "bytes 50-149/999" }), missing);
  assertEquals(judge(200, { "content-length": "999" }), missing);
});

Deno.test("judgeReply() tells what is gone from what is busy and from nonsense", () => {
  for (const status of [401, 403, 404, 410, 416, 451]) assertEquals(judge(status).kind, "missing");
  for (const status of [408, 429, 500, 502, 503, 504]) assertEquals(judge(status).kind, "busy");
  for (const status of [100, 201, 204, 301, 304, 400, 405, 418]) assertEquals(judge(status).kind, "fault");
  assertEquals(judge(503, { "retry-after": "9" }), { kind: "busy", why: "it answers 503", after: 9000 });
});

Deno.test("retryAfter() takes seconds or a date, within bounds", () => {
  const wishes: [string | null, number | null][] = [
    [null, null],
    ["", null],
    ["soon", null],
    ["0", 1000],
    [" 30\n", 30_000],
    ["999999999", 3_600_000],
    ["-5", null],
    ["Mon, 99 Foo 2026 00:00:00 GMT", null],
    [new Date(NOW + 90_000).toUTCString(), 90_000],
    [new Date(NOW - 90_000).toUTCString(), 1000],
  ];
  for (const [text, wait] of wishes) {
    assertEquals(retryAfter(text, NOW), wait, `${text}`);
  }
});
