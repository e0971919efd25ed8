import { assertEquals, assertLess, assertRejects } from "@std/assert";
import { concatBytes, fromUtf8, utf8 } from "../../src/base/bytes.ts";
import { denoHttp } from "../../src/platform/deno_http.ts";
import { HttpError, type HttpHandler, type HttpStream, type HttpStreamRequest } from "../../src/platform/platform.ts";

async function withServer(handle: HttpHandler, use: (base: string) => Promise<void>): Promise<void> {
  const server = denoHttp.serve({ host: "127.0.0.1", port: 0 }, handle);
  try {
    await use(`http://127.0.0.1:${server.address.port}`);
  } finally {
    await server.close();
  }
}

function open(url: string, more: Partial<HttpStreamRequest> = {}): Promise<HttpStream> {
  return denoHttp.stream({ url, timeout: 10_000, ...more });
}

async function readAll(stream: HttpStream): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for (let part = await stream.read(); part !== null; part = await stream.read()) parts.push(part.slice());
  return concatBytes(parts);
}

Deno.test("stream() gives the head, then the body in parts, as it was sent", async () => {
  await withServer((request) => {
    const { headers } = request;
    const seen = ["range", "accept-encoding", "user-agent"].map((name) => headers.get(name)?.split("/")[0]);
    return new Response(JSON.stringify(seen), { status: 206, headers: { "content-range": "bytes 0-1/2" } });
  }, async (base) => {
    const stream = await open(base, { headers: { range: "bytes=0-1" } });
    assertEquals([stream.status, stream.url], [206, `${base}/`]);
    assertEquals(stream.headers.get("content-range"), "bytes 0-1/2");
    assertEquals(JSON.parse(fromUtf8(await readAll(stream))!), ["bytes=0-1", "identity", "Shoal"]);
    assertEquals(await stream.read(), null, "the end stays the end");
    stream.cancel();
  });
});

Deno.test("stream() follows redirects, says where it ended, and goes nowhere it may not", async () => {
  const asked: string[] = [];
  await withServer((request) => {
    const { pathname } = new URL(request.url);
    asked.push(pathname);
    if (pathname === "/end") return new Response("x");
    const location = pathname === "/start" ? "/middle" : pathname === "/bad" ? "/no?query" : "/end";
    return new Response(null, { status: 302, headers: { location } });
  }, async (base) => {
    const stream = await open(`${base}/start`);
    assertEquals([stream.url, fromUtf8(await readAll(stream))], [`${base}/end`, "x"]);
    await assertRejects(() => open(`${base}/bad`), HttpError, "may have no query");
    assertEquals(asked, ["/start", "/middle", "/end", "/bad"]);
  });
});

Deno.test("stream() leaves with the server what isn't read, and ends when it is cancelled", async () => {
  let sent = 0;
  const cancelled = Promise.withResolvers<void>();
  const endless = () =>
    new ReadableStream({
      pull(controller) {
        sent += 65536;
        controller.enqueue(new Uint8Array(65536));
      },
      cancel: () => cancelled.resolve(),
    });
  await withServer(() => new Response(endless()), async (base) => {
    const stream = await open(base);
    await stream.read();
    stream.cancel();
    stream.cancel();
    await cancelled.promise;
    assertLess(sent, 64 << 20);
    assertEquals(await stream.read(), null);
  });
});

Deno.test("stream() gives up when no answer comes in time", async () => {
  await withServer(() => new Promise(() => {}), async (base) => {
    await assertRejects(() => open(base, { timeout: 50 }), HttpError, "no answer within 0.05 s");
  });
});

Deno.test("stream() gives up when it is told to: before, while it waits, and while it reads", async () => {
  const asked = Promise.withResolvers<void>();
  await withServer((request) => {
    asked.resolve();
    if (request.url.endsWith("never")) return new Promise(() => {});
    return new Response(new ReadableStream({ start: (controller) => controller.enqueue(utf8("a")) }));
  }, async (base) => {
    const stop = new AbortController();
    const waiting = assertRejects(() => open(`${base}/never`, { signal: stop.signal }), HttpError, "given up");
    const stream = await open(base, { signal: stop.signal });
    await stream.read();
    const reading = assertRejects(() => stream.read(), HttpError, "given up");
    await asked.promise;
    stop.abort();
    await Promise.all([waiting, reading]);
    await assertRejects(() => open(base, { signal: stop.signal }), HttpError, "given up");
  });
});

Deno.test("stream() says when the connection is cut off, and when there is none", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const serving = (async () => {
    const connection = await listener.accept();
    await connection.read(new Uint8Array(4096));
    await connection.write(utf8("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc"));
    connection.close();
    listener.close();
  })();
  const stream = await open(`http://127.0.0.1:${port}/`);
  await assertRejects(() => readAll(stream), HttpError, "the connection was cut off");
  await serving;
  await assertRejects(() => open(`http://127.0.0.1:${port}/`), HttpError, "connection refused");
});

Deno.test("stream() connects from the address that it is given", async () => {
  const server = denoHttp.serve({ host: "127.0.0.1", port: 0 }, (_, from) => new Response(from.host));
  try {
    const url = `http://127.0.0.1:${server.address.port}/`;
    assertEquals(fromUtf8(await readAll(await open(url, { bind: "127.0.0.1" }))), "127.0.0.1");
    if (Deno.build.os === "linux") {
      const stream = await open(url, { bind: "127.0.0.9" });
      assertEquals(fromUtf8(await readAll(stream)), "127.0.0.9");
    }
    await assertRejects(() => open(url, { bind: "203.0.113.1" }), HttpError, "cannot connect from 203.0.113.1");
  } finally {
    await server.close();
  }
});

Deno.test("stream() uses a kept connection again for the same server, and a new one when the old one has ended", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const url = `http://127.0.0.1:${listener.addr.port}/`;
  let connections = 0;
  const serving = (async () => {
    for await (const connection of listener) {
      connections++;
      // The server answers two requests per connection, and closes without notice.
      for (let i = 0; i < 2; i++) {
        if (await connection.read(new Uint8Array(4096)) === null) break;
        await connection.write(utf8("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc"));
      }
      connection.close();
    }
  })();
  const kept = denoHttp.keep!();
  const used: number[] = [];
  for (let i = 0; i < 4; i++) {
    assertEquals(fromUtf8(await readAll(await open(url, { kept }))), "abc");
    used.push(connections);
  }
  assertEquals(used, [1, 1, 2, 2]);
  // A connection whose response wasn't read to its end can't be used for the next request.
  const cut = await open(url, { kept });
  cut.cancel();
  assertEquals(fromUtf8(await readAll(await open(url, { kept }))), "abc");
  assertEquals(connections, 4);
  kept.close();
  assertEquals(fromUtf8(await readAll(await open(url, { kept }))), "abc");
  listener.close();
  await serving;
});
