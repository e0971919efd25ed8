import { assert, assertEquals, assertInstanceOf, assertMatch, assertThrows } from "@std/assert";
import { fromUtf8, utf8 } from "../../src/base/bytes.ts";
import type { Bytes } from "../../src/base/bytes.ts";
import {
  HTTP_BODY_MS,
  HTTP_HEAD_MS,
  HTTP_IDLE_MS,
  HTTP_SHORT_STALL_MS,
  HTTP_STALL_MS,
  MAX_HTTP_CONNECTIONS,
  MAX_HTTP_HEAD,
  MAX_HTTP_PER_NETWORK,
  MAX_HTTP_PER_PROXY,
} from "../../src/base/defences.ts";
import { DESCRIPTORS_AGAIN, OUT_OF_DESCRIPTORS } from "../../src/platform/descriptors.ts";
import { BodyDecoder } from "../../src/platform/http_body.ts";
import type { HttpClientConnection } from "../../src/platform/http_connection.ts";
import { ConnectionLimit, type LimitedConnection } from "../../src/platform/http_connection_limit.ts";
import { endOfHead, type HttpHead, HttpRefusal, parseHead } from "../../src/platform/http_head.ts";
import { type HttpListener, ListeningHttpServer } from "../../src/platform/http_server.ts";
import type { HttpHandler } from "../../src/platform/platform.ts";
import { settle, VirtualClock } from "../support/virtual_clock.ts";

// Heads of requests.

function head(text: string): HttpHead {
  const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
  assertEquals(endOfHead(bytes, 0), bytes.length);
  return parseHead(bytes, "127.0.0.1:80");
}

Deno.test("parseHead() reads what clients send", () => {
  const cases: readonly (readonly [string, Partial<HttpHead>])[] = [
    ["GET /a?b=%00%ff HTTP/1.1\r\nHost: x:1\r\n\r\n", { method: "GET", url: "http://x:1/a?b=%00%ff", keepAlive: true }],
    ["GET / HTTP/1.0\r\n\r\n", { url: "http://127.0.0.1:80/", keepAlive: false, modern: false }],
    ["GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", { keepAlive: true }],
    ["GET / HTTP/1.1\r\nHost: x\r\nConnection: TE, close\r\n\r\n", { keepAlive: false }],
    ["GET http://other/p?q HTTP/1.1\r\nHost: x\r\n\r\n", { url: "http://other/p?q", fields: [["host", "other"]] }],
    ["GET http://other HTTP/1.1\r\n\r\n", { url: "http://other/", fields: [["host", "other"]] }],
    ["OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", { method: "OPTIONS", url: "http://x/" }],
    ["BREW /pot HTTP/1.1\r\nHost: x\r\n\r\n", { method: "BREW" }],
    ["GET /\xff\x80 HTTP/1.1\r\nHost: x\r\n\r\n", { url: "http://x/%FF%80" }],
    ["GET / HTTP/1.1\nHost: x\nA:\t b \t\n\n", { fields: [["host", "x"], ["a", "b"]] }],
    ["POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 5\r\nContent-Length: 5\r\n\r\n", { body: 5 }],
    ["POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\nExpect: 100-Continue\r\n\r\n", {
      body: "chunked",
      awaitsContinue: true,
    }],
    ["GET / HTTP/1.1\r\nHost: [::1]:8000\r\n\r\n", { url: "http://[::1]:8000/" }],
  ];
  for (const [text, expected] of cases) {
    const found = head(text);
    for (const key of Object.keys(expected) as (keyof HttpHead)[]) assertEquals(found[key], expected[key], text);
  }
});

Deno.test("parseHead() refuses what could be read in two ways, and what is no request", () => {
  const field = (text: string) => `POST / HTTP/1.1\r\nHost: x\r\n${text}\r\n\r\n`;
  const cases: readonly (readonly [number, string])[] = [
    [400, field("Content-Length: 3\r\nTransfer-Encoding: chunked")],
    [400, field("Transfer-Encoding: chunked\r\nContent-Length: 3")],
    [400, field("Content-Length: 3\r\nContent-Length: 4")],
    [400, field("Content-Length: 3, 4")],
    [400, field("Content-Length: +3")],
    [400, field("Content-Length: -1")],
    [400, field("Content-Length: 0x3")],
    [400, field("Content-Length:")],
    [400, field("Content-Length: 9999999999999999")],
    [400, field("Content-Length : 3")],
    [400, field(" folded: 1")],
    [400, field("A: b\r\n c")],
    [400, field("A: b\rc: d")],
    [400, field("A: b\x00")],
    [400, field("no colon")],
    [400, field(": empty")],
    [400, field("Host: y")],
    [501, field("Transfer-Encoding: gzip, chunked")],
    [501, field("Transfer-Encoding: xchunked")],
    [501, field("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked")],
    [400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"],
    [417, field("Expect: a miracle")],
    [431, field(Array.from({ length: 200 }, (_, i) => `A${i}: b`).join("\r\n"))],
    [400, "GET /\r\n\r\n"],
    [400, "GET  / HTTP/1.1\r\n\r\n"],
    [400, "GET / HTTP/1.1 \r\n\r\n"],
    [400, "GET /a b HTTP/1.1\r\n\r\n"],
    [400, "GET / http/1.1\r\n\r\n"],
    [400, "GET relative HTTP/1.1\r\n\r\n"],
    [400, "GET * HTTP/1.1\r\n\r\n"],
    [400, "GET ftp://x/ HTTP/1.1\r\n\r\n"],
    [400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"],
    [400, "GET / HTTP/1.1\r\nHost: a?b\r\n\r\n"],
    [400, "GET http://user@x\\y/ HTTP/1.1\r\n\r\n"],
    [405, "CONNECT x:443 HTTP/1.1\r\n\r\n"],
    [505, "PRI * HTTP/2.0\r\n\r\n"],
  ];
  for (const [status, text] of cases) {
    const error = assertThrows(() => head(text));
    assertInstanceOf(error, HttpRefusal, text);
    assertEquals(error.status, status, text);
  }
});

Deno.test("endOfHead() finds the end wherever the bytes are cut", () => {
  for (const text of ["GET / HTTP/1.1\r\nA: b\r\n\r\n", "GET / HTTP/1.1\nA: b\n\n"]) {
    const bytes = utf8(`${text}body\r\n\r\n`);
    for (let cut = 0; cut < text.length; cut++) {
      assertEquals(endOfHead(bytes.subarray(0, cut), 0), -1);
      assertEquals(endOfHead(bytes, cut), text.length, `cut at ${cut}`);
    }
  }
});

// Bodies.

/** Decodes a body that arrives in parts of `size` bytes. */
function decode(text: string, options: { readonly body: number | "chunked"; readonly size: number }) {
  const decoder = new BodyDecoder(options.body);
  const bytes = utf8(text);
  let found = "";
  let start = 0;
  for (let end = 0; start < bytes.length && !decoder.done; end += options.size) {
    for (;;) {
      const { data, used } = decoder.take(bytes.slice(start, Math.min(end, bytes.length)));
      found += fromUtf8(data);
      start += used;
      if (used === 0 || decoder.done) break;
    }
  }
  return { found, done: decoder.done, rest: fromUtf8(bytes.subarray(start)) };
}

Deno.test("BodyDecoder finds the same however the bytes are cut, and stops at the end", () => {
  const chunked = "3\r\nabc\r\n00A;x=y\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\nGET /next";
  for (let size = 1; size <= chunked.length; size++) {
    assertEquals(decode(chunked, { body: "chunked", size }), { found: "abc0123456789", done: true, rest: "GET /next" });
    assertEquals(decode("abcGET", { body: 3, size }), { found: "abc", done: true, rest: "GET" });
  }
  assertEquals(decode("GET", { body: 0, size: 1 }), { found: "", done: true, rest: "GET" });
});

Deno.test("BodyDecoder refuses chunks that could be read in two ways", () => {
  const cases = [
    "3\nabc\r\n0\r\n\r\n",
    "3\r\nabcd\r\n0\r\n\r\n",
    "-1\r\n\r\n",
    "0x3\r\nabc",
    " 3\r\nabc",
    "\r\n",
    "g\r\n",
  ]
    .concat(["3\r\nabc\n0\r\n\r\n", "3\r\r\nabc", `3;${"x".repeat(300)}`, "1234567890123\r\n"])
    .concat([`0\r\n${"a: b\r\n".repeat(2000)}`]);
  for (const text of cases) {
    const error = assertThrows(() => decode(text, { body: "chunked", size: text.length }), HttpRefusal);
    assert([400, 431].includes((error as HttpRefusal).status), text);
  }
});

// Which connection is closed for a new one.

type Member = { -readonly [K in keyof LimitedConnection]: LimitedConnection[K] };

Deno.test("ConnectionLimit has the least worth make room: of the same network when that has too many", () => {
  const crowd = new ConnectionLimit<Member>({
    total: 5,
    perNetwork: 3,
    perProxy: 4,
    hasManyClients: (host) => host === "proxy",
  });
  const member = (host: string, state: Member["state"], since: number): Member => ({ host, state, since });
  const came = (one: Member) => crowd.add(one) ? crowd.surplus(one) : null;
  const stalled = member("a", "stalled", 1);
  const asking = member("a", "asking", 2);
  const silent = member("a", "silent", 3);
  for (const one of [stalled, asking, silent]) assertEquals(came(one), null);
  const fourth = member("a", "silent", 4);
  assertEquals(came(fourth), silent);
  crowd.remove(silent);
  assertEquals(crowd.size, 3);
  fourth.state = "busy";
  const fifth = member("a", "silent", 5);
  assertEquals(came(fifth), asking, "not the newcomer");
  crowd.remove(asking);
  stalled.state = fifth.state = "busy";
  const sixth = member("a", "silent", 6);
  assertEquals(came(sixth), sixth, "all others are at work");
  crowd.remove(sixth);

  // Other networks still have room. Above the total, the network with the most connections loses one.
  const others = [member("b", "silent", 0), member("proxy", "silent", 7)];
  for (const one of others) assertEquals(came(one), null);
  fifth.state = "silent";
  assertEquals(came(member("c", "silent", 8)), fifth);
});

Deno.test("ConnectionLimit shrinks when the system has no room, and grows again", () => {
  const crowd = new ConnectionLimit<Member>({ total: 40, perNetwork: 40, perProxy: 40, hasManyClients: () => false });
  for (let i = 0; i < 40; i++) crowd.add({ host: "a", state: i < 12 ? "busy" : "silent", since: i });
  assertEquals(crowd.shrink().map(({ since }) => since), [12, 13, 14, 15, 16, 17, 18, 19, 20, 21]);
  assertEquals([crowd.size, crowd.total], [30, 30]);
  for (let i = 0; i < 20; i++) crowd.shrink();
  assertEquals([crowd.size, crowd.total], [12, 9], "who is at work stays");
  for (let i = 0; i < 40; i++) crowd.grow();
  assertEquals(crowd.total, 40);
});

// The server, on scripted connections and a virtual clock.

class Client implements HttpClientConnection {
  readonly remote;
  readonly local = { host: "127.0.0.1", port: 80 };
  readonly answer = { text: "", closed: false, ended: false };
  /** If `false`, the client reads nothing. */
  takes = true;
  #coming: Bytes[] = [];
  #wake: (() => void) | null = null;
  #taken: (() => void) | null = null;
  #over = false;

  constructor(host: string) {
    this.remote = { host, port: 1 };
  }

  async send(text: string): Promise<void> {
    this.#coming.push(Uint8Array.from(text, (character) => character.charCodeAt(0)));
    this.#wake?.();
    await settle();
  }

  async leave(): Promise<void> {
    this.#over = true;
    this.#wake?.();
    await settle();
  }

  async read(into: Bytes): Promise<number | null> {
    while (this.#coming.length === 0 && !this.#over && !this.answer.closed) {
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    if (this.answer.closed) throw new Error("closed");
    const next = this.#coming.shift();
    if (next === undefined) return null;
    into.set(next.subarray(0, into.length));
    if (next.length > into.length) this.#coming.unshift(next.subarray(into.length));
    return Math.min(next.length, into.length);
  }

  async write(bytes: Bytes): Promise<number> {
    if (!this.takes) await new Promise<void>((resolve) => this.#taken = resolve);
    if (this.answer.closed) throw new Error("closed");
    this.answer.text += fromUtf8(bytes);
    return bytes.length;
  }

  closeWrite(): Promise<void> {
    this.answer.ended = true;
    return Promise.resolve();
  }

  close(): void {
    this.answer.closed = true;
    this.#wake?.();
    this.#taken?.();
  }
}

class Listener implements HttpListener {
  readonly address = { host: "127.0.0.1", port: 80 };
  #coming: (Client | Error)[] = [];
  #wake: (() => void) | null = null;
  #closed = false;

  async connect(client: Client | Error): Promise<void> {
    this.#coming.push(client);
    this.#wake?.();
    await settle();
  }

  async accept(): Promise<Client | null> {
    while (this.#coming.length === 0 && !this.#closed) await new Promise<void>((resolve) => this.#wake = resolve);
    const next = this.#coming.shift() ?? null;
    if (next instanceof Error) throw next;
    return next;
  }

  close(): void {
    this.#closed = true;
    this.#wake?.();
  }
}

class Lab {
  readonly clock = new VirtualClock();
  readonly listener = new Listener();
  readonly said: string[] = [];
  readonly server: ListeningHttpServer;

  constructor(handle: HttpHandler = () => new Response("ok")) {
    this.server = new ListeningHttpServer({
      listener: this.listener,
      clock: this.clock,
      handle,
      warn: (message) => this.said.push(message),
    });
  }

  async client(host = "127.0.0.1"): Promise<Client> {
    const client = new Client(host);
    await this.listener.connect(client);
    // If there are too many connections, one is closed after a moment.
    if (this.clock.nextDue - this.clock.now() <= 2) this.clock.advance(2);
    await settle();
    return client;
  }

  /** Lets time pass in steps of a second. */
  async pass(milliseconds: number): Promise<void> {
    for (let left = milliseconds; left > 0; left -= 1000) {
      this.clock.advance(Math.min(1000, left));
      await settle();
    }
  }
}

async function withLab(use: (lab: Lab) => Promise<void>, handle?: HttpHandler): Promise<void> {
  const lab = new Lab(handle);
  try {
    await use(lab);
  } finally {
    const closing = lab.server.close();
    await lab.pass(1000); // gives requests under way a moment
    await closing;
  }
  assertEquals([lab.server.connections, lab.clock.pending], [0, 0]);
}

const GET = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/** Returns status and body of each answer in the text sent to a client. */
function answers(text: string): string[] {
  const found: string[] = [];
  for (let rest = text; rest !== "";) {
    const match = /^HTTP\/1\.1 (\d+) [^\r]*\r\n(?:[^\r]+\r\n)*\r\n/.exec(rest);
    if (match === null) return [...found, `? ${rest}`];
    const length = Number(/content-length: (\d+)/.exec(match[0])?.[1] ?? 0);
    found.push(`${match[1]} ${rest.slice(match[0].length, match[0].length + length)}`);
    rest = rest.slice(match[0].length + length);
  }
  return found;
}

Deno.test("ListeningHttpServer closes connections that are silent, and those between two requests", () =>
  withLab(async (lab) => {
    const silent = await lab.client();
    const kept = await lab.client();
    await kept.send(GET);
    await lab.pass(HTTP_IDLE_MS - 1000);
    assertEquals([silent.answer.closed, kept.answer.closed], [false, false]);
    await kept.send(GET);
    assertEquals(answers(kept.answer.text), ["200 ok", "200 ok"]);
    await lab.pass(1000);
    assertEquals([silent.answer.closed, kept.answer.closed], [true, false]);
    await lab.pass(HTTP_IDLE_MS);
    assert(kept.answer.closed);
  }));

Deno.test("ListeningHttpServer gives a head so much time, however its bytes trickle in", () =>
  withLab(async (lab) => {
    const slow = await lab.client();
    for (let second = 0; second * 1000 < HTTP_HEAD_MS; second++) {
      assertEquals(slow.answer.closed, false);
      await slow.send(GET[second]!);
      await lab.pass(1000);
    }
    assert(slow.answer.closed);
    const empty = await lab.client(); // empty lines don't count
    for (let second = 0; second * 1000 < HTTP_IDLE_MS; second++) {
      await empty.send("\r\n");
      await lab.pass(1000);
    }
    assert(empty.answer.closed);
  }));

Deno.test("ListeningHttpServer gives a body so much time, and more when it is long", async () => {
  const read: HttpHandler = async (request) => new Response(await request.text());
  await withLab(async (lab) => {
    const slow = await lab.client();
    await slow.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n");
    for (let passed = 0; passed < HTTP_BODY_MS; passed += 1000) {
      assertEquals(slow.answer.closed, false);
      await slow.send("a");
      await lab.pass(1000);
    }
    await lab.pass(1000);
    assert(slow.answer.closed);
    const long = await lab.client();
    await long.send(`POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n${"a".repeat(59_999)}`);
    await lab.pass(HTTP_BODY_MS + 20_000);
    await long.send("b");
    assertMatch(long.answer.text, /^HTTP\/1\.1 200 .*ab$/s);
  }, read);
});

Deno.test("ListeningHttpServer sends an answer that is here as bytes, and of it the head alone to HEAD", async () => {
  const handle: HttpHandler = () => ({ status: 200, headers: [["x-y", "z"]], content: Uint8Array.of(97, 98) });
  await withLab(async (lab) => {
    const client = await lab.client();
    await client.send(`${GET}HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    assertMatch(
      client.answer.text,
      /^HTTP\/1.1 200 OK\r\nx-y: z\r\ncontent-length: 2\r\ndate: [^\r]*\r\n\r\nabHTTP\/1.1 200 OK\r\nx-y: z\r\ncontent-length: 2\r\nconnection: close\r\ndate: [^\r]*\r\n\r\n$/,
    );
    assertEquals(client.answer.closed, true);
  }, handle);
});

Deno.test("ListeningHttpServer gives the place of who has taken nothing of a short answer for seconds to who comes", async () => {
  await withLab(async (lab) => {
    const stuck = [];
    for (let i = 0; i < MAX_HTTP_PER_NETWORK; i++) {
      const client = await lab.client("192.0.2.1");
      client.takes = false;
      await client.send(GET);
      stuck.push(client);
    }
    await lab.pass(HTTP_SHORT_STALL_MS - 1000);
    const early = await lab.client("192.0.2.1");
    assertEquals(answers(early.answer.text), ["503 there are too many connections\n"]);
    await lab.pass(1000);
    const late = await lab.client("192.0.2.1");
    await late.send(GET);
    assertEquals(answers(late.answer.text), ["200 ok"]);
    assertEquals(stuck.filter(({ answer }) => answer.closed).length, 1);
  });
});

Deno.test("ListeningHttpServer lets a long answer be read slowly, but nobody keep a short one", async () => {
  const chunk = new Uint8Array(100_000);
  const handle: HttpHandler = (request) =>
    request.url.endsWith("/long")
      ? new Response(ReadableStream.from([chunk, chunk]), { headers: { "content-length": "200000" } })
      : new Response("short");
  await withLab(async (lab) => {
    const [short, long] = [await lab.client(), await lab.client()];
    short.takes = long.takes = false;
    await short.send(GET);
    await long.send("GET /long HTTP/1.1\r\nHost: x\r\n\r\n");
    await lab.pass(HTTP_IDLE_MS - 1000);
    assertEquals([short.answer.closed, long.answer.closed], [false, false]);
    await lab.pass(600_000);
    assertEquals([short.answer.closed, long.answer.closed], [true, false]);
    // A connection that has read nothing for a while is closed when others need its place.
    for (let i = 1; i < MAX_HTTP_PER_PROXY; i++) {
      const busy = await lab.client();
      busy.takes = false;
      await busy.send("GET /long HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    assertEquals(long.answer.closed, false);
    const one = await lab.client();
    await one.send(GET);
    assertEquals([long.answer.closed, answers(one.answer.text)], [true, ["200 short"]]);
    assert(HTTP_STALL_MS < 600_000);
  }, handle);
});

Deno.test("ListeningHttpServer answers on while an address has all the connections that it may have", () =>
  withLab(async (lab) => {
    const flood: Client[] = [];
    for (let i = 0; i < 1000; i++) flood.push(await lab.client("192.0.2.1"));
    assertEquals(lab.server.connections, MAX_HTTP_PER_NETWORK);
    const same = await lab.client("192.0.2.1");
    await same.send(GET);
    const other = await lab.client("192.0.2.2");
    await other.send(GET);
    assertEquals([...answers(same.answer.text), ...answers(other.answer.text)], ["200 ok", "200 ok"]);
    // An IPv6 /64 counts as one network.
    for (let i = 0; i < 1000; i++) await lab.client(`2001:db8::${i.toString(16)}`);
    assertEquals(lab.server.connections, 2 * MAX_HTTP_PER_NETWORK + 1);
    for (let i = 0; i < 1000; i++) await lab.client(`198.51.100.${i % 250}`);
    assertEquals(lab.server.connections, MAX_HTTP_CONNECTIONS);
  }));

Deno.test("ListeningHttpServer turns away who comes when all are at work", async () => {
  const never: HttpHandler = () => new Promise<Response>(() => {});
  await withLab(async (lab) => {
    for (let i = 0; i < MAX_HTTP_PER_NETWORK; i++) await (await lab.client("192.0.2.1")).send(GET);
    const last = await lab.client("192.0.2.1");
    assertEquals([answers(last.answer.text), last.answer.closed], [["503 there are too many connections\n"], true]);
    assertEquals(lab.server.connections, MAX_HTTP_PER_NETWORK);
    assertEquals((await lab.client("192.0.2.2")).answer.closed, false);
  }, never);
});

Deno.test("ListeningHttpServer goes on after a shortage of file descriptors, and says so once", () =>
  withLab(async (lab) => {
    const shortage = Object.assign(new Error("Too many open files (os error 24)"), { code: "EMFILE" });
    const idle: Client[] = [];
    for (let i = 0; i < 40; i++) idle.push(await lab.client(`192.0.2.${i}`));
    for (let i = 0; i < 3; i++) {
      await lab.listener.connect(shortage);
      await lab.pass(1000);
    }
    assertEquals(lab.said, [OUT_OF_DESCRIPTORS]);
    const open = idle.filter(({ answer }) => !answer.closed).length;
    assert(open < 20 && open > 8, `${open} of 40 are left`);
    const client = await lab.client();
    await client.send(GET);
    assertEquals(answers(client.answer.text), ["200 ok"]);
    await lab.pass(10_000);
    assertEquals(lab.said, [OUT_OF_DESCRIPTORS, DESCRIPTORS_AGAIN]);
    await lab.listener.connect(new Error("No buffer space available"));
    await lab.pass(1000);
    assertEquals(lab.said[2], "cannot take connections for now: No buffer space available");
    await (await lab.client()).send(GET);
  }));

Deno.test("ListeningHttpServer answers requests that come together, in order, and minds who wants to close", () =>
  withLab(async (lab) => {
    const client = await lab.client();
    const post = "POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody";
    await client.send(
      `\r\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n${post}HEAD /c HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\nGET /d`,
    );
    const text = client.answer.text;
    assertEquals(answers(text.slice(0, text.lastIndexOf("HTTP/1.1"))), ["200 GET /a", "200 POST /b"]);
    assertMatch(text.slice(text.lastIndexOf("HTTP/1.1")), /content-length: 7\r\nconnection: close\r\n[^]*\r\n\r\n$/);
    assert(client.answer.closed);
    const old = await lab.client();
    await old.send("GET /old HTTP/1.0\r\n\r\n");
    assertEquals([answers(old.answer.text), old.answer.closed], [["200 GET /old"], true]);
    const oldKept = await lab.client();
    await oldKept.send("GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assertMatch(oldKept.answer.text, /connection: keep-alive/);
    assertEquals(oldKept.answer.closed, false);
  }, ({ method, url }) => {
    const text = `${method} ${new URL(url).pathname}`;
    return new Response(method === "HEAD" ? null : text, {
      headers: { "content-length": `${text.length}` },
    });
  }));

Deno.test("ListeningHttpServer reads bodies with a length and in chunks, and asks for those that wait for it", async () => {
  await withLab(async (lab) => {
    const client = await lab.client();
    await client.send("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n");
    assertEquals(client.answer.text, "HTTP/1.1 100 Continue\r\n\r\n");
    client.answer.text = "";
    await client.send("2\r\nab\r\n1");
    await client.send("\r\nc\r\n0\r\n\r\n");
    assertEquals(answers(client.answer.text), ["200 <abc>"]);
    assertEquals(client.answer.closed, false);
    await client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nxyz");
    assertEquals(answers(client.answer.text), ["200 <abc>", "200 <xyz>"]);
    const large = await lab.client();
    await large.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\n");
    assertMatch(large.answer.text, /^HTTP\/1\.1 413 /);
    const larger = await lab.client();
    await larger.send(
      `POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n100001\r\n${"a".repeat(2 ** 20 + 1)}`,
    );
    assertMatch(larger.answer.text, /^HTTP\/1\.1 413 /);
    assert(larger.answer.ended, "it is told before it is cut off");
  }, async (request) => new Response(`<${await request.text()}>`));
});

Deno.test("ListeningHttpServer refuses what is no request at once, and smuggled ones, and ends the connection", () =>
  withLab(async (lab) => {
    const cases: readonly (readonly [string, number])[] = [
      ["\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400],
      ["\x13BitTorrent protocol", 400],
      [`GET /${"a".repeat(MAX_HTTP_HEAD)}`, 431],
      ["POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + GET, 400],
      ["GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 30\r\n\r\n" + GET, 400],
      ["CONNECT x:443 HTTP/1.1\r\n\r\n", 405],
    ];
    for (const [text, status] of cases) {
      const client = await lab.client();
      await client.send(text);
      assertMatch(client.answer.text, new RegExp(`^HTTP/1.1 ${status} `), text);
      assertEquals(client.answer.text.split("HTTP/1.1 ").length, 2, "nothing follows");
      assert(client.answer.ended);
      await lab.pass(3000);
      assert(client.answer.closed, "it doesn't linger for ever");
    }
  }));

Deno.test("ListeningHttpServer sends what has no length in chunks, and to the end of the connection of old", async () => {
  let stream!: ReadableStreamDefaultController<Bytes>;
  await withLab(async (lab) => {
    for (const version of ["1.1", "1.0"]) {
      const client = await lab.client();
      await client.send(`GET / HTTP/${version}\r\nHost: x\r\n\r\n`);
      assertMatch(client.answer.text, /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\n$/, "the head doesn't wait for the body");
      const start = client.answer.text.length;
      stream.enqueue(utf8("first"));
      await settle();
      stream.enqueue(utf8("second"));
      stream.close();
      await settle();
      const body = client.answer.text.slice(start);
      assertEquals(body, version === "1.1" ? "5\r\nfirst\r\n6\r\nsecond\r\n0\r\n\r\n" : "firstsecond");
      assertEquals(client.answer.closed, version === "1.0");
    }
  }, () => new Response(new ReadableStream<Bytes>({ start: (controller) => void (stream = controller) })));
});

Deno.test("ListeningHttpServer asks for no more of a body than the client takes, and cancels it when that goes", async () => {
  let pulled = 0;
  let cancelled = 0;
  const signals: AbortSignal[] = [];
  const handle: HttpHandler = (request) => {
    signals.push(request.signal);
    if (request.url.endsWith("/waits")) return new Response(new ReadableStream({ cancel: () => void cancelled++ }));
    return new Response(
      new ReadableStream({
        pull: (controller) => {
          pulled++;
          controller.enqueue(new Uint8Array(100_000));
        },
        cancel: () => void cancelled++,
      }, { highWaterMark: 0 }),
      { headers: { "content-length": "100000000" } },
    );
  };
  await withLab(async (lab) => {
    const client = await lab.client();
    client.takes = false;
    await client.send(GET);
    assert(pulled <= 2, `${pulled} chunks were asked for`);
    client.close();
    await settle();
    assertEquals(cancelled, 1);
    const waiting = await lab.client();
    await waiting.send("GET /waits HTTP/1.1\r\nHost: x\r\n\r\n");
    await waiting.leave();
    assertEquals([cancelled, signals[1]!.aborted, waiting.answer.closed], [2, true, true]);
  }, handle);
});

Deno.test("ListeningHttpServer cuts off an answer that is shorter than it says", async () => {
  const handle: HttpHandler = () => new Response("abc", { headers: { "content-length": "5" } });
  await withLab(async (lab) => {
    const client = await lab.client();
    await client.send(GET);
    assertMatch(client.answer.text, /content-length: 5\r\n[^]*\r\n\r\nabc$/);
    assert(client.answer.closed);
  }, handle);
});
