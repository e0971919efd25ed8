import { assert, assertEquals, assertInstanceOf, assertLess, assertRejects, assertThrows } from "@std/assert";
import { fromUtf8, utf8 } from "../../src/base/bytes.ts";
import { ShoalError } from "../../src/base/errors.ts";
import { VERSION } from "../../src/base/version.ts";
import { denoHttp } from "../../src/platform/deno_http.ts";
import { HttpError, type HttpHandler, type HttpRequest } from "../../src/platform/platform.ts";

const MIB = 2 ** 20;

function get(url: string, more: Partial<HttpRequest> = {}) {
  return denoHttp.request({ url, trust: { by: "user" }, timeout: 10_000, maxBytes: MIB, ...more });
}

/** Serves HTTP while `use` runs. */
async function withServer(handle: HttpHandler, use: (base: string) => Promise<void>): Promise<void> {
  const server = denoHttp.serve({ host: "127.0.0.1", port: 0 }, handle);
  try {
    await use(`http://127.0.0.1:${server.address.port}`);
  } finally {
    await server.close();
  }
}

/** A server that answers every connection with the same bytes and closes it. */
async function withRawServer(answer: string, use: (base: string) => Promise<void>): Promise<void> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serving = (async () => {
    for await (const connection of listener) {
      await connection.read(new Uint8Array(4096));
      if (answer !== "") await connection.write(utf8(answer));
      connection.close();
    }
  })();
  try {
    await use(`http://127.0.0.1:${listener.addr.port}`);
  } finally {
    listener.close();
    await serving;
  }
}

async function gzip(bytes: Uint8Array<ArrayBuffer>): Promise<ArrayBuffer> {
  return await new Response(new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"))).arrayBuffer();
}

function gzipped(body: BodyInit): Response {
  return new Response(body, { headers: { "content-encoding": "gzip" } });
}

Deno.test("request() sends the URL byte for byte, its headers and a user agent, and gives the whole answer", async () => {
  await withServer((request) => {
    const seen = [request.method, new URL(request.url).search, request.headers.get("user-agent")];
    return new Response(JSON.stringify(seen), { status: 418, headers: { "x-kind": "teapot" } });
  }, async (base) => {
    const response = await get(`${base}/a?info_hash=%ff%00~%2B%zz&x`);
    assertEquals(response.status, 418);
    assertEquals(response.headers.get("x-kind"), "teapot");
    assertEquals(response.url, `${base}/a?info_hash=%ff%00~%2B%zz&x`);
    assertEquals(JSON.parse(fromUtf8(response.body)!), ["GET", "?info_hash=%ff%00~%2B%zz&x", `Shoal/${VERSION}`]);
    const own = await get(base, { headers: { "user-agent": "me" } });
    assertEquals(JSON.parse(fromUtf8(own.body)!)[2], "me");
  });
});

Deno.test("request() posts a body", async () => {
  await withServer(async (request) => new Response(`${request.method} ${await request.text()}`), async (base) => {
    const response = await get(base, { method: "POST", body: "hello" });
    assertEquals(fromUtf8(response.body), "POST hello");
  });
});

Deno.test("request() gives an empty body for an answer without one", async () => {
  await withServer(() => new Response(null, { status: 204 }), async (base) => {
    assertEquals((await get(base)).body.length, 0);
  });
});

Deno.test("request() and stream() give a body that ends with the connection once", async () => {
  for (const head of ["HTTP/1.0 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"]) {
    await withRawServer(`${head}hello`, async (base) => {
      assertEquals(fromUtf8((await get(`${base}/`)).body), "hello");
      const stream = await denoHttp.stream({ url: `${base}/`, trust: { by: "user" }, timeout: 10_000 });
      const parts: string[] = [];
      for (let part = await stream.read(); part !== null; part = await stream.read()) {
        parts.push(fromUtf8(part.slice())!);
      }
      assertEquals(parts.join(""), "hello");
    });
  }
});

Deno.test("request() follows redirects and says where it ended", async () => {
  await withServer((request) => {
    const { pathname } = new URL(request.url);
    const hops = Number(pathname.slice(1));
    if (hops === 0) return new Response(request.method);
    return new Response(null, { status: hops === 2 ? 303 : 308, headers: { location: `/${hops - 1}?x=${hops}` } });
  }, async (base) => {
    const response = await get(`${base}/5`, { method: "POST", body: "x" });
    assertEquals([response.url, fromUtf8(response.body)], [`${base}/0?x=1`, "GET"]);
    assertEquals(response.reach, "machine");
    await assertRejects(() => get(`${base}/6`), HttpError, "redirected more than 5 times");
  });
});

Deno.test("request() gives credentials to no other host that it is sent to", async () => {
  await withServer((request) => new Response(request.headers.get("authorization")), async (other) => {
    await withServer(() => new Response(null, { status: 302, headers: { location: other } }), async (base) => {
      assertEquals(fromUtf8((await get(base, { headers: { authorization: "secret" } })).body), "");
    });
  });
});

for (const target of ["ftp://127.0.0.1/x", "file:///etc/passwd", "data:text/plain,x", "http://"]) {
  Deno.test(`request() refuses to be redirected to ${target}`, async () => {
    await withServer(() => new Response(null, { status: 302, headers: { location: target } }), async (base) => {
      await assertRejects(() => get(base), HttpError, `redirected to "${target}"`);
    });
  });
}

Deno.test("request() refuses URLs that are not HTTP", async () => {
  await assertRejects(() => get("udp://127.0.0.1:1"), HttpError, "neither http nor https");
  await assertRejects(() => get("http://a b"), HttpError, "not a valid URL");
});

Deno.test("request() takes a body up to the limit and none beyond, however it is sent", async () => {
  await withServer((request) => {
    const length = Number(new URL(request.url).pathname.slice(1));
    const bytes = new Uint8Array(length);
    return new Response(request.url.endsWith("stream") ? new Blob([bytes]).stream() : bytes);
  }, async (base) => {
    assertEquals((await get(`${base}/1000`, { maxBytes: 1000 })).body.length, 1000);
    assertEquals((await get(`${base}/1000?stream`, { maxBytes: 1000 })).body.length, 1000);
    await assertRejects(() => get(`${base}/1001`, { maxBytes: 1000 }), HttpError, "larger than 1000 bytes");
    await assertRejects(() => get(`${base}/${MIB + 1}?stream`), HttpError, "larger than 1 MiB");
    await assertRejects(() => get(`${base}/2049`, { maxBytes: 2048 }), HttpError, "larger than 2 KiB");
  });
});

Deno.test("request() stops reading a body without end", async () => {
  let sent = 0;
  const endless = () =>
    new ReadableStream({
      pull(controller) {
        sent += 65536;
        controller.enqueue(new Uint8Array(65536));
      },
    });
  await withServer(() => new Response(endless()), async (base) => {
    await assertRejects(() => get(base), HttpError, "larger than 1 MiB");
    assertLess(sent, 64 * MIB);
  });
});

Deno.test("request() decodes gzip and counts what comes out", async () => {
  const small = await gzip(utf8("d8:intervali1800ee"));
  const bomb = await gzip(new Uint8Array(8 * MIB));
  assertLess(bomb.byteLength, 100_000);
  await withServer((request) => gzipped(request.url.endsWith("bomb") ? bomb : small), async (base) => {
    assertEquals(fromUtf8((await get(base)).body), "d8:intervali1800ee");
    await assertRejects(() => get(`${base}/bomb`), HttpError, "larger than 1 MiB");
  });
});

Deno.test("request() stops reading what is compressed and stands for nothing, and takes what can't be made smaller", async () => {
  const random = new Uint8Array(MIB - 1);
  for (let at = 0; at < random.length; at += 65536) crypto.getRandomValues(random.subarray(at, at + 65536));
  const dense = await gzip(random);
  const emptyBlocks = new Uint8Array(64 * 1024 * 5);
  for (let at = 0; at < emptyBlocks.length; at += 5) emptyBlocks.set([0, 0, 0, 0xff, 0xff], at);
  const hollow = new Uint8Array([...new Uint8Array(await gzip(new Uint8Array())).subarray(0, 10), ...emptyBlocks]);
  await withServer((request) => gzipped(request.url.endsWith("dense") ? dense : hollow), async (base) => {
    assertEquals((await get(`${base}/dense`)).body, random);
    await assertRejects(() => get(base), HttpError, "compressed to more than it stands for");
  });
});

Deno.test("request() says when an answer is not compressed as it says", async () => {
  await withServer((request) => {
    const length = request.url.endsWith("short") ? 1 : 1000;
    return gzipped(new Uint8Array([0x1f, 0x8b, ...new Uint8Array(length)]));
  }, async (base) => {
    for (const path of ["/short", "/long"]) {
      await assertRejects(() => get(base + path), HttpError, "not compressed as it says");
    }
  });
});

Deno.test("request() takes what is labelled as compressed and stored as it is, and unpacks what is compressed", async () => {
  const text = "d8:intervali1800ee";
  const packed = async (format: CompressionFormat) =>
    await new Response(new Blob([text]).stream().pipeThrough(new CompressionStream(format))).arrayBuffer();
  const bodies: Record<string, BodyInit> = { plain: text, empty: "", d: "d", gzip: await packed("gzip") };
  bodies["deflate"] = await packed("deflate");
  const expected: [body: string, label: string, got: string][] = [
    ...["gzip", "x-gzip", "deflate", "br", "zstd", "identity"].map((label) =>
      ["plain", label, text] as [string, string, string]
    ),
    ["empty", "gzip", ""],
    ["d", "gzip", "d"],
    ["gzip", "x-gzip", text],
    ["gzip", "GZIP", text],
    ["deflate", "deflate", text],
  ];
  await withServer((request) => {
    const [, body = "", label = ""] = new URL(request.url).pathname.split("/");
    return new Response(bodies[body], { headers: { "content-encoding": label } });
  }, async (base) => {
    for (const [body, label, got] of expected) {
      assertEquals(fromUtf8((await get(`${base}/${body}/${label}`)).body), got, `${body} labelled ${label}`);
    }
  });
  // The first bytes may arrive one by one.
  const gz = new Uint8Array(bodies["gzip"] as ArrayBuffer);
  const drip = () =>
    new ReadableStream({
      start(controller) {
        for (const byte of gz) controller.enqueue(Uint8Array.of(byte));
        controller.close();
      },
    });
  await withServer(() => new Response(drip(), { headers: { "content-encoding": "gzip" } }), async (base) => {
    assertEquals(fromUtf8((await get(base)).body), text);
  });
});

Deno.test("request() gives a magnet link that it is redirected to, where one is taken", async () => {
  const link = "Magnet:?xt=urn:btih:x&dn=caf\u00e9";
  await withServer((request) => {
    const { pathname } = new URL(request.url);
    const location = pathname === "/a" ? "b" : "Magnet:?xt=urn:btih:x&dn=caf%C3%A9";
    return new Response(null, { status: 301, headers: { location } });
  }, async (base) => {
    const { status, magnet, url } = await get(`${base}/a`, { takesMagnet: true });
    assertEquals([status, magnet, url], [301, encodeURI(link), `${base}/b`]);
    await assertRejects(() => get(`${base}/a`), HttpError, 'redirected to "Magnet:');
  });
  const raw = `HTTP/1.1 302 Found\r\nlocation: ${link}\r\ncontent-length: 0\r\n\r\n`;
  await withRawServer(raw, async (base) => {
    assertEquals((await get(base, { takesMagnet: true })).magnet, link);
  });
});

Deno.test("request() counts what it holds, refuses at once what is said to be too long, and stops when it is told to", async () => {
  let sent = false;
  await withRawServer(`HTTP/1.1 200 OK\r\ncontent-length: ${MIB + 1}\r\n\r\n`, async (base) => {
    await assertRejects(() => get(base), HttpError, "larger than 1 MiB");
    sent = true;
  });
  assert(sent);
  await withServer(() => new Response(new Uint8Array(100_000)), async (base) => {
    let held = 0;
    await get(base, { hold: (bytes) => void (held += bytes) });
    assertEquals(held, 100_000);
    const stop = new AbortController();
    await assertRejects(() => get(base, { hold: () => stop.abort(), signal: stop.signal }), HttpError, "given up");
  });
});

Deno.test("request() sends the password of a URL to its host alone", async () => {
  await withServer((request) => new Response(request.headers.get("authorization")), async (other) => {
    await withServer((request) => {
      if (request.url.endsWith("/go")) return new Response(null, { status: 302, headers: { location: `${other}/` } });
      return new Response(request.headers.get("authorization"));
    }, async (base) => {
      const named = base.replace("//", "//me:p%C3%A9@");
      assertEquals(fromUtf8((await get(named)).body), `Basic ${btoa("me:p\u00c3\u00a9")}`);
      assertEquals(fromUtf8((await get(`${named}/go`)).body), "");
    });
  });
});

Deno.test("request() gives up when no answer comes in time", async () => {
  const never = new Promise<Response>(() => {});
  await withServer(() => never, async (base) => {
    await assertRejects(() => get(base, { timeout: 50 }), HttpError, "no answer within 0.05 s");
  });
});

Deno.test("request() gives up when the answer trickles", async () => {
  const timers = new Set<ReturnType<typeof setInterval>>();
  const trickle = () =>
    new ReadableStream({
      start(controller) {
        timers.add(setInterval(() => controller.enqueue(new Uint8Array(1)), 5));
      },
      cancel() {
        for (const timer of timers) clearInterval(timer);
      },
    });
  await withServer(() => new Response(trickle()), async (base) => {
    await assertRejects(() => get(base, { timeout: 600 }), HttpError, "the answer was not complete within 0.6 s");
  });
  for (const timer of timers) clearInterval(timer);
});

Deno.test("request() gives up when it is told to, before and during", async () => {
  const asked = Promise.withResolvers<void>();
  await withServer(() => {
    asked.resolve();
    return new Promise<Response>(() => {});
  }, async (base) => {
    const stop = new AbortController();
    const pending = get(base, { signal: stop.signal });
    await asked.promise;
    stop.abort();
    await assertRejects(() => pending, HttpError, "given up");
    await assertRejects(() => get(base, { signal: stop.signal }), HttpError, "given up");
  });
});

Deno.test("request() connects from the address that it is given", async () => {
  await withServer((_, from) => new Response(from.host), async (base) => {
    assertEquals(fromUtf8((await get(base, { bind: "127.0.0.1" })).body), "127.0.0.1");
    if (Deno.build.os === "linux") { // other systems have no second loopback address
      assertEquals(fromUtf8((await get(base, { bind: "127.0.0.9" })).body), "127.0.0.9");
    }
    for (const bind of ["203.0.113.1", "nonsense"]) {
      await assertRejects(() => get(base, { bind }), HttpError, `cannot connect from ${bind}`);
    }
  });
});

Deno.test("request() says in plain words why there is no answer", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  listener.close();
  const { port } = listener.addr;
  await assertRejects(() => get(`http://127.0.0.1:${port}/tls-gzip-dns%20error`), HttpError, "connection refused");
  const nowhere = `${"x".repeat(64)}.invalid`; // too long for any name server to be asked
  await assertRejects(() => get(`http://${nowhere}/`), HttpError, `no address is known for the host "${nowhere}"`);
  await withRawServer("", (base) => assertFails(base, "the connection was cut off"));
  await withRawServer("lorem ipsum\r\n\r\n", (base) => assertFails(base, "the answer is not HTTP"));
  await withRawServer("lorem ipsum\r\n\r\n", (base) => assertFails(base.replace("http", "https"), "not answer in TLS"));
  await withRawServer(
    "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc",
    (base) => assertFails(base, "the connection was cut off"),
  );
});

async function assertFails(url: string, message: string): Promise<void> {
  await assertRejects(() => get(url), HttpError, message);
}

Deno.test("serve() says who asks, IPv4 as such even on an IPv6 socket", async () => {
  const server = denoHttp.serve({ host: "::", port: 0 }, (_, from) => new Response(from.host));
  try {
    const { port } = server.address;
    assertEquals(fromUtf8((await get(`http://127.0.0.1:${port}`)).body), "127.0.0.1");
    assertEquals(fromUtf8((await get(`http://[::1]:${port}`)).body), "::1");
  } finally {
    await server.close();
  }
});

Deno.test("serve() says which port is in use", async () => {
  const server = denoHttp.serve({ host: "127.0.0.1", port: 0 }, () => new Response());
  try {
    const error = assertThrows(() =>
      denoHttp.serve({ host: "127.0.0.1", port: server.address.port }, () => new Response())
    );
    assertInstanceOf(error, ShoalError);
    assertEquals([error.kind, error.where], ["network", `127.0.0.1:${server.address.port}`]);
  } finally {
    await server.close();
  }
});

Deno.test("serve() says which address this machine does not have", () => {
  const error = assertThrows(() => denoHttp.serve({ host: "203.0.113.1", port: 0 }, () => new Response()));
  assertInstanceOf(error, ShoalError);
  assertEquals([error.kind, error.where], ["network", "203.0.113.1:0"]);
});

Deno.test("serve() answers 500 when the handler throws, and goes on", async () => {
  const handle: HttpHandler = (request) => {
    if (request.url.endsWith("/bad")) throw new Error("boom");
    return new Response("fine");
  };
  await withServer(handle, async (base) => {
    const response = await get(`${base}/bad`);
    assertEquals([response.status, fromUtf8(response.body)], [500, "internal error: boom"]);
    assertEquals((await get(base)).status, 200);
  });
});

Deno.test("serve() closes promptly with idle clients and with requests that never end", async () => {
  const asked = Promise.withResolvers<void>();
  const server = denoHttp.serve({ host: "127.0.0.1", port: 0 }, () => {
    asked.resolve();
    return new Promise<Response>(() => {});
  });
  const idle = await Deno.connect({ hostname: "127.0.0.1", port: server.address.port });
  const hanging = assertRejects(() => get(`http://127.0.0.1:${server.address.port}`), HttpError);
  await asked.promise;
  const before = performance.now();
  await server.close();
  assertLess(performance.now() - before, 2000);
  await hanging;
  idle.close();
});

Deno.test("serve() lets an answer that is under way finish when it closes", async () => {
  const asked = Promise.withResolvers<void>();
  const answer = Promise.withResolvers<Response>();
  const server = denoHttp.serve({ host: "127.0.0.1", port: 0 }, () => {
    asked.resolve();
    return answer.promise;
  });
  const pending = get(`http://127.0.0.1:${server.address.port}`);
  await asked.promise;
  const closing = server.close();
  answer.resolve(new Response("just in time"));
  assertEquals(fromUtf8((await pending).body), "just in time");
  await closing;
  assert(await get(`http://127.0.0.1:${server.address.port}`).then(() => false, () => true));
});
