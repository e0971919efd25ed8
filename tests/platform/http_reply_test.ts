import { assert, assertEquals, assertLess, assertThrows } from "@std/assert";
import { type Bytes, concatBytes, fromUtf8, utf8 } from "../../src/base/bytes.ts";
import { MAX_REPLY_FIELDS, MAX_REPLY_OVERHEAD } from "../../src/base/defences.ts";
import { AnswerReader, encodeRequest, fieldText } from "../../src/platform/http_reply.ts";
import { HttpError } from "../../src/platform/platform.ts";

interface Read {
  readonly reader: AnswerReader;
  readonly body: string;
  readonly left: number;
}

/** Reads an answer in parts of `step` bytes, and then its end. */
function read(text: string, step = text.length): Read {
  const bytes = utf8(text);
  const reader = new AnswerReader();
  const body: Bytes[] = [];
  let at = 0;
  for (let end = 0; at < bytes.length && !reader.ended;) {
    end = Math.min(Math.max(end, at + step), bytes.length);
    at = reader.next(bytes, at, end);
    body.push(bytes.slice(reader.from, reader.to));
  }
  if (at === bytes.length) reader.close();
  return { reader, body: fromUtf8(concatBytes(body))!, left: bytes.length - at };
}

const ANSWERS: readonly (readonly [name: string, text: string, status: number, body: string, persistent: boolean])[] = [
  ["a counted body", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcX", 200, "abc", true],
  ["no body", "HTTP/1.1 404 \r\ncontent-length: 0\r\n\r\nX", 404, "", true],
  ["a status that has none", "HTTP/1.1 204 No Content\r\n\r\nX", 204, "", true],
  ["bare line feeds", "HTTP/1.1 200\ncontent-length:3\n\nabcX", 200, "abc", true],
  ["a body to the end", "HTTP/1.0 200 OK\r\n\r\nabc", 200, "abc", false],
  [
    "a connection that is closed",
    "HTTP/1.1 200 OK\r\nconnection: Close\r\ncontent-length: 1\r\n\r\naX",
    200,
    "a",
    false,
  ],
  ["equal lengths", "HTTP/1.1 200 OK\r\ncontent-length: 3, 3\r\ncontent-length: 3\r\n\r\nabcX", 200, "abc", true],
  [
    "chunks",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2 \r\nde\r\n0\r\nt: 1\r\n\r\nX",
    200,
    "abcde",
    true,
  ],
  [
    "both a length and chunks",
    "HTTP/1.1 200 OK\r\ncontent-length: 9\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\nX",
    200,
    "a",
    false,
  ],
  [
    "interim answers",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\naX",
    200,
    "a",
    true,
  ],
  ["odd fields", "HTTP/1.1 200 OK\r\nno colon\r\n: x\r\nb(d: 1\r\ncontent-length: 1\r\n\r\naX", 200, "a", true],
];

for (const [name, text, status, body, persistent] of ANSWERS) {
  Deno.test(`AnswerReader takes ${name}, wherever it is cut`, () => {
    for (const step of [1, 2, 3, 7, 1000]) {
      const got = read(text, step);
      assertEquals([got.reader.status, got.body, got.reader.ended], [status, body, true], `in steps of ${step}`);
      assertEquals(got.reader.persistent, persistent);
      assertEquals(got.reader.headers.get("link"), null, "fields of an interim answer are not the answer's");
      assertLess(got.left, 2);
    }
  });
}

Deno.test("AnswerReader joins fields that go on in the next line, and keeps what others are", () => {
  const { reader } = read(
    "HTTP/1.1 200 OK\r\nx: a\r\n\t b\r\nx: c\r\nlocation: /caf\u00e9\r\ncontent-length: 0\r\n\r\n",
  );
  assertEquals(reader.headers.get("x"), "a b, c");
  assertEquals(fieldText(reader.headers.get("location")!), "/caf\u00e9");
  assertEquals(fieldText("/caf\u00e9"), "/caf\u00e9", "what is no UTF-8 stays as it is");
});

const BAD: readonly (readonly [text: string, why: string])[] = [
  ["SSH-2.0-OpenSSH_9.6\r\n", "not HTTP"],
  ["SSH-2.0-OpenSSH_9.6", "not HTTP"],
  ["HTTP/2 200\r\n\r\n", "not HTTP"],
  ["HTTP/1.1 2000 OK\r\n\r\n", "not HTTP"],
  ["HTTP/1.1 101 Switching\r\n\r\n", "another protocol"],
  ["HTTP/1.1 200 OK\r\ncontent-length: 3, 4\r\n\r\n", "no valid length"],
  ["HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", "no valid length"],
  ["HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n", "unknown coding"],
  ["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n", "not HTTP"],
  ["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabc\r\n", "not HTTP"],
  ["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffff\r\n", "not HTTP"],
  ["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nab", "cut off"],
  ["HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab", "cut off"],
  ["HTTP/1.1 200 OK\r\n", "cut off"],
  ["HTTP/1.1 100 Continue\r\n\r\n", "cut off"],
  ["", "cut off"],
];

for (const [text, why] of BAD) {
  Deno.test(`AnswerReader refuses ${JSON.stringify(text)}`, () => {
    for (const step of [1, 1000]) {
      const reader = () => {
        if (text === "") new AnswerReader().close();
        else read(text, step);
      };
      assertThrows(reader, HttpError, why);
    }
  });
}

const CHUNKED = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
/** Answers that a server can extend without end. */
const ENDLESS: readonly (readonly [name: string, start: string, again: string])[] = [
  ["interim answers", "", "HTTP/1.1 100 Continue\r\n\r\n"],
  ["interim answers with fields", "", "HTTP/1.1 103 Hints\r\nlink: </x>; rel=preload\r\n\r\n"],
  ["empty lines", "", "\r\n"],
  ["spaces", "", "    "],
  ["a status line", "HTTP/1.1 200 ", "OK "],
  ["fields", "HTTP/1.1 200 OK\r\n", "x: yyyyyyyyyyyyyyyyyyyy\r\n"],
  ["short fields", "HTTP/1.1 200 OK\r\n", "x:\r\n"],
  ["one field", "HTTP/1.1 200 OK\r\nx: ", "yyyyyyyy"],
  ["lines of one field", "HTTP/1.1 200 OK\r\nx: y\r\n", " y\r\n"],
  ["a chunk's extension", `${CHUNKED}1;`, "xxxxxxxx"],
  ["digits of a chunk's size", CHUNKED, "00000000"],
  ["tiny chunks with extensions", CHUNKED, "1;xxxxxxxxxxxxxxxxxxxxxxxx\r\na\r\n"],
  ["tiny chunks", CHUNKED, "1\r\na\r\n"],
  ["trailers", `${CHUNKED}0\r\n`, "x: y\r\n"],
];

for (const [name, start, again] of ENDLESS) {
  Deno.test(`AnswerReader takes ${name} without end for so many bytes only`, () => {
    const reader = new AnswerReader();
    let sent = 0;
    const send = (text: string) => {
      const bytes = utf8(text);
      for (let at = 0; at < bytes.length;) at = reader.next(bytes, at, bytes.length);
      sent += bytes.length;
    };
    assertThrows(() => {
      send(start);
      for (let i = 0; i < 1_000_000; i++) send(again);
    }, HttpError);
    assertLess(sent, 2 * MAX_REPLY_OVERHEAD);
  });
}

Deno.test("AnswerReader takes a body of any length, in chunks as servers make them", () => {
  const reader = new AnswerReader();
  const chunk = utf8(`400\r\n${"x".repeat(1024)}\r\n`);
  let length = 0;
  for (const bytes of [utf8(CHUNKED), ...new Array<Bytes>(10_000).fill(chunk), utf8("0\r\n\r\n")]) {
    for (let at = 0; at < bytes.length; length += reader.to - reader.from) at = reader.next(bytes, at, bytes.length);
  }
  assertEquals([length, reader.ended], [10_000 * 1024, true]);
});

Deno.test("AnswerReader takes as many fields as it says", () => {
  const fields = (count: number) => `HTTP/1.1 204 OK\r\n${"x: y\r\n".repeat(count)}\r\n`;
  assert(read(fields(MAX_REPLY_FIELDS)).reader.ended);
  assertThrows(() => read(fields(MAX_REPLY_FIELDS + 1)), HttpError, "header fields");
});

Deno.test("encodeRequest() writes the URL byte for byte, and what is posted with its length", () => {
  const url = new URL("http://[::1]:8080/a%20b?info_hash=%ff%00~&x#fragment");
  const get = fromUtf8(encodeRequest({ method: "GET", url, headers: new Headers({ range: "bytes=0-1" }) }));
  assertEquals(get, "GET /a%20b?info_hash=%ff%00~&x HTTP/1.1\r\nHost: [::1]:8080\r\nrange: bytes=0-1\r\n\r\n");
  const post = encodeRequest({ method: "POST", url: new URL("http://a/"), headers: new Headers(), body: "\u00e9" });
  assertEquals(fromUtf8(post), "POST / HTTP/1.1\r\nHost: a\r\ncontent-length: 2\r\n\r\n\u00e9");
});
